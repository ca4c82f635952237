//! What follows from all that was tried.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

use super::entry::{Entry, Role};
use super::exclusion::Kind;
use super::figures::{Figures, front};
use super::rounds::Recommend;
use crate::answers::capacity::Answer;
use crate::metrics::limits::Limit;

/// A candidate at a load.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Operating {
    /// Its place among the entries.
    pub entry: usize,
    /// What it gives there.
    pub figures: Figures,
}

/// What one choice of the best is worth: the best beside the same with another value of one flag.
#[derive(Debug, Clone, PartialEq)]
pub struct Comparison {
    /// The flag.
    pub flag: String,
    /// Its value in the best; `None` for vLLM's default.
    pub chosen: Option<String>,
    /// The other value.
    pub other: Option<String>,
    /// Whether the other is a step that is not in the grid, and not the base's.
    pub is_step: bool,
    /// By how much the best is better by the objective, as a share: load for the same money or GPUs, the inverse of a
    /// latency, or tokens a second and user. Below 0 the other is better. `None` where the other is no choice.
    pub gain: Option<f64>,
    /// Why the other cannot be, in words, where it is excluded.
    pub excluded: Option<String>,
    /// What the other misses first beyond what it carries: TTFT, TPOT, E2EL; `None` if its queue grows.
    pub fails_first: Option<usize>,
    /// What its requests wait for most where it runs.
    pub waits_for: Option<Limit>,
}

/// The answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Recommendation {
    /// Places of those that were searched to the end and are a choice, the best first.
    pub ranked: Vec<usize>,
    /// How many candidates were not tried, by kind, with an example.
    pub excluded: Vec<(Kind, usize, String)>,
    /// Of every load of those searched to the end that meets: none has more tokens a second and user without fewer a second
    /// and GPU.
    pub by_gpu: Vec<Operating>,
    /// The same with US dollars for a million tokens.
    pub by_cost: Vec<Operating>,
    /// What the choices of the best are worth, then steps beside the grid.
    pub comparisons: Vec<Comparison>,
}

impl Recommend {
    /// What is known.
    #[must_use]
    pub fn answer(&self) -> Recommendation {
        let ranked = self.ranked();
        let operating = self.operating();
        let of = |places: Vec<usize>| places.into_iter().filter_map(|place| operating.get(place).copied()).collect();
        let user = |one: &Operating| one.figures.tokens_per_second_per_user;
        let by_gpu = front(&operating, |one| Some([user(one), one.figures.tokens_per_second_per_gpu]));
        let by_cost = front(&operating, |one| Some([user(one), -one.figures.usd_per_million_tokens?]));
        let comparisons = ranked.first().map(|&best| self.comparisons(&self.entries[best])).unwrap_or_default();
        Recommendation { excluded: self.excluded(), by_gpu: of(by_gpu), by_cost: of(by_cost), comparisons, ranked }
    }

    /// 64 bits of all runs of those that were searched to the end, in their order: equal digests are equal runs, wherever
    /// they were made.
    #[must_use]
    pub fn digest(&self) -> u64 {
        let digests = self.entries.iter().filter_map(|entry| entry.answer.as_ref()).map(Answer::digest);
        digests.fold(0xcbf2_9ce4_8422_2325, |all, one| (all ^ one).wrapping_mul(0x0100_0000_01b3))
    }

    /// Every load of those of the grid that were searched to the end that is carried and meets.
    #[must_use]
    pub fn operating(&self) -> Vec<Operating> {
        let searched = self.entries.iter().enumerate().filter(|(_, entry)| entry.role == Role::Grid);
        let of_entry = |(place, entry): (usize, &Entry)| -> Option<Vec<Operating>> {
            let (answer, hardware) = (entry.answer.as_ref()?, entry.engine.as_ref()?.hardware);
            let capacity = answer.capacity?;
            let carried = answer.curve.iter().filter(|point| point.load <= capacity);
            let figures = carried.map(|point| Figures::new(self.plan.kind, point, hardware));
            let meets = figures.filter(|figures| figures.share_met >= self.plan.required_share);
            Some(meets.map(|figures| Operating { entry: place, figures }).collect())
        };
        searched.filter_map(of_entry).flatten().collect()
    }

    fn excluded(&self) -> Vec<(Kind, usize, String)> {
        let mut kinds: BTreeMap<Kind, (usize, String)> = BTreeMap::new();
        for entry in self.entries.iter().filter(|entry| entry.role == Role::Grid) {
            if let Some(exclusion) = &entry.excluded {
                let name = entry.name();
                kinds.entry(exclusion.kind).or_insert_with(|| (0, alloc::format!("{name}: {}", exclusion.why))).0 += 1;
            }
        }
        kinds.into_iter().map(|(kind, (count, example))| (kind, count, example)).collect()
    }

    fn comparisons(&self, best: &Entry) -> Vec<Comparison> {
        let is_same = |entry: &Entry| entry.excluded.as_ref().is_some_and(|exclusion| exclusion.kind == Kind::Same);
        let compared = |entry: &Entry| {
            let (flag, is_step) = match &entry.role {
                Role::Grid => return None,
                Role::AsInBase(flag) => (flag, false),
                Role::Step(flag) => (flag, true),
            };
            let answer = entry.answer.as_ref();
            Some(Comparison {
                flag: flag.clone(),
                chosen: best.candidate.scenario.get(flag).map(Into::into),
                other: entry.candidate.scenario.get(flag).map(Into::into),
                is_step,
                gain: self.gain(best, entry),
                excluded: entry.excluded.as_ref().map(|exclusion| exclusion.why.clone()),
                fails_first: answer.and_then(|answer| self.fails_first(answer)),
                waits_for: answer.and_then(|answer| answer.at_capacity()?.trials.first()?.waiting.0),
            })
        };
        self.entries.iter().filter(|entry| !is_same(entry)).filter_map(compared).collect()
    }

    /// What is missed first a little beyond what is carried, or where nothing is.
    fn fails_first(&self, answer: &Answer) -> Option<usize> {
        let capacity = answer.capacity.unwrap_or(0.0);
        let beyond = answer.curve.iter().find(|point| point.load >= 1.04 * capacity)?;
        beyond.fails_first(self.plan.required_share)
    }

    fn gain(&self, best: &Entry, other: &Entry) -> Option<f64> {
        if other.excluded.is_some() || !other.standing.is_choice() {
            return None;
        }
        Some(best.standing.times_better(other.standing) - 1.0)
    }
}
