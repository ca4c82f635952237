//! From a scenario to what the simulator takes.

use alloc::string::String;
use alloc::vec::Vec;

use super::acceptance::acceptance;
use super::{Scenario, ScenarioError};
use crate::config::{EngineConfig, EntryPoint, ResolvedEngine, UsageContext, admit};
use crate::metrics::bench_serve::{BenchServeOptions, RampUp};
use crate::profile::{CaptureSizes, Drafting, Profile, StepTimeModel, StepTimeSettings};
use crate::speculative::Acceptance;
use crate::time::SimTime;
use crate::workload::arrival::{RampUpStrategy, TrafficOptions};
use crate::workload::mixture::Classes;
use crate::workload::{Traffic, Workload};

/// Counts the tokens of a text, as the model's tokenizer does.
pub type TextTokens<'a> = &'a dyn Fn(&str) -> usize;

/// Everything a run needs.
#[derive(Debug, Clone)]
pub struct Prepared {
    /// The engine, with the reason for every value.
    pub engine: ResolvedEngine,
    /// What is sent and when.
    pub workload: Workload,
    /// Entries of the dataset that ask for no token and are left out.
    pub num_skipped: u32,
    /// What was assumed of the dataset, a sentence each.
    pub notes: Vec<String>,
    /// Which requests are of which class, where there are several.
    pub classes: Option<Classes>,
    /// How long passes take.
    pub step_time: StepTimeModel,
    /// What the report shows and depends on.
    pub options: BenchServeOptions,
}

/// Makes everything a run of `scenario` on `profile` needs. `dataset` is the dataset's file, where it has one;
/// `counter` counts the tokens of its texts, where it has those.
///
/// # Errors
/// See [`ScenarioError`]: what vLLM would refuse is refused here.
pub fn prepare(
    scenario: &Scenario,
    profile: &Profile,
    dataset: Option<&[u8]>,
    counter: Option<TextTokens<'_>>,
) -> Result<Prepared, ScenarioError> {
    scenario.check_one_engine()?;
    let mut prepared = prepare_fleet(scenario, profile, dataset, counter)?;
    prepared.notes.extend(scenario.told_rank());
    Ok(prepared)
}

/// The same for whoever simulates [`Scenario::fleet`] or [`Scenario::ranks`]: all engines are as [`Prepared::engine`], which
/// [`super::Ranks::apply`] makes a rank.
///
/// # Errors
/// Those of [`prepare`], but that there may be several replicas.
pub fn prepare_fleet(
    scenario: &Scenario,
    profile: &Profile,
    dataset: Option<&[u8]>,
    counter: Option<TextTokens<'_>>,
) -> Result<Prepared, ScenarioError> {
    scenario.life()?;
    scenario.life_of_roles()?;
    scenario.disaggregation().check(scenario.fleet().replicas)?;
    scenario.check_role_args()?;
    let engine = scenario.resolve(profile)?;
    scenario.check_offloading(&engine.config)?;
    let sample = scenario.workload().sample(dataset, counter)?;
    let (num_skipped, notes, classes) = (sample.num_skipped, sample.notes.clone(), sample.classes.clone());
    let traffic = scenario.workload().traffic();
    let mut workload = sample.into_workload(&traffic)?;
    workload.send_before(&scenario.workload().earlier())?;
    workload.requests.set_acceptance(scenario.acceptance(&engine.config)?);
    check_admission(&workload, &engine.config, scenario.usage_context())?;
    let step_time = scenario.client_work.applied(scenario.step_time(profile, &engine.config)?);
    let options = with_traffic(scenario.report().options(profile.model.name.clone()), &traffic);
    Ok(Prepared { engine, workload, num_skipped, notes, classes, step_time, options })
}

impl Scenario {
    /// Refuses what only several engines have, for those who simulate one.
    ///
    /// # Errors
    /// [`ScenarioError::Flag`] for several replicas, or some of either role.
    pub fn check_one_engine(&self) -> Result<(), ScenarioError> {
        self.fleet().check_one()?;
        self.check_lifeless()?;
        self.disaggregation().check_one()
    }

    /// The engine that vLLM would start with on the profile's device.
    ///
    /// # Errors
    /// [`ScenarioError::Profile`], [`ScenarioError::Config`].
    pub fn resolve(&self, profile: &Profile) -> Result<ResolvedEngine, ScenarioError> {
        let platform = profile.platform(self.usage_context(), self.engine())?;
        Ok(self.engine().resolve(&platform)?)
    }

