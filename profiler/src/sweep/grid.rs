//! A grid: axes crossed, the last one fastest.

use std::path::PathBuf;

use anyhow::{Result, bail, ensure};

use super::axis::{Axis, Parameter, parse_links};
use super::{MAX_POINTS, too_many};

/// What is varied.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct GridFlags {
    /// Flags of this command to vary, each crossed with all others: a list, or ranges 1..20, 1..20:0.5 (steps), 1..20/5
    /// (5 values), 16..1024*2 (factor), 1..100*/5 (5 values in ratio); `default` leaves the flag alone
    #[arg(long, num_args = 1.., value_name = "FLAG=VALUES")]
    grid: Vec<String>,
    /// Flags to vary together, not crossed: their first values, their second values, …
    #[arg(long, num_args = 2.., value_name = "FLAG=VALUES")]
    zip: Vec<String>,
    /// Flags of `vllm serve` to vary: a parameter file of `vllm bench sweep`
    #[arg(long, value_name = "FILE")]
    serve_params: Option<PathBuf>,
    /// Flags of `vllm bench serve` to vary: a parameter file of `vllm bench sweep`; each of its records is run with each of
    /// --serve-params
    #[arg(long, value_name = "FILE")]
    bench_params: Option<PathBuf>,
    /// Only records of the two files with equal values of these flags, as in `vllm bench sweep`: SERVE=BENCH,…
    #[arg(long, value_name = "PAIRS", requires_all = ["serve_params", "bench_params"])]
    link_vars: Option<String>,
}

/// Axes crossed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Grid<'a> {
    axes: &'a [Axis],
}

impl GridFlags {
    /// The axes.
    ///
    /// # Errors
    /// If a flag or value is none, a flag varies twice, nothing varies, or there would be more than [`MAX_POINTS`] points.
    pub(crate) fn axes(&self) -> Result<Vec<Axis>> {
        let mut axes = vec![];
        if self.serve_params.is_some() || self.bench_params.is_some() {
            let links = self.link_vars.as_deref().map(parse_links).transpose()?.unwrap_or_default();
            axes.push(Axis::of_files(self.serve_params.as_deref(), self.bench_params.as_deref(), &links)?);
        }
        if !self.zip.is_empty() {
            axes.push(Axis::zipped(&self.zip)?);
        }
        for word in &self.grid {
            axes.push(Axis::of_word(word, "--grid")?);
        }
        ensure!(!axes.is_empty(), "nothing varies: give --grid FLAG=VALUES, or a parameter file of vllm bench sweep");
        let mut names: Vec<&str> = axes.iter().flat_map(|axis| &axis.parameters).map(|one| one.name.as_str()).collect();
        names.sort_unstable();
        if let Some([name, ..]) = names.windows(2).find(|pair| pair.first() == pair.last()) {
            bail!("{name} varies twice; each flag varies in one place");
        }
        Grid::new(&axes).check()?;
        Ok(axes)
    }
}

impl<'a> Grid<'a> {
    pub(crate) const fn new(axes: &'a [Axis]) -> Self {
        Self { axes }
    }

    /// Whether a sweep has so many points.
    ///
    /// # Errors
    /// If there are more than [`MAX_POINTS`].
    pub(crate) fn check(&self) -> Result<()> {
        let lengths = self.axes.iter().map(|axis| axis.places.len() as u128);
        let number = lengths.fold(1, u128::saturating_mul);
        ensure!(number <= MAX_POINTS as u128, too_many(number, &self.told()));
        Ok(())
    }

    /// Every axis, with its length, for people.
    pub(crate) fn told(&self) -> String {
        let told = |axis: &Axis| format!("{} {}", axis.places.len(), axis.names());
        self.axes.iter().map(told).collect::<Vec<_>>().join(" × ")
    }

    pub(crate) fn num_points(&self) -> usize {
        self.axes.iter().map(|axis| axis.places.len()).product()
    }

    /// What varies, in the order of [`Self::values`].
    pub(crate) fn parameters(&self) -> impl Iterator<Item = &'a Parameter> {
        self.axes.iter().flat_map(|axis| &axis.parameters)
    }

    /// The values at a point, the last axis going round first.
    pub(crate) fn values(&self, point: usize) -> Vec<Option<&'a str>> {
        let mut left = point;
        let mut places: Vec<&Vec<Option<String>>> = vec![];
        for axis in self.axes.iter().rev() {
            let length = axis.places.len().max(1);
            places.extend(axis.places.get(left % length));
            left /= length;
        }
        places.into_iter().rev().flatten().map(Option::as_deref).collect()
    }

    /// The values that a parameter has somewhere.
    pub(crate) fn values_of(&self, parameter: usize) -> Vec<&'a str> {
        let mut first = 0;
        for axis in self.axes {
            if let Some(column) = parameter.checked_sub(first).filter(|column| *column < axis.parameters.len()) {
                return axis.places.iter().filter_map(|place| place.get(column)?.as_deref()).collect();
            }
            first += axis.parameters.len();
        }
        vec![]
    }
}
