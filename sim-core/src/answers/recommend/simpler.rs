//! Which of the setups that differ by no more than chance is recommended: the simplest. Two are a tie if one standard
//! error of the ratio of what they are worth reaches from one to the other (the one-standard-error rule: Breiman,
//! Friedman, Olshen and Stone, *Classification and Regression Trees*, 1984); the error is the jackknife's over the seeds,
//! which both have in common. So no flag is shown that, taken away, changes nothing or makes things better.

use alloc::vec::Vec;

use super::entry::{Entry, Role};
use super::exclusion::Kind;
use super::figures::Figures;
use super::objective::Standing;
use super::rounds::Recommend;
use super::space::Candidate;
use crate::answers::capacity::Search;
use crate::answers::capacity::search::standard_error;
use crate::math;

/// Less than this is a tie whatever seeds say, as a share: the loads that a search tries last are as far apart.
const LEAST_DIFFERENCE: f64 = 0.005;

/// Whether the logarithm of a ratio may be one by chance; `left_out` is the same of the runs of all seeds but one.
pub(super) fn is_by_chance(ln_ratio: f64, left_out: &[f64]) -> bool {
    ln_ratio.abs() <= standard_error(left_out).max(LEAST_DIFFERENCE)
}

impl Recommend {
    /// Those of the grid that were searched to the end and are a choice: first what is recommended, then by the objective.
    #[must_use]
    pub fn ranked(&self) -> Vec<usize> {
        let is_ranked = |entry: &Entry| {
            entry.role == Role::Grid && entry.answer.is_some() && entry.excluded.is_none() && entry.standing.is_choice()
        };
        let mut ranked: Vec<usize> = (0..self.entries.len()).filter(|&place| is_ranked(&self.entries[place])).collect();
        ranked.sort_by(|&a, &b| self.entries[a].standing.order(self.entries[b].standing).then(a.cmp(&b)));
        if let Some(simplest) = self.simplest(&ranked) {
            ranked[..=simplest].rotate_right(1);
        }
        ranked
    }

    /// The place in `ranked` of what is simpler than the first and as good; then of what is simpler than that, until
    /// nothing is: so no choice of it is worth no more than chance.
    fn simplest(&self, ranked: &[usize]) -> Option<usize> {
        let simplicity = |place: &usize| {
            let entry = &self.entries[ranked[*place]];
            (self.space.num_flags(&entry.candidate), entry.engine.as_ref().map(|engine| engine.hardware.num_gpus))
        };
        let mut own = 0;
        while own < ranked.len() {
            let (entry, own_simplicity) = (&self.entries[ranked[own]], simplicity(&own));
            // Ranked before it is better.
            let is_as_good = |place: &usize| *place < own || self.is_tie(entry, &self.entries[ranked[*place]]);
            let simpler = (0..ranked.len()).filter(|place| simplicity(place) < own_simplicity);
            match simpler.filter(is_as_good).min_by_key(simplicity) {
                Some(place) => own = place,
                None => return Some(own),
            }
        }
        None
    }

    /// Whether two setups, both a choice, differ by no more than chance.
    fn is_tie(&self, one: &Entry, other: &Entry) -> bool {
        let ln_ratio = |(one, other): (Standing, Standing)| math::ln(one.times_better(other));
        let seeds = self.left_out(one).into_iter().zip(self.left_out(other));
        let ratios: Vec<f64> =
            seeds.filter(|(one, other)| one.is_choice() && other.is_choice()).map(ln_ratio).collect();
        is_by_chance(ln_ratio((one.standing, other.standing)), &ratios)
    }

