//! Checked, sorted tables, extended once so that a lookup never leaves them.
//!
//! Beyond its last point every axis gets one guard point far outside, reached in a straight line from the last cell.
//! Reading beyond the samples is then ordinary interpolation in a guard cell. The guard values are made to grow with
//! both arguments, so a table that is monotone within its samples is monotone everywhere.

use alloc::vec::Vec;

use super::interpolate::{Axis, Blend};
use crate::math;

/// Where the guard points stand: above every number of tokens and requests there is.
const FAR: f64 = 4_294_967_296.0;

/// Values over one axis.
#[derive(Debug, Clone)]
pub(super) struct Curve {
    /// Sample positions and the guard.
    pub(super) axis: Axis,
    /// Value at each.
    pub(super) values: Vec<f64>,
}

/// Values over two axes, row by row.
#[derive(Debug, Clone)]
pub(super) struct Grid {
    /// Sample positions of the rows, and the guard.
    pub(super) rows: Axis,
    /// Sample positions of the columns, and the guard.
    pub(super) columns: Axis,
    /// `values[row * columns.len() + column]`.
    pub(super) values: Vec<f64>,
    /// How many of a row's values were measured; none of the guard row's. Not growing from row to row.
    pub(super) num_measured: Vec<usize>,
    /// How values are blended between rows.
    pub(super) blend: Blend,
}

impl Curve {
    /// A curve through a checked table's samples.
    pub(super) fn new(axis: &[u32], values: &[f64]) -> Self {
        let mut axis: Vec<f64> = axis.iter().map(|&x| math::u32_to_f64(x)).collect();
        let mut values = values.to_vec();
        let guard = beyond(&axis, &values, 0.0).0;
        axis.push(FAR);
        values.push(guard);
        Self { axis: Axis::new(axis), values }
    }
}

impl Grid {
    /// A grid through a checked table's samples.
    pub(super) fn new(rows: &[u32], columns: &[u32], times: &[Vec<Option<f64>>], blend: Blend) -> Self {
        let mut columns: Vec<f64> = columns.iter().map(|&x| math::u32_to_f64(x)).collect();
        let mut filled: Vec<Vec<f64>> = Vec::with_capacity(times.len() + 1);
        let mut num_measured: Vec<usize> = Vec::with_capacity(times.len() + 1);
        let mut slope = 0.0;
        for row in times {
            let mut values: Vec<f64> = row.iter().copied().map_while(|time| time).collect();
            num_measured.push(values.len());
            let end = values.len();
            // A longer batch must not be read as shorter than the row above, neither in the gap nor far outside.
            for column in end..columns.len() {
                let line = beyond_at(&columns[..end], &values[..end], 0.0, columns[column]).0;
                let above = filled.last().map_or(0.0, |above: &Vec<f64>| above[column]);
                let before = values.last().copied().unwrap_or(0.0);
                values.push(math::max(math::max(line, above), before));
            }
            let (guard, own_slope) = beyond(&columns, &values, slope);
            slope = own_slope;
            values.push(guard);
            filled.push(values);
        }
        columns.push(FAR);
        let mut rows: Vec<f64> = rows.iter().map(|&x| math::u32_to_f64(x)).collect();
        if let Some(guard_row) = guard_row(&rows, &filled, blend) {
            filled.push(guard_row);
        }
        rows.push(FAR);
        num_measured.push(0);
        Self { rows: Axis::new(rows), columns: Axis::new(columns), values: filled.concat(), num_measured, blend }
    }
}

/// The row far outside: each column's line through its last two rows, none of them less steep than the one before.
fn guard_row(rows: &[f64], filled: &[Vec<f64>], blend: Blend) -> Option<Vec<f64>> {
    let [.., before, last] = filled else {
        return None;
    };
    let [.., row_before, row_last] = rows else {
        return None;
    };
    let mut slope = 0.0;
    let mut guards = Vec::with_capacity(last.len());
    for (&a, &b) in before.iter().zip(last) {
        let (a, b) = (blend.straighten(a), blend.straighten(b));
        slope = math::max(slope, (b - a) / (row_last - row_before));
        guards.push(blend.unstraighten(b + slope * (FAR - row_last)));
    }
    Some(guards)
}

/// The value at the guard point on the line through the last two points, and its slope, which is at least `min_slope`.
fn beyond(axis: &[f64], values: &[f64], min_slope: f64) -> (f64, f64) {
    beyond_at(axis, values, min_slope, FAR)
}

fn beyond_at(axis: &[f64], values: &[f64], min_slope: f64, x: f64) -> (f64, f64) {
    let ([.., x0, x1], [.., y0, y1]) = (axis, values) else {
        // A checked table has two points on every axis; one point would be a constant.
        return (values.last().copied().unwrap_or(0.0), min_slope);
    };
    let slope = math::max(min_slope, (y1 - y0) / (x1 - x0));
    (y1 + slope * (x - x1), slope)
}
