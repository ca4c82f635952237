//! From the keys of `--speculative-config` to the drafter that the engine has, checked as vLLM checks it at start-up.
//!
//! Source: `vllm/config/speculative.py::SpeculativeConfig.__post_init__`, `vllm/config/vllm.py`.

use core::fmt;

use super::speculative_args::SpeculativeArgs;
use crate::speculative::{
    Acceptance, AcceptanceError, DynamicSchedule, DynamicScheduleError, SpeculativeConfig, SpeculativeMethod,
};
use crate::vllm_version::VllmVersion;

/// Most drafts of a verification that are simulated.
const MAX_DRAFTS: u32 = 1024;

/// Why a drafter is refused. Each variant's doc is its exact predicate.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum SpeculationError {
    /// No `method` is given. vLLM finds it out from the draft model's files, which are not here.
    NoMethod,
    /// `num_speculative_tokens` is not given. vLLM may find it in the draft model's files, which are not here.
    NoDrafts {
        /// The method.
        method: SpeculativeMethod,
    },
    /// `num_speculative_tokens` is below 1, or above what is simulated.
    NumDrafts {
        /// What was given.
        given: i64,
    },
    /// A method with a draft model has no `model`.
    NoModel {
        /// The method.
        method: SpeculativeMethod,
    },
    /// A length of the text that is looked up is below 1, or the shortest above the longest.
    PromptLookup {
        /// The shortest.
        min: i64,
        /// The longest.
        max: i64,
    },
    /// The schedule of drafts by requests is none.
    Schedule(DynamicScheduleError),
    /// The rates of the synthetic method are none.
    Synthetic(AcceptanceError),
    /// Not exactly one of rates and length is given for the synthetic method, or one of them for another method.
    SyntheticRates {
        /// Whether the method is `synthetic`.
        is_synthetic: bool,
    },
    /// `max_num_batched_tokens` leaves no slot for a token beside the drafter's.
    NoRoom {
        /// The figure.
        max_num_batched_tokens: u32,
        /// Slots of the drafter behind a request.
        num_lookahead_tokens: u32,
    },
    /// Asynchronous scheduling was asked for, and the version cannot do it with the method.
    AsyncScheduling {
        /// The method.
        method: SpeculativeMethod,
        /// The version.
        version: VllmVersion,
    },
    /// The simulator's own: pipeline stages without asynchronous scheduling. vLLM's step loop then takes drafts before
    /// they are there.
    PipelineWithoutAsync,
    /// The simulator's own: a limit on one request's tokens of a pass below a verification's rows, with which vLLM
    /// crashes.
    ThresholdBelowVerification {
        /// `long_prefill_token_threshold`.
        threshold: u32,
        /// Rows of a verification.
        rows: u32,
    },
}

impl SpeculativeArgs {
    /// The drafter of an engine of `version`, as far as it does not depend on other settings.
    ///
    /// # Errors
    /// See [`SpeculationError`].
    pub fn resolve(&self) -> Result<SpeculativeConfig, SpeculationError> {
        let method = self.method.ok_or(SpeculationError::NoMethod)?;
        let given = self.num_speculative_tokens.ok_or(SpeculationError::NoDrafts { method })?;
        let num_drafts = u32::try_from(given).ok().filter(|drafts| (1..=MAX_DRAFTS).contains(drafts));
        let num_drafts = num_drafts.ok_or(SpeculationError::NumDrafts { given })?;
        let needs_model =
            method.has_own_layers() && !matches!(method, SpeculativeMethod::Mtp | SpeculativeMethod::Dspark);
        if needs_model && self.model.is_none() {
            return Err(SpeculationError::NoModel { method });
        }
        self.check_prompt_lookup()?;
        self.synthetic(num_drafts, 0)?;
        let schedule = self.num_speculative_tokens_per_batch_size.as_deref().map(DynamicSchedule::new);
        Ok(SpeculativeConfig {
            num_speculative_tokens_per_batch_size: schedule.transpose().map_err(SpeculationError::Schedule)?,
            parallel_drafting: self.parallel_drafting.unwrap_or(false)
                || matches!(method, SpeculativeMethod::Dflash | SpeculativeMethod::Dspark),
            disable_eagle_block_drop: self.disable_eagle_block_drop.unwrap_or(false),
            disable_lookahead_block_hashes: self.disable_lookahead_block_hashes.unwrap_or(false),
            ..SpeculativeConfig::new(method, num_drafts)
        })
    }

