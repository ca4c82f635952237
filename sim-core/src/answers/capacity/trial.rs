//! One run at one load, reduced to what an answer needs of it.

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

use crate::config::EngineConfig;
use crate::math;
use crate::metrics::bench_outputs::{BenchOutputs as _, RecordedOutputs};
use crate::metrics::bench_serve::Latencies;
use crate::metrics::digest::digest;
use crate::metrics::distribution::{Distribution, Percentile};
use crate::metrics::goodput::Goodput;
use crate::metrics::limits::{Limit, WaitingLimits, overload};
use crate::metrics::time_series::kv_cache_usage;
use crate::profile::Profile;
use crate::scenario::{DatasetName, Prepared, Scenario, ScenarioError, TextTokens, prepare};
use crate::simulation_result::SimulationResult;
use crate::simulator::{SimulationError, SimulationOptions, simulate};
use crate::time::{SimDuration, SimTime};
use crate::workload::mixture::Classes;
use crate::workload::{Traffic, Workload};

/// What is varied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LoadKind {
    /// Requests per second: `--request-rate`.
    Rate,
    /// Requests at once, each sent when another has been answered: `--max-concurrency`.
    Concurrency,
    /// Users who read, think, and ask again: `--num-users`.
    Users,
}

impl LoadKind {
    /// A load that can be asked for, next to `load`: concurrency is a whole number, and a rate is one that its text gives
    /// back.
    #[must_use]
    pub fn rounded(self, load: f64) -> f64 {
        match self {
            Self::Rate => {
                // Six digits: what is printed is what was run.
                let digits = alloc::format!("{load:.5e}");
                digits.parse().unwrap_or(load)
            }
            Self::Concurrency | Self::Users => math::round(load).max(1.0),
        }
    }

    /// What loads are counted in, of requests of `dataset`.
    #[must_use]
    pub fn unit(self, dataset: DatasetName) -> &'static str {
        match self {
            Self::Rate if dataset == DatasetName::Sessions => "sessions/s",
            Self::Rate => "requests/s",
            Self::Concurrency => "requests at once",
            Self::Users => "users",
        }
    }

    /// The flag that says a load.
    #[must_use]
    pub const fn flag(self) -> &'static str {
        match self {
            Self::Rate => "request-rate",
            Self::Concurrency => "max-concurrency",
            Self::Users => "num-users",
        }
    }

    /// Whether a load is a number of requests or users that wait for answers: a whole number, and never more than is
    /// answered.
    #[must_use]
    pub const fn is_closed(self) -> bool {
        matches!(self, Self::Concurrency | Self::Users)
    }
}

/// What a setup is asked.
#[derive(Debug, Clone)]
pub struct Asked<'a> {
    /// Model, engine, workload and objectives (`--goodput`); its rate and limit are replaced.
    pub scenario: &'a Scenario,
    /// How long passes take.
    pub profile: &'a Profile,
    /// The dataset's file, where it has one.
    pub dataset: Option<&'a [u8]>,
    /// What is varied.
    pub kind: LoadKind,
}

/// A run at one load with one seed.
#[derive(Debug, Clone, PartialEq)]
pub struct Trial {
    /// Requests per second, or at once; infinite for all at once.
    pub load: f64,
    /// What lengths and gaps were drawn from.
    pub seed: u32,
    /// Requests sent.
    pub num_requests: u64,
    /// Of these, requests that met every objective.
    pub num_met: u64,
    /// Of these, requests that met each of TTFT, TPOT and E2EL; all where there is no bound.
    pub num_met_each: [u64; 3],
    /// Whether requests were answered as fast as they were sent.
    pub keeps_up: bool,
    /// Answered requests per second.
    pub request_throughput: f64,
    /// Requests answered per second in the middle of the run: [`middle_rate`].
    pub middle_throughput: f64,
    /// Generated tokens per second.
    pub output_throughput: f64,
    /// TTFT, TPOT and E2EL, in milliseconds: P50, P90 and P99 each.
    pub latencies_ms: [[f64; 3]; 3],
    /// Most of the KV blocks that were in use, as a share.
    pub kv_cache_peak: f64,
    /// Preemptions.
    pub num_preemptions: u64,
    /// What requests waited for for most of the time, and for which share of the run any did.
    pub waiting: (Option<Limit>, f64),
    /// Of the whole recording.
    pub digest: u64,
}

