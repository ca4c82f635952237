//! A measured run, and the same run simulated.

use anyhow::{Context, Result, ensure};
use sim_core::metrics::recorder::{PassRecord, RequestRecord};
use sim_core::profile::Profile;
use sim_core::request::TokenRun;
use sim_core::request_set::{NewRequest, RequestSet};
use sim_core::scenario::{Scenario, step_time_model};
use sim_core::simulation_result::SimulationResult;
use sim_core::simulator::{SimulationOptions, simulate};
use sim_core::time::SimTime;
use sim_core::workload::{Traffic, Workload};

use super::terms::Term;
use crate::import::memory;
use crate::import::version::Version;
use crate::measure::outliers::quantile;

/// A latency of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Latency {
    /// Time to first token.
    Ttft,
    /// Time per output token, the first one excluded; requests with one token have none.
    Tpot,
    /// End-to-end latency.
    E2el,
}

impl Latency {
    pub(crate) const ALL: [Self; 3] = [Self::Ttft, Self::Tpot, Self::E2el];

    /// As `vllm bench serve` names it in `mean_ttft_ms`.
    pub(crate) const fn key(self) -> &'static str {
        match self {
            Self::Ttft => "ttft",
            Self::Tpot => "tpot",
            Self::E2el => "e2el",
        }
    }

    /// The relative error of a mean that a user is told to expect at most; it counts as 1 in a fit.
    pub(crate) const fn tolerance(self) -> f64 {
        match self {
            Self::Ttft => 0.10,
            Self::Tpot | Self::E2el => 0.03,
        }
    }
}

/// What is said of the requests' latencies.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Statistic {
    /// The arithmetic mean.
    Mean,
    /// The value at a share of the sorted latencies, linear in between: 0.5 is the median.
    Quantile(f64),
}

/// A number of a run.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Metric {
    pub(crate) latency: Latency,
    pub(crate) statistic: Statistic,
    /// As `vllm bench serve` names it.
    pub(crate) name: String,
}

impl Metric {
    /// The mean of `latency`.
    pub(crate) fn mean(latency: Latency) -> Self {
        Self { latency, statistic: Statistic::Mean, name: format!("mean_{}_ms", latency.key()) }
    }
}

/// Where times were taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Clock {
    /// In the client.
    Client,
    /// Tokens in the engine core, as it puts them out. Requests where they were sent, by another clock: it was set so
    /// that the quickest request takes no time to the engine core, and so the simulation's request latency counts
    /// without its fixed part.
    EngineCore,
}

/// A measured run, with what is needed to repeat it.
#[derive(Debug, Clone)]
pub(crate) struct Run {
    /// In words a reader can repeat.
    pub(crate) name: String,
    /// As the engine was told.
    pub(crate) model: String,
    /// The engine's, where it is known.
    pub(crate) vllm_version: Option<Version>,
    /// The engine's flags.
    pub(crate) engine: Scenario,
    pub(crate) workload: Workload,
    pub(crate) clock: Clock,
    /// Blocks of the KV cache that vLLM found room for, if they were recorded.
    pub(crate) num_gpu_blocks: Option<u32>,
    /// What was measured, in milliseconds.
    pub(crate) measured: Vec<(Metric, f64)>,
}

/// A number that was measured and simulated, in milliseconds.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Compared {
    pub(crate) metric: Metric,
    pub(crate) measured: f64,
    pub(crate) simulated: f64,
}

impl Compared {
    /// Relative error of the simulation.
    pub(crate) fn error(&self) -> f64 {
        self.simulated / self.measured - 1.0
    }

    /// The logarithm of the ratio, in units of the tolerance. Tails count less: few requests make them.
    pub(super) fn residual(&self) -> f64 {
        let weight = match self.metric.statistic {
            Statistic::Mean => 1.0,
            Statistic::Quantile(share) if (0.25..=0.75).contains(&share) => 0.5,
            Statistic::Quantile(_) => 0.0,
        };
        weight * (self.simulated.max(1e-9) / self.measured).ln() / self.metric.latency.tolerance()
    }
}

impl Run {
    /// Refuses a profile of another model. An instruction-tuned model has the shapes of its base model.
    ///
    /// # Errors
    /// If the names do not begin alike.
    pub(crate) fn check_model(&self, profile: &Profile) -> Result<()> {
        let (own, its) = (&profile.model.name, &self.model);
        let last = |name: &str| name.rsplit('/').next().unwrap_or_default().to_lowercase();
        let is_same = last(its).starts_with(&last(own)) || last(own).starts_with(&last(its));
        ensure!(is_same, "{}: measured with model {its}; the profile is of {own}", self.name);
        Ok(())
    }

