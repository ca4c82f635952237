//! Requests that get one token in every pass are counted instead of looked at: nothing may differ by it.
//!
//! The engine that looks at every request in every pass is the oracle: the recorded schedules of vLLM are its own.

use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use sim_core::batch::{AttentionSpan, PrefillChunk};
use sim_core::config::EngineConfig;
use sim_core::metrics::digest::digest;
use sim_core::profile::schema::{Basis, Cost, FrontEndWork, OutsideGraphs, PassNoise};
use sim_core::profile::{CaptureSizes, StepTimeModel, StepTimeSettings, SyntheticCosts};
use sim_core::request::RequestId;
use sim_core::simulation_result::SimulationResult;
use sim_core::simulator::{Simulation, SimulationOptions};
use sim_core::time::SimDuration;
use sim_core::workload::{Traffic, Workload};

use crate::draws::draws;
use crate::engine_properties;
use crate::properties::{self, Case};

/// Decodes, their contexts, prompt parts, and what the spans show.
type Batch = (u32, u64, Vec<PrefillChunk>, Vec<(AttentionSpan, u64)>);

/// What came of it, and all that a step time may depend on, by iteration of the engine's loop.
struct Run {
    result: SimulationResult,
    batches: BTreeMap<usize, Batch>,
    has_counted: bool,
    /// Iterations that were advanced together with others.
    num_stretched: usize,
}

fn run(mut simulation: Simulation<'_>) -> Run {
    let (mut batches, mut has_counted, mut num_stretched, mut num_before) = (BTreeMap::new(), false, 0, 0);
    while simulation.advance() {
        let num_iterations = simulation.num_iterations();
        num_stretched += num_iterations.saturating_sub(num_before + 1);
        num_before = num_iterations;
        let processed = simulation.engine().processed();
        let batch = processed.batch.clone();
        let spans = batch.spans().to_vec();
        let batch = (batch.num_decodes, batch.decode_context_tokens, batch.prefill_chunks, spans);
        batches.insert(num_iterations, batch);
        has_counted |= processed.num_steady_reqs > 0;
        simulation.engine().scheduler().kv_cache().pool().assert_invariants();
    }
    Run { result: simulation.finish(), batches, has_counted, num_stretched }
}

/// Runs it both ways; says whether any request was counted, and how many iterations were advanced together with others.
fn check(
    workload: &Workload,
    config: &EngineConfig,
    step_time: &StepTimeModel,
    record_emissions: bool,
) -> (bool, usize) {
    let options = SimulationOptions { record_emissions };
    let simulation = || Simulation::new(workload, config, step_time, options).expect("a possible run");
    let Run { result: expect, batches, has_counted, num_stretched } = run(simulation().looking_at_all());
    assert!(!has_counted && num_stretched == 0, "the oracle looks at every request in every pass");
    let Run { result: found, batches: found_batches, has_counted, num_stretched } = run(simulation());
    for (number, found) in &found_batches {
        assert_eq!(Some(found), batches.get(number), "batch {number}");
    }
    let passes = found.recording.passes.iter().zip(&expect.recording.passes);
    for (number, (found, expect)) in passes.enumerate() {
        assert_eq!(found, expect, "pass {number}");
    }
    let requests = found.recording.requests.iter().zip(&expect.recording.requests);
    for (number, (found, expect)) in requests.enumerate() {
        assert_eq!(found, expect, "request {number}");
    }
    assert_eq!(digest(&found.recording), digest(&expect.recording), "digest");
    assert_eq!((found.stats, found.num_evictions), (expect.stats, expect.num_evictions), "counters");
    assert_eq!((found.device_time, found.end_time), (expect.device_time, expect.end_time), "times");
    assert_eq!((found.queries_per_iter, found.join_order), (expect.queries_per_iter, expect.join_order), "input");
    (has_counted, num_stretched)
}

