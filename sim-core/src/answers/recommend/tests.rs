//! The rounds over engines that are formulas, and the front.

use alloc::boxed::Box;
use alloc::string::{String, ToString as _};
use alloc::vec;
use alloc::vec::Vec;

use super::entry::{Done, Engine, Entry, JobKind, Role};
use super::exclusion::{Exclusion, Kind};
use super::figures::{Hardware, front};
use super::objective::{Objective, Plan};
use super::rounds::Recommend;
use super::space::{Axis, MAX_CANDIDATES, Space, SpaceError};
use crate::answers::capacity::{LoadKind, Trial};
use crate::math;
use crate::profile::Profile;
use crate::rng::Pcg64;
use crate::scenario::Scenario;

const PROFILE: &[u8] = include_bytes!("../../../../www/profiles/h100-sxm_llama-3.1-8b_bf16_tp1.json");

pub(super) fn axis(flag: &str, values: &[&str]) -> Axis {
    Axis { flag: flag.into(), values: values.iter().map(|value| Some((*value).to_string())).collect() }
}

/// Two GPUs, two sizes, and as many places as are given.
fn space(places: &[&str]) -> Space {
    let vary = [
        axis("gpu", &["h100-sxm", "l40s"]),
        axis("tensor-parallel-size", &["1", "2"]),
        axis("max-num-seqs", places),
        axis("quantization", &["fp8"]),
        axis("kv-cache-dtype", &["fp8"]),
        axis("max-num-batched-tokens", &["2048", "4096", "8192"]),
    ];
    Space::new(&Scenario::default(), &vary, 8).expect("few")
}

pub(super) fn plan(objective: Objective, demand: Option<f64>) -> Plan {
    Plan {
        objective,
        kind: LoadKind::Rate,
        has_goodput: true,
        required_share: 0.99,
        demand,
        num_gpus: 8,
        first_seed: 0,
        num_seeds: 2,
        num_prompts: 1000,
    }
}

/// What an engine of these flags carries: drawn, but the same for the same.
fn knee(entry: &Entry) -> f64 {
    let name = entry.name();
    let hash = name.bytes().fold(7_u64, |hash, byte| hash.wrapping_mul(31).wrapping_add(u64::from(byte)));
    let size = if entry.candidate.choice("tensor-parallel-size") == Some("2") { 1.8 } else { 1.0 };
    size * (5.0 + f64::from(Pcg64::stream(hash, "knee").integers(0, 1000)) / 50.0)
}

fn usd(gpu: Option<&str>) -> Option<f64> {
    if gpu == Some("l40s") { Some(2.0) } else { Some(5.0) }
}

/// A run at `load` of an engine that carries `knee`: beyond it the share falls by 2 points a percent. A short run is off
/// by up to 3 %.
fn trial(load: f64, seed: u32, knee: f64, num_prompts: u32) -> Trial {
    let noise = if num_prompts < 1000 {
        f64::from(Pcg64::stream(u64::from(seed) + 1, "short").integers(0, 60)) / 1000.0
    } else {
        0.0
    };
    let knee = knee * (1.0 + noise);
    let share = (0.995 - 2.0 * (load / knee - 1.0).max(0.0)).clamp(0.0, 1.0);
    let num_met = math::f64_to_u64(1000.0 * share);
    let rate = load.min(1.1 * knee);
    Trial {
        load,
        seed,
        num_requests: 1000,
        num_met,
        num_met_each: [num_met, 1000, 1000],
        keeps_up: true,
        request_throughput: rate,
        middle_throughput: rate,
        output_throughput: 100.0 * rate,
        latencies_ms: [[1.0; 3], [10.0 + load / knee; 3], [100.0 + load; 3]],
        kv_cache_peak: 0.0,
        num_preemptions: 0,
        waiting: (None, 0.0),
        digest: 0,
    }
}

fn run(space: Space, plan: Plan, exclude: impl Fn(&Entry) -> bool) -> Recommend {
    run_of(space, plan, exclude, |entry, _| knee(entry))
}

