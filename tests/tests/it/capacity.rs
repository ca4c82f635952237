//! The capacity that is searched for, against a fine grid of loads that were all tried.

use sim_core::answers::capacity::search::crossing;
use sim_core::answers::capacity::trial::Point;
use sim_core::answers::capacity::{Answer, Asked, LoadKind, Search, Trial, TrialError};
use sim_core::profile::Profile;
use sim_core::rng::Pcg64;
use sim_core::scenario::Scenario;

const PROFILE: &[u8] = include_bytes!("../../../www/profiles/h100-sxm_llama-3.1-8b_bf16_tp1.json");
const SEEDS: [u32; 5] = [0, 1, 2, 3, 4];
/// Configurations of rates and requests at once that are tried; `CAPACITY_CONFIGURATIONS` asks for more.
const NUM_CONFIGURATIONS: u64 = 6;
/// The same of users.
const NUM_OF_USERS: u64 = 20;
const REQUIRED: f64 = 0.99;

fn trials(asked: &Asked<'_>, load: f64) -> Vec<Trial> {
    SEEDS.iter().map(|&seed| asked.run(load, seed, None).expect("a possible run")).collect()
}

fn search(asked: &Asked<'_>) -> Answer {
    let saturated = asked.saturated(0, None).expect("a possible run");
    let mut search = Search::new(asked.kind, REQUIRED, saturated);
    while !search.wanted().is_empty() {
        let tried: Vec<(f64, Vec<Trial>)> = search.wanted().iter().map(|&load| (load, trials(asked, load))).collect();
        search.take(tried);
    }
    search.answer()
}

/// Where a fine grid of loads around `around` crosses what is asked.
fn brute_force(asked: &Asked<'_>, around: f64) -> f64 {
    let step = match asked.kind {
        LoadKind::Rate => 0.004 * around,
        LoadKind::Concurrency | LoadKind::Users => (0.004 * around).max(1.0).round(),
    };
    let mut points: Vec<Point> = vec![];
    let mut load = asked.kind.rounded((0.85 * around).min(around - 2.0 * step));
    while load < 1.15 * around + 2.0 * step {
        points.push(Point { load, trials: trials(asked, load) });
        load = asked.kind.rounded(load + step);
    }
    crossing(&points, REQUIRED).map_or(f64::INFINITY, |found| found.1).min(asked.saturated(0, None).expect("a run"))
}

/// Another workload, engine and objective for every number.
fn flags(number: u64) -> Vec<(&'static str, String)> {
    let mut draw = Pcg64::stream(number, "capacity");
    let mut pick = |choices: &[&str]| {
        let last = u32::try_from(choices.len() - 1).expect("few");
        choices[draw.integers(0, last) as usize].to_owned()
    };
    vec![
        ("num-prompts", "800".to_owned()),
        ("random-input-len", pick(&["64", "256", "1024", "3000"])),
        ("random-output-len", pick(&["8", "32", "128"])),
        ("random-range-ratio", pick(&["0", "0.5", "0.9"])),
        ("max-num-seqs", pick(&["16", "64", "256"])),
        ("max-num-batched-tokens", pick(&["2048", "8192"])),
        ("max-model-len", "8192".to_owned()),
        ("goodput", pick(&["ttft:500", "tpot:15", "ttft:1000 tpot:25", "e2el:4000", ""])),
    ]
}

fn num_configurations(usual: u64) -> u64 {
    std::env::var("CAPACITY_CONFIGURATIONS").ok().and_then(|text| text.parse().ok()).unwrap_or(usual)
}

