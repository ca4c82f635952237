//! Why an engine does not start with the given arguments.

use core::fmt;

use super::speculation::SpeculationError;
use crate::kv_cache::PlanningError;
use crate::math;

/// Why [`EngineArgs::resolve`](super::EngineArgs::resolve) refuses. All but [the simulator's own](Self::is_simulators_own)
/// are refusals of vLLM at start-up.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum ConfigError {
    /// The integer `value` of `field` is outside `range` (the `Field(ge=…, gt=…)` of vLLM's config classes;
    /// `max_model_len` 0, which vLLM takes to later checks, is refused here).
    IntegerOutOfRange {
        /// The argument.
        field: &'static str,
        /// What was given.
        value: i64,
        /// What is allowed, in words.
        range: &'static str,
    },
    /// The number `value` of `field` is outside `range`, or not a number.
    FractionOutOfRange {
        /// The argument.
        field: &'static str,
        /// What was given.
        value: f64,
        /// What is allowed, in words.
        range: &'static str,
    },
    /// `max_model_len` is above the model's own length (`model.py::_get_and_verify_max_len`).
    MaxModelLenAboveModel {
        /// What was given.
        max_model_len: i64,
        /// The model's.
        model_max_len: u32,
    },
    /// Chunked prefill is off and `max_num_batched_tokens < max_model_len` (`SchedulerConfig.verify_max_model_len`, as
    /// the next three).
    MaxNumBatchedTokensBelowMaxModelLen {
        /// The token figure.
        max_num_batched_tokens: i64,
        /// The length it must reach.
        max_model_len: u32,
    },
    /// `max_num_batched_tokens < max_num_seqs`.
    MaxNumBatchedTokensBelowMaxNumSeqs {
        /// The token figure.
        max_num_batched_tokens: i64,
        /// The sequences, each of which needs one token.
        max_num_seqs: i64,
    },
    /// `max_num_active_seqs > max_num_seqs`.
    MaxNumActiveSeqsAboveMaxNumSeqs {
        /// What was given.
        max_num_active_seqs: i64,
        /// The limit.
        max_num_seqs: i64,
    },
    /// `long_prefill_token_threshold > max_model_len`.
    LongPrefillTokenThresholdAboveMaxModelLen {
        /// What was given.
        long_prefill_token_threshold: i64,
        /// The limit.
        max_model_len: u32,
    },
    /// Nothing is left for the KV cache but, at most, vLLM's null block
    /// (`kv_cache_utils.py::_check_enough_kv_cache_memory`).
    NoKvCacheMemory {
        /// Blocks there would be.
        num_gpu_blocks: i64,
        /// Bytes for the KV cache; `None` if they come from a block count.
        available_bytes: Option<i64>,
        /// The argument that decides how many there are.
        raise: &'static str,
    },
    /// The usable blocks, which are all but the null block, cannot hold one sequence of `max_model_len` tokens (same
    /// function).
    KvCacheTooSmall {
        /// The length that was to fit.
        max_model_len: u32,
        /// Blocks it takes.
        needed_blocks: i64,
        /// Blocks there are, without the null block.
        usable_blocks: i64,
        /// Bytes of one block; `None` where only block counts are known.
        bytes_per_block: Option<i64>,
        /// Bytes for the KV cache without the null block; `None` likewise.
        usable_bytes: Option<i64>,
        /// The longest sequence that would fit; 0 for none.
        estimated_max_model_len: i64,
        /// The argument that decides how many blocks there are.
        raise: &'static str,
    },
    /// `max_model_len` is -1 and not even one token fits (`kv_cache_utils.py::_auto_fit_max_model_len`).
    NothingFits {
        /// Blocks there would be, the null block included.
        num_gpu_blocks: i64,
        /// The argument that decides how many there are.
        raise: &'static str,
    },
    /// The model's layers cannot be served together, or hits cannot end where they were asked to.
    KvCachePlanning(PlanningError),
    /// `disable_hybrid_kv_cache_manager` is given as false for a model with chunks and a drafter over its hidden states,
    /// which have none (`VllmConfig.__post_init__`).
    HybridKvCacheManager,
    /// The drafter is refused.
    Speculation(SpeculationError),
    /// `mamba_block_size` is given without prefix caching (`VllmConfig.validate_mamba_block_size`).
    MambaBlockSizeWithoutPrefixCaching {
        /// What was given.
        mamba_block_size: i64,
    },
    /// `async_scheduling` is given as true, with pipeline stages and the older worker, in a version that refuses that
    /// before its CPU backend turns it off (`VllmConfig.__post_init__`).
    AsyncPipelineOfOldRunner {
        /// Stages.
        pipeline_parallel_size: u32,
    },
    /// A model with Mamba layers has prefix caching on and chunked prefill off (`MambaModelConfig`).
    MambaWithoutChunkedPrefill,
    /// The simulator's own: `field` decides what was measured, and the profile holds for another value.
    NotInProfile {
        /// The argument.
        field: &'static str,
        /// What was given.
        given: i64,
        /// What the profile was measured with.
        profile: u32,
    },
    /// The simulator's own: `field` needs the sizes of memory and weights, and the profile holds a block count only.
    MemoryNotInProfile {
        /// The argument.
        field: &'static str,
    },
    /// The simulator's own: `performance_mode` is `interactivity`, which changes the captured batch sizes.
    InteractivityNotSimulated,
    /// Host memory for KV blocks is asked for in a way that vLLM refuses.
    KvOffloading {
        /// The argument.
        field: &'static str,
        /// What is wrong.
        why: &'static str,
    },
    /// The simulator's own: host memory for KV blocks is asked for in a way that is not simulated.
    KvOffloadingNotSimulated {
        /// The argument.
        field: &'static str,
        /// What is.
        why: &'static str,
    },
    /// The simulator's own: `field` is above 4,294,967,295.
    TooLarge {
        /// The argument.
        field: &'static str,
        /// What was given, or follows from what was given.
        value: i64,
    },
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::IntegerOutOfRange { field, value, range } => write!(f, "{field} = {value}: must be {range}"),
            Self::FractionOutOfRange { field, value, range } => write!(f, "{field} = {value}: must be {range}"),
            Self::MaxModelLenAboveModel { max_model_len, model_max_len } => write!(
                f,
                "max_model_len = {max_model_len} is above the model's own {model_max_len}: lower it, or leave it out"
            ),
            Self::MaxNumBatchedTokensBelowMaxModelLen { max_num_batched_tokens, max_model_len } => write!(
                f,
                "max_num_batched_tokens = {max_num_batched_tokens} is below max_model_len = {max_model_len} while \
                 enable_chunked_prefill = false, so the longest prompts would fit in no pass: raise \
                 max_num_batched_tokens, lower max_model_len, or allow chunked prefill"
            ),
            Self::MaxNumBatchedTokensBelowMaxNumSeqs { max_num_batched_tokens, max_num_seqs } => write!(
                f,
                "max_num_batched_tokens = {max_num_batched_tokens} is below max_num_seqs = {max_num_seqs}, and every \
                 running request needs one token of a pass: raise max_num_batched_tokens or lower max_num_seqs"
            ),
            Self::MaxNumActiveSeqsAboveMaxNumSeqs { max_num_active_seqs, max_num_seqs } => write!(
                f,
                "max_num_active_seqs = {max_num_active_seqs} is above max_num_seqs = {max_num_seqs}: lower the former \
                 or raise the latter"
            ),
            Self::LongPrefillTokenThresholdAboveMaxModelLen { long_prefill_token_threshold, max_model_len } => write!(
                f,
                "long_prefill_token_threshold = {long_prefill_token_threshold} is above max_model_len = \
                 {max_model_len}: lower it, or set it to 0 for no limit"
            ),
            Self::KvCachePlanning(error) => error.fmt(f),
            Self::Speculation(error) => error.fmt(f),
            Self::MambaBlockSizeWithoutPrefixCaching { mamba_block_size } => {
                write!(f, "mamba_block_size = {mamba_block_size}: vLLM takes it only with enable_prefix_caching")
            }
            Self::AsyncPipelineOfOldRunner { pipeline_parallel_size } => write!(
                f,
                "async_scheduling = true: this worker has none with pipeline_parallel_size = {pipeline_parallel_size}; \
                 leave it out"
            ),
            Self::HybridKvCacheManager => f.write_str(
                "disable_hybrid_kv_cache_manager = false: vLLM has no groups for layers that attend in chunks beside a \
                 drafter over the model's hidden states. Leave --no-disable-hybrid-kv-cache-manager out",
            ),
            Self::MambaWithoutChunkedPrefill => f.write_str(
                "enable_chunked_prefill = false: a model with Mamba or linear-attention layers needs chunked prefill \
                 for its prefix cache; allow it, or set enable_prefix_caching to false",
            ),
            Self::NotInProfile { field, given, profile } => write!(
                f,
                "{field} = {given}, but the profile was measured with {profile}: choose a profile measured with {given}"
            ),
            Self::MemoryNotInProfile { field } => write!(
                f,
                "{field} cannot be changed: the profile says how many KV blocks there were, not how large memory and \
                 weights are; give num_gpu_blocks_override instead"
            ),
            Self::KvOffloading { field, why } | Self::KvOffloadingNotSimulated { field, why } => {
                write!(f, "{field}: {why}")
            }
            Self::InteractivityNotSimulated => f.write_str(
                "performance_mode = interactivity is not simulated: it pads batches to other sizes than the profile \
                 was measured with",
            ),
            Self::TooLarge { field, value } => write!(f, "{field} = {value}: the simulator counts to 4294967295"),
            Self::NoKvCacheMemory { .. } | Self::KvCacheTooSmall { .. } | Self::NothingFits { .. } => self.fmt_kv(f),
        }
    }
}

