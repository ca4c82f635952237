//! An engine whose step times are known: the simulator's schedule with the times of a given profile, and noise.

use anyhow::Result;
use sim_core::config::{EngineConfig, SchedulingPolicy, VllmVersion};
use sim_core::kv_cache::spec::KvCacheConfig;
use sim_core::profile::synthetic::SyntheticCosts;
use sim_core::profile::{CaptureSizes, Profile, StepTimeModel, StepTimeSettings, schema};
use sim_core::rng::Pcg64;
use sim_core::time::SimDuration;

use super::played::{PassDurations, play};
use super::step_times::step_time_settings;
use super::{Engine, EngineFacts, Run, Script};
use crate::verify::recorded_engine::RecordedEngine;
use crate::verify::recorded_groups::Planning;
use crate::verify::recorded_model::RecordedModel;

/// See the module.
#[derive(Debug)]
pub(crate) struct MockEngine {
    pub(crate) facts: EngineFacts,
    /// What its times are without noise.
    pub(crate) truth: StepTimeModel,
    /// Standard size of the relative error of each time.
    noise: f64,
    random: Pcg64,
    /// Runs made so far.
    pub(crate) num_runs: u32,
    /// Runs after which it is dead.
    pub(crate) dies_after: Option<u32>,
    /// Share of the device times that take three times as long.
    pub(crate) outliers: f64,
    /// Share of the runs in which every device time is fifty times as long.
    pub(crate) disturbed: f64,
    is_disturbed: bool,
    /// Device times grow by this share from one run to the next.
    pub(crate) slowdown: f64,
}

impl MockEngine {
    /// An engine with `profile`'s times, each off by a random share of at most `noise`.
    pub(crate) fn new(profile: &Profile, num_gpu_blocks: u32, noise: f64, seed: u64) -> Self {
        let engine = &profile.engine;
        let config = EngineConfig {
            max_num_seqs: engine.max_num_seqs,
            max_num_active_seqs: engine.max_num_seqs,
            max_num_batched_tokens: engine.max_num_batched_tokens,
            max_num_scheduled_tokens: engine.max_num_batched_tokens,
            async_scheduling: false,
            ..EngineConfig::new(engine.block_size, num_gpu_blocks, engine.max_model_len)
        };
        let settings = StepTimeSettings::vllm_default(profile, config.max_num_seqs, config.max_num_batched_tokens);
        let facts = EngineFacts {
            config,
            planning: Planning::default(),
            model: profile.model.clone(),
            hardware: profile.hardware.clone(),
            engine: schema::Engine { vllm_version: VllmVersion::NEWEST.to_string(), ..engine.clone() },
            memory: profile.memory.clone(),
            capture_sizes: settings.capture_sizes.as_slice().to_vec(),
            host: "a formula".to_owned(),
            versions: vec![("mock".to_owned(), "0".to_owned())],
        };
        let truth = StepTimeModel::new(profile, &settings).expect("a valid profile");
        Self {
            facts,
            truth,
            noise,
            random: Pcg64::stream(seed, "mock"),
            num_runs: 0,
            dies_after: None,
            outliers: 0.0,
            disturbed: 0.0,
            is_disturbed: false,
            slowdown: 0.0,
        }
    }

    /// A small engine whose blocks are scarce, another for every seed; its times are of no interest.
    pub(crate) fn tight(seed: u64) -> Self {
        let profile = SyntheticCosts::default().profile();
        let mut engine = Self::new(&profile, 40, 0.0, seed);
        let config = &mut engine.facts.config;
        let mut random = Pcg64::stream(seed, "tight");
        config.kv_cache = KvCacheConfig::full_attention(16);
        config.max_model_len = random.integers(200, 500);
        config.max_num_seqs = random.integers(2, 12);
        config.max_num_active_seqs = config.max_num_seqs;
        config.max_num_batched_tokens = random.integers(24, 300);
        config.max_num_scheduled_tokens = config.max_num_batched_tokens;
        config.num_gpu_blocks = config.max_model_len.div_ceil(16) + random.integers(2, 20);
        if random.random() < 0.5 {
            config.policy = SchedulingPolicy::Priority;
        }
        engine
    }

    /// The same with other layers or a drafter: `model` is what the trace format says of them, as JSON.
    pub(crate) fn tight_with(model: &str, seed: u64) -> Self {
        let mut engine = Self::tight(seed);
        let config = &mut engine.facts.config;
        config.max_num_batched_tokens = config.max_num_batched_tokens.max(40);
        config.max_num_scheduled_tokens = config.max_num_batched_tokens;
        // Each group has blocks of its own for a longest sequence.
        config.num_gpu_blocks *= 3;
        engine.set_model(model);
        engine
    }

    /// An engine with `profile`'s times, whose layers and drafter `model` describes.
    pub(crate) fn with_model(profile: &Profile, model: &str, num_gpu_blocks: u32, noise: f64, seed: u64) -> Self {
        let mut engine = Self::new(profile, num_gpu_blocks, noise, seed);
        engine.set_model(model);
        let settings = step_time_settings(&engine.facts.config, CaptureSizes::none());
        engine.truth = StepTimeModel::new(profile, &settings).expect("a valid profile");
        engine
    }

    fn set_model(&mut self, model: &str) {
        let model: RecordedModel = serde_json::from_str(model).expect("a model");
        let config = &mut self.facts.config;
        let settings = RecordedEngine::from(&*config);
        *config = settings.config(&model, config.vllm_version).expect("a configuration");
        self.facts.planning.model = model;
    }

    /// `duration` with its error, in nanoseconds.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a duration times about 1")]
    fn take(&mut self, duration: SimDuration) -> u64 {
        let error = self.noise * (2.0 * self.random.random() - 1.0);
        (duration.as_nanos() as f64 * (1.0 + error)).round() as u64
    }

    /// The same on the device, which may have a bad moment or slow down.
    fn take_on_device(&mut self, duration: SimDuration) -> u64 {
        let is_outlier = self.random.random() < self.outliers;
        let slowed = duration.as_secs_f64() * (1.0 + self.slowdown * f64::from(self.num_runs));
        let slowed = if self.is_disturbed { 50.0 * slowed } else { slowed };
        self.take(SimDuration::from_secs_f64(if is_outlier { 3.0 * slowed } else { slowed }))
    }
}

impl Engine for MockEngine {
    fn facts(&self) -> &EngineFacts {
        &self.facts
    }

    fn run(&mut self, script: &Script) -> Result<Run> {
        anyhow::ensure!(self.dies_after != Some(self.num_runs), "the engine died");
        self.is_disturbed = self.random.random() < self.disturbed;
        self.num_runs += 1;
        let facts = self.facts.clone();
        play(&facts, script, |batch| {
            if batch.is_empty() {
                // A pass without tokens is decided and taken in like any other.
                let update = self.take(self.truth.host().schedule_time(0) + self.truth.host().update_time(0));
                return Ok(PassDurations { update, ..PassDurations::default() });
            }
            let schedule = self.take(self.truth.host().schedule_time(batch.num_reqs()));
            let device = self.take_on_device(self.truth.predict(batch).duration);
            let update = self.take(self.truth.host().update_time(batch.num_reqs()));
            Ok(PassDurations { schedule, device, update })
        })
    }
}
