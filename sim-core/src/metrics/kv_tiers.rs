//! Where the tokens of prompts came from, of an engine that keeps KV blocks in host memory, and what that moved.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

use super::python_float::JsonFloat;
use crate::config::EngineConfig;
use crate::math;
use crate::simulation_result::{OffloadingTotals, SimulationResult, TierTotals, TransferTotals};

/// Hits by tier, and transfers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct KvTiers {
    /// Tokens that admissions looked up, those after a preemption included.
    pub num_queried_tokens: u64,
    /// Of these, tokens that the device's prefix cache had.
    pub num_gpu_hit_tokens: u64,
    /// Of the others, tokens that were loaded from host memory.
    pub num_cpu_hit_tokens: u64,
    /// Chunks that host memory holds.
    pub num_chunks: u32,
    /// Tiers behind it.
    pub num_tiers: usize,
    /// What was moved.
    pub totals: OffloadingTotals,
}

impl KvTiers {
    /// Those of a run of `config`; `None` if nothing was to be kept in host memory.
    #[must_use]
    pub fn of(config: &EngineConfig, result: &SimulationResult) -> Option<Self> {
        let (settings, totals) = (config.kv_offloading?, result.offloading?);
        let stats = result.stats;
        Some(Self {
            num_queried_tokens: stats.prefix_cache_queries + stats.preempted_queries,
            num_gpu_hit_tokens: stats.prefix_cache_hits + stats.preempted_hits,
            num_cpu_hit_tokens: totals.num_loaded_tokens,
            num_chunks: settings.num_chunks,
            num_tiers: settings.secondary_tiers().count(),
            totals,
        })
    }

    fn share(&self, num_tokens: u64) -> f64 {
        let queried = math::u64_to_f64(self.num_queried_tokens);
        if queried > 0.0 { math::u64_to_f64(num_tokens) / queried } else { 0.0 }
    }

    fn tiers(&self) -> &[TierTotals] {
        self.totals.tiers.get(..self.num_tiers).unwrap_or(&[])
    }

    /// The lines of a report, name and value.
    #[must_use]
    pub fn lines(&self) -> Vec<(String, String)> {
        let percent = |share: f64| format!("{:.1} %", 100.0 * share);
        let chunks = math::u32_to_f64(self.totals.max_chunks) / math::max(1.0, math::u32_to_f64(self.num_chunks));
        let by_tier = [self.num_gpu_hit_tokens, self.num_cpu_hit_tokens].map(|num| percent(self.share(num)));
        let lines = [
            ("Prompt tokens found, GPU / CPU", by_tier.join(" / ")),
            ("Loaded from host memory, per GPU", moved(self.totals.loads)),
            ("Saved to host memory, per GPU", moved(self.totals.stores)),
            ("Passes waited for saves", format!("{:.1} ms", 1e3 * self.totals.flush_wait.as_secs_f64())),
            ("Host memory used, most", percent(chunks)),
        ];
        let mut lines: Vec<_> = lines.into_iter().map(|(name, value)| (name.to_string(), value)).collect();
        if self.num_tiers > 0 {
            let share = percent(self.share(self.totals.num_tier_tokens));
            lines.push(("Of CPU's, brought from tiers behind".to_string(), share));
        }
        if self.totals.num_dropped_chunks > 0 {
            let share = format!("{} chunks", self.totals.num_dropped_chunks);
            lines.push(("Kept from tiers that did not keep up".to_string(), share));
        }
        for (number, tier) in (1..).zip(self.tiers()) {
            lines.push((format!("Read from tier {number}"), moved(tier.reads)));
            lines.push((format!("Written to tier {number}"), moved(tier.writes)));
        }
        lines
    }

    /// The same as JSON; bytes are those of one device.
    pub(super) fn write_json(&self, f: &mut impl fmt::Write) -> fmt::Result {
        let Self { num_queried_tokens, num_gpu_hit_tokens, num_cpu_hit_tokens, num_chunks, totals, .. } = self;
        write!(
            f,
            "{{\"queried_tokens\": {num_queried_tokens}, \"gpu_hit_tokens\": {num_gpu_hit_tokens}, \"cpu_hit_tokens\": \
             {num_cpu_hit_tokens}, \"chunks\": {num_chunks}, \"most_chunks\": {}",
            totals.max_chunks
        )?;
        for (name, one) in [("load", totals.loads), ("store", totals.stores)] {
            write_transfers(f, name, one)?;
        }
        write!(f, ", \"flush_wait_seconds\": {}", JsonFloat(totals.flush_wait.as_secs_f64()))?;
        if self.num_tiers > 0 {
            write!(
                f,
                ", \"tier_hit_tokens\": {}, \"tier_dropped_chunks\": {}, \"tiers\": [",
                totals.num_tier_tokens, totals.num_dropped_chunks
            )?;
            for (place, tier) in self.tiers().iter().enumerate() {
                let TierTotals { num_lookups, num_chunks, .. } = tier;
                f.write_str(if place == 0 { "{" } else { ", {" })?;
                write!(f, "\"chunks\": {num_chunks}, \"lookups\": {num_lookups}")?;
                for (name, one) in [("read", tier.reads), ("write", tier.writes)] {
                    write_transfers(f, name, one)?;
                }
                f.write_str("}")?;
            }
            f.write_str("]")?;
        }
        f.write_str("}")
    }
}

fn write_transfers(f: &mut impl fmt::Write, name: &str, one: TransferTotals) -> fmt::Result {
    let TransferTotals { num_transfers, num_bytes, time } = one;
    let seconds = JsonFloat(time.as_secs_f64());
    write!(f, ", \"{name}s\": {num_transfers}, \"{name}_bytes\": {num_bytes}, \"{name}_seconds\": {seconds}")
}

fn moved(one: TransferTotals) -> String {
    let gb = math::u64_to_f64(one.num_bytes) / 1e9;
    format!("{gb:.2} GB in {} transfers, {:.1} ms each", one.num_transfers, mean_ms(one))
}

fn mean_ms(one: TransferTotals) -> f64 {
    1e3 * one.time.as_secs_f64() / math::max(1.0, math::u64_to_f64(one.num_transfers))
}