/// Why a trial could not be run.
#[derive(Debug, Clone, PartialEq)]
pub enum TrialError {
    /// The flags, or what they name, are refused.
    Scenario(ScenarioError),
    /// The simulator refuses the run.
    Simulation(SimulationError),
    /// The dataset says by itself when requests are sent.
    TimedDataset(String),
}

impl fmt::Display for TrialError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Scenario(error) => error.fmt(f),
            Self::Simulation(error) => error.fmt(f),
            Self::TimedDataset(name) => write!(
                f,
                "--dataset-name {name}: its requests have times of their own, so that no rate can be searched; \
                 --no-self-timed sends them at a rate"
            ),
        }
    }
}

impl core::error::Error for TrialError {}

impl From<ScenarioError> for TrialError {
    fn from(error: ScenarioError) -> Self {
        Self::Scenario(error)
    }
}

/// Sessions of each user, at least: so many that the first and the last are a small part.
const SESSIONS_OF_A_USER: f64 = 5.0;
/// Most requests at once that are sent to see what an engine answers.
pub const MOST_AT_ONCE: u32 = 4096;
/// Percentiles of each latency.
const PERCENTS: [f64; 3] = [50.0, 90.0, 99.0];

impl Asked<'_> {
    /// The scenario of a trial.
    ///
    /// # Errors
    /// [`TrialError::TimedDataset`]; [`TrialError::Scenario`] if the flags contradict each other.
    pub fn at(&self, load: f64, seed: u32) -> Result<Scenario, TrialError> {
        let workload = self.scenario.workload();
        if workload.dataset_name().has_times() && self.scenario.get("self-timed") != Some("false") {
            return Err(TrialError::TimedDataset(workload.dataset_name().name().to_string()));
        }
        let mut scenario = self.scenario.clone();
        for flag in ["request-rate", "ramp-up-strategy", "ramp-up-start-rps", "ramp-up-end-rps", "max-concurrency"] {
            scenario.unset(flag);
        }
        scenario.unset("num-users");
        scenario.set("seed", Some(&seed.to_string()))?;
        if load.is_finite() {
            scenario.set(self.kind.flag(), Some(&load.to_string()))?;
        }
        if self.kind == LoadKind::Users {
            let enough = math::f64_to_u32(load * SESSIONS_OF_A_USER).max(self.num_arrivals("num-sessions", 100));
            scenario.set("num-sessions", Some(&enough.to_string()))?;
        }
        Ok(scenario)
    }

    /// Runs the trial of `load` and `seed`.
    ///
    /// # Errors
    /// See [`TrialError`].
    pub fn run(&self, load: f64, seed: u32, counter: Option<TextTokens<'_>>) -> Result<Trial, TrialError> {
        let prepared = prepare(&self.at(load, seed)?, self.profile, self.dataset, counter)?;
        Trial::of(&prepared, self.scenario.report().goodput(), load, seed)
    }
}

