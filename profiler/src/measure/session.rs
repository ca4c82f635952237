//! The measurement: which point is next, until all are certain or the budget is spent.
//!
//! What is next follows from what was measured, the plan and the seed alone, so a measurement that was ended goes on as
//! it would have. First every point is measured once, in a shuffled order, then once more in another; a change of the
//! machine over time then hits all points alike. After that the time goes where a median is least certain.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use indicatif::{ProgressBar, ProgressStyle};
use sim_core::rng::Pcg64;

use super::Options;
use super::journal::Journal;
use super::plan::{Plan, Role};
use super::point_times::PointTimes;
use super::sample::{Visit, samples};
use super::script::script;
use crate::engine::Engine;

/// Every point is measured at this many different times.
const NUM_SWEEPS: u32 = 2;
/// Most samples of a point: what is uncertain then stays so.
const MAX_SAMPLES: usize = 200;
/// Scripts between two of reference points.
const REFERENCE_PERIOD: usize = 10;
/// Most scripts between two of the same point, so that a repeat sees another moment.
const MAX_DISTANCE: usize = 10;
/// Most points that are expected to have been disturbed at all visits.
const MAX_ALL_DISTURBED: f64 = 0.1;
/// A held-out point's certainty is worth less: no table follows from it.
const HELD_OUT_WEIGHT: f64 = 0.3;

/// What was measured of a point so far.
#[derive(Debug, Clone, Default)]
struct PointState {
    num_visits: u32,
    /// Place of the last one in the order of all visits.
    last_visit: usize,
    spent_ns: u64,
    times: PointTimes,
    half_width: f64,
}

/// All that was measured, in order.
#[derive(Debug)]
pub(crate) struct Session<'a> {
    plan: &'a Plan,
    options: &'a Options,
    /// For each sweep the place of every point in it.
    ranks: Vec<Vec<usize>>,
    points: Vec<PointState>,
    num_disturbed: usize,
    /// The scripts that ran.
    pub(crate) visits: Vec<Visit>,
    /// What they took.
    pub(crate) spent_ns: u64,
}

impl<'a> Session<'a> {
    /// Continues after `visits`.
    pub(crate) fn new(plan: &'a Plan, options: &'a Options, visits: Vec<Visit>) -> Self {
        let rank = |sweep: u32| ranks(plan.points.len(), plan.seed, sweep);
        let mut session = Self {
            plan,
            options,
            ranks: (0..NUM_SWEEPS).map(rank).collect(),
            points: vec![PointState::default(); plan.points.len()],
            num_disturbed: 0,
            visits: vec![],
            spent_ns: 0,
        };
        visits.into_iter().for_each(|visit| session.push(visit));
        session
    }

