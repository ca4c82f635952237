//! Which nodes of the planned tables were measured: the others are left out of the tables.

use anyhow::{Result, ensure};

use super::super::outliers::median;
use super::super::plan::{Plan, SpanAxes};
use super::design::{CurveShape, Design, GridShape, SpanShape};
use super::observation::Observation;

/// Share of a node in an observation from which on the observation is one of the node.
const MIN_SHARE: f64 = 0.5;

/// What was measured at each node of a design.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Support {
    /// Samples of the observations that the node has a large part in.
    pub(crate) num_samples: Vec<u32>,
    /// Median of those observations' spreads, in microseconds.
    pub(crate) spread_us: Vec<f64>,
}

impl Support {
    /// Of a design's nodes.
    pub(crate) fn new(design: &Design, observations: &[Observation]) -> Self {
        let num_nodes = design.offsets().last().copied().unwrap_or(0);
        let mut num_samples = vec![0_u32; num_nodes];
        let mut spreads: Vec<Vec<f64>> = vec![vec![]; num_nodes];
        for observation in observations {
            let Some(terms) = design.terms(observation) else {
                continue;
            };
            let mut nodes: Vec<usize> = [&terms.base, &terms.decode, &terms.prefill]
                .into_iter()
                .flatten()
                .filter(|&&(_, share)| share >= MIN_SHARE)
                .map(|&(node, _)| node)
                .collect();
            nodes.sort_unstable();
            nodes.dedup();
            for node in nodes {
                let samples = u32::try_from(observation.time.num_samples).unwrap_or(u32::MAX);
                num_samples[node] = num_samples[node].saturating_add(samples);
                spreads[node].push(observation.time.spread);
            }
        }
        Self { num_samples, spread_us: spreads.into_iter().map(|spreads| median(spreads).unwrap_or(0.0)).collect() }
    }
}

/// The planned tables without what nobody measured.
///
/// # Errors
/// If a table is left with fewer than two nodes on an axis.
pub(crate) fn measured_design(plan: &Plan, capture_sizes: &[u32], observations: &[Observation]) -> Result<Design> {
    let axes = &plan.axes;
    let grid = |rows: &[u32], columns: &[u32]| GridShape {
        rows: rows.to_vec(),
        columns: columns.to_vec(),
        row_lens: vec![columns.len(); rows.len()],
    };
    let span_shape = |of: &SpanAxes| SpanShape {
        span: of.span,
        num_layers: of.num_layers,
        decode_attention: grid(&axes.num_seqs, &of.context_tokens),
        prefill_attention: grid(&axes.chunk_tokens, &of.prefix_tokens),
        verification_attention: axes.num_rows.map(|_| grid(&axes.num_seqs, &of.context_tokens)),
    };
    let mut design = Design {
        non_attention: CurveShape { axis: axes.num_tokens.clone() },
        head: CurveShape { axis: axes.num_sampled_rows.clone() },
        decode_attention: grid(&axes.num_seqs, &axes.context_tokens),
        prefill_attention: grid(&axes.chunk_tokens, &axes.prefix_tokens),
        num_full_layers: axes.num_full_layers,
        num_rows: axes.num_rows.unwrap_or(1),
        verification_attention: axes.num_rows.map(|_| grid(&axes.num_seqs, &axes.context_tokens)),
        span_attention: axes.spans.iter().map(span_shape).collect(),
        capture_sizes: capture_sizes.to_vec(),
    };
    // Without a node, its neighbours take part in other observations; that cannot take support from them.
    let support = Support::new(&design, observations).num_samples;
    let offsets = design.offsets();
    let of_table = |table: usize| &support[offsets[table]..offsets[table + 1]];
    cut_curve(&mut design.non_attention, of_table(0));
    cut_curve(&mut design.head, of_table(1));
    cut_grid(&mut design.decode_attention, of_table(2));
    cut_grid(&mut design.prefill_attention, of_table(3));
    let first_verification = design.verification_table(0);
    let verifications = design.span_attention.iter_mut().map(|shape| &mut shape.verification_attention);
    let verifications = std::iter::once(&mut design.verification_attention).chain(verifications);
    for (place, grid) in verifications.enumerate() {
        if let Some(grid) = grid {
            cut_grid(grid, of_table(first_verification + place));
        }
    }
    for (place, shape) in design.span_attention.iter_mut().enumerate() {
        cut_grid(&mut shape.decode_attention, of_table(4 + 2 * place));
        cut_grid(&mut shape.prefill_attention, of_table(5 + 2 * place));
    }
    check_axes(&design)?;
    Ok(design)
}

/// Refuses tables with fewer than two nodes on an axis.
fn check_axes(design: &Design) -> Result<()> {
    let (decode, prefill) = (&design.decode_attention, &design.prefill_attention);
    let mut axes = vec![
        (&design.non_attention.axis, "tokens of a pass"),
        (&design.head.axis, "requests of a pass"),
        (&decode.rows, "decodes"),
        (&decode.columns, "context of decodes"),
        (&prefill.rows, "tokens of a chunk"),
        (&prefill.columns, "prefix of a chunk"),
    ];
    for shape in &design.span_attention {
        let (decode, prefill) = (&shape.decode_attention, &shape.prefill_attention);
        axes.push((&decode.rows, "decodes in layers with a window"));
        axes.push((&decode.columns, "context in layers with a window"));
        axes.push((&prefill.rows, "tokens of a chunk in layers with a window"));
        axes.push((&prefill.columns, "prefix in layers with a window"));
    }
    let of_spans = design.span_attention.iter().filter_map(|shape| shape.verification_attention.as_ref());
    for grid in design.verification_attention.iter().chain(of_spans) {
        axes.push((&grid.rows, "requests that verify drafts"));
        axes.push((&grid.columns, "context of requests that verify drafts"));
    }
    for (axis, name) in axes {
        ensure!(
            axis.len() >= 2,
            "too little was measured for a profile: {} value(s) of {name}, at least 2 are needed. A larger \
             --time-budget goes on from here",
            axis.len()
        );
    }
    Ok(())
}

fn cut_curve(curve: &mut CurveShape, support: &[u32]) {
    let mut support = support.iter();
    curve.axis.retain(|_| support.next().is_some_and(|&count| count > 0));
}

/// Leaves columns out that no row has, then what stands behind a gap in a row, then rows with fewer than two values.
fn cut_grid(grid: &mut GridShape, support: &[u32]) {
    let rows: Vec<&[u32]> = support.chunks(grid.columns.len()).collect();
    // A column whose first row is missing would cut every row.
    let first = rows.iter().position(|row| row.iter().filter(|&&count| count > 0).count() >= 2).unwrap_or(0);
    let is_measured = |column: usize| rows.get(first).is_some_and(|row| row[column] > 0);
    let kept: Vec<usize> = (0..grid.columns.len()).filter(|&column| is_measured(column)).collect();
    let mut cut =
        GridShape { rows: vec![], columns: kept.iter().map(|&c| grid.columns[c]).collect(), row_lens: vec![] };
    let mut longest = kept.len();
    let len = |row: usize| kept.iter().take_while(|&&column| rows[row][column] > 0).count();
    for row in first..rows.len() {
        // A row with a gap would cut the longer ones below it.
        let has_gap = (row + 1..rows.len()).any(|below| len(below) > len(row));
        let len = len(row).min(longest);
        if len >= 2 && !has_gap {
            cut.rows.push(grid.rows[row]);
            cut.row_lens.push(len);
            longest = len;
        }
    }
    *grid = cut;
}
