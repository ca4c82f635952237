//! What is kept of a run in little memory says what the whole recording says, to the bit.

use proptest::prelude::*;
use sim_core::config::EngineConfig;
use sim_core::metrics::bench_outputs::{BenchOutputs, RecordedOutputs};
use sim_core::metrics::bench_serve::{BenchServeOptions, BenchmarkMetrics, Latencies, LatencyMetric};
use sim_core::metrics::client_figures::ClientFigures;
use sim_core::metrics::digest::digest;
use sim_core::metrics::distribution::Percentile;
use sim_core::metrics::goodput::Goodput;
use sim_core::metrics::recorder::Recording;
use sim_core::metrics::time_series::Series;
use sim_core::profile::StepTimeModel;
use sim_core::scenario::{Prepared, Scenario, prepare};
use sim_core::simulator::{Simulation, SimulationOptions};
use sim_core::workload::Workload;

use crate::draws::draws;
use crate::engine_properties;
use crate::profile_fixture::h100;
use crate::properties;
use crate::steady_requests::{scripted, stretched_case};

/// Every latency, at several percentiles and under an objective that some requests meet.
fn options(recording: &Recording) -> BenchServeOptions {
    let mut options = BenchServeOptions::new("model".to_owned());
    options.percentile_metrics = LatencyMetric::ALL.to_vec();
    options.metric_percentiles = [99.0, 50.0, 0.0, 12.5, 100.0].into_iter().filter_map(Percentile::new).collect();
    options.max_concurrency = Some(1);
    options.request_rate = 1.0;
    let ttft_ms = Latencies::new(&RecordedOutputs::new(recording)).ttft.median() * 1e3;
    options.goodput = Goodput { ttft_ms: Some(ttft_ms), ..Goodput::default() };
    options
}

/// All that a report can ask of `figures` is what it gets of `recording`.
fn check_figures(figures: &ClientFigures, recording: &Recording) {
    let (outputs, options) = (RecordedOutputs::new(recording), options(recording));
    let expect = BenchmarkMetrics::new(&outputs, &Latencies::new(&outputs), &options);
    assert_eq!(BenchmarkMetrics::of(&outputs, &options), expect, "selected");
    assert_eq!(BenchmarkMetrics::of(figures, &options), expect, "of figures, selected");
    assert_eq!(BenchmarkMetrics::new(figures, &Latencies::new(figures), &options), expect, "of figures, in order");
    for request in 0..outputs.num_requests() {
        assert_eq!(figures.output(request), outputs.output(request), "request {request}");
    }
    assert_eq!(figures.num_requests(), outputs.num_requests(), "requests");
    let num_unfinished = recording.requests.iter().filter(|request| !request.is_finished).count();
    assert_eq!(figures.num_unfinished(), num_unfinished, "requests that did not finish");
}

/// A recording of which everything is packed says what it said before.
fn check_packed(recording: &Recording) {
    let mut packed = recording.clone();
    packed.passes.pack();
    packed.requests.pack();
    packed.gaps.pack();
    assert_eq!(digest(&packed), digest(recording), "digest");
    let report = |recording: &Recording| {
        let metrics = BenchmarkMetrics::of(&RecordedOutputs::new(recording), &options(recording));
        (metrics, recording.time_series(Series::Running, 100, 7))
    };
    assert_eq!(report(&packed), report(recording), "report");
}

fn check(workload: &Workload, config: &EngineConfig, step_time: &StepTimeModel) {
    let simulation = || Simulation::new(workload, config, step_time, SimulationOptions::default()).expect("a run");
    let finish = |mut simulation: Simulation<'_>| {
        while simulation.advance() {}
        simulation.finish()
    };
    let (whole, lean) = (finish(simulation()), finish(simulation().keeping_figures()));
    check_packed(&whole.recording);
    assert_eq!(
        (lean.stats, lean.end_time, lean.device_time),
        (whole.stats, whole.end_time, whole.device_time),
        "the run"
    );
    assert!(lean.recording.passes.is_empty() && lean.recording.requests.is_empty(), "records are forgotten");
    check_figures(&lean.figures.expect("figures are kept"), &whole.recording);
}

#[track_caller]
fn check_flags(flags: &[(&str, &str)]) {
    let scenario = Scenario::from_flags(flags.iter().map(|&(flag, value)| (flag, Some(value)))).expect("known flags");
    let Prepared { workload, engine, step_time, .. } = prepare(&scenario, &h100(), None, None).expect("a possible run");
    check(&workload, &engine.config, &step_time);
}

// Long enough that passes and requests are forgotten on the way, blocks of them at a time.
#[test]
fn long_runs_lose_no_figure() {
    let short = [("random-input-len", "60"), ("random-output-len", "40"), ("num-prompts", "1500")];
    check_flags(&[&short[..], &[("max-concurrency", "3")]].concat());
    check_flags(&[&short[..], &[("request-rate", "30")]].concat());
    check_flags(&[&short[..], &[("random-range-ratio", "0.9"), ("max-concurrency", "9")]].concat());
    check_flags(&[&short[..], &[("num-warmups", "2"), ("num-earlier-runs", "1"), ("request-rate", "50")]].concat());
    check_flags(
        &[&short[..], &[("max-concurrency", "40"), ("num-gpu-blocks-override", "60"), ("max-model-len", "400")]]
            .concat(),
    );
}

proptest! {
    #![proptest_config(draws(300))]

    #[test]
    fn short_runs_lose_no_figure(case in properties::case()) {
        check(&case.workload(), &case.config, &case.step_time());
    }

    #[test]
    fn runs_with_requests_given_up_lose_no_figure(
        case in stretched_case(),
        per_iteration in prop::collection::vec(prop_oneof![3 => Just(0_u32), 1 => 1_u32..4], 0..200),
        aborts in prop::collection::vec((0_u32..300, any::<u32>()), 0..12),
    ) {
        check(&scripted(&case.workload(), &per_iteration, &aborts), &case.config, &case.step_time());
    }

    #[test]
    fn engines_of_any_kind_lose_no_figure((engine, asked) in engine_properties::case()) {
        let workload = engine_properties::workload(&engine, &asked);
        check(&workload, &engine.config, &engine_properties::step_time(&engine.config));
    }
}
