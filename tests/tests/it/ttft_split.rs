//! The parts of a time to first token add up to one.

use sim_core::metrics::distribution::Percentile;
use sim_core::metrics::recorder::Recording;
use sim_core::metrics::ttft_split::{TtftParts, TtftSplit};
use sim_core::scenario::{Scenario, prepare};
use sim_core::simulator::{SimulationOptions, simulate};

use crate::profile_fixture::h100;

/// A run with queues.
fn recording(num_prompts: &str) -> Recording {
    let flags = [("num-prompts", num_prompts), ("request-rate", "40"), ("max-num-seqs", "32")];
    let scenario = Scenario::from_flags(flags.map(|(flag, value)| (flag, Some(value)))).expect("known flags");
    let prepared = prepare(&scenario, &h100(), None, None).expect("a possible run");
    simulate(&prepared.workload, &prepared.engine.config, &prepared.step_time, SimulationOptions::default())
        .expect("a possible run")
        .recording
}

fn sorted_ttfts(recording: &Recording) -> Vec<f64> {
    let instants = recording.requests.iter().filter_map(|request| recording.instants(request));
    let mut ttfts: Vec<f64> = instants.map(|instants| instants.ttft().as_secs_f64()).collect();
    ttfts.sort_by(f64::total_cmp);
    ttfts
}

#[track_caller]
fn check(what: &str, parts: TtftParts, expect: f64) {
    assert!((parts.ttft() - expect).abs() < 1e-9, "{what}: {parts:?} is {}, not {expect}", parts.ttft());
    assert!(parts.front_end > 0.0 && parts.prefill > 0.0 && parts.delivery >= 0.0, "{what}: {parts:?}");
}

#[test]
fn the_parts_add_up_to_the_mean_of_the_requests_around_the_rank() {
    let recording = recording("1000");
    let ttfts = sorted_ttfts(&recording);
    let split = TtftSplit::new(&recording);
    check("mean", split.mean(), ttfts.iter().sum::<f64>() / 1000.0);
    // Rank 499.5 is rounded up; five neighbours on either side are half a percent.
    for (percent, ranks) in [(0.0, 0..=0), (50.0, 495..=505), (90.0, 894..=904), (99.0, 984..=994), (100.0, 999..=999)]
    {
        let percentile = Percentile::new(percent).expect("in range");
        let around = &ttfts[ranks];
        check(&format!("P{percent}"), split.percentile(percentile), around.iter().sum::<f64>() / around.len() as f64);
    }
    let late = split.percentile(Percentile::new(99.0).expect("in range"));
    assert!(late.queue > late.prefill, "the run has no queue: {late:?}");
}

#[test]
fn few_requests_are_single_ones() {
    let recording = recording("3");
    let (ttfts, split) = (sorted_ttfts(&recording), TtftSplit::new(&recording));
    check("P50 of three", split.percentile(Percentile::new(50.0).expect("in range")), ttfts[1]);
    assert_eq!(TtftSplit::new(&Recording::default()).mean(), TtftParts::default(), "no request");
}
