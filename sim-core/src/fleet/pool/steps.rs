//! Replicas whose engines are the data-parallel ranks of a model with experts: their steps.
//!
//! In lockstep nobody begins a step before all have ended the one before: a step begins for each rank when its own host is
//! ready, its pass runs when the last rank has issued its part and for as long as the longest part takes, and each rank
//! takes in results in its own time. Only where ranks ask each other for work do their hosts wait for each other, too.

use alloc::vec;
use alloc::vec::Vec;

use super::{Horizon, News, Pool};
use crate::client::Client;
use crate::fleet::LockstepResult;
use crate::fleet::data_parallel::coordinator::WaveStep;
use crate::fleet::data_parallel::lockstep::Lockstep;
use crate::profile::PassShape;
use crate::simulator::{Simulation, StepPart};
use crate::time::{SimDuration, SimTime};

/// Ranks that step together.
#[derive(Debug)]
pub(in crate::fleet) struct Wave {
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

impl Wave {
    fn new(lockstep: Lockstep, num_ranks: usize) -> Self {
        Self {
            lockstep,
            is_active: false,
            num_under_way: 0,
            parts: Vec::with_capacity(num_ranks),
            start_time: SimTime::ZERO,
            num_dummy_batches: vec![0; num_ranks],
            result: LockstepResult::default(),
        }
    }

    /// Where the ranks stand.
    pub(super) const fn wave_step(&self) -> WaveStep {
        self.lockstep.wave_step()
    }

    /// Whether a step has ended, and the next one is to begin.
    pub(super) const fn is_between_steps(&self) -> bool {
        self.is_active && self.num_under_way == 0
    }

    /// Dummy batches of each rank.
    pub(super) fn num_dummy_batches(&self) -> impl Iterator<Item = u64> {
        self.num_dummy_batches.iter().copied()
    }

    /// What the ranks did.
    pub(super) const fn result(&self) -> LockstepResult {
        self.result
    }
}

impl<'a> Pool<'a> {
    /// Engines that have not begun, or begin a group, step together from now on if they are to.
    pub(super) fn begin_waves(&mut self) {
        let Some(dp_sync_interval) = self.layout.dp_sync_interval else { return };
        self.engines.iter_mut().for_each(Simulation::join_lockstep);
        let num_ranks = self.layout.num_ranks;
        if self.waves.is_empty() {
            let interval = self.engines.first().map_or(1, |engine| engine.config().prefill_schedule_interval);
            let wave = || Wave::new(Lockstep::new(interval, dp_sync_interval), num_ranks);
            self.waves = (0..self.num_replicas()).map(|_| wave()).collect();
        }
        for wave in &mut self.waves {
            wave.num_dummy_batches.fill(0);
            wave.result = LockstepResult::default();
        }
    }

    /// The ranks of a replica are new, and pause; what they did stays.
    pub(super) fn pause(&mut self, replica: usize) {
        let Some(dp_sync_interval) = self.layout.dp_sync_interval else { return };
        let engines = self.engines_of(replica);
        let interval = self.engines[engines.start].config().prefill_schedule_interval;
        self.engines[engines].iter_mut().for_each(Simulation::join_lockstep);
        let Wave { num_dummy_batches, result, .. } = &mut self.waves[replica];
        let (num_dummy_batches, result) = (core::mem::take(num_dummy_batches), *result);
        let new = Wave::new(Lockstep::new(interval, dp_sync_interval), 0);
        self.waves[replica] = Wave { num_dummy_batches, result, ..new };
    }

    /// Whether an engine's steps are when they are, whoever sends something.
    pub(super) fn is_wave_under_way(&self, engine: usize) -> bool {
        self.waves.get(engine / self.layout.num_ranks).is_some_and(|wave| wave.is_active)
    }

