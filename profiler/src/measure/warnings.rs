//! What makes a measurement doubtful. All doubts are in the profile's notes, so that whoever uses it sees them.

use std::fmt;

use super::coverage::Coverage;
use super::outliers::{Summary, median};
use super::plan::Plan;
use super::point_times::undisturbed;
use super::sample::Visit;

/// Samples of a middling point spread no further on a quiet machine, as a share of their median.
const MAX_SPREAD: f64 = 0.1;
/// Fewest samples of a point that its median can be trusted with.
const MIN_SAMPLES: usize = 8;
/// A reference point varies no more from visit to visit, as a share of its median.
const MAX_DRIFT: f64 = 0.05;
/// A reference point gets no slower from the first third of the visits to the last, as a share.
const MAX_SLOWDOWN: f64 = 0.05;
/// Visits of the reference point that a drift can be read from.
const MIN_REFERENCE_VISITS: usize = 4;
/// Share of the scripts that may be disturbed.
const MAX_DISTURBED: f64 = 0.05;
/// Programs that ran before the measurement, per processor.
const MAX_LOAD: f64 = 0.5;

/// A doubt.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Warning {
    /// The samples of a middling point spread far.
    Noisy { spread: f64 },
    /// Points have few samples.
    TooFewSamples { num_points: usize },
    /// Other programs ran: the machine was loaded before the start, by this many programs per processor.
    LoadBefore { load: f64 },
    /// Other programs ran: the reference point's time went up and down.
    OtherLoad { drift: f64 },
    /// Other programs ran: this share of the scripts was so much slower than the others that it does not count.
    Disturbed { share: f64 },
    /// The machine got slower while it was measured.
    Throttled { slowdown: f64 },
    /// Points were not measured at all.
    BudgetTooSmall { num_points: usize },
    /// Points' scripts did not bring them about.
    Unreached { num_points: usize },
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Noisy { spread } => write!(
                f,
                "Noisy: half of the samples of a middling point lie within {:.1} % of its median, more than {:.0} %.",
                100.0 * spread,
                100.0 * MAX_SPREAD
            ),
            Self::TooFewSamples { num_points } => {
                write!(f, "Too few samples: {num_points} measured points have fewer than {MIN_SAMPLES}.")
            }
            Self::LoadBefore { load } => {
                write!(f, "Other load on the machine before the start: {load:.1} running programs per processor.")
            }
            Self::OtherLoad { drift } => write!(
                f,
                "Other load on the machine, perhaps: the same point varied by {:.1} % from one time to another.",
                100.0 * drift
            ),
            Self::Disturbed { share } => write!(
                f,
                "Other load on the machine: {:.1} % of the scripts ran so much slower than the same at other times that \
                 they were left out.",
                100.0 * share
            ),
            Self::Throttled { slowdown } => write!(
                f,
                "Throttled, perhaps: the same point was {:.1} % slower at the end than at the start.",
                100.0 * slowdown
            ),
            Self::BudgetTooSmall { num_points } => {
                write!(f, "Time budget too small: {num_points} planned points were not measured.")
            }
            Self::Unreached { num_points } => {
                write!(f, "{num_points} planned points did not come about in the engine and were left out.")
            }
        }
    }
}

/// All doubts about a measurement. `load_before` is the number of running programs per processor before the engine's
/// start, if known.
pub(crate) fn warnings(plan: &Plan, visits: &[Visit], coverage: &Coverage, load_before: Option<f64>) -> Vec<Warning> {
    let mut warnings = vec![];
    let spreads = coverage.summaries.iter().flatten().map(|summary| summary.spread / summary.median).collect();
    warnings.extend(median(spreads).filter(|&spread| spread > MAX_SPREAD).map(|spread| Warning::Noisy { spread }));
    let is_thin = |summary: &&Summary| summary.num_samples < MIN_SAMPLES;
    let num_thin = coverage.summaries.iter().flatten().filter(is_thin).count();
    let counted = [
        (num_thin, Warning::TooFewSamples { num_points: num_thin }),
        (coverage.num_unvisited, Warning::BudgetTooSmall { num_points: coverage.num_unvisited }),
        (coverage.num_unreached, Warning::Unreached { num_points: coverage.num_unreached }),
    ];
    warnings.extend(counted.into_iter().filter(|&(count, _)| count > 0).map(|(_, warning)| warning));
    warnings.extend(load_before.filter(|&load| load > MAX_LOAD).map(|load| Warning::LoadBefore { load }));
    let undisturbed = undisturbed(plan, visits);
    let disturbed = 1.0 - undisturbed.len() as f64 / visits.len().max(1) as f64;
    warnings.extend((disturbed > MAX_DISTURBED).then_some(Warning::Disturbed { share: disturbed }));
    warnings.extend(drift(plan, &undisturbed));
    warnings
}

/// What the reference point says of the machine over time.
fn drift(plan: &Plan, undisturbed: &[&Visit]) -> Option<Warning> {
    let of_reference = undisturbed.iter().filter(|visit| visit.point == plan.references[0]);
    let times: Vec<f64> = of_reference.filter_map(|visit| median(visit.target_times_us().collect())).collect();
    if times.len() < MIN_REFERENCE_VISITS {
        return None;
    }
    let third = times.len().div_ceil(3);
    let (first, last) = (median(times[..third].to_vec())?, median(times[times.len() - third..].to_vec())?);
    let slowdown = last / first - 1.0;
    let all = Summary::new(times)?;
    let drift = all.spread / all.median;
    if slowdown > MAX_SLOWDOWN {
        Some(Warning::Throttled { slowdown })
    } else {
        (drift > MAX_DRIFT).then_some(Warning::OtherLoad { drift })
    }
}
