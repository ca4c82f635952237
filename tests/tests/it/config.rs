//! The engine configuration against the real vLLM 0.32.0: `data/config`, written by `recorder/record_config.py`.

use std::collections::BTreeSet;
use std::num::NonZeroU32;

use serde_json::{Value, json};
use sim_core::config::flags::{self, FlagEffect};
use sim_core::config::{
    ConfigError, ConfigWarning, Device, EngineArgs, EngineConfig, EntryPoint, KvCacheMemory, Platform, Reason,
    RequestRefusal, SchedulingPolicy, UsageContext, VllmVersion, admit, human_readable_int, human_readable_int_or_auto,
};
use sim_core::kv_cache::PlanningError;
use sim_core::models::layers::ModelLayers;

/// The recorded cases of one file.
#[track_caller]
fn recorded(file: &str) -> Vec<Value> {
    let path = format!("{}/data/config/{file}", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(&path).expect("the recording is part of the repository");
    let mut whole: Value = serde_json::from_str(&text).expect("the recording is JSON");
    let version = if file.starts_with("v0.33/") { "0.33.0" } else { "0.32.0" };
    assert_eq!(whole["vllm"], version, "{path} is of another vLLM");
    match whole["cases"].take() {
        Value::Array(cases) => cases,
        other => panic!("{path} has no list of cases: {other}"),
    }
}

/// A GPU of `gib` GiB that serves a model of `model_max_len` tokens, with 64 KiB of KV cache per token.
pub(super) fn gpu(name: &str, gib: u64, model_max_len: u32) -> Platform {
    Platform {
        device: Device::Gpu {
            name: name.to_owned(),
            total_memory_bytes: gib << 30,
            compute_capability: Some("9.0".to_owned()),
        },
        usage_context: UsageContext::OpenAiApiServer,
        model_max_len,
        tensor_parallel_size: 1,
        pipeline_parallel_size: 1,
        default_block_size: None,
        kernel_block_size: 16,
        max_kernel_block_size: None,
        layers: vec![ModelLayers::full_attention(1 << 16)],
        drafters: vec![],
        kv_cache: KvCacheMemory::Measured { non_kv_cache_bytes: 16 << 30 },
    }
}

/// Arguments from JSON with vLLM's names.
#[track_caller]
pub(super) fn args(given: Value) -> EngineArgs {
    serde_json::from_value(given).expect("the arguments are simulated ones")
}

fn number(value: &Value) -> u64 {
    value.as_u64().expect("a whole number")
}

fn count(value: &Value) -> u32 {
    u32::try_from(number(value)).expect("a 32-bit number")
}

fn platform(recorded: &Value) -> Platform {
    let (kind, device) = recorded["device"].as_object().and_then(|d| d.iter().next()).expect("one device");
    let total_memory_bytes = number(&device["total_memory_bytes"]);
    Platform {
        device: match kind.as_str() {
            "cpu" => Device::Cpu { total_memory_bytes },
            _ => Device::Gpu {
                name: device["name"].as_str().expect("a name").to_owned(),
                total_memory_bytes,
                compute_capability: None,
            },
        },
        usage_context: match recorded["usage_context"].as_str() {
            Some("llm_class") => UsageContext::LlmClass,
            Some("openai_api_server") => UsageContext::OpenAiApiServer,
            _ => UsageContext::Other,
        },
        model_max_len: count(&recorded["model_max_len"]),
        tensor_parallel_size: count(&recorded["tensor_parallel_size"]),
        pipeline_parallel_size: count(&recorded["pipeline_parallel_size"]),
        default_block_size: None,
        kernel_block_size: 16,
        max_kernel_block_size: None,
        layers: vec![ModelLayers::full_attention(number(&recorded["kv_cache"]["bytes_per_token"]))],
        drafters: vec![],
        kv_cache: KvCacheMemory::Measured { non_kv_cache_bytes: number(&recorded["kv_cache"]["non_kv_cache_bytes"]) },
    }
}

fn config_as_recorded(config: &EngineConfig) -> Value {
    json!({
        "max_num_seqs": config.max_num_seqs,
        "max_num_active_seqs": config.max_num_active_seqs,
        "max_num_batched_tokens": config.max_num_batched_tokens,
        "max_num_scheduled_tokens": config.max_num_scheduled_tokens,
        "max_model_len": config.max_model_len,
        "block_size": config.block_size(),
        "num_gpu_blocks": config.num_gpu_blocks,
        "enable_prefix_caching": config.enable_prefix_caching,
        "enable_chunked_prefill": config.enable_chunked_prefill,
        "long_prefill_token_threshold": config.long_prefill_token_threshold,
        "long_prefill_token_threshold_adaptive": config.long_prefill_token_threshold_adaptive,
        "policy": match config.policy { SchedulingPolicy::Fcfs => "fcfs", SchedulingPolicy::Priority => "priority" },
        "scheduler_reserve_full_isl": config.scheduler_reserve_full_isl,
        "watermark_blocks": config.watermark_blocks,
        "async_scheduling": config.async_scheduling,
        "pipeline_parallel_size": config.pipeline_parallel_size,
    })
}

fn warning_as_recorded(warning: &ConfigWarning) -> Option<&'static str> {
    match warning {
        ConfigWarning::MoreTokensThanSequencesHold { .. } => {
            Some("max_num_batched_tokens_above_max_num_seqs_times_max_model_len")
        }
        ConfigWarning::ChunkedPrefillOff => Some("chunked_prefill_off"),
        ConfigWarning::SlowBlockSize { .. } => Some("block_size_not_multiple_of_32_on_cpu"),
        // The simulator's own.
        _ => None,
    }
}

