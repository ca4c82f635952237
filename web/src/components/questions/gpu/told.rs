//! A recommendation in words and figures, for the page; while it is under way, what is known so far.

use sim_core::answers::capacity::Question;
use sim_core::answers::recommend::told::{Nothing, Telling};
use sim_core::answers::recommend::{Entry, Figures, Objective, Recommend, Recommendation};
use sim_core::operators::gpu_table;
use sim_core::scenario::Scenario;

use super::fronts::Dot;
use crate::format::three_digits;

/// A setup that was searched to the end.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Row {
    /// Such as `2 × H200 SXM`.
    pub(super) gpus: String,
    /// Its other choices; empty if all are vLLM's.
    pub(super) flags: String,
    /// What one engine carries.
    pub(super) capacity: f64,
    pub(super) figures: Figures,
    /// All its flags.
    pub(super) scenario: Scenario,
    /// Why it is not ranked.
    pub(super) why_not: Option<&'static str>,
}

/// What is known.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Told {
    pub(super) headline: String,
    /// What each choice is worth, and what one step of other flags would change.
    pub(super) whys: Vec<String>,
    pub(super) steps: Vec<String>,
    /// The best first; then those that are no choice.
    pub(super) rows: Vec<Row>,
    pub(super) dots: Vec<Dot>,
    /// How many setups were not tried, and why.
    pub(super) excluded: Vec<String>,
    /// How many setups were tried how closely.
    pub(super) counts: String,
    pub(super) digest: u64,
    /// Whether setups are ranked by what a GPU carries, be it for want of prices.
    pub(super) is_by_gpus: bool,
    pub(super) is_over: bool,
}

/// A recommendation and what it was asked for.
pub(super) struct Report<'a> {
    pub(super) recommend: &'a Recommend,
    pub(super) question: &'a Question,
    pub(super) num_runs: usize,
    pub(super) is_over: bool,
}

/// The key of an entry's GPU, and its label.
fn gpu(entry: &Entry) -> (String, String) {
    let key = entry.candidate.scenario.get("gpu").unwrap_or_default().to_owned();
    let label = gpu_table::find(&key).map_or_else(|| key.clone(), |gpu| gpu.label);
    (key, label)
}

fn gpus(entry: &Entry) -> String {
    let number = entry.candidate.choice("tensor-parallel-size").unwrap_or("1");
    format!("{number} × {}", gpu(entry).1)
}

fn flags(entry: &Entry) -> String {
    let is_other = |flag: &str| flag != "gpu" && flag != "tensor-parallel-size";
    let chosen = entry.candidate.choices.iter().filter(|(flag, _)| is_other(flag));
    let words = chosen.filter_map(|(flag, value)| Some(format!("--{flag} {}", value.as_ref()?)));
    words.collect::<Vec<_>>().join(" ")
}

fn full(entry: &Entry) -> String {
    let flags = flags(entry);
    if flags.is_empty() { gpus(entry) } else { format!("{} with {flags}", gpus(entry)) }
}

/// US dollars.
pub(super) fn usd(usd: f64) -> String {
    format!("${}", three_digits(usd))
}

