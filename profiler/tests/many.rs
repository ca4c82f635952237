//! Many runs at once give what each gives alone, in any number of threads; they can be watched and ended.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use profiler::many::{NoSummary, Progress, Request, Run, Summary, Watch, answer_many, simulate_many};
use rayon::ThreadPoolBuilder;
use sim_core::metrics::digest::digest;
use sim_core::profile::Profile;
use sim_core::scenario::{Prepared, Scenario, prepare};
use sim_core::simulator::{SimulationOptions, simulate};

const PROFILE: &[u8] = include_bytes!("../../www/profiles/h100-sxm_llama-3.1-8b_bf16_tp1.json");

fn profile() -> Profile {
    Profile::from_json(PROFILE).expect("the shipped profile")
}

fn base(profile: &Profile) -> Request<'_> {
    let flags = [("dataset-name", Some("random")), ("num-prompts", Some("60")), ("random-output-len", Some("24"))];
    let scenario = Scenario::from_flags(flags).expect("flags");
    Request { scenario, profile, dataset: None, counter: None }
}

/// Runs that take from a few passes to some thousand, and one that is refused.
fn requests(profile: &Profile) -> Vec<Request<'_>> {
    let base = base(profile);
    let with = |flag: &str, value: String| base.with(&[(flag, Some(value.as_str()))]).expect("flags");
    let rates = (1..=12).map(|rate| with("request-rate", (rate * rate).to_string()));
    let drawn = with("request-rate", "7".to_owned());
    let seeds = (0..6).map(|seed| drawn.with(&[("seed", Some(seed.to_string().as_str()))]).expect("flags"));
    let long = ["400", "2000000"].map(|length| with("random-output-len", length.to_owned()));
    rates.chain(seeds).chain(long).collect()
}

fn in_threads<R: Send>(num_threads: usize, work: impl FnOnce() -> R + Send) -> R {
    ThreadPoolBuilder::new().num_threads(num_threads).build().expect("threads").install(work)
}

#[test]
fn any_number_of_threads_gives_what_each_run_gives_alone() {
    let profile = profile();
    let requests = requests(&profile);
    let alone: Vec<Option<u64>> = requests
        .iter()
        .map(|request| {
            let Prepared { engine, workload, step_time, .. } = prepare(&request.scenario, &profile, None, None).ok()?;
            let result = simulate(&workload, &engine.config, &step_time, SimulationOptions::default());
            Some(digest(&result.expect("a possible run").recording))
        })
        .collect();
    let of_one = in_threads(1, || answer_many(&requests, Watch::default()));
    let digests: Vec<Option<u64>> = of_one.iter().map(|summary| Some(summary.as_ref().ok()?.digest)).collect();
    assert_eq!(digests, alone, "in the order of the requests");
    assert!(matches!(of_one.last(), Some(Err(NoSummary::Scenario(_)))), "{:?}", of_one.last());
    assert_eq!(digests.iter().flatten().collect::<BTreeSet<_>>().len(), 19, "each is another run");
    for num_threads in [2, 8] {
        let summaries = in_threads(num_threads, || answer_many(&requests, Watch::default()));
        assert_eq!(summaries, of_one, "{num_threads} threads");
    }
}

#[test]
fn prepared_runs_share_what_they_have_in_common() {
    let profile = profile();
    let request = base(&profile);
    let Prepared { engine, workload, step_time, options, .. } =
        prepare(&request.scenario, &profile, None, None).expect("a possible run");
    let step_times = [0.5, 1.0, 2.0].map(|factor| step_time.times(factor));
    let runs = step_times.each_ref().map(|step_time| Run {
        workload: &workload,
        config: &engine.config,
        step_time,
        options: &options,
    });
    let summaries: Vec<Summary> =
        simulate_many(&runs, Watch::default()).into_iter().map(|summary| summary.expect("a possible run")).collect();
    assert_eq!(Ok(&summaries[1]), answer_many(&[request], Watch::default())[0].as_ref(), "the same run by its flags");
    let durations: Vec<f64> = summaries.iter().map(|summary| summary.metrics.duration).collect();
    assert!(durations.is_sorted() && durations[0] < durations[2], "longer passes, longer runs: {durations:?}");
    assert!(summaries.iter().all(|summary| summary.metrics.completed == 60 && summary.num_unfinished == 0));
}

#[test]
fn each_run_is_told_once_when_it_is_over() {
    let profile = profile();
    let requests = requests(&profile);
    let told = Mutex::new(vec![]);
    let on_progress = |progress: Progress| told.lock().expect("no thread panicked").push(progress);
    let watch = Watch { on_progress: Some(&on_progress), ..Watch::default() };
    assert_eq!(in_threads(2, || answer_many(&requests, watch)).len(), requests.len());
    let mut told = told.into_inner().expect("no thread panicked");
    told.sort_by_key(|progress| progress.num_over);
    let num_runs = requests.len();
    let expect: Vec<Progress> = (1..=num_runs).map(|num_over| Progress { num_over, num_runs }).collect();
    assert_eq!(told, expect);
}

#[test]
fn what_is_over_stays_when_the_rest_is_cancelled() {
    let profile = profile();
    let requests = requests(&profile);
    let is_cancelled = AtomicBool::new(false);
    let on_progress = |progress: Progress| is_cancelled.store(progress.num_over >= 3, Ordering::Relaxed);
    let watch = Watch { is_cancelled: Some(&is_cancelled), on_progress: Some(&on_progress) };
    // One thread takes them in their order.
    let summaries = in_threads(1, || answer_many(&requests, watch));
    let kept: Vec<bool> = summaries.iter().map(Result::is_ok).collect();
    let expect: Vec<bool> = (0..requests.len()).map(|place| place < 3).collect();
    assert_eq!(kept, expect);
    assert_eq!(summaries[3..].iter().filter(|summary| **summary == Err(NoSummary::Cancelled)).count(), 17);
}

/// The run would take minutes.
#[test]
fn a_run_under_way_ends_when_it_is_cancelled() {
    let profile = profile();
    let long = [("num-prompts", Some("200000")), ("random-output-len", Some("2000")), ("max-concurrency", Some("4"))];
    let requests = [base(&profile).with(&long).expect("flags")];
    let is_cancelled = AtomicBool::new(false);
    let watch = Watch { is_cancelled: Some(&is_cancelled), ..Watch::default() };
    let summaries = std::thread::scope(|scope| {
        let running = scope.spawn(|| answer_many(&requests, watch));
        std::thread::sleep(std::time::Duration::from_millis(300));
        assert!(!running.is_finished(), "the run is under way");
        is_cancelled.store(true, Ordering::Relaxed);
        running.join().expect("no panic")
    });
    assert_eq!(summaries, [Err(NoSummary::Cancelled)]);
}
