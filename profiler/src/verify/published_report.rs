//! What came of published runs: errors by model, GPU and number format.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use anyhow::Result;

use super::published::Row;
use crate::import::fit::runs::{Compared, Latency};

/// A configuration and what came of it.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) row: Row,
    pub(super) result: Result<Vec<Placed>>,
}

impl Outcome {
    /// Mean TTFT and TPOT in milliseconds, each measured and simulated; `None` if the row was not answered.
    pub(super) fn times(&self) -> Option<[(f64, f64); 2]> {
        let placed = self.result.as_ref().ok()?;
        let of = |latency: Latency| {
            let found = placed.iter().find(|placed| placed.compared.metric.latency == latency)?;
            Some((found.compared.measured, found.compared.simulated))
        };
        Some([of(Latency::Ttft)?, of(Latency::Tpot)?])
    }
}

/// A number that was measured and simulated, and the least and most that was simulated at the ends of a range.
#[derive(Debug)]
pub(super) struct Placed {
    compared: Compared,
    between: (f64, f64),
}

impl Placed {
    /// With a range of nothing but itself.
    pub(super) const fn new(compared: Compared) -> Self {
        let between = (compared.simulated, compared.simulated);
        Self { compared, between }
    }

    /// Takes the value of an end in.
    pub(super) fn widen(&mut self, simulated: f64) {
        self.between = (self.between.0.min(simulated), self.between.1.max(simulated));
    }

    fn is_within(&self) -> bool {
        (self.between.0..=self.between.1).contains(&self.compared.measured)
    }
}

/// What came of all rows.
#[derive(Debug)]
pub(crate) struct Report {
    pub(super) outcomes: Vec<Outcome>,
    /// Whether rows were simulated at the ends of their profiles' ranges.
    pub(super) has_range: bool,
}

/// Errors of a cell.
#[derive(Debug, Default, Clone)]
struct Errors {
    num_rows: u32,
    /// TTFT, TPOT.
    of: [Vec<f64>; 2],
    /// How many measured ones lie within the range.
    within: [u32; 2],
}

impl Errors {
    fn add(&mut self, outcome: &Outcome) {
        self.num_rows += 1;
        for placed in outcome.result.iter().flatten() {
            let place = usize::from(placed.compared.metric.latency == Latency::Tpot);
            self.of[place].push(placed.compared.error());
            self.within[place] += u32::from(placed.is_within());
        }
    }

    /// Shares of measured TTFTs and TPOTs within the range.
    fn coverage(&self) -> [f64; 2] {
        [0, 1].map(|place| f64::from(self.within[place]) / self.of[place].len().max(1) as f64)
    }

    fn line(&self, has_range: bool) -> String {
        let [covered_ttft, covered_tpot] = self.coverage().map(|share| 100.0 * share);
        let coverage = if has_range { format!(" {covered_ttft:>9.1} {covered_tpot:>8.1}") } else { String::new() };
        let mean = |values: &[f64]| 100.0 * values.iter().sum::<f64>() / values.len().max(1) as f64;
        let sizes = |values: &[f64]| values.iter().map(|value| value.abs()).collect::<Vec<f64>>();
        let [ttft, tpot] = &self.of;
        format!(
            "{:>5} {:>9} {:>9.1} {:>+8.1} {:>9.1} {:>+8.1}{coverage}",
            self.num_rows,
            tpot.len(),
            mean(&sizes(ttft)),
            mean(ttft),
            mean(&sizes(tpot)),
            mean(tpot)
        )
    }
}

impl Report {
    /// Rows that were answered, and mean sizes of the errors of TTFT and TPOT, as shares.
    #[cfg(test)]
    pub(super) fn summary(&self) -> (usize, [f64; 2]) {
        let mut errors = Errors::default();
        self.outcomes.iter().for_each(|outcome| errors.add(outcome));
        let mean = |values: &[f64]| values.iter().map(|value| value.abs()).sum::<f64>() / values.len().max(1) as f64;
        (errors.of[1].len(), [mean(&errors.of[0]), mean(&errors.of[1])])
    }

    /// Shares of measured TTFTs and TPOTs within the range.
    #[cfg(test)]
    pub(super) fn coverage(&self) -> [f64; 2] {
        let mut errors = Errors::default();
        self.outcomes.iter().for_each(|outcome| errors.add(outcome));
        errors.coverage()
    }

    /// A table by model, GPU and number format.
    pub(crate) fn table(&self) -> Result<String> {
        let mut cells: BTreeMap<(String, String, String), Errors> = BTreeMap::new();
        let mut models: BTreeMap<String, Errors> = BTreeMap::new();
        let mut all = Errors::default();
        let mut refusals: BTreeMap<String, u32> = BTreeMap::new();
        for outcome in &self.outcomes {
            let cell = outcome.row.cell();
            models.entry(cell.0.clone()).or_default().add(outcome);
            cells.entry(cell).or_default().add(outcome);
            all.add(outcome);
            if let Err(error) = &outcome.result {
                *refusals.entry(format!("{}: {error:#}", outcome.row.model)).or_default() += 1;
            }
        }
        let mut text = String::new();
        let [over, under] = if self.has_range { ["    within range, %", "      TTFT     TPOT"] } else { [""; 2] };
        writeln!(
            text,
            "{:<52} {:>5} {:>9} {:>18} {:>18}{over}",
            "", "rows", "answered", "mean TTFT, error %", "mean TPOT, error %"
        )?;
        writeln!(
            text,
            "{:<52} {:>5} {:>9} {:>9} {:>8} {:>9} {:>8}{under}",
            "model, GPU, format", "", "", "size", "bias", "size", "bias"
        )?;
        for ((model, gpu, format), errors) in &cells {
            writeln!(text, "{:<52} {}", format!("{model} {gpu} {format}"), errors.line(self.has_range))?;
        }
        writeln!(text)?;
        for (model, errors) in &models {
            writeln!(text, "{model:<52} {}", errors.line(self.has_range))?;
        }
        writeln!(text, "{:<52} {}", "all", all.line(self.has_range))?;
        for (refusal, count) in &refusals {
            writeln!(text, "not answered, {count} rows: {refusal}")?;
        }
        Ok(text)
    }

    /// How good choices among the rows are.
    pub(crate) fn ranking(&self) -> Result<String> {
        super::ranking::table(self)
    }

    /// A line for each row: for looking closer.
    pub(crate) fn rows(&self) -> Result<String> {
        let mut text = String::new();
        for outcome in &self.outcomes {
            let row = &outcome.row;
            let (model, gpu, format) = row.cell();
            write!(
                text,
                "{model},{gpu},{format},tp{} dp{} ep{},{},{},{}",
                row.setup.tensor_parallel_size,
                row.setup.data_parallel_size,
                u8::from(row.setup.enable_expert_parallel),
                row.input,
                row.output,
                row.concurrency
            )?;
            match &outcome.result {
                Ok(placed) => {
                    for Placed { compared: one, .. } in placed {
                        let (measured, simulated) = (one.measured, one.simulated);
                        write!(text, ",{measured:.2},{simulated:.2},{:+.1}", 100.0 * one.error())?;
                    }
                    writeln!(text, ",{}", row.id)?;
                }
                Err(error) => writeln!(text, ",{error:#},{}", row.id)?,
            }
        }
        Ok(text)
    }
}