impl Asked<'_> {
    /// What the engine answers a second while its queue never empties: requests all at once, at least four times as many
    /// as it has places. Not more than [`MOST_AT_ONCE`]; for a concurrency nothing is run.
    ///
    /// # Errors
    /// See [`TrialError`].
    pub fn saturated(&self, seed: u32, counter: Option<TextTokens<'_>>) -> Result<f64, TrialError> {
        if self.kind.is_closed() {
            return Ok(f64::INFINITY);
        }
        let places = self.scenario.resolve(self.profile)?.config.max_num_active_seqs;
        let scenario = self.all_at_once(seed, places)?;
        let mut prepared = prepare(&scenario, self.profile, self.dataset, counter)?;
        let num_arrivals = without_pauses(&mut prepared.workload);
        let num_requests = prepared.workload.num_measured();
        let trial = Trial::of(&prepared, Goodput::default(), f64::INFINITY, seed)?;
        // The rate is that of arrivals: a session is one, whatever follows.
        Ok(trial.middle_throughput * math::usize_to_f64(num_arrivals) / math::usize_to_f64(num_requests.max(1)))
    }

    /// The scenario in which so many places never run empty, as far as [`MOST_AT_ONCE`] lets them.
    pub(crate) fn all_at_once(&self, seed: u32, num_places: u32) -> Result<Scenario, TrialError> {
        let mut scenario = self.at(f64::INFINITY, seed)?;
        let is_sessions = self.scenario.workload().dataset_name() == DatasetName::Sessions;
        let (flag, default) = if is_sessions { ("num-sessions", 100) } else { ("num-prompts", 1000) };
        let given = self.num_arrivals(flag, default);
        let enough = given.max(num_places.saturating_mul(4)).min(MOST_AT_ONCE.max(given));
        scenario.set(flag, Some(&enough.to_string()))?;
        Ok(scenario)
    }

    /// How many requests or sessions are asked for.
    fn num_arrivals(&self, flag: &str, default: u32) -> u32 {
        self.scenario.get(flag).and_then(|text| text.parse().ok()).unwrap_or(default)
    }
}

/// Lets every request that waits for an answer follow at once; how many wait for none.
pub(crate) fn without_pauses(workload: &mut Workload) -> usize {
    let Traffic::Answered { after, .. } = &mut workload.traffic else { return workload.num_measured() };
    after.iter_mut().flatten().for_each(|after| after.delay = SimDuration::ZERO);
    after.iter().filter(|after| after.is_none()).count()
}

impl Trial {
    fn of(prepared: &Prepared, goodput: Goodput, load: f64, seed: u32) -> Result<Self, TrialError> {
        Ok(Self { load, seed, ..Self::of_workload(&prepared.workload, prepared, goodput)? })
    }

    /// The run of another `workload` on the engine of `prepared`, at no load that could be named.
    pub(crate) fn of_workload(workload: &Workload, prepared: &Prepared, goodput: Goodput) -> Result<Self, TrialError> {
        let config = &prepared.engine.config;
        let options = SimulationOptions::default();
        let result = simulate(workload, config, &prepared.step_time, options).map_err(TrialError::Simulation)?;
        let waiting = WaitingLimits::new(&result.recording, config);
        let waiting = (waiting.limits.first().map(|limit| limit.0), waiting.waiting_share);
        Ok(Self::of_result(&result, (prepared.classes.as_ref(), config), goodput, waiting))
    }

