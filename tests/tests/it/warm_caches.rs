//! What was sent before the measured requests is in the cache, and nowhere else.

use sim_core::metrics::digest::digest;
use sim_core::metrics::recorder::Recording;
use sim_core::scenario::{Prepared, Scenario, prepare};
use sim_core::simulation_result::SimulationResult;
use sim_core::simulator::{SimulationError, SimulationOptions, simulate};
use sim_core::time::SimTime;
use sim_core::workload::{EarlierGroup, EarlierOptions, Traffic, Workload};

use crate::profile_fixture::h100;

fn prepared(flags: &[(&str, &str)]) -> Prepared {
    let given = flags.iter().map(|&(flag, value)| (flag, Some(value).filter(|value| !value.is_empty())));
    let scenario = Scenario::from_flags(given).expect("known flags");
    prepare(&scenario, &h100(), None, None).expect("a possible run")
}

fn run(flags: &[(&str, &str)]) -> SimulationResult {
    let Prepared { workload, engine, step_time, .. } = prepared(flags);
    simulate(&workload, &engine.config, &step_time, SimulationOptions::default()).expect("a run")
}

const BASE: [(&str, &str); 4] =
    [("random-input-len", "600"), ("random-output-len", "20"), ("num-prompts", "12"), ("request-rate", "4")];

fn cached(recording: &Recording) -> Vec<u32> {
    recording.requests.iter().map(|request| request.num_cached_tokens).collect()
}

/// Prompt tokens that each of twelve requests of 600 finds.
#[track_caller]
fn check(flags: &[(&str, &str)], expect: [u32; 12]) {
    let result = run(&[&BASE[..], flags].concat());
    assert_eq!(cached(&result.recording), expect, "{flags:?}");
    assert_eq!(result.stats.prefix_cache_queries, 12 * 600, "{flags:?}: only measured lookups count");
    let found: u32 = expect.iter().sum();
    assert_eq!(result.stats.prefix_cache_hits, u64::from(found), "{flags:?}");
    assert_eq!(result.queries_per_iter.iter().sum::<u32>(), 12, "{flags:?}: only measured requests are told of");
    assert!(result.recording.requests.iter().all(|request| request.is_finished), "{flags:?}");
}

const ALL: [u32; 12] = [592; 12];
const FIRST: [u32; 12] = [592, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];

#[test]
fn prompts_that_were_sent_before_are_found() {
    check(&[], [0; 12]);
    check(&[("num-warmups", "0"), ("ready-check-timeout-sec", "0"), ("num-earlier-runs", "0")], [0; 12]);
    check(&[("num-warmups", "1")], FIRST);
    check(&[("num-warmups", "3"), ("max-concurrency", "1")], FIRST);
    check(&[("ready-check-timeout-sec", "600")], FIRST);
    check(&[("num-earlier-runs", "1")], ALL);
    check(&[("num-earlier-runs", "2"), ("num-warmups", "2"), ("ready-check-timeout-sec", "1")], ALL);
    check(&[("num-earlier-runs", "1"), ("no-enable-prefix-caching", "")], [0; 12].map(|none: u32| none));
}

#[test]
fn a_cache_that_is_too_small_keeps_what_was_used_last() {
    let small = [("max-model-len", "2048"), ("num-gpu-blocks-override", "200"), ("num-earlier-runs", "1")];
    let result = run(&[&BASE[..], &small].concat());
    let found = cached(&result.recording);
    assert!(found.iter().sum::<u32>() < 12 * 592, "{found:?}");
    assert!(result.num_evictions > 0, "measured requests evict, too");
}

#[test]
fn a_run_whose_prompts_nobody_finds_is_the_run_without_them() {
    // Without a prefix cache nothing is left behind: the clock begins anew, and so does every count.
    let cold = [&BASE[..], &[("no-enable-prefix-caching", "")]].concat();
    for flags in [[("num-warmups", "3")], [("ready-check-timeout-sec", "1")], [("num-earlier-runs", "2")]] {
        let warm = run(&[&cold[..], &flags].concat());
        assert_eq!(digest(&warm.recording), digest(&run(&cold).recording), "{flags:?}");
        assert_eq!(warm.stats, run(&cold).stats, "{flags:?}");
        assert_eq!((warm.end_time, warm.device_time), (run(&cold).end_time, run(&cold).device_time), "{flags:?}");
    }
}

#[test]
fn groups_come_in_the_order_of_vllms_benchmark() {
    let flags =
        [("num-warmups", "3"), ("ready-check-timeout-sec", "9"), ("num-earlier-runs", "1"), ("max-concurrency", "2")];
    let workload = prepared(&[&BASE[..], &flags].concat()).workload;
    let sizes: Vec<(usize, Option<u32>)> =
        workload.earlier.iter().map(|group| (group.send_times.len(), group.max_concurrency)).collect();
    assert_eq!(sizes, [(1, None), (3, Some(2)), (12, Some(2)), (1, None), (3, Some(2))]);
    assert_eq!((workload.num_measured(), workload.requests.len()), (12, 32));
    let Traffic::Timed { send_times, .. } = &workload.traffic else { panic!("a script") };
    assert_eq!(&workload.earlier[2].send_times, send_times, "an earlier run has the same traffic");
}

#[test]
fn requests_before_that_cannot_be_are_refused() {
    let flags = [&BASE[..], &[("num-warmups", "10000000")]].concat();
    let given = Scenario::from_flags(flags.iter().map(|&(flag, value)| (flag, Some(value)))).expect("known flags");
    let refused = prepare(&given, &h100(), None, None).map(|_| ()).expect_err("too many");
    assert_eq!(
        refused.to_string(),
        "num_warmups is 10000000; it must be smaller: with the measured ones there may be 10000000 requests"
    );
    let Prepared { mut workload, engine, step_time, .. } = prepared(&BASE);
    let simulated =
        |workload: &Workload| simulate(workload, &engine.config, &step_time, SimulationOptions::default()).map(|_| ());
    workload.earlier = vec![EarlierGroup { send_times: vec![SimTime::ZERO; 2], max_concurrency: None }];
    let refused = simulated(&workload).expect_err("two requests are missing");
    assert!(matches!(refused, SimulationError::TrafficLength { num_sent: 14, num_requests: 12 }), "{refused}");
    workload.traffic = Traffic::QueriesPerIter { queries_per_iter: vec![10], join_order: vec![], aborts: vec![] };
    assert_eq!(simulated(&workload), Err(SimulationError::EarlierBesideScript));
    workload.earlier.clear();
    let options = EarlierOptions { num_warmups: 1, ..EarlierOptions::default() };
    assert!(workload.send_before(&options).is_err(), "a script holds every request");
}
