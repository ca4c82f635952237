//! Passes with decodes and prompt parts: how far their attention is from the sum of both.

use std::collections::BTreeMap;

use sim_core::profile::schema::MixedBatch;

use super::csv::Row;

/// Times of one layer's attention, by kind of pass.
#[derive(Debug, Default)]
pub(super) struct Attention {
    /// By requests and the context of each.
    pub(super) decode: BTreeMap<(u32, u32), f64>,
    /// By new tokens and earlier tokens.
    pub(super) prefill: BTreeMap<(u32, u32), f64>,
    /// By new tokens, earlier tokens, decodes, and the context of each.
    pub(super) mixed: Vec<([u32; 4], f64)>,
}

/// The factor of the decodes' term, and how good it is.
#[derive(Debug, Clone)]
pub(super) struct Fit {
    pub(super) mixed_batch: MixedBatch,
    /// Errors of the passes that were held out, relative to the whole pass.
    pub(super) held_out_errors: Vec<f64>,
    /// The same if the two terms are just added.
    pub(super) errors_of_sum: Vec<f64>,
}

impl Attention {
    /// Sorts the rows of `attention.csv`; where one stands twice, the last counts.
    pub(super) fn new(rows: &[Row]) -> Self {
        let mut attention = Self::default();
        for row in rows {
            let &[chunk, prefix, decodes, context] = &row.counts[..] else { continue };
            match (chunk, decodes) {
                (0, 0) => {}
                (0, _) if context > 0 => {
                    attention.decode.insert((decodes, context), row.time_us);
                }
                (_, 0) => {
                    attention.prefill.insert((chunk, prefix), row.time_us);
                }
                (_, _) => attention.mixed.push(([chunk, prefix, decodes, context], row.time_us)),
            }
        }
        attention
    }

    /// The `f` for which `prompt part + f × decodes` has the least sum of squared errors relative to the whole pass,
    /// over every second of the passes whose two parts were measured alone, too; the others show how good it is.
    /// `rest` is what else a pass of so many tokens and requests takes, per layer. `None` if there are fewer than four.
    ///
    /// Relative to the whole pass, because that is what a run consists of: relative to attention alone, the many passes
    /// in which it hardly counts would decide.
    pub(super) fn fit_decode_term(&self, rest: impl Fn(u32, u32) -> f64) -> Option<Fit> {
        let known = |&([chunk, prefix, decodes, context], time): &([u32; 4], f64)| {
            let prefill = *self.prefill.get(&(chunk, prefix))?;
            let decode = *self.decode.get(&(decodes, context))?;
            let whole = time + rest(chunk.saturating_add(decodes), decodes.saturating_add(1));
            Some(Pass { decode, beyond_prefill: time - prefill, whole })
        };
        let passes: Vec<Pass> = self.mixed.iter().filter_map(known).collect();
        if passes.len() < 4 {
            return None;
        }
        let (mut above, mut below) = (0.0, 0.0);
        for pass in passes.iter().step_by(2) {
            above += pass.decode * pass.beyond_prefill / (pass.whole * pass.whole);
            below += pass.decode * pass.decode / (pass.whole * pass.whole);
        }
        let factor = ((above / below).clamp(0.0, 100.0) * 1e4).round() / 1e4;
        let held_out = passes.iter().skip(1).step_by(2);
        let errors = |factor: f64| held_out.clone().map(|pass| pass.error(factor)).collect();
        // Only attention was measured of these passes, not the whole: the format has no samples for that.
        let mixed_batch = MixedBatch { decode_term_factor: factor, samples: vec![] };
        Some(Fit { mixed_batch, held_out_errors: errors(factor), errors_of_sum: errors(1.0) })
    }
}

/// A pass with decodes and a prompt part; times of one layer.
struct Pass {
    decode: f64,
    beyond_prefill: f64,
    whole: f64,
}

impl Pass {
    /// Error of the whole pass.
    fn error(&self, factor: f64) -> f64 {
        (factor * self.decode - self.beyond_prefill) / self.whole
    }
}
