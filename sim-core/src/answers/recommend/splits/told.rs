//! The answer in words: a line for each split, and what follows.

use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::vec;
use alloc::vec::Vec;

use super::search::{SplitEntry, Splits};
use super::split::Split;
use crate::answers::capacity::{Answer, Question};
use crate::answers::cost::Cost;
use crate::answers::said::three_digits;
use crate::math;

/// What the table is of, beside the answer.
#[derive(Debug, Clone, Copy)]
pub struct Setup {
    /// GPUs that are divided.
    pub num_gpus: u32,
    /// GPUs of a replica: of one that does everything, of prefill, of decode.
    pub of_replica: [u32; 3],
    /// US dollars an hour for one GPU, if known.
    pub usd_per_gpu_hour: Option<f64>,
}

/// What is known of a split, to be shown.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// The split.
    pub split: Split,
    /// Whether it is recommended.
    pub is_best: bool,
    /// GPUs that it has in use.
    pub gpus: u32,
    /// What came of it.
    pub outcome: Outcome,
}

/// What came of a split.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// Nothing is known yet.
    Unknown,
    /// It cannot be run, for this reason.
    Excluded(String),
    /// It carries no load within the objectives.
    Nothing,
    /// It carries this.
    Carries(Carried),
}

/// How much is carried, and how it is there.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Carried {
    /// The highest load that meets.
    pub capacity: f64,
    /// Whether some load misses; if not, more may be carried.
    pub is_limited: bool,
    /// 95 % confidence interval over seeds.
    pub interval: Option<(f64, f64)>,
    /// P99 of TTFT and of TPOT at that load, in milliseconds.
    pub p99_ms: [f64; 2],
    /// Output tokens a second.
    pub tokens_per_second: f64,
    /// As a share of what all together carry, less one; `None` where these carry nothing.
    pub against_together: Option<f64>,
}

/// What is known of each split, in their order.
#[must_use]
pub fn rows(splits: &Splits, setup: &Setup) -> Vec<Row> {
    let best = splits.best().map(|best| best.place);
    let answers: Vec<_> = splits.entries().iter().map(SplitEntry::answer).collect();
    let mut both = splits.entries().iter().zip(&answers);
    let together = both.find(|(entry, _)| matches!(entry.split, Split::Together { .. }));
    let baseline = together.and_then(|(_, answer)| answer.as_ref()?.capacity);
    let row = |(place, (entry, answer)): (usize, (&SplitEntry, &Option<Answer>))| Row {
        split: entry.split,
        is_best: best == Some(place),
        gpus: gpus_of(entry.split, setup.of_replica),
        outcome: match (&entry.excluded, answer) {
            (Some(why), _) => Outcome::Excluded(why.clone()),
            (None, Some(answer)) => outcome(answer, baseline),
            (None, None) => Outcome::Unknown,
        },
    };
    splits.entries().iter().zip(&answers).enumerate().map(row).collect()
}

fn outcome(answer: &Answer, baseline: Option<f64>) -> Outcome {
    let Some((capacity, at)) = answer.capacity.zip(answer.at_capacity()) else { return Outcome::Nothing };
    Outcome::Carries(Carried {
        capacity,
        is_limited: answer.is_limited,
        interval: answer.interval,
        p99_ms: [0, 1].map(|latency: usize| at.mean(|trial| trial.latencies_ms[latency][2])),
        tokens_per_second: at.mean(|trial| trial.output_throughput),
        against_together: baseline.filter(|load| *load > 0.0).map(|baseline| capacity / baseline - 1.0),
    })
}

/// The table and the sentences below it.
#[must_use]
pub fn text(splits: &Splits, question: &Question, setup: &Setup) -> String {
    let mut text = format!("{} GPUs, {}\n", setup.num_gpus, question.headline_of_search());
    text.push_str(&format!(
        "{:<24}  {:>5}  {:>12}  {:>16}  {:>9}  {:>8}  {:>8}  {:>14}\n",
        "split",
        "GPUs",
        question.unit(),
        "95 %",
        "P99 TTFT",
        "TPOT",
        "tokens/s",
        "against together"
    ));
    for row in rows(splits, setup) {
        text.push_str(&line(&row));
    }
    for sentence in sentences(splits, question, setup) {
        text.push_str(&sentence);
        text.push('\n');
    }
    text
}

