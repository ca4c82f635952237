//! From arguments to a configuration, in vLLM's order (`arg_utils.py::create_engine_config`, then
//! `core.py::_initialize_kv_caches`).

use alloc::format;
use alloc::vec::Vec;

use super::defaults::BatchLimits;
use super::engine_args::{EngineArgs, PerformanceMode};
use super::kv_fit::{self, KvFit, PassLimits};
use super::kv_layers::{KvDemand, KvLayers, drafter};
use super::platform::Platform;
use super::reasons::{ConfigWarning, FieldReason, Resolved, ResolvedEngine};
use super::refusals::ConfigError;
use super::resolve_speculation::Speculation;
use super::{EngineConfig, SchedulingPolicy};
use crate::kv_cache::spec::KvCacheConfig;
use crate::math;
use crate::models::layers::ModelLayerKind;
use crate::vllm_version::VllmVersion;

/// vLLM's default block sizes (`CacheConfig.DEFAULT_BLOCK_SIZE`; `CpuPlatform.check_and_update_config`).
const GPU_BLOCK_SIZE: u32 = 16;
const CPU_BLOCK_SIZE: u32 = 128;

/// Collects the reasons in the order of [`EngineConfig`]'s fields.
struct Reasons(Vec<FieldReason>);

impl Reasons {
    fn note<T>(&mut self, field: &'static str, resolved: Resolved<T>) -> T {
        self.0.push(FieldReason { field, reason: resolved.reason });
        resolved.value
    }

    /// As `note`, for a count that must fit in 32 bits.
    fn count(&mut self, field: &'static str, resolved: Resolved<i64>) -> Result<u32, ConfigError> {
        let value = self.note(field, resolved);
        u32::try_from(value).or(Err(ConfigError::TooLarge { field, value }))
    }
}

impl EngineArgs {
    /// Fills in every default as vLLM does for a text-generating model with the platform's layers, and checks the
    /// result as it does at start-up, in the same order. The version is `vllm_version`, or the newest.
    ///
    /// # Errors
    /// The first [`ConfigError`] that applies.
    pub fn resolve(&self, platform: &Platform) -> Result<ResolvedEngine, ConfigError> {
        let version = self.vllm_version.unwrap_or_default();
        self.check_profile(platform)?;
        let max_model_len = self.model_len(platform)?;
        self.check_ranges()?;
        let block_size = self.resolve_block_size(platform)?;
        let enable_chunked_prefill =
            Resolved::or_default(self.enable_chunked_prefill, true, "on for generative models");
        let enable_prefix_caching = self.resolve_prefix_caching(platform);
        self.check_mamba_block_size(enable_prefix_caching.value)?;
        let has_states = platform.layers.iter().any(|run| run.kind == ModelLayerKind::Mamba);
        if has_states && enable_prefix_caching.value && !enable_chunked_prefill.value {
            return Err(ConfigError::MambaWithoutChunkedPrefill);
        }
        let limits = BatchLimits::resolve(self, platform, enable_chunked_prefill.value, max_model_len.value);
        self.check_scheduler(&limits, enable_chunked_prefill.value, max_model_len.value)?;
        let speculation = Speculation::resolve(self, platform, version, limits.max_num_batched_tokens.value)?;
        let checked_len = max_model_len.value;
        let num_batches = platform.pipeline_parallel_size + u32::from(speculation.async_scheduling.value);
        let tokens = u32::try_from(limits.max_num_batched_tokens.value).unwrap_or(u32::MAX);
        let demand = KvDemand {
            block_size: block_size.value,
            enable_prefix_caching: enable_prefix_caching.value,
            speculative: speculation.config.as_ref(),
            version,
            max_in_flight_tokens: num_batches.saturating_mul(tokens),
        };
        let layers = KvLayers::new(self, platform, demand)?;
        let drafter_bytes = drafter(platform, demand.speculative).map_or(0, |drafter| drafter.memory_bytes);
        let drafts = demand.speculative.map_or(0, |drafter| drafter.num_speculative_tokens);
        let limits_of_pass = PassLimits {
            max_num_batched_tokens: tokens,
            max_num_seqs: u32::try_from(limits.max_num_seqs.value).unwrap_or(u32::MAX),
            decode_query_len: drafts.saturating_add(1),
        };
        let memory = kv_fit::Demand { drafter_bytes, limits: limits_of_pass };
        let fit = kv_fit::fit(self, platform, &layers, memory, max_model_len)?;
        let kv_cache = layers.plan(fit.max_model_len.value)?;

        let mut reasons = Reasons(Vec::new());
        let parts = Parts { limits, fit, kv_cache, speculation, enable_chunked_prefill, enable_prefix_caching };
        let config = self.collect(&mut reasons, platform, parts)?;
        let warnings = self.warnings(&config, platform, checked_len);
        Ok(ResolvedEngine { config, reasons: reasons.0, warnings })
    }

