//! The profile's step tables, summed over operators and layers.
//!
//! Points stand only where every operator was measured, so that a reading beyond them is marked extrapolated.

use anyhow::{Result, ensure};
use sim_core::profile::schema::{DecodeAttention, OverSeqs, OverTokens, PrefillAttention, Smoothing, StepTimeTables};

use super::super::gpus::Gpu;
use super::super::smooth;
use super::attention::Attention;
use super::layer::Layer;
use super::{cold, noise};

/// Tokens of a pass.
const TOKENS: [u32; 31] = [
    1, 2, 4, 8, 16, 24, 32, 48, 64, 80, 96, 112, 128, 160, 192, 224, 256, 384, 512, 768, 1024, 1280, 1536, 2048, 2560,
    3072, 4096, 6144, 8192, 12288, 16384,
];
/// Rows of logits.
const ROWS: [u32; 14] = [1, 2, 4, 8, 16, 32, 64, 96, 128, 192, 256, 512, 1024, 2048];
/// New tokens of a prompt part.
const CHUNKS: [u32; 15] = [16, 32, 64, 128, 256, 512, 1024, 1536, 2048, 3072, 4096, 6144, 8192, 12288, 15360];
/// Earlier tokens of it.
const PREFIXES: [u32; 8] = [0, 512, 1024, 2048, 4096, 8192, 12288, 15360];

const OPERATORS: &str = "Each operator made non-decreasing over the tokens of the pass, as more work cannot take less: \
                         isotonic regression of the logarithm; then summed.";
const BOUND: &str = "Raised to a lower bound where the source's formula for earlier tokens is below it: the measured \
                     time without earlier tokens, and the attention of one decode over as many tokens.";

/// The tables of a model, and what was changed in them.
///
/// # Errors
/// If a table has less than two points, or its data are refused.
pub(super) fn compose(
    layer: &Layer,
    attention: &Attention,
    num_layers: u32,
    gpu: &Gpu,
) -> Result<(StepTimeTables, Vec<Smoothing>)> {
    let mut smoothing = Vec::new();
    let num_layers = f64::from(num_layers);
    let tables = StepTimeTables {
        non_attention: non_attention(layer, gpu, &mut smoothing)?,
        head: head(layer, &mut smoothing)?,
        decode_attention: decode_attention(attention, num_layers, &mut smoothing)?,
        prefill_attention: prefill_attention(attention, num_layers, gpu, &mut smoothing)?,
        verification_attention: Vec::new(),
        span_attention: Vec::new(),
        mixed_batch: attention.mixed_batch(),
    };
    Ok((tables, smoothing))
}

fn non_attention(layer: &Layer, gpu: &Gpu, smoothing: &mut Vec<Smoothing>) -> Result<OverTokens> {
    let num_tokens: Vec<u32> = TOKENS.into_iter().filter(|&tokens| layer.encloses(tokens)).collect();
    ensure!(num_tokens.len() >= 2, "the operators were measured at no two common numbers of tokens");
    let sums: Vec<_> = num_tokens.iter().map(|&tokens| layer.at(tokens, gpu)).collect();
    noise::check(sums.iter().map(|sum| (sum.raw_us, sum.smooth_us)), |index| {
        let (label, change) = layer.most_changed(num_tokens[index]).unwrap_or(("no operator", 0.0));
        format!("pass of {} tokens without attention, mostly by {label} ({:+.0} %)", num_tokens[index], 100.0 * change)
    })?;
    let raw: Vec<f64> = sums.iter().map(|sum| sum.raw_us).collect();
    let smooth: Vec<f64> = sums.iter().map(|sum| sum.smooth_us).collect();
    let (time_us, _) = smooth::curve("non_attention", &smooth);
    smoothing.push(smooth::record("non_attention", OPERATORS, &[raw], std::slice::from_ref(&time_us)));
    Ok(OverTokens { num_tokens, time_us, num_samples: None, spread_us: None })
}

fn head(layer: &Layer, smoothing: &mut Vec<Smoothing>) -> Result<OverSeqs> {
    let series = &layer.head;
    let num_seqs: Vec<u32> = ROWS.into_iter().filter(|&rows| series.encloses(f64::from(rows))).collect();
    ensure!(num_seqs.len() >= 2, "{}: measured at no two numbers of rows", series.label);
    let pairs: Vec<(f64, f64)> =
        num_seqs.iter().map(|&rows| (series.raw_at(f64::from(rows)), series.smooth_at(f64::from(rows)))).collect();
    noise::check(pairs.iter().copied(), |index| format!("{} m={}", series.label, num_seqs[index]))?;
    let raw: Vec<f64> = pairs.iter().map(|pair| pair.0).collect();
    let smooth: Vec<f64> = pairs.iter().map(|pair| pair.1).collect();
    let (time_us, _) = smooth::curve("head", &smooth);
    smoothing.push(smooth::record("head", OPERATORS, &[raw], std::slice::from_ref(&time_us)));
    Ok(OverSeqs { num_seqs, time_us, num_samples: None, spread_us: None })
}

