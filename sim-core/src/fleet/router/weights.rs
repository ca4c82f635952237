//! What routers weigh with, each value named after its source's flag.

/// Of all routers; each looks at its own.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RouterWeights {
    /// vllm-router's `--cache-threshold`: share of a prompt that has to be known for it to go there.
    pub cache_threshold: f64,
    /// vllm-router's `--balance-abs-threshold`: loads that differ by more than this …
    pub balance_abs_threshold: u64,
    /// … and by more than this factor are out of balance (`--balance-rel-threshold`).
    pub balance_rel_threshold: f64,
    /// Dynamo's `--kv-overlap-score-weight`: what a block of a prompt counts for, in blocks of decodes.
    pub kv_overlap_score_weight: f64,
    /// Dynamo's `--router-temperature`: 0 takes the least cost, more draws the more evenly.
    pub router_temperature: f64,
    /// Weight of llm-d's `prefix-cache-scorer`.
    pub prefix_cache_scorer: f64,
    /// Weight of its `queue-scorer`.
    pub queue_scorer: f64,
    /// Weight of its `kv-cache-utilization-scorer`.
    pub kv_cache_utilization_scorer: f64,
}

impl Default for RouterWeights {
    /// The sources' own, and llm-d's sample configuration.
    fn default() -> Self {
        Self {
            cache_threshold: 0.5,
            balance_abs_threshold: 32,
            balance_rel_threshold: 1.1,
            kv_overlap_score_weight: 1.0,
            router_temperature: 0.0,
            prefix_cache_scorer: 2.0,
            queue_scorer: 1.0,
            kv_cache_utilization_scorer: 1.0,
        }
    }
}
