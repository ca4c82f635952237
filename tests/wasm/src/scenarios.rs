//! The workloads: fifteen settings of the engine, each under six kinds of traffic.

use sim_core::config::{EngineConfig, SchedulingPolicy};
use sim_core::math;
use sim_core::profile::{Profile, StepTimeModel, StepTimeSettings, SyntheticCosts};
use sim_core::request::{RequestId, TokenRun};
use sim_core::request_set::{NewRequest, RequestSet};
use sim_core::rng::{Pcg64, RandomState};
use sim_core::simulation_result::SimulationResult;
use sim_core::simulator::{SimulationOptions, simulate};
use sim_core::time::{SimDuration, SimTime};
use sim_core::workload::arrival::{TrafficOptions, send_times};
use sim_core::workload::dataset::{Dataset, SampleOptions, sample};
use sim_core::workload::lengths::RangeRatio;
use sim_core::workload::random::Random;
use sim_core::workload::{After, Traffic, Workload};

use crate::models;

const SHIPPED_PROFILE: &[u8] = include_bytes!("../../../www/profiles/h100-sxm_llama-3.1-8b_bf16_tp1.json");

/// What is special about the engine or its requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Setting {
    /// The `random` dataset of `vllm bench serve`.
    BenchServeRandom,
    /// So few KV blocks that requests are preempted.
    TightMemory,
    /// Prompts that begin alike.
    SharedPrefixes,
    /// No prefix caching.
    NoPrefixCaching,
    /// Prompts are computed in one piece.
    WholePrompts,
    /// A limit on one request's tokens per pass.
    LongPrefillThreshold,
    /// Two pipeline stages.
    TwoStages,
    /// Three pipeline stages and few blocks.
    ThreeStages,
    /// Scheduling by priority.
    Priority,
    /// Scheduling by priority with few blocks.
    PriorityTightMemory,
    /// Many requests end by an end-of-sequence token.
    EarlyStops,
    /// The adaptive threshold, the watermark, salted prompts, few running requests.
    EverythingElse,
    /// Layers of several kinds: full attention, windows, states.
    Groups,
    /// Speculative decoding.
    Speculation,
    /// Both, with few blocks.
    GroupsSpeculation,
}

/// In the order of the numbers.
pub const SETTINGS: [Setting; 15] = [
    Setting::BenchServeRandom,
    Setting::TightMemory,
    Setting::SharedPrefixes,
    Setting::NoPrefixCaching,
    Setting::WholePrompts,
    Setting::LongPrefillThreshold,
    Setting::TwoStages,
    Setting::ThreeStages,
    Setting::Priority,
    Setting::PriorityTightMemory,
    Setting::EarlyStops,
    Setting::EverythingElse,
    Setting::Groups,
    Setting::Speculation,
    Setting::GroupsSpeculation,
];

/// When requests come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Arrivals {
    AtOnce,
    Poisson,
    Gamma,
    ClosedLoop,
    QueriesPerIter,
    Answered,
}

const ARRIVALS: [Arrivals; 6] = [
    Arrivals::AtOnce,
    Arrivals::Poisson,
    Arrivals::Gamma,
    Arrivals::ClosedLoop,
    Arrivals::QueriesPerIter,
    Arrivals::Answered,
];

/// Workloads in all.
pub const NUM_SCENARIOS: u32 = math::usize_to_u32(SETTINGS.len() * ARRIVALS.len());

/// Requests of each: enough for queues, few enough for a second in all.
const NUM_REQUESTS: u32 = 250;
/// The blocks that make memory tight: twice the longest request.
const FEW_BLOCKS: u32 = 2 * 1024 / 16 + 1;

/// One workload and the engine it runs on.
#[derive(Debug)]
pub struct Scenario {
    /// What it is about.
    pub setting: Setting,
    workload: Workload,
    config: EngineConfig,
    step_time: StepTimeModel,
}

