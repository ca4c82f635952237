//! What ranks in lockstep computed in every step, and what they told the coordinator.

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};
use sim_core::config::{EngineConfig, VllmVersion};
use sim_core::engine_core::EngineCore;
use sim_core::fleet::data_parallel::lockstep::{Lockstep, WaveNotice};
use sim_core::request::RequestId;
use sim_core::request_set::RequestSet;

use super::super::difference::{Difference, compare_value};
use super::super::recorded_engine::RecordedEngine;
use super::super::recorded_model::RecordedModel;
use super::super::recorded_trace::{RecordedRequest, RecordedWorkload};

/// Most ranks of a recording.
const MOST_RANKS: usize = 256;
/// Steps after the last one that was recorded before a replay ends.
const MORE_TICKS: usize = 64;

#[derive(Debug, Deserialize)]
struct LockstepTrace {
    vllm: String,
    workload: LockstepWorkload,
    engine: RecordedEngine,
    ticks: Vec<Vec<RankTick>>,
    to_coordinator: Vec<Vec<Message>>,
}

#[derive(Debug, Deserialize)]
struct LockstepWorkload {
    ranks: usize,
    #[serde(default = "default_dp_sync_interval")]
    dp_sync_interval: u32,
    #[serde(default = "default_interval")]
    prefill_schedule_interval: u32,
    requests: Vec<PlacedRequest>,
}

/// `ParallelConfig.dp_sync_interval`.
const fn default_dp_sync_interval() -> u32 {
    16
}

const fn default_interval() -> u32 {
    1
}

#[derive(Debug, Deserialize)]
struct PlacedRequest {
    tick: usize,
    rank: usize,
    #[serde(flatten)]
    request: RecordedRequest,
}

/// What one rank did in one tick. Names as in the file.
#[derive(Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
struct RankTick {
    add: Vec<u32>,
    s: Option<Vec<(u32, u32, u32)>>,
    run: Option<u32>,
    wait: Option<u32>,
    throttle: u32,
    dummy: u32,
}

/// What a rank told the coordinator.
#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
enum Message {
    /// `"stats"`, waiting, running, step, wave.
    Stats(String, u64, u64, u64, u64),
    /// `"wave_complete"` or `"start_wave"`, wave.
    Wave(String, u64),
}

pub(super) fn verify(json: &[u8]) -> Result<Option<Difference>> {
    let trace: LockstepTrace = serde_json::from_slice(json).context("not a recording of ranks in lockstep")?;
    let LockstepTrace { workload, ticks, .. } = &trace;
    let ranks = workload.ranks;
    ensure!((1..=MOST_RANKS).contains(&ranks), "workload.ranks is {ranks}; it must be in 1..={MOST_RANKS}");
    ensure!(workload.prefill_schedule_interval > 0, "workload.prefill_schedule_interval is 0; it must be at least 1");
    ensure!(workload.dp_sync_interval > 0, "workload.dp_sync_interval is 0; it must be at least 1");
    let version =
        VllmVersion::from_name(&trace.vllm).with_context(|| format!("recorded from vLLM {}: unknown", trace.vllm))?;
    let config = EngineConfig {
        steps_with_others: true,
        prefill_schedule_interval: workload.prefill_schedule_interval,
        ..trace.engine.config(&RecordedModel::default(), version)?
    };
    let recorded = RecordedWorkload {
        requests: workload.requests.iter().map(|placed| placed.request.clone()).collect(),
        queries_per_iter: None,
        aborts: vec![],
        model: RecordedModel::default(),
    };
    let (requests, _) = recorded.requests(config.max_model_len)?;
    let mut replay = Replay::new(workload, &config, &requests);
    for tick in 0..ticks.len() + MORE_TICKS {
        let has_ended = !replay.goes_on(tick);
        let expected = ticks.get(tick);
        let place = u32::try_from(tick).unwrap_or(u32::MAX);
        if let Some(difference) = compare_value(place, "whether ranks step", &expected.is_some(), &!has_ended) {
            return Ok(Some(difference));
        }
        let Some(expected) = expected else { break };
        let found = replay.tick(tick);
        if let Some(difference) = compare_value(place, "what ranks compute (ticks)", expected, &found) {
            return Ok(Some(difference));
        }
    }
    Ok(compare_value(0, "messages (to_coordinator)", &trace.to_coordinator, &replay.told))
}

