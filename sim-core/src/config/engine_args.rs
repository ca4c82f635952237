//! Engine arguments as a user gives them: vLLM's names, nothing filled in yet.

use serde::{Deserialize, Deserializer, Serialize};

use super::SchedulingPolicy;
use super::flags::{self, FlagError};
use super::human_readable::{human_readable_int, human_readable_int_or_auto};
use super::kv_transfer_args::{KvOffloadingBackend, KvTransferArgs};
use super::speculative_args::SpeculativeArgs;
use crate::metrics::python_float;
use crate::vllm_version::VllmVersion;

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
    /// Finest token boundary of a prefix-cache hit; a model with one group of layers allows only the block size.
    #[serde(alias = "prefix-match-unit", skip_serializing_if = "Option::is_none")]
    pub prefix_match_unit: Option<i64>,
    /// Tokens between kept checkpoints of windows and states: 0 keeps those that a repeated or longer prompt can use,
    /// `Some(None)` (`None` on the command line) all.
    #[serde(
        alias = "prefix-cache-retention-interval",
        deserialize_with = "given_or_none",
        skip_serializing_if = "Option::is_none"
    )]
    pub prefix_cache_retention_interval: Option<Option<i64>>,
    /// Whether layers with a window or chunks keep all their blocks, so that one block table serves all layers.
    #[serde(alias = "disable-hybrid-kv-cache-manager", skip_serializing_if = "Option::is_none")]
    pub disable_hybrid_kv_cache_manager: Option<bool>,
    /// Tokens per block of Mamba states, in a model without attention.
    #[serde(alias = "mamba-block-size", skip_serializing_if = "Option::is_none")]
    pub mamba_block_size: Option<i64>,
    /// Whether a Mamba state is also kept where requests' common prefix ends, for a drafter's sake.
    #[serde(alias = "enable-mamba-shared-prefix-checkpoint", skip_serializing_if = "Option::is_none")]
    pub enable_mamba_shared_prefix_checkpoint: Option<bool>,
    /// Passes with tokens from one that carries prompt parts to the next.
    #[serde(alias = "prefill-schedule-interval", skip_serializing_if = "Option::is_none")]
    pub prefill_schedule_interval: Option<i64>,
    /// Steps from one at which data-parallel ranks of a model with experts ask each other for work to the next.
    #[serde(alias = "dp-sync-interval", skip_serializing_if = "Option::is_none")]
    pub dp_sync_interval: Option<i64>,
    /// Whether a router outside chooses among data-parallel ranks, and each has API servers of its own.
    #[serde(alias = "data-parallel-external-lb", skip_serializing_if = "Option::is_none")]
    pub data_parallel_external_lb: Option<bool>,
    /// Whether a router outside chooses among nodes, each of which balances its own data-parallel ranks.
    #[serde(alias = "data-parallel-hybrid-lb", skip_serializing_if = "Option::is_none")]
    pub data_parallel_hybrid_lb: Option<bool>,
    /// Data-parallel ranks of a node.
    #[serde(alias = "data-parallel-size-local", skip_serializing_if = "Option::is_none")]
    pub data_parallel_size_local: Option<i64>,
    /// API-server processes.
    #[serde(alias = "api-server-count", skip_serializing_if = "Option::is_none")]
    pub api_server_count: Option<i64>,
    /// The drafter, if there is to be one.
    #[serde(alias = "speculative-config", skip_serializing_if = "Option::is_none")]
    pub speculative_config: Option<SpeculativeArgs>,
    /// Whose rules are followed; the newest version's if not given. vLLM has no such argument.
    #[serde(alias = "vllm-version", with = "version_name", skip_serializing_if = "Option::is_none")]
    pub vllm_version: Option<VllmVersion>,
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
    /// GiB of host memory for KV blocks that the device gives up, over all devices.
    #[serde(alias = "kv-offloading-size", skip_serializing_if = "Option::is_none")]
    pub kv_offloading_size: Option<f64>,
    /// Who keeps them.
    #[serde(alias = "kv-offloading-backend", skip_serializing_if = "Option::is_none")]
    pub kv_offloading_backend: Option<KvOffloadingBackend>,
    /// The same in vLLM's longer form, and how they are kept.
    #[serde(alias = "kv-transfer-config", skip_serializing_if = "Option::is_none")]
    pub kv_transfer_config: Option<KvTransferArgs>,
    /// What the defaults are tuned for.
    #[serde(alias = "performance-mode", skip_serializing_if = "Option::is_none")]
    pub performance_mode: Option<PerformanceMode>,
}

