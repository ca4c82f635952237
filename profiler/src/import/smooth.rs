//! Monotone tables from noisy measurements, and the record of what that changed.
//!
//! More work cannot take less time, but a measurement of it can. The nearest monotone table in relative terms is the
//! isotonic regression of the logarithms: pool adjacent violators along one axis (Ayer et al. 1955), Dykstra's
//! alternating projections (1983) where there are two.

use sim_core::profile::schema::Smoothing;

const METHOD: &str = "Made non-decreasing along every axis, as more work cannot take less: isotonic regression of the \
                      logarithm (pool adjacent violators, Dykstra's projections for two axes).";

/// Rounds of projections; the change of a round falls below any measurement's precision long before.
const ROUNDS: u32 = 500;

/// Changes below this share are rounding.
const NO_CHANGE: f64 = 1e-5;

/// The nearest non-decreasing sequence in least squares.
pub(crate) fn isotonic(values: &[f64]) -> Vec<f64> {
    let mut pools: Vec<(f64, u32)> = Vec::with_capacity(values.len());
    for &value in values {
        let mut pool = (value, 1);
        while let Some(&(before, count)) = pools.last() {
            if before <= pool.0 {
                break;
            }
            pools.pop();
            let total = count + pool.1;
            pool = ((before * f64::from(count) + pool.0 * f64::from(pool.1)) / f64::from(total), total);
        }
        pools.push(pool);
    }
    pools.into_iter().flat_map(|(mean, count)| (0..count).map(move |_| mean)).collect()
}

/// The nearest non-decreasing times above 0, in relative terms; not rounded.
pub(crate) fn isotonic_times(times: &[f64]) -> Vec<f64> {
    let logs: Vec<f64> = times.iter().map(|time| time.ln()).collect();
    isotonic(&logs).into_iter().map(f64::exp).collect()
}

/// Times above 0 over one axis, made non-decreasing and rounded to hundredths.
pub(crate) fn curve(name: &str, values: &[f64]) -> (Vec<f64>, Smoothing) {
    let (rows, smoothing) = grid(name, &[values.to_vec()]);
    (rows.into_iter().next().unwrap_or_default(), smoothing)
}

/// Times above 0 over two axes, made non-decreasing along both and rounded to hundredths. A row may be shorter than the
/// one above it, as in a table whose last columns were not measured for large batches.
pub(crate) fn grid(name: &str, rows: &[Vec<f64>]) -> (Vec<Vec<f64>>, Smoothing) {
    let mut logs: Vec<Vec<f64>> = rows.iter().map(|row| row.iter().map(|time| time.ln()).collect()).collect();
    let zero: Vec<Vec<f64>> = rows.iter().map(|row| vec![0.0; row.len()]).collect();
    let (mut rows_off, mut columns_off) = (zero.clone(), zero);
    let rounds = if rows.len() < 2 { 1 } else { ROUNDS };
    for _ in 0..rounds {
        project(&mut logs, &mut rows_off, along_rows);
        if rows.len() > 1 {
            project(&mut logs, &mut columns_off, along_columns);
        }
    }
    let mut smooth: Vec<Vec<f64>> = logs.iter().map(|row| row.iter().map(|log| round(log.exp())).collect()).collect();
    settle(&mut smooth);
    let smoothing = record(name, METHOD, rows, &smooth);
    (smooth, smoothing)
}

/// One of Dykstra's projections: `off` is what this projection took away the last time.
fn project(table: &mut Vec<Vec<f64>>, off: &mut [Vec<f64>], solve: fn(&[Vec<f64>]) -> Vec<Vec<f64>>) {
    for (row, offs) in table.iter_mut().zip(off.iter()) {
        row.iter_mut().zip(offs).for_each(|(value, off)| *value += off);
    }
    let solved = solve(table);
    for ((row, offs), solved) in table.iter().zip(off.iter_mut()).zip(&solved) {
        for ((off, shifted), value) in offs.iter_mut().zip(row).zip(solved) {
            *off = shifted - value;
        }
    }
    *table = solved;
}

fn along_rows(table: &[Vec<f64>]) -> Vec<Vec<f64>> {
    table.iter().map(|row| isotonic(row)).collect()
}

