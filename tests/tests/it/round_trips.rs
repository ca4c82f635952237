//! What the simulator wrote, it repeats: random workloads through their result files, in the form of today, in the form
//! that has no flags in it, and in vLLM's own. Either the very same run comes out, or a refusal, or a sentence that says
//! what was assumed.

use std::collections::BTreeMap;

use serde_json::Value;
use sim_core::metrics::bench_json::{ResultJson, SaveResult, Simulation};
use sim_core::metrics::bench_outputs::RecordedOutputs;
use sim_core::metrics::bench_serve::{BenchmarkMetrics, Latencies};
use sim_core::metrics::digest::digest;
use sim_core::metrics::json_measured::MeasuredResult;
use sim_core::metrics::recorder::Recording;
use sim_core::models::catalogue::Catalogue;
use sim_core::operators::Pack;
use sim_core::profile::Profile;
use sim_core::rng::Pcg64;
use sim_core::scenario::link::fingerprint;
use sim_core::scenario::repeat::{RepeatError, Repetition, Stated, stated_flags};
use sim_core::scenario::{Part, Prepared, Scenario, prepare, step_time_model};
use sim_core::simulator::{SimulationOptions, simulate};

use crate::profile_fixture::file;

/// Workloads that go through their files.
const NUM_WORKLOADS: usize = 320;

/// A composed profile: it has times of verifications.
pub(crate) fn profile() -> Profile {
    let catalogue = Catalogue::from_json(&file("../www/models.json")).expect("the list of models");
    let pack = Pack::from_json(&file("../www/packs/h100-sxm.json")).expect("a pack");
    let scenario = Scenario::from_flags([("model", Some("meta-llama/Llama-3.1-8B"))]).expect("a model");
    let composition = scenario.composition().expect("a model is composed");
    composition.compose(&catalogue, None, &pack).expect("a profile").profile
}

/// Draws flags.
struct Draw(Pcg64);

impl Draw {
    fn of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.0.integers(0, u32::try_from(all.len()).expect("few") - 1) as usize]
    }

    fn chance(&mut self, percent: u32) -> bool {
        self.0.integers(1, 100) <= percent
    }

    fn between(&mut self, low: u32, high: u32) -> String {
        self.0.integers(low, high).to_string()
    }
}

/// A scenario in which nothing is left out that a result can state, and the dataset's file.
fn drawn(draw: &mut Draw) -> (Scenario, Option<Vec<u8>>) {
    let mut flags: Vec<(&str, String)> = vec![];
    let dataset = draw.of(&[
        "random",
        "random",
        "random",
        "prefix_repetition",
        "azure",
        "burstgpt",
        "burstgpt_timed",
        "timed_trace",
    ]);
    flags.push(("dataset-name", dataset.to_owned()));
    let path = lengths(draw, dataset, &mut flags);
    if draw.chance(60) {
        flags.push(("seed", draw.between(0, 5)));
    }
    traffic(draw, dataset, &mut flags);
    before_and_drafts(draw, &mut flags);
    engine(draw, &mut flags);
    let given = flags.iter().map(|(flag, value)| (*flag, Some(value.as_str()).filter(|value| !value.is_empty())));
    let scenario = Scenario::from_flags(given).unwrap_or_else(|error| panic!("{flags:?}: {error}"));
    (scenario, path.map(file))
}

