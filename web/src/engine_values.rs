//! What an engine argument would be if nobody gave it, and why. It comes with what reads profiles, for an engine is found on
//! one.

use sim_core::config::{EngineConfig, Reason, ResolvedEngine, SchedulingPolicy};
use sim_core::profile::Profile;
use sim_core::scenario::Scenario;
use sim_core::scenario::told;

use crate::state::ProfileChoice;

/// A value as text with its reason in words.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Told {
    /// As the flag would have it; empty if there is none.
    pub(crate) value: String,
    /// A phrase without full stop; may be empty.
    pub(crate) why: String,
}

/// What holds for `flag` if it is not given: resolved with everything else as it stands, or `None` if that is refused.
pub(crate) fn default_of(flag: &str, scenario: &Scenario, choice: &ProfileChoice) -> Option<Told> {
    let engine = choice.resolve_without(scenario, flag).ok()?;
    Some(choice.told(flag, &engine))
}

/// What became of a given value, if it was set aside or led to another.
pub(crate) fn overridden(flag: &str, engine: &ResolvedEngine) -> Option<String> {
    match engine.reason(&field(flag)) {
        Some(Reason::Overridden { why }) => {
            let value = value_of(flag, &engine.config).unwrap_or_default();
            Some(if value.is_empty() { why.clone() } else { format!("Runs with {value}: {why}") })
        }
        _ => None,
    }
}

/// Between whom KV is transferred.
const BETWEEN_ROLES: &str = "between prefill and decode replicas";
/// Why the way to host memory has a value.
const OFFLOADED: &str = "where KV blocks go to host memory";
/// Of which tiers behind it the values are.
const TIERED: &str = "of files on the host; behind a network slower";

/// Value and reason of a flag in a resolved engine.
pub(crate) fn told(flag: &str, engine: &ResolvedEngine, profile: &Profile) -> Told {
    let (value, why) = match flag {
        "gpu-memory-utilization" => ("0.92".to_owned(), "vLLM's default"),
        "kv-cache-memory-bytes" => (String::new(), "what the memory share leaves"),
        "watermark" => ("0.0".to_owned(), "no blocks are kept free"),
        "tensor-parallel-size" => (profile.engine.tensor_parallel_size.to_string(), "what the profile was made with"),
        "prefix-match-unit" => {
            (engine.config.kv_cache.hash_block_size.to_string(), "what divides the blocks of all groups")
        }
        "prefix-cache-retention-interval" => ("0".to_owned(), "vLLM's default"),
        "disable-hybrid-kv-cache-manager" | "enable-mamba-shared-prefix-checkpoint" => {
            ("off".to_owned(), "vLLM's default")
        }
        "mamba-block-size" => {
            ("automatic".to_owned(), "the block size, or with the prefix cache off the longest sequence")
        }
        "performance-mode" => ("balanced".to_owned(), "vLLM's default"),
        "enforce-eager" => ("off".to_owned(), "vLLM's default"),
        "usage-context" => ("server".to_owned(), "vllm serve"),
        "pass-noise" => ("off".to_owned(), "every pass takes what is expected of it"),
        "client-work" => ("off".to_owned(), "the client is never busy"),
        "dp-sync-interval" => ("16".to_owned(), "between data-parallel ranks"),
        "data-parallel-size-local" => ("all".to_owned(), "data-parallel ranks are on one node"),
        "prefill-args" | "decode-args" => ("none".to_owned(), "a role's engines are as all are"),
        "data-parallel-external-lb" | "data-parallel-hybrid-lb" => {
            ("off".to_owned(), "vLLM's own balancer chooses among data-parallel ranks")
        }
        "replicas" => ("1".to_owned(), "one engine answers"),
        "replica-fails" | "prefill-replica-fails" | "decode-replica-fails" => ("none".to_owned(), "no replica fails"),
        "retry-max-retries" => ("5".to_owned(), "vllm-router's default, where replicas fail"),
        "migration-limit" => ("0".to_owned(), "Dynamo's default, where replicas fail"),
        "router-args" => ("its own".to_owned(), "what the router weighs with"),
        "autoscaler" | "prefill-autoscaler" | "decode-autoscaler" => ("none".to_owned(), "replicas stay as many"),
        "router" => ("round-robin".to_owned(), "with several replicas"),
        "prefill-replicas" | "decode-replicas" => ("0".to_owned(), "every engine computes prompts and answers"),
        "kv-transfer-bandwidth" => ("50".to_owned(), BETWEEN_ROLES),
        "kv-transfer-latency" => ("0.01".to_owned(), BETWEEN_ROLES),
        "kv-transfer-descriptor-time" | "kv-transfer-failure-rate" => ("0".to_owned(), BETWEEN_ROLES),
        "kv-load-failure-policy" => ("fail".to_owned(), BETWEEN_ROLES),
        "kv-offloading-size" => ("none".to_owned(), "blocks that make room on the GPU are gone"),
        "kv-transfer-config" => ("none".to_owned(), "no KV connector"),
        "kv-offloading-backend" => ("native".to_owned(), OFFLOADED),
        "kv-offloading-bandwidth" => ("55".to_owned(), OFFLOADED),
        "kv-offloading-latency" => ("0.02".to_owned(), OFFLOADED),
        "kv-tier-read-bandwidth" => ("7".to_owned(), TIERED),
        "kv-tier-write-bandwidth" => ("5".to_owned(), TIERED),
        "kv-tier-latency" => ("0.1".to_owned(), TIERED),
        "kv-tier-lookup-latency" => ("0.005".to_owned(), TIERED),
        _ => {
            let why = match engine.reason(&field(flag)) {
                Some(Reason::Default { why } | Reason::Overridden { why }) => why.clone(),
                Some(Reason::Given) | None => String::new(),
            };
            return Told { value: value_of(flag, &engine.config).unwrap_or_default(), why };
        }
    };
    Told { value, why: why.to_owned() }
}

