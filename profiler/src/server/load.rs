//! Loads for a server, and what the simulator says of them.

use anyhow::{Context as _, Result, ensure};
use sim_core::answers::capacity::trial::middle_rate;
use sim_core::config::EngineConfig;
use sim_core::metrics::distribution::{Distribution, Percentile};
use sim_core::profile::{Profile, StepTimeModel, StepTimeSettings};
use sim_core::request::TokenRun;
use sim_core::request_set::{NewRequest, RequestSet};
use sim_core::rng::Pcg64;
use sim_core::simulation_result::SimulationResult;
use sim_core::simulator::{SimulationOptions, simulate};
use sim_core::time::SimTime;
use sim_core::workload::{Traffic, Workload};

use super::client_run::{ClientRequest, ClientRun, TimedRequest, seconds};
use crate::engine::step_times::step_time_settings;

/// Runs with noise, of which the mean is taken.
const NUM_DRAWS: u64 = 20;

/// Lengths and times of a load's requests.
#[derive(Debug, Clone, Copy, clap::Args)]
pub(crate) struct LoadShape {
    /// Requests of each load
    #[arg(long, value_name = "N", default_value_t = 100)]
    pub(crate) num_prompts: u32,
    /// Mean prompt length
    #[arg(long, value_name = "N", default_value_t = 128)]
    pub(crate) input_len: u32,
    /// Mean number of generated tokens
    #[arg(long, value_name = "N", default_value_t = 32)]
    pub(crate) output_len: u32,
    /// Lengths are uniform from mean × (1 − X) to mean × (1 + X)
    #[arg(long, value_name = "X", default_value_t = 0.5)]
    pub(crate) range_ratio: f64,
    /// Seed of lengths, tokens and times
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) seed: u64,
}

/// Prompt length, generated tokens and sending time of each request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Load {
    pub(crate) requests: Vec<LoadRequest>,
}

/// A request without its tokens, which no simulated time depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LoadRequest {
    /// Nanoseconds since the run began.
    pub(crate) at_ns: u64,
    pub(crate) num_prompt_tokens: u32,
    pub(crate) max_tokens: u32,
}

/// What a run is judged by, with the names of `vllm bench serve`; milliseconds, requests or tokens per second.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub(crate) struct Metrics {
    pub(crate) mean_ttft_ms: f64,
    pub(crate) p50_ttft_ms: f64,
    pub(crate) p90_ttft_ms: f64,
    pub(crate) p99_ttft_ms: f64,
    pub(crate) mean_tpot_ms: f64,
    pub(crate) mean_itl_ms: f64,
    pub(crate) p99_itl_ms: f64,
    pub(crate) mean_e2el_ms: f64,
    pub(crate) p50_e2el_ms: f64,
    pub(crate) p90_e2el_ms: f64,
    pub(crate) p99_e2el_ms: f64,
    pub(crate) request_throughput: f64,
    pub(crate) output_throughput: f64,
    /// From the run's beginning to its last token, in seconds.
    pub(crate) duration_s: f64,
    /// Requests a second that end in the middle of the run: with more requests than the engine manages, the rate above
    /// which the queue no longer empties.
    pub(crate) capacity: f64,
}

/// Latencies of a run, in seconds.
struct Latencies {
    ttft: Vec<f64>,
    tpot: Vec<f64>,
    itl: Vec<f64>,
    e2el: Vec<f64>,
    num_tokens: u64,
    /// From the run's beginning to its last token.
    duration: f64,
    /// When each request ended, in any order.
    ends: Vec<SimTime>,
}

