//! How far a run's figures may be off: the same requests, were every pass as short or as long as the profile's range says.

use std::fmt::Write as _;

use anyhow::Result;
use sim_core::config::EngineConfig;
use sim_core::metrics::bench_outputs::RecordedOutputs;
use sim_core::metrics::bench_serve::{BenchServeOptions, BenchmarkMetrics};
use sim_core::metrics::bench_table::table;
use sim_core::metrics::figure_ranges::RunRange;
use sim_core::profile::{StatedRange, StepTimeModel};
use sim_core::scenario::told;
use sim_core::simulation_result::SimulationResult;
use sim_core::workload::Workload;

use super::run::bar;
use crate::many::{Progress, Run, Watch, simulate_many};

/// A run repeated at both ends of a range.
#[derive(Debug)]
pub(crate) struct Ends {
    /// For the result file.
    pub(crate) range: RunRange,
    /// A line for each figure of vLLM's table that is not everywhere the same.
    pub(crate) text: String,
}

impl Ends {
    /// Repeats the run `own` of `workload` at both ends of `stated`.
    ///
    /// # Errors
    /// If the simulator refuses it, which it did not the first time.
    pub(crate) fn new(
        stated: &StatedRange,
        own: &SimulationResult,
        (workload, config, step_time): (&Workload, &EngineConfig, &StepTimeModel),
        options: &BenchServeOptions,
        quiet: bool,
    ) -> Result<Self> {
        let metrics = |result: &SimulationResult| {
            let outputs = RecordedOutputs::new(&result.recording);
            BenchmarkMetrics::of(&outputs, options)
        };
        let own = metrics(own);
        let [low, high] = stated.factors();
        let mut range = RunRange::new([low, high], told::stated_range(stated));
        range.include(&own, options);
        let ends = stated.ends(step_time);
        let runs: Vec<Run<'_>> =
            ends.iter().map(|(_, step_time)| Run { workload, config, step_time, options }).collect();
        let bar = bar(runs.len(), "{bar:20} {pos}/{len} runs at the ends of the range", quiet);
        let on_progress = |progress: Progress| bar.set_position(progress.num_over as u64);
        let summaries = simulate_many(&runs, Watch { on_progress: Some(&on_progress), ..Watch::default() });
        bar.finish_and_clear();
        let mut tables = vec![];
        for summary in summaries {
            let end = summary?.metrics;
            range.include(&end, options);
            tables.push(table(&end, options));
        }
        let noise = if tables.len() > 2 {
            format!(", and {} draws of the noise at each end", tables.len() / 2)
        } else {
            String::new()
        };
        let mut text = format!("With passes that take {low:.2} to {high:.2} times as long{noise}:\n");
        text.push_str(&beside(&table(&own, options), &tables));
        Ok(Self { range, text })
    }
}

/// The figures of a table with the smallest and largest of the same figure in it and in `others`, where these differ.
fn beside(own: &str, others: &[String]) -> String {
    fn figure<'a>(table: &'a str, wanted: &str) -> Option<&'a str> {
        let mut figures = table.lines().filter_map(|line| line.split_once(':'));
        figures.find(|(name, _)| *name == wanted).map(|(_, value)| value.trim())
    }
    let mut text = String::new();
    for (name, value) in own.lines().filter_map(|line| line.split_once(':')) {
        let value = value.trim();
        let mut all: Vec<(f64, &str)> = std::iter::once(value)
            .chain(others.iter().filter_map(|other| figure(other, name)))
            .filter_map(|value| Some((value.parse().ok()?, value)))
            .collect();
        all.sort_by(|a, b| a.0.total_cmp(&b.0));
        if let (Some((_, least)), Some((_, most))) = (all.first(), all.last())
            && least != most
        {
            // Writing to a String cannot fail.
            writeln!(text, "{:<40} {value:<10} {least} – {most}", format!("{name}:")).unwrap_or_default();
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::beside;

    #[track_caller]
    fn check(own: &str, others: &[&str], expect: &str) {
        let others: Vec<String> = others.iter().map(|&other| other.to_owned()).collect();
        assert_eq!(beside(own, &others), expect);
    }

    #[test]
    fn figures_that_differ_stand_beside_their_range() {
        check(
            "==\nA (ms):   1.75\nB:  7\nC: 10.00\n",
            &["==\nA (ms):   2.25\nB:  7\nC: 9.00\n", "==\nA (ms):   1.50\nB:  7\nD: 1\nC: 9.50\n"],
            "A (ms):                                  1.75       1.50 – 2.25\n\
             C:                                       10.00      9.00 – 10.00\n",
        );
        check("==\nB:  7\n", &["==\nB:  7\n"], "");
        check("Words:\nB:  7\n", &[], "");
    }
}