impl ConfigError {
    /// Whether vLLM may start all the same, as it is the simulator that does not go on.
    #[must_use]
    pub const fn is_simulators_own(&self) -> bool {
        match self {
            Self::NotInProfile { .. }
            | Self::MemoryNotInProfile { .. }
            | Self::InteractivityNotSimulated
            | Self::KvOffloadingNotSimulated { .. }
            | Self::TooLarge { .. } => true,
            Self::KvCachePlanning(error) => {
                matches!(error, PlanningError::NumLayers { .. } | PlanningError::BlockSizes)
            }
            Self::Speculation(error) => error.is_simulators_own(),
            _ => false,
        }
    }

    /// The three messages about room in the KV cache.
    fn fmt_kv(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoKvCacheMemory { num_gpu_blocks, available_bytes, raise } => {
                write!(f, "nothing is left for the KV cache: its number of blocks is {num_gpu_blocks}")?;
                if let Some(bytes) = available_bytes {
                    write!(f, " ({:.2} GiB)", gib(*bytes))?;
                }
                write!(f, ", and vLLM keeps one block for itself: raise {raise}")
            }
            Self::NothingFits { num_gpu_blocks, raise } => write!(
                f,
                "max_model_len = -1 finds no length that fits: the number of KV blocks is {num_gpu_blocks}, and vLLM \
                 keeps one block for itself: raise {raise}"
            ),
            Self::KvCacheTooSmall {
                max_model_len,
                needed_blocks,
                usable_blocks,
                bytes_per_block,
                usable_bytes,
                estimated_max_model_len,
                raise,
            } => {
                write!(f, "one request of max_model_len = {max_model_len} tokens needs {needed_blocks} KV blocks")?;
                if let (Some(per_block), Some(usable)) = (bytes_per_block, usable_bytes) {
                    let needed = gib(per_block.saturating_mul(*needed_blocks));
                    write!(f, " ({needed:.2} GiB), of {usable_blocks} usable ({:.2} GiB): ", gib(*usable))?;
                } else {
                    write!(f, ", of {usable_blocks} usable: ")?;
                }
                if *estimated_max_model_len > 0 {
                    write!(f, "give --max-model-len at most {estimated_max_model_len}, or ")?;
                }
                write!(f, "raise {raise}")
            }
            _ => Ok(()),
        }
    }
}

impl core::error::Error for ConfigError {}

/// Bytes as GiB.
pub(super) fn gib(bytes: i64) -> f64 {
    let size = math::u64_to_f64(bytes.unsigned_abs()) / 1_073_741_824.0;
    if bytes < 0 { -size } else { size }
}