impl LoadShape {
    /// `rate` requests a second in the mean, exponential gaps (`--burstiness 1`); infinite: all at once.
    ///
    /// # Errors
    /// If the requests do not fit the engine.
    pub(crate) fn load(&self, rate: f64, config: &EngineConfig) -> Result<Load> {
        ensure!((0.0..1.0).contains(&self.range_ratio), "--range-ratio {}: from 0 to below 1", self.range_ratio);
        ensure!(self.num_prompts >= 1, "--num-prompts must be at least 1");
        ensure!(rate > 0.0, "the rate is {rate}; it must be above 0");
        let [input, output] = [self.input_len, self.output_len].map(|mean| self.range(mean));
        let longest = input.1 + output.1;
        ensure!(
            longest <= config.max_model_len,
            "--input-len and --output-len give up to {longest} tokens; --max-model-len is {}",
            config.max_model_len
        );
        // The same requests at every rate.
        let mut lengths = Pcg64::stream(self.seed, "lengths");
        let mut gaps = Pcg64::stream(self.seed, "gaps");
        let mut at = 0.0;
        let requests = (0..self.num_prompts).map(|_| {
            let request = LoadRequest {
                at_ns: SimTime::from_secs_f64(at).as_nanos(),
                num_prompt_tokens: lengths.integers(input.0, input.1),
                max_tokens: lengths.integers(output.0, output.1),
            };
            at += -(1.0 - gaps.random()).ln() / rate;
            request
        });
        Ok(Load { requests: requests.collect() })
    }

    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "at least 1 and at most 2 × a u32")]
    fn range(&self, mean: u32) -> (u32, u32) {
        let end = |share: f64| ((f64::from(mean) * share).round() as u32).max(1);
        (end(1.0 - self.range_ratio), end(1.0 + self.range_ratio))
    }
}

impl Load {
    /// The load with tokens, for a server.
    pub(crate) fn with_tokens(&self, mut prompt: impl FnMut(u32) -> Vec<u32>) -> Vec<TimedRequest> {
        let request = |request: &LoadRequest| TimedRequest {
            at_ns: request.at_ns,
            prompt_token_ids: prompt(request.num_prompt_tokens),
            max_tokens: request.max_tokens,
        };
        self.requests.iter().map(request).collect()
    }

    /// The load for the simulator: no two requests share a token.
    fn workload(&self) -> Result<Workload> {
        let mut requests = RequestSet::with_capacity(self.requests.len());
        for (number, request) in (0u32..).zip(&self.requests) {
            let num_tokens = request.num_prompt_tokens + request.max_tokens;
            let sequence = TokenRun::segment(number, num_tokens);
            let prompt = TokenRun { len: request.num_prompt_tokens, ..sequence };
            let output =
                TokenRun { start: sequence.start + u64::from(request.num_prompt_tokens), len: request.max_tokens };
            let new = NewRequest {
                prompt: &[prompt],
                output: &[output],
                max_tokens: request.max_tokens,
                stops: false,
                priority: 0,
                arrival_order: u64::from(number),
                id_rank: number,
                cache_salt: 0,
            };
            requests.push(&new).map_err(|error| anyhow::anyhow!("request {number}: {error}"))?;
        }
        let send_times = self.requests.iter().map(|request| SimTime::from_nanos(request.at_ns)).collect();
        Ok(Workload { requests, traffic: Traffic::Timed { send_times, max_concurrency: None }, earlier: Vec::new() })
    }

    /// What the simulator makes of it with `profile` on an engine with `config`.
    ///
    /// # Errors
    /// If the profile or the load does not fit the engine.
    pub(crate) fn simulate(&self, profile: &Profile, config: &EngineConfig) -> Result<Metrics> {
        let usual = StepTimeSettings::vllm_default(profile, config.max_num_seqs, config.max_num_batched_tokens);
        let settings = step_time_settings(config, usual.capture_sizes);
        let step_time = StepTimeModel::new(profile, &settings).context("the profile")?;
        self.simulate_on(&step_time, config)
    }

    /// The same with passes that differ as the profile says, by several draws; `None` if it says nothing.
    ///
    /// # Errors
    /// Those of [`Self::simulate`].
    pub(crate) fn simulate_noisy(&self, profile: &Profile, config: &EngineConfig) -> Result<Option<Vec<Metrics>>> {
        let Some(noise) = &profile.host.pass_noise else { return Ok(None) };
        let usual = StepTimeSettings::vllm_default(profile, config.max_num_seqs, config.max_num_batched_tokens);
        let settings = step_time_settings(config, usual.capture_sizes);
        let step_time = StepTimeModel::new(profile, &settings).context("the profile")?;
        let draws = (0..NUM_DRAWS).map(|seed| self.simulate_on(&step_time.with_noise(noise, seed), config));
        draws.collect::<Result<_>>().map(Some)
    }