/// The same with all lengths, and what bounds them, so many times as long.
fn stretched(mut case: Case, times: u32) -> Case {
    for drawn in &mut case.requests {
        drawn.shared.1 *= times;
        drawn.own_len *= times;
        drawn.max_tokens *= times;
        drawn.stops_at = drawn.stops_at.map(|stops_at| stops_at * times - 1).filter(|&stops_at| stops_at > 0);
    }
    let config = &mut case.config;
    config.max_model_len *= times;
    config.num_gpu_blocks *= times;
    config.max_num_batched_tokens *= times;
    config.max_num_scheduled_tokens *= times;
    case
}

/// What a run has around its schedule.
#[derive(Debug, Clone)]
pub(crate) struct Surroundings {
    /// The front end works, in so many processes.
    api_servers: Option<u32>,
    /// The client works so long for each request and each token, in microseconds.
    client_us: (u64, u64),
    /// Each pass takes another time.
    noise_seed: Option<u64>,
    /// The largest CUDA graph.
    largest_graph: u32,
    /// Times of attention at contexts of 1, 50, 51, 300 and 2,000 tokens: of one request, and how many times as much of 5.
    attention_us: ([u32; 5], u32),
}

prop_compose! {
    pub(crate) fn surroundings()(
        api_servers in prop::option::of(1_u32..4),
        client_us in (prop_oneof![Just(0_u64), 0_u64..5_000], prop_oneof![Just(0_u64), 0_u64..300]),
        noise_seed in prop::option::of(any::<u64>()),
        largest_graph in prop_oneof![Just(64_u32), 1_u32..8],
        growth in prop::array::uniform5(0_u32..900),
        times in 1_u32..9,
    ) -> Surroundings {
        let mut attention_us = growth;
        (1..5).for_each(|place| attention_us[place] += attention_us[place - 1]);
        Surroundings { api_servers, client_us, noise_seed, largest_graph, attention_us: (attention_us, times) }
    }
}

impl Surroundings {
    pub(crate) fn api_servers(&self) -> u32 {
        self.api_servers.unwrap_or(1)
    }

    pub(crate) fn step_time(&self) -> StepTimeModel {
        let reason = || "made up".to_owned();
        let cost = |time_us: f64| Cost { time_us, basis: Basis::Estimate, reason: reason() };
        let costs = SyntheticCosts {
            pass_us: 1_000.1,
            token_us: 31.7,
            request_us: 7.3,
            schedule_us: 300.3,
            update_us: 200.2,
            request_latency_us: 700.7,
            output_latency_us: 100.1,
            ..SyntheticCosts::default()
        };
        let mut profile = costs.profile();
        profile.front_end.work = self.api_servers.map(|_| FrontEndWork {
            per_request: cost(400.4),
            per_prompt_token: cost(3.3),
            per_pass: cost(90.9),
            per_token: cost(11.7),
            per_chunk: cost(170.1),
        });
        let (of_one, times) = self.attention_us;
        let row = |times: u32| of_one.iter().map(|&us| Some(f64::from(us * times) / 3.0)).collect();
        let attention = &mut profile.step_time.decode_attention;
        attention.num_seqs = vec![1, 5];
        attention.context_tokens = vec![1, 50, 51, 300, 2_000];
        attention.time_us = vec![row(1), row(times)];
        profile.host.outside_graphs = Some(OutsideGraphs { per_pass: cost(55.5), share: 0.03 });
        let mut settings = StepTimeSettings::vllm_default(&profile, 8, 64);
        settings.capture_sizes = CaptureSizes::explicit(&[self.largest_graph], 64).expect("a valid size");
        let step_time = StepTimeModel::new(&profile, &settings).expect("valid settings");
        let (per_request, per_token) = self.client_us;
        let us = |us: u64| SimDuration::from_nanos(1_000 * us);
        let step_time = step_time.with_client_work(us(per_request), us(per_token));
        let noise = |sigma| PassNoise {
            sigma,
            correlation: 0.4,
            long_share: 0.02,
            long_us: 20_000.0,
            basis: Basis::Estimate,
            reason: reason(),
        };
        self.noise_seed.map_or_else(|| step_time.clone(), |seed| step_time.with_noise(&noise(0.1), seed))
    }
}