#[test]
fn the_answer_is_within_a_percent_of_a_fine_grid() {
    let profile = Profile::from_json(PROFILE).expect("the profile that ships");
    let (mut num_found, mut wrong) = (0, vec![]);
    let num_configurations = num_configurations(NUM_CONFIGURATIONS);
    for number in 0..num_configurations {
        let flags = flags(number);
        let given =
            flags.iter().filter(|(_, value)| !value.is_empty()).map(|(flag, value)| (*flag, Some(value.as_str())));
        let scenario = Scenario::from_flags(given).expect("known flags");
        let kind = if number % 4 == 3 { LoadKind::Concurrency } else { LoadKind::Rate };
        let asked = Asked { scenario: &scenario, profile: &profile, dataset: None, kind };
        let answer = search(&asked);
        let Some(capacity) = answer.capacity.filter(|_| answer.is_limited) else { continue };
        let expect = brute_force(&asked, capacity);
        let error = capacity / expect - 1.0;
        println!("{number}: {capacity} {expect} {error:+.4} {:?} {flags:?}", answer.interval);
        // Half a request at once is within nothing.
        let is_off = error.abs() > 0.01 && (kind == LoadKind::Rate || (capacity - expect).abs() > 1.0);
        wrong.extend(is_off.then(|| format!("{number}: {capacity} instead of {expect}, {flags:?}")));
        num_found += 1;
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(3 * num_found >= 2 * num_configurations, "{num_found} configurations have a knee");
}

#[test]
fn what_cannot_be_searched_is_refused() {
    let profile = Profile::from_json(PROFILE).expect("the profile that ships");
    let scenario = Scenario::from_flags([("dataset-name", Some("azure"))]).expect("known flags");
    let asked = Asked { scenario: &scenario, profile: &profile, dataset: None, kind: LoadKind::Rate };
    let error = asked.run(1.0, 0, None).expect_err("times of its own");
    assert!(matches!(error, TrialError::TimedDataset(_)) && error.to_string().contains("--no-self-timed"), "{error}");
}

/// Other sessions, engine and objective for every number.
fn sessions(number: u64) -> Vec<(&'static str, String)> {
    let mut draw = Pcg64::stream(number, "users");
    let mut pick = |choices: &[&str]| {
        let last = u32::try_from(choices.len() - 1).expect("few");
        choices[draw.integers(0, last) as usize].to_owned()
    };
    vec![
        ("dataset-name", "sessions".to_owned()),
        ("session-turns", pick(&["1", "3", "1..4"])),
        ("session-input-len", pick(&["600..1400", "2000", "100"])),
        ("session-output-len", pick(&["30", "60..140", "100"])),
        ("think-time", pick(&["exp:1", "exp:2", "0.5"])),
        ("max-num-seqs", pick(&["4", "16", "64"])),
        ("goodput", pick(&["ttft:150 tpot:14", "ttft:300", "e2el:1500"])),
    ]
}

#[test]
fn users_are_searched_as_any_load() {
    let profile = Profile::from_json(PROFILE).expect("the profile that ships");
    let (mut num_found, mut wrong) = (0, vec![]);
    let num_configurations = num_configurations(NUM_OF_USERS);
    for number in 0..num_configurations {
        let flags = sessions(number);
        let given = flags.iter().map(|(flag, value)| (*flag, Some(value.as_str())));
        let scenario = Scenario::from_flags(given).expect("known flags");
        let asked = Asked { scenario: &scenario, profile: &profile, dataset: None, kind: LoadKind::Users };
        let answer = search(&asked);
        let Some(capacity) = answer.capacity.filter(|_| answer.is_limited) else {
            println!("{number}: {:?} {flags:?}", answer.capacity);
            continue;
        };
        let expect = brute_force(&asked, capacity);
        println!(
            "{number}: {capacity} {expect} {:+.4} {:?} {} loads {flags:?}",
            capacity / expect - 1.0,
            answer.interval,
            answer.curve.len()
        );
        // The course crosses between two whole numbers, of which the lower is carried: up to a user less.
        let is_off = (capacity - expect).abs() > (0.01 * expect).max(1.0);
        wrong.extend(is_off.then(|| format!("{number}: {capacity} instead of {expect}, {flags:?}")));
        num_found += 1;
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(3 * num_found >= 2 * num_configurations, "{num_found} configurations have a knee");
}

#[test]
fn a_number_of_users_is_said_with_sessions_for_each() {
    let profile = Profile::from_json(PROFILE).expect("the profile that ships");
    let scenario = Scenario::from_flags([("dataset-name", Some("sessions"))]).expect("known flags");
    let asked = Asked { scenario: &scenario, profile: &profile, dataset: None, kind: LoadKind::Users };
    let at = asked.at(40.0, 3).expect("a possible load");
    assert_eq!([at.get("num-users"), at.get("num-sessions"), at.get("seed")], [Some("40"), Some("200"), Some("3")]);
}

#[test]
fn a_rate_of_sessions_is_that_of_their_beginnings() {
    let profile = Profile::from_json(PROFILE).expect("the profile that ships");
    let saturated = |turns: &str| {
        let flags = [
            ("dataset-name", "sessions"),
            ("session-turns", turns),
            ("session-output-len", "64"),
            ("max-num-seqs", "32"),
        ];
        let scenario = Scenario::from_flags(flags.map(|(flag, value)| (flag, Some(value)))).expect("known flags");
        let asked = Asked { scenario: &scenario, profile: &profile, dataset: None, kind: LoadKind::Rate };
        asked.saturated(0, None).expect("a possible run")
    };
    let (one, four) = (saturated("1"), saturated("4"));
    assert!(four < one / 3.0 && four > one / 8.0, "four turns are more than four times the work: {one} {four}");
}
