//! Runs whose times can be said beforehand: by queueing theory, or by counting.

use sim_core::config::EngineConfig;
use sim_core::metrics::recorder::{PassRecord, Recording, RequestRecord};
use sim_core::profile::{StepTimeModel, StepTimeSettings, SyntheticCosts};
use sim_core::request::TokenRun;
use sim_core::request_set::{NewRequest, RequestSet};
use sim_core::rng::RandomState;
use sim_core::simulator::{SimulationOptions, simulate};
use sim_core::time::{SimDuration, SimTime};
use sim_core::workload::arrival::{TrafficOptions, send_times};
use sim_core::workload::{Traffic, Workload};

/// 10 ms a pass, nothing else costs anything; prefix caching is off.
fn config() -> EngineConfig {
    EngineConfig {
        max_num_seqs: 64,
        max_num_active_seqs: 64,
        max_num_batched_tokens: 512,
        max_num_scheduled_tokens: 512,
        enable_prefix_caching: false,
        async_scheduling: false,
        ..EngineConfig::new(16, 20_001, 4096)
    }
}

/// Requests of `(prompt, output)` tokens.
fn requests(lengths: impl IntoIterator<Item = (u32, u32)>) -> RequestSet {
    let mut requests = RequestSet::new();
    for (id, (num_prompt_tokens, max_tokens)) in (0..).zip(lengths) {
        let new = NewRequest {
            prompt: &[TokenRun::segment(2 * id, num_prompt_tokens)],
            output: &[TokenRun::segment(2 * id + 1, max_tokens)],
            max_tokens,
            stops: false,
            priority: 0,
            arrival_order: u64::from(id),
            id_rank: id,
            cache_salt: 0,
        };
        requests.push(&new).expect("a possible request");
    }
    requests
}

fn run(requests: RequestSet, traffic: &TrafficOptions, config: &EngineConfig, costs: &SyntheticCosts) -> Recording {
    let send_times = send_times(traffic, requests.len(), &mut RandomState::new(7)).expect("valid options");
    let traffic = Traffic::Timed { send_times, max_concurrency: traffic.max_concurrency };
    let profile = costs.profile();
    let settings = StepTimeSettings::vllm_default(&profile, config.max_num_seqs, config.max_num_batched_tokens);
    let step_time = StepTimeModel::new(&profile, &settings).expect("valid settings");
    let workload = Workload { requests, traffic, earlier: Vec::new() };
    simulate(&workload, config, &step_time, SimulationOptions::default()).expect("a possible run").recording
}

fn first_delivery(recording: &Recording, request: RequestRecord) -> SimTime {
    recording.pass(request.first_token_pass).expect("a pass").delivery_time
}