    /// What came of a run, of requests that may be of `classes`, on engines that each are as `config` says; at no load that
    /// could be named.
    pub(crate) fn of_result(
        result: &SimulationResult,
        (classes, config): (Option<&Classes>, &EngineConfig),
        goodput: Goodput,
        waiting: (Option<Limit>, f64),
    ) -> Self {
        let recording = &result.recording;
        let outputs = RecordedOutputs::new(recording);
        let latencies = Latencies::new(&outputs);
        let [ttft, tpot, e2el] = [&latencies.ttft, &latencies.tpot, &latencies.e2el];
        let bounds = |request| match classes {
            Some(classes) => classes.goodput(request, goodput),
            None => goodput,
        };
        let met = |of: &dyn Fn(Goodput) -> Goodput| {
            let is_met = |request: &usize| of(bounds(*request)).is_met(&outputs.output(*request));
            math::usize_to_u64((0..outputs.num_requests()).filter(is_met).count())
        };
        let each: [&dyn Fn(Goodput) -> Goodput; 3] = [
            &|bounds| Goodput { tpot_ms: None, e2el_ms: None, ..bounds },
            &|bounds| Goodput { ttft_ms: None, e2el_ms: None, ..bounds },
            &|bounds| Goodput { ttft_ms: None, tpot_ms: None, ..bounds },
        ];
        let last = recording.passes.iter().map(|pass| pass.delivery_time).max().unwrap_or_default().as_secs_f64();
        let per_second = |count: u64| if last > 0.0 { math::u64_to_f64(count) / last } else { 0.0 };
        let num_tokens = recording.requests.iter().map(|request| u64::from(request.num_output_tokens)).sum();
        let usage = recording.passes.iter().map(|pass| kv_cache_usage(pass, config.num_gpu_blocks));
        Self {
            load: f64::INFINITY,
            seed: 0,
            num_requests: math::usize_to_u64(recording.requests.len()),
            num_met: met(&|bounds| bounds),
            num_met_each: each.map(met),
            keeps_up: overload(recording).is_none(),
            middle_throughput: middle_rate(
                recording
                    .requests
                    .iter()
                    .filter_map(|request| Some(recording.instants(request)?.last_delivery))
                    .collect(),
            ),
            request_throughput: per_second(ttft.len()),
            output_throughput: per_second(num_tokens),
            latencies_ms: [ttft, tpot, e2el].map(percentiles_ms),
            kv_cache_peak: usage.fold(0.0, f64::max),
            num_preemptions: result.stats.num_preemptions,
            waiting,
            digest: digest(recording),
        }
    }
}

/// Requests per second that end between the first fifth of `ends` and the last: neither while a batch fills nor while it
/// empties. With more requests than an engine answers it is the rate above which a queue no longer empties; 0 without two
/// ends that differ.
#[must_use]
pub fn middle_rate(mut ends: Vec<SimTime>) -> f64 {
    ends.sort_unstable();
    let (first, behind) = (ends.len() / 5, ends.len() - ends.len() / 5);
    let last = behind.saturating_sub(1);
    let (Some(&from), Some(&to)) = (ends.get(first), ends.get(last)) else { return 0.0 };
    let seconds = to.saturating_since(from).as_secs_f64();
    if seconds > 0.0 { math::usize_to_f64(last - first) / seconds } else { 0.0 }
}

fn percentiles_ms(distribution: &Distribution) -> [f64; 3] {
    PERCENTS
        .map(|percent| Percentile::new(percent).map_or(0.0, |percentile| 1000.0 * distribution.percentile(percentile)))
}

/// The trials of one load together.
#[derive(Debug, Clone, PartialEq)]
pub struct Point {
    /// Requests per second, or at once.
    pub load: f64,
    /// One for each seed, in the order of the seeds.
    pub trials: Vec<Trial>,
}

impl Point {
    /// Share of all requests that met every objective.
    #[must_use]
    pub fn share_met(&self) -> f64 {
        self.share(|trial| trial.num_met)
    }

    /// Share of all requests that `met` counts.
    pub(crate) fn share(&self, met: impl Fn(&Trial) -> u64) -> f64 {
        let sum = |count: &dyn Fn(&Trial) -> u64| math::u64_to_f64(self.trials.iter().map(count).sum());
        let all = sum(&|trial| trial.num_requests);
        if all > 0.0 { sum(&met) / all } else { 1.0 }
    }

    /// Of TTFT, TPOT and E2EL the one within whose bound fewest requests are, if less than `required_share` of them.
    #[must_use]
    pub fn fails_first(&self, required_share: f64) -> Option<usize> {
        let share = |place: &usize| self.share(|trial| trial.num_met_each[*place]);
        let worst = (0..3).min_by(|a, b| share(a).total_cmp(&share(b)));
        worst.filter(|place| share(place) < required_share)
    }

    /// The mean over the trials of one of their figures.
    #[must_use]
    pub fn mean(&self, of: impl Fn(&Trial) -> f64) -> f64 {
        self.trials.iter().map(of).sum::<f64>() / math::usize_to_f64(self.trials.len().max(1))
    }
}
