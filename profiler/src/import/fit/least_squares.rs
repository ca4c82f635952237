//! Least squares for a handful of parameters that are at least 0, over a function that is a simulation.
//!
//! The function is smooth only roughly: a longer term can move a request from one pass to the next. So derivatives are
//! differences over steps that matter, and a step is taken only if the sum of squares falls (Levenberg and Marquardt's
//! damping). A parameter that the residuals hardly depend on, or only as a mixture of those before it does, is not
//! fitted: a value would be noise.

use anyhow::{Result, ensure};

/// Steps of the search at most.
const MAX_ITERATIONS: usize = 12;
/// A parameter is fitted only if a step that matters changes the residuals by this, as a root of the sum of squares.
const MIN_EFFECT: f64 = 0.02;
/// Share of a parameter's effect that must remain when the others' effects are taken out.
const MIN_OWN_EFFECT: f64 = 0.15;
/// The search ends when the sum of squares falls by less than this share.
const MIN_GAIN: f64 = 1e-4;
/// Damping at which no step is worth trying.
const MAX_DAMPING: f64 = 1e6;

/// Where the search of a parameter begins, and a change of it that matters.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Parameter {
    pub(crate) start: f64,
    pub(crate) step: f64,
}

/// What was found.
#[derive(Debug, Clone)]
pub(crate) struct Found {
    pub(crate) values: Vec<f64>,
    /// Whether a parameter was fitted; the others are where they began.
    pub(crate) is_fitted: Vec<bool>,
}

/// The values, none below 0, with the least sum of squared `residuals`.
///
/// # Errors
/// What `residuals` returns; if it gives another number of residuals from one call to the next, or one that is no
/// number.
pub(crate) fn fit(parameters: &[Parameter], residuals: impl FnMut(&[f64]) -> Result<Vec<f64>>) -> Result<Found> {
    let mut search = Search { parameters, residuals, num_residuals: None };
    let mut values: Vec<f64> = parameters.iter().map(|parameter| parameter.start).collect();
    let mut current = search.evaluate(&values)?;
    let all: Vec<usize> = (0..parameters.len()).collect();
    let effects = search.effects(&values, &current, &all)?;
    let fitted = identifiable(&effects);
    let mut damping = 1e-3;
    for _ in 0..MAX_ITERATIONS {
        if fitted.is_empty() {
            break;
        }
        let effects = search.effects(&values, &current, &fitted)?;
        let before = sum_of_squares(&current);
        let mut gain = 0.0;
        while damping < MAX_DAMPING {
            let candidate = search.step(&values, &fitted, &effects, &current, damping);
            let residuals = search.evaluate(&candidate)?;
            let after = sum_of_squares(&residuals);
            if after < before {
                gain = 1.0 - after / before;
                (values, current) = (candidate, residuals);
                damping = (damping / 10.0).max(1e-6);
                break;
            }
            damping *= 10.0;
        }
        if gain < MIN_GAIN {
            break;
        }
    }
    let is_fitted = all.iter().map(|parameter| fitted.contains(parameter)).collect();
    Ok(Found { values, is_fitted })
}

struct Search<'a, F> {
    parameters: &'a [Parameter],
    residuals: F,
    num_residuals: Option<usize>,
}

impl<F: FnMut(&[f64]) -> Result<Vec<f64>>> Search<'_, F> {
    fn evaluate(&mut self, values: &[f64]) -> Result<Vec<f64>> {
        let residuals = (self.residuals)(values)?;
        let expected = *self.num_residuals.get_or_insert(residuals.len());
        ensure!(residuals.len() == expected, "{} residuals after {expected}", residuals.len());
        ensure!(residuals.iter().all(|residual| residual.is_finite()), "a residual is not a number");
        Ok(residuals)
    }

    /// The change of the residuals for a step of each of `chosen`: one column each.
    fn effects(&mut self, values: &[f64], current: &[f64], chosen: &[usize]) -> Result<Vec<Vec<f64>>> {
        let mut columns = vec![];
        for &parameter in chosen {
            let mut moved = values.to_vec();
            moved[parameter] += self.parameters[parameter].step;
            let residuals = self.evaluate(&moved)?;
            columns.push(residuals.iter().zip(current).map(|(after, before)| after - before).collect());
        }
        Ok(columns)
    }

    /// The values after a damped step; a parameter that would fall below 0 stops there, and the others are solved again
    /// without it.
    fn step(
        &self,
        values: &[f64],
        fitted: &[usize],
        effects: &[Vec<f64>],
        residuals: &[f64],
        damping: f64,
    ) -> Vec<f64> {
        let mut free: Vec<usize> = (0..fitted.len()).collect();
        let mut residuals = residuals.to_vec();
        let mut next = values.to_vec();
        loop {
            let columns: Vec<&[f64]> = free.iter().map(|&column| effects[column].as_slice()).collect();
            let moves = solve(&columns, &residuals, damping);
            let target = |place: usize| {
                let parameter = fitted[free[place]];
                values[parameter] + moves[place] * self.parameters[parameter].step
            };
            let Some(stopped) = (0..free.len()).filter(|&place| target(place) < 0.0).min_by(|&a, &b| {
                let depth = |place: usize| target(place) / self.parameters[fitted[free[place]]].step;
                depth(a).total_cmp(&depth(b))
            }) else {
                for place in 0..free.len() {
                    next[fitted[free[place]]] = target(place);
                }
                return next;
            };
            let column = free.remove(stopped);
            let parameter = fitted[column];
            let moved = -values[parameter] / self.parameters[parameter].step;
            next[parameter] = 0.0;
            for (residual, effect) in residuals.iter_mut().zip(&effects[column]) {
                *residual += moved * effect;
            }
        }
    }
}

