//! What a drafter decides about the engine: its worker, asynchronous scheduling, the requests that run at once.
//!
//! Source: `vllm/config/vllm.py::VllmConfig.__post_init__`, then `CpuPlatform.check_and_update_config`.

use alloc::format;

use super::engine_args::EngineArgs;
use super::platform::Platform;
use super::reasons::Resolved;
use super::refusals::ConfigError;
use super::speculation::SpeculationError;
use crate::speculative::{SpeculativeConfig, SpeculativeMethod};
use crate::vllm_version::VllmVersion;

/// The drafter and what follows from it.
pub(super) struct Speculation {
    pub(super) config: Option<SpeculativeConfig>,
    pub(super) use_v2_model_runner: Resolved<bool>,
    pub(super) async_scheduling: Resolved<bool>,
}

impl Speculation {
    pub(super) fn resolve(
        args: &EngineArgs,
        platform: &Platform,
        version: VllmVersion,
        max_num_batched_tokens: i64,
    ) -> Result<Self, ConfigError> {
        let config = args.speculative_config.as_ref().map(|given| given.resolve()).transpose();
        let mut config = config.map_err(ConfigError::Speculation)?;
        if let Some(config) = &mut config {
            // The drafter's own file says so, not the arguments.
            let own = platform.drafters.iter().find(|drafter| drafter.method == config.method);
            config.num_mtp_layers = own.map_or(1, |drafter| drafter.num_mtp_layers.max(1));
        }
        let use_v2_model_runner = v2_model_runner(platform, config.as_ref());
        let async_scheduling = async_scheduling(args, platform, version, (config.as_ref(), use_v2_model_runner.value))?;
        let speculation = Self { config, use_v2_model_runner, async_scheduling };
        speculation.check(args, platform, max_num_batched_tokens).map_err(ConfigError::Speculation)?;
        Ok(speculation)
    }

    /// `_set_max_num_scheduled_tokens`, and what the simulator leaves out.
    fn check(
        &self,
        args: &EngineArgs,
        platform: &Platform,
        max_num_batched_tokens: i64,
    ) -> Result<(), SpeculationError> {
        let Some(config) = &self.config else { return Ok(()) };
        let num_lookahead_tokens = config.num_lookahead_tokens();
        if max_num_batched_tokens <= i64::from(num_lookahead_tokens) {
            let max_num_batched_tokens = u32::try_from(max_num_batched_tokens).unwrap_or(0);
            return Err(SpeculationError::NoRoom { max_num_batched_tokens, num_lookahead_tokens });
        }
        if platform.pipeline_parallel_size > 1 && !self.async_scheduling.value {
            return Err(SpeculationError::PipelineWithoutAsync);
        }
        let rows = config.num_speculative_tokens + 1;
        let threshold = args.long_prefill_token_threshold.and_then(|threshold| u32::try_from(threshold).ok());
        match threshold.filter(|&threshold| 0 < threshold && threshold < rows) {
            Some(threshold) => Err(SpeculationError::ThresholdBelowVerification { threshold, rows }),
            None => Ok(()),
        }
    }

    /// The requests that run at once, as far as the drafter's own pass has rows for them.
    pub(super) fn limited(&self, active: Resolved<i64>, max_num_batched_tokens: i64) -> Resolved<i64> {
        let Some(config) = &self.config else { return active };
        if !matches!(config.method, SpeculativeMethod::Dflash | SpeculativeMethod::Dspark) {
            return active;
        }
        let rows = i64::from(config.num_lookahead_tokens().max(1));
        let most = max_num_batched_tokens / rows;
        if most >= active.value {
            return active;
        }
        let why = format!(
            "{}'s pass needs {rows} of max_num_batched_tokens = {max_num_batched_tokens} for each request",
            config.method
        );
        Resolved::overridden(most, why)
    }

    /// The drafter as a field of the configuration.
    pub(super) fn reasoned(self) -> Resolved<Option<SpeculativeConfig>> {
        match self.config {
            Some(config) => Resolved::given(Some(config)),
            None => Resolved::default(None, "no drafter was asked for"),
        }
    }
}

/// `VllmConfig.use_v2_model_runner`.
fn v2_model_runner(platform: &Platform, config: Option<&SpeculativeConfig>) -> Resolved<bool> {
    if platform.device.is_cpu() {
        return Resolved::default(false, "the newer worker needs Triton, which a processor has not");
    }
    let drafts_in_parallel = config.is_some_and(|config| {
        config.parallel_drafting && !matches!(config.method, SpeculativeMethod::Dflash | SpeculativeMethod::Dspark)
    });
    if drafts_in_parallel {
        return Resolved::default(false, "the newer worker has no parallel drafting for this method");
    }
    Resolved::default(true, "nothing given stands against it")
}

fn async_scheduling(
    args: &EngineArgs,
    platform: &Platform,
    version: VllmVersion,
    (config, use_v2_model_runner): (Option<&SpeculativeConfig>, bool),
) -> Result<Resolved<bool>, ConfigError> {
    let why = "the CPU backend always turns it off";
    let needs_old_runner = !(version.async_scheduling_takes_any_drafter() && use_v2_model_runner);
    let method = config.map(|config| config.method);
    let stands_against = method.filter(|method| needs_old_runner && *method == SpeculativeMethod::Ngram);
    match args.async_scheduling {
        Some(true) if let Some(method) = stands_against => {
            Err(ConfigError::Speculation(SpeculationError::AsyncScheduling { method, version }))
        }
        Some(true)
            if !use_v2_model_runner
                && platform.pipeline_parallel_size > 1
                && version.refuses_async_pipeline_of_old_runner() =>
        {
            let pipeline_parallel_size = platform.pipeline_parallel_size;
            Err(ConfigError::AsyncPipelineOfOldRunner { pipeline_parallel_size })
        }
        Some(true) if platform.device.is_cpu() => Ok(Resolved::overridden(false, why)),
        Some(given) => Ok(Resolved::given(given)),
        None if platform.device.is_cpu() => Ok(Resolved::default(false, why)),
        None if let Some(method) = stands_against => {
            Ok(Resolved::default(false, format!("vLLM {version} has none with {method}")))
        }
        None => Ok(Resolved::default(true, "on, as nothing given stands against it")),
    }
}
