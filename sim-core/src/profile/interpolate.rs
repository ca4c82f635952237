//! Reading between the samples of a table.
//!
//! Exact on samples, never decreasing where the samples are not, and straight lines along a grid's columns (context or
//! prefix tokens), so that a run of decode passes that differ only in context has a closed-form sum. Below the first
//! sample the first value holds; beyond the last the last cell's line goes on ([`super::table`]). Both are flagged.

use super::table::{Curve, Grid};
use crate::math;

/// How a grid's values are blended between two rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Blend {
    /// Straight.
    Linear,
    /// Straight in the square root of the value: exact for a value that grows with the square of the row.
    SquareRoot,
}

impl Blend {
    /// The scale on which the value is straight.
    pub(super) fn straighten(self, value: f64) -> f64 {
        match self {
            Self::Linear => value,
            Self::SquareRoot => math::sqrt(value),
        }
    }

    /// Back from that scale.
    pub(super) fn unstraighten(self, straight: f64) -> f64 {
        match self {
            Self::Linear => straight,
            Self::SquareRoot => straight * straight,
        }
    }
}

/// A value read from a table, in microseconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Reading {
    /// The value.
    pub(super) value_us: f64,
    /// Whether it is a sample.
    pub(super) on_sample: bool,
    /// Whether the samples do not enclose it.
    pub(super) outside: bool,
}

/// The cell of `axis` that holds `x`, and how far into it `x` lies, from 0 to 1.
fn locate(axis: &[f64], x: f64) -> (usize, f64) {
    let last_cell = axis.len() - 2;
    let cell = axis.partition_point(|&start| start <= x).saturating_sub(1).min(last_cell);
    let (start, end) = (axis[cell], axis[cell + 1]);
    // Held below the first point; the guard point is above every argument.
    (cell, math::max(0.0, (x - start) / (end - start)))
}

/// `a` at `weight` 0, `b` at 1, and growing in `a` and in `b` also after rounding. `a <= b`.
fn blend(a: f64, b: f64, weight: f64) -> f64 {
    math::min(math::max((1.0 - weight) * a + weight * b, a), b)
}

impl Curve {
    /// The value at `x`.
    pub(super) fn at(&self, x: f64) -> Reading {
        let (cell, weight) = locate(&self.axis, x);
        let value_us = blend(self.values[cell], self.values[cell + 1], weight);
        let num_samples = self.values.len() - 1;
        let outside = x < self.axis[0] || cell + usize::from(weight > 0.0) >= num_samples;
        Reading { value_us, on_sample: !outside && weight <= 0.0, outside }
    }
}

impl Grid {
    /// The value at `row`, `column`.
    pub(super) fn at(&self, row: f64, column: f64) -> Reading {
        let (row_cell, row_weight) = locate(&self.rows, row);
        let (column_cell, column_weight) = locate(&self.columns, column);
        let along = |row: usize| {
            let at = row * self.columns.len() + column_cell;
            blend(self.values[at], self.values[at + 1], column_weight)
        };
        let upper = along(row_cell);
        let value_us = if row_weight > 0.0 {
            let lower = along(row_cell + 1);
            let straight = blend(self.blend.straighten(upper), self.blend.straighten(lower), row_weight);
            math::min(math::max(self.blend.unstraighten(straight), upper), lower)
        } else {
            upper
        };
        // Rows get shorter downwards, so the lower row's end decides.
        let num_measured = self.num_measured[row_cell + usize::from(row_weight > 0.0)];
        let outside = row < self.rows[0]
            || column < self.columns[0]
            || column_cell + usize::from(column_weight > 0.0) >= num_measured;
        Reading { value_us, on_sample: !outside && row_weight <= 0.0 && column_weight <= 0.0, outside }
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::{Blend, Curve, Grid, Reading};

    fn curve() -> Curve {
        Curve::new(&[1, 2, 4], &[10.0, 20.0, 60.0])
    }

    #[track_caller]
    fn check(reading: Reading, value_us: f64, [on_sample, outside]: [bool; 2]) {
        assert_eq!(reading, Reading { value_us, on_sample, outside });
    }

    #[test]
    fn curve_is_exact_on_samples_straight_between_and_flagged_outside() {
        check(curve().at(1.0), 10.0, [true, false]);
        check(curve().at(4.0), 60.0, [true, false]);
        check(curve().at(3.0), 40.0, [false, false]);
        check(curve().at(0.0), 10.0, [false, true]);
        let beyond = curve().at(5.0);
        assert!(beyond.outside && (beyond.value_us - 80.0).abs() < 1e-4, "{beyond:?}");
    }

    #[test]
    fn grid_continues_a_row_that_could_not_be_measured_to_its_end() {
        let times = [vec![Some(1.0), Some(2.0), Some(4.0)], vec![Some(2.0), Some(5.0), None]];
        let grid = Grid::new(&[1, 3], &[10, 20, 40], &times, Blend::Linear);
        check(grid.at(1.0, 30.0), 3.0, [false, false]);
        check(grid.at(3.0, 20.0), 5.0, [true, false]);
        check(grid.at(2.0, 20.0), 3.5, [false, false]);
        check(grid.at(3.0, 40.0), 11.0, [false, true]);
        check(grid.at(2.0, 40.0), 7.5, [false, true]);
        check(grid.at(1.0, 5.0), 1.0, [false, true]);
    }

    #[test]
    fn square_root_blend_is_exact_for_squares() {
        let times = [vec![Some(4.0), Some(8.0)], vec![Some(16.0), Some(32.0)]];
        let grid = Grid::new(&[2, 4], &[0, 1], &times, Blend::SquareRoot);
        check(grid.at(3.0, 0.0), 9.0, [false, false]);
        let beyond = grid.at(8.0, 0.0);
        assert!(beyond.outside && (beyond.value_us / 64.0 - 1.0).abs() < 1e-4, "{beyond:?}");
    }
}
