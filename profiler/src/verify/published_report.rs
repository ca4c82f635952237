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
    pub(super) result: Result<Vec<Compared>>,
}

/// What came of all rows.
#[derive(Debug)]
pub(crate) struct Report {
    pub(super) outcomes: Vec<Outcome>,
}

/// Errors of a cell.
#[derive(Debug, Default, Clone)]
struct Errors {
    num_rows: u32,
    /// TTFT, TPOT.
    of: [Vec<f64>; 2],
}

impl Errors {
    fn add(&mut self, outcome: &Outcome) {
        self.num_rows += 1;
        for compared in outcome.result.iter().flatten() {
            let place = usize::from(compared.metric.latency == Latency::Tpot);
            self.of[place].push(compared.error());
        }
    }

    fn line(&self) -> String {
        let mean = |values: &[f64]| 100.0 * values.iter().sum::<f64>() / values.len().max(1) as f64;
        let sizes = |values: &[f64]| values.iter().map(|value| value.abs()).collect::<Vec<f64>>();
        let [ttft, tpot] = &self.of;
        format!(
            "{:>5} {:>9} {:>9.1} {:>+8.1} {:>9.1} {:>+8.1}",
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
        writeln!(
            text,
            "{:<52} {:>5} {:>9} {:>18} {:>18}",
            "", "rows", "answered", "mean TTFT, error %", "mean TPOT, error %"
        )?;
        writeln!(
            text,
            "{:<52} {:>5} {:>9} {:>9} {:>8} {:>9} {:>8}",
            "model, GPU, format", "", "", "size", "bias", "size", "bias"
        )?;
        for ((model, gpu, format), errors) in &cells {
            writeln!(text, "{:<52} {}", format!("{model} {gpu} {format}"), errors.line())?;
        }
        writeln!(text)?;
        for (model, errors) in &models {
            writeln!(text, "{model:<52} {}", errors.line())?;
        }
        writeln!(text, "{:<52} {}", "all", all.line())?;
        for (refusal, count) in &refusals {
            writeln!(text, "not answered, {count} rows: {refusal}")?;
        }
        Ok(text)
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
                Ok(compared) => {
                    for one in compared {
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