    /// Measures until every point is certain or the budget is spent.
    ///
    /// # Errors
    /// If the engine fails or the journal cannot be written.
    pub(crate) fn run(&mut self, engine: &mut dyn Engine, journal: &mut Journal) -> Result<()> {
        let progress = self.progress_bar();
        while let Some(index) = self.next() {
            let point = &self.plan.points[index];
            let script = script(point, &self.plan.limits, self.plan.seed, self.points[index].num_visits);
            let start = Instant::now();
            let run = engine.run_for(&script, &|batch| point.is_met_by(batch)).with_context(|| {
                format!("measuring {:?}: what was measured before is in the journal and is not lost", point.batch)
            })?;
            // A pretended engine takes no time of its own.
            let told_ns = run.passes.last().map_or(0, |pass| pass.instants.end);
            let spent_ns = u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX).max(told_ns);
            let visit = Visit {
                point: index,
                spent_ns,
                samples: samples(&run, point, &engine.facts().config.kv_cache.spans()),
            };
            journal.push(&visit)?;
            self.push(visit);
            self.show(&progress);
        }
        progress.finish_and_clear();
        Ok(())
    }

    fn push(&mut self, visit: Visit) {
        let state = &mut self.points[visit.point];
        state.num_visits += 1;
        state.last_visit = self.visits.len();
        state.spent_ns += visit.spent_ns;
        self.num_disturbed -= state.times.num_disturbed();
        state.times.push(&visit);
        self.num_disturbed += state.times.num_disturbed();
        state.half_width = state.times.relative_half_width();
        self.spent_ns += visit.spent_ns;
        self.visits.push(visit);
    }

    /// The next point to measure.
    fn next(&self) -> Option<usize> {
        if Duration::from_nanos(self.spent_ns) >= self.options.time_budget {
            return None;
        }
        let open: Vec<usize> = (0..self.points.len()).filter(|&index| self.is_open(index)).collect();
        if open.is_empty() {
            return None;
        }
        if self.visits.len() % REFERENCE_PERIOD == REFERENCE_PERIOD - 1 {
            let turn = self.visits.len() / REFERENCE_PERIOD;
            return Some(self.plan.references[turn % self.plan.references.len()]);
        }
        let in_sweep = |sweep: usize| {
            let left = open.iter().copied().filter(|&index| self.points[index].num_visits as usize <= sweep);
            left.min_by_key(|&index| self.ranks[sweep][index])
        };
        (0..self.ranks.len()).find_map(in_sweep).or_else(|| self.least_certain(&open))
    }

    /// Whether a point wants more samples. One whose script does not bring it about wants none.
    fn is_open(&self, index: usize) -> bool {
        let PointState { num_visits, times, .. } = &self.points[index];
        let num_samples = times.num_samples();
        let is_reachable = *num_visits == 0 || num_samples > 0;
        is_reachable && num_samples < MAX_SAMPLES && self.uncertainty(index) > self.options.precision
    }

    /// How little is known of a point's median, as a share of it.
    fn uncertainty(&self, index: usize) -> f64 {
        let PointState { times, half_width, .. } = &self.points[index];
        let num_visits = u32::try_from(times.num_visits()).unwrap_or(u32::MAX);
        // One visit that counts says nothing of the next, however alike its samples are.
        let of_few_visits = if num_visits < NUM_SWEEPS { 1.0 } else { 0.0 };
        // Where many visits are disturbed, all of some point's may have been.
        let num_points = self.points.len() as f64;
        let all_disturbed = num_points * self.disturbed_share().powf(f64::from(num_visits)) / MAX_ALL_DISTURBED;
        half_width.max(of_few_visits).max((self.options.precision * all_disturbed).min(1.0))
    }

    /// Share of the visits that were so slow that they do not count.
    fn disturbed_share(&self) -> f64 {
        self.num_disturbed as f64 / self.visits.len().max(1) as f64
    }

    /// Where a second of measuring takes most uncertainty away, among the points that were not measured just now.
    fn least_certain(&self, open: &[usize]) -> Option<usize> {
        let distance = MAX_DISTANCE.min(open.len() / 2);
        let rested = |index: &usize| self.points[*index].last_visit + distance < self.visits.len();
        let gain = |index: usize| {
            let state = &self.points[index];
            let weight = if self.plan.points[index].role == Role::Fit { 1.0 } else { HELD_OUT_WEIGHT };
            let num_visits = f64::from(state.num_visits.max(1));
            let cost_ns = state.spent_ns as f64 / num_visits;
            // One more visit narrows the interval by a share that falls with the visits there were.
            weight * self.uncertainty(index) / num_visits / cost_ns.max(1.0).sqrt()
        };
        let candidates = open.iter().copied().filter(rested);
        candidates.max_by(|&a, &b| gain(a).total_cmp(&gain(b)).then(b.cmp(&a))).or_else(|| open.first().copied())
    }

    fn progress_bar(&self) -> ProgressBar {
        if !self.options.show_progress {
            return ProgressBar::hidden();
        }
        let progress = ProgressBar::new(self.options.time_budget.as_secs());
        let style = ProgressStyle::with_template("{bar:30} {elapsed} of at most {len} s; {msg}");
        progress.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        self.show(&progress);
        progress
    }

    fn show(&self, progress: &ProgressBar) {
        let spent = Duration::from_nanos(self.spent_ns);
        let left = self.options.time_budget.saturating_sub(spent).as_secs();
        let (num_points, num_open) = (self.points.len(), (0..self.points.len()).filter(|&i| self.is_open(i)).count());
        let num_measured = self.points.iter().filter(|state| state.times.num_samples() > 0).count();
        progress.set_position(spent.as_secs());
        progress.set_message(format!(
            "{num_measured} of {num_points} points measured, {} certain; at most {left} s left",
            num_points - num_open
        ));
    }
}

/// The place of each of `count` points in a shuffled order.
fn ranks(count: usize, seed: u64, sweep: u32) -> Vec<usize> {
    let mut random = Pcg64::stream(seed, &format!("sweep {sweep}"));
    let mut order: Vec<(u64, usize)> = (0..count).map(|index| (random.next_u64(), index)).collect();
    order.sort_unstable();
    let mut ranks = vec![0; count];
    for (rank, &(_, index)) in order.iter().enumerate() {
        ranks[index] = rank;
    }
    ranks
}