/// GiB as vLLM's messages have them.
fn gib(bytes: Option<i64>) -> Value {
    let text = format!("{:.2}", bytes.expect("known bytes") as f64 / f64::from(1 << 30));
    json!(text.parse::<f64>().expect("a number"))
}

/// The name of the check and its numbers, as `record_config.py` writes them down.
fn refusal_as_recorded(error: &ConfigError, recorded: &Value) -> Value {
    use ConfigError as E;
    let refused = |check: &str, numbers: Value| json!({"check": check, "numbers": numbers});
    match *error {
        E::IntegerOutOfRange { field, .. } | E::FractionOutOfRange { field, .. } => {
            // vLLM lists every field, also those whose default went out of range with it.
            let listed = recorded["fields"].as_array().is_some_and(|fields| fields.contains(&json!(field)));
            json!({"check": "range", "fields": if listed { recorded["fields"].clone() } else { json!([field]) }})
        }
        E::MaxModelLenAboveModel { max_model_len, model_max_len } => {
            refused("max_model_len_above_model", json!([max_model_len, f64::from(model_max_len)]))
        }
        E::MaxNumBatchedTokensBelowMaxModelLen { max_num_batched_tokens, max_model_len } => {
            refused("max_num_batched_tokens_below_max_model_len", json!([max_num_batched_tokens, max_model_len]))
        }
        E::MaxNumBatchedTokensBelowMaxNumSeqs { max_num_batched_tokens, max_num_seqs } => {
            refused("max_num_batched_tokens_below_max_num_seqs", json!([max_num_batched_tokens, max_num_seqs]))
        }
        E::MaxNumActiveSeqsAboveMaxNumSeqs { max_num_active_seqs, max_num_seqs } => {
            refused("max_num_active_seqs_above_max_num_seqs", json!([max_num_active_seqs, max_num_seqs]))
        }
        E::LongPrefillTokenThresholdAboveMaxModelLen { long_prefill_token_threshold: given, max_model_len } => {
            refused("long_prefill_token_threshold_above_max_model_len", json!([given, max_model_len]))
        }
        E::KvCachePlanning(PlanningError::PrefixMatchUnitNotBlockSize { prefix_match_unit, .. }) => {
            refused("prefix_match_unit", json!([prefix_match_unit]))
        }
        E::AsyncPipelineOfOldRunner { .. } => refused("async_pipeline_v1", json!([])),
        E::NoKvCacheMemory { .. } => refused("no_kv_cache_memory", json!([])),
        E::NothingFits { .. } => refused("nothing_fits", json!([])),
        E::KvCacheTooSmall {
            max_model_len,
            needed_blocks,
            bytes_per_block,
            usable_bytes,
            estimated_max_model_len: length,
            ..
        } => {
            let needed = gib(bytes_per_block.map(|bytes| bytes * needed_blocks));
            let estimate = if length == 0 { Value::Null } else { json!(length) };
            refused("kv_cache_too_small", json!([max_model_len, needed, gib(usable_bytes), estimate]))
        }
        _ => json!({"check": format!("{error:?}")}),
    }
}

