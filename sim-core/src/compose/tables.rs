//! The profile's step tables, summed over operators and layers.
//!
//! Points stand only where every operator was measured, so that a reading beyond them is marked extrapolated.

use alloc::vec::Vec;

use super::attention::{Attention, Kind};
use super::error::ComposeError;
use super::layers::{Layers, Parts, missing};
use super::mixed;
use crate::batch::AttentionSpan;
use crate::math;
use crate::profile::schema::{
    DecodeAttention, OverSeqs, OverTokens, PrefillAttention, SpanAttention, SpanKind, StepTimeTables,
    VerificationAttention,
};

/// Tokens of a pass.
const TOKENS: [u32; 33] = [
    1, 2, 4, 8, 16, 24, 32, 48, 64, 80, 96, 112, 128, 160, 192, 224, 256, 384, 512, 768, 1024, 1280, 1536, 2048, 2560,
    3072, 4096, 6144, 8192, 12288, 16384, 24576, 32768,
];
/// Rows of logits.
const ROWS: [u32; 14] = [1, 2, 4, 8, 16, 32, 64, 96, 128, 192, 256, 512, 1024, 2048];
/// New tokens of a prompt part.
const CHUNKS: [u32; 16] = [16, 32, 64, 128, 256, 512, 1024, 1536, 2048, 3072, 4096, 6144, 8192, 12288, 15360, 16384];
/// Earlier tokens of it.
const PREFIXES: [u32; 8] = [0, 512, 1024, 2048, 4096, 8192, 12288, 15360];

/// The tables of a model.
///
/// # Errors
/// [`ComposeError::Operator`] if its operators were measured at no two common points.
pub(super) fn tables(
    layers: &Layers,
    attention: &Attention,
    parts: &Parts<'_>,
) -> Result<StepTimeTables, ComposeError> {
    let full = &attention.full;
    let mut spans = Vec::with_capacity(attention.spans.len());
    for (span, kind) in &attention.spans {
        let (span_kind, num_tokens) = match *span {
            AttentionSpan::Window(tokens) => (SpanKind::SlidingWindow, tokens),
            AttentionSpan::Chunk(tokens) => (SpanKind::ChunkedLocalAttention, tokens),
        };
        spans.push(SpanAttention {
            kind: span_kind,
            num_tokens,
            decode_attention: decode_attention(kind, parts)?,
            prefill_attention: prefill_attention(kind, Some(num_tokens), parts)?,
            verification_attention: verifications(kind, parts)?,
        });
    }
    Ok(StepTimeTables {
        non_attention: non_attention(layers, parts)?,
        head: head(layers, parts)?,
        decode_attention: if full.is_empty() { nothing_decoded() } else { decode_attention(full, parts)? },
        prefill_attention: if full.is_empty() { nothing_prefilled() } else { prefill_attention(full, None, parts)? },
        verification_attention: if full.is_empty() { Vec::new() } else { verifications(full, parts)? },
        span_attention: spans,
        mixed_batch: mixed::mixed_batch(&attention.kernels, attention.query_heads_per_key_head),
    })
}

fn non_attention(layers: &Layers, parts: &Parts<'_>) -> Result<OverTokens, ComposeError> {
    let num_tokens: Vec<u32> = TOKENS.into_iter().filter(|&tokens| layers.encloses(tokens)).collect();
    if num_tokens.len() < 2 {
        return Err(missing(parts.pack, "products, experts and collectives of common sizes"));
    }
    let time_us = rising(num_tokens.iter().map(|&tokens| layers.at(tokens, &parts.pack.gpu)));
    Ok(OverTokens { num_tokens, time_us, num_samples: None, spread_us: None })
}

fn head(layers: &Layers, parts: &Parts<'_>) -> Result<OverSeqs, ComposeError> {
    let series = &layers.head;
    let num_seqs: Vec<u32> = ROWS.into_iter().filter(|&rows| series.encloses(math::u32_to_f64(rows))).collect();
    if num_seqs.len() < 2 {
        return Err(missing(parts.pack, "logits"));
    }
    let time_us = rising(num_seqs.iter().map(|&rows| series.at(math::u32_to_f64(rows))));
    Ok(OverSeqs { num_seqs, time_us, num_samples: None, spread_us: None })
}

fn decode_attention(kind: &Kind, parts: &Parts<'_>) -> Result<DecodeAttention, ComposeError> {
    grid_of(kind, parts, |requests, context| kind.decode_us(requests, context))
}

fn grid_of(
    kind: &Kind,
    parts: &Parts<'_>,
    time_us: impl Fn(u32, u32) -> Option<f64>,
) -> Result<DecodeAttention, ComposeError> {
    let (mut num_seqs, context_tokens) = kind.axes();
    let rows: Vec<Vec<f64>> = num_seqs
        .iter()
        .map(|&requests| context_tokens.iter().map_while(|&context| time_us(requests, context)).collect())
        .collect();
    let rows = rising_rows(rows);
    num_seqs.truncate(rows.len());
    let num_columns = rows.first().map_or(0, Vec::len);
    if num_seqs.len() < 2 || num_columns < 2 {
        return Err(missing(parts.pack, "decodes' attention"));
    }
    Ok(DecodeAttention {
        num_seqs,
        context_tokens: context_tokens.into_iter().take(num_columns).collect(),
        time_us: padded(rows, num_columns),
        num_samples: None,
        spread_us: None,
    })
}

