//! Engine arguments as a user gives them: vLLM's names, nothing filled in yet.

use serde::{Deserialize, Serialize};

use super::SchedulingPolicy;
use super::flags::{self, FlagError};
use super::human_readable::{human_readable_int, human_readable_int_or_auto};

/// `--performance-mode` (`vllm/config/vllm.py::PerformanceMode`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PerformanceMode {
    /// vLLM's default.
    Balanced,
    /// Captures more small batch sizes as CUDA graphs; changes step times, so it is refused.
    Interactivity,
    /// Doubles the defaults of `max_num_batched_tokens` and `max_num_seqs`.
    Throughput,
}

/// The simulated engine arguments of `vllm serve` and `LLM(...)`, each `None` until given.
///
/// Integers are signed and wide, so that what a user typed can be refused by its own value. Serialised with vLLM's
/// Python names and without what was not given; read with Python names (`max_num_seqs`) and flag names
/// (`max-num-seqs`). An unknown name is an error.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EngineArgs {
    /// Longest sequence, prompt and output together; -1 for the largest the KV cache can hold.
    #[serde(alias = "max-model-len", skip_serializing_if = "Option::is_none")]
    pub max_model_len: Option<i64>,
    /// Most input tokens of one pass.
    #[serde(alias = "max-num-batched-tokens", skip_serializing_if = "Option::is_none")]
    pub max_num_batched_tokens: Option<i64>,
    /// Token budget of one pass, where it is to be smaller than `max_num_batched_tokens`.
    #[serde(alias = "max-num-scheduled-tokens", skip_serializing_if = "Option::is_none")]
    pub max_num_scheduled_tokens: Option<i64>,
    /// Most requests of one pass.
    #[serde(alias = "max-num-seqs", skip_serializing_if = "Option::is_none")]
    pub max_num_seqs: Option<i64>,
    /// Most requests in the running list, where it is to be smaller than `max_num_seqs`.
    #[serde(alias = "max-num-active-seqs", skip_serializing_if = "Option::is_none")]
    pub max_num_active_seqs: Option<i64>,
    /// Most tokens of one request in one pass; 0 for no limit.
    #[serde(alias = "long-prefill-token-threshold", skip_serializing_if = "Option::is_none")]
    pub long_prefill_token_threshold: Option<i64>,
    /// Whether that limit rises to a fair share of the budget.
    #[serde(alias = "long-prefill-token-threshold-adaptive", skip_serializing_if = "Option::is_none")]
    pub long_prefill_token_threshold_adaptive: Option<bool>,
    /// Waiting order and preemption victim.
    #[serde(alias = "scheduling-policy", skip_serializing_if = "Option::is_none")]
    pub scheduling_policy: Option<SchedulingPolicy>,
    /// Whether a prompt may be computed in several passes.
    #[serde(alias = "enable-chunked-prefill", skip_serializing_if = "Option::is_none")]
    pub enable_chunked_prefill: Option<bool>,
    /// Whether full blocks are kept and found again by content.
    #[serde(alias = "enable-prefix-caching", skip_serializing_if = "Option::is_none")]
    pub enable_prefix_caching: Option<bool>,
    /// Whether a request is admitted only if its whole known sequence would fit now.
    #[serde(alias = "scheduler-reserve-full-isl", skip_serializing_if = "Option::is_none")]
    pub scheduler_reserve_full_isl: Option<bool>,
    /// Share of all blocks kept free at admission, from 0 up to but not including 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub watermark: Option<f64>,
    /// Whether a pass is prepared while another runs.
    #[serde(alias = "async-scheduling", skip_serializing_if = "Option::is_none")]
    pub async_scheduling: Option<bool>,
    /// Tokens per KV block.
    #[serde(alias = "block-size", skip_serializing_if = "Option::is_none")]
    pub block_size: Option<i64>,
    /// Finest token boundary of a prefix-cache hit; a model with one kind of layer allows only the block size.
    #[serde(alias = "prefix-match-unit", skip_serializing_if = "Option::is_none")]
    pub prefix_match_unit: Option<i64>,
    /// Share of the device's memory the engine may use, above 0 and at most 1.
    #[serde(
        alias = "gpu-memory-utilization",
        alias = "device-memory-utilization",
        alias = "device_memory_utilization",
        skip_serializing_if = "Option::is_none"
    )]
    pub gpu_memory_utilization: Option<f64>,
    /// Bytes of the KV cache of one device, instead of what `gpu_memory_utilization` leaves. On a GPU, 0 is not given.
    #[serde(alias = "kv-cache-memory-bytes", skip_serializing_if = "Option::is_none")]
    pub kv_cache_memory_bytes: Option<i64>,
    /// KV blocks, the null block included, instead of what the memory gives.
    #[serde(alias = "num-gpu-blocks-override", skip_serializing_if = "Option::is_none")]
    pub num_gpu_blocks_override: Option<i64>,
    /// Tensor-parallel ranks; must be the profile's.
    #[serde(alias = "tensor-parallel-size", skip_serializing_if = "Option::is_none")]
    pub tensor_parallel_size: Option<i64>,
    /// Pipeline stages; must be the profile's.
    #[serde(alias = "pipeline-parallel-size", skip_serializing_if = "Option::is_none")]
    pub pipeline_parallel_size: Option<i64>,
    /// What the defaults are tuned for.
    #[serde(alias = "performance-mode", skip_serializing_if = "Option::is_none")]
    pub performance_mode: Option<PerformanceMode>,
}

