//! A capacity in words, for the command line and the page.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use super::search::Answer;
use super::trial::{LoadKind, Point};
use crate::answers::said::three_digits;
use crate::math;
use crate::metrics::goodput::Goodput;
use crate::metrics::limits::Limit;
use crate::scenario::DatasetName;

/// What was asked, beside the answer.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Question {
    /// What was varied.
    pub kind: LoadKind,
    /// What requests are of.
    pub dataset: DatasetName,
    /// What requests must meet.
    pub goodput: Goodput,
    /// Share of the requests that must meet it.
    pub required_share: f64,
    /// Runs at each load.
    pub num_seeds: u32,
}

/// The latencies, in the order of [`super::Trial::latencies_ms`].
pub const LATENCIES: [&str; 3] = ["TTFT", "TPOT", "E2EL"];

impl Question {
    /// What loads are counted in.
    #[must_use]
    pub fn unit(&self) -> &'static str {
        self.kind.unit(self.dataset)
    }

    /// The place of each latency that has a bound, and the bound in milliseconds.
    #[must_use]
    pub fn bounds(&self) -> Vec<(usize, f64)> {
        let Goodput { ttft_ms, tpot_ms, e2el_ms } = self.goodput;
        [ttft_ms, tpot_ms, e2el_ms].into_iter().enumerate().filter_map(|(place, bound)| Some((place, bound?))).collect()
    }

    fn condition(&self) -> String {
        let bounds = self.bounds();
        let words: Vec<String> =
            bounds.iter().map(|&(place, bound)| format!("{} {bound} ms", latency(place))).collect();
        match (words.is_empty(), self.kind) {
            (true, LoadKind::Rate) => "before its queue stops emptying (no --goodput was given)".to_owned(),
            (true, LoadKind::Concurrency | LoadKind::Users) => {
                "without any objective: give --goodput, such as ttft:500 tpot:50".to_owned()
            }
            (false, _) => format!("with {} % of requests within {}", 100.0 * self.required_share, words.join(", ")),
        }
    }

    /// What is searched for, in a clause.
    #[must_use]
    pub fn headline_of_search(&self) -> String {
        format!("the most {} that are carried {}", self.unit(), self.condition())
    }

    /// How much is carried under which condition, in a sentence.
    #[must_use]
    pub fn headline(&self, answer: &Answer) -> String {
        let condition = self.condition();
        let has_bounds = !self.bounds().is_empty();
        let is_queue = answer.is_limited && self.kind == LoadKind::Rate && has_bounds && self.meets_beyond(answer);
        let condition = if is_queue { format!("{condition}, before its queue stops emptying") } else { condition };
        let unit = self.unit();
        match (answer.capacity, answer.is_limited) {
            (None, _) => {
                let lowest = answer.curve.first().map_or(0.0, |point| point.load);
                format!("Carries nothing {condition}: not even {} {unit} do.", self.kind.said(lowest))
            }
            (Some(capacity), true) => {
                let interval = answer.interval.map_or(String::new(), |(low, high)| {
                    format!(" (95 % over {} seeds: {} to {})", self.num_seeds, three_digits(low), three_digits(high))
                });
                format!("Carries {} {unit} {condition}{interval}.", self.kind.said(capacity))
            }
            (Some(capacity), false) => {
                let capacity = self.kind.said(capacity);
                format!("Carries {capacity} {unit} and more {condition}: nothing that was tried misses.")
            }
        }
    }

    /// Whether the objectives are met beyond the capacity, too: then the engine's throughput is the limit.
    fn meets_beyond(&self, answer: &Answer) -> bool {
        let is_beyond = |point: &&Point| answer.capacity.is_some_and(|capacity| point.load > 1.01 * capacity);
        answer.curve.iter().find(is_beyond).is_some_and(|point| point.share_met() >= self.required_share)
    }

    /// What holds there, what fails first, how sharp the knee is, and what requests wait for.
    #[must_use]
    pub fn lines(&self, answer: &Answer) -> Vec<String> {
        let mut lines = vec![];
        let Some(at) = answer.at_capacity() else { return lines };
        let p99 = |place: usize| at.mean(|trial| trial.latencies_ms[place][2]);
        let preemptions = at.mean(|trial| math::u64_to_f64(trial.num_preemptions));
        let preemptions =
            if preemptions > 0.0 { format!("{preemptions:.1} preemptions a run") } else { "no preemptions".to_owned() };
        lines.push(format!(
            "there: {:.0} tokens/s, P99 TTFT {:.0} ms, TPOT {:.1} ms, E2EL {:.0} ms; KV cache up to {:.0} %, {preemptions}",
            at.mean(|trial| trial.output_throughput),
            p99(0),
            p99(1),
            p99(2),
            100.0 * at.mean(|trial| trial.kv_cache_peak),
        ));
        let capacity = answer.capacity.unwrap_or(0.0);
        let beyond = |factor: f64| answer.curve.iter().find(|point| point.load >= capacity * factor);
        if let Some(behind) = beyond(1.04).filter(|_| answer.is_limited) {
            lines.push(format!("what fails first: {}", self.fails_first(behind)));
        }
        for point in [1.04, 1.09].into_iter().filter_map(beyond) {
            lines.push(format!(
                "{:.0} % more: {:.1} % of requests are good, P99 TTFT {:.0} ms, TPOT {:.1} ms",
                100.0 * (point.load / capacity - 1.0),
                100.0 * point.share_met(),
                point.mean(|trial| trial.latencies_ms[0][2]),
                point.mean(|trial| trial.latencies_ms[1][2])
            ));
        }
        let waiting = at.trials.first().and_then(|trial| Some((trial.waiting.0?, trial.waiting.1)));
        lines.push(match waiting {
            Some((limit, share)) => {
                let share = if share < 0.01 { "under 1".to_owned() } else { format!("{:.0}", 100.0 * share) };
                format!("requests waited {share} % of the time, mostly for {}", name(limit))
            }
            None => "no request waited longer than a pass".to_owned(),
        });
        lines
    }

    /// The place of the latency whose objective fewest requests beyond the capacity meet; `None` if all of them are met
    /// there, too.
    #[must_use]
    pub fn first_to_fail(&self, answer: &Answer) -> Option<usize> {
        let capacity = answer.capacity?;
        let behind = answer.curve.iter().find(|point| point.load >= capacity * 1.04)?;
        self.worst(behind).map(|(place, _)| place)
    }

    fn worst(&self, behind: &Point) -> Option<(usize, f64)> {
        let fails = behind.fails_first(self.required_share)?;
        self.bounds().into_iter().find(|&(place, _)| place == fails)
    }

    fn fails_first(&self, behind: &Point) -> String {
        match self.worst(behind) {
            Some((place, bound)) => {
                format!("{} within {bound} ms, at {} {}", latency(place), self.kind.said(behind.load), self.unit())
            }
            None => "the engine answers no more, and its queue grows for as long as requests come".to_owned(),
        }
    }
}

impl LoadKind {
    /// A load in a sentence: a rate with three digits, a number of requests or users whole. JSON has it exactly.
    #[must_use]
    pub fn said(self, load: f64) -> String {
        if self.is_closed() { format!("{load:.0}") } else { three_digits(load) }
    }
}

fn latency(place: usize) -> &'static str {
    LATENCIES.get(place).copied().unwrap_or_default()
}

/// What requests wait for, with the flag that decides about it.
#[must_use]
pub const fn name(limit: Limit) -> &'static str {
    match limit {
        Limit::KvBlocks => "free KV blocks",
        Limit::BatchSize => "a place in the batch (--max-num-seqs)",
        Limit::TokenBudget => "tokens of a pass (--max-num-batched-tokens)",
        Limit::PrefillInterval => "passes kept for decodes (--prefill-schedule-interval)",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_of_requests_or_users_is_whole() {
        let check = |kind: LoadKind, load: f64, expect: &str| assert_eq!(kind.said(load), expect);
        check(LoadKind::Rate, 24.5238, "24.5");
        check(LoadKind::Rate, 1234.56, "1235");
        check(LoadKind::Users, 1234.0, "1234");
    }
}
