//! From passes to observations: one median time for each composition.

use sim_core::batch::BatchComposition;

use super::super::outliers::Summary;
use super::super::plan::Plan;
use super::super::point_times::PointTimes;
use super::super::sample::{PassRole, Sample, Visit};

/// Relative error that even the most certain median is assumed to have: it keeps a few from ruling the fit.
const MIN_RELATIVE_ERROR: f64 = 0.003;

/// A pass and its time.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Observation {
    /// A sample with a middling context: a pass that really was.
    pub(crate) batch: BatchComposition,
    /// Tokens that a decode attends to, on average over all samples; 0 without decodes.
    pub(crate) mean_context: f64,
    /// The same of the tokens that layers of each span look at, in the batch's order.
    pub(crate) mean_span_contexts: Vec<f64>,
    /// Median device time, and what is known of it, in microseconds.
    pub(crate) time: Summary,
    /// Relative standard error of the time.
    pub(crate) relative_error: f64,
}

impl Observation {
    /// Of a point's visits; `None` if none of them has a sample.
    fn new(visits: &[&Visit]) -> Option<Self> {
        let times = PointTimes::new(visits.iter().copied());
        let time = times.summary()?;
        let samples = visits.iter().flat_map(|visit| &visit.samples);
        let mut samples: Vec<&Sample> = samples.filter(|sample| sample.role == PassRole::Target).collect();
        samples.sort_by_key(|sample| sample.batch.decode_context_tokens);
        let batch = samples[samples.len() / 2].batch.clone();
        let contexts: f64 = samples.iter().map(|sample| sample.batch.decode_context_tokens as f64).sum();
        let num_decodes = f64::from(batch.num_decodes) * samples.len() as f64;
        let mean_context = if batch.num_decodes > 0 { contexts / num_decodes } else { 0.0 };
        let of_span = |place: usize| {
            let attended = samples.iter().filter_map(|sample| sample.batch.spans().get(place));
            attended.map(|(_, attended)| *attended as f64).sum::<f64>() / num_decodes.max(1.0)
        };
        let mean_span_contexts = (0..batch.spans().len()).map(of_span).collect();
        let relative_error = (times.relative_half_width() / 1.96).hypot(MIN_RELATIVE_ERROR);
        Some(Self { batch, mean_context, mean_span_contexts, time, relative_error })
    }

    /// One over the square of its time's standard error: how much it counts in a sum of squared errors.
    pub(crate) fn certainty(&self) -> f64 {
        (self.time.median * self.relative_error).max(f64::MIN_POSITIVE).powi(2).recip()
    }

    /// Whether it has decodes and prompt parts.
    pub(crate) fn is_mixed(&self) -> bool {
        self.batch.num_decodes > 0 && !self.batch.prefill_chunks.is_empty()
    }
}

/// The samples of each point, over all visits that count; `None` for points without any.
pub(crate) fn of_points(plan: &Plan, undisturbed: &[&Visit]) -> Vec<Option<Observation>> {
    let of_point = |point: usize| {
        let visits: Vec<&Visit> = undisturbed.iter().copied().filter(|visit| visit.point == point).collect();
        Observation::new(&visits)
    };
    (0..plan.points.len()).map(of_point).collect()
}
