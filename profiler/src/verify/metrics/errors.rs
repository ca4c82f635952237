//! How far the simulated times are from the measured ones, with the uncertainty of that.
//!
//! All errors are relative: `(simulated − measured) / measured`, in percent, where *measured* is the median of the
//! request's time over the repeats. Noise is the same error of the engine against itself: each repeat against the
//! median of the others.

use serde::Serialize;

use super::bootstrap::{Draws, Interval, Resampling, intervals};

/// One metric of one workload, ready for statistics. All vectors have one entry per request.
#[derive(Debug, Clone, Default)]
pub(super) struct Sample {
    /// Simulated times, in seconds.
    simulated: Vec<f64>,
    /// Measured times, in seconds, one per repeat.
    measured: Vec<Vec<f64>>,
    /// Each repeat's distance from the median of the others, in percent; empty for a single repeat.
    noise: Vec<Vec<f64>>,
    /// Forward passes from joining to the last token.
    num_passes: Vec<f64>,
}

impl Sample {
    /// Adds a request; one with a measured time of 0 has no relative error and is left out.
    pub(super) fn push(&mut self, simulated: f64, measured: Vec<f64>, num_passes: u32) {
        if measured.iter().any(|&time| time <= 0.0) {
            return;
        }
        let is_repeated = measured.len() > 1;
        let distance = |repeat: usize| {
            let mut others = measured.clone();
            let left_out = others.remove(repeat);
            relative_percent(left_out, median(&mut others)).abs()
        };
        self.noise.push(if is_repeated { (0..measured.len()).map(distance).collect() } else { vec![] });
        self.simulated.push(simulated);
        self.measured.push(measured);
        self.num_passes.push(f64::from(num_passes));
    }

    /// Requests.
    pub(super) fn len(&self) -> usize {
        self.simulated.len()
    }

    /// Repeats; 0 if there is no request.
    pub(super) fn num_repeats(&self) -> usize {
        self.measured.first().map_or(0, Vec::len)
    }

    /// Simulated times, in seconds.
    pub(super) fn simulated(&self) -> &[f64] {
        &self.simulated
    }

    /// Median of each request's measured times, in seconds.
    pub(super) fn medians(&self) -> Vec<f64> {
        self.measured.iter().map(|times| median(&mut times.clone())).collect()
    }
}

/// The errors of one metric.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct MetricErrors {
    /// Mean of the requests' absolute errors, in percent.
    pub(crate) mean_absolute_error_percent: Interval,
    /// Mean of the requests' errors, in percent: positive if the simulator is too slow.
    pub(crate) mean_error_percent: Interval,
    /// Mean absolute error of each repeat of the engine against the median of the others, in percent; `null` for a
    /// single repeat.
    pub(crate) noise_percent: Option<Interval>,
    /// Least-squares slope of the requests' errors over their forward passes, in percent per 1000 passes; `null` if
    /// all requests have the same number of passes.
    pub(crate) slope_percent_per_1000_passes: Option<Interval>,
    /// The fitted line, from the fewest to the most passes; empty without a slope.
    pub(crate) fit: Vec<FitPoint>,
}

/// A point of the fitted line.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(crate) struct FitPoint {
    /// A request's forward passes.
    pub(crate) num_passes: f64,
    /// The error that the line gives for it, in percent.
    pub(crate) error_percent: Interval,
}

/// Points of the fitted line.
const NUM_FIT_POINTS: usize = 17;
/// Mean absolute error, mean error, noise, slope.
const NUM_VALUES: usize = 4;

/// The errors over all requests of `samples`, one sample per workload; `None` if there is no request.
pub(super) fn metric_errors(samples: &[&Sample], resampling: Resampling) -> Option<MetricErrors> {
    let samples: Vec<&Sample> = samples.iter().copied().filter(|sample| sample.len() > 0).collect();
    let num_repeats = samples.iter().map(|sample| sample.num_repeats()).min()?;
    let rounds: Vec<usize> = (0..num_repeats).collect();
    let places = fit_places(&samples);
    let point = accumulate(&samples, &rounds, |_, request| request).values(&places);
    let resample = |draws: &mut Draws| {
        let rounds: Vec<usize> = rounds.iter().map(|_| draws.below(num_repeats)).collect();
        if let [alone] = samples[..] {
            return accumulate(&[alone], &rounds, |num_requests, _| draws.below(num_requests)).values(&places);
        }
        let drawn: Vec<&Sample> = samples.iter().map(|_| samples[draws.below(samples.len())]).collect();
        accumulate(&drawn, &rounds, |_, request| request).values(&places)
    };
    let values = intervals(point, resampling, resample);
    let [absolute, signed, noise, slope, fit @ ..] = values;
    Some(MetricErrors {
        mean_absolute_error_percent: absolute?.at_least_zero(),
        mean_error_percent: signed?,
        noise_percent: noise.map(Interval::at_least_zero),
        slope_percent_per_1000_passes: slope,
        fit: places
            .into_iter()
            .zip(fit)
            .filter_map(|(num_passes, error)| Some(FitPoint { num_passes, error_percent: error? }))
            .collect(),
    })
}