/// The columns that are large enough, and no mixture of those before: of two that look alike, the first is fitted.
fn identifiable(effects: &[Vec<f64>]) -> Vec<usize> {
    let mut directions: Vec<Vec<f64>> = vec![];
    let mut chosen = vec![];
    for (column, effect) in effects.iter().enumerate() {
        let mut rest = effect.clone();
        for direction in &directions {
            let along: f64 = rest.iter().zip(direction).map(|(a, b)| a * b).sum();
            rest.iter_mut().zip(direction).for_each(|(value, unit)| *value -= along * unit);
        }
        let (whole, own) = (sum_of_squares(effect).sqrt(), sum_of_squares(&rest).sqrt());
        if whole > MIN_EFFECT && own > MIN_OWN_EFFECT * whole {
            directions.push(rest.iter().map(|value| value / own).collect());
            chosen.push(column);
        }
    }
    chosen
}

/// The moves `x` with the least `|residuals + columns · x|² + damping · |columns|² x²`: normal equations, solved by
/// elimination. There are at most ten of them and the columns are not nearly dependent.
fn solve(columns: &[&[f64]], residuals: &[f64], damping: f64) -> Vec<f64> {
    let dot = |a: &[f64], b: &[f64]| -> f64 { a.iter().zip(b).map(|(a, b)| a * b).sum() };
    let size = columns.len();
    let mut rows: Vec<Vec<f64>> = (0..size)
        .map(|i| {
            let mut row: Vec<f64> = (0..size).map(|j| dot(columns[i], columns[j])).collect();
            row[i] *= 1.0 + damping;
            row.push(-dot(columns[i], residuals));
            row
        })
        .collect();
    for pivot in 0..size {
        let above = rows[pivot].clone();
        for row in rows.iter_mut().skip(pivot + 1) {
            let factor = if above[pivot] > 0.0 { row[pivot] / above[pivot] } else { 0.0 };
            row.iter_mut().zip(&above).for_each(|(value, above)| *value -= factor * above);
        }
    }
    let mut moves = vec![0.0; size];
    for i in (0..size).rev() {
        let rest: f64 = rows[i][size] - (i + 1..size).map(|j| rows[i][j] * moves[j]).sum::<f64>();
        moves[i] = if rows[i][i] > 0.0 { rest / rows[i][i] } else { 0.0 };
    }
    moves
}

fn sum_of_squares(values: &[f64]) -> f64 {
    values.iter().map(|value| value * value).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    const UNIT: Parameter = Parameter { start: 1.0, step: 1.0 };

    #[track_caller]
    fn check(parameters: &[Parameter], residuals: impl Fn(&[f64]) -> Vec<f64>, values: &[f64], is_fitted: &[bool]) {
        let found = fit(parameters, |x| Ok(residuals(x))).expect("a fit");
        assert_eq!(found.is_fitted, is_fitted, "{:?}", found.values);
        for (got, expect) in found.values.iter().zip(values) {
            assert!((got - expect).abs() < 0.01, "{:?} instead of {values:?}", found.values);
        }
    }

    #[test]
    fn a_line_is_found() {
        let line = |x: &[f64]| (0..9).map(|i| x[0] + x[1] * f64::from(i) - (3.0 + 0.5 * f64::from(i))).collect();
        check(&[UNIT, UNIT], line, &[3.0, 0.5], &[true, true]);
    }

    #[test]
    fn a_curve_is_found() {
        let curve = |x: &[f64]| (1..9).map(|i| (x[0] + f64::from(i)).ln() - (7.0 + f64::from(i)).ln()).collect();
        check(&[UNIT], curve, &[7.0], &[true]);
    }

    #[test]
    fn nothing_falls_below_zero_and_the_others_make_up_for_it() {
        let line = |x: &[f64]| (0..9).map(|i| x[0] + x[1] * f64::from(i) - (f64::from(i) - 2.0)).collect();
        // The best line with a base of 0: Σ i (i − 2) / Σ i².
        check(&[UNIT, UNIT], line, &[0.0, 132.0 / 204.0], &[true, true]);
    }

    #[test]
    fn what_has_no_effect_or_none_of_its_own_stays() {
        let blind = |x: &[f64]| (0..9).map(|i| x[0] * f64::from(i + 1) - 2.0 * f64::from(i + 1)).collect();
        check(&[UNIT, UNIT], blind, &[2.0, 1.0], &[true, false]);
        let twins = |x: &[f64]| (0..9).map(|i| (2.0 * x[0] + x[1] - 9.0) * f64::from(i + 1)).collect();
        check(&[UNIT, UNIT], twins, &[4.0, 1.0], &[true, false]);
    }
}
