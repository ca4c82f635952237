//! A pass as a sum of table nodes, read as [`sim_core::profile::StepTimeModel`] reads them.
//!
//! Time is straight in the nodes' values, but for a chunk between two nodes, which is blended in the square root: such
//! passes get no row, and the plan's chunks lie on nodes.

use sim_core::batch::AttentionSpan;

use super::observation::Observation;

/// How far beyond a row's last node its last cell is still believed.
const MAX_BEYOND: f64 = 1.05;

/// Ridge of attention's increments, relative to that of `non_attention`.
const ATTENTION_BURDEN: f64 = 100.0;
/// Stands for no layers at all: what attention takes is then that of the others.
const NO_LAYERS: f64 = 1e-6;

/// One axis and the values over it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CurveShape {
    /// The nodes.
    pub(crate) axis: Vec<u32>,
}

/// Two axes, and how many values each row has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct GridShape {
    /// One row each.
    pub(crate) rows: Vec<u32>,
    /// One column each.
    pub(crate) columns: Vec<u32>,
    /// Values of each row; not growing.
    pub(crate) row_lens: Vec<usize>,
}

/// The shapes of the tables of layers with a span.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SpanShape {
    /// What limits the tokens they look at.
    pub(crate) span: AttentionSpan,
    /// How many layers: what cannot be told apart is divided by their numbers.
    pub(crate) num_layers: u32,
    pub(crate) decode_attention: GridShape,
    pub(crate) prefill_attention: GridShape,
    /// Of the requests that verify drafts.
    pub(crate) verification_attention: Option<GridShape>,
}

/// The shapes of all tables. A node's number counts through `non_attention`, `head`, `decode_attention` and
/// `prefill_attention`, then the two of each span, then those of verifications, grids row by row
/// with all columns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Design {
    pub(crate) non_attention: CurveShape,
    pub(crate) head: CurveShape,
    pub(crate) decode_attention: GridShape,
    pub(crate) prefill_attention: GridShape,
    /// Layers that look at all tokens; of no interest without spans.
    pub(crate) num_full_layers: u32,
    pub(crate) span_attention: Vec<SpanShape>,
    /// Rows of a verification; 1 without.
    pub(crate) num_rows: u32,
    /// Of the requests that verify drafts, in layers that look at all tokens.
    pub(crate) verification_attention: Option<GridShape>,
    /// CUDA-graph sizes, ascending.
    pub(crate) capture_sizes: Vec<u32>,
}

/// Nodes and how often each is in the sum.
pub(crate) type Terms = Vec<(usize, f64)>;

/// The terms of one pass.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct PassTerms {
    /// Non-attention and head.
    pub(crate) base: Terms,
    /// Attention of the decodes.
    pub(crate) decode: Terms,
    /// Attention of the prompt parts.
    pub(crate) prefill: Terms,
}

impl CurveShape {
    /// The nodes around a count; `None` beyond the last.
    fn at(&self, count: u32) -> Option<Terms> {
        let x = f64::from(count);
        (count <= *self.axis.last()?).then(|| around(&self.axis, x).to_vec())
    }
}

/// The two nodes around `x` on the axis, the last cell going on.
fn around(axis: &[u32], x: f64) -> [(usize, f64); 2] {
    let last_cell = axis.len().saturating_sub(2);
    let cell = axis.partition_point(|&node| f64::from(node) <= x).saturating_sub(1).min(last_cell);
    let Some(&next) = axis.get(cell + 1) else {
        return [(cell, 1.0), (cell, 0.0)];
    };
    let start = f64::from(axis[cell]);
    let weight = ((x - start) / (f64::from(next) - start)).max(0.0);
    [(cell, 1.0 - weight), (cell + 1, weight)]
}

impl GridShape {
    /// A row's nodes around a column; `None` if the row ends before.
    fn along(&self, row: usize, column: f64) -> Option<Terms> {
        let len = self.row_lens[row];
        let columns = self.columns.get(..len)?;
        let is_within = column <= f64::from(*columns.last()?) * MAX_BEYOND;
        let nodes = is_within.then(|| around(columns, column))?;
        Some(nodes.map(|(at, weight)| (row * self.columns.len() + at, weight)).to_vec())
    }

    /// The nodes around a count of decodes and their mean context.
    fn at(&self, count: u32, column: f64) -> Option<Terms> {
        let mut terms = vec![];
        if count > *self.rows.last()? {
            return None;
        }
        for (row, row_weight) in around(&self.rows, f64::from(count)) {
            if row_weight > 0.0 {
                terms.extend(self.along(row, column)?.into_iter().map(|(node, weight)| (node, row_weight * weight)));
            }
        }
        Some(terms)
    }

    /// The nodes of a chunk on the axis, or below it, where the first row holds.
    fn on_row(&self, chunk: u32, prefix: f64) -> Option<Terms> {
        self.along(self.rows.binary_search(&chunk.max(*self.rows.first()?)).ok()?, prefix)
    }

    fn num_nodes(&self) -> usize {
        self.rows.len() * self.columns.len()
    }
}

impl Design {
    /// The tables of attention, of decodes and of prompt parts in turn: of the layers that look at everything, then of
    /// each span.
    fn grids(&self) -> impl Iterator<Item = &GridShape> {
        let of_spans = self.span_attention.iter().flat_map(|shape| [&shape.decode_attention, &shape.prefill_attention]);
        let verifications = self.verifications().flatten();
        [&self.decode_attention, &self.prefill_attention].into_iter().chain(of_spans).chain(verifications)
    }