    /// The profile with memory as the run's version of vLLM counts it.
    pub(crate) fn counting_memory_as_then(&self, profile: &Profile) -> Profile {
        let mut profile = profile.clone();
        if let Some(version) = &self.vllm_version {
            memory::of_version(&mut profile.memory, version);
        }
        profile
    }

    /// Simulates the run on `profile` and puts what was measured beside it.
    ///
    /// # Errors
    /// If the engine refuses its flags on this profile, or a request does not run to its end.
    pub(crate) fn compare(&self, profile: &Profile) -> Result<Vec<Compared>> {
        self.compare_at(profile, 1.0)
    }

    /// The same, were each pass `factor` times as long as the profile says.
    ///
    /// # Errors
    /// As [`Self::compare`].
    pub(crate) fn compare_at(&self, profile: &Profile, factor: f64) -> Result<Vec<Compared>> {
        let mut profile = self.counting_memory_as_then(profile);
        if self.clock == Clock::EngineCore {
            Term::RequestPerRequest.set(&mut profile, 0.0);
        }
        let simulated = self.simulate(&profile, factor).with_context(|| self.name.clone())?;
        let latencies = |latency| Sorted::new(&simulated, self.clock, latency);
        let all = Latency::ALL.map(latencies);
        let compared = self.measured.iter().map(|(metric, measured)| {
            let place = Latency::ALL.iter().position(|&latency| latency == metric.latency).unwrap_or(0);
            let simulated = all[place].value(metric.statistic);
            simulated.map(|simulated| Compared { metric: metric.clone(), measured: *measured, simulated })
        });
        compared.collect::<Option<_>>().with_context(|| format!("{}: a metric of no request", self.name))
    }

    fn simulate(&self, profile: &Profile, factor: f64) -> Result<SimulationResult> {
        let engine = self.engine.resolve(profile)?;
        let step_time = step_time_model(profile, &engine.config, self.engine.enforce_eager())?.times(factor);
        let result = simulate(&self.workload, &engine.config, &step_time, SimulationOptions::default())?;
        let num_unfinished = result.recording.requests.iter().filter(|request| !request.is_finished).count();
        ensure!(num_unfinished == 0, "{num_unfinished} requests cannot be scheduled under the engine's limits");
        Ok(result)
    }
}

/// One latency of every request, in milliseconds, sorted.
struct Sorted(Vec<f64>);

impl Sorted {
    fn new(result: &SimulationResult, clock: Clock, latency: Latency) -> Self {
        let recording = &result.recording;
        let pass_time = |pass: u32| {
            let pass: &PassRecord = &recording.passes[pass as usize];
            if clock == Clock::Client { pass.delivery_time } else { pass.output_time }
        };
        let value = |request: &RequestRecord| {
            let (first, last) = (pass_time(request.first_token_pass), pass_time(request.last_token_pass));
            let since = |start: SimTime, end: SimTime| end.saturating_since(start).as_secs_f64() * 1e3;
            match latency {
                Latency::Ttft => Some(since(request.send_time, first)),
                Latency::E2el => Some(since(request.send_time, last)),
                Latency::Tpot if request.num_output_tokens < 2 => None,
                Latency::Tpot => Some(since(first, last) / f64::from(request.num_output_tokens - 1)),
            }
        };
        let mut values: Vec<f64> = recording.requests.iter().filter_map(value).collect();
        values.sort_unstable_by(f64::total_cmp);
        Self(values)
    }

    fn value(&self, statistic: Statistic) -> Option<f64> {
        match statistic {
            Statistic::Mean if self.0.is_empty() => None,
            Statistic::Mean => Some(self.0.iter().sum::<f64>() / self.0.len() as f64),
            Statistic::Quantile(share) => quantile(&self.0, share),
        }
    }
}

/// A workload of requests of known lengths that share no token: prompt and output tokens each.
///
/// # Errors
/// If a length is 0 or too large, or there are no requests.
pub(crate) fn workload(
    lengths: &[(u32, u32)],
    send_times: Vec<SimTime>,
    max_concurrency: Option<u32>,
) -> Result<Workload> {
    ensure!(!lengths.is_empty(), "there are no requests");
    let mut requests = RequestSet::with_capacity(lengths.len());
    for (index, &(prompt, output)) in (0_u32..).zip(lengths) {
        let request = NewRequest {
            prompt: &[TokenRun::segment(2 * index + 1, prompt)],
            output: &[TokenRun::segment(2 * index + 2, output)],
            max_tokens: output,
            stops: false,
            priority: 0,
            arrival_order: u64::from(index),
            id_rank: index,
            cache_salt: 0,
        };
        requests.push(&request).with_context(|| format!("request {index}"))?;
    }
    Ok(Workload { requests, traffic: Traffic::Timed { send_times, max_concurrency } })
}