/// Where the fitted line is looked at: evenly from the fewest to the most passes.
fn fit_places(samples: &[&Sample]) -> [f64; NUM_FIT_POINTS] {
    let passes = || samples.iter().flat_map(|sample| &sample.num_passes).copied();
    let (low, high) = (passes().fold(f64::INFINITY, f64::min), passes().fold(0.0, f64::max));
    std::array::from_fn(|i| low + (high - low) * i as f64 / (NUM_FIT_POINTS - 1) as f64)
}

/// Sums over requests.
#[derive(Debug, Clone, Copy, Default)]
struct Sums {
    count: f64,
    absolute: f64,
    error: f64,
    noise: f64,
    num_noise: f64,
    passes: f64,
    passes_squared: f64,
    passes_error: f64,
}

impl Sums {
    fn mean(&self, sum: f64) -> f64 {
        sum / self.count
    }

    /// Percent per pass.
    fn slope(&self) -> Option<f64> {
        let variance = self.mean(self.passes_squared) - self.mean(self.passes).powi(2);
        let covariance = self.mean(self.passes_error) - self.mean(self.passes) * self.mean(self.error);
        // Passes are whole numbers: a smaller variance is a rounding error.
        (variance > 1e-6).then(|| covariance / variance)
    }

    /// Mean absolute error, mean error, noise, slope per 1000 passes, and the fitted line at `places`.
    fn values(&self, places: &[f64; NUM_FIT_POINTS]) -> [Option<f64>; NUM_VALUES + NUM_FIT_POINTS] {
        let slope = self.slope();
        let mut values = [None; NUM_VALUES + NUM_FIT_POINTS];
        values[0] = Some(self.mean(self.absolute));
        values[1] = Some(self.mean(self.error));
        values[2] = (self.num_noise > 0.0).then(|| self.noise / self.num_noise);
        values[3] = slope.map(|slope| 1000.0 * slope);
        for (value, place) in values[NUM_VALUES..].iter_mut().zip(places) {
            *value = slope.map(|slope| self.mean(self.error) + slope * (place - self.mean(self.passes)));
        }
        values
    }
}

/// Sums over as many requests of each sample as it has; `pick(number, i)` says which is the `i`-th. The measured
/// value of a request is its median over `rounds`.
fn accumulate(samples: &[&Sample], rounds: &[usize], mut pick: impl FnMut(usize, usize) -> usize) -> Sums {
    let mut sums = Sums::default();
    let mut times = Vec::with_capacity(rounds.len());
    for sample in samples {
        for i in 0..sample.len() {
            let request = pick(sample.len(), i);
            times.clear();
            times.extend(rounds.iter().map(|&round| sample.measured[request][round]));
            let error = relative_percent(sample.simulated[request], median(&mut times));
            let passes = sample.num_passes[request];
            sums.count += 1.0;
            sums.absolute += error.abs();
            sums.error += error;
            sums.passes += passes;
            sums.passes_squared += passes * passes;
            sums.passes_error += passes * error;
            if let [_, _, ..] = sample.noise[request].as_slice() {
                sums.noise += rounds.iter().map(|&round| sample.noise[request][round]).sum::<f64>();
                sums.num_noise += rounds.len() as f64;
            }
        }
    }
    sums
}

/// `(value − reference) / reference`, in percent.
pub(super) fn relative_percent(value: f64, reference: f64) -> f64 {
    100.0 * (value - reference) / reference
}

/// Middle value, or the mean of the two; 0 for none. Sorts.
pub(super) fn median(values: &mut [f64]) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values {
        [] => 0.0,
        _ if values.len() % 2 == 1 => values[middle],
        _ => f64::midpoint(values[middle - 1], values[middle]),
    }
}