    /// What decides which passes were measured must be the profile's.
    fn check_profile(&self, platform: &Platform) -> Result<(), ConfigError> {
        for (field, given, profile) in [
            ("tensor_parallel_size", self.tensor_parallel_size, platform.tensor_parallel_size),
            ("pipeline_parallel_size", self.pipeline_parallel_size, platform.pipeline_parallel_size),
        ] {
            at_least(field, given, 1, "at least 1")?;
            if let Some(given) = given.filter(|given| *given != i64::from(profile)) {
                return Err(ConfigError::NotInProfile { field, given, profile });
            }
        }
        if self.performance_mode == Some(PerformanceMode::Interactivity) {
            return Err(ConfigError::InteractivityNotSimulated);
        }
        Ok(())
    }

    /// `ModelConfig`: the length before it is fitted to the KV cache (`model.py::_get_and_verify_max_len`).
    fn model_len(&self, platform: &Platform) -> Result<Resolved<u32>, ConfigError> {
        let model_max_len = platform.model_max_len;
        let Some(given) = self.max_model_len.filter(|given| *given != -1) else {
            return Ok(Resolved::default(model_max_len, "the model's own length, from its config.json"));
        };
        at_least("max_model_len", Some(given), 1, "at least 1, or -1 for the longest that fits")?;
        match u32::try_from(given) {
            Ok(length) if length <= model_max_len => Ok(Resolved::given(length)),
            _ => Err(ConfigError::MaxModelLenAboveModel { max_model_len: given, model_max_len }),
        }
    }

    /// The ranges of `CacheConfig` and `SchedulerConfig`, as far as they do not depend on defaults.
    fn check_ranges(&self) -> Result<(), ConfigError> {
        at_least("block_size", self.block_size, 1, "at least 1")?;
        at_least("prefix_match_unit", self.prefix_match_unit, 1, "at least 1")?;
        if let Some(value) = self.gpu_memory_utilization.filter(|share| !(*share > 0.0 && *share <= 1.0)) {
            let range = "above 0 and at most 1";
            return Err(ConfigError::FractionOutOfRange { field: "gpu_memory_utilization", value, range });
        }
        at_least("max_num_batched_tokens", self.max_num_batched_tokens, 1, "at least 1")?;
        at_least("max_num_scheduled_tokens", self.max_num_scheduled_tokens, 1, "at least 1")?;
        at_least("max_num_seqs", self.max_num_seqs, 1, "at least 1")?;
        at_least("max_num_active_seqs", self.max_num_active_seqs, 1, "at least 1")?;
        at_least("prefill_schedule_interval", self.prefill_schedule_interval, 1, "at least 1")?;
        at_least("dp_sync_interval", self.dp_sync_interval, 1, "at least 1")?;
        at_least("api_server_count", self.api_server_count, 1, "at least 1; servers without one are not simulated")?;
        at_least("mamba_block_size", self.mamba_block_size, 1, "at least 1")?;
        let retention_interval = self.prefix_cache_retention_interval.flatten();
        at_least("prefix_cache_retention_interval", retention_interval, 0, "at least 0, or None to keep all")?;
        at_least("long_prefill_token_threshold", self.long_prefill_token_threshold, 0, "at least 0, 0 for no limit")?;
        if let Some(value) = self.watermark.filter(|share| !(*share >= 0.0 && *share < 1.0)) {
            let range = "at least 0 and below 1";
            return Err(ConfigError::FractionOutOfRange { field: "watermark", value, range });
        }
        Ok(())
    }

    /// `CacheConfig.block_size` and what the platform makes of it.
    fn resolve_block_size(&self, platform: &Platform) -> Result<Resolved<u32>, ConfigError> {
        if let Some(value) = self.block_size {
            let field = "block_size";
            return u32::try_from(value).map(Resolved::given).or(Err(ConfigError::TooLarge { field, value }));
        }
        Ok(match platform.default_block_size {
            Some(size) => Resolved::default(size, "what the attention backend of the profile asks for"),
            None if platform.device.is_cpu() => Resolved::default(CPU_BLOCK_SIZE, "the CPU backend's"),
            None => Resolved::default(GPU_BLOCK_SIZE, "what GPUs have unless the attention backend asks for another"),
        })
    }