impl Scenario {
    /// Number `index` of [`NUM_SCENARIOS`].
    ///
    /// # Panics
    /// If the shipped profile or a constant here is wrong.
    #[must_use]
    pub fn new(index: u32) -> Self {
        let (row, column) = (math::u32_to_usize(index) % SETTINGS.len(), math::u32_to_usize(index) / SETTINGS.len());
        let setting = SETTINGS[row];
        let mut random = Pcg64::stream(u64::from(index), "scenario");
        let mut requests = requests(setting, index, &mut random);
        requests.set_acceptance(models::acceptance(index));
        let traffic = traffic(ARRIVALS[column], index, &mut random);
        if matches!(traffic, Traffic::Answered { .. }) {
            requests.set_come_in_any_order();
        }
        // Halves of another period each, so that profile, loop, setting and traffic meet in all ways.
        let config = config(setting, (row / 2 + column / 2) % 2 == 1);
        let step_time = step_time((row + column).is_multiple_of(2), &config);
        Self { setting, workload: Workload { requests, traffic, earlier: Vec::new() }, config, step_time }
    }

    /// Runs it.
    ///
    /// # Panics
    /// If it is not a possible run.
    #[must_use]
    pub fn run(&self) -> SimulationResult {
        let options = SimulationOptions { record_emissions: true };
        simulate(&self.workload, &self.config, &self.step_time, options).expect("a possible run")
    }
}

fn step_time(is_shipped: bool, config: &EngineConfig) -> StepTimeModel {
    // The shipped profile is of a model with layers of one kind and no drafter.
    let profile = if is_shipped && config.speculative.is_none() && config.kv_cache.groups.len() == 1 {
        Profile::from_json(SHIPPED_PROFILE).expect("the shipped profile is valid")
    } else {
        let costs = SyntheticCosts {
            pass_us: 5_123.4,
            token_us: 21.7,
            request_us: 3.3,
            decode_context_token_us: 0.013,
            schedule_us: 311.0,
            update_us: 207.0,
            request_latency_us: 1_234.5,
            output_latency_us: 456.7,
            ..SyntheticCosts::default()
        };
        costs.profile()
    };
    let mut settings = StepTimeSettings::vllm_default(&profile, config.max_num_seqs, config.max_num_batched_tokens);
    settings.pipeline_parallel_size = config.pipeline_parallel_size;
    StepTimeModel::new(&profile, &settings).expect("valid settings")
}

fn config(setting: Setting, async_scheduling: bool) -> EngineConfig {
    let default = EngineConfig {
        max_num_seqs: 64,
        max_num_active_seqs: 64,
        max_num_batched_tokens: 1024,
        max_num_scheduled_tokens: 1024,
        async_scheduling,
        ..EngineConfig::new(16, 4001, 1024)
    };
    let (num_gpu_blocks, policy) = (FEW_BLOCKS, SchedulingPolicy::Priority);
    match setting {
        Setting::BenchServeRandom | Setting::SharedPrefixes | Setting::EarlyStops => default,
        Setting::TightMemory => EngineConfig { num_gpu_blocks, ..default },
        Setting::NoPrefixCaching => EngineConfig { enable_prefix_caching: false, ..default },
        Setting::WholePrompts => EngineConfig { enable_chunked_prefill: false, ..default },
        Setting::LongPrefillThreshold => EngineConfig { long_prefill_token_threshold: 100, ..default },
        Setting::TwoStages => EngineConfig { pipeline_parallel_size: 2, ..default },
        Setting::ThreeStages => EngineConfig { pipeline_parallel_size: 3, num_gpu_blocks, ..default },
        Setting::Priority => EngineConfig { policy, ..default },
        Setting::PriorityTightMemory => EngineConfig { policy, num_gpu_blocks, ..default },
        Setting::EverythingElse => EngineConfig {
            max_num_active_seqs: 7,
            long_prefill_token_threshold: 50,
            long_prefill_token_threshold_adaptive: true,
            scheduler_reserve_full_isl: false,
            watermark_blocks: 3,
            num_gpu_blocks,
            ..default
        },
        Setting::Groups => models::grouped(default, 4001),
        Setting::Speculation => models::drafting(default),
        Setting::GroupsSpeculation => models::grouped(models::drafting(default), 300),
    }
}

