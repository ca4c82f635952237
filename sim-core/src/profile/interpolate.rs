//! Reading between the samples of a table.
//!
//! Exact on samples, never decreasing where the samples are not, and straight lines along a grid's columns (context or
//! prefix tokens), so that decode passes that differ only in context mostly read the same cell. Below the first
//! sample the first value holds; beyond the last the last cell's line goes on ([`super::table`]). Both are flagged.

use alloc::vec::Vec;

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

/// Where an argument lies on an axis.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Place {
    /// Index of the last point that is not above the argument; the first cell for everything below the first point.
    cell: usize,
    /// How far into the cell, from 0 to 1; 0 below the first point, so that its value holds.
    weight: f64,
    /// Whether the argument is below the first point.
    is_below: bool,
}

impl Place {
    /// Index of the last point the argument needs.
    fn last_point(self) -> usize {
        self.cell + usize::from(self.weight > 0.0)
    }
}

/// The points of one axis, the guard included, prepared for lookups.
#[derive(Debug, Clone)]
pub(super) struct Axis {
    points: Vec<f64>,
    /// 1 / width of each cell: a multiplication is cheaper than a division.
    inverse_widths: Vec<f64>,
    /// The cells of 0, 1, 2, …: most lookups are of a count of requests or tokens that is small, and skip the search.
    small: Vec<u16>,
}

impl Axis {
    /// Counts whose cells are kept: vLLM's largest CUDA graph and default number of requests.
    const NUM_SMALL: u32 = 1025;

    /// At least two points, growing.
    pub(super) fn new(points: Vec<f64>) -> Self {
        let inverse_widths = points.windows(2).map(|cell| 1.0 / (cell[1] - cell[0])).collect();
        let mut axis = Self { points, inverse_widths, small: Vec::new() };
        // More cells than there are numbers for: then all counts are searched for.
        if let Ok(last_cell) = u16::try_from(axis.last_cell()) {
            let mut cell = 0;
            axis.small = (0..Self::NUM_SMALL)
                .map(math::u32_to_f64)
                .map(|count| {
                    while cell < last_cell && axis.points[usize::from(cell) + 1] <= count {
                        cell += 1;
                    }
                    cell
                })
                .collect();
        }
        axis
    }

    fn last_cell(&self) -> usize {
        self.inverse_widths.len() - 1
    }

    /// Points, the guard included.
    pub(super) fn len(&self) -> usize {
        self.points.len()
    }

    /// The place of any argument.
    fn place(&self, x: f64) -> Place {
        let cell = self.points.partition_point(|&start| start <= x).saturating_sub(1);
        self.place_in(cell.min(self.last_cell()), x)
    }

    fn place_in(&self, cell: usize, x: f64) -> Place {
        let into = x - self.points[cell];
        Place { cell, weight: math::max(0.0, into * self.inverse_widths[cell]), is_below: into < 0.0 }
    }

    /// The place of a count.
    fn place_of_count(&self, count: u32) -> Place {
        let x = math::u32_to_f64(count);
        match self.small.get(math::u32_to_usize(count)) {
            Some(&cell) => self.place_in(usize::from(cell), x),
            None => self.place(x),
        }
    }
}

/// `a` at `weight` 0, `b` at 1, and growing in `a` and in `b` also after rounding. `a <= b`.
fn blend(a: f64, b: f64, weight: f64) -> f64 {
    math::min(math::max((1.0 - weight) * a + weight * b, a), b)
}

impl Curve {
    /// The value at a count.
    pub(super) fn at(&self, count: u32) -> Reading {
        let place = self.axis.place_of_count(count);
        let value_us = blend(self.values[place.cell], self.values[place.cell + 1], place.weight);
        let outside = place.is_below || place.last_point() + 1 >= self.values.len();
        Reading { value_us, on_sample: !outside && place.weight <= 0.0, outside }
    }
}

impl Grid {
    /// The value at a count of requests or tokens and a context, which may be a mean.
    pub(super) fn at(&self, row: u32, column: f64) -> Reading {
        self.row(row).at(column)
    }

    /// The line along the contexts at a count of requests or tokens.
    pub(super) fn row(&self, row: u32) -> Row<'_> {
        let row = self.rows.place_of_count(row);
        Row { grid: self, row, num_measured: self.num_measured[row.last_point()], cell: Cell::NONE }
    }

    /// The cell at a place between rows and of so many columns before it.
    fn cell(&self, row: Place, column: usize) -> Cell {
        let corners = |row: usize| {
            let at = row * self.columns.len() + column;
            [self.values[at], self.values[at + 1]]
        };
        let upper = corners(row.cell);
        Cell {
            column,
            start: self.columns.points[column],
            end: self.columns.points[column + 1],
            inverse_width: self.columns.inverse_widths[column],
            upper,
            lower: if row.weight > 0.0 { corners(row.cell + 1) } else { upper },
            is_outside: true,
        }
    }
}