    /// The event of an engine that steps together with others.
    pub(super) fn advance_rank(&mut self, engine: usize, time: SimTime, client: &mut Client<'a>, news: &mut News) {
        let replica = engine / self.layout.num_ranks;
        let wave = &self.waves[replica];
        if wave.num_under_way > 0 {
            self.advance_engine(engine, Horizon::STEP, client, news);
            self.end_part(engine);
        } else if wave.is_active || self.engines[engine].begins_wave(time) {
            self.begin_step(replica, time, client, news);
        } else {
            // Between waves ranks only flush what is under way.
            self.advance_engine(engine, Horizon::STEP, client, news);
        }
    }

    /// All ranks of a replica begin a step, which the last of them is ready for at `time`.
    fn begin_step(&mut self, replica: usize, time: SimTime, client: &mut Client<'a>, news: &mut News) {
        let engines = self.engines_of(replica);
        for engine in engines.clone() {
            while self.engines[engine].is_suspended() {
                self.advance_engine(engine, Horizon::STEP, client, news);
            }
        }
        let wave = &mut self.waves[replica];
        if !wave.is_active {
            wave.is_active = true;
            wave.result.num_waves += 1;
            self.engines[engines.clone()].iter_mut().for_each(|engine| engine.wait_until(time));
        }
        wave.result.num_steps += 1;
        wave.num_under_way = engines.len();
        wave.parts.clear();
        let throttles = wave.lockstep.throttles_prefills();
        for (rank, engine) in engines.clone().enumerate() {
            self.lend(engine, client);
            let part = self.engines[engine].begin_part(throttles);
            self.lend(engine, client);
            self.engines[engine].take_loads(&mut news.loads);
            self.is_stuck[engine] = !part.goes_on;
            let wave = &mut self.waves[replica];
            wave.num_dummy_batches[rank] += u64::from(part.is_dummy);
            wave.parts.push(part);
        }
        self.run_parts(replica, time);
        for engine in engines {
            self.tell_counts(engine);
            if self.engines[engine].is_suspended() {
                self.calendar.set(engine, self.engines[engine].next_event());
            } else {
                self.end_part(engine);
            }
        }
    }

    /// The parts of a step run: in the shape that ranks agree on, from when the last was issued, as long as the longest
    /// takes.
    fn run_parts(&mut self, replica: usize, time: SimTime) {
        let engines = self.engines_of(replica);
        let wave = &mut self.waves[replica];
        let last = wave.parts.iter().map(|part| part.issue_time).max().unwrap_or(time);
        if let Some(agreed) = wave.parts.iter().map(|part| part.shape).reduce(PassShape::and) {
            let ranks = self.engines[engines.clone()].iter_mut();
            ranks.zip(&mut wave.parts).for_each(|(engine, part)| engine.agree(part, agreed));
        }
        let longest = wave.parts.iter().map(|part| part.duration).max().unwrap_or(SimDuration::ZERO);
        wave.result.step_time += longest;
        for (engine, &part) in self.engines[engines].iter_mut().zip(&wave.parts) {
            wave.start_time = engine.run_part(part, last, longest);
        }
    }

    /// An engine has ended its part of the step; the last one ends the step.
    fn end_part(&mut self, engine: usize) {
        let replica = engine / self.layout.num_ranks;
        let engines = self.engines_of(replica);
        let wave = &mut self.waves[replica];
        if wave.parts[engine - engines.start].is_dummy {
            self.engines[engine].wait_until(wave.start_time);
        }
        self.calendar.set(engine, SimTime::MAX);
        wave.num_under_way -= 1;
        if wave.num_under_way > 0 {
            return;
        }
        let ranks = &mut self.engines[engines.clone()];
        let last = ranks.iter().map(Simulation::now).max().unwrap_or_default();
        if wave.lockstep.asks() {
            ranks.iter_mut().for_each(|engine| engine.wait_until(last));
        }
        wave.lockstep.end_step(ranks.iter().any(Simulation::has_unfinished_requests));
        wave.is_active = wave.lockstep.is_running();
        if wave.is_active {
            self.calendar.set(engines.start, last);
        } else {
            for engine in engines {
                self.calendar.set(engine, self.engines[engine].next_event());
            }
        }
    }
}