fn decode_attention(attention: &Attention, num_layers: f64, smoothing: &mut Vec<Smoothing>) -> Result<DecodeAttention> {
    let of_layers = |rows: &[Vec<f64>]| -> Vec<Vec<f64>> {
        rows.iter().map(|row| row.iter().map(|time| time * num_layers).collect()).collect()
    };
    let (measured, raised) = (of_layers(&attention.measured_decode_us), of_layers(&attention.decode_us));
    let (rows, record) = smooth::grid("decode_attention", &raised);
    let axes = [&attention.num_seqs[..], &attention.context_tokens];
    check_grid("generation_attention_perf", attention, axes, &raised, &rows)?;
    if raised != measured {
        smoothing.push(smooth::record("decode_attention", cold::METHOD, &measured, &raised));
    }
    smoothing.push(record);
    let num_columns = rows.first().map_or(0, Vec::len);
    Ok(DecodeAttention {
        num_seqs: attention.num_seqs.clone(),
        context_tokens: attention.context_tokens.iter().copied().take(num_columns).collect(),
        time_us: padded(rows, num_columns),
        num_samples: None,
        spread_us: None,
    })
}

fn prefill_attention(
    attention: &Attention,
    num_layers: f64,
    gpu: &Gpu,
    smoothing: &mut Vec<Smoothing>,
) -> Result<PrefillAttention> {
    let longest = attention.longest_prompt();
    let mut chunk_tokens = Vec::new();
    let (mut formula, mut lifted): (Vec<Vec<f64>>, Vec<Vec<f64>>) = (vec![], vec![]);
    for chunk in CHUNKS {
        let all = |prefix: u32| f64::from(chunk) + f64::from(prefix);
        let prefixes: Vec<u32> = PREFIXES.into_iter().take_while(|&prefix| all(prefix) <= longest).collect();
        if prefixes.len() < 2 {
            break;
        }
        chunk_tokens.push(chunk);
        let row: Vec<f64> =
            prefixes.iter().map(|&prefix| num_layers * attention.prefill_us(chunk, prefix, gpu)).collect();
        // A part reads the keys and values of all earlier tokens, as one decode with that context does.
        let bound = |prefix: u32| (num_layers * attention.one_decode_us(all(prefix))).max(row[0]);
        let lift = |(&time, &prefix): (&f64, &u32)| if prefix == 0 { time } else { time.max(bound(prefix)) };
        lifted.push(row.iter().zip(&prefixes).map(lift).collect());
        formula.push(row);
    }
    ensure!(chunk_tokens.len() >= 2, "context_attention_perf: {}: too few prompts were measured", attention.label);
    let (rows, record) = smooth::grid("prefill_attention", &lifted);
    check_grid("context_attention_perf", attention, [&chunk_tokens, &PREFIXES], &lifted, &rows)?;
    smoothing.push(smooth::record("prefill_attention", BOUND, &formula, &lifted));
    smoothing.push(record);
    let num_columns = rows.first().map_or(0, Vec::len);
    Ok(PrefillAttention {
        chunk_tokens,
        prefix_tokens: PREFIXES[..num_columns].to_vec(),
        time_us: padded(rows, num_columns),
        num_samples: None,
        spread_us: None,
    })
}

fn check_grid(
    table: &str,
    attention: &Attention,
    axes: [&[u32]; 2],
    before: &[Vec<f64>],
    after: &[Vec<f64>],
) -> Result<()> {
    let places: Vec<(usize, usize)> =
        before.iter().enumerate().flat_map(|(row, times)| (0..times.len()).map(move |column| (row, column))).collect();
    let pairs = before.iter().flatten().copied().zip(after.iter().flatten().copied());
    noise::check(pairs, |index| {
        let (row, column) = places[index];
        let names = if table.starts_with("generation") { ["requests", "context"] } else { ["new tokens", "earlier"] };
        format!("{table} {}, {} {}, {} {}", attention.label, axes[0][row], names[0], axes[1][column], names[1])
    })
}

/// `null` where nothing was measured.
fn padded(rows: Vec<Vec<f64>>, num_columns: usize) -> Vec<Vec<Option<f64>>> {
    let pad = |row: Vec<f64>| {
        let missing = num_columns.saturating_sub(row.len());
        row.into_iter().map(Some).chain(std::iter::repeat_n(None, missing)).collect()
    };
    rows.into_iter().map(pad).collect()
}
