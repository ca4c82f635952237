//! A fit as the profile's tables.

use sim_core::batch::AttentionSpan;
use sim_core::profile::schema::{
    DecodeAttention, MixedBatch, MixedSample, OverSeqs, OverTokens, PrefillAttention, SpanAttention, SpanKind,
    StepTimeTables, VerificationAttention,
};

use super::super::limits::chunk_pairs;
use super::Fit;
use super::design::{GridShape, SpanShape};
use super::observation::Observation;
use super::support::Support;

/// One table's columns in the file's shape: times, counts, spreads.
type GridColumns = (Vec<Vec<Option<f64>>>, Vec<Vec<u32>>, Vec<Vec<f64>>);

/// The tables. A node's samples and spread are those of the whole passes that the node has a large part in: a term of
/// its own was never seen.
pub(crate) fn tables(fit: &Fit, observations: &[Observation]) -> StepTimeTables {
    let support = Support::new(&fit.design, observations);
    let design = &fit.design;
    let offsets = design.offsets();
    let [non_attention, head] = [offsets[0], offsets[1]];
    let spread = |nodes: std::ops::Range<usize>| support.spread_us[nodes].iter().copied().map(to_nanos).collect();
    let grid = |grid: &GridShape, offset: usize| grid_columns(fit, &support, grid, offset);
    let decode_table = |shape: &GridShape, offset: usize| {
        let (time_us, num_samples, spread_us) = grid(shape, offset);
        let (num_seqs, context_tokens) = (shape.rows.clone(), shape.columns.clone());
        let (num_samples, spread_us) = (Some(num_samples), Some(spread_us));
        DecodeAttention { num_seqs, context_tokens, time_us, num_samples, spread_us }
    };
    let prefill_table = |shape: &GridShape, offset: usize| {
        let (time_us, num_samples, spread_us) = grid(shape, offset);
        let (chunk_tokens, prefix_tokens) = (shape.rows.clone(), shape.columns.clone());
        let (num_samples, spread_us) = (Some(num_samples), Some(spread_us));
        PrefillAttention { chunk_tokens, prefix_tokens, time_us, num_samples, spread_us }
    };
    let verification = |shape: Option<&GridShape>, place: usize| -> Vec<VerificationAttention> {
        let table = shape.map(|shape| {
            let DecodeAttention { num_seqs, context_tokens, time_us, num_samples, spread_us } =
                decode_table(shape, offsets[design.verification_table(place)]);
            let num_rows = design.num_rows;
            VerificationAttention { num_rows, num_seqs, context_tokens, time_us, num_samples, spread_us }
        });
        table.into_iter().collect()
    };
    let span_table = |(place, shape): (usize, &SpanShape)| {
        let (kind, num_tokens) = match shape.span {
            AttentionSpan::Window(window) => (SpanKind::SlidingWindow, window),
            AttentionSpan::Chunk(chunk) => (SpanKind::ChunkedLocalAttention, chunk),
        };
        SpanAttention {
            kind,
            num_tokens,
            decode_attention: decode_table(&shape.decode_attention, offsets[4 + 2 * place]),
            prefill_attention: prefill_table(&shape.prefill_attention, offsets[5 + 2 * place]),
            verification_attention: verification(shape.verification_attention.as_ref(), 1 + place),
        }
    };
    let head_end = head + design.head.axis.len();
    StepTimeTables {
        non_attention: OverTokens {
            num_tokens: design.non_attention.axis.clone(),
            time_us: fit.values[non_attention..head].to_vec(),
            num_samples: Some(support.num_samples[non_attention..head].iter().map(|&count| count.max(1)).collect()),
            spread_us: Some(spread(non_attention..head)),
        },
        head: OverSeqs {
            num_seqs: design.head.axis.clone(),
            time_us: fit.values[head..head_end].to_vec(),
            num_samples: Some(support.num_samples[head..head_end].iter().map(|&count| count.max(1)).collect()),
            spread_us: Some(spread(head..head_end)),
        },
        decode_attention: decode_table(&design.decode_attention, offsets[2]),
        prefill_attention: prefill_table(&design.prefill_attention, offsets[3]),
        verification_attention: verification(design.verification_attention.as_ref(), 0),
        span_attention: design.span_attention.iter().enumerate().map(span_table).collect(),
        mixed_batch: mixed_batch(fit, observations),
    }
}

fn to_nanos(time_us: f64) -> f64 {
    (time_us * 1e3).round() / 1e3
}

fn grid_columns(fit: &Fit, support: &Support, grid: &GridShape, offset: usize) -> GridColumns {
    let width = grid.columns.len();
    let (mut times, mut counts, mut spreads) = (vec![], vec![], vec![]);
    for (row, &len) in grid.row_lens.iter().enumerate() {
        let nodes = offset + row * width..offset + (row + 1) * width;
        times.push(nodes.clone().enumerate().map(|(c, node)| (c < len).then(|| fit.values[node])).collect());
        let count = |(c, node): (usize, usize)| if c < len { support.num_samples[node].max(1) } else { 0 };
        counts.push(nodes.clone().enumerate().map(count).collect());
        spreads.push(nodes.map(|node| to_nanos(support.spread_us[node])).collect());
    }
    (times, counts, spreads)
}

fn mixed_batch(fit: &Fit, observations: &[Observation]) -> Option<MixedBatch> {
    let sample = |observation: &Observation| MixedSample {
        prefill_chunks: chunk_pairs(&observation.batch),
        num_decodes: observation.batch.num_decodes,
        decode_context_tokens: observation.batch.decode_context_tokens,
        time_us: to_nanos(observation.time.median),
        num_samples: u32::try_from(observation.time.num_samples).unwrap_or(u32::MAX),
        spread_us: to_nanos(observation.time.spread),
    };
    let mixed = observations.iter().filter(|observation| observation.is_mixed());
    let read = mixed.filter(|observation| fit.design.terms(observation).is_some());
    Some(MixedBatch { decode_term_factor: fit.decode_term_factor?, samples: read.map(sample).collect() })
}