    fn check_prompt_lookup(&self) -> Result<(), SpeculationError> {
        let (min, max) = match (self.prompt_lookup_min, self.prompt_lookup_max) {
            (None, None) => (5, 5),
            (min, max) => (min.or(max).unwrap_or(5), max.or(min).unwrap_or(5)),
        };
        if min < 1 || max < 1 || min > max { Err(SpeculationError::PromptLookup { min, max }) } else { Ok(()) }
    }

    /// The acceptance of vLLM's synthetic method, if that is asked for.
    ///
    /// # Errors
    /// [`SpeculationError::Synthetic`] and [`SpeculationError::SyntheticRates`].
    pub fn synthetic(&self, num_speculative_tokens: u32, seed: u64) -> Result<Option<Acceptance>, SpeculationError> {
        let is_synthetic = self.rejection_sample_method.as_deref() == Some("synthetic");
        let made = match (&self.synthetic_acceptance_rates, self.synthetic_acceptance_length) {
            (None, None) if !is_synthetic => return Ok(None),
            (Some(rates), None) if is_synthetic => Acceptance::unconditional(rates, num_speculative_tokens, seed),
            (None, Some(length)) if is_synthetic => Acceptance::mean_length(length, num_speculative_tokens, seed),
            _ => return Err(SpeculationError::SyntheticRates { is_synthetic }),
        };
        made.map(Some).map_err(SpeculationError::Synthetic)
    }
}

impl SpeculationError {
    /// Whether vLLM may start all the same, as it is the simulator that does not go on.
    pub(super) const fn is_simulators_own(&self) -> bool {
        match self {
            Self::NoMethod
            | Self::NoDrafts { .. }
            | Self::PipelineWithoutAsync
            | Self::ThresholdBelowVerification { .. } => true,
            Self::NumDrafts { given } => *given > 0,
            _ => false,
        }
    }
}

impl fmt::Display for SpeculationError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("speculative_config: ")?;
        match self {
            Self::NoMethod => f.write_str(
                "method is not given. vLLM would look into the draft model's files, which are not here: give one of \
                 ngram, ngram_gpu, draft_model, eagle, eagle3, mtp, dflash, dspark",
            ),
            Self::NoDrafts { method } => {
                write!(f, "num_speculative_tokens is not given: say how many drafts {method} proposes")
            }
            Self::NumDrafts { given } => {
                write!(f, "num_speculative_tokens = {given}: must be from 1 to {MAX_DRAFTS}")
            }
            Self::NoModel { method } => write!(f, "method {method} needs a draft model: give model"),
            Self::PromptLookup { min, max } => write!(
                f,
                "prompt_lookup_min = {min} and prompt_lookup_max = {max}: both must be at least 1, and the first not \
                 above the second"
            ),
            Self::Schedule(error) => error.fmt(f),
            Self::Synthetic(error) => write!(f, "rejection_sample_method synthetic: {error}"),
            Self::SyntheticRates { is_synthetic: true } => f.write_str(
                "rejection_sample_method synthetic needs exactly one of synthetic_acceptance_rates and \
                 synthetic_acceptance_length",
            ),
            Self::SyntheticRates { is_synthetic: false } => f.write_str(
                "synthetic_acceptance_rates and synthetic_acceptance_length are only valid with \
                 rejection_sample_method synthetic",
            ),
            Self::NoRoom { max_num_batched_tokens, num_lookahead_tokens } => write!(
                f,
                "max_num_batched_tokens = {max_num_batched_tokens} must be above the {num_lookahead_tokens} slots \
                 that drafting takes behind a request: raise it, or lower num_speculative_tokens"
            ),
            Self::AsyncScheduling { method, version } => {
                write!(f, "vLLM {version} has no asynchronous scheduling with {method}: leave --async-scheduling out")
            }
            Self::PipelineWithoutAsync => f.write_str(
                "with pipeline stages only asynchronous scheduling is simulated: leave --no-async-scheduling out",
            ),
            Self::ThresholdBelowVerification { threshold, rows } => write!(
                f,
                "long_prefill_token_threshold = {threshold} is below the {rows} rows of a verification, with which \
                 vLLM stops working: raise it to {rows} or more"
            ),
        }
    }
}

impl core::error::Error for SpeculationError {}
