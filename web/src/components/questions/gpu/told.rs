//! A recommendation in words and figures, for the page; while it is under way, what is known so far.

use sim_core::answers::capacity::Question;
use sim_core::answers::capacity::told::{LATENCIES, name};
use sim_core::answers::recommend::{Comparison, Entry, Figures, Objective, Recommend, Recommendation, Role};
use sim_core::operators::gpu_table;
use sim_core::operators::prices::Prices;
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
    pub(super) prices: &'a Prices,
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
    /// What is known now.
    pub(super) fn told(&self) -> Told {
        let answer = self.recommend.answer();
        let part = |is_step: bool| answer.comparisons.iter().filter(move |one| one.is_step == is_step);
        Told {
            headline: self.headline(&answer),
            whys: part(false).map(|one| self.why(one)).collect(),
            steps: part(true).map(|one| self.step(one)).collect(),
            rows: self.rows(&answer),
            dots: self.dots(&answer),
            excluded: answer
                .excluded
                .iter()
                .map(|(kind, count, example)| format!("{count} {}; {example}", kind.words()))
                .collect(),
            counts: self.counts(),
            digest: self.recommend.digest(),
            is_by_gpus: self.recommend.plan().objective != Objective::Cost,
            is_over: self.is_over,
        }
    }

    fn counts(&self) -> String {
        let entries = self.recommend.entries();
        let count = |is_one: &dyn Fn(&Entry) -> bool| entries.iter().filter(|entry| is_one(entry)).count();
        format!(
            "{} setups, {} tried, {} of these closer, {} searched to the end; {} runs",
            count(&|entry| entry.role == Role::Grid),
            count(&|entry| entry.num_rounds >= 1),
            count(&|entry| entry.num_rounds >= 2),
            count(&|entry| entry.num_rounds > 0 && entry.answer.is_some()),
            self.num_runs,
        )
    }

    fn headline(&self, answer: &Recommendation) -> String {
        let entries = self.recommend.entries();
        match answer.ranked.first().and_then(|&best| entries.get(best)) {
            Some(best) => self.best(best),
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

    fn best(&self, best: &Entry) -> String {
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
                format!("{setup} costs least: {} for a million output tokens. It {carries}, {tokens}.", usd(cost))
            }
            None => format!("{setup} gives most for each GPU: it {carries}, {tokens}."),
        }
    }

    fn why_nothing(&self) -> String {
        let searched = || self.recommend.entries().iter().filter(|entry| entry.answer.is_some());
        let carries = |entry: &Entry| entry.answer.as_ref().is_some_and(|answer| answer.capacity.is_some());
        if searched().next().is_none() {
            "Nothing to recommend: no setup can run. Why is said below.".to_owned()
        } else if searched().any(carries) {
            "Nothing to recommend: no price is known of the GPUs that carry something. Give prices below, or rank by \
             GPUs."
                .to_owned()
        } else {
            "Nothing to recommend: the objectives cannot be met, not even by the best setup at the least load that was \
             tried. Give them more room under \"Workload & SLO\"."
                .to_owned()
        }
    }

    fn measure(&self) -> &'static str {
        if self.recommend.plan().objective == Objective::Cost { "load for the same money" } else { "load for each GPU" }
    }

    fn why(&self, one: &Comparison) -> String {
        let (chosen, other) = (value(one.chosen.as_ref(), &one.flag), value(one.other.as_ref(), &one.flag));
        let head = format!("--{} {chosen} instead of {other}", one.flag);
        match (one.gain, &one.excluded) {
            (_, Some(why)) => format!("{head}: the other cannot be: {why}."),
            (Some(gain), _) if gain.abs() < 0.005 => format!("{head}: makes no difference."),
            (Some(gain), _) => {
                format!("{head}: {:+.0} % {}, because with {other} {}.", 100.0 * gain, self.measure(), self.binds(one))
            }
            (None, None) => format!("{head}: with {other} it is no choice; there {}.", self.binds(one)),
        }
    }

    fn step(&self, one: &Comparison) -> String {
        let head = format!("--{} {}", one.flag, value(one.other.as_ref(), &one.flag));
        match (one.gain, &one.excluded) {
            (_, Some(why)) => format!("{head}: cannot be: {why}."),
            // The best's gain over the step, the other way round.
            (Some(gain), _) => match 100.0 * (1.0 / (1.0 + gain) - 1.0) {
                change if change.abs() < 0.5 => format!("{head}: nothing."),
                change => format!("{head}: {change:+.0} % {}.", self.measure()),
            },
            (None, None) => format!("{head}: it would be no choice; {}.", self.binds(one)),
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
        let others = entries.iter().enumerate().filter(is_other).filter_map(|(_, entry)| {
            let is_priced = self.prices.of(&gpu(entry).0).is_some();
            row(entry, Some(if is_priced { "beyond the objectives" } else { "price missing" }))
        });
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

fn value(value: Option<&String>, flag: &str) -> String {
    match (value, flag) {
        (Some(value), _) => value.clone(),
        (None, "gpu") => sim_core::scenario::DEFAULT_GPU.to_owned(),
        (None, "tensor-parallel-size") => "1".to_owned(),
        (None, "speculative-config") => "none".to_owned(),
        (None, _) => "vLLM's default".to_owned(),
    }
}
