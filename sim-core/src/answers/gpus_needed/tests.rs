//! Windows, the search for the fewest, and the autoscaler.

use alloc::vec::Vec;

use super::search::{Fewest, Needed, Scaling};
use super::{Phase, provisioned, windows};
use crate::time::SimTime;

/// The fewest of `least..=most` from `needed` on, begun with `first`; also how many were tried.
fn fewest(first: u32, least: u32, most: u32, needed: u32) -> (Option<u32>, u32) {
    let mut search = Fewest::new(first, least, most);
    let mut num_tried = 0;
    while let Some(tried) = search.next() {
        assert!((least.max(1)..=most).contains(&tried), "{tried} of {least} to {most}");
        search.take(tried >= needed, 1.0);
        num_tried += 1;
        assert!(num_tried <= 64, "ends");
    }
    (search.fewest().map(|found| found.0), num_tried)
}

#[test]
fn the_fewest_is_found_from_anywhere() {
    for most in [1, 2, 7, 100] {
        for first in 1..=most {
            for needed in 1..=most + 1 {
                let (found, num_tried) = fewest(first, 0, most, needed);
                assert_eq!(found, (needed <= most).then_some(needed), "{first} of {most}, {needed} needed");
                let most_tried = 3 + 2 * (needed.abs_diff(first) + 1).ilog2();
                assert!(num_tried <= most_tried, "{num_tried} tried from {first} for {needed}");
            }
        }
    }
    // A target utilisation asks for at least so many.
    assert_eq!(fewest(5, 5, 9, 2).0, Some(5));
}

#[test]
fn windows_hold_every_request_once() {
    let times: Vec<SimTime> = [0, 1, 9, 10, 10, 35].map(SimTime::from_nanos).to_vec();
    let cut = windows(&times, 10).expect("few");
    assert_eq!(cut.iter().map(|window| window.num_requests).collect::<Vec<_>>(), [3, 2, 0, 1]);
    assert_eq!(cut.iter().map(|window| window.first).collect::<Vec<_>>(), [0, 3, 5, 5]);
    assert!(windows(&[SimTime::from_secs_f64(1e6)], 1).is_err(), "a nanosecond is too short");
    assert!(windows(&[], 10).expect("none").is_empty());
}

#[test]
fn the_capacity_says_a_bound() {
    let times: Vec<SimTime> = (0..40).map(|number| SimTime::from_secs_f64(f64::from(number) * 0.25)).collect();
    let cut = windows(&times, 5_000_000_000).expect("few");
    let by_capacity = |target_utilisation| {
        let scaling = Scaling { capacity: 1.5, target_utilisation, required_share: 0.99 };
        Needed::new(cut.clone(), scaling).by_capacity().to_vec()
    };
    // Four requests a second.
    assert_eq!(by_capacity(None), [3, 3]);
    assert_eq!(by_capacity(Some(0.5)), [6, 6]);
}

/// Phases of ten seconds with so many replicas need this many seconds of replicas, with this delay.
#[track_caller]
fn check(replicas: &[u32], startup_delay: f64, expect: f64) {
    let mut start = 0.0;
    let mut needed = Vec::new();
    for &num_replicas in replicas {
        needed.push(Phase { start, end: start + 10.0, num_replicas });
        start += 10.0;
    }
    let seconds: f64 = provisioned(&needed, startup_delay).iter().map(Phase::replica_seconds).sum();
    assert!((seconds - expect).abs() < 1e-9, "{seconds} instead of {expect}");
}

#[test]
fn a_replica_starts_before_it_is_needed() {
    check(&[2, 1, 3], 0.0, 60.0);
    check(&[2, 1, 3], 4.0, 60.0 + 2.0 * 4.0 + 2.0 * 4.0);
    // Longer than the gap: nobody stops.
    check(&[2, 1, 2], 15.0, 60.0 + 2.0 * 15.0);
    check(&[0, 0, 1], 5.0, 15.0);
    check(&[], 5.0, 0.0);
}