fn last_delivery(recording: &Recording, request: RequestRecord) -> SimTime {
    recording.pass(request.last_token_pass).expect("a pass").delivery_time
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// Standard error of the mean of correlated values, from the means of 50 stretches of them.
fn standard_error(values: &[f64]) -> f64 {
    let means: Vec<f64> = values.chunks_exact(values.len() / 50).map(mean).collect();
    let center = mean(&means);
    let variance = means.iter().map(|mean| (mean - center).powi(2)).sum::<f64>() / (means.len() - 1) as f64;
    (variance / means.len() as f64).sqrt()
}

/// One server, one pass of 10 ms per request, Poisson arrivals: the Pollaczek–Khinchine formula gives the mean wait
/// `rho / (2 (1 - rho))` services.
#[track_caller]
fn check_md1(rho: f64, num_requests: usize, tolerance: f64) {
    let config = EngineConfig { max_num_active_seqs: 1, ..config() };
    let traffic = TrafficOptions { request_rate: rho / 0.010, ..TrafficOptions::default() };
    let requests = requests((0..num_requests).map(|_| (1, 1)));
    let recording = run(requests, &traffic, &config, &SyntheticCosts::default());
    let wait_ms = |request: RequestRecord| {
        let start_time = recording.pass(request.first_scheduled_pass).expect("a pass").start_time;
        (start_time - request.send_time).as_millis_f64()
    };
    let waits: Vec<f64> = recording.requests.iter().map(wait_ms).collect();
    let expect = 10.0 * rho / (2.0 * (1.0 - rho));
    let (got, standard_error) = (mean(&waits), standard_error(&waits));
    assert!(4.0 * standard_error < tolerance * expect, "too few requests: {standard_error} ms is the standard error");
    assert!((got / expect - 1.0).abs() < tolerance, "mean wait {got} ms, {expect} ms expected, error {standard_error}");
}

#[test]
fn the_mean_wait_for_one_server_is_that_of_queueing_theory_at_half_load() {
    check_md1(0.5, 600_000, 0.03);
}

#[test]
fn the_mean_wait_for_one_server_is_that_of_queueing_theory_at_high_load() {
    check_md1(0.8, 1_000_000, 0.05);
}

/// Little's law, exact: in a synchronous engine the requests in the system change only between passes, so the sum of
/// requests times pass lengths and the sum of the requests' times in the system are the same nanoseconds.
#[test]
fn requests_in_the_system_are_arrival_rate_times_time_in_the_system() {
    let costs =
        SyntheticCosts { token_us: 20.0, schedule_us: 400.0, update_us: 300.0, output_latency_us: 0.0, ..costs() };
    let config = EngineConfig { max_num_active_seqs: 4, ..config() };
    let traffic = TrafficOptions { request_rate: 5.0, ..TrafficOptions::default() };
    let lengths = (0..2_000_u32).map(|id| (1 + id * 37 % 700, 1 + id * 17 % 50));
    let recording = run(requests(lengths), &traffic, &config, &costs);
    let present_nanos = |pass: PassRecord| {
        let num_present = u64::from(pass.num_running_reqs + pass.num_waiting_reqs);
        num_present * (pass.output_time - pass.schedule_time).as_nanos()
    };
    let in_system_nanos = |request: RequestRecord| {
        (recording.pass(request.last_token_pass).expect("a pass").output_time - request.queued_time).as_nanos()
    };
    let by_passes: u64 = recording.passes.iter().map(present_nanos).sum();
    let by_requests: u64 = recording.requests.iter().map(in_system_nanos).sum();
    let num_queued = recording.passes.iter().filter(|pass| pass.num_waiting_reqs > 0).count();
    assert!(num_queued > 100, "{num_queued} passes with a queue: the law is trivial");
    assert_eq!(by_passes, by_requests, "requests × nanoseconds");
}

/// Everything costs something; the device is the slowest.
fn costs() -> SyntheticCosts {
    SyntheticCosts {
        pass_us: 5_000.0,
        token_us: 11.0,
        request_us: 30.0,
        decode_context_token_us: 0.5,
        schedule_us: 700.0,
        update_us: 400.0,
        request_latency_us: 2_100.0,
        output_latency_us: 900.0,
        ..SyntheticCosts::default()
    }
}

fn micros(micros: f64) -> SimDuration {
    SimDuration::from_micros_f64(micros)
}

/// One request of 1,000 + 20 tokens under a budget of 512: checks TTFT and E2EL.
#[track_caller]
fn check_alone(async_scheduling: bool, costs: &SyntheticCosts, ttft_us: f64, e2el_us: f64) {
    let config = EngineConfig { async_scheduling, ..config() };
    let recording = run(requests([(1_000, 20)]), &TrafficOptions::default(), &config, costs);
    let request = recording.requests.first().expect("a request");
    assert_eq!(first_delivery(&recording, request) - request.send_time, micros(ttft_us), "TTFT");
    assert_eq!(last_delivery(&recording, request) - request.send_time, micros(e2el_us), "E2EL");
}

/// Device time of the two prompt parts, and of the 19 decodes at contexts of 1,001 to 1,019 tokens.
fn device_us(costs: &SyntheticCosts) -> (f64, f64) {
    let prefill = 2.0 * (costs.pass_us + costs.request_us) + 1_000.0 * costs.token_us;
    let contexts = f64::from((1_001..=1_019).sum::<u32>());
    let decode = 19.0 * (costs.pass_us + costs.request_us + costs.token_us) + contexts * costs.decode_context_token_us;
    (prefill, decode)
}

#[test]
fn one_request_alone_in_a_synchronous_engine_pays_host_and_device_of_each_pass() {
    let costs = costs();
    let (prefill, decode) = device_us(&costs);
    let (client, host) = (2_100.0 + 900.0, 700.0 + 400.0);
    check_alone(false, &costs, client + prefill + 2.0 * host, client + prefill + decode + 21.0 * host);
}

#[test]
fn one_request_alone_in_an_asynchronous_engine_pays_the_host_once_if_the_device_is_slower() {
    let costs = costs();
    let (prefill, decode) = device_us(&costs);
    let (client, host) = (2_100.0 + 900.0, 700.0 + 400.0);
    check_alone(true, &costs, client + prefill + host, client + prefill + decode + host);
}

/// The second pass is prepared before the first is taken in, then each pass costs `schedule + update`.
#[test]
fn one_request_alone_in_an_asynchronous_engine_pays_the_host_alone_if_that_is_slower() {
    let costs = SyntheticCosts { pass_us: 100.0, token_us: 0.0, decode_context_token_us: 0.0, ..costs() };
    let (client, host) = (2_100.0 + 900.0, 700.0 + 400.0);
    check_alone(true, &costs, client + 700.0 + 2.0 * host, client + 700.0 + 21.0 * host);
}

/// Checks the time between tokens of eight requests that decode together, away from beginning and end.
#[track_caller]
fn check_period(async_scheduling: bool, pass_us: f64, expect_us: f64) {
    let costs = SyntheticCosts { pass_us, schedule_us: 700.0, update_us: 400.0, ..SyntheticCosts::default() };
    let config = EngineConfig { async_scheduling, ..config() };
    let recording = run(requests([(8, 100); 8]), &TrafficOptions::default(), &config, &costs);
    assert_eq!(recording.passes.len(), 100, "passes");
    for pair in recording.passes.to_vec()[5..95].windows(2) {
        assert_eq!(pair[1].delivery_time - pair[0].delivery_time, micros(expect_us), "{pair:?}");
    }
}

#[test]
fn the_period_of_a_synchronous_engine_is_device_and_host() {
    check_period(false, 5_000.0, 6_100.0);
    check_period(false, 300.0, 1_400.0);
}

#[test]
fn the_period_of_an_asynchronous_engine_is_the_slower_of_device_and_host() {
    check_period(true, 5_000.0, 5_000.0);
    check_period(true, 1_200.0, 1_200.0);
    check_period(true, 1_000.0, 1_100.0);
    check_period(true, 300.0, 1_100.0);
}

/// The response time law: `throughput × mean response time = concurrency`, but for the end, when places stay empty. That
/// end is no longer than the longest response.
#[track_caller]
fn check_closed_loop(async_scheduling: bool, max_concurrency: u32) {
    let config = EngineConfig { async_scheduling, ..config() };
    let traffic = TrafficOptions { max_concurrency: Some(max_concurrency), ..TrafficOptions::default() };
    let lengths = (0..3_000_u32).map(|id| (1 + id * 37 % 900, 1 + id * 17 % 60));
    let recording = run(requests(lengths), &traffic, &config, &costs());
    let responses = recording.requests.iter().map(|request| last_delivery(&recording, request) - request.send_time);
    let responses: Vec<u64> = responses.map(SimDuration::as_nanos).collect();
    let (sum, longest) = (responses.iter().sum::<u64>(), responses.iter().max().copied().unwrap_or(0));
    let ends = recording.requests.iter().map(|request| last_delivery(&recording, request).as_nanos());
    let duration = ends.max().expect("requests");
    let places = u64::from(max_concurrency);
    assert!(sum <= places * duration, "more than {places} requests at once: {sum} of {duration} ns");
    assert!(sum >= places * (duration - longest), "places stay empty: {sum} of {duration} ns, longest {longest}");
    let law = responses.len() as f64 / duration as f64 * (sum as f64 / responses.len() as f64);
    assert!((law / f64::from(max_concurrency) - 1.0).abs() < 0.03, "throughput × response time is {law}");
}

#[test]
fn closed_loop_throughput_is_concurrency_over_response_time() {
    check_closed_loop(false, 1);
    check_closed_loop(false, 16);
    check_closed_loop(true, 16);
}