/// A value that is there, be it null.
fn given_or_none<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<i64>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

/// A version by its name.
mod version_name {
    use alloc::string::String;

    use serde::de::Error as _;
    use serde::{Deserialize as _, Deserializer, Serializer};

    use crate::vllm_version::VllmVersion;

    #[expect(clippy::ref_option, reason = "serde calls it so")]
    pub(super) fn serialize<S: Serializer>(version: &Option<VllmVersion>, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(version.unwrap_or_default().name())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<VllmVersion>, D::Error> {
        let name = String::deserialize(deserializer)?;
        VllmVersion::from_name(&name).map(Some).ok_or_else(|| D::Error::custom("no version that is simulated"))
    }
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
        if let Some(key) = SpeculativeArgs::key_of_flag(flag) {
            let text = value.ok_or_else(|| FlagError::value(flag, "", "a value is needed"))?;
            let mut args = self.speculative_config.clone().unwrap_or_default();
            args.set_from_flag(key, text).map_err(FlagError::SpeculativeConfig)?;
            self.speculative_config = Some(args);
            return Ok(());
        }
        let flag = flags::normalised(flag);
        let written = flag.strip_prefix("--").unwrap_or(&flag);
        let positive = flags::positive(written).filter(|_| self.switch_mut(written).is_none());
        let (name, on) = match &positive {
            Some(name) if self.switch_mut(name).is_some() => (name.as_str(), false),
            _ => (written, true),
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
        if !self.set_value(name, &flag, text)? {
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
            "data-parallel-external-lb" | "-dpe" => &mut self.data_parallel_external_lb,
            "data-parallel-hybrid-lb" | "-dph" => &mut self.data_parallel_hybrid_lb,
            "disable-hybrid-kv-cache-manager" => &mut self.disable_hybrid_kv_cache_manager,
            "enable-mamba-shared-prefix-checkpoint" => &mut self.enable_mamba_shared_prefix_checkpoint,
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
            "mamba-block-size" => (&mut self.mamba_block_size, plain),
            "prefill-schedule-interval" => (&mut self.prefill_schedule_interval, plain),
            "dp-sync-interval" => (&mut self.dp_sync_interval, plain),
            "data-parallel-size-local" | "-dpl" => (&mut self.data_parallel_size_local, plain),
            "api-server-count" | "-asc" => (&mut self.api_server_count, plain),
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
        match name {
            "watermark" | "gpu-memory-utilization" | "device-memory-utilization" => {
                let text = text?;
                let value = python_float::parse(text).ok_or_else(|| FlagError::value(flag, text, "not a number"))?;
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
            "prefix-cache-retention-interval" => {
                let text = text?;
                let interval = if text == "None" { Some(None) } else { human_readable_int(text).ok().map(Some) };
                let need = "an integer, or None to keep all";
                self.prefix_cache_retention_interval =
                    Some(interval.ok_or_else(|| FlagError::value(flag, text, need))?);
            }
            "speculative-config" | "-sc" => {
                let args = SpeculativeArgs::from_json(text?).map_err(FlagError::SpeculativeConfig)?;
                self.speculative_config = Some(args);
            }
            "kv-offloading-size" if text.as_ref().is_ok_and(|text| *text == "None") => self.kv_offloading_size = None,
            "kv-offloading-size" => {
                let text = text?;
                let value = python_float::parse(text).ok_or_else(|| FlagError::value(flag, text, "not a number"))?;
                self.kv_offloading_size = Some(value);
            }
            "kv-offloading-backend" => {
                self.kv_offloading_backend = Some(match text? {
                    "native" => KvOffloadingBackend::Native,
                    "lmcache" => KvOffloadingBackend::Lmcache,
                    text => return Err(FlagError::value(flag, text, "one of lmcache, native")),
                });
            }
            "kv-transfer-config" if text.as_ref().is_ok_and(|text| *text == "None") => self.kv_transfer_config = None,
            "kv-transfer-config" => {
                let args = KvTransferArgs::from_json(text?).map_err(FlagError::KvTransferConfig)?;
                self.kv_transfer_config = Some(args);
            }
            "vllm-version" => {
                let text = text?;
                let version = VllmVersion::from_name(text);
                self.vllm_version = Some(version.ok_or_else(|| FlagError::value(flag, text, "one of 0.32.0, 0.33.0"))?);
            }
            _ => return Ok(false),
        }
        Ok(true)
    }
}