fn lengths(draw: &mut Draw, dataset: &str, flags: &mut Vec<(&str, String)>) -> Option<&'static str> {
    match dataset {
        "random" => {
            flags.push(("random-input-len", draw.between(1, 400)));
            flags.push(("random-output-len", draw.between(1, 40)));
            if draw.chance(50) {
                let ratio =
                    draw.of(&["0.3", "0.9", r#"{"input": 0.5, "output": 0.0}"#, r#"{"input": 0.0, "output": 0.8}"#]);
                flags.push(("random-range-ratio", ratio.to_owned()));
            }
            if draw.chance(40) {
                flags.push(("random-prefix-len", draw.between(1, 200)));
            }
            flags.push(("num-prompts", draw.between(1, 60)));
            None
        }
        "prefix_repetition" => {
            flags.push(("prefix-repetition-prefix-len", draw.between(16, 300)));
            flags.push(("prefix-repetition-suffix-len", draw.between(1, 100)));
            flags.push(("prefix-repetition-num-prefixes", draw.between(1, 5)));
            flags.push(("prefix-repetition-output-len", draw.between(1, 40)));
            flags.push(("num-prompts", draw.between(5, 60)));
            None
        }
        "azure" => {
            flags.push(("num-prompts", draw.between(1, 60)));
            Some("../www/datasets/azure_llm_2023_conv_first_1000.csv")
        }
        "burstgpt" | "burstgpt_timed" => {
            flags.push(("num-prompts", draw.between(1, 60)));
            if draw.chance(30) {
                flags.push(("no-oversample", String::new()));
            }
            Some("data/bench_serve/burstgpt.csv")
        }
        _ => {
            flags.push(("num-prompts", draw.between(1, 40)));
            if draw.chance(50) {
                return Some("data/bench_serve/timed_trace_bailian.jsonl");
            }
            flags.push(("timed-trace-chunk-hash-size", "512".to_owned()));
            flags.push(("timed-trace-sec-multiplier", "0.001".to_owned()));
            Some("data/bench_serve/timed_trace_mooncake.jsonl")
        }
    }
}

fn traffic(draw: &mut Draw, dataset: &str, flags: &mut Vec<(&str, String)>) {
    let has_times = ["azure", "burstgpt_timed", "timed_trace"].contains(&dataset);
    if !has_times || draw.chance(30) {
        if has_times {
            flags.push(("no-self-timed", String::new()));
        }
        match draw.of(&["inf", "rate", "rate", "linear", "exponential"]) {
            "inf" => {}
            "rate" => {
                flags.push(("request-rate", draw.of(&["2", "7.5", "30", "0.9"]).to_owned()));
                if draw.chance(50) {
                    flags.push(("burstiness", draw.of(&["0.3", "4", "inf", "1"]).to_owned()));
                }
            }
            strategy => {
                flags.push(("ramp-up-strategy", strategy.to_owned()));
                flags.push(("ramp-up-start-rps", draw.between(1, 5)));
                flags.push(("ramp-up-end-rps", draw.between(5, 30)));
                if draw.chance(30) {
                    flags.push(("burstiness", "0.5".to_owned()));
                }
            }
        }
    }
    if draw.chance(40) {
        flags.push(("max-concurrency", draw.between(1, 12)));
    }
}

fn before_and_drafts(draw: &mut Draw, flags: &mut Vec<(&str, String)>) {
    if draw.chance(25) {
        flags.push(("num-warmups", draw.between(1, 4)));
    }
    if draw.chance(15) {
        flags.push(("ready-check-timeout-sec", "600".to_owned()));
    }
    if draw.chance(15) {
        flags.push(("num-earlier-runs", draw.between(1, 2)));
    }
    if draw.chance(20) {
        let drafter = r#"{"method": "ngram", "num_speculative_tokens": 3, "prompt_lookup_max": 4}"#;
        flags.push(("speculative-config", drafter.to_owned()));
        let acceptance = draw.of(&[
            ("spec-acceptance-length", "2.2"),
            ("spec-acceptance-rates", "0.8,0.6,0.5"),
            ("spec-acceptance-sequence", "3,0,2"),
        ]);
        flags.push((acceptance.0, acceptance.1.to_owned()));
    }
}

fn engine(draw: &mut Draw, flags: &mut Vec<(&str, String)>) {
    let all = [
        ("max-num-seqs", "4"),
        ("max-num-batched-tokens", "512"),
        ("no-enable-prefix-caching", ""),
        ("no-async-scheduling", ""),
        ("scheduling-policy", "priority"),
        ("vllm-version", "0.32.0"),
        ("enforce-eager", ""),
        ("long-prefill-token-threshold", "128"),
        ("block-size", "32"),
        ("gpu-memory-utilization", "0.8"),
    ];
    for (flag, value) in all {
        if draw.chance(15) {
            flags.push((flag, value.to_owned()));
        }
    }
    // A cache so small that earlier blocks are lost.
    if draw.chance(15) {
        flags.push(("max-model-len", "16384".to_owned()));
        flags.push(("num-gpu-blocks-override", "1100".to_owned()));
    }
}

/// Its recording, with the times of single tokens if `detailed`.
fn run(repetition: &Repetition, profile: &Profile, detailed: bool) -> Recording {
    let engine = repetition.scenario.resolve(profile).expect("an engine");
    let mut workload = repetition.workload.clone();
    workload.requests.set_acceptance(repetition.scenario.acceptance(&engine.config).expect("an acceptance"));
    let step_time = step_time_model(profile, &engine.config, repetition.scenario.enforce_eager()).expect("step times");
    let keep = SimulationOptions { record_emissions: detailed };
    simulate(&workload, &engine.config, &step_time, keep).expect("a run").recording
}

/// A run, and its result file.
struct Case<'a> {
    profile: &'a Profile,
    scenario: Scenario,
    dataset: Option<Vec<u8>>,
    recording: Recording,
    detailed: bool,
    /// The file of today, as JSON.
    result: Value,
}