    /// `SchedulerConfig.verify_max_model_len`.
    fn check_scheduler(&self, limits: &BatchLimits, chunked: bool, max_model_len: u32) -> Result<(), ConfigError> {
        let max_num_batched_tokens = limits.max_num_batched_tokens.value;
        let max_num_seqs = limits.max_num_seqs.value;
        if !chunked && max_num_batched_tokens < i64::from(max_model_len) {
            return Err(ConfigError::MaxNumBatchedTokensBelowMaxModelLen { max_num_batched_tokens, max_model_len });
        }
        if max_num_batched_tokens < max_num_seqs {
            return Err(ConfigError::MaxNumBatchedTokensBelowMaxNumSeqs { max_num_batched_tokens, max_num_seqs });
        }
        if let Some(max_num_active_seqs) = self.max_num_active_seqs.filter(|active| *active > max_num_seqs) {
            return Err(ConfigError::MaxNumActiveSeqsAboveMaxNumSeqs { max_num_active_seqs, max_num_seqs });
        }
        if let Some(long_prefill_token_threshold) =
            self.long_prefill_token_threshold.filter(|threshold| *threshold > i64::from(max_model_len))
        {
            return Err(ConfigError::LongPrefillTokenThresholdAboveMaxModelLen {
                long_prefill_token_threshold,
                max_model_len,
            });
        }
        Ok(())
    }

    /// `ModelConfig.is_prefix_caching_supported`.
    fn resolve_prefix_caching(&self, platform: &Platform) -> Resolved<bool> {
        if platform.layers.iter().all(|run| run.kind == ModelLayerKind::Mamba) {
            Resolved::or_default(self.enable_prefix_caching, false, "off for models without attention")
        } else {
            Resolved::or_default(self.enable_prefix_caching, true, "on for generative models")
        }
    }

    /// `validate_mamba_block_size`.
    fn check_mamba_block_size(&self, caching: bool) -> Result<(), ConfigError> {
        match self.mamba_block_size {
            Some(mamba_block_size) if !caching => {
                Err(ConfigError::MambaBlockSizeWithoutPrefixCaching { mamba_block_size })
            }
            _ => Ok(()),
        }
    }

    /// Writes down every field with its reason.
    fn collect(&self, reasons: &mut Reasons, platform: &Platform, parts: Parts) -> Result<EngineConfig, ConfigError> {
        let Parts { limits, fit, kv_cache, speculation, .. } = parts;
        let (tokens, seqs) = (limits.max_num_batched_tokens.value, limits.max_num_seqs.value);
        let active = Resolved::or_default(self.max_num_active_seqs, seqs, "max_num_seqs");
        let active = speculation.limited(active, tokens);
        let scheduled = Resolved::or_default(self.max_num_scheduled_tokens, tokens, "max_num_batched_tokens");
        let threshold = Resolved::or_default(self.long_prefill_token_threshold, 0, "no limit");
        let adaptive = Resolved::or_default(self.long_prefill_token_threshold_adaptive, false, "off");
        let policy = Resolved::or_default(self.scheduling_policy, SchedulingPolicy::Fcfs, "first come, first served");
        let reserve = Resolved::or_default(self.scheduler_reserve_full_isl, true, "on");
        let max_num_seqs = reasons.count("max_num_seqs", limits.max_num_seqs)?;
        let max_num_active_seqs = reasons.count("max_num_active_seqs", active)?;
        let max_num_batched_tokens = reasons.count("max_num_batched_tokens", limits.max_num_batched_tokens)?;
        let max_num_scheduled_tokens = reasons.count("max_num_scheduled_tokens", scheduled)?;
        let max_model_len = reasons.note("max_model_len", fit.max_model_len);
        let num_gpu_blocks = reasons.count("num_gpu_blocks", fit.num_gpu_blocks)?;
        let kv_offloading = self.kv_offloading(platform, &kv_cache, speculation.config.is_some())?;
        let kv_offloading =
            if kv_offloading.value.is_some() { reasons.note("kv_offloading", kv_offloading) } else { None };
        Ok(EngineConfig {
            max_num_seqs,
            max_num_active_seqs,
            max_num_batched_tokens,
            max_num_scheduled_tokens,
            max_model_len,
            num_gpu_blocks,
            enable_prefix_caching: reasons.note("enable_prefix_caching", parts.enable_prefix_caching),
            enable_chunked_prefill: reasons.note("enable_chunked_prefill", parts.enable_chunked_prefill),
            long_prefill_token_threshold: reasons.count("long_prefill_token_threshold", threshold)?,
            long_prefill_token_threshold_adaptive: reasons.note("long_prefill_token_threshold_adaptive", adaptive),
            policy: reasons.note("policy", policy),
            scheduler_reserve_full_isl: reasons.note("scheduler_reserve_full_isl", reserve),
            watermark_blocks: reasons.note("watermark_blocks", self.watermark_blocks(num_gpu_blocks)),
            async_scheduling: reasons.note("async_scheduling", speculation.async_scheduling.clone()),
            pipeline_parallel_size: reasons.note(
                "pipeline_parallel_size",
                match self.pipeline_parallel_size {
                    Some(_) => Resolved::given(platform.pipeline_parallel_size),
                    None => Resolved::default(platform.pipeline_parallel_size, "what the profile was measured with"),
                },
            ),
            vllm_version: reasons.note(
                "vllm_version",
                Resolved::or_default(self.vllm_version, VllmVersion::NEWEST, "the newest that is simulated"),
            ),
            use_v2_model_runner: reasons.note("use_v2_model_runner", speculation.use_v2_model_runner.clone()),
            steps_with_others: false,
            prefill_schedule_interval: reasons.count(
                "prefill_schedule_interval",
                Resolved::or_default(self.prefill_schedule_interval, 1, "prompts wait for no pass"),
            )?,
            api_server_count: reasons.count(
                "api_server_count",
                Resolved::or_default(self.api_server_count, 1, "one for an engine that stands alone"),
            )?,
            kv_cache: reasons.note("block_size", self.kv_cache(platform, kv_cache)),
            enable_mamba_shared_prefix_checkpoint: reasons.note(
                "enable_mamba_shared_prefix_checkpoint",
                Resolved::or_default(self.enable_mamba_shared_prefix_checkpoint, false, "off"),
            ),
            speculative: reasons.note("speculative_config", speculation.reasoned()),
            kv_offloading,
        })
    }

