//! Which candidate is tried next, and how closely: two cheap rounds, each of which the better third survives, then the
//! whole search for what is left, then what each choice of the best is worth (which of them is recommended: `simpler.rs`).

use alloc::collections::BTreeSet;
use alloc::vec;
use alloc::vec::Vec;

use super::coarse::Coarse;
use super::entry::{Done, Engine, Entry, Job, JobKind, Role};
use super::exclusion::{Exclusion, Kind};
use super::figures::Figures;
use super::objective::{Plan, Standing};
use super::space::{Space, SpaceError};
use crate::answers::capacity::trial::Point;
use crate::answers::capacity::{Answer, Search, Trial};

/// Requests and loads of each cheap round.
const ROUNDS: [(u32, u32); 2] = [(256, 4), (512, 4)];
/// Of so many candidates one survives a round.
const SURVIVES: usize = 3;
/// Fewest that survive a round, if there are so many.
const FEWEST: usize = 24;
/// Candidates that are searched to the end, besides the best of each GPU.
const FINALISTS: usize = 6;
/// Most requests of the run that shows what a candidate answers at most, and how often its batch they are.
const SATURATION: (u32, u32) = (1024, 2);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Cheap(usize),
    Whole,
    /// The best beside itself with each choice as in the base, until no such twin takes its place.
    Compare,
    Steps,
    Over,
}

/// A recommendation under way. First [`Self::unknown`] engines are made known, then [`Self::wanted`] runs are taken; when
/// there is neither, it is over.
#[derive(Debug, Clone)]
pub struct Recommend {
    pub(super) plan: Plan,
    pub(super) space: Space,
    pub(super) entries: Vec<Entry>,
    /// Who is in this stage.
    alive: Vec<usize>,
    stage: Stage,
    wanted: Vec<Job>,
}

impl Recommend {
    /// Begins with all of `space`.
    ///
    /// # Errors
    /// [`SpaceError::Scenario`] if a value is none of its flag.
    pub fn new(plan: Plan, space: Space) -> Result<Self, SpaceError> {
        let entries: Vec<Entry> =
            space.candidates()?.into_iter().map(|candidate| Entry::new(candidate, Role::Grid)).collect();
        let alive = (0..entries.len()).collect();
        Ok(Self { plan, space, entries, alive, stage: Stage::Cheap(0), wanted: vec![] })
    }

    /// What is asked.
    #[must_use]
    pub const fn plan(&self) -> &Plan {
        &self.plan
    }

    /// All candidates, in the order of the grid and then of when they came.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Candidates whose engine is to be found out.
    #[must_use]
    pub fn unknown(&self) -> Vec<usize> {
        let is_unknown = |place: &usize| {
            self.entries.get(*place).is_some_and(|entry| entry.engine.is_none() && entry.excluded.is_none())
        };
        self.alive.iter().copied().filter(is_unknown).collect()
    }

    /// Takes in the engines of all unknown candidates, in their order.
    pub fn know(&mut self, engines: Vec<Result<Engine, Exclusion>>) {
        for (place, engine) in self.unknown().into_iter().zip(engines) {
            let found = engine.and_then(|engine| self.checked(place, engine));
            let entry = &mut self.entries[place];
            match found {
                Ok(engine) => {
                    entry.engine = Some(engine);
                    self.entries[place].search = self.searched(place);
                }
                Err(exclusion) => entry.excluded = Some(exclusion),
            }
        }
        self.begin();
    }

    /// An engine that is worth trying. What is beside the grid may be the same as something in it.
    fn checked(&self, place: usize, engine: Engine) -> Result<Engine, Exclusion> {
        let num_gpus = engine.hardware.num_gpus;
        if num_gpus > self.plan.num_gpus {
            let why = alloc::format!("{num_gpus} GPUs, and there are {}", self.plan.num_gpus);
            return Err(Exclusion { kind: Kind::TooManyGpus, why });
        }
        let is_same = |other: &Entry| other.engine.as_ref() == Some(&engine);
        let same = match self.entries[place].role {
            Role::Grid => self.entries[..place].iter().find(|other| is_same(other)),
            _ => self.ranked().first().map(|&best| &self.entries[best]).filter(|best| is_same(best)),
        };
        match same {
            Some(same) => Err(Exclusion { kind: Kind::Same, why: alloc::format!("as {}", same.name()) }),
            None => Ok(engine),
        }
    }

