//! The fewest replicas with which each window meets the objectives.

use alloc::vec::Vec;

use super::windows::{Window, dealt};
use crate::answers::capacity::{Trial, TrialError};
use crate::math;
use crate::metrics::goodput::Goodput;
use crate::scenario::Prepared;

/// The search for one window.
#[derive(Debug, Clone, PartialEq)]
pub struct Fewest {
    /// Fewest and most that are tried; the most is a request for each.
    least: u32,
    most: u32,
    /// The most replicas that missed, and the fewest that met with the share of requests that did.
    missed: Option<u32>,
    met: Option<(u32, f64)>,
    next: Option<u32>,
    /// How far the next is from the last.
    step: u32,
}

impl Fewest {
    /// Begins with `first`; tries none below `least` and none above `most`.
    #[must_use]
    pub fn new(first: u32, least: u32, most: u32) -> Self {
        let most = most.max(least);
        let next = (most > 0).then(|| first.clamp(least.max(1), most));
        Self { least: least.max(1), most, missed: None, met: None, next, step: 1 }
    }

    /// Replicas to be tried now; `None` when it is over.
    #[must_use]
    pub const fn next(&self) -> Option<u32> {
        self.next
    }

    /// What came of it: whether the window met, and which share of its requests.
    pub fn take(&mut self, meets: bool, share: f64) {
        let Some(tried) = self.next else { return };
        if meets {
            self.met = Some((tried, share));
        } else {
            self.missed = Some(tried);
        }
        self.next = match (self.missed, self.met) {
            (None, Some((met, _))) if met <= self.least => None,
            (None, Some((met, _))) => Some(met.saturating_sub(self.step).max(self.least)),
            (Some(missed), None) if missed >= self.most => None,
            (Some(missed), None) => Some(missed.saturating_add(self.step).min(self.most)),
            (Some(missed), Some((met, _))) if met <= missed + 1 => None,
            (Some(missed), Some((met, _))) => Some(missed + (met - missed) / 2),
            (None, None) => None,
        };
        self.step = self.step.saturating_mul(2);
    }

    /// The fewest that meet, and the share of good requests then; `None` if none does.
    #[must_use]
    pub const fn fewest(&self) -> Option<(u32, f64)> {
        self.met
    }
}

/// A window at a number of replicas.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Try {
    /// Which window.
    pub window: usize,
    /// How many replicas.
    pub num_replicas: u32,
}

/// What an autoscaler goes by.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scaling {
    /// Requests per second that a replica carries.
    pub capacity: f64,
    /// Share of that which it is to have; `None` for all of it, and fewer replicas where a window's requests are lighter
    /// than the trace's.
    pub target_utilisation: Option<f64>,
    /// Share of a window's requests that must meet the objectives.
    pub required_share: f64,
}

/// The search over all windows.
#[derive(Debug, Clone)]
pub struct Needed {
    windows: Vec<Window>,
    scaling: Scaling,
    by_capacity: Vec<u32>,
    fewest: Vec<Fewest>,
}

impl Needed {
    /// Begins with what the capacity says.
    #[must_use]
    pub fn new(windows: Vec<Window>, scaling: Scaling) -> Self {
        let each = scaling.capacity * scaling.target_utilisation.unwrap_or(1.0);
        let by_capacity = |window: &Window| {
            let needed = if each > 0.0 { math::ceil(window.load() / each) } else { f64::INFINITY };
            let most = math::usize_to_u32(window.num_requests);
            if needed < math::u32_to_f64(most) { math::f64_to_u32(needed).max(u32::from(most > 0)) } else { most }
        };
        let by_capacity: Vec<u32> = windows.iter().map(by_capacity).collect();
        let fewest = windows.iter().zip(&by_capacity).map(|(window, &first)| {
            let least = if scaling.target_utilisation.is_some() { first } else { 0 };
            Fewest::new(first, least, math::usize_to_u32(window.num_requests))
        });
        Self { fewest: fewest.collect(), by_capacity, windows, scaling }
    }

    /// The windows.
    #[must_use]
    pub fn windows(&self) -> &[Window] {
        &self.windows
    }

    /// Replicas of each window by the capacity alone.
    #[must_use]
    pub fn by_capacity(&self) -> &[u32] {
        &self.by_capacity
    }

    /// Windows to be tried now.
    #[must_use]
    pub fn wanted(&self) -> Vec<Try> {
        let each = self.fewest.iter().enumerate();
        each.filter_map(|(window, fewest)| Some(Try { window, num_replicas: fewest.next()? })).collect()
    }

    /// Takes in what came of all wanted tries, in their order: requests that met, and all.
    pub fn take(&mut self, counts: impl IntoIterator<Item = (u64, u64)>) {
        for (wanted, (met, all)) in self.wanted().into_iter().zip(counts) {
            let share = if all > 0 { math::u64_to_f64(met) / math::u64_to_f64(all) } else { 1.0 };
            if let Some(fewest) = self.fewest.get_mut(wanted.window) {
                fewest.take(share >= self.scaling.required_share, share);
            }
        }
    }

    /// The fewest replicas of each window with the share of its good requests; none for a window without requests, `None`
    /// for one that a replica for each request does not help.
    #[must_use]
    pub fn replicas(&self) -> Vec<Option<(u32, f64)>> {
        let of = |(window, fewest): (&Window, &Fewest)| match window.num_requests {
            0 => Some((0, 1.0)),
            _ => fewest.fewest(),
        };
        self.windows.iter().zip(&self.fewest).map(of).collect()
    }
}

/// Simulates `window` of `prepared` at a number of replicas, its requests in turn to each: requests that met, and all.
///
/// # Errors
/// [`TrialError::Simulation`].
pub fn try_window(
    prepared: &Prepared,
    goodput: Goodput,
    window: &Window,
    num_replicas: u32,
) -> Result<(u64, u64), TrialError> {
    let (mut met, mut all) = (0, 0);
    let num_replicas = math::u32_to_usize(num_replicas);
    for replica in 0..num_replicas.min(window.num_requests) {
        let Some(workload) = dealt(&prepared.workload, window, replica, num_replicas) else { continue };
        let trial = Trial::of_workload(&workload, prepared, goodput)?;
        met += trial.num_met;
        all += trial.num_requests;
    }
    Ok((met, all))
}
