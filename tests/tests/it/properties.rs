//! What holds for every run: nothing is lost, nothing is made up, time goes forward.
//!
//! Workloads and engines are drawn small, so that queues, preemptions and cache hits are frequent. A failing case is
//! shrunk and printed whole.

use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use sim_core::config::{EngineConfig, SchedulingPolicy};
use sim_core::metrics::recorder::{PassRecord, Recording};
use sim_core::profile::{StepTimeModel, StepTimeSettings, SyntheticCosts};
use sim_core::request::{Request, TokenRun};
use sim_core::request_set::{NewRequest, RequestSet};
use sim_core::simulation_result::SimulationResult;
use sim_core::simulator::{Simulation, SimulationOptions, simulate};
use sim_core::time::{SimDuration, SimTime};
use sim_core::workload::{Traffic, Workload};

use crate::draws::draws;

/// How long the engine sleeps after a step that ran nothing.
const IDLE_STEP_SLEEP: SimDuration = SimDuration::from_nanos(1_000_000);

#[derive(Debug, Clone)]
pub(crate) struct Drawn {
    pub(crate) shared: (u32, u32),
    pub(crate) own_len: u32,
    pub(crate) max_tokens: u32,
    /// Output tokens up to a stop token, where that comes before `max_tokens`.
    pub(crate) stops_at: Option<u32>,
    priority: i32,
    /// Time since the request before.
    gap_us: u64,
}

/// A workload and an engine.
#[derive(Debug, Clone)]
pub(crate) struct Case {
    pub(crate) requests: Vec<Drawn>,
    pub(crate) config: EngineConfig,
    max_concurrency: Option<u32>,
    /// Host and front end cost something.
    has_host_costs: bool,
    /// Front-end time of a prompt token; long prompts are then overtaken by short ones.
    prompt_token_us: f64,
}

fn drawn() -> impl Strategy<Value = Drawn> {
    let gap_us = prop_oneof![Just(0), 0_u64..5_000, 0_u64..100_000];
    let stops_at = prop_oneof![3 => Just(None), 1 => (1_u32..10).prop_map(Some)];
    ((0_u32..3, 0_u32..24), 1_u32..30, 1_u32..24, stops_at, 0_i32..3, gap_us).prop_map(
        |(shared, own_len, max_tokens, stops_at, priority, gap_us)| Drawn {
            shared,
            own_len,
            max_tokens,
            stops_at,
            priority,
            gap_us,
        },
    )
}

prop_compose! {
    fn config()(
        block_size in 1_u32..9,
        max_model_len in 55_u32..70,
        spare_blocks in prop_oneof![0_u32..8, 8_u32..100],
        max_num_active_seqs in 1_u32..9,
        budget in 1_u32..50,
        threshold in prop_oneof![Just(0_u32), 1_u32..20],
        watermark_blocks in 0_u32..3,
        pipeline_parallel_size in prop_oneof![3 => Just(1_u32), 1 => 2_u32..4],
        flags in any::<[bool; 6]>(),
    ) -> EngineConfig {
        let [caching, chunked, adaptive, priority, reserve, async_scheduling] = flags;
        // A prompt that never fits is refused.
        let budget = if chunked { budget } else { budget + max_model_len };
        EngineConfig {
            max_num_seqs: 8,
            max_num_active_seqs,
            max_num_batched_tokens: budget,
            max_num_scheduled_tokens: budget,
            enable_prefix_caching: caching,
            enable_chunked_prefill: chunked,
            long_prefill_token_threshold: threshold,
            long_prefill_token_threshold_adaptive: adaptive,
            policy: if priority { SchedulingPolicy::Priority } else { SchedulingPolicy::Fcfs },
            scheduler_reserve_full_isl: reserve,
            watermark_blocks,
            async_scheduling,
            pipeline_parallel_size,
        ..EngineConfig::new(block_size, 1 + max_model_len.div_ceil(block_size) + spare_blocks, max_model_len)
        }
    }
}

