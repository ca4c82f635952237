//! An estimate's figures at both ends of its range: the same requests, were every pass as short or as long as the range
//! says.

use std::fmt::Write as _;

use anyhow::Result;
use sim_core::config::EngineConfig;
use sim_core::metrics::bench_outputs::RecordedOutputs;
use sim_core::metrics::bench_serve::{BenchServeOptions, BenchmarkMetrics, Latencies};
use sim_core::metrics::bench_table::table;
use sim_core::profile::StepTimeModel;
use sim_core::profile::schema::TimeRange;
use sim_core::simulator::SimulationOptions;
use sim_core::workload::Workload;

use super::run::run;

/// A line for each figure of vLLM's table that is not the same at both ends; nothing unless the profile is an estimate.
pub(crate) fn lines(
    workload: &Workload,
    config: &EngineConfig,
    step_time: &StepTimeModel,
    options: &BenchServeOptions,
    quiet: bool,
) -> Result<String> {
    let Some(TimeRange { low, high }) = step_time.range() else { return Ok(String::new()) };
    let at = |factor: f64| -> Result<String> {
        let result = run(workload, config, &step_time.times(factor), SimulationOptions::default(), quiet)?;
        let outputs = RecordedOutputs::new(&result.recording);
        Ok(table(&BenchmarkMetrics::new(&outputs, &Latencies::new(&outputs), options), options))
    };
    let (fast, slow) = (at(low)?, at(high)?);
    let mut text = format!("Estimated; with passes that take {low} and {high} times as long:\n");
    text.push_str(&differing(&fast, &slow));
    Ok(text)
}

/// The lines of two tables of the same figures that have other values.
fn differing(fast: &str, slow: &str) -> String {
    let mut text = String::new();
    for (fast, slow) in fast.lines().zip(slow.lines()).filter(|(fast, slow)| fast != slow) {
        if let (Some((name, fast)), Some((_, slow))) = (fast.split_once(':'), slow.split_once(':')) {
            // Writing to a String cannot fail.
            writeln!(text, "{:<40} {} – {}", format!("{name}:"), fast.trim(), slow.trim()).unwrap_or_default();
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::differing;

    #[track_caller]
    fn check(fast: &str, slow: &str, expect: &str) {
        assert_eq!(differing(fast, slow), expect);
    }

    #[test]
    fn figures_that_differ_are_listed_with_both_values() {
        check(
            "==\nA (ms):   1.50\nB:  7\n",
            "==\nA (ms):   2.25\nB:  7\n",
            "A (ms):                                  1.50 – 2.25\n",
        );
        check("==\nB:  7\n", "==\nB:  7\n", "");
    }
}
