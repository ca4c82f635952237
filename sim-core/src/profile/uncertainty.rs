//! How far a profile's step times may be off, and what says so: the one place that decides.
//!
//! A range is a pair of factors of every step time. Simulating at both ends carries it to each figure: near saturation a
//! small range of step times is a wide one of latencies.

use alloc::vec::Vec;

use super::schema::{Profile, ProvenanceKind, TimeRange, Validation};
use super::step_time::StepTimeModel;
use crate::math;

/// Of profiles that are composed of operators: P10 to P90 of measured over simulated mean TPOT of
/// [`NUM_DERIVED_ROWS`] published runs that nothing was fitted to (`profiler verify-run --run silicon_sample.csv --part
/// held-out`, aiconfigurator-core 0.12.0, read on 29 November 2026), outward to two digits.
const DERIVED: TimeRange = TimeRange { low: 0.91, high: 1.21 };

/// Published runs behind the range of composed profiles.
pub const NUM_DERIVED_ROWS: u32 = 1_200;

/// Of those runs the share whose mean TTFT lay between those that are simulated at both ends, in percent (`--range` of
/// that command; of mean TPOT 80.1): it depends on more than how long passes take.
pub const DERIVED_TTFT_COVERAGE: u32 = 47;

/// Of measured profiles that nobody has compared with anything: judged, from those that were. Through `vllm serve` mean
/// end-to-end latencies were up to 8 % off, and a machine's speed drifted by 9.4 % within ten minutes (FIDELITY.md).
const MEASURED: TimeRange = TimeRange { low: 0.91, high: 1.1 };

/// Comparisons below which their P10 and P90 are single values of no weight.
const LEAST_COMPARISONS: usize = 10;

/// Draws of the noise at each end, where passes differ.
const NUM_DRAWS: u64 = 3;

/// What a range rests on; the first that applies counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Grounds {
    /// What an estimated profile says of itself ([`super::schema::Provenance::range`]).
    Estimate,
    /// P10 to P90 of measured over predicted means and medians of TPOT and end-to-end latency, of the runs in the profile's
    /// own validation, widened to hold 1: how many they are.
    Runs(u32),
    /// The same of single passes.
    Passes(u32),
    /// What published runs showed of all composed profiles.
    Composed,
    /// What comparisons showed of other measured profiles.
    Measured,
}

/// How far a profile's step times may be off.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StatedRange {
    /// Between which factors of every step time the device's own is expected.
    pub range: TimeRange,
    /// What says so.
    pub grounds: Grounds,
}

impl StatedRange {
    /// The range of `profile`; none of a synthetic one, which stands for no device.
    #[must_use]
    pub fn of(profile: &Profile) -> Option<Self> {
        let by_class = match profile.provenance.kind {
            ProvenanceKind::Synthetic => return None,
            ProvenanceKind::Estimated => {
                return profile.provenance.range.map(|range| Self { range, grounds: Grounds::Estimate });
            }
            ProvenanceKind::Derived => Self { range: DERIVED, grounds: Grounds::Composed },
            ProvenanceKind::Measured => Self { range: MEASURED, grounds: Grounds::Measured },
        };
        let validation = &profile.validation;
        let runs = within(runs(validation)).map(|(range, count)| Self { range, grounds: Grounds::Runs(count) });
        let passes =
            || within(passes(validation)).map(|(range, count)| Self { range, grounds: Grounds::Passes(count) });
        Some(runs.or_else(passes).unwrap_or(by_class))
    }

    /// The ends, the fast one first.
    #[must_use]
    pub const fn factors(&self) -> [f64; 2] {
        [self.range.low, self.range.high]
    }

    /// The step times to simulate by, besides `step_time` itself, each with its factor: the fast end first. Passes that
    /// differ at random are drawn anew three times at each end, so that the noise's own spread is in the range.
    #[must_use]
    pub fn ends(&self, step_time: &StepTimeModel) -> Vec<(f64, StepTimeModel)> {
        let mut ends = Vec::new();
        for factor in self.factors() {
            let end = step_time.times(factor);
            let others = (1..NUM_DRAWS).filter_map(|draw| end.drawn_again(draw)).collect::<Vec<_>>();
            ends.extend([end].into_iter().chain(others).map(|end| (factor, end)));
        }
        ends
    }
}

/// Measured over predicted of the latencies that step times make.
fn runs(validation: &Validation) -> Vec<f64> {
    let is_asked = |metric: &str| {
        (metric.starts_with("mean_") || metric.starts_with("median_"))
            && (metric.ends_with("_tpot_ms") || metric.ends_with("_e2el_ms"))
    };
    let runs = validation.runs.iter().filter(|run| is_asked(&run.metric));
    runs.filter_map(|run| ratio(run.measured, run.predicted)).collect()
}

/// Measured over predicted of single passes.
fn passes(validation: &Validation) -> Vec<f64> {
    validation.steps.iter().filter_map(|step| ratio(step.measured_us, step.predicted_us)).collect()
}

fn ratio(measured: f64, predicted: f64) -> Option<f64> {
    (measured > 0.0 && predicted > 0.0).then_some(measured / predicted).filter(|ratio| ratio.is_finite())
}

/// P10 to P90, widened to hold 1, and of how many; `None` of too few.
fn within(mut ratios: Vec<f64>) -> Option<(TimeRange, u32)> {
    if ratios.len() < LEAST_COMPARISONS {
        return None;
    }
    ratios.sort_unstable_by(f64::total_cmp);
    let (low, high) = (quantile(&ratios, 0.1)?, quantile(&ratios, 0.9)?);
    let range = TimeRange { low: math::min(low, 1.0), high: math::max(high, 1.0) };
    Some((range, math::usize_to_u32(ratios.len())))
}

/// The value at a share of sorted ones, linear in between; below 1.
fn quantile(sorted: &[f64], share: f64) -> Option<f64> {
    let rank = share * math::usize_to_f64(sorted.len().checked_sub(1)?);
    let below = math::f64_to_u32(rank);
    let at = |rank: u32| sorted.get(math::u32_to_usize(rank)).copied();
    let (low, high) = (at(below)?, at(below + 1)?);
    Some(low + (rank - math::u32_to_f64(below)) * (high - low))
}