    /// Runs to be made now; none if engines are unknown, or all is over.
    #[must_use]
    pub fn wanted(&self) -> &[Job] {
        &self.wanted
    }

    /// Takes in what came of all wanted runs, in their order.
    pub fn take(&mut self, done: Vec<Done>) {
        let jobs = core::mem::take(&mut self.wanted);
        let mut whole: Vec<(usize, f64, Vec<Trial>)> = vec![];
        for (job, done) in jobs.into_iter().zip(done) {
            let entry = &mut self.entries[job.candidate];
            match (done, job.kind) {
                (Done::Excluded(exclusion), _) => entry.excluded = Some(exclusion),
                (Done::Rate(saturated), _) => {
                    entry.search = Some(Search::new(self.plan.kind, self.plan.required_share, saturated));
                }
                (Done::Trial(trial), JobKind::Trial { load, .. }) => match (&mut entry.coarse, &entry.search) {
                    (Some(coarse), None) => coarse.take(*trial, self.plan.required_share),
                    (None, None) => entry.operating = Some(Point { load, trials: vec![*trial] }),
                    _ => match whole.last_mut() {
                        Some((candidate, of, trials))
                            if *candidate == job.candidate && of.to_bits() == load.to_bits() =>
                        {
                            trials.push(*trial);
                        }
                        _ => whole.push((job.candidate, load, vec![*trial])),
                    },
                },
                (Done::Trial(_), JobKind::Saturated { .. }) => {}
            }
        }
        self.take_whole(whole);
        self.advance();
    }

    /// Trials of whole searches, those of one load together.
    fn take_whole(&mut self, mut whole: Vec<(usize, f64, Vec<Trial>)>) {
        while let Some((candidate, ..)) = whole.first() {
            let candidate = *candidate;
            let num_own = whole.iter().take_while(|(other, ..)| *other == candidate).count();
            let own = whole.drain(..num_own).map(|(_, load, trials)| (load, trials));
            let entry = &mut self.entries[candidate];
            match &mut entry.search {
                Some(search) if !search.wanted().is_empty() => search.take(own),
                _ => entry.operating = own.map(|(load, trials)| Point { load, trials }).next(),
            }
        }
    }

    /// The next runs of this stage, or the next stage.
    fn advance(&mut self) {
        loop {
            let entries = &self.entries;
            self.alive.retain(|place| entries[*place].excluded.is_none());
            self.wanted = self.alive.iter().flat_map(|&place| self.jobs_of(place)).collect();
            if !self.wanted.is_empty() || self.stage == Stage::Over {
                return;
            }
            for place in self.alive.clone() {
                let standing = self.standing(place);
                self.entries[place].standing = standing;
            }
            self.next_stage();
            if !self.unknown().is_empty() {
                return;
            }
            self.begin();
        }
    }

    /// Who goes on, and to what.
    fn next_stage(&mut self) {
        self.stage = match self.stage {
            Stage::Cheap(round) => {
                let is_last = round + 1 == ROUNDS.len();
                let num_kept = if is_last { FINALISTS } else { self.alive.len().div_ceil(SURVIVES).max(FEWEST) };
                self.alive = self.survivors(num_kept);
                if is_last { Stage::Whole } else { Stage::Cheap(round + 1) }
            }
            Stage::Whole => {
                self.alive = self.add_twins();
                Stage::Compare
            }
            Stage::Compare => {
                let is_again = self.promote_twins();
                self.alive = if is_again { self.add_twins() } else { self.add_steps() };
                if is_again { Stage::Compare } else { Stage::Steps }
            }
            Stage::Steps | Stage::Over => Stage::Over,
        };
    }

    /// The best, and the best of each GPU and tensor parallel size, in the order of the grid: a front needs those that are
    /// good at something else, and they are where that begins.
    fn survivors(&self, num_kept: usize) -> Vec<usize> {
        let mut sorted = self.alive.clone();
        sorted.sort_by(|&a, &b| self.entries[a].standing.order(self.entries[b].standing).then(a.cmp(&b)));
        let mut kept: BTreeSet<usize> = sorted.iter().take(num_kept).copied().collect();
        for flag in ["gpu", "tensor-parallel-size"] {
            let mut values: BTreeSet<Option<&str>> = BTreeSet::new();
            let is_first = |place: &&usize| values.insert(self.entries[**place].candidate.scenario.get(flag));
            kept.extend(sorted.iter().filter(is_first));
        }
        kept.into_iter().collect()
    }

