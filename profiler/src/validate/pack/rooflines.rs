//! Times against the least that the GPU's peaks allow.

use serde::Serialize;
use sim_core::operators::work::least_us;
use sim_core::operators::{Operator, Pack};

use super::MAX_BELOW_ROOFLINE;

/// A time counts as below the roofline if it is shorter by more than this share: peaks are rounded figures.
const TOLERANCE: f64 = 0.1;
/// The worst that are listed.
const NUM_LISTED: usize = 10;

/// How many times are below what the GPU's peaks allow, and the worst.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub(crate) struct Rooflines {
    /// Times whose roofline is known.
    pub(crate) num_times: usize,
    pub(crate) num_below: usize,
    /// By how much, the farthest below first.
    pub(crate) worst: Vec<Below>,
}

/// A time below its roofline.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Below {
    pub(crate) operator: &'static str,
    pub(crate) format: String,
    pub(crate) shape: Vec<u32>,
    /// Tokens, requests or numbers.
    pub(crate) count: u32,
    /// Tokens that each request attends to; 0 but for grids.
    pub(crate) context: u32,
    pub(crate) time_us: f64,
    pub(crate) least_us: f64,
    /// The least over the time.
    pub(crate) ratio: f64,
}

impl Rooflines {
    pub(super) fn beyond_limit(&self) -> Option<String> {
        let share = self.num_below as f64 / self.num_times.max(1) as f64;
        (share > MAX_BELOW_ROOFLINE).then(|| {
            format!(
                "{:.1} % of the times are below the GPU's roofline, more than {:.0} %",
                100.0 * share,
                100.0 * MAX_BELOW_ROOFLINE
            )
        })
    }

    fn see(&mut self, pack: &Pack, place: (Operator, [&str; 2], &[u32]), counts: [u32; 2], time_us: f64) {
        let (operator, formats, shape) = place;
        let Some(least_us) = least_us(operator, formats, shape, counts, &pack.gpu) else { return };
        self.num_times += 1;
        let ratio = least_us / time_us;
        if ratio * (1.0 - TOLERANCE) <= 1.0 {
            return;
        }
        self.num_below += 1;
        if self.worst.len() < NUM_LISTED || self.worst.last().is_some_and(|last| last.ratio < ratio) {
            let upper = self.worst.partition_point(|worst| worst.ratio >= ratio);
            let [count, context] = counts;
            let (operator, format, shape) = (operator.name(), formats[0].to_owned(), shape.to_vec());
            self.worst.insert(upper, Below { operator, format, shape, count, context, time_us, least_us, ratio });
            self.worst.truncate(NUM_LISTED);
        }
    }
}

/// Of all times.
pub(super) fn rooflines(pack: &Pack) -> Rooflines {
    let mut found = Rooflines::default();
    for table in &pack.curves {
        let formats = [table.format.as_str(), table.variant.as_str()];
        for (shape, row) in table.shapes.iter().zip(&table.time_us) {
            for (&count, time) in table.counts.iter().zip(row) {
                if let Some(time) = time {
                    found.see(pack, (table.operator, formats, shape), [count, 0], *time);
                }
            }
        }
    }
    for table in &pack.grids {
        let formats = [table.format.as_str(), table.variant.as_str()];
        for (shape, grid) in table.shapes.iter().zip(&table.time_us) {
            for (&count, row) in table.num_seqs.iter().zip(grid) {
                for (&context, time) in table.context_tokens.iter().zip(row) {
                    if let Some(time) = time {
                        found.see(pack, (table.operator, formats, shape), [count, context], *time);
                    }
                }
            }
        }
    }
    found
}
