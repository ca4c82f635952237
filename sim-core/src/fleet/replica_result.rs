//! What came of a fleet: of the whole, as of one engine, and of each replica.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use super::life::{Leg, LifeResult};
use crate::math;
use crate::metrics::recorder::{EmissionRun, Recording, RequestRecords, SpecDecodingTotals, WeightedGap};
use crate::request::RequestId;
use crate::sched::scheduler::SchedulerStats;
use crate::simulation_result::SimulationResult;
use crate::time::SimDuration;
use crate::workload::Workload;

/// What came of a run of several engines.
#[derive(Debug, Clone)]
pub struct FleetResult {
    /// Of all together. Its passes are those of the first replica, then those of the next; of
    /// [`SimulationResult::queries_per_iter`] there is only that of a single replica.
    pub whole: SimulationResult,
    /// Of each engine: those of the first replica, then those of the next.
    pub replicas: Vec<ReplicaResult>,
    /// Engines of each replica: its data-parallel ranks.
    pub num_ranks: u32,
    /// The engine of each measured request.
    pub owners: Vec<u32>,
    /// What happened to replicas, where something could.
    pub life: Option<LifeResult>,
    /// What ranks did together, the sums over all replicas; `None` if each did what it did alone.
    pub lockstep: Option<LockstepResult>,
}

/// What came of ranks in lockstep together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LockstepResult {
    /// Waves: times at which ranks began to step after all had paused.
    pub num_waves: u64,
    /// Steps of all together, with tokens or without.
    pub num_steps: u64,
    /// How long the longest parts of all steps took together.
    pub step_time: SimDuration,
}

impl LockstepResult {
    /// This and another replica's.
    pub(super) fn and(self, other: Self) -> Self {
        Self {
            num_waves: self.num_waves + other.num_waves,
            num_steps: self.num_steps + other.num_steps,
            step_time: self.step_time + other.step_time,
        }
    }
}

/// What came of one engine.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct ReplicaResult {
    /// Measured requests that it ended.
    pub num_requests: u64,
    /// Tokens of their prompts.
    pub num_prompt_tokens: u64,
    /// Tokens that it generated for them.
    pub num_output_tokens: u64,
    /// Passes.
    pub num_passes: u64,
    /// Share of the KV blocks in use, in the mean over its passes.
    pub mean_kv_cache_usage: f64,
    /// The same at its highest.
    pub max_kv_cache_usage: f64,
    /// The scheduler's counters.
    pub stats: SchedulerStats,
    /// How long its passes would have taken if nobody waited for others.
    pub device_time: SimDuration,
    /// Dummy batches: steps of all ranks in which it had no tokens.
    pub num_dummy_batches: u64,
}

impl ReplicaResult {
    /// Share of the looked up prompt tokens that the prefix cache held; 0 if none was looked up.
    #[must_use]
    pub fn prefix_cache_hit_rate(&self) -> f64 {
        let (hits, queries) = (self.stats.prefix_cache_hits, self.stats.prefix_cache_queries);
        if queries > 0 { math::u64_to_f64(hits) / math::u64_to_f64(queries) } else { 0.0 }
    }
}

/// How uneven a quantity is: the largest over the mean, 1 where all are equal; 1 if all are 0.
#[must_use]
pub fn imbalance(values: impl Iterator<Item = u64>) -> f64 {
    let (count, sum, most) = values.fold((0_u64, 0_u64, 0), |(count, sum, most): (u64, u64, u64), value| {
        (count + 1, sum.saturating_add(value), most.max(value))
    });
    if sum == 0 { 1.0 } else { math::u64_to_f64(most) * math::u64_to_f64(count) / math::u64_to_f64(sum) }
}

/// What replicas left, to be put together.
#[derive(Debug)]
pub(super) struct Parts {
    pub(super) results: Vec<SimulationResult>,
    pub(super) num_usable_blocks: Vec<u32>,
    pub(super) requests: RequestRecords,
    pub(super) owners: Vec<u32>,
    pub(super) life: Option<(BTreeMap<RequestId, Vec<Leg>>, LifeResult)>,
}

impl Parts {
    pub(super) fn whole(mut self, workload: &Workload) -> FleetResult {
        let (legs, life) = self.life.unzip();
        self.requests.truncate(workload.num_measured());
        self.owners.truncate(workload.num_measured());
        let mut replicas: Vec<_> = self.results.iter().zip(&self.num_usable_blocks).map(of_replica).collect();
        let mut first_passes = Vec::with_capacity(self.results.len());
        let mut results = self.results.into_iter();
        let Some(mut whole) = results.next() else {
            return FleetResult { whole: empty(), replicas, num_ranks: 1, owners: self.owners, life, lockstep: None };
        };
        first_passes.push(0);
        for result in results {
            first_passes.push(math::usize_to_u32(whole.recording.passes.len()));
            append(&mut whole, result);
        }
        for (index, &owner) in self.owners.iter().enumerate() {
            let Some(mut record) = self.requests.get(index) else { continue };
            let (owner, before) = (owner as usize, record);
            let replica = &mut replicas[owner];
            replica.num_requests += u64::from(record.is_finished);
            replica.num_output_tokens += u64::from(record.num_output_tokens);
            replica.num_prompt_tokens += u64::from(record.num_prompt_tokens);
            if record.num_prompt_tokens == 0 {
                // It was never sent, and says all the same what it would have asked.
                let asked = workload.requests.as_slice().get(index);
                record.num_prompt_tokens = asked.map_or(0, |request| request.num_prompt_tokens);
            } else {
                record.first_scheduled_pass += first_passes[owner];
                record.first_token_pass += first_passes[owner];
                record.last_token_pass += first_passes[owner];
            }
            if record != before
                && let Some(row) = self.requests.row_mut(index)
            {
                *row = record;
            }
        }
        whole.recording.requests = self.requests;
        if let Some(legs) = legs.filter(|legs| !legs.is_empty()) {
            put_together(&mut whole.recording, &legs, (&first_passes, &mut replicas));
        }
        FleetResult { whole, replicas, num_ranks: 1, owners: self.owners, life, lockstep: None }
    }
}