prop_compose! {
    pub(crate) fn case()(
        requests in prop::collection::vec(drawn(), 1..25),
        config in config(),
        max_concurrency in prop::option::of(1_u32..6),
        has_host_costs in any::<bool>(),
    ) -> Case {
        Case { requests, config, max_concurrency, has_host_costs, prompt_token_us: 0.0 }
    }
}

impl Case {
    pub(crate) fn workload(&self) -> Workload {
        let (mut requests, mut send_times, mut now) = (RequestSet::new(), vec![], SimTime::ZERO);
        for (id, drawn) in (0..).zip(&self.requests) {
            let stops_at = drawn.stops_at.filter(|&stops_at| stops_at < drawn.max_tokens);
            let num_output_tokens = stops_at.unwrap_or(drawn.max_tokens);
            let (segment, shared_len) = drawn.shared;
            let own = TokenRun::segment(100 + 2 * id, drawn.own_len);
            let new = NewRequest {
                prompt: &[TokenRun::segment(1 + segment, shared_len), own],
                output: &[TokenRun::segment(101 + 2 * id, num_output_tokens)],
                max_tokens: drawn.max_tokens,
                stops: stops_at.is_some(),
                priority: drawn.priority,
                arrival_order: u64::from(id),
                id_rank: id,
                cache_salt: 0,
            };
            requests.push(&new).expect("a possible request");
            now += SimDuration::from_nanos(1_000 * drawn.gap_us);
            send_times.push(now);
        }
        Workload {
            requests,
            traffic: Traffic::Timed { send_times, max_concurrency: self.max_concurrency },
            earlier: Vec::new(),
        }
    }

    pub(crate) fn step_time(&self) -> StepTimeModel {
        let host = if self.has_host_costs { 1.0 } else { 0.0 };
        let costs = SyntheticCosts {
            pass_us: 1_000.0,
            token_us: 31.0,
            request_us: 7.0,
            decode_context_token_us: 0.1,
            schedule_us: 300.3 * host,
            update_us: 200.2 * host,
            request_latency_us: 700.7 * host,
            output_latency_us: 100.1 * host,
            ..SyntheticCosts::default()
        };
        let mut profile = costs.profile();
        profile.front_end.request_latency.per_prompt_token.time_us = self.prompt_token_us;
        let mut settings = StepTimeSettings::vllm_default(&profile, 8, 64);
        settings.pipeline_parallel_size = self.config.pipeline_parallel_size;
        StepTimeModel::new(&profile, &settings).expect("valid settings")
    }

    /// Runs it step by step, with the pool's invariants after each step.
    fn run(&self, workload: &Workload) -> SimulationResult {
        let step_time = self.step_time();
        let options = SimulationOptions { record_emissions: true };
        let mut simulation = Simulation::new(workload, &self.config, &step_time, options).expect("a possible run");
        for steps in 0.. {
            assert!(steps < 20_000, "the run does not end");
            let goes_on = simulation.advance();
            simulation.engine().scheduler().kv_cache().pool().assert_invariants();
            if !goes_on {
                break;
            }
        }
        let kv_cache = simulation.engine().scheduler().kv_cache();
        assert_eq!(kv_cache.num_free_blocks(), kv_cache.num_usable_blocks(), "free blocks at the end");
        simulation.finish()
    }

    fn num_expected_outputs(&self, request: &Request) -> u32 {
        let limit = request.max_tokens.min(self.config.max_model_len - request.num_prompt_tokens);
        request.num_output_tokens.min(limit)
    }
}

