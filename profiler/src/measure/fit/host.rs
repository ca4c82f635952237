//! Host time around a pass: a cost for the pass and one for each of its requests.

use sim_core::profile::schema::{Basis, Cost, Host, PassCost};

use super::super::outliers::Summary;
use super::super::sample::{PassRole, Sample, Visit, micros};
use super::nnls::NormalEquations;

/// The host's share of every pass of these scripts, warm-ups left out.
pub(crate) fn host(undisturbed: &[&Visit]) -> Host {
    let all = undisturbed.iter().flat_map(|visit| &visit.samples);
    let samples: Vec<&Sample> = all.filter(|sample| sample.role != PassRole::WarmUp).collect();
    Host {
        schedule: pass_cost(
            &samples,
            |sample| sample.schedule_ns,
            "From the call of the step function until \
            schedule() had returned",
        ),
        update: pass_cost(
            &samples,
            |sample| sample.update_ns,
            "From the sampled tokens until the next pass could \
            begin",
        ),
        between_passes: nothing("Passes were timed until their tokens were there."),
        outside_graphs: None,
        pass_noise: None,
    }
}

/// No time, for this reason.
fn nothing(reason: &str) -> PassCost {
    let cost = || Cost { time_us: 0.0, basis: Basis::Measured, reason: reason.to_owned() };
    PassCost { per_pass: cost(), per_request: cost() }
}

/// The line through the medians of passes with equally many requests, none of its parts negative.
fn pass_cost(samples: &[&Sample], time_ns: impl Fn(&Sample) -> u64, what: &str) -> PassCost {
    let mut by_requests: Vec<(u32, f64)> =
        samples.iter().map(|sample| (sample.batch.num_reqs(), micros(time_ns(sample)))).collect();
    by_requests.sort_by(|a, b| a.0.cmp(&b.0).then(a.1.total_cmp(&b.1)));
    let mut equations = NormalEquations::new(2);
    for group in by_requests.chunk_by(|a, b| a.0 == b.0) {
        let Some(time) = Summary::new(group.iter().map(|&(_, time)| time).collect()) else {
            continue;
        };
        // Relative errors count, and a median of few samples counts less.
        let weight = (time.num_samples as f64).sqrt() / time.median.max(FLOOR_US).powi(2);
        equations.add(&[1.0, f64::from(group[0].0)], time.median, weight);
    }
    let line = equations.solve(&[1.0; 2], &[]);
    let cost = |time_us: f64, part: &str| Cost {
        time_us: (time_us * 1e3).round() / 1e3,
        basis: Basis::Measured,
        reason: format!("{what}; line through the medians of {} passes by requests, {part}.", samples.len()),
    };
    PassCost { per_pass: cost(line[0], "its start"), per_request: cost(line[1], "its slope") }
}

/// Shorter medians count as this: a clock has steps.
const FLOOR_US: f64 = 0.1;
