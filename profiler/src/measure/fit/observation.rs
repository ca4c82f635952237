//! From passes to observations: one median time for each composition.

use sim_core::batch::BatchComposition;

use super::super::limits::chunk_pairs;
use super::super::outliers::{Summary, median, relative_half_width};
use super::super::plan::{Plan, Role};
use super::super::sample::{PassRole, Sample, Visit};

/// Relative error that even the most certain median is assumed to have: it keeps a few from ruling the fit.
const MIN_RELATIVE_ERROR: f64 = 0.003;
/// Relative error of a single pass, at least: set-up passes come in small numbers, which say little of their spread.
const MIN_SINGLE_ERROR: f64 = 0.02;

/// A pass and its time.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Observation {
    /// A sample with a middling context: a pass that really was.
    pub(crate) batch: BatchComposition,
    /// Tokens that a decode attends to, on average over all samples; 0 without decodes.
    pub(crate) mean_context: f64,
    /// Median device time, and what is known of it, in microseconds.
    pub(crate) time: Summary,
    /// Relative standard error of the time.
    pub(crate) relative_error: f64,
}

impl Observation {
    /// Of samples that differ in context alone, visit by visit; `None` of none.
    fn new(visits: &[Vec<&Sample>], min_single_error: f64) -> Option<Self> {
        let times = |samples: &[&Sample]| samples.iter().map(|sample| sample.device_us()).collect::<Vec<f64>>();
        let mut samples: Vec<&Sample> = visits.concat();
        let time = Summary::new(times(&samples))?;
        let visit_medians: Vec<f64> = visits.iter().filter_map(|samples| median(times(samples))).collect();
        samples.sort_by_key(|sample| sample.batch.decode_context_tokens);
        let batch = samples[samples.len() / 2].batch.clone();
        let contexts: f64 = samples.iter().map(|sample| sample.batch.decode_context_tokens as f64).sum();
        let num_decodes = f64::from(batch.num_decodes) * samples.len() as f64;
        let mean_context = if batch.num_decodes > 0 { contexts / num_decodes } else { 0.0 };
        let of_single = min_single_error / (samples.len() as f64).sqrt();
        let relative_error =
            (relative_half_width(&time, &visit_medians) / 1.96).max(of_single).hypot(MIN_RELATIVE_ERROR);
        Some(Self { batch, mean_context, time, relative_error })
    }

    /// How much it counts in a sum of squared errors in microseconds.
    pub(crate) fn weight(&self) -> f64 {
        (self.time.median * self.relative_error).max(f64::MIN_POSITIVE).powi(2).recip()
    }

    /// Whether it has decodes and prompt parts.
    pub(crate) fn is_mixed(&self) -> bool {
        self.batch.num_decodes > 0 && !self.batch.prefill_chunks.is_empty()
    }
}

/// The samples of each point, over all visits; `None` for points without any.
pub(crate) fn of_points(plan: &Plan, visits: &[Visit]) -> Vec<Option<Observation>> {
    let mut samples: Vec<Vec<Vec<&Sample>>> = vec![vec![]; plan.points.len()];
    for visit in visits {
        let targets = visit.samples.iter().filter(|sample| sample.role == PassRole::Target);
        samples[visit.point].push(targets.collect());
    }
    samples.into_iter().map(|samples| Observation::new(&samples, 0.0)).collect()
}

/// Passes on the way to a point that are as good as planned ones: of one kind, and not those of the point itself.
///
/// Set-ups of held-out points stay out with them.
pub(crate) fn of_set_ups(plan: &Plan, visits: &[Visit]) -> Vec<Observation> {
    let mut observations = vec![];
    for visit in visits.iter().filter(|visit| plan.points[visit.point].role == Role::Fit) {
        let mut groups: Vec<((u32, Vec<(u32, u32)>), Vec<&Sample>)> = vec![];
        for sample in visit.samples.iter().filter(|sample| sample.role == PassRole::SetUp) {
            let key = (sample.batch.num_decodes, chunk_pairs(&sample.batch));
            if key.0 > 0 && !key.1.is_empty() {
                continue;
            }
            match groups.iter_mut().find(|group| group.0 == key) {
                Some((_, samples)) => samples.push(sample),
                None => groups.push((key, vec![sample])),
            }
        }
        observations
            .extend(groups.into_iter().filter_map(|(_, samples)| Observation::new(&[samples], MIN_SINGLE_ERROR)));
    }
    observations
}
