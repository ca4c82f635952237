//! What becomes of replicas, and how many an autoscaler may start and stop.

use alloc::vec;
use alloc::vec::Vec;

use super::autoscaler::{Autoscaling, Decision, ScalingPolicy as _, ScalingRule};
use super::planner::{PlannerLoad, PlannerThresholds};
use super::recovery::RecoveryDesk;
use super::saturation::SaturationThresholds;
use super::settings::{LifeSettings, Outage, Recovery};
use super::states::{Change, States};
use super::{Crew, Lost};
use crate::fleet::data_parallel::balancer::EngineCounts;
use crate::request::RequestId;
use crate::time::{SimDuration, SimTime};

const fn at(seconds: u64) -> SimTime {
    SimTime::from_nanos(seconds * 1_000_000_000)
}

const fn seconds(seconds: u64) -> SimDuration {
    SimDuration::from_nanos(seconds * 1_000_000_000)
}

/// Replicas die and come back at these seconds; the autoscaler looks every 10 s and decides every 30 s.
fn settings(outages: &[(u32, u64, Option<u64>)], initial: u32, min: u32, max: u32) -> LifeSettings {
    let outage = |&(replica, from, until): &(u32, u64, Option<u64>)| Outage {
        replica,
        from: at(from),
        until: until.map_or(SimTime::MAX, at),
    };
    let autoscaling = Autoscaling {
        rule: ScalingRule::Saturation(SaturationThresholds::default()),
        initial_replicas: initial,
        min_replicas: min,
        max_replicas: max,
        interval: seconds(30),
        metrics_interval: seconds(10),
        startup_time: seconds(8),
    };
    LifeSettings {
        outages: outages.iter().map(outage).collect(),
        autoscaling: Some(autoscaling),
        ..LifeSettings::default()
    }
}

/// What happens to replicas until `end`.
fn changes(states: &mut States, end: SimTime) -> Vec<(SimTime, Change)> {
    let mut changes = vec![];
    while states.next_change() <= end {
        let now = states.next_change();
        changes.extend(states.pop(now).map(|change| (now, change)));
    }
    changes.retain(|(_, change)| matches!(change, Change::Ready(_) | Change::Dies(..)));
    changes
}

#[test]
fn a_replica_that_dies_while_it_starts_is_ready_when_it_is_back() {
    let mut states = States::new(&settings(&[(1, 5, Some(20))], 1, 1, 2), 2);
    states.start_one(at(0), seconds(8));
    let dies = Change::Dies(1, at(20));
    assert_eq!(changes(&mut states, at(60)), [(at(5), dies), (at(20), Change::Ready(1))], "not after eight seconds");
    assert_eq!(states.ready(), [0, 1]);
}

#[test]
fn who_is_stopped_does_not_die_and_who_is_dead_does_not_start() {
    let mut states = States::new(&settings(&[(0, 6, None), (2, 5, Some(20))], 2, 1, 3), 3);
    assert_eq!(changes(&mut states, at(7)), [(at(6), Change::Dies(0, SimTime::MAX))], "replica 2 is not there");
    states.start_one(at(7), seconds(8));
    assert_eq!(changes(&mut states, at(60)), [(at(15), Change::Ready(2))], "the first that is stopped");
    states.start_one(at(60), seconds(8));
    assert_eq!((states.ready(), states.num_coming()), (vec![1, 2], 0), "a dead one is none");
}

#[test]
fn the_last_is_drained_and_never_the_only_one() {
    let mut states = States::new(&settings(&[(1, 9, Some(12))], 2, 1, 2), 2);
    assert_eq!(states.drain_one(at(1)), Some(1));
    assert!(states.is_draining(1), "it answers what it has");
    assert_eq!(states.drain_one(at(2)), None, "one is left");
    assert_eq!(changes(&mut states, at(60)), [(at(9), Change::Dies(1, at(12)))], "it was to go anyway");
    assert_eq!(states.ready(), [0]);
}