fn check_tokens(case: &Case, workload: &Workload, result: &SimulationResult) {
    let Recording { passes, requests, .. } = &result.recording;
    let (mut num_needed, mut num_outputs) = (0, 0);
    for (record, request) in requests.iter().zip(workload.requests.as_slice()) {
        assert!(record.is_finished, "a request was lost");
        assert_eq!(record.num_output_tokens, case.num_expected_outputs(request), "output tokens");
        assert!(record.num_cached_tokens < record.num_prompt_tokens, "the last prompt token is always computed");
        num_needed += record.num_prompt_tokens - record.num_cached_tokens + record.num_output_tokens - 1;
        num_outputs += record.num_output_tokens;
    }
    let num_computed: u32 = passes.iter().map(|pass| pass.num_tokens).sum();
    assert_eq!(passes.iter().map(|pass| pass.num_outputs).sum::<u32>(), num_outputs, "outputs of all passes");
    // A token behind an end of sequence may be computed by an asynchronous engine; nothing else is ever wasted.
    let wastes = case.config.async_scheduling && workload.requests.as_slice().iter().any(|request| request.stops);
    if wastes || result.stats.num_preemptions > 0 {
        // What a preempted request had computed can be found again in the cache, but never counts twice in `needed`; what
        // another has computed of the same prompt meanwhile, it finds, too.
        let num_found = u32::try_from(result.stats.preempted_hits).expect("few");
        assert!(
            num_computed + num_found >= num_needed,
            "{num_computed} computed, {num_found} found, {num_needed} needed"
        );
    } else {
        assert_eq!(num_computed, num_needed, "tokens computed");
    }
}

fn check_limits(config: &EngineConfig, passes: &[PassRecord]) {
    for pass in passes {
        assert!(pass.num_tokens >= 1 && pass.num_tokens <= config.max_num_batched_tokens, "{pass:?}");
        assert!(pass.num_prefill_tokens <= pass.num_tokens, "{pass:?}");
        assert!(pass.num_reqs <= pass.num_running_reqs, "{pass:?}");
        assert!(pass.num_running_reqs <= config.max_num_active_seqs, "{pass:?}");
        assert!(pass.num_outputs <= pass.num_reqs, "{pass:?}");
        assert!(pass.num_free_blocks < config.num_gpu_blocks, "{pass:?}");
    }
}

fn check_times(case: &Case, recording: &Recording) {
    let (passes, requests) = (recording.passes.to_vec(), recording.requests.to_vec());
    for pass in &passes {
        let times = [pass.schedule_time, pass.start_time, pass.end_time, pass.output_time, pass.delivery_time];
        assert!(times.is_sorted(), "{pass:?}");
    }
    for pair in passes.windows(2) {
        let (before, after) = (&pair[0], &pair[1]);
        assert!(before.schedule_time <= after.schedule_time, "{pair:?}");
        assert!(before.start_time <= after.start_time, "{pair:?}");
        assert!(before.end_time <= after.end_time, "{pair:?}");
        assert!(before.delivery_time <= after.delivery_time, "{pair:?}");
        if case.config.pipeline_parallel_size == 1 {
            assert!(before.end_time <= after.start_time, "one pass at a time: {pair:?}");
        }
    }
    for request in &requests {
        let first = passes[request.first_scheduled_pass as usize].schedule_time;
        let times = [request.scheduled_send_time, request.send_time, request.queued_time, first];
        assert!(times.is_sorted(), "{request:?}");
        let of_passes = [request.first_scheduled_pass, request.first_token_pass, request.last_token_pass];
        assert!(of_passes.is_sorted(), "{request:?}");
    }
    if let Some(limit) = case.max_concurrency {
        let ends = |index: usize| passes[requests[index].last_token_pass as usize].delivery_time;
        for (index, request) in requests.iter().enumerate() {
            let num_under_way = (0..=index).filter(|&other| ends(other) > request.send_time).count();
            assert!(num_under_way <= limit as usize, "{num_under_way} under way at {request:?}");
        }
    }
}

/// Time between the first start and the last end in which the device ran nothing.
fn idle_time(passes: &[PassRecord]) -> SimDuration {
    let mut idle = SimDuration::ZERO;
    for pair in passes.windows(2) {
        idle += pair[1].start_time.saturating_since(pair[0].end_time);
    }
    idle
}