prop_compose! {
    pub(crate) fn stretched_case()(case in properties::case(), times in 2_u32..40) -> Case {
        stretched(case, times)
    }
}

/// The same requests, joining between passes, some of them given up.
pub(crate) fn scripted(workload: &Workload, per_iteration: &[u32], aborts: &[(u32, u32)]) -> Workload {
    let num_requests = u32::try_from(workload.requests.len()).expect("few");
    let mut left = num_requests;
    let mut queries_per_iter: Vec<u32> = per_iteration
        .iter()
        .map(|&wanted| {
            let joining = wanted.min(left);
            left -= joining;
            joining
        })
        .collect();
    queries_per_iter.push(left);
    let mut aborts: Vec<_> = aborts.iter().map(|&(at, id)| (at, RequestId(id % num_requests))).collect();
    aborts.sort_by_key(|&(at, _)| at);
    let traffic = Traffic::QueriesPerIter { queries_per_iter, join_order: Vec::new(), aborts };
    Workload { traffic, ..workload.clone() }
}

#[test]
fn most_runs_that_may_count_do() {
    let mut runner = TestRunner::deterministic();
    let (mut num_counting, mut num_with_spans, mut num_stretching) = (0, 0, 0);
    for _ in 0..100 {
        let case = stretched_case().new_tree(&mut runner).expect("a case").current();
        let (has_counted, num_stretched) = check(&case.workload(), &case.config, &case.step_time(), false);
        num_counting += u32::from(has_counted);
        num_stretching += u32::from(num_stretched >= 20);
        let (engine, asked) = engine_properties::case().new_tree(&mut runner).expect("a case").current();
        let (workload, step_time) =
            (engine_properties::workload(&engine, &asked), engine_properties::step_time(&engine.config));
        let (has_counted, _) = check(&workload, &engine.config, &step_time, false);
        num_with_spans += u32::from(has_counted && !engine.config.kv_cache.spans().is_empty());
    }
    let why = "the other properties say little";
    assert!(num_counting >= 50 && num_with_spans >= 3, "{num_counting} and {num_with_spans} of 100 runs count: {why}");
    assert!(num_stretching >= 40, "{num_stretching} of 100 runs have stretches: {why}");
}

proptest! {
    #![proptest_config(draws(300))]

    #[test]
    fn short_runs_are_the_same(case in properties::case(), record_emissions in any::<bool>()) {
        check(&case.workload(), &case.config, &case.step_time(), record_emissions);
    }

    #[test]
    fn long_runs_are_the_same(case in stretched_case(), record_emissions in any::<bool>()) {
        check(&case.workload(), &case.config, &case.step_time(), record_emissions);
    }

    #[test]
    fn runs_with_noise_and_busy_front_ends_are_the_same(case in stretched_case(), around in surroundings()) {
        let mut config = case.config.clone();
        config.pipeline_parallel_size = 1;
        config.api_server_count = around.api_servers();
        check(&case.workload(), &config, &around.step_time(), false);
    }

    #[test]
    fn runs_with_requests_given_up_are_the_same(
        case in stretched_case(),
        per_iteration in prop::collection::vec(prop_oneof![3 => Just(0_u32), 1 => 1_u32..4], 0..200),
        aborts in prop::collection::vec((0_u32..300, any::<u32>()), 0..12),
    ) {
        check(&scripted(&case.workload(), &per_iteration, &aborts), &case.config, &case.step_time(), true);
    }

    #[test]
    fn engines_of_any_kind_are_the_same((engine, asked) in engine_properties::case(), record_emissions in any::<bool>()) {
        let workload = engine_properties::workload(&engine, &asked);
        check(&workload, &engine.config, &engine_properties::step_time(&engine.config), record_emissions);
    }
}
