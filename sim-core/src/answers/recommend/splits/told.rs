//! The answer in words: a line for each split, and what follows.

use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::vec;
use alloc::vec::Vec;

use super::search::{Best, SplitEntry, Splits};
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

/// The table and the sentences below it.
#[must_use]
pub fn text(splits: &Splits, question: &Question, setup: &Setup) -> String {
    let best = splits.best();
    let mut text = format!("{} GPUs, {}\n", setup.num_gpus, question.headline_of_search());
    let unit = question.unit();
    text.push_str(&format!(
        "{:<24}  {:>5}  {:>12}  {:>16}  {:>9}  {:>8}  {:>8}  {:>14}\n",
        "split", "GPUs", unit, "95 %", "P99 TTFT", "TPOT", "tokens/s", "against together"
    ));
    let answers: Vec<_> = splits.entries().iter().map(SplitEntry::answer).collect();
    let together =
        splits.entries().iter().zip(&answers).find(|(entry, _)| matches!(entry.split, Split::Together { .. }));
    let baseline = together.and_then(|(_, answer)| answer.as_ref()?.capacity);
    for (place, (entry, answer)) in splits.entries().iter().zip(&answers).enumerate() {
        let mark = if best.as_ref().is_some_and(|best| best.place == place) { " *" } else { "" };
        let name = format!("{}{mark}", entry.split);
        text.push_str(&match (&entry.excluded, answer) {
            (Some(why), _) => format!("{name:<24}  {why}\n"),
            (None, Some(answer)) => line(&name, entry.split, (answer, baseline), setup),
            (None, None) => format!("{name:<24}  nothing is known of it\n"),
        });
    }
    for sentence in sentences(splits, best.as_ref(), (setup, unit)) {
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

fn line(name: &str, split: Split, (answer, baseline): (&Answer, Option<f64>), setup: &Setup) -> String {
    let gpus = gpus_of(split, setup.of_replica);
    let Some((capacity, at)) = answer.capacity.zip(answer.at_capacity()) else {
        return format!("{name:<24}  {gpus:>5}  {:>12}\n", "nothing");
    };
    let carried = if answer.is_limited { three_digits(capacity) } else { format!("{}+", three_digits(capacity)) };
    let range = answer
        .interval
        .map_or_else(String::new, |(low, high)| format!("{} to {}", three_digits(low), three_digits(high)));
    let p99 = |latency: usize| at.mean(|trial| trial.latencies_ms[latency][2]);
    let against =
        baseline.map_or_else(String::new, |baseline| format!("{:+.1} %", 100.0 * (capacity / baseline - 1.0)));
    format!(
        "{name:<24}  {gpus:>5}  {carried:>12}  {range:>16}  {:>6.0} ms  {:>5.1} ms  {:>8.0}  {against:>16}\n",
        p99(0),
        p99(1),
        at.mean(|trial| trial.output_throughput),
    )
}

/// What is recommended, how sure that is, and what it costs.
fn sentences(splits: &Splits, best: Option<&Best>, (setup, unit): (&Setup, &str)) -> Vec<String> {
    let Some(best) = best else {
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
        let rate = if unit.ends_with("/s") { capacity } else { at.mean(|trial| trial.middle_throughput) };
        let cost = Cost::new(usd, gpus_of(split, setup.of_replica), rate, rate * tokens);
        told.push(format!("It costs {}.", cost.told()));
    }
    let idle = setup.num_gpus - gpus_of(split, setup.of_replica).min(setup.num_gpus);
    if idle > 0 {
        told.push(format!("{} of the GPUs are left over.", math::u32_to_usize(idle)));
    }
    told
}
