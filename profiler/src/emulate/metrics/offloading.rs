//! What `/metrics` tells of KV blocks in host memory, where an engine has it.
//!
//! Source: `vllm/distributed/kv_transfer/kv_connector/v1/offloading/metrics.py::OffloadPromMetrics`. Gauges of host memory, and
//! what is told of look-ups and of tiers one by one, is not here (FIDELITY.md).

use sim_core::sched::connector::interface::ExternalStats;
use sim_core::simulation_result::EndedTransfer;

use super::Metrics;
use super::exposition::Text;
use super::histogram::{Histogram, TRANSFER_SIZE};

/// Transfers in one direction.
#[derive(Debug)]
struct Direction {
    num_bytes: u64,
    seconds: f64,
    sizes: Histogram,
}

/// What came from host memory and went there.
#[derive(Debug)]
pub(crate) struct Offloading {
    external: ExternalStats,
    /// Tokens found by first admissions, by where they were: in host memory, in tiers behind it.
    hits_by_source: [u64; 2],
    /// Prompt tokens that were loaded, as of first tokens.
    pub(super) prompt_tokens: u64,
    loads: Direction,
    stores: Direction,
}

impl Direction {
    fn new() -> Self {
        Self { num_bytes: 0, seconds: 0.0, sizes: Histogram::new(TRANSFER_SIZE) }
    }
}

impl Offloading {
    pub(super) fn new() -> Self {
        Self {
            external: ExternalStats::default(),
            hits_by_source: [0; 2],
            prompt_tokens: 0,
            loads: Direction::new(),
            stores: Direction::new(),
        }
    }

    /// Of each kind those told per direction, and those that were before (`_DEPRECATED_CONNECTOR_METRIC_DEFINITIONS`).
    pub(super) fn write(&self, text: &mut Text<'_>) {
        let Self { loads, stores, .. } = self;
        let directions = [(",transfer_type=\"CPU_to_GPU\"", loads), (",transfer_type=\"GPU_to_CPU\"", stores)];
        let bytes = directions.map(|(label, direction)| (label, direction.num_bytes as f64));
        text.counter_of_numbers("vllm:kv_offload_total_bytes", "Number of bytes offloaded by KV connector", &bytes);
        let help = "Total time measured by all KV offloading operations";
        let seconds = directions.map(|(label, direction)| (label, direction.seconds));
        text.counter_of_numbers("vllm:kv_offload_total_time", help, &seconds);
        let sizes = directions.map(|(label, direction)| (label, &direction.sizes));
        text.histograms("vllm:kv_offload_size", "Histogram of KV offload transfer size, in bytes.", &sizes);
        for (name, way, direction) in [
            ("load", "loaded from offload storage to GPU", loads),
            ("store", "stored from GPU to offload storage", stores),
        ] {
            let (bytes, seconds) = ([("", direction.num_bytes as f64)], [("", direction.seconds)]);
            text.counter_of_numbers(&format!("vllm:kv_offload_{name}_bytes"), &format!("Total bytes {way}."), &bytes);
            let way = way.split_once(' ').map_or("", |(_, way)| way);
            let help = format!("Total {name} time {way}, in seconds.");
            text.counter_of_numbers(&format!("vllm:kv_offload_{name}_time"), &help, &seconds);
            let help = format!("Histogram of KV offload {name} operation size, in bytes.");
            text.histogram(&format!("vllm:kv_offload_{name}_size"), &help, &direction.sizes);
        }
    }
}

impl Metrics {
    /// The engine has host memory for its blocks.
    pub(crate) fn tell_of_offloading(&mut self) {
        self.offloading = Some(Offloading::new());
    }

    /// What the connector was asked for, prompt tokens that were loaded, and by source those that were found; nothing without
    /// host memory.
    pub(super) fn loaded(&self) -> (ExternalStats, u64, [u64; 2]) {
        let told = |told: &Offloading| (told.external, told.prompt_tokens, told.hits_by_source);
        self.offloading.as_ref().map(told).unwrap_or_default()
    }

    /// What the connector was asked for so far.
    pub(crate) const fn note_external(&mut self, external: ExternalStats) {
        if let Some(offloading) = &mut self.offloading {
            offloading.external = external;
        }
    }

    /// A request that was never admitted before begins to load so many tokens; of these, some from behind host memory.
    pub(crate) fn note_load(&mut self, num_tokens: u32, num_tier_tokens: u32) {
        if let Some(offloading) = &mut self.offloading {
            let [host, disk] = &mut offloading.hits_by_source;
            *host += u64::from(num_tokens.saturating_sub(num_tier_tokens));
            *disk += u64::from(num_tier_tokens);
        }
    }

    /// A transfer was found to be over.
    pub(crate) fn note_transfer(&mut self, transfer: &EndedTransfer) {
        let Some(offloading) = &mut self.offloading else { return };
        let direction = if transfer.is_store { &mut offloading.stores } else { &mut offloading.loads };
        direction.num_bytes += transfer.num_bytes;
        direction.seconds += transfer.time.as_secs_f64();
        direction.sizes.observe(transfer.num_bytes as f64);
    }
}

#[cfg(test)]
mod tests {
    use sim_core::time::SimDuration;

    use super::super::CacheConfigInfo;
    use super::*;

    #[test]
    fn transfers_are_counted_by_direction() {
        let cache = CacheConfigInfo { block_size: 16, num_gpu_blocks: 100, enable_prefix_caching: true };
        let mut metrics = Metrics::new("m".to_owned(), cache, 4096, 0);
        assert!(!metrics.exposition().contains("kv_offload"), "an engine without host memory has none of them");
        metrics.tell_of_offloading();
        metrics.note_load(320, 64);
        for (is_store, num_bytes, ms) in [(true, 3_000_000, 2), (true, 7_000_000, 4), (false, 1_000_000, 1)] {
            metrics.note_transfer(&EndedTransfer {
                is_store,
                num_bytes,
                time: SimDuration::from_nanos(1_000_000 * ms),
            });
        }
        let text = metrics.exposition();
        for line in [
            "vllm:kv_offload_store_bytes_total{engine=\"0\",model_name=\"m\"} 10000000.0",
            "vllm:kv_offload_store_time_total{engine=\"0\",model_name=\"m\"} 0.006",
            "vllm:kv_offload_store_size_bucket{engine=\"0\",model_name=\"m\",le=\"5000000.0\"} 1.0",
            "vllm:kv_offload_load_bytes_total{engine=\"0\",model_name=\"m\"} 1000000.0",
            "vllm:kv_offload_total_bytes_total{engine=\"0\",model_name=\"m\",transfer_type=\"CPU_to_GPU\"} 1000000.0",
            "vllm:kv_offload_size_count{engine=\"0\",model_name=\"m\",transfer_type=\"GPU_to_CPU\"} 2.0",
            "vllm:prompt_tokens_cached_by_source_total{engine=\"0\",model_name=\"m\",source=\"host\"} 256.0",
            "vllm:prompt_tokens_cached_by_source_total{engine=\"0\",model_name=\"m\",source=\"disk\"} 64.0",
        ] {
            assert!(text.lines().any(|found| found == line), "no {line} in {text}");
        }
    }
}