#[test]
fn replicas_are_paid_for_while_they_start_and_end() {
    let mut states = States::new(&settings(&[], 1, 1, 2), 2);
    states.start_one(at(10), seconds(8));
    changes(&mut states, at(20));
    assert_eq!(states.drain_one(at(30)), Some(1));
    states.stop(at(33), 1);
    let (phases, replica_seconds) = states.finish(at(40));
    assert!((replica_seconds - (40.0 + 23.0)).abs() < 1e-9, "{replica_seconds} s: {phases:?}");
    assert_eq!(phases.len(), 5, "{phases:?}");
}

#[test]
fn an_autoscaler_looks_and_decides_at_its_own_times() {
    let mut states = States::new(&settings(&[], 1, 1, 2), 2);
    let mut found = vec![];
    while states.next_change() <= at(60) {
        let now = states.next_change();
        found.extend(states.pop(now).map(|change| (now.as_secs_f64(), change)));
    }
    let of = |wanted: Change| -> Vec<f64> {
        found.iter().filter(|(_, change)| *change == wanted).map(|(time, _)| *time).collect()
    };
    assert_eq!(of(Change::Look), [10.0, 20.0, 30.0, 40.0, 50.0, 60.0]);
    assert_eq!(of(Change::Decide), [30.0, 60.0]);
}

/// How many take requests and how many start after a decision, all replicas being so full.
fn check_decision(settings: &LifeSettings, num_engines: usize, kv_cache_usage: f64, expect: (usize, u32)) {
    let mut crew = Crew::new(settings, num_engines, 0);
    // Whoever dies does so before.
    while crew.states.next_change() < at(30) {
        let now = crew.states.next_change();
        crew.states.pop(now);
    }
    for replica in crew.states.ready() {
        crew.observe(at(30), replica, EngineCounts { kv_cache_usage, ..EngineCounts::default() });
    }
    crew.decide(at(30));
    assert_eq!((crew.states.ready().len(), crew.states.num_coming()), expect, "{kv_cache_usage}: {settings:?}");
}

#[test]
fn there_are_never_fewer_nor_more_than_allowed() {
    check_decision(&settings(&[], 2, 1, 3), 3, 0.75, (2, 1));
    check_decision(&settings(&[], 2, 1, 2), 3, 0.75, (2, 0));
    check_decision(&settings(&[], 2, 1, 3), 3, 0.1, (1, 0));
    check_decision(&settings(&[], 2, 2, 3), 3, 0.1, (2, 0));
    // One has died for good: another takes its place, though nobody is busy.
    check_decision(&settings(&[(1, 5, None)], 2, 2, 3), 3, 0.1, (1, 1));
}

#[test]
fn waits_between_retries_end_at_their_longest() {
    let mut desk = RecoveryDesk::new(Recovery { max_retries: 40, migration_limit: 0 }, 1, 0);
    let mut waits = vec![];
    for _ in 0..40 {
        assert_eq!(desk.refuse(SimTime::ZERO, RequestId(0)), Lost::SentAgain);
        waits.extend(desk.pop_retry().map(|(time, _)| time.as_secs_f64()));
    }
    let longest = &waits[20..];
    assert!(longest.iter().all(|wait| (24.0..=36.0).contains(wait)), "30 s, 20 % more or less: {waits:?}");
    assert!(longest.iter().any(|wait| *wait > 30.5) && longest.iter().any(|wait| *wait < 29.5), "{waits:?}");
}

#[test]
fn the_planner_waits_for_what_it_started() {
    let decide = |num_coming| {
        let mut policy = PlannerLoad::new(PlannerThresholds::default());
        policy.observe(SimTime::ZERO, 0, EngineCounts { kv_cache_usage: 0.95, ..EngineCounts::default() });
        policy.decide(SimTime::ZERO, &[0], num_coming)
    };
    assert_eq!((decide(0), decide(1)), (Decision::StartOne, Decision::Stay));
}
