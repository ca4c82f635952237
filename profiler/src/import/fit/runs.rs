//! A measured run, and the same run simulated.

use std::borrow::Cow;

use anyhow::{Context, Result, bail, ensure};
use sim_core::metrics::bench_outputs::{BenchOutputs as _, RecordedOutputs};
use sim_core::metrics::bench_serve::LatencyMetric;
use sim_core::metrics::digest::digest;
use sim_core::metrics::recorder::RequestRecord;
use sim_core::profile::Profile;
use sim_core::scenario::repeat::unshared;
use sim_core::scenario::{OtherModel, Scenario, check_same_model, step_time_model};
use sim_core::simulation_result::SimulationResult;
use sim_core::simulator::{SimulationOptions, simulate};
use sim_core::time::SimTime;
use sim_core::workload::{Traffic, Workload};

use super::terms::Term;
use crate::import::memory;
use crate::import::version::Version;
use crate::measure::outliers::quantile;
use crate::simulate::library::catalogue;

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

    /// Of vLLM's metrics, those that are compared.
    pub(crate) const fn of(metric: LatencyMetric) -> Option<Self> {
        match metric {
            LatencyMetric::Ttft => Some(Self::Ttft),
            LatencyMetric::Tpot => Some(Self::Tpot),
            LatencyMetric::E2el => Some(Self::E2el),
            _ => None,
        }
    }

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
    /// The engine's flags, and those of the workload where these say how many drafts are accepted.
    pub(crate) engine: Scenario,
    pub(crate) workload: Workload,
    pub(crate) clock: Clock,
    /// Blocks of the KV cache that vLLM found room for, if they were recorded.
    pub(crate) num_gpu_blocks: Option<u32>,
    /// What was measured, in milliseconds.
    pub(crate) measured: Vec<(Metric, f64)>,
    /// What its file says besides.
    pub(crate) told: Told,
}

/// What the file of a run says besides, and what was assumed where it is silent.
#[derive(Debug, Clone, Default)]
pub(crate) struct Told {
    /// What was assumed, in sentences.
    pub(crate) notes: Vec<String>,
    /// Seconds that it took.
    pub(crate) duration: Option<f64>,
    /// If this simulator made it: what it came of.
    pub(crate) simulation: Option<Stamp>,
}

/// What a simulated run is known by.
#[derive(Debug, Clone)]
pub(crate) struct Stamp {
    /// Name of its profile.
    pub(crate) profile: String,
    /// Digest of its recording.
    pub(crate) digest: u64,
    /// Whether the recording had the times of single tokens.
    pub(crate) has_emissions: bool,
    /// Whether its file states all its flags.
    pub(crate) has_flags: bool,
}

/// A run, simulated.
#[derive(Debug, Clone)]
pub(crate) struct Repeated {
    /// What was measured beside it.
    pub(crate) compared: Vec<Compared>,
    /// Seconds that it took.
    pub(crate) duration: f64,
    /// Digest of its recording.
    pub(crate) digest: u64,
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
    pub(crate) fn residual(&self) -> f64 {
        let weight = match self.metric.statistic {
            Statistic::Mean => 1.0,
            Statistic::Quantile(share) if (0.25..=0.75).contains(&share) => 0.5,
            Statistic::Quantile(_) => 0.0,
        };
        weight * (self.simulated.max(1e-9) / self.measured).ln() / self.metric.latency.tolerance()
    }
}

impl Run {
    /// Refuses a profile of another model: of another class, other sizes or another number format.
    ///
    /// # Errors
    /// If it is another, or nobody knows what the run's name means.
    #[expect(clippy::print_stderr, reason = "what only the server's flags could tell is told")]
    pub(crate) fn check_model(&self, profile: &Profile) -> Result<()> {
        match check_same_model(&self.model, profile, &catalogue()?) {
            Ok(None) => {}
            Ok(Some(doubt)) => eprintln!("note: {}: {doubt}", self.name),
            Err(error @ OtherModel::Unknown { .. }) => bail!(
                "{}: measured with {error}. If that is the profile's model, say so: --model-name {}",
                self.name,
                profile.model.name
            ),
            Err(error) => bail!("{}: measured with {error}", self.name),
        }
        Ok(())
    }

    /// Holds the `digest` of its simulation on the profile of this name against that in its file: a sentence if they
    /// differ though nothing of the run was assumed, so that something else has changed.
    ///
    /// # Errors
    /// If they differ and something was assumed.
    pub(crate) fn check_digest(&self, profile_name: &str, digest: u64) -> Result<Option<String>> {
        let stamp = self.told.simulation.as_ref().filter(|stamp| stamp.profile == profile_name);
        let Some(stamp) = stamp.filter(|stamp| stamp.digest != digest) else { return Ok(None) };
        let then = stamp.digest;
        ensure!(
            stamp.has_flags || self.told.notes.is_empty(),
            "{}: the file was simulated on profile {profile_name} and says digest {then:016x}; what it states of its run \
             gives {digest:016x}, so that its dataset, seed or engine were others, or the profile has changed since: give \
             --dataset-name, its flags and --seed. {}",
            self.name,
            self.told.notes.join(". ")
        );
        Ok(Some(format!(
            "The file's digest is {then:016x}, and now it is {digest:016x}: profile {profile_name}, the engine's flags or \
             the simulator are others"
        )))
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
        Ok(self.repeat(profile, 1.0)?.compared)
    }

    /// Simulates the run on `profile`, were each pass `factor` times as long as it says, puts what was measured beside it,
    /// and says what else came of it.
    ///
    /// # Errors
    /// As [`Self::compare`].
    pub(crate) fn repeat(&self, profile: &Profile, factor: f64) -> Result<Repeated> {
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
        let compared = compared.collect::<Option<_>>();
        Ok(Repeated {
            compared: compared.with_context(|| format!("{}: a metric of no request", self.name))?,
            duration: RecordedOutputs::without_itls(&simulated.recording).duration(),
            digest: digest(&simulated.recording),
        })
    }

    fn simulate(&self, profile: &Profile, factor: f64) -> Result<SimulationResult> {
        let engine = self.engine.resolve(profile)?;
        let step_time = step_time_model(profile, &engine.config, self.engine.enforce_eager())?.times(factor);
        let mut workload = Cow::Borrowed(&self.workload);
        if engine.config.speculative.is_some() {
            let acceptance = self.engine.acceptance(&engine.config)?;
            workload.to_mut().requests.set_acceptance(acceptance);
        }
        let record_emissions = self.told.simulation.as_ref().is_some_and(|stamp| stamp.has_emissions);
        let result = simulate(&workload, &engine.config, &step_time, SimulationOptions { record_emissions })?;
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
            let pass = recording.pass(pass).unwrap_or_default();
            if clock == Clock::Client { pass.delivery_time } else { pass.output_time }
        };
        let value = |request: RequestRecord| {
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
    let traffic = Traffic::Timed { send_times, max_concurrency };
    Ok(Workload { requests: unshared(lengths)?, traffic, earlier: Vec::new() })
}
