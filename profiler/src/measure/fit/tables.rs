//! A fit as the profile's tables.

use sim_core::profile::schema::{
    DecodeAttention, MixedBatch, MixedSample, OverSeqs, OverTokens, PrefillAttention, StepTimeTables,
};

use super::super::limits::chunk_pairs;
use super::Fit;
use super::design::GridShape;
use super::observation::Observation;
use super::support::Support;

/// One table's columns in the file's shape: times, counts, spreads.
type GridColumns = (Vec<Vec<Option<f64>>>, Vec<Vec<u32>>, Vec<Vec<f64>>);

/// The tables. A node's samples and spread are those of the whole passes that the node has a large part in: a term of
/// its own was never seen.
pub(crate) fn tables(fit: &Fit, observations: &[Observation]) -> StepTimeTables {
    let support = Support::new(&fit.design, observations);
    let design = &fit.design;
    let [non_attention, head, decode, prefill, _] = design.offsets();
    let spread = |nodes: std::ops::Range<usize>| support.spread_us[nodes].iter().copied().map(to_nanos).collect();
    let grid = |grid: &GridShape, offset: usize| grid_columns(fit, &support, grid, offset);
    let decode = grid(&design.decode_attention, decode);
    let prefill = grid(&design.prefill_attention, prefill);
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
        decode_attention: DecodeAttention {
            num_seqs: design.decode_attention.rows.clone(),
            context_tokens: design.decode_attention.columns.clone(),
            time_us: decode.0,
            num_samples: Some(decode.1),
            spread_us: Some(decode.2),
        },
        prefill_attention: PrefillAttention {
            chunk_tokens: design.prefill_attention.rows.clone(),
            prefix_tokens: design.prefill_attention.columns.clone(),
            time_us: prefill.0,
            num_samples: Some(prefill.1),
            spread_us: Some(prefill.2),
        },
        verification_attention: vec![],
        span_attention: vec![],
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