    /// How long passes and transfers take on `config`, the engine that these flags resolved to; without the client's own work.
    ///
    /// # Errors
    /// [`ScenarioError::Profile`] if the profile does not hold for it, and what its noise does not hold.
    pub fn step_time(&self, profile: &Profile, config: &EngineConfig) -> Result<StepTimeModel, ScenarioError> {
        let step_time = step_time_model(profile, config, self.enforce_eager())?;
        self.noise.applied(self.offloading.applied(step_time), profile, u64::from(self.workload().seed()))
    }

    /// How many drafts are accepted on `config`, the engine that these flags resolved to.
    ///
    /// # Errors
    /// [`ScenarioError::NoAcceptance`] and its like.
    pub fn acceptance(&self, config: &EngineConfig) -> Result<Acceptance, ScenarioError> {
        acceptance(self.workload(), self.engine(), config)
    }
}

impl Prepared {
    /// Gives the report the date and time at which a ramp-up reached each whole rate, which vLLM writes down:
    /// `iso_date` tells it for a time of the run. Without a ramp-up nothing happens.
    ///
    /// # Errors
    /// [`ScenarioError::Workload`] if the traffic is not in order, which [`prepare`] has checked.
    pub fn date_rate_changes(
        &mut self,
        traffic: &TrafficOptions,
        iso_date: impl Fn(SimTime) -> String,
    ) -> Result<(), ScenarioError> {
        let Some(ramp_up) = &mut self.options.ramp_up else { return Ok(()) };
        let send_time = |request: usize| match &self.workload.traffic {
            Traffic::Timed { send_times, .. } | Traffic::Answered { not_before: send_times, .. } => {
                send_times.get(request).copied().unwrap_or_default()
            }
            Traffic::QueriesPerIter { .. } => SimTime::ZERO,
        };
        let changes = traffic.rps_changes(self.workload.num_measured())?;
        ramp_up.rps_change_events =
            changes.into_iter().map(|(rps, request)| (rps, iso_date(send_time(request)))).collect();
        Ok(())
    }
}

/// The profile's step times under `config`.
///
/// # Errors
/// [`ScenarioError::Profile`] if the profile does not hold for it.
pub fn step_time_model(
    profile: &Profile,
    config: &EngineConfig,
    enforce_eager: bool,
) -> Result<StepTimeModel, ScenarioError> {
    let drafting = config.speculative.as_ref().map(|speculative| Drafting {
        method: speculative.method,
        num_speculative_tokens: speculative.num_speculative_tokens,
        max_num_seqs: config.max_num_seqs,
    });
    let (max_num_seqs, max_num_batched_tokens) = (config.max_num_seqs, config.max_num_batched_tokens);
    let settings = StepTimeSettings {
        capture_sizes: if profile.has_cuda_graphs() && !enforce_eager {
            let ceiling = CaptureSizes::ceiling(&profile.hardware);
            let decode_query_len = 1 + config.num_speculative_tokens();
            CaptureSizes::vllm_with_drafts(max_num_seqs, max_num_batched_tokens, ceiling, decode_query_len)
        } else {
            CaptureSizes::none()
        },
        pipeline_parallel_size: config.pipeline_parallel_size,
        spans: config.kv_cache.spans(),
        drafting,
    };
    Ok(StepTimeModel::new(profile, &settings)?)
}

/// Refuses a workload with a request that vLLM's front end would refuse, and says which.
///
/// # Errors
/// [`ScenarioError::Refused`], for the first such request.
pub fn check_admission(
    workload: &Workload,
    config: &EngineConfig,
    usage_context: UsageContext,
) -> Result<(), ScenarioError> {
    let entry_point = if usage_context == UsageContext::LlmClass { EntryPoint::Llm } else { EntryPoint::Completions };
    for (index, request) in workload.requests.as_slice().iter().enumerate() {
        admit(config, entry_point, request.num_prompt_tokens, Some(request.max_tokens))
            .map_err(|refusal| ScenarioError::Refused { index, refusal })?;
    }
    Ok(())
}

fn with_traffic(options: BenchServeOptions, traffic: &TrafficOptions) -> BenchServeOptions {
    let ramp_up = traffic.ramp_up_strategy.map(|strategy| RampUp {
        strategy: match strategy {
            RampUpStrategy::Linear => "linear".into(),
            RampUpStrategy::Exponential => "exponential".into(),
        },
        start_rps: traffic.ramp_up_start_rps.unwrap_or(0),
        end_rps: traffic.ramp_up_end_rps.unwrap_or(0),
        rps_change_events: Vec::new(),
    });
    BenchServeOptions {
        request_rate: traffic.request_rate,
        burstiness: traffic.burstiness,
        max_concurrency: traffic.max_concurrency,
        ramp_up,
        ..options
    }
}