    fn simulate_on(&self, step_time: &StepTimeModel, config: &EngineConfig) -> Result<Metrics> {
        let options = SimulationOptions { record_emissions: true };
        let result = simulate(&self.workload()?, config, step_time, options).context("the simulation")?;
        Ok(Metrics::of_simulation(&result))
    }

    /// Requests a second that the engine manages if there are always enough, by `profile`.
    ///
    /// # Errors
    /// Those of [`Self::simulate`].
    pub(crate) fn saturated_rate(&self, profile: &Profile, config: &EngineConfig) -> Result<f64> {
        let requests = self.requests.iter().map(|request| LoadRequest { at_ns: 0, ..*request }).collect();
        Ok(Self { requests }.simulate(profile, config)?.request_throughput)
    }
}

impl Metrics {
    /// What the client saw.
    pub(crate) fn of_client(run: &ClientRun) -> Self {
        let requests = &run.requests;
        let last = requests.iter().filter_map(|request| request.chunks.last()).map(|chunk| chunk.0).max();
        Self::from(Latencies {
            ttft: requests.iter().filter_map(ClientRequest::ttft).collect(),
            tpot: requests.iter().filter_map(ClientRequest::tpot).collect(),
            itl: requests.iter().flat_map(ClientRequest::itls).collect(),
            e2el: requests.iter().filter_map(ClientRequest::e2el).collect(),
            num_tokens: requests.iter().map(|request| u64::from(request.num_tokens())).sum(),
            duration: seconds(last.unwrap_or(run.origin_ns).saturating_sub(run.origin_ns)),
            ends: requests
                .iter()
                .filter_map(|request| request.chunks.last())
                .map(|chunk| SimTime::from_nanos(chunk.0.saturating_sub(run.origin_ns)))
                .collect(),
        })
    }

    fn of_simulation(result: &SimulationResult) -> Self {
        use sim_core::metrics::request_metrics::tpot;
        let recording = &result.recording;
        let mut latencies = Latencies {
            ttft: vec![],
            tpot: vec![],
            itl: recording
                .gaps
                .iter()
                .flat_map(|gap| std::iter::repeat_n(gap.gap.as_secs_f64(), gap.count as usize))
                .collect(),
            e2el: vec![],
            num_tokens: 0,
            duration: 0.0,
            ends: vec![],
        };
        for request in &recording.requests {
            let Some(instants) = recording.instants(request) else { continue };
            let (ttft, e2el) = (instants.ttft().as_secs_f64(), instants.e2el().as_secs_f64());
            latencies.ttft.push(ttft);
            latencies.e2el.push(e2el);
            latencies.tpot.extend(tpot(e2el, ttft, request.num_output_tokens));
            latencies.num_tokens += u64::from(request.num_output_tokens);
            latencies.duration = latencies.duration.max(instants.last_delivery.as_secs_f64());
            latencies.ends.push(instants.last_delivery);
        }
        Self::from(latencies)
    }
}

impl From<Latencies> for Metrics {
    fn from(latencies: Latencies) -> Self {
        let Latencies { ttft, tpot, itl, e2el, num_tokens, duration, ends } = latencies;
        let num_requests = e2el.len();
        let [ttft, tpot, itl, e2el] = [ttft, tpot, itl, e2el].map(Distribution::from_samples);
        let at = |distribution: &Distribution, percent: f64| {
            1e3 * Percentile::new(percent).map_or(0.0, |percentile| distribution.percentile(percentile))
        };
        let per_second = |count: f64| if duration > 0.0 { count / duration } else { 0.0 };
        #[expect(clippy::cast_precision_loss, reason = "a count of tokens or requests")]
        let (requests, tokens) = (num_requests as f64, num_tokens as f64);
        Self {
            mean_ttft_ms: 1e3 * ttft.mean(),
            p50_ttft_ms: at(&ttft, 50.0),
            p90_ttft_ms: at(&ttft, 90.0),
            p99_ttft_ms: at(&ttft, 99.0),
            mean_tpot_ms: 1e3 * tpot.mean(),
            mean_itl_ms: 1e3 * itl.mean(),
            p99_itl_ms: at(&itl, 99.0),
            mean_e2el_ms: 1e3 * e2el.mean(),
            p50_e2el_ms: at(&e2el, 50.0),
            p90_e2el_ms: at(&e2el, 90.0),
            p99_e2el_ms: at(&e2el, 99.0),
            request_throughput: per_second(requests),
            output_throughput: per_second(tokens),
            duration_s: duration,
            capacity: middle_rate(ends),
        }
    }
}

