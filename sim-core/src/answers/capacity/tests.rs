//! The search over trials whose outcomes are a formula.

use alloc::vec::Vec;

use super::search::{Answer, Search};
use super::trial::{LoadKind, Trial};
use crate::math;

/// 1,000 requests at `load`, of which this share meets.
fn trial(load: f64, seed: u32, share: f64) -> Trial {
    let num_met = math::f64_to_u64(1000.0 * share.clamp(0.0, 1.0));
    Trial {
        load,
        seed,
        num_requests: 1000,
        num_met,
        num_met_each: [num_met; 3],
        keeps_up: true,
        request_throughput: load,
        middle_throughput: load,
        output_throughput: load,
        latencies_ms: [[0.0; 3]; 3],
        kv_cache_peak: 0.0,
        num_preemptions: 0,
        waiting: (None, 0.0),
        digest: 0,
    }
}

/// Searches with five seeds over `share` of a load and a seed; also how many loads were tried.
fn search(kind: LoadKind, saturated: f64, share: impl Fn(f64, u32) -> f64) -> (Answer, usize) {
    let mut search = Search::new(kind, 0.99, saturated);
    while !search.wanted().is_empty() {
        let wanted = search.wanted().to_vec();
        let trials = |load: f64| (0..5).map(|seed| trial(load, seed, share(load, seed))).collect();
        search.take(wanted.into_iter().map(|load| (load, trials(load))));
    }
    let answer = search.answer();
    let num_tried = answer.curve.len();
    (answer, num_tried)
}

/// A knee at `knee`: beyond it the share falls by 2 points a percent.
fn knee(knee: f64) -> impl Fn(f64, u32) -> f64 {
    move |load, _| 0.995 - 2.0 * (load / knee - 1.0).max(0.0)
}

#[track_caller]
fn check(kind: LoadKind, saturated: f64, at: f64, expect: f64, within: f64) {
    let (answer, num_tried) = search(kind, saturated, knee(at));
    let capacity = answer.capacity.expect("something is carried");
    assert!((capacity / expect - 1.0).abs() <= within, "{capacity} instead of {expect}");
    assert!(answer.is_limited, "{answer:?}");
    assert!(num_tried <= 45, "{num_tried} loads tried");
    assert!(answer.curve.is_sorted_by(|a, b| a.load < b.load), "in order, each once");
    let beyond = answer.curve.iter().filter(|point| point.load > capacity * 1.04 && point.load < capacity * 1.11);
    assert!(kind == LoadKind::Concurrency && capacity < 20.0 || beyond.count() >= 2, "beyond the knee");
}

#[test]
fn the_knee_is_found() {
    // The share reaches 0.99 a quarter of a percent beyond the knee.
    for at in [1.0, 2.9, 5.0, 7.77, 9.9] {
        check(LoadKind::Rate, 10.0, at, 1.0025 * at, 0.005);
    }
    check(LoadKind::Rate, 10.0, 0.05, 0.0501, 0.005);
    check(LoadKind::Rate, 3e-3, 2e-3, 2.005e-3, 0.005);
    for at in [3.0, 11.0, 100.0, 300.0] {
        check(LoadKind::Concurrency, 0.0, at, at, 0.005);
    }
}

#[test]
fn a_load_that_nothing_limits_and_one_that_nothing_meets() {
    let (all, _) = search(LoadKind::Rate, 10.0, |_, _| 1.0);
    assert_eq!((all.capacity, all.is_limited), (Some(10.0), true));
    let (none, num_tried) = search(LoadKind::Rate, 10.0, |_, _| 0.5);
    assert_eq!((none.capacity, none.is_limited), (None, true));
    assert!(num_tried < 20, "{num_tried}");
    let (none, _) = search(LoadKind::Concurrency, 0.0, |_, _| 0.5);
    assert_eq!((none.capacity, none.is_limited), (None, true));
}

#[test]
fn the_interval_is_as_wide_as_the_seeds_differ() {
    let (same, _) = search(LoadKind::Rate, 10.0, knee(6.0));
    let (low, high) = same.interval.expect("five seeds");
    assert!(high - low < 0.02, "{low} to {high}");
    let differing = |load: f64, seed: u32| knee(6.0 + 0.2 * f64::from(seed))(load, seed);
    let (answer, _) = search(LoadKind::Rate, 10.0, differing);
    let ((low, high), capacity) = (answer.interval.expect("five seeds"), answer.capacity.expect("something"));
    assert!(low < capacity && capacity < high && (0.1..2.0).contains(&(high - low)), "{low}, {capacity}, {high}");
}

#[test]
fn a_load_is_what_its_text_says() {
    for (load, expect) in [(1.234_567_89, 1.23457), (1e-7 / 3.0, 3.33333e-8), (123_456.7, 123_457.0)] {
        assert!((LoadKind::Rate.rounded(load) - expect).abs() < 1e-12 * expect, "{load}");
    }
    assert!((LoadKind::Concurrency.rounded(0.2) - 1.0).abs() < 1e-12, "at least one");
    let loads: Vec<f64> = [2.4, 2.6].map(|load| LoadKind::Concurrency.rounded(load)).to_vec();
    assert_eq!(loads, [2.0, 3.0]);
}