/// All ranks, tick by tick.
struct Replay<'a> {
    arrivals: Vec<(usize, usize)>,
    engines: Vec<EngineCore<'a>>,
    lockstep: Lockstep,
    /// Running and waiting requests that each rank told last.
    last_counts: Vec<(u64, u64)>,
    told: Vec<Vec<Message>>,
}

impl<'a> Replay<'a> {
    fn new(workload: &LockstepWorkload, config: &'a EngineConfig, requests: &'a RequestSet) -> Self {
        Self {
            arrivals: workload.requests.iter().map(|placed| (placed.tick, placed.rank)).collect(),
            engines: (0..workload.ranks).map(|_| EngineCore::new(config, requests)).collect(),
            lockstep: Lockstep::new(workload.prefill_schedule_interval, workload.dp_sync_interval),
            last_counts: vec![(0, 0); workload.ranks],
            told: (0..workload.ranks).map(|_| vec![]).collect(),
        }
    }

    fn goes_on(&self, tick: usize) -> bool {
        self.arrivals.iter().any(|&(arrival, _)| arrival >= tick)
            || self.lockstep.is_running()
            || self.engines.iter().any(EngineCore::has_work)
    }

    fn tick(&mut self, tick: usize) -> Vec<RankTick> {
        let mut ticks: Vec<_> = self.engines.iter().map(|_| RankTick::default()).collect();
        let mut is_woken = false;
        for (id, &(arrival, rank)) in (0..).zip(&self.arrivals) {
            if arrival == tick
                && let (Some(engine), Some(row)) = (self.engines.get_mut(rank), ticks.get_mut(rank))
            {
                engine.add_request(RequestId(id));
                row.add.push(id);
                is_woken = true;
            }
        }
        // Between waves ranks only flush what is under way.
        let is_active = self.lockstep.is_running() || is_woken;
        let throttles = self.lockstep.throttles_prefills();
        for (rank, row) in ticks.iter_mut().enumerate() {
            self.publish(rank);
            let Some(engine) = self.engines.get_mut(rank) else { continue };
            engine.throttle_prefills(throttles);
            let mut has_tokens = false;
            engine.step(|_, output| {
                let scheduled = output.scheduled.iter();
                row.s = Some(
                    scheduled.map(|part| (part.id.0, part.num_scheduled_tokens, part.num_computed_tokens)).collect(),
                );
                (row.run, row.wait) = (Some(output.num_running_reqs), Some(output.num_waiting_reqs));
                row.throttle = u32::from(throttles);
                has_tokens = output.has_tokens();
            });
            self.publish(rank);
            row.dummy = u32::from(is_active && !has_tokens);
        }
        if is_active {
            let has_unfinished = self.engines.iter().any(|engine| engine.scheduler().has_unfinished_requests());
            let notice = self.lockstep.end_step(has_unfinished).map(|notice| match notice {
                WaveNotice::Started(wave) => Message::Wave("start_wave".to_owned(), wave),
                WaveNotice::Complete(wave) => Message::Wave("wave_complete".to_owned(), wave),
            });
            if let Some(first) = self.told.first_mut() {
                first.extend(notice);
            }
        }
        ticks
    }

    /// A rank tells its counts if they changed.
    fn publish(&mut self, rank: usize) {
        let (running, waiting) = self.engines[rank].scheduler().num_requests();
        let counts = (u64::from(running), u64::from(waiting));
        if core::mem::replace(&mut self.last_counts[rank], counts) != counts {
            let (wave, step) = self.lockstep.wave_step();
            self.told[rank].push(Message::Stats("stats".to_owned(), counts.1, counts.0, step, wave));
        }
    }
}