impl<'a> Case<'a> {
    /// `None` if the run is refused or does not come to its end: such a file is another matter.
    fn both(profile: &'a Profile, scenario: &Scenario, dataset: Option<Vec<u8>>) -> Option<[Self; 2]> {
        let Prepared { engine, workload, step_time, options, .. } =
            prepare(scenario, profile, dataset.as_deref(), None).ok()?;
        let keep = SimulationOptions { record_emissions: true };
        let with = simulate(&workload, &engine.config, &step_time, keep).ok()?.recording;
        if with.requests.iter().any(|request| !request.is_finished) {
            return None;
        }
        let without = Recording { emissions: vec![], ..with.clone() };
        let case = |recording: Recording, detailed: bool| {
            let outputs = RecordedOutputs::new(&recording);
            let metrics = BenchmarkMetrics::new(&outputs, &Latencies::new(&outputs), &options);
            let simulation = Simulation {
                version: "0",
                vllm_version: engine.config.vllm_version.name(),
                profile: "p",
                provenance: "derived",
                range: None,
                extrapolated_share: 0.0,
                kv_tiers: None,
                digest: digest(&recording),
                flags: &stated_flags(scenario),
                dataset: dataset.as_deref().map(fingerprint),
                classes: &[],
            };
            let save = SaveResult { date: "20260101-000000", save_detailed: detailed };
            let json = ResultJson::new(&outputs, &metrics, &options, &simulation, save).expect("a file").to_string();
            let result = serde_json::from_str(&json.replace(": Infinity", ": \"Infinity\"")).expect("JSON");
            let (scenario, dataset) = (scenario.clone(), dataset.clone());
            Self { profile, scenario, dataset, recording, detailed, result }
        };
        Some([case(without, false), case(with, true)])
    }

    /// The file, repeated with the flags of these parts.
    fn repeat(&self, result: &Value, parts: &[Part]) -> Result<(Vec<String>, Recording), RepeatError> {
        let mut given = Scenario::default();
        for (flag, value) in self.scenario.given().filter(|(flag, _)| parts.contains(&flag.part)) {
            given.set(flag.name, Some(value)).expect("a flag that was taken before");
        }
        let read = MeasuredResult::all_from_json(result.to_string().as_bytes()).expect("a result");
        let stated = Stated::new(&read[0], &given)?;
        let file = self.dataset.as_deref().filter(|_| stated.needed_file().is_some());
        let repetition = stated.repeat(file, None)?;
        Ok((repetition.notes.clone(), run(&repetition, self.profile, self.detailed)))
    }

    /// With vLLM's own keys and values alone.
    fn as_of_vllm(&self) -> Value {
        let mut result = self.result.clone();
        result.as_object_mut().expect("an object").remove("simulation");
        (result["backend"], result["endpoint_type"]) = ("vllm".into(), "vllm".into());
        // What was asked for, of which a dataset may give less.
        if let Some(asked) = self.scenario.get("num-prompts") {
            result["num_prompts"] = asked.parse::<u64>().expect("a number").into();
        }
        result
    }

    fn without_flags(&self) -> Value {
        let mut result = self.result.clone();
        let simulation = result["simulation"].as_object_mut().expect("an object");
        simulation.remove("flags");
        simulation.remove("dataset");
        result
    }

