//! What the engine configuration says: every refusal, warning and reason, as a user reads it.

use std::fmt::Write as _;
use std::num::NonZeroU32;

use serde_json::{Value, json};
use sim_core::config::flags::{bench_serve_flag, serve_flag};
use sim_core::config::{
    Device, EngineArgs, EntryPoint, KvCacheMemory, Platform, Reason, UsageContext, admit, human_readable_int,
};
use sim_core::scenario::told::engine_settings;

use crate::config::{args, gpu};

fn h100() -> Platform {
    gpu("NVIDIA H100 80GB HBM3", 80, 131_072)
}

fn counted_blocks() -> Platform {
    let block_size = NonZeroU32::new(16).expect("16 is not 0");
    let kv_cache = KvCacheMemory::Blocks { num_gpu_blocks: 1000, block_size, gpu_memory_utilization: 0.92 };
    Platform { kv_cache, ..h100() }
}

/// One line per case: what was given, and what is said about it.
fn lines<'a>(
    cases: impl IntoIterator<Item = (&'a Platform, Value)>,
    say: impl Fn(&Platform, EngineArgs) -> String,
) -> String {
    cases.into_iter().fold(String::new(), |mut text, (platform, given)| {
        let said = say(platform, args(given.clone()));
        writeln!(text, "{given}\n  {}", said.trim_end().replace('\n', "\n  ")).expect("a string takes everything");
        text
    })
}

#[test]
fn refusals_name_field_value_limit_and_way_out() {
    let (measured, counted) = (h100(), counted_blocks());
    let cases = [
        (&measured, json!({"max_num_seqs": 0})),
        (&measured, json!({"long_prefill_token_threshold": -1})),
        (&measured, json!({"max_model_len": 0})),
        (&measured, json!({"watermark": 1.0})),
        (&measured, json!({"gpu_memory_utilization": 1.5})),
        (&measured, json!({"max_model_len": 200_000})),
        (&measured, json!({"max_num_batched_tokens": 4096, "enable_chunked_prefill": false})),
        (&measured, json!({"max_num_batched_tokens": 64, "max_num_seqs": 65})),
        (&measured, json!({"max_num_seqs": 8, "max_num_active_seqs": 9})),
        (&measured, json!({"max_model_len": 2048, "long_prefill_token_threshold": 2049})),
        (&measured, json!({"kv_cache_memory_bytes": 1 << 20})),
        (&measured, json!({"num_gpu_blocks_override": 0})),
        (&measured, json!({"kv_cache_memory_bytes": 4_294_967_296_i64})),
        (&measured, json!({"kv_cache_memory_bytes": 2_000_000})),
        (&measured, json!({"num_gpu_blocks_override": 1, "max_model_len": -1})),
        (&counted, json!({})),
        (&counted, json!({"num_gpu_blocks_override": 1})),
        (&measured, json!({"prefix_match_unit": 8})),
        (&measured, json!({"tensor_parallel_size": 2})),
        (&measured, json!({"performance_mode": "interactivity"})),
        (&counted, json!({"gpu_memory_utilization": 0.5})),
        (&measured, json!({"max_num_seqs": 8, "max_num_batched_tokens": 5_000_000_000_i64})),
    ];
    let text = lines(cases, |platform, given| given.resolve(platform).expect_err("the case is refused").to_string());
    insta::assert_snapshot!(text);
}

#[test]
fn warnings_say_what_is_doubtful() {
    let cpu = Platform { device: Device::Cpu { total_memory_bytes: 64 << 30 }, ..gpu("", 0, 8192) };
    let gpu = h100();
    let cases = [
        (&gpu, json!({"max_num_seqs": 2, "max_model_len": 100, "max_num_batched_tokens": 500})),
        (&gpu, json!({"enable_chunked_prefill": false})),
        (&gpu, json!({"enable_chunked_prefill": false, "max_num_scheduled_tokens": 1000})),
        (&cpu, json!({"block_size": 16, "async_scheduling": true})),
    ];
    let text = lines(cases, |platform, given| {
        let warnings = given.resolve(platform).expect("the case resolves").warnings;
        assert!(!warnings.is_empty(), "the case is warned of");
        warnings.iter().map(|warning| format!("{warning}\n")).collect()
    });
    insta::assert_snapshot!(text);
}

