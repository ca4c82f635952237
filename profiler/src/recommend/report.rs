//! A recommendation, told.

use std::fmt::Write as _;

use sim_core::answers::capacity::LoadKind;
use sim_core::answers::recommend::{Comparison, Entry, Figures, Objective, Operating, Recommend, Recommendation, Role};
use sim_core::metrics::goodput::Goodput;
use sim_core::metrics::limits::Limit;
use sim_core::operators::prices::Prices;
use sim_core::scenario::command::{Program, write};
use sim_core::scenario::{DEFAULT_GPU, DEFAULT_MODEL, DatasetName};

use sim_core::answers::capacity::told::{LATENCIES, name};

/// Most lines of a front.
const MAX_FRONT: usize = 16;

/// A recommendation and what it was asked for.
#[derive(Debug)]
pub(crate) struct Report<'a> {
    pub(crate) recommend: &'a Recommend,
    pub(crate) answer: &'a Recommendation,
    pub(crate) goodput: Goodput,
    pub(crate) dataset: DatasetName,
    pub(crate) prices: &'a Prices,
    pub(crate) num_runs: usize,
}

impl Report<'_> {
    /// In words and tables.
    pub(crate) fn text(&self) -> String {
        let mut text = self.tried();
        let Some(&best) = self.answer.ranked.first() else {
            return format!("{text}\n{}\n", self.why_nothing());
        };
        text.push_str(&self.first(best));
        text.push_str(&self.whys());
        text.push_str(&self.ranking());
        text.push_str(&self.fronts());
        text.push_str(&self.prices_told());
        text
    }

    pub(super) fn entry(&self, place: usize) -> &Entry {
        &self.recommend.entries()[place]
    }

    fn tried(&self) -> String {
        let entries = self.recommend.entries();
        let num_candidates = entries.iter().filter(|entry| entry.role == Role::Grid).count();
        let in_round = |round: u32| entries.iter().filter(|entry| entry.num_rounds >= round).count();
        let num_whole = entries.iter().filter(|entry| entry.num_rounds > 0 && entry.answer.is_some()).count();
        let mut text = format!(
            "{num_candidates} candidates: {} tried, {} of these closer, {num_whole} searched to the end; {} runs\n",
            in_round(1),
            in_round(2),
            self.num_runs
        );
        for (kind, count, example) in &self.answer.excluded {
            line(&mut text, format!("  {count} {}; {example}", kind.words()));
        }
        text
    }

    /// Why nobody is recommended.
    pub(crate) fn why_nothing(&self) -> String {
        let plan = self.recommend.plan();
        let searched = || self.recommend.entries().iter().filter(|entry| entry.answer.is_some());
        let is_priced =
            |entry: &Entry| entry.engine.as_ref().is_some_and(|own| own.hardware.usd_per_gpu_hour.is_some());
        let carries = |entry: &Entry| entry.answer.as_ref().is_some_and(|answer| answer.capacity.is_some());
        if searched().next().is_none() {
            return "Nothing to recommend: no candidate can run.".to_owned();
        }
        if plan.objective == Objective::Cost && !searched().any(is_priced) {
            return "Nothing to recommend: prices missing for all GPUs that were tried. Give --price GPU=USD or --prices \
                    FILE, or ask --for throughput."
                .to_owned();
        }
        if !searched().any(carries) {
            return "Nothing to recommend: the objectives cannot be met, not even by the best candidate at the least load \
                    that was tried. Give --goodput more room."
                .to_owned();
        }
        let demand =
            plan.demand.map_or_else(String::new, |demand| format!(" {demand} {}", plan.kind.unit(self.dataset)));
        format!(
            "Nothing to recommend: no candidate carries{demand} on {} GPUs with {} % of requests within the objectives.",
            plan.num_gpus,
            100.0 * plan.required_share
        )
    }

    fn first(&self, best: usize) -> String {
        let (plan, entry) = (self.recommend.plan(), self.entry(best));
        let (Some(figures), Some(engine), Some(answer)) = (entry.figures(plan), &entry.engine, &entry.answer) else {
            return String::new();
        };
        let capacity = answer.capacity.unwrap_or(0.0);
        let replicas = plan.replicas(engine.hardware, capacity).unwrap_or(0);
        let num_gpus = engine.hardware.num_gpus;
        let composition = entry.candidate.scenario.composition();
        let gpu = composition.as_ref().map_or(DEFAULT_GPU, |composition| composition.gpu_key());
        let engines = if replicas == 1 { "engine" } else { "engines" };
        let mut text = format!(
            "\nFirst for {}: {replicas} {engines} on {} × {gpu}, {num_gpus} each\n\n",
            word(plan.objective),
            replicas * num_gpus
        );
        let command = write(Program::Serve, &entry.candidate.scenario, DEFAULT_MODEL, &[]);
        line(&mut text, command.lines().map(|line| format!("    {line}\n")).collect::<String>());
        let bounds = self.bounds();
        line(
            &mut text,
            format!("  carries {} {} an engine{bounds}", plan.kind.said(capacity), plan.kind.unit(self.dataset)),
        );
        if plan.demand.is_some() {
            line(
                &mut text,
                format!("  at its share of the demand, {} {} an engine:", figures.load, plan.kind.unit(self.dataset)),
            );
        }
        line(&mut text, format!("  {}", told(&figures)));
        text
    }

    fn bounds(&self) -> String {
        let Goodput { ttft_ms, tpot_ms, e2el_ms } = self.goodput;
        let bounds = LATENCIES.iter().zip([ttft_ms, tpot_ms, e2el_ms]);
        let words: Vec<String> =
            bounds.filter_map(|(latency, bound)| Some(format!("{latency} {} ms", bound?))).collect();
        let share = 100.0 * self.recommend.plan().required_share;
        if words.is_empty() {
            String::new()
        } else {
            format!(" with {share} % of requests within {}", words.join(", "))
        }
    }

    fn whys(&self) -> String {
        let part = |is_step: bool| self.answer.comparisons.iter().filter(move |one| one.is_step == is_step);
        let mut text = String::new();
        if part(false).next().is_some() {
            line(&mut text, "\nWhy: each choice beside the same without it".to_owned());
        }
        part(false).for_each(|one| line(&mut text, format!("  {}", self.why(one))));
        if part(true).next().is_some() {
            line(&mut text, "\nWhat one step of another flag would change".to_owned());
        }
        part(true).for_each(|one| line(&mut text, format!("  {}", self.step(one))));
        text
    }

    /// What a gain is of.
    fn measure(&self) -> &'static str {
        match self.recommend.plan().objective {
            Objective::Cost => "load for the same money",
            Objective::Throughput => "load for each GPU",
            Objective::Interactivity => "tokens a second for each user",
            Objective::Latency => "longer P99 E2EL without it",
        }
    }

    fn why(&self, one: &Comparison) -> String {
        let chosen = value(one.chosen.as_ref(), &one.flag);
        let other = value(one.other.as_ref(), &one.flag);
        let head = format!("{} {chosen} instead of {other}", dashed(&one.flag));
        match (one.gain, &one.excluded) {
            (_, Some(why)) => format!("{head}: the other cannot be: {why}"),
            (Some(gain), _) if gain.abs() < 0.005 => format!("{head}: makes no difference"),
            (Some(gain), _) => {
                let gain = format!("{head}: {:+.0} % {}", 100.0 * gain, self.measure());
                // At a demand that both carry, what ends them is no reason.
                let is_reason = !self.recommend.plan().objective.is_at_demand();
                if is_reason { format!("{gain}, because with {other} {}", self.binds(one)) } else { gain }
            }
            (None, None) => format!("{head}: with {other} it is no choice; there {}", self.binds(one)),
        }
    }

    fn step(&self, one: &Comparison) -> String {
        let head = format!("{} {}", dashed(&one.flag), value(one.other.as_ref(), &one.flag));
        match (one.gain, &one.excluded) {
            (_, Some(why)) => format!("{head}: cannot be: {why}"),
            // The best's gain over the step, the other way round.
            (Some(gain), _) => {
                let change = 100.0 * (1.0 / (1.0 + gain) - 1.0);
                if change.abs() < 0.5 {
                    format!("{head}: nothing")
                } else if self.recommend.plan().objective == Objective::Latency {
                    format!("{head}: {:+.0} % P99 E2EL", 100.0 * gain)
                } else {
                    format!("{head}: {change:+.0} % {}", self.measure())
                }
            }
            (None, None) => format!("{head}: it would be no choice; {}", self.binds(one)),
        }
    }

    /// What ends what the other carries.
    fn binds(&self, one: &Comparison) -> String {
        let Goodput { ttft_ms, tpot_ms, e2el_ms } = self.goodput;
        let bound =
            one.fails_first.and_then(|place| Some((LATENCIES.get(place)?, [ttft_ms, tpot_ms, e2el_ms][place]?)));
        let ends = bound.map_or_else(
            || "the engine answers no more".to_owned(),
            |(latency, bound)| format!("{latency} is the first beyond its {bound} ms"),
        );
        let waits: Option<Limit> = one.waits_for;
        waits.map_or(ends.clone(), |limit| format!("{ends}; requests wait for {}", name(limit)))
    }

    fn ranking(&self) -> String {
        let mut text = format!("\nAll that were searched to the end\n{}", header(self.recommend.plan().kind));
        for &place in &self.answer.ranked {
            let entry = self.entry(place);
            let Some(figures) = entry.figures(self.recommend.plan()) else { continue };
            row(&mut text, &figures, &entry.name());
        }
        let others = self.recommend.entries().iter().enumerate().filter(|(place, entry)| {
            entry.num_rounds > 0 && entry.answer.is_some() && !self.answer.ranked.contains(place)
        });
        for (_, entry) in others {
            let carried = entry.figures(self.recommend.plan());
            let is_priced = entry.engine.as_ref().is_some_and(|engine| engine.hardware.usd_per_gpu_hour.is_some());
            let why = match carried {
                None => "carries nothing, or too little",
                Some(_) if !is_priced => "price missing",
                Some(_) => "beyond the objectives",
            };
            match carried {
                Some(figures) => row(&mut text, &figures, &format!("{} ({why})", entry.name())),
                None => line(&mut text, format!("{:>80}  {}", why, entry.name())),
            }
        }
        text
    }

    fn fronts(&self) -> String {
        let mut text = String::new();
        let fronts = [("tokens/s for each GPU", &self.answer.by_gpu), ("US dollars a token", &self.answer.by_cost)];
        for (what, front) in fronts.into_iter().filter(|(_, front)| !front.is_empty()) {
            line(&mut text, format!("\nPareto front: tokens/s for each user against {what}"));
            text.push_str(&header(self.recommend.plan().kind));
            for Operating { entry, figures } in thinned(front) {
                row(&mut text, figures, &self.entry(*entry).name());
            }
        }
        text
    }

    fn prices_told(&self) -> String {
        let mut gpus: Vec<String> = vec![];
        for entry in self.recommend.entries().iter().filter(|entry| entry.engine.is_some()) {
            let composition = entry.candidate.scenario.composition();
            let key = composition.as_ref().map_or(DEFAULT_GPU, |composition| composition.gpu_key());
            if !gpus.iter().any(|gpu| gpu == key) {
                gpus.push(key.to_owned());
            }
        }
        let (priced, missing): (Vec<&String>, Vec<&String>) =
            gpus.iter().partition(|gpu| self.prices.of(gpu).is_some());
        let mut text = String::from("\n");
        for price in priced.iter().filter_map(|gpu| self.prices.of(gpu)) {
            let usd = price.usd_per_gpu_hour;
            line(&mut text, format!("{} ${usd} an hour: {} {}", price.gpu, price.date, price.source));
        }
        if !missing.is_empty() {
            let names: Vec<&str> = missing.into_iter().map(String::as_str).collect();
            line(&mut text, format!("prices missing: {}; give --price GPU=USD", names.join(", ")));
        }
        text
    }
}