/// The same of engines that carry `knee` with a seed.
pub(super) fn run_of(
    space: Space,
    plan: Plan,
    exclude: impl Fn(&Entry) -> bool,
    knee: impl Fn(&Entry, u32) -> f64,
) -> Recommend {
    let mut profiles: Vec<Vec<String>> = vec![];
    let config =
        Scenario::default().resolve(&Profile::from_json(PROFILE).expect("a profile")).expect("an engine").config;
    let mut recommend = Recommend::new(plan, space).expect("flags");
    let mut num_steps = 0;
    loop {
        num_steps += 1;
        assert!(num_steps < 500, "ends");
        let unknown = recommend.unknown();
        if !unknown.is_empty() {
            let mut engine = |&place: &usize| {
                let entry = &recommend.entries()[place];
                if exclude(entry) {
                    return Err(Exclusion { kind: Kind::DoesNotFit, why: "too large".into() });
                }
                let num_gpus = if entry.candidate.choice("tensor-parallel-size") == Some("2") { 2 } else { 1 };
                let usd_per_gpu_hour = usd(entry.candidate.scenario.get("gpu"));
                let hardware = Hardware { num_gpus, usd_per_gpu_hour };
                let set = set(entry);
                let profile = profiles.iter().position(|known| *known == set).unwrap_or(profiles.len());
                if profile == profiles.len() {
                    profiles.push(set);
                }
                Ok(Engine { profile, hardware, config: config.clone() })
            };
            let engines = unknown.iter().map(&mut engine).collect();
            recommend.know(engines);
            continue;
        }
        if recommend.wanted().is_empty() {
            return recommend;
        }
        let done = |job: &super::Job| {
            let knee = |seed: u32| knee(&recommend.entries()[job.candidate], seed);
            match job.kind {
                JobKind::Saturated { seed } => Done::Rate(1.1 * knee(seed)),
                JobKind::Trial { load, seed, num_prompts } => {
                    Done::Trial(Box::new(trial(load, seed, knee(seed), num_prompts)))
                }
            }
        };
        let all = recommend.wanted().iter().map(done).collect();
        recommend.take(all);
    }
}

/// What is set of an engine, whether by a flag or for want of one.
fn set(entry: &Entry) -> Vec<String> {
    let value = |flag: &str, value: Option<&str>| match (flag, value) {
        ("gpu", None) => Some("h100-sxm".to_string()),
        ("tensor-parallel-size", None) => Some("1".to_string()),
        (_, value) => value.map(str::to_string),
    };
    let choices = entry.candidate.choices.iter();
    let mut set: Vec<String> = choices
        .filter_map(|(flag, chosen)| Some(alloc::format!("{flag} {}", value(flag, chosen.as_deref())?)))
        .collect();
    set.sort();
    set
}

/// The least of `cost` over all of the grid that is not excluded, by the formula.
fn least(recommend: &Recommend, cost: impl Fn(&Entry) -> f64) -> f64 {
    let grid = recommend.entries().iter().filter(|entry| entry.role == Role::Grid && entry.excluded.is_none());
    grid.map(cost).fold(f64::INFINITY, f64::min)
}

fn for_a_request(entry: &Entry, is_money: bool) -> f64 {
    let size = if entry.candidate.choice("tensor-parallel-size") == Some("2") { 2.0 } else { 1.0 };
    let price = usd(entry.candidate.scenario.get("gpu")).filter(|_| is_money).unwrap_or(1.0);
    price * size / knee(entry)
}

#[test]
fn the_best_of_the_formula_is_found_though_short_runs_are_off() {
    for number in 0..10_u32 {
        let places: Vec<String> = (0..20).map(|place| (16 + 7 * place + number).to_string()).collect();
        let places: Vec<&str> = places.iter().map(String::as_str).collect();
        for (objective, is_money) in [(Objective::Cost, true), (Objective::Throughput, false)] {
            let recommend = run(space(&places), plan(objective, None), |_| false);
            let best = *recommend.ranked().first().expect("something is recommended");
            let cost = |entry: &Entry| for_a_request(entry, is_money);
            let (own, least) = (cost(&recommend.entries()[best]), least(&recommend, cost));
            assert!(own <= 1.02 * least, "{number} {objective:?}: {own} instead of {least}");
        }
    }
}

#[test]
fn a_demand_counts_whole_engines() {
    let recommend = run(space(&["16", "32"]), plan(Objective::Cost, Some(30.0)), |_| false);
    let best = &recommend.entries()[*recommend.ranked().first().expect("something carries it")];
    let cost = |entry: &Entry| {
        let size = if entry.candidate.choice("tensor-parallel-size") == Some("2") { 2.0 } else { 1.0 };
        math::ceil(30.0 / knee(entry)) * size * usd(entry.candidate.scenario.get("gpu")).unwrap_or(0.0)
    };
    assert!((cost(best) - least(&recommend, cost)).abs() < 1e-9, "{}", best.name());
    let operating = best.operating.as_ref().expect("it was tried at its share");
    assert!(operating.load <= knee(best) && operating.load > 0.0);
    assert!(
        run(space(&["16"]), plan(Objective::Cost, Some(1e6)), |_| false).ranked().is_empty(),
        "more than 8 GPUs carry"
    );
}