#[test]
fn reasons_say_where_a_value_comes_from() {
    let server = h100();
    let offline = Platform { usage_context: UsageContext::LlmClass, ..gpu("NVIDIA A100-SXM4-80GB", 80, 4096) };
    let cpu = Platform { device: Device::Cpu { total_memory_bytes: 64 << 30 }, ..gpu("", 0, 8192) };
    let counted = Platform { model_max_len: 8192, ..counted_blocks() };
    let cases = [
        (&server, json!({})),
        (
            &server,
            json!({"max_num_seqs": 4, "max_model_len": 1000, "performance_mode": "throughput", "watermark": 0.01}),
        ),
        (&offline, json!({"enable_chunked_prefill": false, "max_num_seqs": 1, "kv_cache_memory_bytes": 1 << 30})),
        (&offline, json!({"max_num_batched_tokens": 100, "num_gpu_blocks_override": 100, "max_model_len": -1})),
        (&cpu, json!({"async_scheduling": true})),
        (&counted, json!({"max_model_len": -1, "block_size": 32})),
    ];
    let text = lines(cases, |platform, given| {
        let resolved = given.resolve(platform).expect("the case resolves");
        let settings = engine_settings(&resolved).count();
        assert_eq!(settings, resolved.reasons.len(), "one reason for every setting that is told");
        let say = |reason: &Reason| match reason {
            Reason::Given => "given".to_owned(),
            Reason::Default { why } => format!("default ({why})"),
            Reason::Overridden { why } => format!("not as given ({why})"),
        };
        resolved.reasons.iter().map(|entry| format!("{}: {}\n", entry.field, say(&entry.reason))).collect()
    });
    insta::assert_snapshot!(text);
}

#[test]
fn request_refusals_name_value_and_limit() {
    let platform = gpu("NVIDIA H100", 80, 64);
    let cases = [
        (json!({}), EntryPoint::Llm, 0, None),
        (json!({}), EntryPoint::Llm, 65, None),
        (json!({}), EntryPoint::Completions, 64, None),
        (json!({}), EntryPoint::Llm, 5, Some(0)),
        (json!({}), EntryPoint::ChatCompletions, 5, Some(65)),
        (json!({"enable_chunked_prefill": false, "max_num_scheduled_tokens": 20}), EntryPoint::Llm, 21, None),
    ];
    let text: String = cases
        .into_iter()
        .map(|(given, entry_point, prompt, max_tokens)| {
            let config = args(given).resolve(&platform).expect("resolves").config;
            format!("{}\n", admit(&config, entry_point, prompt, max_tokens).expect_err("the case is refused"))
        })
        .collect();
    insta::assert_snapshot!(text);
}

#[test]
fn flags_that_are_not_taken_say_why() {
    let mut text = String::new();
    for flag in ["--enable-lora", "--data-parallel-rank", "-dcp", "--ec_transfer_config", "--stream-interval", "--foo"]
    {
        writeln!(text, "{}", serve_flag(flag, None).expect_err("the flag is refused")).expect("a string takes it");
    }
    for flag in ["--probe-request-rate=3", "--no-stream", "--backend=tgi", "--no-such"] {
        writeln!(text, "{}", bench_serve_flag(flag, None).expect_err("the flag is refused"))
            .expect("a string takes it");
    }
    for (flag, value) in [
        ("--max-num-seqs", Some("1k")),
        ("--max-num-batched-tokens", Some("1.5K")),
        ("--max-num-seqs", None),
        ("--enable-prefix-caching", Some("yes")),
        ("--no-max-num-seqs", Some("3")),
        ("--scheduling-policy", Some("lifo")),
        ("--watermark", Some("x")),
        ("--port", Some("80")),
        ("--compilation-config.mode", Some("3")),
        ("--enable-lora", None),
    ] {
        let refused = EngineArgs::default().set(flag, value).expect_err("the flag is refused");
        writeln!(text, "{refused}").expect("a string takes it");
    }
    writeln!(text, "{}", human_readable_int("1.5K").expect_err("not an integer")).expect("a string takes it");
    insta::assert_snapshot!(text);
}
