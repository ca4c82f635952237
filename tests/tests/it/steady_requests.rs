//! Requests that get one token in every pass are counted instead of looked at: nothing may differ by it.
//!
//! The engine that looks at every request in every pass is the oracle: the recorded schedules of vLLM are its own. A
//! few hundred runs are drawn by default; `STEADY_CASES` says how many otherwise.

use std::env;

use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use sim_core::batch::{AttentionSpan, PrefillChunk};
use sim_core::config::EngineConfig;
use sim_core::metrics::digest::digest;
use sim_core::profile::StepTimeModel;
use sim_core::request::RequestId;
use sim_core::simulation_result::SimulationResult;
use sim_core::simulator::{Simulation, SimulationOptions};
use sim_core::workload::{Traffic, Workload};

use crate::engine_properties;
use crate::properties::{self, Case};

fn num_cases() -> u32 {
    env::var("STEADY_CASES").ok().and_then(|text| text.parse().ok()).unwrap_or(300)
}

/// Decodes, their contexts, prompt parts, and what the spans show.
type Batch = (u32, u64, Vec<PrefillChunk>, Vec<(AttentionSpan, u64)>);

/// What came of it, and all that a step time may depend on, step by step.
struct Run {
    result: SimulationResult,
    batches: Vec<Batch>,
    has_counted: bool,
}

fn run(mut simulation: Simulation<'_>) -> Run {
    let (mut batches, mut has_counted) = (Vec::new(), false);
    while simulation.advance() {
        let processed = simulation.engine().processed();
        let batch = processed.batch.clone();
        let spans = batch.spans().to_vec();
        batches.push((batch.num_decodes, batch.decode_context_tokens, batch.prefill_chunks, spans));
        has_counted |= processed.num_steady_reqs > 0;
        simulation.engine().scheduler().kv_cache().pool().assert_invariants();
    }
    Run { result: simulation.finish(), batches, has_counted }
}

/// Runs it both ways; says whether any request was counted.
fn check(workload: &Workload, config: &EngineConfig, step_time: &StepTimeModel, record_emissions: bool) -> bool {
    let options = SimulationOptions { record_emissions };
    let simulation = || Simulation::new(workload, config, step_time, options).expect("a possible run");
    let Run { result: expect, batches, has_counted } = run(simulation().looking_at_all());
    assert!(!has_counted, "the oracle looks at every request");
    let Run { result: found, batches: found_batches, has_counted } = run(simulation());
    for (number, (found, expect)) in found_batches.iter().zip(&batches).enumerate() {
        assert_eq!(found, expect, "batch {number}");
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
    has_counted
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
    let (mut num_counting, mut num_with_spans) = (0, 0);
    for _ in 0..100 {
        let case = stretched_case().new_tree(&mut runner).expect("a case").current();
        num_counting += u32::from(check(&case.workload(), &case.config, &case.step_time(), false));
        let (engine, asked) = engine_properties::case().new_tree(&mut runner).expect("a case").current();
        let (workload, step_time) =
            (engine_properties::workload(&engine, &asked), engine_properties::step_time(&engine.config));
        let has_counted = check(&workload, &engine.config, &step_time, false);
        num_with_spans += u32::from(has_counted && !engine.config.kv_cache.spans().is_empty());
    }
    let why = "the other properties say little";
    assert!(num_counting >= 50 && num_with_spans >= 3, "{num_counting} and {num_with_spans} of 100 runs count: {why}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: num_cases(), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn short_runs_are_the_same(case in properties::case(), record_emissions in any::<bool>()) {
        check(&case.workload(), &case.config, &case.step_time(), record_emissions);
    }

    #[test]
    fn long_runs_are_the_same(case in stretched_case(), record_emissions in any::<bool>()) {
        check(&case.workload(), &case.config, &case.step_time(), record_emissions);
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