fn requests(setting: Setting, index: u32, random: &mut Pcg64) -> RequestSet {
    if setting == Setting::BenchServeRandom {
        let dataset = Random {
            random_input_len: 300,
            random_output_len: 60,
            random_range_ratio: RangeRatio { input: 0.9, output: 0.7 },
            random_prefix_len: 40,
        };
        let options = SampleOptions { num_prompts: Some(NUM_REQUESTS), seed: index, ..SampleOptions::default() };
        return sample(&Dataset::Random(dataset), &options).expect("a possible dataset").requests;
    }
    let shares = !matches!(setting, Setting::WholePrompts | Setting::LongPrefillThreshold);
    let mut requests = RequestSet::new();
    for id in 0..NUM_REQUESTS {
        let shared_len = if shares { 16 * random.integers(1, 8) } else { 1 };
        let shared = TokenRun::segment(1 + random.integers(0, 4), shared_len);
        let own = TokenRun::segment(1000 + 2 * id, random.integers(1, 500));
        let max_tokens = random.integers(1, 120);
        let stops = setting == Setting::EarlyStops && random.integers(0, 2) > 0;
        let num_output_tokens = if stops { random.integers(1, max_tokens) } else { max_tokens };
        let priority = i32::try_from(random.integers(0, 3)).unwrap_or(0);
        let new = NewRequest {
            prompt: &[shared, own],
            output: &[TokenRun::segment(1001 + 2 * id, num_output_tokens)],
            max_tokens,
            stops,
            priority,
            arrival_order: u64::from(id),
            id_rank: id,
            cache_salt: if setting == Setting::EverythingElse { id % 3 } else { 0 },
        };
        requests.push(&new).expect("a possible request");
    }
    requests
}

fn traffic(arrivals: Arrivals, index: u32, random: &mut Pcg64) -> Traffic {
    let timed = |options: TrafficOptions| {
        let mut state = RandomState::new(index);
        let send_times = send_times(&options, math::u32_to_usize(NUM_REQUESTS), &mut state).expect("valid options");
        Traffic::Timed { send_times, max_concurrency: options.max_concurrency }
    };
    let default = TrafficOptions::default();
    match arrivals {
        Arrivals::AtOnce => timed(default),
        Arrivals::Poisson => timed(TrafficOptions { request_rate: 20.0, ..default }),
        Arrivals::Gamma => timed(TrafficOptions { request_rate: 25.0, burstiness: 0.3, ..default }),
        Arrivals::ClosedLoop => timed(TrafficOptions { max_concurrency: Some(16), ..default }),
        Arrivals::QueriesPerIter => {
            let (mut queries_per_iter, mut rest) = (Vec::new(), NUM_REQUESTS);
            while rest > 0 {
                // Mostly nobody, sometimes a crowd.
                let joining = if random.integers(0, 4) == 0 { random.integers(1, 5).min(rest) } else { 0 };
                queries_per_iter.push(joining);
                rest -= joining;
            }
            let num_iterations = math::usize_to_u32(queries_per_iter.len());
            let mut aborts: Vec<(u32, RequestId)> = (0..10)
                .map(|_| (random.integers(0, num_iterations), RequestId(random.integers(0, NUM_REQUESTS - 1))))
                .collect();
            aborts.sort_unstable();
            Traffic::QueriesPerIter { queries_per_iter, join_order: Vec::new(), aborts }
        }
        Arrivals::Answered => {
            // Twenty begin at once; each of the others waits for one of the twenty before it.
            let mut after = |id: u32| {
                let request = RequestId(id.checked_sub(random.integers(1, 20))?);
                let delay = SimDuration::from_secs_f64(0.2 * random.random());
                Some(After { request, delay }).filter(|_| id >= 20)
            };
            let after = (0..NUM_REQUESTS).map(&mut after).collect();
            let not_before = vec![SimTime::ZERO; math::u32_to_usize(NUM_REQUESTS)];
            Traffic::Answered { not_before, after, max_concurrency: None }
        }
    }
}
