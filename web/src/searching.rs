//! A capacity, searched with the pool: `sim_core::answers::capacity` says which loads are tried, workers try them.

use std::cell::RefCell;
use std::rc::Rc;

use sim_core::answers::capacity::search::crossing;
use sim_core::answers::capacity::trial::Point;
use sim_core::answers::capacity::{Answer, Question, Search, Trial};

use crate::files::now_ms;
use crate::pool::{self, Setup, Stopped, Wish};
use crate::protocol::{Asked, Tried, Trying};

/// Loads that most searches try.
const TYPICAL_LOADS: u32 = 33;

/// Milliseconds between two partial answers: each is drawn.
const TELL_EVERY_MS: f64 = 120.0;

/// What is known of a capacity so far.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Found {
    /// What was asked.
    pub(crate) question: Question,
    /// The answer; of what is over yet, while more is to come.
    pub(crate) answer: Answer,
    /// Runs that are over.
    pub(crate) num_done: u32,
    /// Runs in all; about, while more is to come.
    pub(crate) num_planned: u32,
    /// Whether nothing is to come.
    pub(crate) is_over: bool,
    /// How long it took, or takes so far, in milliseconds.
    pub(crate) wall_ms: f64,
}

/// A search under way, as those who listen see it.
struct Hunt {
    question: Question,
    began_ms: f64,
    told_ms: f64,
    num_done: u32,
    num_asked: u32,
    trials: Vec<Trial>,
}

impl Hunt {
    fn found(&self, answer: Answer, is_over: bool) -> Found {
        let typical = TYPICAL_LOADS * self.question.num_seeds + 1;
        let num_planned = if is_over { self.num_done } else { self.num_asked.max(typical) };
        let (question, num_done, wall_ms) = (self.question, self.num_done, now_ms() - self.began_ms);
        Found { question, answer, num_done, num_planned, is_over, wall_ms }
    }

    /// What the loads say whose seeds are all over.
    fn partial(&self) -> Answer {
        let mut curve: Vec<Point> = Vec::new();
        for trial in &self.trials {
            match curve.iter_mut().find(|point| point.load.to_bits() == trial.load.to_bits()) {
                Some(point) => point.trials.push(trial.clone()),
                None => curve.push(Point { load: trial.load, trials: vec![trial.clone()] }),
            }
        }
        curve.retain(|point| point.trials.len() == sim_core::math::u32_to_usize(self.question.num_seeds));
        curve.sort_by(|a, b| a.load.total_cmp(&b.load));
        let crossing = crossing(&curve, self.question.required_share);
        let capacity = crossing.and_then(|(low, at, _)| low.map(|_| self.question.kind.rounded(at)));
        Answer { capacity, interval: None, left_out: vec![], is_limited: crossing.is_some(), curve }
    }
}

/// Searches how much of `asked` is carried; the seeds are those from `first_seed` on. `heard` is told of partial answers.
///
/// # Errors
/// [`Stopped`].
pub(crate) async fn search(
    asked: Asked,
    question: Question,
    first_seed: u32,
    wish: &Wish,
    heard: impl Fn(Found) + 'static,
) -> Result<Found, Stopped> {
    let seeds: Vec<u32> = (0..question.num_seeds).map(|number| first_seed.wrapping_add(number)).collect();
    let setup = Setup::new(move || asked.clone());
    let hunt = Hunt { question, began_ms: now_ms(), told_ms: now_ms(), num_done: 0, num_asked: 1, trials: vec![] };
    let hunt = Rc::new(RefCell::new(hunt));
    let hearing = hunt.clone();
    let listener: Rc<dyn Fn(&Tried)> = Rc::new(move |tried| {
        let mut hunt = hearing.borrow_mut();
        hunt.num_done += 1;
        if let Tried::Trial(trial) = tried {
            hunt.trials.push((**trial).clone());
        }
        if now_ms() - hunt.told_ms >= TELL_EVERY_MS {
            hunt.told_ms = now_ms();
            heard(hunt.found(hunt.partial(), false));
        }
    });
    let saturated = pool::tried(&setup, &[Trying::Saturated { seed: first_seed }], wish, listener.clone()).await?;
    let saturated = match saturated.first() {
        Some(Tried::Saturated(rate)) => *rate,
        _ => f64::INFINITY,
    };
    let mut search = Search::new(question.kind, question.required_share, saturated);
    while !search.wanted().is_empty() {
        let trial = |load: f64, seed: u32| Trying::Trial { load, seed, num_prompts: None };
        let runs: Vec<Trying> =
            search.wanted().iter().flat_map(|&load| seeds.iter().map(move |&seed| trial(load, seed))).collect();
        hunt.borrow_mut().num_asked += sim_core::math::usize_to_u32(runs.len());
        let tried = pool::tried(&setup, &runs, wish, listener.clone()).await?;
        let trials: Vec<Trial> = tried.into_iter().filter_map(trial_of).collect();
        let of_load = |trials: &[Trial]| trials.first().map(|trial| (trial.load, trials.to_vec()));
        search.take(trials.chunks(seeds.len().max(1)).filter_map(of_load));
    }
    let found = hunt.borrow().found(search.answer(), true);
    Ok(found)
}

fn trial_of(tried: Tried) -> Option<Trial> {
    match tried {
        Tried::Trial(trial) => Some(*trial),
        Tried::Saturated(_) | Tried::Routed(_) => None,
    }
}