/// The field of [`EngineConfig`] that a flag sets.
fn field(flag: &str) -> String {
    match flag {
        "scheduling-policy" => "policy".to_owned(),
        "num-gpu-blocks-override" => "num_gpu_blocks".to_owned(),
        "watermark" => "watermark_blocks".to_owned(),
        _ => flag.replace('-', "_"),
    }
}

/// The value of that field.
fn value_of(flag: &str, config: &EngineConfig) -> Option<String> {
    let switch = |is_on: bool| Some(if is_on { "on" } else { "off" }.to_owned());
    let count = match flag {
        "max-num-seqs" => config.max_num_seqs,
        "max-num-active-seqs" => config.max_num_active_seqs,
        "max-num-batched-tokens" => config.max_num_batched_tokens,
        "max-num-scheduled-tokens" => config.max_num_scheduled_tokens,
        "max-model-len" => config.max_model_len,
        "block-size" => config.block_size(),
        "num-gpu-blocks-override" => config.num_gpu_blocks,
        "long-prefill-token-threshold" => config.long_prefill_token_threshold,
        "pipeline-parallel-size" => config.pipeline_parallel_size,
        "prefill-schedule-interval" => config.prefill_schedule_interval,
        "api-server-count" => config.api_server_count,
        "vllm-version" => return Some(config.vllm_version.to_string()),
        "speculative-config" => return Some(told::speculative(config.speculative.as_ref())),
        "watermark" => return Some(format!("{} blocks", config.watermark_blocks)),
        "enable-prefix-caching" => return switch(config.enable_prefix_caching),
        "enable-chunked-prefill" => return switch(config.enable_chunked_prefill),
        "long-prefill-token-threshold-adaptive" => return switch(config.long_prefill_token_threshold_adaptive),
        "scheduler-reserve-full-isl" => return switch(config.scheduler_reserve_full_isl),
        "async-scheduling" => return switch(config.async_scheduling),
        "scheduling-policy" => {
            let name = if config.policy == SchedulingPolicy::Priority { "priority" } else { "fcfs" };
            return Some(name.to_owned());
        }
        _ => return None,
    };
    Some(count.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    use sim_core::scenario::{FLAGS, Part};

    use crate::profiles::Profiles;
    use crate::state::Origin;

    fn profile() -> ProfileChoice {
        let file = include_bytes!("../../www/profiles/h100-sxm_llama-3.1-8b_bf16_tp1.json");
        let choice = Profiles::WHOLE.choice("the site's own".to_owned(), Arc::new(file.to_vec()), Origin::Gallery);
        choice.expect("the site's own profile")
    }

    #[test]
    fn every_engine_argument_tells_its_default_and_why() {
        let (profile, scenario) = (profile(), Scenario::default());
        for flag in FLAGS.iter().filter(|flag| flag.part == Part::Engine) {
            let told = default_of(flag.name, &scenario, &profile).expect("an engine that starts");
            assert!(!told.why.is_empty(), "{}: no reason", flag.name);
            assert!(!told.value.is_empty() || flag.name == "kv-cache-memory-bytes", "{}: no value", flag.name);
        }
    }

    #[test]
    fn a_default_is_that_of_the_form_without_the_flag() {
        let profile = profile();
        let mut scenario = Scenario::default();
        scenario.set("max-num-seqs", Some("16")).expect("a valid flag");
        scenario.set("max-num-batched-tokens", Some("512")).expect("a valid flag");
        let told = default_of("max-num-seqs", &scenario, &profile).expect("an engine that starts");
        assert_eq!(told.value, "512", "lowered to the tokens of a pass: {}", told.why);
    }

    #[test]
    fn what_became_of_a_given_value_is_told() {
        let profile = profile();
        let mut scenario = Scenario::default();
        scenario.set("watermark", Some("0.01")).expect("a valid flag");
        let engine = profile.resolve(&scenario).expect("an engine that starts");
        let said = overridden("watermark", &engine).expect("it is turned into blocks");
        assert!(said.starts_with("Runs with ") && said.contains("blocks"), "{said}");
        assert_eq!(overridden("max-num-seqs", &engine), None, "nobody gave it");
    }
}