    /// Sets the looks of this stage up.
    fn begin(&mut self) {
        if self.stage == Stage::Over {
            return;
        }
        for &place in &self.alive {
            let entry = &mut self.entries[place];
            if entry.excluded.is_some() {
                continue;
            }
            if let Stage::Cheap(round) = self.stage {
                entry.num_rounds += 1;
                (entry.operating, entry.coarse) = match (self.plan.objective.is_at_demand(), &entry.coarse) {
                    (true, _) => (None, None),
                    (false, None) => {
                        (None, Some(Coarse::first(self.plan.kind, ROUNDS[round].1, self.plan.has_goodput)))
                    }
                    (false, Some(before)) => (None, Some(before.again(ROUNDS[round].1))),
                };
            } else {
                (entry.operating, entry.coarse) = (None, None);
            }
        }
        if self.unknown().is_empty() {
            self.wanted = self.alive.iter().flat_map(|&place| self.jobs_of(place)).collect();
            if self.wanted.is_empty() {
                self.advance();
            }
        }
    }

    /// What is to be run of a candidate now.
    fn jobs_of(&self, place: usize) -> Vec<Job> {
        let entry = &self.entries[place];
        let Some(engine) = entry.engine.as_ref().filter(|_| entry.excluded.is_none()) else { return vec![] };
        let seed = self.plan.first_seed;
        let trial = |load: f64, seed: u32, num_prompts: u32| Job {
            candidate: place,
            kind: JobKind::Trial { load, seed, num_prompts },
        };
        if let Stage::Cheap(round) = self.stage {
            let num_prompts = ROUNDS[round].0.min(self.plan.num_prompts);
            let load = match &entry.coarse {
                Some(coarse) => coarse.next(),
                None if entry.operating.is_some() => None,
                None => self.plan.share_of_demand(self.plan.most_replicas(engine.hardware)),
            };
            let Some(load) = load else { return vec![] };
            let fills = engine.config.max_num_active_seqs.saturating_mul(SATURATION.1).min(SATURATION.0);
            return vec![trial(load, seed, if load.is_finite() { num_prompts } else { num_prompts.max(fills) })];
        }
        let Some(search) = &entry.search else {
            return vec![Job { candidate: place, kind: JobKind::Saturated { seed } }];
        };
        let seeds = || (0..self.plan.num_seeds).map(move |number| seed.wrapping_add(number));
        if !search.wanted().is_empty() {
            let loads = search.wanted().iter();
            return loads
                .flat_map(|&load| seeds().map(move |seed| (load, seed)))
                .map(|(load, seed)| trial(load, seed, self.plan.num_prompts))
                .collect();
        }
        // At last its share of the demand.
        let capacity = search.answer().capacity.unwrap_or(0.0);
        let replicas = self.plan.replicas(engine.hardware, capacity);
        match replicas.and_then(|replicas| self.plan.share_of_demand(replicas)) {
            Some(load) if entry.operating.is_none() => {
                seeds().map(|seed| trial(load, seed, self.plan.num_prompts)).collect()
            }
            _ => vec![],
        }
    }

    /// How good a candidate is by all that this stage has tried.
    fn standing(&mut self, place: usize) -> Standing {
        let (plan, entry) = (&self.plan, &mut self.entries[place]);
        let Some(engine) = &entry.engine else { return entry.standing };
        if entry.search.is_some() {
            let answer = entry.search.as_ref().map(Search::answer);
            if plan.demand.is_none() {
                entry.operating = answer.as_ref().and_then(Answer::at_capacity).cloned();
            }
            entry.answer = answer;
        }
        if plan.objective.is_at_demand() {
            let figures = entry.operating.as_ref().map(|point| Figures::new(plan.kind, point, engine.hardware));
            return figures.map_or(entry.standing, |figures| plan.by_figures(&figures));
        }
        let capacity = match (&entry.answer, &entry.coarse) {
            (Some(answer), _) => answer.capacity.unwrap_or(0.0),
            (None, Some(coarse)) => coarse.estimate(),
            (None, None) => 0.0,
        };
        plan.by_capacity(engine.hardware, capacity)
    }
}
