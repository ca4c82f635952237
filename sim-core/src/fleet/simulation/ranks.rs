//! Replicas that are the data-parallel ranks of one server: what they have in common, and, with experts, their steps.
//!
//! Behind vLLM's own balancer ranks have API servers in common and tell a coordinator how many requests they have. In
//! lockstep nobody begins a step before all have ended the one before: a step begins for each rank when its own host is
//! ready, its pass runs when the last rank has issued its part and for as long as the longest part takes, and each rank
//! takes in results in its own time. Only where ranks ask each other for work do their hosts wait for each other, too.

use alloc::vec;
use alloc::vec::Vec;

use super::FleetSimulation;
use crate::api_servers::ApiServers;
use crate::config::EngineConfig;
use crate::fleet::data_parallel::balancer::EngineCounts;
use crate::fleet::data_parallel::lockstep::Lockstep;
use crate::fleet::{DataParallel, LockstepResult, ReplicaResult};
use crate::simulator::{Simulation, StepPart};
use crate::time::{SimDuration, SimTime};

/// What ranks have in common.
#[derive(Debug)]
pub(super) struct Ranks {
    /// Whether they are behind vLLM's own balancer.
    is_internal: bool,
    api_servers: Option<ApiServers>,
    wave: Option<Wave>,
}

/// Ranks that step together.
#[derive(Debug)]
struct Wave {
    lockstep: Lockstep,
    /// Whether they do not pause.
    is_active: bool,
    /// Ranks that have not ended the step that is under way.
    num_under_way: usize,
    /// Parts of that step, by rank.
    parts: Vec<StepPart>,
    /// When they began to run. A rank with a dummy batch waits for that: a host is no more than a pass ahead of the device.
    start_time: SimTime,
    num_dummy_batches: Vec<u64>,
    result: LockstepResult,
}

impl Ranks {
    pub(super) fn new(settings: DataParallel, config: &EngineConfig, num_ranks: usize) -> Self {
        let wave = |dp_sync_interval| Wave {
            lockstep: Lockstep::new(config.prefill_schedule_interval, dp_sync_interval),
            is_active: false,
            num_under_way: 0,
            parts: Vec::with_capacity(num_ranks),
            start_time: SimTime::ZERO,
            num_dummy_batches: vec![0; num_ranks],
            result: LockstepResult::default(),
        };
        Self { is_internal: settings.router.is_none(), api_servers: None, wave: settings.dp_sync_interval.map(wave) }
    }

    /// Their API servers, unless each has its own.
    pub(super) fn common_api_servers(&mut self) -> Option<&mut Option<ApiServers>> {
        self.is_internal.then_some(&mut self.api_servers)
    }

    /// What ranks did together, and each rank's share of it.
    pub(super) fn finish(self, replicas: &mut [ReplicaResult]) -> Option<LockstepResult> {
        let wave = self.wave?;
        for (replica, num_dummy_batches) in replicas.iter_mut().zip(wave.num_dummy_batches) {
            replica.num_dummy_batches = num_dummy_batches;
        }
        Some(wave.result)
    }
}