    fn told(&self) -> String {
        format!("{:?}, detailed: {}", self.scenario.flags(), self.detailed)
    }

    fn is_same(&self, recording: &Recording) -> bool {
        digest(recording) == digest(&self.recording)
    }
}

/// Mean send-to-first-token and send-to-last-token times in seconds.
fn means(recording: &Recording) -> [f64; 2] {
    let outputs = RecordedOutputs::without_itls(recording);
    let metrics = BenchmarkMetrics::new(
        &outputs,
        &Latencies::new(&outputs),
        &sim_core::metrics::bench_serve::BenchServeOptions::new(String::new()),
    );
    let mean = |place: usize| metrics.latencies.get(place).map_or(0.0, |latency| latency.mean_ms);
    [mean(0), mean(1)]
}

fn check_own(case: &Case<'_>) {
    match case.repeat(&case.result, &[]) {
        Ok((notes, recording)) => {
            assert!(notes.is_empty(), "nothing is assumed: {notes:?}: {}", case.told());
            assert!(case.is_same(&recording), "another run came out: {}", case.told());
        }
        Err(error) => panic!("{error}: {}", case.told()),
    }
    if case.dataset.is_some() {
        let nameless = Case {
            dataset: None,
            scenario: case.scenario.clone(),
            recording: Recording::default(),
            result: Value::Null,
            ..*case
        };
        let refused = nameless.repeat(&case.result, &[]).map(|(notes, _)| notes);
        assert!(matches!(refused, Err(RepeatError::NoFile { .. })), "{refused:?}: {}", case.told());
    }
}

/// Counts what became of files that do not say everything.
fn check_silent(case: &Case<'_>, result: &Value, outcomes: &mut BTreeMap<&'static str, u32>) {
    let outcome = match case.repeat(result, &[Part::Engine]) {
        Err(error) => {
            let told = error.to_string();
            assert!(told.contains("--") || told.contains("give"), "names what is missing: {told}");
            "refused"
        }
        Ok((_, recording)) if case.is_same(&recording) => "the same",
        Ok((notes, _)) => {
            assert!(!notes.is_empty(), "another run came out, and nothing says why: {}", case.told());
            "assumed"
        }
    };
    *outcomes.entry(outcome).or_default() += 1;
}

/// vLLM's file beside all flags: the same run, or one whose sending times the file has in floating point.
fn check_with_flags(case: &Case<'_>) {
    match case.repeat(&case.as_of_vllm(), &[Part::Engine, Part::Workload]) {
        Err(error) => panic!("{error}: {}", case.told()),
        Ok((notes, recording)) if case.detailed => {
            let pairs = means(&case.recording).into_iter().zip(means(&recording));
            for (then, now) in pairs {
                assert!((now - then).abs() <= 5e-4 * then, "{then} and {now} ms: {notes:?} {}", case.told());
            }
        }
        Ok((notes, recording)) => assert!(case.is_same(&recording), "another run: {notes:?} {}", case.told()),
    }
}

#[test]
fn what_was_simulated_is_repeated_or_refused_and_never_silently_another_run() {
    let profile = profile();
    let mut draw = Draw(Pcg64::stream(14, "round trips"));
    let (mut num_done, mut num_drawn) = (0, 0);
    let mut outcomes: BTreeMap<&'static str, u32> = BTreeMap::new();
    while num_done < NUM_WORKLOADS {
        num_drawn += 1;
        assert!(num_drawn < 3 * NUM_WORKLOADS, "too many draws are no possible run: {num_done} of {num_drawn}");
        let (scenario, dataset) = drawn(&mut draw);
        let Some(cases) = Case::both(&profile, &scenario, dataset) else { continue };
        num_done += 1;
        for case in &cases {
            check_own(case);
            check_silent(case, &case.without_flags(), &mut outcomes);
            check_silent(case, &case.as_of_vllm(), &mut outcomes);
            check_with_flags(case);
        }
    }
    // All three happen, and often: the checks above are about something.
    assert!(outcomes.len() == 3 && outcomes.values().all(|&count| count > 50), "{outcomes:?}");
}