/// Reads the text of an integer; `None` if it is not one.
type IntegerParser = fn(&str) -> Option<i64>;

impl EngineArgs {
    /// Sets one argument as `vllm serve` reads it from a command line: `--max-num-seqs` or `--max_num_seqs` with its
    /// value's text, `--enable-prefix-caching` and `--no-enable-prefix-caching` without one. Integers may have the
    /// suffixes vLLM allows for that flag ([`human_readable_int`]).
    ///
    /// # Errors
    /// [`FlagError::Unknown`] and [`FlagError::NotSimulated`] by [`flags::serve_flag`]; [`FlagError::NotHere`] if the
    /// flag needs no simulation; [`FlagError::Value`] if the value is missing, superfluous or not of the flag's type.
    pub fn set(&mut self, flag: &str, value: Option<&str>) -> Result<(), FlagError> {
        let flag = flags::normalised(flag);
        let (name, on) = match flag.strip_prefix("--no-") {
            Some(name) => (name, false),
            None => (flag.strip_prefix("--").unwrap_or(&flag), true),
        };
        if let Some(switch) = self.switch_mut(name) {
            return match value {
                None => {
                    *switch = Some(on);
                    Ok(())
                }
                Some(value) => Err(FlagError::value(&flag, value, "a switch takes no value")),
            };
        }
        let text = value.ok_or_else(|| FlagError::value(&flag, "", "a value is needed"));
        if !on || !self.set_value(name, &flag, text)? {
            return Err(flags::not_settable(&flag, value));
        }
        Ok(())
    }

    /// The switch called `name`.
    fn switch_mut(&mut self, name: &str) -> Option<&mut Option<bool>> {
        Some(match name {
            "long-prefill-token-threshold-adaptive" => &mut self.long_prefill_token_threshold_adaptive,
            "enable-chunked-prefill" => &mut self.enable_chunked_prefill,
            "enable-prefix-caching" => &mut self.enable_prefix_caching,
            "scheduler-reserve-full-isl" => &mut self.scheduler_reserve_full_isl,
            "async-scheduling" => &mut self.async_scheduling,
            _ => return None,
        })
    }

    /// Sets the argument called `name` if it is one with a value, and says whether it is.
    fn set_value(&mut self, name: &str, flag: &str, text: Result<&str, FlagError>) -> Result<bool, FlagError> {
        let plain = |text: &str| human_readable_int(text).ok().filter(|_| !text.contains(char::is_alphabetic));
        let (field, parse): (_, IntegerParser) = match name {
            "max-model-len" => (&mut self.max_model_len, |text| human_readable_int_or_auto(text).ok()),
            "max-num-batched-tokens" => (&mut self.max_num_batched_tokens, |text| human_readable_int(text).ok()),
            "max-num-scheduled-tokens" => (&mut self.max_num_scheduled_tokens, |text| human_readable_int(text).ok()),
            "kv-cache-memory-bytes" => (&mut self.kv_cache_memory_bytes, |text| human_readable_int(text).ok()),
            "max-num-seqs" => (&mut self.max_num_seqs, plain),
            "max-num-active-seqs" => (&mut self.max_num_active_seqs, plain),
            "long-prefill-token-threshold" => (&mut self.long_prefill_token_threshold, plain),
            "block-size" => (&mut self.block_size, plain),
            "prefix-match-unit" => (&mut self.prefix_match_unit, plain),
            "num-gpu-blocks-override" => (&mut self.num_gpu_blocks_override, plain),
            "tensor-parallel-size" | "-tp" => (&mut self.tensor_parallel_size, plain),
            "pipeline-parallel-size" | "-pp" => (&mut self.pipeline_parallel_size, plain),
            _ => return self.set_other(name, flag, text),
        };
        let text = text?;
        *field = Some(parse(text).ok_or_else(|| FlagError::value(flag, text, "not an integer this flag takes"))?);
        Ok(true)
    }

    /// The arguments whose values are not integers.
    fn set_other(&mut self, name: &str, flag: &str, text: Result<&str, FlagError>) -> Result<bool, FlagError> {
        let fraction = |text: &str| text.trim().parse::<f64>().ok();
        match name {
            "watermark" | "gpu-memory-utilization" | "device-memory-utilization" => {
                let text = text?;
                let value = fraction(text).ok_or_else(|| FlagError::value(flag, text, "not a number"))?;
                *(if name == "watermark" { &mut self.watermark } else { &mut self.gpu_memory_utilization }) =
                    Some(value);
            }
            "scheduling-policy" => {
                self.scheduling_policy = Some(match text? {
                    "fcfs" => SchedulingPolicy::Fcfs,
                    "priority" => SchedulingPolicy::Priority,
                    text => return Err(FlagError::value(flag, text, "one of fcfs, priority")),
                });
            }
            "performance-mode" => {
                self.performance_mode = Some(match text? {
                    "balanced" => PerformanceMode::Balanced,
                    "interactivity" => PerformanceMode::Interactivity,
                    "throughput" => PerformanceMode::Throughput,
                    text => {
                        return Err(FlagError::value(flag, text, "one of balanced, interactivity, throughput"));
                    }
                });
            }
            _ => return Ok(false),
        }
        Ok(true)
    }
}