/// A front with at most [`MAX_FRONT`] points, its ends among them.
fn thinned(front: &[Operating]) -> impl Iterator<Item = &Operating> {
    let num_kept = front.len().min(MAX_FRONT);
    (0..num_kept).filter_map(move |number| front.get(number * (front.len() - 1) / (num_kept - 1).max(1)))
}

pub(super) const fn word(objective: Objective) -> &'static str {
    match objective {
        Objective::Cost => "cost",
        Objective::Throughput => "throughput",
        Objective::Interactivity => "interactivity",
        Objective::Latency => "latency",
    }
}

fn dashed(flag: &str) -> String {
    format!("--{flag}")
}

fn value(value: Option<&String>, flag: &str) -> String {
    match (value, flag) {
        (Some(value), _) => value.clone(),
        (None, "gpu") => DEFAULT_GPU.to_owned(),
        (None, "tensor-parallel-size") => "1".to_owned(),
        (None, "speculative-config") => "none".to_owned(),
        (None, _) => "vLLM's default".to_owned(),
    }
}

fn told(figures: &Figures) -> String {
    let [ttft, tpot, e2el] = figures.p99_ms;
    let cost = figures.usd_per_million_tokens.zip(figures.usd_per_request).map_or_else(
        || "price missing".to_owned(),
        |(tokens, request)| format!("${tokens:.3} for a million output tokens, ${request:.6} a request"),
    );
    format!(
        "{cost}; {:.0} tokens/s for each GPU, {:.1} for each user; P99 TTFT {ttft:.0} ms, TPOT {tpot:.1} ms, E2EL {e2el:.0} ms",
        figures.tokens_per_second_per_gpu, figures.tokens_per_second_per_user
    )
}

fn header(kind: LoadKind) -> String {
    let load = if kind == LoadKind::Rate { "req/s" } else { "at once" };
    format!(
        "{load:>10}{:>10}{:>11}{:>10}{:>10}{:>10}{:>9}{:>11}\n",
        "tok/s/GPU", "tok/s/user", "TTFT P99", "TPOT P99", "E2EL P99", "$/Mtok", "$/request"
    )
}

fn row(text: &mut String, figures: &Figures, name: &str) {
    let usd = |usd: Option<f64>, digits: usize| usd.map_or_else(|| "-".to_owned(), |usd| format!("{usd:.digits$}"));
    let [ttft, tpot, e2el] = figures.p99_ms;
    line(
        text,
        format!(
            "{:>10}{:>10.0}{:>11.1}{ttft:>10.1}{tpot:>10.2}{e2el:>10.0}{:>9}{:>11}  {name}",
            figures.load,
            figures.tokens_per_second_per_gpu,
            figures.tokens_per_second_per_user,
            usd(figures.usd_per_million_tokens, 3),
            usd(figures.usd_per_request, 6),
        ),
    );
}

fn line(text: &mut String, line: String) {
    // Writing to a string cannot fail.
    writeln!(text, "{line}").unwrap_or(());
}