    /// How good a setup is by the runs of all seeds but one, in the order of the seeds.
    fn left_out(&self, entry: &Entry) -> Vec<Standing> {
        let Some(hardware) = entry.engine.as_ref().map(|engine| engine.hardware) else { return Vec::new() };
        if !self.plan.objective.is_at_demand() {
            let carried = entry.answer.iter().flat_map(|answer| &answer.left_out);
            return carried.map(|&capacity| self.plan.by_capacity(hardware, capacity)).collect();
        }
        let Some(point) = entry.operating.as_ref().filter(|point| point.trials.len() > 1) else { return Vec::new() };
        let without = |seed: usize| {
            let mut point = point.clone();
            point.trials.remove(seed);
            self.plan.by_figures(&Figures::new(self.plan.kind, &point, hardware))
        };
        (0..point.trials.len()).map(without).collect()
    }

    /// Puts the best with each choice as in the base beside it, in place of what was there; their places.
    pub(super) fn add_twins(&mut self) -> Vec<usize> {
        self.entries.retain(|entry| entry.role == Role::Grid);
        let Some(best) = self.ranked().first().map(|&best| self.entries[best].candidate.clone()) else {
            return Vec::new();
        };
        self.add(self.space.without_each_choice(&best).into_iter().map(|(flag, twin)| (Role::AsInBase(flag), twin)))
    }

    /// Puts the best with one step of each other flag beside it; their places.
    pub(super) fn add_steps(&mut self) -> Vec<usize> {
        let Some(best) = self.ranked().first().map(|&best| self.entries[best].candidate.clone()) else {
            return Vec::new();
        };
        self.add(self.space.steps(&best).into_iter().map(|(flag, step)| (Role::Step(flag), step)))
    }

    fn add(&mut self, beside: impl Iterator<Item = (Role, Candidate)>) -> Vec<usize> {
        let first = self.entries.len();
        self.entries.extend(beside.map(|(role, candidate)| Entry::new(candidate, role)).collect::<Vec<_>>());
        (first..self.entries.len()).collect()
    }

    /// What the grid knows of the engine of what stands beside it: nothing is searched twice.
    pub(super) fn searched(&self, place: usize) -> Option<Search> {
        let beside = self.entries.get(place).filter(|entry| entry.role != Role::Grid)?;
        let is_known = |entry: &&Entry| entry.role == Role::Grid && entry.answer.is_some();
        let mut known = self.entries.iter().filter(is_known);
        known.find(|entry| entry.engine == beside.engine)?.search.clone()
    }

    /// Takes into the grid what was learned beside the best: what a short run had ruled out, and what the flag's values
    /// leave out though it needs no flag at all. Whether that changes what is recommended.
    pub(super) fn promote_twins(&mut self) -> bool {
        let Some(best) = self.ranked().first().copied() else { return false };
        let (grid, twins): (Vec<Entry>, Vec<Entry>) =
            core::mem::take(&mut self.entries).into_iter().partition(|entry| entry.role == Role::Grid);
        self.entries = grid;
        let mut is_renamed = false;
        for twin in &twins {
            if twin.excluded.as_ref().is_some_and(|exclusion| exclusion.kind == Kind::Same) {
                // vLLM takes that value anyway.
                let num_flags = |entry: &Entry| self.space.num_flags(&entry.candidate);
                if !is_renamed && num_flags(twin) < num_flags(&self.entries[best]) {
                    self.entries[best].candidate = twin.candidate.clone();
                    is_renamed = true;
                }
            } else if twin.answer.is_some() && twin.excluded.is_none() {
                self.promote(twin);
            }
        }
        self.entries.extend(twins);
        is_renamed || self.ranked().first() != Some(&best)
    }

    fn promote(&mut self, twin: &Entry) {
        let is_same = |entry: &&mut Entry| entry.excluded.is_none() && entry.engine == twin.engine;
        match self.entries.iter_mut().find(is_same) {
            Some(entry) if entry.answer.is_none() => {
                (entry.standing, entry.search) = (twin.standing, twin.search.clone());
                (entry.answer, entry.operating) = (twin.answer.clone(), twin.operating.clone());
            }
            Some(_) => {}
            None if matches!(&twin.role, Role::AsInBase(flag) if self.space.is_free(flag)) => {
                self.entries.push(Entry { role: Role::Grid, ..twin.clone() });
            }
            None => {}
        }
    }
}