    /// The tables of verifications, of the layers that look at everything and of each span.
    fn verifications(&self) -> impl Iterator<Item = Option<&GridShape>> {
        let of_spans = self.span_attention.iter().map(|shape| shape.verification_attention.as_ref());
        std::iter::once(self.verification_attention.as_ref()).chain(of_spans)
    }

    /// The number of the table of verifications at `place`: 0 for the layers that look at everything, then each span.
    pub(crate) fn verification_table(&self, place: usize) -> usize {
        4 + 2 * self.span_attention.len() + place
    }

    /// Where each table's nodes begin, and the number of all.
    pub(crate) fn offsets(&self) -> Vec<usize> {
        let curves = [self.non_attention.axis.len(), self.head.axis.len()];
        let mut offsets = vec![0];
        for len in curves.into_iter().chain(self.grids().map(GridShape::num_nodes)) {
            offsets.push(offsets[offsets.len() - 1] + len);
        }
        offsets
    }

    /// For each table how heavily its increments weigh (ridge regression). What is the same in every pass could stand in
    /// any table: it is to stand in the one that every pass reads. What layers of several spans do alike, as long as they
    /// look at the same tokens, is divided by their numbers.
    pub(crate) fn burdens(&self) -> Vec<f64> {
        let of_spans = self.span_attention.iter().map(|shape| shape.num_layers);
        let num_layers = f64::from(self.num_full_layers + of_spans.clone().sum::<u32>());
        let attention = |count: u32| ATTENTION_BURDEN * num_layers / f64::from(count).max(NO_LAYERS);
        let attention = std::iter::once(self.num_full_layers).chain(of_spans).map(attention);
        let verifications = attention.clone().filter(|_| self.verification_attention.is_some());
        let attention = attention.flat_map(|burden| [burden, burden]).chain(verifications);
        [1.0, 10.0].into_iter().chain(attention).collect()
    }

    /// The terms of a pass; `None` if it lies where the tables say nothing that is straight.
    pub(crate) fn terms(&self, observation: &Observation) -> Option<PassTerms> {
        let batch = &observation.batch;
        let offsets = self.offsets();
        let from = |offset: usize, terms: Terms| terms.into_iter().map(move |(node, weight)| (offset + node, weight));
        let mut terms =
            PassTerms { base: self.non_attention.at(self.padded(batch.num_tokens()))?, ..Default::default() };
        terms.base.extend(from(offsets[1], self.head.at(batch.num_reqs() + batch.num_draft_tokens())?));
        let spans = self.span_attention.iter().zip(&observation.mean_span_contexts);
        let of_spans = spans
            .map(|(shape, &context)| (Some(shape.span), &shape.decode_attention, &shape.prefill_attention, context));
        let full = (None, &self.decode_attention, &self.prefill_attention, observation.mean_context);
        for (place, (span, decode, prefill, context)) in std::iter::once(full).chain(of_spans).enumerate() {
            let [decode_offset, prefill_offset] = [offsets[2 + 2 * place], offsets[3 + 2 * place]];
            if batch.num_draft_tokens() > 0 {
                let is_uniform = batch.num_draft_tokens() == batch.num_decodes * (self.num_rows - 1);
                let grid = self.verifications().nth(place).flatten().filter(|_| is_uniform)?;
                let around = grid.at(batch.num_decodes, context)?;
                terms.decode.extend(from(offsets[self.verification_table(place)], around));
            } else if batch.num_decodes > 0 {
                terms.decode.extend(from(decode_offset, decode.at(batch.num_decodes, context)?));
            }
            for (index, chunk) in batch.prefill_chunks.iter().enumerate() {
                let computed = chunk.num_computed_tokens;
                let earlier = span.map_or(computed, |span: AttentionSpan| span.num_earlier_tokens(computed));
                terms.prefill.extend(from(prefill_offset, prefill.on_row(chunk.num_tokens, f64::from(earlier))?));
                if index > 0 {
                    // One launch serves all.
                    terms.prefill.push((prefill_offset, -1.0));
                }
            }
        }
        Some(terms)
    }

    fn padded(&self, num_tokens: u32) -> u32 {
        self.capture_sizes.iter().copied().find(|&size| size >= num_tokens).unwrap_or(num_tokens)
    }

    /// For each node the nodes up to it: a table's value is the sum of all increments up to it along its axes, and none
    /// of them is negative.
    pub(crate) fn increments(&self) -> Vec<Vec<usize>> {
        let offsets = self.offsets();
        let mut up_to: Vec<Vec<usize>> = vec![];
        for (&offset, curve) in offsets.iter().zip([&self.non_attention, &self.head]) {
            up_to.extend((0..curve.axis.len()).map(|last| (offset..=offset + last).collect()));
        }
        for grid in self.grids() {
            let (offset, width) = (up_to.len(), grid.columns.len());
            for (row, column) in (0..grid.num_nodes()).map(|node| (node / width, node % width)) {
                let all = (0..=row).flat_map(|r| (0..=column).map(move |c| offset + r * width + c));
                up_to.push(all.collect());
            }
        }
        up_to
    }
}

/// The sum of the terms for these values.
pub(crate) fn sum(terms: &Terms, values: &[f64]) -> f64 {
    terms.iter().map(|&(node, weight)| weight * values[node]).sum()
}
