//! A run repeated at both ends of its profile's range.

use sim_core::config::EngineConfig;
use sim_core::metrics::bench_outputs::RecordedOutputs;
use sim_core::metrics::bench_serve::{BenchServeOptions, BenchmarkMetrics, Latencies};
use sim_core::metrics::figure_ranges::RunRange;
use sim_core::profile::StatedRange;
use sim_core::scenario::{Engines, Prepared, told};
use sim_core::simulation_result::SimulationResult;
use sim_core::simulator::SimulationOptions;

use super::metric;
use super::run::{Host, Ready, Setup};
use super::summary::totals;
use crate::answer::{Bound, RangeAnswer, Totals};
use crate::protocol::RunInput;

/// How far the figures of the run of `input` may be off. Its own figures are not among them: whoever asks has those.
///
/// # Errors
/// The message of whatever refuses the run; or the profile has no range.
pub(super) fn range(input: &RunInput, host: &mut dyn Host) -> Result<RangeAnswer, String> {
    let Ready { profile, engines, prepared, .. } = Ready::new(input, host)?;
    if engines != Engines::One {
        return Err("how far figures may be off is found out for one engine; several are not repeated".to_owned());
    }
    let stated = StatedRange::of(&profile).ok_or("the profile does not say how far it may be off")?;
    let Prepared { engine, workload, step_time, options, .. } = prepared;
    let mut range = RunRange::new(stated.factors(), told::stated_range(&stated));
    let mut bounds = Vec::new();
    for (factor, step_time) in stated.ends(&step_time) {
        let keep = SimulationOptions::default();
        let setup = Setup { workload: &workload, config: &engine.config, step_time: &step_time };
        let result = setup.alone(keep, host)?;
        let (metrics, bound) = bound(factor, &engine.config, &result, &options);
        range.include(&metrics, &options);
        bounds.push(bound);
    }
    Ok(RangeAnswer { range, bounds })
}

/// What the page shows of a run at an end.
fn bound(
    factor: f64,
    engine: &EngineConfig,
    result: &SimulationResult,
    options: &BenchServeOptions,
) -> (BenchmarkMetrics, Bound) {
    let outputs = RecordedOutputs::without_itls(&result.recording);
    let latencies = Latencies::new(&outputs);
    let metrics = BenchmarkMetrics::new(&outputs, &latencies, options);
    let engine = told::engine_summary(engine, result).totals;
    let bound = Bound {
        factor,
        share_met: options.goodput.share_met(&outputs),
        goodput: metrics.request_goodput,
        totals: Totals {
            num_preemptions: engine.num_preemptions,
            prefix_cache_hit_rate: engine.prefix_cache_hit_rate(),
            ..totals(&metrics)
        },
        metrics: metric::metrics(&latencies, &options.goodput),
    };
    (metrics, bound)
}