/// What a schedule is, apart from times.
fn schedule(recording: &Recording) -> Vec<[u32; 7]> {
    let row = |pass: PassRecord| {
        [
            pass.num_tokens,
            pass.num_prefill_tokens,
            pass.num_reqs,
            pass.num_outputs,
            pass.num_running_reqs,
            pass.num_waiting_reqs,
            pass.num_free_blocks,
        ]
    };
    recording.passes.iter().map(row).collect()
}

#[test]
fn the_drawn_runs_preempt_and_hit_the_cache_and_evict() {
    let mut runner = TestRunner::deterministic();
    let mut num_runs_with = [0; 4];
    for _ in 0..400 {
        let case = case().new_tree(&mut runner).expect("a case").current();
        let result = case.run(&case.workload());
        let requests = &result.recording.requests;
        let stops_early = |request: &Request| request.stops;
        let happened = [
            result.stats.num_preemptions > 0,
            requests.iter().any(|request| request.num_cached_tokens > 0),
            result.num_evictions > 0,
            case.workload().requests.as_slice().iter().any(stops_early),
        ];
        for (count, happened) in num_runs_with.iter_mut().zip(happened) {
            *count += u32::from(happened);
        }
    }
    let names = ["preemptions", "cache hits", "evictions", "early stops"];
    for (name, count) in names.iter().zip(num_runs_with) {
        assert!(count >= 40, "{name} in {count} of 400 runs: the other properties say little about them");
    }
}

proptest! {
    #![proptest_config(draws(400))]

    #[test]
    fn requests_and_tokens_and_blocks_are_conserved(case in case()) {
        let workload = case.workload();
        let result = case.run(&workload);
        check_tokens(&case, &workload, &result);
        check_limits(&case.config, &result.recording.passes.to_vec());
    }

    #[test]
    fn time_goes_forward_and_a_stage_runs_one_pass_at_a_time(case in case()) {
        let result = case.run(&case.workload());
        check_times(&case, &result.recording);
    }

    #[test]
    fn a_run_that_is_recorded_and_replayed_has_the_same_passes(mut case in case(), prompt_token_us in 0_u32..400) {
        case.prompt_token_us = prompt_token_us.into();
        let mut workload = case.workload();
        let timed = case.run(&workload);
        let queries_per_iter = timed.queries_per_iter.clone();
        let join_order = timed.join_order.clone();
        workload.traffic = Traffic::QueriesPerIter { queries_per_iter, join_order, aborts: vec![] };
        let replayed = simulate(&workload, &case.config, &case.step_time(), SimulationOptions::default());
        let replayed = replayed.expect("a possible run");
        prop_assert_eq!(schedule(&timed.recording), schedule(&replayed.recording));
        prop_assert_eq!(timed.queries_per_iter, replayed.queries_per_iter);
        prop_assert_eq!(timed.stats, replayed.stats);
        prop_assert_eq!(timed.device_time, replayed.device_time);
    }

    #[test]
    fn first_come_is_first_admitted(mut case in case()) {
        case.config.policy = SchedulingPolicy::Fcfs;
        let recording = case.run(&case.workload()).recording;
        prop_assert!(recording.requests.iter().map(|request| request.first_scheduled_pass).is_sorted());
    }

    // With all requests there from the start, a host that takes no time and one stage.
    #[test]
    fn the_device_does_not_idle_while_there_is_work(mut case in case()) {
        case.has_host_costs = false;
        case.max_concurrency = None;
        case.config.pipeline_parallel_size = 1;
        case.requests.iter_mut().for_each(|drawn| drawn.gap_us = 0);
        let result = case.run(&case.workload());
        let (passes, iterations) = (result.recording.passes.to_vec(), result.queries_per_iter.len());
        let idle = idle_time(&passes);
        if case.config.async_scheduling {
            // A request whose last token is under way may hold the only slot: that step runs nothing, then sleeps.
            let num_empty = iterations - passes.len();
            prop_assert!(idle <= IDLE_STEP_SLEEP.saturating_mul(num_empty as u64), "{} after {} empty steps", idle, num_empty);
        } else {
            prop_assert_eq!(idle, SimDuration::ZERO);
        }
    }
}
