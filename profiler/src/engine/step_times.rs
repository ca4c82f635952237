//! What step times depend on besides the batch, for an engine's configuration.

use sim_core::config::EngineConfig;
use sim_core::profile::{CaptureSizes, Drafting, StepTimeSettings};

/// The spans of `config`'s layers, its drafter and stages, with CUDA graphs of `capture_sizes`.
pub(crate) fn step_time_settings(config: &EngineConfig, capture_sizes: CaptureSizes) -> StepTimeSettings {
    StepTimeSettings {
        capture_sizes,
        pipeline_parallel_size: config.pipeline_parallel_size,
        spans: config.kv_cache.spans(),
        drafting: config.speculative.as_ref().map(|drafter| Drafting {
            method: drafter.method,
            num_speculative_tokens: drafter.num_speculative_tokens,
            max_num_seqs: config.max_num_seqs,
        }),
    }
}