#[test]
fn what_is_excluded_is_counted_and_never_run() {
    let is_large = |entry: &Entry| entry.candidate.scenario.get("gpu") == Some("l40s");
    let recommend = run(space(&["16", "32"]), plan(Objective::Cost, None), is_large);
    let answer = recommend.answer();
    assert_eq!(
        answer.excluded.iter().map(|(kind, count, _)| (*kind, *count)).collect::<Vec<_>>(),
        [(Kind::DoesNotFit, 12)]
    );
    assert!(answer.ranked.iter().all(|&place| !is_large(&recommend.entries()[place])));
    assert!(run(space(&["16"]), plan(Objective::Cost, None), |_| true).answer().ranked.is_empty());
}

#[test]
fn choices_are_compared_with_the_base() {
    let answer = run(space(&["16", "32"]), plan(Objective::Throughput, None), |_| false).answer();
    let flags: Vec<&str> = answer.comparisons.iter().filter(|one| !one.is_step).map(|one| one.flag.as_str()).collect();
    for flag in ["max-num-seqs", "quantization", "max-num-batched-tokens"] {
        assert!(flags.contains(&flag), "{flag} of {flags:?}");
    }
    assert!(answer.comparisons.iter().any(|one| one.is_step && one.flag == "gpu-memory-utilization"));
    assert!(
        answer.comparisons.iter().all(|one| one.gain.is_some() || one.excluded.is_some()),
        "{:?}",
        answer.comparisons
    );
}

#[test]
fn a_front_has_none_that_another_is_better_than_and_all_others_have_one() {
    for seed in 0..200 {
        let mut draw = Pcg64::stream(seed, "front");
        let mut number = || f64::from(draw.integers(0, 12));
        let items: Vec<Option<[f64; 2]>> =
            (0..30).map(|_| Some([number(), number()]).filter(|item| item[0] > 0.0)).collect();
        let kept = front(&items, |item| *item);
        let is_better = |a: [f64; 2], b: [f64; 2]| a[0] >= b[0] && a[1] >= b[1] && (a[0] > b[0] || a[1] > b[1]);
        let known: Vec<[f64; 2]> = items.iter().filter_map(|item| *item).collect();
        for &place in &kept {
            let own = items[place].expect("known");
            assert!(known.iter().all(|other| !is_better(*other, own)), "{own:?}");
        }
        let values: Vec<[f64; 2]> = kept.iter().map(|&place| items[place].expect("known")).collect();
        assert!(values.is_sorted_by(|a, b| a[0] > b[0] && a[1] < b[1]), "{values:?}");
        assert!(known.iter().all(|item| values.iter().any(|front| front[0] >= item[0] && front[1] >= item[1])));
    }
}

/// The grid of `vary` is refused with this in the reason.
#[track_caller]
fn check_refused(vary: &[Axis], expect: &str) {
    let refusal = Space::new(&Scenario::default(), vary, 8).and_then(|space| space.candidates().map(|_| ()));
    let told = refusal.expect_err("refused").to_string();
    assert!(told.contains(expect), "{told}");
}

#[test]
fn grids_that_cannot_be_are_refused_before_they_are_made() {
    let many: Vec<String> = (1..=1000).map(|value: u32| value.to_string()).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let grid = ["max-num-seqs", "max-num-batched-tokens", "block-size", "max-model-len"].map(|flag| axis(flag, &many));
    let count = Space::new(&Scenario::default(), &grid, 8).expect_err("10^12 and more");
    assert!(matches!(count, SpaceError::TooMany { count, .. } if count > MAX_CANDIDATES), "{count}");
    check_refused(&grid, "the limit is 20000");
    check_refused(&[Axis { flag: "max-num-seqs".into(), values: vec![] }], "give values");
    check_refused(&[axis("no-such-flag", &["1"])], "no-such-flag");
    check_refused(&[axis("max-num-seqs", &["many"])], "max-num-seqs");
}

#[test]
fn a_flag_that_is_given_is_settled_and_a_drafter_comes_and_goes_with_its_acceptance() {
    let flags = [
        ("gpu", Some("h100-sxm")),
        ("tensor-parallel-size", Some("1")),
        ("quantization", Some("fp8")),
        ("kv-cache-dtype", Some("auto")),
        ("max-num-seqs", Some("64")),
        ("max-num-batched-tokens", Some("2048")),
        ("speculative-config", Some(r#"{"method": "ngram", "num_speculative_tokens": 3}"#)),
        ("spec-acceptance-length", Some("2")),
    ];
    let base = Scenario::from_flags(flags).expect("flags");
    let candidates = Space::new(&base, &[], 8).expect("few").candidates().expect("flags");
    let said: Vec<[bool; 2]> = candidates
        .iter()
        .map(|one| ["speculative-config", "spec-acceptance-length"].map(|flag| one.scenario.get(flag).is_some()))
        .collect();
    assert_eq!(said, [[false, false], [true, true]]);
}