/// GPUs that a split has in use.
fn gpus_of(split: Split, [together, prefill, decode]: [u32; 3]) -> u32 {
    match split {
        Split::Together { replicas } => replicas * together,
        Split::Apart { prefill: computing, decode: answering } => computing * prefill + answering * decode,
    }
}

fn line(row: &Row) -> String {
    let name = format!("{}{}", row.split, if row.is_best { " *" } else { "" });
    let gpus = row.gpus;
    let carried = match &row.outcome {
        Outcome::Unknown => return format!("{name:<24}  nothing is known of it\n"),
        Outcome::Excluded(why) => return format!("{name:<24}  {why}\n"),
        Outcome::Nothing => return format!("{name:<24}  {gpus:>5}  {:>12}\n", "nothing"),
        Outcome::Carries(carried) => carried,
    };
    let Carried { p99_ms: [ttft, tpot], tokens_per_second, .. } = *carried;
    let [load, range, against] = [carried.load(), carried.range(" to "), carried.against()];
    format!(
        "{name:<24}  {gpus:>5}  {load:>12}  {range:>16}  {ttft:>6.0} ms  {tpot:>5.1} ms  {tokens_per_second:>8.0}  {against:>16}\n"
    )
}

impl Carried {
    /// How much, with a sign where it may be more.
    #[must_use]
    pub fn load(&self) -> String {
        format!("{}{}", three_digits(self.capacity), if self.is_limited { "" } else { "+" })
    }

    /// Both ends of the interval; empty without one.
    #[must_use]
    pub fn range(&self, between: &str) -> String {
        let ends = |(low, high)| format!("{}{between}{}", three_digits(low), three_digits(high));
        self.interval.map_or_else(String::new, ends)
    }

    /// Against all together; empty where these carry nothing.
    #[must_use]
    pub fn against(&self) -> String {
        self.against_together.map_or_else(String::new, |gain| format!("{:+.1} %", 100.0 * gain))
    }
}

/// What is recommended, how sure that is, and what it costs.
#[must_use]
pub fn sentences(splits: &Splits, question: &Question, setup: &Setup) -> Vec<String> {
    let Some(best) = splits.best() else {
        return vec!["No split carries anything that meets the objectives.".to_string()];
    };
    let of = |place: usize| splits.entries()[place].split;
    let split = of(best.place);
    let mut told = vec![match (split, best.gain) {
        (Split::Together { .. }, _) => {
            format!("Recommended: {split}: no division carries more than that but for chance.")
        }
        (Split::Apart { .. }, Some(gain)) => {
            format!("Recommended: {split}: {:.1} % more than all together.", 100.0 * gain)
        }
        (Split::Apart { .. }, None) => format!("Recommended: {split}: all together carry nothing."),
    }];
    if !best.ties.is_empty() {
        let ties: Vec<String> = best.ties.iter().map(|&place| of(place).to_string()).collect();
        told.push(format!("As much but for chance: {}. More seeds may tell them apart.", ties.join(", ")));
    }
    let answer = splits.entries()[best.place].answer();
    if let Some((usd, answer)) = setup.usd_per_gpu_hour.zip(answer)
        && let Some((capacity, at)) = answer.capacity.zip(answer.at_capacity())
    {
        let requests = at.mean(|trial| trial.request_throughput);
        let tokens = if requests > 0.0 { at.mean(|trial| trial.output_throughput) / requests } else { 0.0 };
        // Of a rate as many are answered as are sent; of a closed loop what the middle of the run has.
        let rate = if question.unit().ends_with("/s") { capacity } else { at.mean(|trial| trial.middle_throughput) };
        let cost = Cost::new(usd, gpus_of(split, setup.of_replica), rate, rate * tokens);
        told.push(format!("It costs {}.", cost.told()));
    }
    let idle = setup.num_gpus - gpus_of(split, setup.of_replica).min(setup.num_gpus);
    if idle > 0 {
        told.push(format!("{} of the GPUs are left over.", math::u32_to_usize(idle)));
    }
    told
}
