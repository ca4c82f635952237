//! A recommendation, told.

use std::fmt::Write as _;

use sim_core::answers::capacity::told::LATENCIES;
use sim_core::answers::capacity::{LoadKind, Question};
use sim_core::answers::recommend::told::{Nothing, Telling};
use sim_core::answers::recommend::{Entry, Figures, Objective, Operating, Recommend, Recommendation};
use sim_core::answers::said::three_digits;
use sim_core::operators::prices::Prices;
use sim_core::scenario::command::{Program, write};
use sim_core::scenario::{DEFAULT_GPU, DEFAULT_MODEL};

/// Most lines of a front.
const MAX_FRONT: usize = 16;

/// A recommendation and what it was asked for.
#[derive(Debug)]
pub(crate) struct Report<'a> {
    pub(crate) recommend: &'a Recommend,
    pub(crate) answer: &'a Recommendation,
    pub(crate) question: &'a Question,
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

    const fn telling(&self) -> Telling<'_> {
        Telling { recommend: self.recommend, question: self.question, num_runs: self.num_runs }
    }

    fn tried(&self) -> String {
        let mut text = format!("{}\n", self.telling().counts());
        self.telling().excluded(self.answer).into_iter().for_each(|told| line(&mut text, format!("  {told}")));
        text
    }

    /// Why nobody is recommended, and what to do about it.
    pub(crate) fn why_nothing(&self) -> String {
        let why = self.telling().why_nothing();
        let remedy = match self.telling().nothing() {
            Nothing::NoneRuns | Nothing::TooMuch => "",
            Nothing::NoPrice => " Give --price GPU=USD or --prices FILE, or ask --for throughput.",
            Nothing::NoneMeets => " Give --goodput more room.",
        };
        format!("{why}.{remedy}")
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
        let (bounds, unit) = (self.bounds(), self.question.unit());
        line(&mut text, format!("  carries {} {unit} an engine{bounds}", plan.kind.said(capacity)));
        if plan.demand.is_some() {
            line(
                &mut text,
                format!("  at its share of the demand, {} {unit} an engine:", plan.kind.said(figures.load)),
            );
        }
        line(&mut text, format!("  {}", told(&figures)));
        if let Some(why) = self.telling().why_simpler(self.answer) {
            line(&mut text, format!("  {why}"));
        }
        text
    }

    fn bounds(&self) -> String {
        let bound = |(place, ms)| Some(format!("{} {ms} ms", LATENCIES.get::<usize>(place)?));
        let words: Vec<String> = self.question.bounds().into_iter().filter_map(bound).collect();
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
        part(false).for_each(|one| line(&mut text, format!("  {}", self.telling().why(one))));
        if part(true).next().is_some() {
            line(&mut text, "\nWhat one step of another flag would change".to_owned());
        }
        part(true).for_each(|one| line(&mut text, format!("  {}", self.telling().step(one))));
        text
    }

    fn ranking(&self) -> String {
        let mut text = format!("\nAll that were searched to the end\n{}", header(self.recommend.plan().kind));
        for &place in &self.answer.ranked {
            let entry = self.entry(place);
            let Some(figures) = entry.figures(self.recommend.plan()) else { continue };
            self.row(&mut text, &figures, &entry.name());
        }
        let others = self.recommend.entries().iter().enumerate().filter(|(place, entry)| {
            entry.num_rounds > 0 && entry.answer.is_some() && !self.answer.ranked.contains(place)
        });
        for (_, entry) in others {
            let why = self.telling().why_not(entry);
            match entry.figures(self.recommend.plan()) {
                Some(figures) => self.row(&mut text, &figures, &format!("{} ({why})", entry.name())),
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
                self.row(&mut text, figures, &self.entry(*entry).name());
            }
        }
        text
    }

    fn row(&self, text: &mut String, figures: &Figures, name: &str) {
        let usd = |usd: Option<f64>| usd.map_or_else(|| "-".to_owned(), three_digits);
        let [ttft, tpot, e2el] = figures.p99_ms.map(three_digits);
        line(
            text,
            format!(
                "{:>10}{:>10}{:>11}{ttft:>10}{tpot:>10}{e2el:>10}{:>9}{:>11}  {name}",
                self.recommend.plan().kind.said(figures.load),
                three_digits(figures.tokens_per_second_per_gpu),
                three_digits(figures.tokens_per_second_per_user),
                usd(figures.usd_per_million_tokens),
                usd(figures.usd_per_request),
            ),
        );
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

fn told(figures: &Figures) -> String {
    let [ttft, tpot, e2el] = figures.p99_ms.map(three_digits);
    let cost = figures.usd_per_million_tokens.zip(figures.usd_per_request).map_or_else(
        || "price missing".to_owned(),
        |(tokens, request)| {
            let [tokens, request] = [tokens, request].map(three_digits);
            format!("${tokens} for a million output tokens, ${request} a request")
        },
    );
    let [for_gpu, for_user] = [figures.tokens_per_second_per_gpu, figures.tokens_per_second_per_user].map(three_digits);
    format!(
        "{cost}; {for_gpu} tokens/s for each GPU, {for_user} for each user; P99 TTFT {ttft} ms, TPOT {tpot} ms, E2EL {e2el} ms"
    )
}

fn header(kind: LoadKind) -> String {
    let load = if kind == LoadKind::Rate { "req/s" } else { "at once" };
    format!(
        "{load:>10}{:>10}{:>11}{:>10}{:>10}{:>10}{:>9}{:>11}\n",
        "tok/s/GPU", "tok/s/user", "TTFT P99", "TPOT P99", "E2EL P99", "$/Mtok", "$/request"
    )
}

fn line(text: &mut String, line: String) {
    // Writing to a string cannot fail.
    writeln!(text, "{line}").unwrap_or(());
}
