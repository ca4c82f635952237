//! Where the tokens of prompts came from, of an engine that keeps KV blocks in host memory, and what that moved.

use alloc::format;
use alloc::string::String;
use core::fmt;

use super::python_float::JsonFloat;
use crate::config::EngineConfig;
use crate::math;
use crate::simulation_result::{OffloadingTotals, SimulationResult, TransferTotals};

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
            totals,
        })
    }

    fn share(&self, num_tokens: u64) -> f64 {
        let queried = math::u64_to_f64(self.num_queried_tokens);
        if queried > 0.0 { math::u64_to_f64(num_tokens) / queried } else { 0.0 }
    }

    /// The lines of a report, name and value.
    #[must_use]
    pub fn lines(&self) -> [(&'static str, String); 5] {
        let percent = |share: f64| format!("{:.1} %", 100.0 * share);
        let moved = |one: TransferTotals| {
            let gb = math::u64_to_f64(one.num_bytes) / 1e9;
            format!("{gb:.2} GB in {} transfers, {:.1} ms each", one.num_transfers, mean_ms(one))
        };
        let chunks = math::u32_to_f64(self.totals.max_chunks) / math::max(1.0, math::u32_to_f64(self.num_chunks));
        let by_tier = [self.num_gpu_hit_tokens, self.num_cpu_hit_tokens].map(|num| percent(self.share(num)));
        [
            ("Prompt tokens found, GPU / CPU", by_tier.join(" / ")),
            ("Loaded from host memory, per GPU", moved(self.totals.loads)),
            ("Saved to host memory, per GPU", moved(self.totals.stores)),
            ("Passes waited for saves", format!("{:.1} ms", 1e3 * self.totals.flush_wait.as_secs_f64())),
            ("Host memory used, most", percent(chunks)),
        ]
    }

    /// The same as JSON; bytes are those of one device.
    pub(super) fn write_json(&self, f: &mut impl fmt::Write) -> fmt::Result {
        let Self { num_queried_tokens, num_gpu_hit_tokens, num_cpu_hit_tokens, num_chunks, totals } = self;
        write!(
            f,
            "{{\"queried_tokens\": {num_queried_tokens}, \"gpu_hit_tokens\": {num_gpu_hit_tokens}, \"cpu_hit_tokens\": \
             {num_cpu_hit_tokens}, \"chunks\": {num_chunks}, \"most_chunks\": {}",
            totals.max_chunks
        )?;
        for (name, one) in [("load", totals.loads), ("store", totals.stores)] {
            let TransferTotals { num_transfers, num_bytes, time } = one;
            let seconds = JsonFloat(time.as_secs_f64());
            write!(f, ", \"{name}s\": {num_transfers}, \"{name}_bytes\": {num_bytes}, \"{name}_seconds\": {seconds}")?;
        }
        write!(f, ", \"flush_wait_seconds\": {}}}", JsonFloat(totals.flush_wait.as_secs_f64()))
    }
}

fn mean_ms(one: TransferTotals) -> f64 {
    1e3 * one.time.as_secs_f64() / math::max(1.0, math::u64_to_f64(one.num_transfers))
}
