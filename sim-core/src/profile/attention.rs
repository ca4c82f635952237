//! The attention of a pass: one set of tables for the layers that look at all tokens, one for each shorter span.
//!
//! Decodes and prompt parts are read from tables of their own. Requests that verify drafts read their context once for
//! all their rows: they lie between the tables of fewer and of more rows.

use alloc::format;
use alloc::vec::Vec;

use super::error::ProfileError;
use super::interpolate::{Blend, Reading, Row};
use super::schema::{
    DecodeAttention, PrefillAttention, SpanAttention, SpanKind, StepTimeTables, VerificationAttention,
};
use super::table::Grid;
use crate::batch::{AttentionSpan, BatchComposition};
use crate::math;

/// Tables of the layers that look at the same tokens.
#[derive(Debug, Clone)]
pub(super) struct AttentionTables {
    /// Where the layers' rows stop looking; `None` for those that look at everything.
    span: Option<AttentionSpan>,
    decode: Grid,
    prefill: Grid,
    /// By rows of a request, ascending.
    verification: Vec<(u32, Grid)>,
    /// Attention of the shortest part: what a launch costs however little it computes.
    prefill_launch_us: f64,
}

/// The decodes of a pass, as one kind of layers sees them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Decodes {
    num_decodes: u32,
    /// Tokens that each looks at, in the mean.
    mean_context: f64,
    /// Rows of each, in the mean; 1 without drafts.
    mean_rows: f64,
}

/// Decodes without drafts of a pass of so many.
#[derive(Debug, Clone)]
pub(super) struct DecodeRow<'a> {
    row: Row<'a>,
    num_decodes: f64,
}

impl DecodeRow<'_> {
    /// Attention of the decodes, which look at `attended` tokens together.
    #[inline]
    pub(super) fn at(&mut self, attended: u64) -> Reading {
        self.row.at(math::u64_to_f64(attended) / self.num_decodes)
    }
}

impl AttentionTables {
    /// All that the layers of a model with `spans` need. Without drafts (`verifies` is false) no table of verifications
    /// is asked for.
    ///
    /// # Errors
    /// [`ProfileError::Settings`] if the profile has no table of a span, or none of verifications.
    pub(super) fn all(
        tables: &StepTimeTables,
        spans: &[AttentionSpan],
        verifies: bool,
    ) -> Result<Vec<Self>, ProfileError> {
        let (decode, prefill) = (&tables.decode_attention, &tables.prefill_attention);
        let mut all = Vec::with_capacity(1 + spans.len());
        all.push(Self::new(None, decode, prefill, &tables.verification_attention));
        for &span in spans {
            let table = tables.span_attention.iter().find(|table| is_of(table, span)).ok_or_else(|| missing(span))?;
            let verification = &table.verification_attention;
            all.push(Self::new(Some(span), &table.decode_attention, &table.prefill_attention, verification));
        }
        match all.iter().find(|tables| verifies && tables.verification.is_empty()) {
            None => Ok(all),
            Some(lacking) => {
                let of = lacking.span.map_or_else(alloc::string::String::new, |span| format!(" of {}", describe(span)));
                let message = format!(
                    "the profile has no times of passes that verify drafts{of}, so speculative decoding cannot be \
                     simulated with it: measure it with `profiler profile … -- --speculative-config …`"
                );
                Err(ProfileError::Settings { setting: "step_time.verification_attention", message })
            }
        }
    }

    fn new(
        span: Option<AttentionSpan>,
        decode: &DecodeAttention,
        prefill: &PrefillAttention,
        verification: &[VerificationAttention],
    ) -> Self {
        // KV bytes read grow in proportion to requests and to context.
        let over_contexts = |num_seqs: &[u32], contexts: &[u32], times: &[Vec<Option<f64>>]| {
            Grid::new(num_seqs, contexts, times, Blend::Linear)
        };
        let prefill = Grid::new(
            &prefill.chunk_tokens,
            &prefill.prefix_tokens,
            &prefill.time_us,
            // Work grows with the square of the new tokens, and in proportion to the earlier ones.
            Blend::SquareRoot,
        );
        let rows = |table: &VerificationAttention| {
            (table.num_rows, over_contexts(&table.num_seqs, &table.context_tokens, &table.time_us))
        };
        Self {
            span,
            decode: over_contexts(&decode.num_seqs, &decode.context_tokens, &decode.time_us),
            prefill_launch_us: prefill.at(0, 0.0).value_us,
            prefill,
            verification: verification.iter().map(rows).collect(),
        }
    }