    /// The groups with the reason for their block size.
    fn kv_cache(&self, platform: &Platform, kv_cache: KvCacheConfig) -> Resolved<KvCacheConfig> {
        let asked = self.resolve_block_size(platform);
        let reason = match asked {
            Ok(asked) if asked.value == kv_cache.block_size() => asked.reason,
            _ => {
                let why = "made long enough for a state of the model's Mamba or linear-attention layers, or for equal \
                           pages";
                return Resolved::overridden(kv_cache, why);
            }
        };
        Resolved { value: kv_cache, reason }
    }

    /// `KVCacheManager.__init__`: a share of all blocks, the null block among them, cut to a whole number.
    fn watermark_blocks(&self, num_gpu_blocks: u32) -> Resolved<u32> {
        let Some(watermark) = self.watermark else {
            return Resolved::default(0, "no blocks are kept free");
        };
        // Below num_gpu_blocks, as the watermark is below 1.
        let blocks = math::f64_to_u64(watermark * math::u32_to_f64(num_gpu_blocks));
        let blocks = u32::try_from(blocks).unwrap_or(num_gpu_blocks);
        Resolved::overridden(blocks, format!("watermark = {watermark} of {num_gpu_blocks} blocks, cut to whole blocks"))
    }

    /// What is doubtful. `checked_len` is the length before it was fitted to the KV cache.
    fn warnings(&self, config: &EngineConfig, platform: &Platform, checked_len: u32) -> Vec<ConfigWarning> {
        let mut warnings = Vec::new();
        let most = u64::from(config.max_num_seqs) * u64::from(checked_len);
        if u64::from(config.max_num_batched_tokens) > most {
            let max_num_batched_tokens = config.max_num_batched_tokens;
            warnings.push(ConfigWarning::MoreTokensThanSequencesHold { max_num_batched_tokens, most });
        }
        if !config.enable_chunked_prefill {
            warnings.push(ConfigWarning::ChunkedPrefillOff);
            let token_budget = config.max_num_scheduled_tokens.min(config.max_num_batched_tokens);
            let max_model_len = config.max_model_len;
            if token_budget < max_model_len {
                warnings.push(ConfigWarning::PromptsCanStall { token_budget, max_model_len });
            }
        }
        if platform.device.is_cpu() {
            if !config.block_size().is_multiple_of(32) {
                warnings.push(ConfigWarning::SlowBlockSize { block_size: config.block_size() });
            }
            if self.async_scheduling == Some(true) {
                warnings.push(ConfigWarning::AsyncSchedulingOffOnCpu);
            }
        }
        warnings
    }
}

/// What `resolve` has worked out before the fields are written down.
struct Parts {
    limits: BatchLimits,
    fit: KvFit,
    kv_cache: KvCacheConfig,
    speculation: Speculation,
    enable_chunked_prefill: Resolved<bool>,
    enable_prefix_caching: Resolved<bool>,
}

/// Refuses a given `value` below `least`.
fn at_least(field: &'static str, value: Option<i64>, least: i64, range: &'static str) -> Result<(), ConfigError> {
    match value {
        Some(value) if value < least => Err(ConfigError::IntegerOutOfRange { field, value, range }),
        _ => Ok(()),
    }
}
