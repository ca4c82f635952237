//! The highest values over seconds counted from the first send (`vllm/benchmarks/serve.py::calculate_metrics`).

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use crate::time::{SimDuration, SimTime};

/// The busiest seconds of a run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Peaks {
    /// Most tokens that arrived within one second.
    pub max_output_tokens_per_s: u64,
    /// Most requests of which some part lay within one second: more than were ever under way at the same time.
    pub max_concurrent_requests: u64,
}

const SECOND: u64 = 1_000_000_000;

/// The second after `origin` that `time` lies in.
fn second(origin: SimTime, time: SimTime) -> u64 {
    time.saturating_since(origin).as_nanos() / SECOND
}

/// Tokens of the busiest second, told pass by pass: those of one engine are in time order, those of several follow each
/// other.
#[derive(Debug, Default)]
pub(super) struct BusiestSecond {
    /// Where seconds are counted from, once that is known.
    origin: Option<SimTime>,
    /// What came before it was.
    pending: Vec<(SimTime, u32)>,
    /// The second that is being counted, and its tokens.
    open: (u64, u64),
    /// When it began; not known of what comes before the origin, which counts to the first.
    open_from: Option<SimTime>,
    closed: BTreeMap<u64, u64>,
}

impl BusiestSecond {
    /// Seconds are counted from `origin`; the first word on it holds.
    pub(super) fn begin(&mut self, origin: SimTime) {
        if self.origin.is_none() {
            self.origin = Some(origin);
            core::mem::take(&mut self.pending).into_iter().for_each(|(time, count)| self.add(time, count));
        }
    }

    /// So many tokens arrived at `time`.
    pub(super) fn add(&mut self, time: SimTime, num_tokens: u32) {
        let Some(origin) = self.origin else { return self.pending.push((time, num_tokens)) };
        if !self.open_from.is_some_and(|from| from <= time && time.saturating_since(from).as_nanos() < SECOND) {
            self.open_another(origin, time);
        }
        self.open.1 += u64::from(num_tokens);
    }

    /// Goes on with the second that `time` lies in.
    fn open_another(&mut self, origin: SimTime, time: SimTime) {
        let second = second(origin, time);
        self.open_from = (origin <= time).then(|| origin + SimDuration::from_nanos(second * SECOND));
        if second != self.open.0 {
            let (closed, num_tokens) = core::mem::replace(&mut self.open, (second, 0));
            *self.closed.entry(closed).or_default() += num_tokens;
        }
    }

    /// Tokens of the busiest second; 0 if it was never said where seconds begin.
    pub(super) fn most(&self) -> u64 {
        let again = self.closed.get(&self.open.0).copied().unwrap_or(0);
        self.closed.values().copied().max().unwrap_or(0).max(again + self.open.1)
    }
}

/// Most requests of which some part lies in the same second after `origin`; each is when it was sent and answered.
pub(super) fn most_requests(origin: SimTime, spans: impl Iterator<Item = (SimTime, SimTime)>) -> u64 {
    let mut changes = Buckets::default();
    // Neighbours were mostly sent in the same second, and mostly answered in the same one, too.
    let (mut begun, mut ended) = ((0, 0), (0, 0));
    let mut change = |open: &mut (u64, i64), second, by| {
        if open.0 != second {
            changes.add(open.0, core::mem::take(&mut open.1));
            open.0 = second;
        }
        open.1 += by;
    };
    for (send, last_delivery) in spans {
        change(&mut begun, second(origin, send), 1);
        change(&mut ended, second(origin, last_delivery) + 1, -1);
    }
    changes.add(begun.0, begun.1);
    changes.add(ended.0, ended.1);
    changes.max_of_running_sum()
}

/// Sums per second; only seconds in which something happens cost memory.
#[derive(Debug, Default)]
pub(super) struct Buckets(BTreeMap<u64, i64>);

impl Buckets {
    pub(super) fn add(&mut self, second: u64, amount: i64) {
        *self.0.entry(second).or_default() += amount;
    }

    pub(super) fn max(&self) -> u64 {
        self.0.values().max().map_or(0, |&max| u64::try_from(max).unwrap_or(0))
    }

    pub(super) fn max_of_running_sum(&self) -> u64 {
        let mut sum = 0;
        let sums = self.0.values().map(|change| {
            sum += change;
            sum
        });
        sums.max().map_or(0, |max| u64::try_from(max).unwrap_or(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_busiest_second_does_not_depend_on_the_order() {
        let at = |tenths: u64| SimTime::from_nanos(tenths * SECOND / 10);
        let passes = [(12, 5), (13, 7), (25, 9), (31, 4), (14, 2), (26, 6), (39, 1)];
        let mut sorted = passes;
        sorted.sort_unstable();
        for passes in [passes, sorted] {
            let mut busiest = BusiestSecond::default();
            busiest.begin(at(10));
            passes.into_iter().for_each(|(tenths, count)| busiest.add(at(tenths), count));
            assert_eq!(busiest.most(), 15, "9 and 6 in the second one");
        }
    }
}
