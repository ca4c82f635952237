//! One time for each shape: the median of repeats, then of versions.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;

use super::columns::{Columns, Wanted};
use super::package::TableFile;

/// A measurement of one shape.
#[derive(Debug, Clone, PartialEq)]
struct Sample {
    /// 0 for the newest file.
    file: usize,
    kernel: String,
    time_us: f64,
}

/// Times by shape, and the kernels behind them.
#[derive(Debug)]
pub(crate) struct Measured<K> {
    /// Median times in microseconds.
    pub(crate) times: BTreeMap<K, f64>,
    /// The newest file's kernels of these shapes.
    pub(crate) kernels: BTreeSet<String>,
}

/// Reads files of one table, newest first, and takes from each row the shape that `shape` makes of it, if any.
///
/// Where a shape was measured under several versions of vLLM, older ones count as long as the kernel is still the same;
/// what another kernel took says nothing about this one.
///
/// # Errors
/// If a file cannot be read.
pub(crate) fn read<K: Ord>(
    files: &[TableFile],
    wanted: &Wanted,
    shape: impl Fn(&Columns, usize) -> Option<K>,
) -> Result<Measured<K>> {
    let mut samples: BTreeMap<K, Vec<Sample>> = BTreeMap::new();
    for (number, file) in files.iter().enumerate() {
        let columns = Columns::read(&file.bytes, &file.name, wanted)?;
        for row in 0..columns.num_rows() {
            if let Some(shape) = shape(&columns, row) {
                let kernel = columns.text("kernel_source", row).to_owned();
                let time_us = columns.time_us(row);
                samples.entry(shape).or_default().push(Sample { file: number, kernel, time_us });
            }
        }
    }
    let mut kernels = BTreeSet::new();
    let times =
        samples.into_iter().map(|(shape, samples)| (shape, median_of_versions(&samples, &mut kernels))).collect();
    Ok(Measured { times, kernels })
}

fn median_of_versions(samples: &[Sample], kernels: &mut BTreeSet<String>) -> f64 {
    let newest = samples.iter().map(|sample| sample.file).min().unwrap_or(0);
    let current: BTreeSet<&str> =
        samples.iter().filter(|sample| sample.file == newest).map(|sample| sample.kernel.as_str()).collect();
    let mut by_file: BTreeMap<usize, Vec<f64>> = BTreeMap::new();
    for sample in samples.iter().filter(|sample| current.contains(sample.kernel.as_str())) {
        by_file.entry(sample.file).or_default().push(sample.time_us);
    }
    kernels.extend(current.into_iter().map(str::to_owned));
    median(by_file.into_values().map(median).collect())
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match (values.len() % 2, values.get(middle)) {
        (1, Some(&value)) => value,
        (_, Some(&upper)) => f64::midpoint(values[middle - 1], upper),
        _ => 0.0,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{Sample, median_of_versions};

    #[track_caller]
    fn check(samples: &[(usize, &str, f64)], expect: f64) {
        let samples: Vec<Sample> = samples
            .iter()
            .map(|&(file, kernel, time_us)| Sample { file, kernel: kernel.to_owned(), time_us })
            .collect();
        let median = median_of_versions(&samples, &mut BTreeSet::new());
        assert!((median - expect).abs() < 1e-12, "{median} instead of {expect}");
    }

    #[test]
    fn a_shape_has_the_median_of_versions_of_medians_of_repeats() {
        check(&[(0, "a", 3.0)], 3.0);
        check(&[(0, "a", 3.0), (0, "a", 5.0), (0, "a", 100.0)], 5.0);
        check(&[(0, "a", 3.0), (1, "a", 5.0)], 4.0);
        check(&[(0, "a", 3.0), (1, "a", 5.0), (2, "a", 9.0), (2, "a", 9.0)], 5.0);
    }

    #[test]
    fn another_kernel_of_an_older_version_does_not_count() {
        check(&[(0, "new", 3.0), (1, "old", 5.0), (1, "new", 4.0)], 3.5);
        check(&[(1, "old", 5.0)], 5.0);
    }
}
