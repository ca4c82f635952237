//! The defaults of `max_num_batched_tokens` and `max_num_seqs`, and the order in which they shape each other
//! (`arg_utils.py::get_batch_defaults` and `_set_default_max_num_seqs_and_batched_tokens_args`).

use alloc::format;
use alloc::string::String;

use super::engine_args::{EngineArgs, PerformanceMode};
use super::platform::{Device, Platform, UsageContext};
use super::reasons::Resolved;
use crate::vllm_version::VllmVersion;

const GIB: u64 = 1 << 30;

/// The two figures every pass is limited by.
pub(super) struct BatchLimits {
    pub(super) max_num_batched_tokens: Resolved<i64>,
    pub(super) max_num_seqs: Resolved<i64>,
}

/// The two defaults of a device and context, and the words for them.
struct Row {
    max_num_batched_tokens: i64,
    max_num_seqs: i64,
    why: String,
}

/// A default on its way: the value and how it came about.
struct Draft {
    value: i64,
    why: String,
}

impl Draft {
    /// Replaces the value if it differs, and says why.
    fn change(&mut self, value: i64, why: &str) {
        if value != self.value {
            self.value = value;
            self.why = format!("{}, {why}", self.why);
        }
    }
}

impl BatchLimits {
    /// Both figures, each given or default. `max_model_len` is the length before it is fitted to the KV cache.
    pub(super) fn resolve(args: &EngineArgs, platform: &Platform, chunked: bool, max_model_len: u32) -> Self {
        let row = device_row(platform, args.vllm_version.unwrap_or_default());
        let mut tokens = Draft { value: row.max_num_batched_tokens, why: row.why.clone() };
        let mut seqs = Draft { value: row.max_num_seqs, why: row.why };
        if let Some(given) = args.max_num_batched_tokens {
            tokens.value = given;
        }
        if let Some(given) = args.max_num_seqs {
            seqs.value = given;
        }
        if args.performance_mode == Some(PerformanceMode::Throughput) {
            for (draft, given) in [(&mut tokens, args.max_num_batched_tokens), (&mut seqs, args.max_num_seqs)] {
                if given.is_none() {
                    draft.change(draft.value.saturating_mul(2), "doubled by performance_mode = throughput");
                }
            }
        }
        if args.max_num_batched_tokens.is_none() {
            let length = i64::from(max_model_len);
            if !chunked {
                let why = format!("raised to max_model_len = {length} as chunked prefill is off");
                tokens.change(tokens.value.max(length), &why);
            }
            let most = seqs.value.saturating_mul(length);
            let why = format!("lowered to max_num_seqs × max_model_len = {} × {length}", seqs.value);
            tokens.change(tokens.value.min(most), &why);
        }
        if args.max_num_seqs.is_none() {
            seqs.change(seqs.value.min(tokens.value), &format!("lowered to max_num_batched_tokens = {}", tokens.value));
        }
        Self {
            max_num_batched_tokens: finish(args.max_num_batched_tokens, tokens),
            max_num_seqs: finish(args.max_num_seqs, seqs),
        }
    }
}

fn finish(given: Option<i64>, draft: Draft) -> Resolved<i64> {
    given.map_or_else(|| Resolved::default(draft.value, draft.why), Resolved::given)
}

/// `get_batch_defaults`, with the defaults of `SchedulerConfig` for a context that is in no table.
fn device_row(platform: &Platform, version: VllmVersion) -> Row {
    let (offline, who) = match platform.usage_context {
        UsageContext::LlmClass => (true, "the LLM class"),
        UsageContext::OpenAiApiServer => (false, "the API server"),
        UsageContext::Other => {
            return Row {
                max_num_batched_tokens: 2048,
                max_num_seqs: 128,
                why: String::from(
                    "default of an engine that is started neither by the LLM class nor by the API server",
                ),
            };
        }
    };
    let (tokens, seqs, device) = match &platform.device {
        Device::Cpu { .. } => {
            let world = i64::from(platform.tensor_parallel_size) * i64::from(platform.pipeline_parallel_size);
            let (tokens, seqs) = if offline { (4096, 256) } else { (2048, 128) };
            (tokens * world, seqs * world, format!("the CPU with {world} worker{}", if world == 1 { "" } else { "s" }))
        }
        Device::Gpu { total_memory_bytes, .. } if *total_memory_bytes >= 160 * GIB => {
            (16384, 1024, String::from("a GPU of at least 160 GiB"))
        }
        Device::Gpu { name, total_memory_bytes, compute_capability } => {
            let a100 = name.to_lowercase().contains("a100");
            let gb10 = version.knows_gb10() && compute_capability.as_deref() == Some("12.1");
            if *total_memory_bytes >= 70 * GIB && !a100 && !gb10 {
                let tokens = if offline { 16384 } else { 8192 };
                (tokens, 1024, String::from("a GPU of at least 70 GiB that is not an A100"))
            } else {
                let device = match (a100, gb10) {
                    (true, _) => "an A100",
                    (_, true) => "a GB10",
                    _ => "a GPU of less than 70 GiB",
                };
                (if offline { 8192 } else { 2048 }, 256, String::from(device))
            }
        }
    };
    Row { max_num_batched_tokens: tokens, max_num_seqs: seqs, why: format!("{who} on {device}") }
}
