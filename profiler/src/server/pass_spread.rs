//! By how much passes of the same kind differ, from their times in a server beside what the profile says of them.
//!
//! A profile that is off for a kind of pass is not noise: the logarithm of real over predicted counts from its median over
//! the passes of that kind. What is far above the usual is an interruption and is counted apart, so that a few of them do
//! not become everybody's spread.

use std::collections::BTreeMap;

use sim_core::profile::schema::{Basis, PassNoise};

use super::line_fit::median;

/// A pass and what the profile says of it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct TimedPass {
    /// Passes with the same number are of one kind.
    pub(crate) kind: u32,
    /// From schedule to schedule, in microseconds.
    pub(crate) real_us: f64,
    /// The profile's time of it.
    pub(crate) predicted_us: f64,
}

/// Least passes from which a spread is taken.
const MIN_PASSES: usize = 200;
/// Deviations of the usual size up to which a pass is none that was interrupted.
const MAX_USUAL: f64 = 5.0;
/// Of a normal distribution: the standard deviation over the median distance from the middle.
const SIGMA_OF_MEDIAN_DISTANCE: f64 = 1.4826;
/// Highest correlation that a profile may have.
const MAX_CORRELATION: f64 = 0.999;

/// The noise of `runs`, each the passes of a run in order; `None` of too few passes.
pub(crate) fn pass_noise(runs: &[Vec<TimedPass>]) -> Option<PassNoise> {
    let num_passes: usize = runs.iter().map(Vec::len).sum();
    if num_passes < MIN_PASSES {
        return None;
    }
    let usual = usual_by_kind(runs);
    let residuals: Vec<Vec<f64>> = runs
        .iter()
        .map(|run| run.iter().map(|pass| log_ratio(pass) - usual.get(&pass.kind).copied().unwrap_or(0.0)).collect())
        .collect();
    let distances = residuals.iter().flatten().map(|residual| residual.abs()).collect();
    let sigma = SIGMA_OF_MEDIAN_DISTANCE * median(distances)?;
    let is_long = |residual: f64| residual > MAX_USUAL * sigma;
    let (mut long_us, mut num_long) = (0.0, 0_usize);
    for (run, residuals) in runs.iter().zip(&residuals) {
        for (pass, _) in run.iter().zip(residuals).filter(|(_, residual)| is_long(**residual)) {
            long_us += pass.real_us - pass.predicted_us * usual.get(&pass.kind).copied().unwrap_or(0.0).exp();
            num_long += 1;
        }
    }
    let count = |count: usize| f64::from(u32::try_from(count).unwrap_or(u32::MAX));
    Some(PassNoise {
        sigma,
        correlation: correlation(&residuals, is_long),
        long_share: count(num_long) / count(num_passes),
        long_us: if num_long > 0 { long_us / count(num_long) } else { 0.0 },
        basis: Basis::Measured,
        reason: format!(
            "vllm serve on this machine: {num_passes} passes in {} runs, each beside the profile's time of it; {num_long} \
             were longer by more than {MAX_USUAL} standard deviations.",
            runs.len()
        ),
    })
}

fn log_ratio(pass: &TimedPass) -> f64 {
    (pass.real_us.max(1.0) / pass.predicted_us.max(1.0)).ln()
}

/// The median logarithm of each kind of pass.
fn usual_by_kind(runs: &[Vec<TimedPass>]) -> BTreeMap<u32, f64> {
    let mut by_kind: BTreeMap<u32, Vec<f64>> = BTreeMap::new();
    for pass in runs.iter().flatten() {
        by_kind.entry(pass.kind).or_default().push(log_ratio(pass));
    }
    by_kind.into_iter().filter_map(|(kind, logs)| Some((kind, median(logs)?))).collect()
}

/// From one pass to the next, of those that were not interrupted; 0 if it is negative.
fn correlation(residuals: &[Vec<f64>], is_long: impl Fn(f64) -> bool) -> f64 {
    let (mut product, mut square) = (0.0, 0.0);
    for pair in residuals.iter().flat_map(|run| run.windows(2)) {
        if !is_long(pair[0]) && !is_long(pair[1]) {
            product += pair[0] * pair[1];
            square += f64::midpoint(pair[0] * pair[0], pair[1] * pair[1]);
        }
    }
    if square > 0.0 { (product / square).clamp(0.0, MAX_CORRELATION) } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use sim_core::rng::Pcg64;

    use super::*;

    /// Runs of 1,000 passes of two kinds, for one of which the profile is off by half.
    fn runs(sigma: f64, correlation: f64, long_share: f64) -> Vec<Vec<TimedPass>> {
        let mut random = Pcg64::new(5);
        let mut run = || {
            let mut score = random.standard_normal();
            let mut pass = || {
                score = correlation * score + (1.0 - correlation * correlation).sqrt() * random.standard_normal();
                let kind = random.integers(0, 1);
                let interruption = if random.random() < long_share { 50_000.0 } else { 0.0 };
                let real_us = 10_000.0 * (1.0 + 0.5 * f64::from(kind)) * (sigma * score).exp() + interruption;
                TimedPass { kind, real_us, predicted_us: 10_000.0 }
            };
            (0..1000).map(|_| pass()).collect()
        };
        (0..10).map(|_| run()).collect()
    }

    #[track_caller]
    fn check(sigma: f64, correlation: f64, long_share: f64) {
        let noise = pass_noise(&runs(sigma, correlation, long_share)).expect("enough passes");
        assert!((noise.sigma / sigma - 1.0).abs() < 0.1, "{noise:?} instead of {sigma}");
        assert!((noise.correlation - correlation).abs() < 0.05, "{noise:?} instead of {correlation}");
        assert!((noise.long_share - long_share).abs() < 0.003, "{noise:?} instead of {long_share}");
        assert!(long_share <= 0.0 || (noise.long_us / 50_000.0 - 1.0).abs() < 0.1, "{noise:?}");
    }

    #[test]
    fn noise_is_found_again() {
        check(0.02, 0.0, 0.0);
        check(0.05, 0.7, 0.0);
        check(0.03, 0.4, 0.01);
    }

    #[test]
    fn few_passes_say_nothing() {
        let few: Vec<Vec<TimedPass>> = runs(0.1, 0.0, 0.0).into_iter().map(|run| run[..10].to_vec()).collect();
        assert_eq!(pass_noise(&few), None);
    }
}