fn along_columns(table: &[Vec<f64>]) -> Vec<Vec<f64>> {
    let mut solved = table.to_vec();
    for column in 0..table.first().map_or(0, Vec::len) {
        let values: Vec<f64> = table.iter().map_while(|row| row.get(column).copied()).collect();
        for (row, value) in solved.iter_mut().zip(isotonic(&values)) {
            row[column] = value;
        }
    }
    solved
}

/// The projections converge from outside; the last hair's breadth and the rounding are settled here.
fn settle(table: &mut [Vec<f64>]) {
    for r in 0..table.len() {
        for c in 0..table[r].len() {
            let above = if r > 0 { table[r - 1].get(c).copied().unwrap_or(0.0) } else { 0.0 };
            let before = if c > 0 { table[r][c - 1] } else { 0.0 };
            table[r][c] = table[r][c].max(above).max(before);
        }
    }
}

fn round(time: f64) -> f64 {
    (time * 100.0).round() / 100.0
}

/// What a change did to a table, given as rows before and after.
pub(crate) fn record(table: &str, method: &str, before: &[Vec<f64>], after: &[Vec<f64>]) -> Smoothing {
    let pairs = before.iter().flatten().zip(after.iter().flatten());
    let changes: Vec<f64> = pairs.map(|(before, after)| (after / before - 1.0).abs()).collect();
    let num_changed = changes.iter().filter(|&&change| change > NO_CHANGE).count();
    let max = changes.iter().copied().fold(0.0, f64::max);
    let mean = changes.iter().sum::<f64>() / (changes.len().max(1) as f64);
    let six = |share: f64| (share * 1e6).round() / 1e6;
    Smoothing {
        table: table.to_owned(),
        method: method.to_owned(),
        num_changed: u32::try_from(num_changed).unwrap_or(u32::MAX),
        max_relative_change: six(max),
        mean_relative_change: six(mean).min(six(max)),
    }
}

#[cfg(test)]
mod tests {
    use super::{curve, grid, isotonic};

    #[track_caller]
    fn check(values: &[f64], expect: &[f64]) {
        assert_eq!(isotonic(values), expect);
    }

    #[test]
    fn violators_are_pooled_to_their_mean() {
        check(&[1.0, 2.0, 3.0], &[1.0, 2.0, 3.0]);
        check(&[1.0, 3.0, 2.0, 4.0], &[1.0, 2.5, 2.5, 4.0]);
        check(&[6.0, 4.0, 2.0], &[4.0, 4.0, 4.0]);
        check(&[], &[]);
    }

    #[test]
    fn a_curve_is_smoothed_in_relative_terms_and_the_change_is_recorded() {
        let (smooth, record) = curve("head", &[10.0, 40.0, 10.0, 80.0]);
        assert_eq!(smooth, [10.0, 20.0, 20.0, 80.0]);
        assert_eq!((record.table.as_str(), record.num_changed), ("head", 2));
        assert_eq!((record.max_relative_change, record.mean_relative_change), (1.0, 0.375));
    }

    #[test]
    fn a_grid_with_shorter_rows_becomes_monotone_along_both_axes() {
        let noisy = [vec![5.0, 4.0, 9.0], vec![4.0, 7.0, 8.0], vec![6.0, 5.0]];
        let (smooth, record) = grid("decode_attention", &noisy);
        for r in 0..smooth.len() {
            for c in 0..smooth[r].len() {
                assert!(c == 0 || smooth[r][c] >= smooth[r][c - 1], "{smooth:?}");
                assert!(r == 0 || smooth[r][c] >= smooth[r - 1][c], "{smooth:?}");
            }
        }
        assert_eq!(smooth[2].len(), 2);
        assert!(record.max_relative_change < 0.25, "the nearest monotone table is near: {record:?}");
    }

    #[test]
    fn a_monotone_grid_stays_as_it_is() {
        let monotone = [vec![1.0, 2.0], vec![1.5, 3.0]];
        let (smooth, record) = grid("prefill_attention", &monotone);
        assert_eq!(smooth, monotone);
        assert_eq!((record.num_changed, record.max_relative_change), (0, 0.0));
    }
}