    /// The decodes of `batch` as these layers see them. Layers of the model's spans come in the batch's order.
    pub(super) fn decodes(&self, batch: &BatchComposition) -> Decodes {
        let attended = match self.span {
            None => batch.decode_context_tokens,
            Some(span) => batch.spans().iter().find(|(of, _)| *of == span).map_or(0, |(_, attended)| *attended),
        };
        let num_decodes = math::u32_to_f64(batch.num_decodes);
        Decodes {
            num_decodes: batch.num_decodes,
            mean_context: math::u64_to_f64(attended) / num_decodes,
            mean_rows: if batch.num_draft_tokens() == 0 {
                1.0
            } else {
                1.0 + math::u32_to_f64(batch.num_draft_tokens()) / num_decodes
            },
        }
    }

    /// The decodes of passes of `num_decodes`, without drafts.
    pub(super) fn decode_row(&self, num_decodes: u32) -> DecodeRow<'_> {
        DecodeRow { row: self.decode.row(num_decodes), num_decodes: math::u32_to_f64(num_decodes) }
    }

    /// Attention of decodes, between the tables of fewer and of more rows.
    pub(super) fn of_decodes(&self, decodes: Decodes) -> Reading {
        let Decodes { num_decodes, mean_context, mean_rows } = decodes;
        if mean_rows <= 1.0 {
            return self.decode.at(num_decodes, mean_context);
        }
        let mut below = (1.0, &self.decode);
        for (num_rows, grid) in &self.verification {
            let num_rows = math::u32_to_f64(*num_rows);
            if num_rows >= mean_rows {
                let (less, more) = (below.1.at(num_decodes, mean_context), grid.at(num_decodes, mean_context));
                let weight = (mean_rows - below.0) / (num_rows - below.0);
                // More rows never take less.
                let more_us = math::max(less.value_us, more.value_us);
                return Reading {
                    value_us: less.value_us + weight * (more_us - less.value_us),
                    on_sample: weight >= 1.0 && more.on_sample,
                    outside: more.outside || (weight < 1.0 && less.outside),
                };
            }
            below = (num_rows, grid);
        }
        // Beyond the most rows that were measured: as much more as there are more rows.
        let most = below.1.at(num_decodes, mean_context);
        Reading { value_us: most.value_us * mean_rows / below.0, on_sample: false, outside: true }
    }

    /// Attention of each of the prompt parts in turn.
    ///
    /// A part was measured alone, so its time holds the launch of one kernel per layer. One launch serves a whole pass:
    /// all parts but one are counted without it. What remains adds up, as the parts compete for the same units.
    pub(super) fn for_each_part(&self, batch: &BatchComposition, mut add: impl FnMut(Reading)) {
        let mut launch_us = 0.0;
        for chunk in &batch.prefill_chunks {
            let earlier = match self.span {
                None => chunk.num_computed_tokens,
                Some(span) => span.num_earlier_tokens(chunk.num_computed_tokens),
            };
            let mut term = self.prefill.at(chunk.num_tokens, math::u32_to_f64(earlier));
            term.value_us = math::max(0.0, term.value_us - launch_us);
            add(term);
            launch_us = self.prefill_launch_us;
        }
    }
}

fn is_of(table: &SpanAttention, span: AttentionSpan) -> bool {
    match span {
        AttentionSpan::Window(window) => table.kind == SpanKind::SlidingWindow && table.num_tokens == window,
        AttentionSpan::Chunk(chunk) => table.kind == SpanKind::ChunkedLocalAttention && table.num_tokens == chunk,
    }
}

fn describe(span: AttentionSpan) -> alloc::string::String {
    match span {
        AttentionSpan::Window(window) => format!("layers with a sliding window of {window} tokens"),
        AttentionSpan::Chunk(chunk) => format!("layers with attention in chunks of {chunk} tokens"),
    }
}

fn missing(span: AttentionSpan) -> ProfileError {
    let message = format!("the profile has no times of {}, which the model has", describe(span));
    ProfileError::Settings { setting: "step_time.span_attention", message }
}
