//! A recommendation in words, for the command line and the page. Sentences have no full stop: what follows is theirs.

use alloc::borrow::ToOwned as _;
use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;

use super::answer::{Comparison, Recommendation};
use super::entry::{Entry, Role};
use super::objective::Objective;
use super::rounds::Recommend;
use crate::answers::capacity::Question;
use crate::answers::capacity::told::{LATENCIES, name};
use crate::answers::said::counted;
use crate::math;
use crate::scenario::DEFAULT_GPU;

/// A gain below this share is said to be none.
const NO_DIFFERENCE: f64 = 0.005;

/// Why nothing is recommended; what to do about it depends on where it is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Nothing {
    /// No setup can run.
    NoneRuns,
    /// Cost was asked for, and no price is known of a GPU that was tried.
    NoPrice,
    /// Not even the least load meets the objectives.
    NoneMeets,
    /// The demand is more than the GPUs carry.
    TooMuch,
}

/// A recommendation, what was asked, and how many runs it took.
#[derive(Debug, Clone, Copy)]
pub struct Telling<'a> {
    /// What was tried.
    pub recommend: &'a Recommend,
    /// What was asked of each setup.
    pub question: &'a Question,
    /// Runs so far.
    pub num_runs: usize,
}

impl Telling<'_> {
    /// How many setups were tried how closely.
    #[must_use]
    pub fn counts(&self) -> String {
        let entries = self.recommend.entries();
        let count = |is_one: &dyn Fn(&Entry) -> bool| entries.iter().filter(|entry| is_one(entry)).count();
        format!(
            "{}, {} tried, {} of these closer, {} searched to the end; {}",
            counted(math::usize_to_u64(count(&|entry| entry.role == Role::Grid)), "setup"),
            count(&|entry| entry.num_rounds >= 1),
            count(&|entry| entry.num_rounds >= 2),
            count(&|entry| entry.num_rounds > 0 && entry.answer.is_some()),
            counted(math::usize_to_u64(self.num_runs), "run"),
        )
    }

    /// How many setups were not tried, by reason, each with an example.
    #[must_use]
    pub fn excluded(&self, answer: &Recommendation) -> Vec<String> {
        answer.excluded.iter().map(|(kind, count, example)| format!("{count} {}; {example}", kind.words())).collect()
    }

    /// Why nothing is recommended, if nothing is.
    #[must_use]
    pub fn nothing(&self) -> Nothing {
        let searched = || self.recommend.entries().iter().filter(|entry| entry.answer.is_some());
        let is_priced =
            |entry: &Entry| entry.engine.as_ref().is_some_and(|own| own.hardware.usd_per_gpu_hour.is_some());
        let carries = |entry: &Entry| entry.answer.as_ref().is_some_and(|answer| answer.capacity.is_some());
        if searched().next().is_none() {
            Nothing::NoneRuns
        } else if self.recommend.plan().objective == Objective::Cost && !searched().any(is_priced) {
            Nothing::NoPrice
        } else if searched().any(carries) {
            Nothing::TooMuch
        } else {
            Nothing::NoneMeets
        }
    }

    /// The same in words.
    #[must_use]
    pub fn why_nothing(&self) -> String {
        let plan = self.recommend.plan();
        let why = match self.nothing() {
            Nothing::NoneRuns => "no setup can run".to_owned(),
            Nothing::NoPrice => "prices missing for all GPUs that were tried".to_owned(),
            Nothing::NoneMeets => {
                "the objectives cannot be met, not even by the best setup at the least load that was tried".to_owned()
            }
            Nothing::TooMuch => {
                let unit = self.question.unit();
                let demand = plan.demand.map_or_else(String::new, |demand| format!(" {demand} {unit}"));
                format!(
                    "no setup carries{demand} on {} with {} % of requests within the objectives",
                    counted(plan.num_gpus.into(), "GPU"),
                    100.0 * plan.required_share
                )
            }
        };
        format!("Nothing to recommend: {why}")
    }

    /// That the first is simpler than what its runs alone would have put first, if it is.
    #[must_use]
    pub fn why_simpler(&self, answer: &Recommendation) -> Option<String> {
        let entries = self.recommend.entries();
        let first = entries.get(*answer.ranked.first()?)?;
        let ahead = answer.ranked.iter().skip(1).filter_map(|&place| entries.get(place));
        let best = ahead.min_by(|a, b| a.standing.order(b.standing))?;
        if best.standing.order(first.standing).is_ge() {
            return None;
        }
        let percent = 100.0 * (best.standing.times_better(first.standing) - 1.0);
        let name = best.name();
        Some(format!(
            "{name} comes out {percent:.1} % better, which is within what seeds differ by; the simpler one is recommended"
        ))
    }

    /// What a gain is of.
    #[must_use]
    pub const fn measure(&self) -> &'static str {
        match self.recommend.plan().objective {
            Objective::Cost => "load for the same money",
            Objective::Throughput => "load for each GPU",
            Objective::Interactivity => "tokens a second for each user",
            Objective::Latency => "longer P99 E2EL without it",
        }
    }

    /// What a choice of the first is worth.
    #[must_use]
    pub fn why(&self, one: &Comparison) -> String {
        let (chosen, other) = (value(one.chosen.as_ref(), &one.flag), value(one.other.as_ref(), &one.flag));
        let head = format!("--{} {chosen} instead of {other}", one.flag);
        match (one.gain, &one.excluded) {
            (_, Some(why)) => format!("{head}: the other cannot be: {why}"),
            (Some(gain), _) if gain.abs() < NO_DIFFERENCE => format!("{head}: makes no difference"),
            (Some(gain), _) => {
                let gain = format!("{head}: {:+.0} % {}", 100.0 * gain, self.measure());
                // At a demand that both carry, what ends them is no reason.
                let is_reason = !self.recommend.plan().objective.is_at_demand();
                if is_reason { format!("{gain}, because with {other} {}", self.binds(one)) } else { gain }
            }
            (None, None) => format!("{head}: with {other} it is no choice; there {}", self.binds(one)),
        }
    }

    /// What a step beside the grid would change.
    #[must_use]
    pub fn step(&self, one: &Comparison) -> String {
        let head = format!("--{} {}", one.flag, value(one.other.as_ref(), &one.flag));
        match (one.gain, &one.excluded) {
            (_, Some(why)) => format!("{head}: cannot be: {why}"),
            // The best's gain over the step, the other way round.
            (Some(gain), _) => match 1.0 / (1.0 + gain) - 1.0 {
                change if change.abs() < NO_DIFFERENCE => format!("{head}: nothing"),
                _ if self.recommend.plan().objective == Objective::Latency => {
                    format!("{head}: {:+.0} % P99 E2EL", 100.0 * gain)
                }
                change => format!("{head}: {:+.0} % {}", 100.0 * change, self.measure()),
            },
            (None, None) => format!("{head}: it would be no choice; {}", self.binds(one)),
        }
    }

    /// What ends what the other carries.
    fn binds(&self, one: &Comparison) -> String {
        let bounds = self.question.bounds();
        let bound = bounds.into_iter().find(|(place, _)| Some(*place) == one.fails_first);
        let ends = bound.and_then(|(place, ms)| Some((LATENCIES.get(place)?, ms))).map_or_else(
            || "the engine answers no more".to_owned(),
            |(latency, ms)| format!("{latency} is the first beyond its {ms} ms"),
        );
        one.waits_for.map_or(ends.clone(), |limit| format!("{ends}; requests wait for {}", name(limit)))
    }

    /// Why an entry that was searched to the end is not ranked.
    #[must_use]
    pub fn why_not(&self, entry: &Entry) -> &'static str {
        let is_priced = entry.engine.as_ref().is_some_and(|engine| engine.hardware.usd_per_gpu_hour.is_some());
        match entry.figures(self.recommend.plan()) {
            None => "carries nothing, or too little",
            Some(_) if !is_priced && self.recommend.plan().objective == Objective::Cost => "price missing",
            Some(_) => "beyond the objectives",
        }
    }
}

/// The value of a flag, as it is where nothing is said.
fn value(value: Option<&String>, flag: &str) -> String {
    match (value, flag) {
        (Some(value), _) => value.clone(),
        (None, "gpu") => DEFAULT_GPU.to_string(),
        (None, "tensor-parallel-size") => "1".to_owned(),
        (None, "speculative-config") => "none".to_owned(),
        (None, _) => "vLLM's default".to_owned(),
    }
}