impl Report<'_> {
    const fn telling(&self) -> Telling<'_> {
        Telling { recommend: self.recommend, question: self.question, num_runs: self.num_runs }
    }

    /// What is known now.
    pub(super) fn told(&self) -> Told {
        let telling = self.telling();
        let answer = self.recommend.answer();
        let part = |is_step: bool| answer.comparisons.iter().filter(move |one| one.is_step == is_step);
        Told {
            headline: self.headline(&answer),
            whys: part(false).map(|one| format!("{}.", telling.why(one))).collect(),
            steps: part(true).map(|one| format!("{}.", telling.step(one))).collect(),
            rows: self.rows(&answer),
            dots: self.dots(&answer),
            excluded: telling.excluded(&answer),
            counts: telling.counts(),
            digest: self.recommend.digest(),
            is_by_gpus: self.recommend.plan().objective != Objective::Cost,
            is_over: self.is_over,
        }
    }

    fn headline(&self, answer: &Recommendation) -> String {
        let entries = self.recommend.entries();
        match answer.ranked.first().and_then(|&best| entries.get(best)) {
            Some(best) => {
                let simpler = self.telling().why_simpler(answer);
                let why = simpler.as_ref().map_or_else(String::new, |why| format!(" {why}."));
                format!("{}{why}", self.best(best, simpler.is_some()))
            }
            None if self.is_over => self.why_nothing(),
            None => {
                let seeming = entries.iter().filter(|entry| entry.num_rounds > 0 && entry.standing.is_choice());
                let best = seeming.min_by(|a, b| a.standing.order(b.standing));
                best.map_or_else(
                    || "So far nothing: setups are tried briefly…".to_owned(),
                    |best| format!("So far, after short runs, {} seems best.", full(best)),
                )
            }
        }
    }

    /// `is_tied`: another comes out better, by no more than chance.
    fn best(&self, best: &Entry, is_tied: bool) -> String {
        let (plan, setup) = (self.recommend.plan(), full(best));
        let Some(figures) = best.figures(plan) else { return setup };
        let capacity = best.answer.as_ref().and_then(|answer| answer.capacity).unwrap_or(0.0);
        let carries = format!("carries {} {} an engine", three_digits(capacity), self.question.unit());
        let tokens = format!(
            "{} output tokens/s per GPU and {} per user",
            three_digits(figures.tokens_per_second_per_gpu),
            three_digits(figures.tokens_per_second_per_user)
        );
        match figures.usd_per_million_tokens.filter(|_| plan.objective == Objective::Cost) {
            Some(cost) => {
                let least = if is_tied { "as little as any" } else { "least" };
                format!("{setup} costs {least}: {} for a million output tokens. It {carries}, {tokens}.", usd(cost))
            }
            None => {
                let most = if is_tied { "as much as any" } else { "most" };
                format!("{setup} gives {most} for each GPU: it {carries}, {tokens}.")
            }
        }
    }

    fn why_nothing(&self) -> String {
        let why = self.telling().why_nothing();
        let remedy = match self.telling().nothing() {
            Nothing::NoneRuns => " Why is said below.",
            Nothing::NoPrice => " Give prices below, or rank by GPUs.",
            Nothing::NoneMeets => " Give them more room under \"Workload & SLO\".",
            Nothing::TooMuch => "",
        };
        format!("{why}.{remedy}")
    }

    fn rows(&self, answer: &Recommendation) -> Vec<Row> {
        let entries = self.recommend.entries();
        let row = |entry: &Entry, why_not: Option<&'static str>| {
            Some(Row {
                gpus: gpus(entry),
                flags: flags(entry),
                capacity: entry.answer.as_ref()?.capacity?,
                figures: entry.figures(self.recommend.plan())?,
                scenario: entry.candidate.scenario.clone(),
                why_not,
            })
        };
        let ranked = answer.ranked.iter().filter_map(|&place| row(entries.get(place)?, None));
        let is_other = |(place, entry): &(usize, &Entry)| entry.num_rounds > 0 && !answer.ranked.contains(place);
        let others = entries
            .iter()
            .enumerate()
            .filter(is_other)
            .filter_map(|(_, entry)| row(entry, Some(self.telling().why_not(entry))));
        ranked.chain(others).collect()
    }

    fn dots(&self, answer: &Recommendation) -> Vec<Dot> {
        let entries = self.recommend.entries();
        let dot = |one: sim_core::answers::recommend::Operating| {
            let entry = entries.get(one.entry)?;
            let Figures { tokens_per_second_per_user, tokens_per_second_per_gpu, usd_per_million_tokens, load, .. } =
                one.figures;
            Some(Dot {
                name: full(entry),
                load: format!("{} {}", three_digits(load), self.question.unit()),
                per_user: tokens_per_second_per_user,
                per_gpu: tokens_per_second_per_gpu,
                usd: usd_per_million_tokens,
                leads: [answer.by_cost.contains(&one), answer.by_gpu.contains(&one)],
            })
        };
        let mut dots: Vec<Dot> = self.recommend.operating().into_iter().filter_map(dot).collect();
        dots.retain(|dot| dot.per_user.is_finite());
        dots.sort_by(|a, b| a.per_user.total_cmp(&b.per_user));
        dots
    }
}
