//! From samples to the tables of a profile: weighted least squares over whole passes.
//!
//! A term is never seen alone, so all tables are fitted at once to the times of whole passes. Every table is a sum of
//! increments that are not negative; so more work never takes less time, and noise is smoothed by all passes together.

pub(crate) mod nnls;
pub(crate) mod observation;
pub(crate) mod design;
pub(crate) mod support;
pub(crate) mod host;
pub(crate) mod tables;

use super::outliers::median;
use design::{Design, PassTerms, sum};
use nnls::NormalEquations;
use observation::Observation;

/// Least value of a node: no part of a pass takes no time at all.
const FLOOR_US: f64 = 0.001;
/// Largest factor that is looked for.
const MAX_FACTOR: f64 = 4.0;
/// Without evidence the terms add up: a factor this far from 1 counts as one standard error.
const USUAL_FACTOR_ERROR: f64 = 0.5;
/// Steps of the search for the factor; each narrows it to 62 %.
const NUM_STEPS: usize = 15;
/// The usual error is at least this many standard errors.
const MIN_USUAL_ERROR: f64 = 1.0;
/// Rounds in which observations that do not fit lose weight.
const NUM_ROBUST_ROUNDS: usize = 2;
/// Errors up to this many times the usual one (a standard deviation, estimated from the median) keep their full weight;
/// of larger ones only this much counts (Huber's weights).
const MAX_USUAL_ERRORS: f64 = 3.0;
/// Values for every node of a design.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Fit {
    /// The nodes.
    pub(crate) design: Design,
    /// Their values in microseconds.
    pub(crate) values: Vec<f64>,
    /// See [`sim_core::profile::schema::MixedBatch`]; `None` if no pass had both kinds.
    pub(crate) decode_term_factor: Option<f64>,
}

/// An observation that the design can say something about.
struct Row {
    terms: PassTerms,
    time_us: f64,
    /// One over the square of the time's standard error.
    certainty: f64,
    /// The same, less if the observation does not fit.
    weight: f64,
}

/// A solution for one factor.
struct Solution {
    values: Vec<f64>,
    free: Vec<bool>,
    loss: f64,
}

/// Fits a design's values.
pub(crate) fn fit(design: Design, observations: &[Observation]) -> Fit {
    let row = |observation: &Observation| {
        let terms = design.terms(observation)?;
        let certainty = observation.certainty();
        Some(Row { terms, time_us: observation.time.median, certainty, weight: certainty })
    };
    let mut system = System::new(&design, observations.iter().filter_map(row).collect());
    let has_mixed = system.rows.iter().any(is_mixed);
    let solve = |system: &System, start: Option<&Solution>| {
        let solution = system.solve(1.0, start);
        if has_mixed { system.search(solution) } else { (1.0, solution) }
    };
    let (mut factor, mut best) = solve(&system, None);
    for _ in 0..NUM_ROBUST_ROUNDS {
        system.lighten_misfits(&best, factor);
        (factor, best) = solve(&system, Some(&best));
    }
    let decode_term_factor = has_mixed.then(|| (factor * 1e4).round() / 1e4);
    // To whole nanoseconds: growing values stay growing.
    let values = best.values.iter().map(|value| (value.max(FLOOR_US) * 1e3).round() / 1e3).collect();
    Fit { design, values, decode_term_factor }
}

fn is_mixed(row: &Row) -> bool {
    !row.terms.decode.is_empty() && !row.terms.prefill.is_empty()
}

/// The least-squares problem of a design.
struct System {
    rows: Vec<Row>,
    /// For each node the increments it is the sum of.
    increments: Vec<Vec<usize>>,
    burdens: Vec<f64>,
}

impl System {
    fn new(design: &Design, rows: Vec<Row>) -> Self {
        let offsets = design.offsets();
        let burdens = design.burdens();
        let tables = burdens.iter().zip(offsets.windows(2));
        let burdens = tables.flat_map(|(&burden, ends)| std::iter::repeat_n(burden, ends[1] - ends[0])).collect();
        Self { rows, increments: design.increments(), burdens }
    }

    /// The factor with the least error (golden-section search), and its solution.
    fn search(&self, start: Solution) -> (f64, Solution) {
        const GOLDEN: f64 = 0.618_033_988_749_894_9;
        let (mut low, mut high) = (0.0, MAX_FACTOR);
        let inner = |low: f64, high: f64| [high - GOLDEN * (high - low), low + GOLDEN * (high - low)];
        let [mut a, mut b] = inner(low, high);
        let mut at_a = self.solve(a, Some(&start));
        let mut at_b = self.solve(b, Some(&at_a));
        for _ in 0..NUM_STEPS {
            if at_a.loss <= at_b.loss {
                high = b;
                [a, b] = inner(low, high);
                at_b = at_a;
                at_a = self.solve(a, Some(&at_b));
            } else {
                low = a;
                [a, b] = inner(low, high);
                at_a = at_b;
                at_b = self.solve(b, Some(&at_a));
            }
        }
        if at_a.loss <= at_b.loss { (a, at_a) } else { (b, at_b) }
    }

    /// The best values for a factor, from another solution on.
    fn solve(&self, factor: f64, start: Option<&Solution>) -> Solution {
        let num_nodes = self.increments.len();
        let free = start.map_or(&[][..], |start| &start.free);
        let mut equations = NormalEquations::new(num_nodes);
        for row in &self.rows {
            equations.add(&self.dense(row, factor), row.time_us, row.weight);
        }
        let solution = equations.solve(&self.burdens, free);
        let free = solution.iter().map(|&increment| increment > 0.0).collect();
        let values: Vec<f64> = self.increments.iter().map(|up_to| up_to.iter().map(|&i| solution[i]).sum()).collect();
        let squared_error = |row: &Row| row.weight * (self.predict(row, &values, factor) - row.time_us).powi(2);
        let prior = ((factor - 1.0) / USUAL_FACTOR_ERROR).powi(2);
        let loss = self.rows.iter().map(squared_error).sum::<f64>() + prior;
        Solution { values, free, loss }
    }

    /// How often each increment is in the pass.
    fn dense(&self, row: &Row, factor: f64) -> Vec<f64> {
        let mut dense = vec![0.0; self.increments.len()];
        let mut add = |terms: &[(usize, f64)], factor: f64| {
            for &(node, weight) in terms {
                self.increments[node].iter().for_each(|&increment| dense[increment] += factor * weight);
            }
        };
        add(&row.terms.base, 1.0);
        add(&row.terms.prefill, 1.0);
        add(&row.terms.decode, if is_mixed(row) { factor } else { 1.0 });
        dense
    }

    /// Bounds the influence of observations whose error is unusual: a point that was always disturbed, say.
    fn lighten_misfits(&mut self, solution: &Solution, factor: f64) {
        let error =
            |row: &Row| (self.predict(row, &solution.values, factor) - row.time_us).abs() * row.certainty.sqrt();
        let errors: Vec<f64> = self.rows.iter().map(error).collect();
        let usual = 1.4826 * median(errors.clone()).unwrap_or(0.0).max(MIN_USUAL_ERROR);
        for (row, error) in self.rows.iter_mut().zip(errors) {
            row.weight = row.certainty * (MAX_USUAL_ERRORS * usual / error).min(1.0);
        }
    }

    fn predict(&self, row: &Row, values: &[f64], factor: f64) -> f64 {
        let base = sum(&row.terms.base, values);
        let decode = sum(&row.terms.decode, values);
        base + sum(&row.terms.prefill, values) + if is_mixed(row) { factor } else { 1.0 } * decode
    }
}