#[test]
fn arguments_resolve_as_in_vllm() {
    let versions = [("resolved.json", VllmVersion::V0_32), ("v0.33/resolved.json", VllmVersion::V0_33)];
    let cases: Vec<_> = versions
        .into_iter()
        .flat_map(|(file, version)| recorded(file).into_iter().map(move |case| (version, case)))
        .collect();
    let mut checks = BTreeSet::new();
    for (index, (version, case)) in cases.iter().enumerate() {
        let of = format!("case {index} ({version}): {} on {}", case["args"], case["platform"]);
        let given = EngineArgs { vllm_version: Some(*version), ..args(case["args"].clone()) };
        let resolved = given.resolve(&platform(&case["platform"]));
        match (&resolved, case.get("refused")) {
            (Ok(resolved), None) => {
                assert_eq!(config_as_recorded(&resolved.config), case["config"], "{of}");
                let warnings: BTreeSet<_> = resolved.warnings.iter().filter_map(warning_as_recorded).collect();
                assert_eq!(json!(warnings), case["warnings"], "{of}");
                checks.extend(warnings);
            }
            (Err(error), Some(refused)) => {
                assert_eq!(refusal_as_recorded(error, refused), *refused, "{of}: {error}");
                checks.insert(refused["check"].as_str().expect("a name"));
            }
            _ => panic!("{of}\nhere: {resolved:?}\nvLLM: {case}"),
        }
    }
    // What the recording must contain to be worth anything.
    assert!(cases.len() >= 800, "only {} cases", cases.len());
    assert_eq!(checks.len(), 14, "every check and warning occurs: {checks:?}");
}

#[test]
fn every_field_has_a_reason() {
    let resolved = EngineArgs::default().resolve(&gpu("NVIDIA H100", 80, 8192)).expect("the defaults resolve");
    let fields = config_as_recorded(&resolved.config);
    for field in fields.as_object().expect("an object").keys() {
        assert!(resolved.reason(field).is_some(), "{field} has no reason");
    }
    assert_eq!(resolved.reasons.len(), 22, "each field once");
    let given = args(json!({"max_num_seqs": 7, "watermark": 0.5})).resolve(&gpu("x", 80, 8192)).expect("resolves");
    assert_eq!(given.reason("max_num_seqs"), Some(&Reason::Given));
    assert!(
        matches!(given.reason("watermark_blocks"), Some(Reason::Overridden { .. })),
        "blocks follow from the share"
    );
}

#[test]
fn requests_are_admitted_as_by_vllm() {
    let resolve = |max_model_len: u64| {
        args(json!({ "max_model_len": max_model_len })).resolve(&gpu("NVIDIA H100", 80, 8192)).expect("resolves").config
    };
    let cases = recorded("admitted.json");
    assert!(cases.len() >= 290, "only {} cases", cases.len());
    for case in cases {
        let config = resolve(number(&case["max_model_len"]));
        let door = case["door"].as_str().expect("a door");
        let entry_point = match door {
            "llm_class" => EntryPoint::Llm,
            "completions" => EntryPoint::Completions,
            "chat" => EntryPoint::ChatCompletions,
            other => panic!("unknown door {other}"),
        };
        let max_tokens = case["max_tokens"].as_u64().map(|given| u32::try_from(given).expect("32 bits"));
        let prompt = count(&case["num_prompt_tokens"]);
        let admitted = match admit(&config, entry_point, prompt, max_tokens) {
            Ok(granted) => json!({ "granted": granted }),
            // The server cuts max_tokens to the 0 that is left and then refuses that: told apart here.
            Err(RequestRefusal::PromptFillsMaxModelLen { .. }) if door != "llm_class" => {
                json!({"refused": "max_tokens_below_one"})
            }
            Err(refusal) => json!({"refused": refusal_name(refusal)}),
        };
        let expected = match case.get("granted") {
            Some(granted) => json!({ "granted": granted }),
            None => json!({"refused": case["refused"]}),
        };
        assert_eq!(admitted, expected, "{case}");
    }
}

fn refusal_name(refusal: RequestRefusal) -> &'static str {
    match refusal {
        RequestRefusal::EmptyPrompt => "empty_prompt",
        RequestRefusal::PromptAboveMaxModelLen { .. } => "prompt_above_max_model_len",
        RequestRefusal::PromptFillsMaxModelLen { .. } => "prompt_fills_max_model_len",
        RequestRefusal::MaxTokensBelowOne => "max_tokens_below_one",
        RequestRefusal::MaxTokensAboveMaxModelLen { .. } => "max_tokens_above_max_model_len",
        _ => "ours",
    }
}

#[test]
fn a_prompt_that_vllm_would_keep_waiting_for_ever_is_refused() {
    #[track_caller]
    fn check(given: Value, num_prompt_tokens: u32, expect: Result<u32, RequestRefusal>) {
        let config = args(given).resolve(&gpu("NVIDIA H100", 80, 8192)).expect("resolves").config;
        assert_eq!(admit(&config, EntryPoint::ChatCompletions, num_prompt_tokens, Some(1)), expect);
    }
    let never = Err(RequestRefusal::NeverScheduled { num_prompt_tokens: 101, token_budget: 100 });
    check(json!({"enable_chunked_prefill": false, "max_num_scheduled_tokens": 100}), 101, never);
    check(json!({"enable_chunked_prefill": false, "max_num_scheduled_tokens": 100}), 100, Ok(1));
    check(json!({"enable_chunked_prefill": true, "max_num_scheduled_tokens": 100}), 101, Ok(1));
    check(json!({"enable_chunked_prefill": false}), 8191, Ok(1));
}