/// Requests that several replicas gave tokens to get all of them, in order. `first_passes` is where each replica's passes
/// begin in the whole.
fn put_together(
    recording: &mut Recording,
    legs: &BTreeMap<RequestId, Vec<Leg>>,
    (first_passes, replicas): (&[u32], &mut [ReplicaResult]),
) {
    for (id, legs) in legs {
        let Some(record) = recording.requests.row_mut(id.index()) else { continue };
        let last = (record.num_output_tokens > 0).then_some([record.first_token_pass, record.last_token_pass]);
        let spans = legs.iter().map(|leg| {
            let first_pass = first_passes[leg.engine as usize];
            [first_pass + leg.first_token_pass, first_pass + leg.last_token_pass]
        });
        let spans: Vec<_> = spans.chain(last).collect();
        if let (Some(leg), Some(&[first_token, _]), Some(&[_, last_token])) =
            (legs.first(), spans.first(), spans.last())
        {
            record.first_scheduled_pass = first_passes[leg.engine as usize] + leg.first_scheduled_pass;
            record.num_cached_tokens = leg.num_cached_tokens;
            (record.first_token_pass, record.last_token_pass) = (first_token, last_token);
        }
        for leg in legs {
            record.num_output_tokens += leg.num_output_tokens;
            replicas[leg.engine as usize].num_output_tokens += u64::from(leg.num_output_tokens);
        }
        for pair in spans.windows(2) {
            let times = [pair[0][1], pair[1][0]].map(|pass| recording.passes.delivery_time(pass));
            if let [Some(before), Some(after)] = times {
                recording.gaps.extend([WeightedGap { gap: after.saturating_since(before), count: 1 }]);
            }
        }
    }
    // A request's messages are in order, and its replicas' numbers need not be.
    let passes = &recording.passes;
    recording.emissions.sort_by_key(|run| (run.request, passes.delivery_time(run.first_pass)));
}

fn empty() -> SimulationResult {
    SimulationResult {
        recording: Recording::default(),
        figures: None,
        queries_per_iter: Vec::new(),
        join_order: Vec::new(),
        stats: SchedulerStats::default(),
        num_evictions: 0,
        device_time: crate::simulation_result::DeviceTime::default(),
        end_time: crate::time::SimTime::ZERO,
        offloading: None,
    }
}

fn of_replica((result, &num_usable_blocks): (&SimulationResult, &u32)) -> ReplicaResult {
    let usable = math::max(1.0, f64::from(num_usable_blocks));
    let (mut sum, mut most) = (0.0, 0.0);
    for pass in &result.recording.passes {
        let usage = f64::from(num_usable_blocks.saturating_sub(pass.num_free_blocks)) / usable;
        sum += usage;
        most = math::max(most, usage);
    }
    let num_passes = result.recording.passes.len() as u64;
    ReplicaResult {
        num_passes,
        mean_kv_cache_usage: if num_passes > 0 { sum / math::u64_to_f64(num_passes) } else { 0.0 },
        max_kv_cache_usage: most,
        stats: result.stats,
        device_time: result.device_time.total,
        ..ReplicaResult::default()
    }
}

/// Adds what another replica left.
fn append(whole: &mut SimulationResult, other: SimulationResult) {
    let first_pass = math::usize_to_u32(whole.recording.passes.len());
    let Recording { passes, gaps, emissions, spec_decoding, .. } = other.recording;
    passes.iter().for_each(|pass| whole.recording.passes.push(pass));
    whole.recording.gaps.extend(&gaps);
    let later = |run: EmissionRun| EmissionRun { first_pass: run.first_pass + first_pass, ..run };
    whole.recording.emissions.extend(emissions.into_iter().map(later));
    add_drafts(&mut whole.recording.spec_decoding, &spec_decoding);
    (whole.queries_per_iter, whole.join_order) = (Vec::new(), Vec::new());
    whole.stats = whole.stats.and(&other.stats);
    whole.num_evictions += other.num_evictions;
    whole.device_time.total += other.device_time.total;
    whole.device_time.measured += other.device_time.measured;
    whole.device_time.extrapolated += other.device_time.extrapolated;
    whole.end_time = whole.end_time.max(other.end_time);
    if let Some(other) = other.offloading {
        whole.offloading = Some(whole.offloading.unwrap_or_default().and(&other));
    }
}

fn add_drafts(sum: &mut SpecDecodingTotals, other: &SpecDecodingTotals) {
    sum.num_drafts += other.num_drafts;
    sum.num_draft_tokens += other.num_draft_tokens;
    sum.num_accepted_tokens += other.num_accepted_tokens;
    let (mine, others) = (&mut sum.num_accepted_tokens_per_pos, &other.num_accepted_tokens_per_pos);
    mine.resize(mine.len().max(others.len()), 0);
    mine.iter_mut().zip(others).for_each(|(sum, count)| *sum += count);
}