/// A grid at one count of requests or tokens.
#[derive(Debug, Clone)]
pub(super) struct Row<'a> {
    grid: &'a Grid,
    row: Place,
    /// Columns that were measured, of all rows that are read.
    num_measured: usize,
    /// The cell that was read last: a context that grows a little stays in it.
    cell: Cell,
}

/// A stretch of an axis, and the values at its ends in two rows.
#[derive(Debug, Clone, Copy)]
struct Cell {
    column: usize,
    start: f64,
    end: f64,
    inverse_width: f64,
    upper: [f64; 2],
    /// The same again where only one row is read.
    lower: [f64; 2],
    /// Whether samples do not enclose what lies between its ends.
    is_outside: bool,
}

impl Cell {
    /// Before any was read: no context is in it.
    const NONE: Self = Self {
        column: 0,
        start: 1.0,
        end: 0.0,
        inverse_width: 0.0,
        upper: [0.0; 2],
        lower: [0.0; 2],
        is_outside: true,
    };
}

impl Row<'_> {
    /// The value at a context.
    #[inline]
    pub(super) fn at(&mut self, column: f64) -> Reading {
        if !(self.cell.start <= column && column < self.cell.end) {
            self.enter(column);
        }
        let Self { grid, row, num_measured, cell } = self;
        let into = column - cell.start;
        let weight = math::max(0.0, into * cell.inverse_width);
        let along = |[a, b]: [f64; 2]| blend(a, b, weight);
        let upper = along(cell.upper);
        let value_us = if row.weight > 0.0 {
            let lower = along(cell.lower);
            let straight = blend(grid.blend.straighten(upper), grid.blend.straighten(lower), row.weight);
            math::min(math::max(grid.blend.unstraighten(straight), upper), lower)
        } else {
            upper
        };
        if weight > 0.0 {
            return Reading { value_us, on_sample: false, outside: cell.is_outside };
        }
        let outside = row.is_below || into < 0.0 || cell.column >= *num_measured;
        Reading { value_us, on_sample: !outside && row.weight <= 0.0, outside }
    }

    /// Looks up the cell of a context.
    #[inline(never)]
    fn enter(&mut self, column: f64) {
        self.cell = self.grid.cell(self.row, self.grid.columns.place(column).cell);
        // Rows get shorter downwards, so the lower row's end decides.
        self.cell.is_outside = self.row.is_below || self.cell.column + 1 >= self.num_measured;
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
        check(curve().at(1), 10.0, [true, false]);
        check(curve().at(4), 60.0, [true, false]);
        check(curve().at(3), 40.0, [false, false]);
        check(curve().at(0), 10.0, [false, true]);
        let beyond = curve().at(5);
        assert!(beyond.outside && (beyond.value_us - 80.0).abs() < 1e-4, "{beyond:?}");
    }

    #[test]
    fn grid_continues_a_row_that_could_not_be_measured_to_its_end() {
        let times = [vec![Some(1.0), Some(2.0), Some(4.0)], vec![Some(2.0), Some(5.0), None]];
        let grid = Grid::new(&[1, 3], &[10, 20, 40], &times, Blend::Linear);
        check(grid.at(1, 30.0), 3.0, [false, false]);
        check(grid.at(3, 20.0), 5.0, [true, false]);
        check(grid.at(2, 20.0), 3.5, [false, false]);
        check(grid.at(3, 40.0), 11.0, [false, true]);
        check(grid.at(2, 40.0), 7.5, [false, true]);
        check(grid.at(1, 5.0), 1.0, [false, true]);
    }

    #[test]
    fn square_root_blend_is_exact_for_squares() {
        let times = [vec![Some(4.0), Some(8.0)], vec![Some(16.0), Some(32.0)]];
        let grid = Grid::new(&[2, 4], &[0, 1], &times, Blend::SquareRoot);
        check(grid.at(3, 0.0), 9.0, [false, false]);
        let beyond = grid.at(8, 0.0);
        assert!(beyond.outside && (beyond.value_us / 64.0 - 1.0).abs() < 1e-4, "{beyond:?}");
    }
}