/// Of requests with 2, and with all the rows that the drafter makes; nothing without one.
fn verifications(kind: &Kind, parts: &Parts<'_>) -> Result<Vec<VerificationAttention>, ComposeError> {
    let Some(drafter) = &parts.setup.drafter else { return Ok(Vec::new()) };
    let most = drafter.num_speculative_tokens.saturating_add(1);
    let mut counts: Vec<u32> = [2, 4, most].into_iter().filter(|&rows| rows <= most).collect();
    counts.sort_unstable();
    counts.dedup();
    let gpu = &parts.pack.gpu;
    let table = |num_rows: u32| {
        let found = grid_of(kind, parts, |requests, context| kind.verification_us(requests, context, num_rows, gpu))?;
        Ok(VerificationAttention {
            num_rows,
            num_seqs: found.num_seqs,
            // A request attends to its own rows, too.
            context_tokens: found.context_tokens.iter().map(|&tokens| tokens.max(num_rows)).collect(),
            time_us: found.time_us,
            num_samples: None,
            spread_us: None,
        })
    };
    let mut tables: Vec<VerificationAttention> = counts.into_iter().map(table).collect::<Result<_, ComposeError>>()?;
    tables.retain(|table| table.context_tokens.windows(2).all(|pair| pair[0] < pair[1]));
    Ok(tables)
}

fn prefill_attention(kind: &Kind, span: Option<u32>, parts: &Parts<'_>) -> Result<PrefillAttention, ComposeError> {
    let longest = kind.longest_prompt();
    // Layers of a span see at most so many earlier tokens.
    let mut prefixes: Vec<u32> =
        PREFIXES.into_iter().filter(|&prefix| span.is_none_or(|span| prefix < span - 1)).collect();
    if let Some(span) = span.filter(|&span| span > 1) {
        prefixes.push(span - 1);
    }
    let (mut chunk_tokens, mut rows) = (Vec::new(), Vec::new());
    for chunk in CHUNKS {
        let fits = |prefix: u32| math::u32_to_f64(chunk) + math::u32_to_f64(prefix) <= longest;
        let row: Vec<f64> =
            prefixes.iter().take_while(|&&prefix| fits(prefix)).map(|&prefix| kind.prefill_us(chunk, prefix)).collect();
        if row.len() < 2 {
            break;
        }
        chunk_tokens.push(chunk);
        rows.push(row);
    }
    let rows = rising_rows(rows);
    chunk_tokens.truncate(rows.len());
    let num_columns = rows.first().map_or(0, Vec::len);
    if chunk_tokens.len() < 2 || num_columns < 2 {
        return Err(missing(parts.pack, "prompts' attention"));
    }
    prefixes.truncate(num_columns);
    Ok(PrefillAttention {
        chunk_tokens,
        prefix_tokens: prefixes,
        time_us: padded(rows, num_columns),
        num_samples: None,
        spread_us: None,
    })
}

/// Of a model whose layers all look at a span.
fn nothing_decoded() -> DecodeAttention {
    DecodeAttention {
        num_seqs: [1, 2].into(),
        context_tokens: [1, 2].into(),
        time_us: alloc::vec![alloc::vec![Some(0.0); 2]; 2],
        num_samples: None,
        spread_us: None,
    }
}

fn nothing_prefilled() -> PrefillAttention {
    PrefillAttention {
        chunk_tokens: [1, 2].into(),
        prefix_tokens: [0, 1].into(),
        time_us: alloc::vec![alloc::vec![Some(0.0); 2]; 2],
        num_samples: None,
        spread_us: None,
    }
}

/// Rounded to hundredths, and none below the one before.
fn rising(times: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut before = 0.0;
    let rise = |time: f64| {
        before = math::max(before, hundredths(time));
        before
    };
    times.map(rise).collect()
}

/// The same along both axes; a row ends no later than the one above, and the first with fewer than two ends the table.
fn rising_rows(rows: Vec<Vec<f64>>) -> Vec<Vec<f64>> {
    let mut risen: Vec<Vec<f64>> = Vec::with_capacity(rows.len());
    for row in rows {
        let above = risen.last();
        let longest = above.map_or(row.len(), Vec::len);
        let mut before = 0.0;
        let mut one = Vec::with_capacity(row.len());
        for (column, time) in row.into_iter().take(longest).enumerate() {
            let higher = above.and_then(|above| above.get(column)).copied().unwrap_or(0.0);
            before = math::max(math::max(before, higher), hundredths(time));
            one.push(before);
        }
        if one.len() < 2 {
            break;
        }
        risen.push(one);
    }
    risen
}

fn hundredths(time_us: f64) -> f64 {
    math::round(time_us * 100.0) / 100.0
}

/// `null` where nothing was measured.
fn padded(rows: Vec<Vec<f64>>, num_columns: usize) -> Vec<Vec<Option<f64>>> {
    let pad = |row: Vec<f64>| {
        let missing = num_columns.saturating_sub(row.len());
        row.into_iter().map(Some).chain(core::iter::repeat_n(None, missing)).collect()
    };
    rows.into_iter().map(pad).collect()
}