impl FleetSimulation<'_> {
    /// Replicas that have not begun, or begin a group, become ranks if they are ones.
    pub(super) fn begin_ranks(&mut self) {
        let Some(ranks) = &mut self.ranks else { return };
        for engine in self.replicas.iter_mut().rev() {
            if ranks.is_internal {
                // Those of the first are as good as any.
                ranks.api_servers = None;
                engine.swap_api_servers(&mut ranks.api_servers);
                engine.count_for_others();
            }
            if ranks.wave.is_some() {
                engine.join_lockstep();
            }
        }
        if let Some(wave) = &mut ranks.wave {
            wave.num_dummy_batches.fill(0);
            wave.result = LockstepResult::default();
        }
    }

    /// Whether the replicas are ranks that step together.
    pub(super) const fn step_together(&self) -> bool {
        matches!(&self.ranks, Some(Ranks { wave: Some(_), .. }))
    }

    /// Whether such ranks do not pause: their steps are when they are, whoever sends something.
    pub(super) fn is_wave_under_way(&self) -> bool {
        self.ranks.as_ref().and_then(|ranks| ranks.wave.as_ref()).is_some_and(|wave| wave.is_active)
    }

    /// Whether what comes out of one rank can keep what comes out of another waiting.
    pub(super) fn have_common_front_end(&self) -> bool {
        self.ranks.as_ref().is_some_and(|ranks| ranks.api_servers.is_some())
    }

    /// A rank's counts go to the coordinator, if they changed.
    pub(super) fn tell_counts(&mut self, rank: usize) {
        let Some(ranks) = &self.ranks else { return };
        let step = ranks.wave.as_ref().map(|wave| wave.lockstep.wave_step());
        let engine = &mut self.replicas[rank];
        if !engine.is_suspended() {
            engine.tell_counts();
        }
        let num_usable_blocks = engine.engine().scheduler().kv_cache().num_usable_blocks();
        for (time, (num_running, num_waiting, num_free_blocks)) in engine.take_counts() {
            let counts = EngineCounts::new(num_running, num_waiting, (num_free_blocks, num_usable_blocks));
            self.desk.take_counts(time, rank, counts, step);
        }
    }

    /// The event of a rank that steps together with others; false if the run is over.
    pub(super) fn advance_rank(&mut self, rank: usize, time: SimTime) -> bool {
        let Some(wave) = self.ranks.as_ref().and_then(|ranks| ranks.wave.as_ref()) else { return false };
        if wave.num_under_way > 0 {
            self.advance_replica(rank, time, SimTime::ZERO);
            self.end_part(rank);
        } else if wave.is_active || self.replicas[rank].begins_wave(time) {
            self.begin_step(time);
        } else {
            // Between waves ranks only flush what is under way.
            self.advance_replica(rank, time, SimTime::ZERO);
        }
        !self.is_step_in_vain()
    }

    /// All ranks begin a step, which the last of them is ready for at `time`.
    fn begin_step(&mut self, time: SimTime) {
        let num_ranks = self.replicas.len();
        for rank in 0..num_ranks {
            while self.replicas[rank].is_suspended() {
                self.advance_replica(rank, time, SimTime::ZERO);
            }
        }
        let Some(mut wave) = self.ranks.as_mut().and_then(|ranks| ranks.wave.take()) else { return };
        if !wave.is_active {
            wave.is_active = true;
            wave.result.num_waves += 1;
            self.replicas.iter_mut().for_each(|engine| engine.wait_until(time));
        }
        self.now = self.now.max(time);
        wave.result.num_steps += 1;
        wave.num_under_way = num_ranks;
        wave.parts.clear();
        let throttles = wave.lockstep.throttles_prefills();
        for rank in 0..num_ranks {
            self.lend(rank);
            let part = self.replicas[rank].begin_part(throttles);
            self.lend(rank);
            self.is_stuck[rank] = !part.goes_on;
            wave.num_dummy_batches[rank] += u64::from(part.is_dummy);
            wave.parts.push(part);
        }
        let last = wave.parts.iter().map(|part| part.issue_time).max().unwrap_or(time);
        let longest = wave.parts.iter().map(|part| part.duration).max().unwrap_or(SimDuration::ZERO);
        wave.result.step_time += longest;
        for (engine, &part) in self.replicas.iter_mut().zip(&wave.parts) {
            wave.start_time = engine.run_part(part, last, longest);
        }
        if let Some(ranks) = &mut self.ranks {
            ranks.wave = Some(wave);
        }
        for rank in 0..num_ranks {
            self.tell_counts(rank);
            if self.replicas[rank].is_suspended() {
                self.calendar.set(rank, self.replicas[rank].next_event());
            } else {
                self.end_part(rank);
            }
        }
    }

    /// A rank has ended its part of the step; the last one ends the step.
    fn end_part(&mut self, rank: usize) {
        let Some(wave) = self.ranks.as_mut().and_then(|ranks| ranks.wave.as_mut()) else { return };
        if wave.parts[rank].is_dummy {
            self.replicas[rank].wait_until(wave.start_time);
        }
        self.calendar.set(rank, SimTime::MAX);
        wave.num_under_way -= 1;
        if wave.num_under_way > 0 {
            return;
        }
        let last = self.replicas.iter().map(Simulation::now).max().unwrap_or_default();
        if wave.lockstep.asks() {
            self.replicas.iter_mut().for_each(|engine| engine.wait_until(last));
        }
        wave.lockstep.end_step(self.replicas.iter().any(Simulation::has_unfinished_requests));
        wave.is_active = wave.lockstep.is_running();
        if wave.is_active {
            self.calendar.set(0, last);
        } else {
            for (rank, engine) in self.replicas.iter().enumerate() {
                self.calendar.set(rank, engine.next_event());
            }
        }
    }

    /// Whether a step has ended, and no further one will change anything.
    fn is_step_in_vain(&self) -> bool {
        let is_between = |wave: &Wave| wave.is_active && wave.num_under_way == 0;
        self.ranks.as_ref().and_then(|ranks| ranks.wave.as_ref()).is_some_and(is_between) && self.are_stuck()
    }
}