#[test]
fn a_counted_block_number_holds_for_the_memory_it_was_counted_under() {
    #[track_caller]
    fn check(given: Value, expect: Result<u32, ConfigError>) {
        let block_size = NonZeroU32::new(16).expect("16 is not 0");
        let kv_cache = KvCacheMemory::Blocks { num_gpu_blocks: 1001, block_size, gpu_memory_utilization: 0.92 };
        let platform = Platform { kv_cache, ..gpu("NVIDIA H100", 80, 8192) };
        assert_eq!(args(given).resolve(&platform).map(|resolved| resolved.config.num_gpu_blocks), expect);
    }
    check(json!({}), Ok(1001));
    check(json!({"gpu_memory_utilization": 0.92}), Ok(1001));
    check(json!({"block_size": 32}), Ok(500));
    check(json!({"num_gpu_blocks_override": 2000, "gpu_memory_utilization": 0.5}), Ok(2000));
    let refused = |field| Err(ConfigError::MemoryNotInProfile { field });
    check(json!({"gpu_memory_utilization": 0.9}), refused("gpu_memory_utilization"));
    check(json!({"kv_cache_memory_bytes": 1 << 30}), refused("kv_cache_memory_bytes"));
}

#[test]
fn integers_are_read_as_by_vllm() {
    let cases = recorded("human_readable_ints.json");
    assert!(cases.len() >= 50, "only {} cases", cases.len());
    for case in cases {
        let text = case["text"].as_str().expect("a text");
        assert_eq!(json!(human_readable_int(text).ok()), case["int"], "{text:?}");
        assert_eq!(json!(human_readable_int_or_auto(text).ok()), case["int_or_auto"], "{text:?} or auto");
    }
}

#[test]
fn a_simulated_flag_can_be_set_and_no_other() {
    let sample = |flag: &str| match flag {
        "--scheduling-policy" => "priority",
        "--performance-mode" => "throughput",
        "--watermark" => "0.25",
        "--spec-method" => "ngram",
        "--kv-offloading-backend" => "native",
        "--kv-transfer-config" => r#"{"kv_connector": "OffloadingConnector"}"#,
        "--speculative-config" | "-sc" => r#"{"method": "ngram"}"#,
        _ => "1",
    };
    for group in flags::SERVE {
        for flag in group.flags.iter().flat_map(|flag| [&[flag.name], flag.also].concat()) {
            let mut args = EngineArgs::default();
            let set = args.set(flag, None).or_else(|_| args.set(flag, Some(sample(flag))));
            assert_eq!(set.is_ok(), group.effect == FlagEffect::Simulated, "{flag}: {set:?}");
            assert_eq!(args != EngineArgs::default(), set.is_ok(), "{flag} sets a field");
        }
    }
}

#[test]
fn flags_are_read_as_on_the_command_line() {
    #[track_caller]
    fn check(flag: &str, value: Option<&str>, expect: Value) {
        let mut given = EngineArgs::default();
        given.set(flag, value).expect("the flag is taken");
        assert_eq!(given, args(expect));
    }
    check("--max-num-batched-tokens", Some("8k"), json!({"max_num_batched_tokens": 8000}));
    check("--max_num_batched_tokens", Some("8K"), json!({"max-num-batched-tokens": 8192}));
    check("--max-model-len", Some("auto"), json!({"max_model_len": -1}));
    check("--no-enable-prefix-caching", None, json!({"enable_prefix_caching": false}));
    check("--async-scheduling", None, json!({"async_scheduling": true}));
    check("-tp", Some("4"), json!({"tensor-parallel-size": 4}));
    check("--device-memory-utilization", Some("0.5"), json!({"gpu_memory_utilization": 0.5}));
    check("--scheduling-policy", Some("priority"), json!({"scheduling_policy": "priority"}));
}

#[test]
fn arguments_survive_being_written_and_read() {
    let given =
        json!({"max_num_seqs": 8, "watermark": 0.1, "scheduling_policy": "fcfs", "enable_prefix_caching": false});
    let written = serde_json::to_value(args(given.clone())).expect("arguments are JSON");
    assert_eq!(written, given, "under Python's names, and nothing that was not given");
    assert!(serde_json::from_value::<EngineArgs>(json!({"enable_lora": true})).is_err(), "unknown names are refused");
}