#[cfg(test)]
mod tests {
    use sim_core::profile::synthetic::SyntheticCosts;

    use super::*;
    use crate::engine::Engine as _;
    use crate::engine::mock::MockEngine;

    const SHAPE: LoadShape = LoadShape { num_prompts: 200, input_len: 100, output_len: 20, range_ratio: 0.5, seed: 3 };

    fn config(profile: &Profile) -> EngineConfig {
        MockEngine::new(profile, 10_001, 0.0, 0).facts().config.clone()
    }

    #[test]
    fn a_load_has_its_rate_and_lengths() {
        let profile = SyntheticCosts::default().profile();
        let load = SHAPE.load(50.0, &config(&profile)).expect("it fits");
        let last = load.requests.last().expect("requests").at_ns;
        assert!((3.0..5.5).contains(&seconds(last)), "200 requests at 50 a second take {} s", seconds(last));
        assert!(load.requests.iter().all(|request| (50..=150).contains(&request.num_prompt_tokens)), "prompts");
        assert!(load.requests.iter().all(|request| (10..=30).contains(&request.max_tokens)), "outputs");
        let faster = SHAPE.load(100.0, &config(&profile)).expect("it fits");
        let lengths = |load: &Load| load.requests.iter().map(|request| request.num_prompt_tokens).collect::<Vec<_>>();
        assert_eq!(lengths(&load), lengths(&faster), "the same requests at every rate");
    }

    #[test]
    fn client_and_simulation_agree_on_what_a_metric_is() {
        let costs =
            SyntheticCosts { request_latency_us: 1000.0, output_latency_us: 500.0, ..SyntheticCosts::default() };
        let profile = costs.profile();
        let load = Load { requests: vec![LoadRequest { at_ns: 5_000_000, num_prompt_tokens: 50, max_tokens: 11 }] };
        let simulated = load.simulate(&profile, &config(&profile)).expect("a simulation");
        // A pass takes 10 ms: the first token is there 11.5 ms after the send, each other 10 ms after the one before.
        let at = |token: u64| 1_000_000_000 + 5_000_000 + 11_500_000 + token * 10_000_000;
        let seen = ClientRequest {
            send_ns: 1_005_000_000,
            chunks: (0..11).map(|token| (at(token), 1)).collect(),
            error: None,
        };
        let client = Metrics::of_client(&ClientRun { origin_ns: 1_000_000_000, requests: vec![seen] });
        for (real, simulated) in [
            (client.mean_ttft_ms, simulated.mean_ttft_ms),
            (client.p99_ttft_ms, simulated.p99_ttft_ms),
            (client.mean_tpot_ms, simulated.mean_tpot_ms),
            (client.p99_itl_ms, simulated.p99_itl_ms),
            (client.mean_e2el_ms, simulated.mean_e2el_ms),
            (client.request_throughput, simulated.request_throughput),
            (client.output_throughput, simulated.output_throughput),
        ] {
            assert!((real - simulated).abs() < 1e-9 * real, "{real} and {simulated}");
        }
        assert!((client.mean_ttft_ms - 11.5).abs() < 1e-9, "{client:?}");
    }

    #[test]
    fn a_saturated_engine_turns_requests_away_from_nobody() {
        let profile = SyntheticCosts::default().profile();
        let config = config(&profile);
        let load = SHAPE.load(1.0, &config).expect("it fits");
        let rate = load.saturated_rate(&profile, &config).expect("a simulation");
        // 4,000 tokens in passes of 10 ms, at most max_num_seqs at a time.
        let most = f64::from(config.max_num_seqs) * 100.0 / 20.0;
        assert!(rate > 10.0 && rate <= most * 1.5, "{rate} requests a second, at most about {most}");
        assert!(SHAPE.load(1.0, &EngineConfig { max_model_len: 100, ..config }).is_err(), "too long");
    }
}
