//! A cheap look at what a candidate carries: a few short runs, halving where the objectives stop being met.

use alloc::vec;
use alloc::vec::Vec;

use crate::answers::capacity::search::crossing;
use crate::answers::capacity::trial::Point;
use crate::answers::capacity::{LoadKind, Trial};
use crate::math;

/// Most requests at once that are tried.
const MOST_AT_ONCE: f64 = 4096.0;
/// The first load of a rate, as a share of what is answered when all comes at once: most knees are above it.
const FIRST: f64 = 0.7;
/// Loads between which a knee is looked for again, as shares of where it was seen.
const AGAIN: (f64, f64) = (0.6, 1.5);

/// Where no request met, what is carried is taken to be this share of the lowest load.
const LEAST: f64 = 0.1;

/// A look under way.
#[derive(Debug, Clone)]
pub(super) struct Coarse {
    kind: LoadKind,
    /// The highest load that met, and the lowest that did not.
    low: f64,
    high: f64,
    /// Loads still to be tried between them.
    num_left: u32,
    /// Whether it is not known yet what is answered at most.
    is_open: bool,
    points: Vec<Point>,
}

impl Coarse {
    /// A first look; without objectives only at what is answered when all comes at once.
    pub(super) fn first(kind: LoadKind, num_loads: u32, has_goodput: bool) -> Self {
        let num_left = if has_goodput { num_loads } else { 0 };
        let is_open = kind == LoadKind::Rate;
        Self { kind, low: 0.0, high: if is_open { 0.0 } else { MOST_AT_ONCE }, num_left, is_open, points: vec![] }
    }

    /// Another look around what the first one found.
    pub(super) fn again(&self, num_loads: u32) -> Self {
        if self.points.is_empty() {
            return self.clone();
        }
        let seen = self.estimate();
        Self { low: AGAIN.0 * seen, high: AGAIN.1 * seen, num_left: num_loads, points: vec![], ..self.clone() }
    }

    /// The next load; infinite for all at once.
    pub(super) fn next(&self) -> Option<f64> {
        if self.is_open {
            return Some(f64::INFINITY);
        }
        if self.num_left == 0 {
            return None;
        }
        let load = match self.kind {
            LoadKind::Rate if self.low == 0.0 && self.points.is_empty() => FIRST * self.high,
            LoadKind::Rate => (self.low + self.high) / 2.0,
            // Requests at once and users are looked for over orders of magnitude.
            LoadKind::Concurrency | LoadKind::Users => math::sqrt(self.low.max(1.0) * self.high),
        };
        Some(self.kind.rounded(load))
    }

    /// Takes in the trial of that load.
    pub(super) fn take(&mut self, trial: Trial, required_share: f64) {
        if self.is_open {
            (self.is_open, self.high) = (false, trial.middle_throughput);
            return;
        }
        self.num_left -= 1;
        let load = trial.load;
        let point = Point { load, trials: vec![trial] };
        if point.share_met() >= required_share {
            self.low = self.low.max(load);
        } else {
            self.high = self.high.min(load);
        }
        let place = self.points.partition_point(|tried| tried.load < load);
        self.points.insert(place, point);
        if self.num_left == 0 {
            self.settle(required_share);
        }
    }

    /// Between the last load that met and the first that did not, the knee is where shares cross what is asked.
    fn settle(&mut self, required_share: f64) {
        let found = crossing(&self.points, required_share).map(|(low, crossing, _)| low.map(|_| crossing));
        match found {
            Some(Some(crossing)) => (self.low, self.high) = (crossing, crossing),
            // Nothing met: whoever missed by less comes nearer.
            Some(None) if self.low == 0.0 => {
                let share = self.points.first().map_or(0.0, Point::share_met);
                self.high *= share.max(LEAST);
            }
            _ => {}
        }
    }

    /// What it seems to carry.
    pub(super) fn estimate(&self) -> f64 {
        if self.points.is_empty() { self.high } else { (self.low + self.high) / 2.0 }
    }
}
