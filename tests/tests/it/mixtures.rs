//! Mixtures of classes: shares, objectives and priorities of their own; and how bad files are refused.

use sim_core::metrics::bench_outputs::RecordedOutputs;
use sim_core::metrics::goodput::Goodput;
use sim_core::request::RequestId;
use sim_core::scenario::{Prepared, Scenario, check_dataset, dataset_flags, prepare};
use sim_core::simulation_result::SimulationResult;
use sim_core::simulator::{SimulationOptions, simulate};
use sim_core::workload::Traffic;
use sim_core::workload::mixture::Mixture;

use crate::profile_fixture::h100;

const CLASSES: &str = r#"{"classes": [
    {"name": "chat", "share": 0.5, "goodput": "ttft:200 tpot:20", "priority": -1,
     "flags": {"dataset-name": "sessions", "session-turns": "2", "think-time": 1}},
    {"name": "batch", "share": 0.25, "flags": {"random-input-len": 3000, "random-output-len": "200"}},
    {"name": "tiny", "share": 0.25, "goodput": "e2el:1",
     "flags": {"random_input_len": 10, "--random-output-len": 5}}
]}"#;

fn prepared(file: &str, flags: &[(&str, &str)]) -> Result<Prepared, String> {
    let given = [("dataset-name", "mixture")].iter().chain(flags).map(|&(flag, value)| (flag, Some(value)));
    let scenario = Scenario::from_flags(given).map_err(|error| error.to_string())?;
    prepare(&scenario, &h100(), Some(file.as_bytes()), None).map_err(|error| error.to_string())
}

fn run(prepared: &Prepared) -> SimulationResult {
    let options = SimulationOptions::default();
    simulate(&prepared.workload, &prepared.engine.config, &prepared.step_time, options).expect("a run")
}

#[test]
fn each_class_has_its_share_and_its_requests() {
    let prepared = prepared(CLASSES, &[("num-prompts", "200"), ("request-rate", "10")]).unwrap();
    let classes = prepared.classes.as_ref().expect("classes");
    let requests = prepared.workload.requests.as_slice();
    let of = |class: u16| classes.of_request.iter().zip(requests).filter(move |(of, _)| **of == class);
    assert_eq!([0, 1, 2].map(|class| of(class).count()), [200, 50, 50], "100 sessions of two turns each");
    assert!(of(1).all(|(_, request)| (request.num_prompt_tokens, request.num_output_tokens) == (3000, 200)));
    assert!(of(2).all(|(_, request)| (request.num_prompt_tokens, request.num_output_tokens) == (10, 5)));
    let priorities = |class: u16| {
        let ids = (0..).map(RequestId).zip(&classes.of_request).filter(move |(_, of)| **of == class);
        ids.map(|(id, _)| prepared.workload.requests.in_line(id).priority)
    };
    assert!(priorities(0).all(|priority| priority == -1) && priorities(1).all(|priority| priority == 0));
    let Traffic::Answered { after, not_before, .. } = &prepared.workload.traffic else { panic!("sessions wait") };
    for (index, after) in after.iter().enumerate() {
        let Some(after) = after else { continue };
        assert_eq!(after.request, RequestId(u32::try_from(index - 1).unwrap()), "a turn stands behind the one before");
        assert_eq!(classes.of_request[index], 0);
    }
    let starts: Vec<_> =
        not_before.iter().zip(after).filter(|(_, after)| after.is_none()).map(|(time, _)| *time).collect();
    assert!(starts.len() == 200 && starts.is_sorted(), "arrivals of all classes are one stream");
    assert_eq!(starts.last().map(|time| time.as_secs_f64()), Some(20.0));
    // Not all of one class before all of another.
    let changes = classes.of_request.windows(2).filter(|pair| pair[0] != pair[1]).count();
    assert!(changes > 80, "{changes}");
}

#[test]
fn goodput_is_counted_by_the_objectives_of_each_class() {
    let flags = [("num-prompts", "200"), ("request-rate", "20"), ("goodput", "e2el:1000000")];
    let prepared = prepared(CLASSES, &flags).unwrap();
    let result = run(&prepared);
    let outputs = RecordedOutputs::without_itls(&result.recording);
    let classes = prepared.classes.as_ref().expect("classes");
    let of_all = Goodput::parse(["e2el:1000000"]).unwrap();
    let metrics = classes.metrics(&outputs, of_all);
    assert_eq!(metrics.iter().map(|class| class.name.as_str()).collect::<Vec<_>>(), ["chat", "batch", "tiny", "all"]);
    assert_eq!(metrics.iter().map(|class| class.num_requests).collect::<Vec<_>>(), [200, 50, 50, 300]);
    assert_eq!(metrics[1].num_good, 50, "the objectives of all are easily met");
    assert_eq!(metrics[2].num_good, 0, "nothing is answered within a millisecond");
    assert!(metrics[0].num_good > 0, "{:?}", metrics[0]);
    assert_eq!(metrics[3].num_good, metrics[..3].iter().map(|class| class.num_good).sum::<u64>());
    let tokens: f64 = metrics[..3].iter().map(|class| class.output_throughput).sum();
    assert!((metrics[3].output_throughput / tokens - 1.0).abs() < 1e-12);
    // The whole is what the plain report says.
    let plain = of_all.attainment(&outputs).count();
    assert_eq!(plain as u64, metrics[3].num_requests);
}

#[test]
fn the_priority_policy_serves_the_class_that_is_sooner() {
    let classes = r#"{"classes": [
        {"name": "now", "share": 1, "priority": 0, "flags": {"random-input-len": 500, "random-output-len": 20}},
        {"name": "later", "share": 1, "priority": 9, "flags": {"random-input-len": 500, "random-output-len": 20}}]}"#;
    let mean_ttft = |policy| {
        let flags = [("num-prompts", "200"), ("max-num-seqs", "8"), ("scheduling-policy", policy)];
        let prepared = prepared(classes, &flags).unwrap();
        let result = run(&prepared);
        let outputs = RecordedOutputs::without_itls(&result.recording);
        let metrics = prepared.classes.as_ref().expect("classes").metrics(&outputs, Goodput::default());
        [metrics[0].latencies_ms[0][0], metrics[1].latencies_ms[0][0]]
    };
    let [now, later] = mean_ttft("fcfs");
    assert!((now / later - 1.0).abs() < 0.3, "first come, first served: {now} {later}");
    let [now, later] = mean_ttft("priority");
    assert!(2.0 * now < later, "{now} {later}");
}

#[test]
fn counts_are_shares_of_the_whole() {
    let counts = |shares: &[f64], num_arrivals| {
        let classes: Vec<String> = shares
            .iter()
            .enumerate()
            .map(|(place, share)| format!("{{\"name\": \"{place}\", \"share\": {share}}}"))
            .collect();
        let file = format!("{{\"classes\": [{}]}}", classes.join(","));
        Mixture::from_json(file.as_bytes()).unwrap().counts(num_arrivals)
    };
    assert_eq!(counts(&[0.7, 0.3], 10), [7, 3]);
    assert_eq!(counts(&[1.0, 1.0, 1.0], 10), [4, 3, 3]);
    assert_eq!(counts(&[1e-9, 1e9], 10_000_000), [0, 10_000_000]);
    assert_eq!(counts(&[2.0], 3), [3]);
}

#[test]
fn a_mixture_is_known_by_its_content() {
    assert_eq!(dataset_flags(CLASSES.as_bytes()), Ok(vec![("dataset-name", "mixture".to_owned())]));
    let random = Scenario::from_flags([("dataset-name", Some("table"))]).unwrap();
    let told = check_dataset(&random, CLASSES.as_bytes()).unwrap_err();
    assert_eq!(told, "this is a mixture of classes: its name is --dataset-name mixture");
}

#[track_caller]
fn check_refused(class: &str, expect: &str) {
    let file = format!("{{\"classes\": [{class}]}}");
    let refused = prepared(&file, &[]).map(|_| ()).expect_err("refused");
    assert!(refused.contains(expect), "{class} says {refused:?} without {expect:?}");
}

#[test]
fn what_is_wrong_with_a_class_is_said_with_its_name() {
    check_refused("", "classes is 0; it must be a list of 1 to 64 classes");
    check_refused(r#"{"name": "a"}"#, "share");
    check_refused(
        r#"{"name": "a", "share": 0}"#,
        "a class of the mixture is \"a\" with share 0; it must be a share above 0",
    );
    check_refused(r#"{"name": "a", "share": "half"}"#, "line 1: ");
    check_refused(r#"{"name": "", "share": 1}"#, "name is empty; it must be of 1 to 60 characters");
    check_refused(r#"{"name": "a", "share": 1}, {"name": "a", "share": 1}"#, "of one class only");
    check_refused(r#"{"name": "a", "share": 1, "lengths": 5}"#, "lengths");
    check_refused(
        r#"{"name": "a", "share": 1, "flags": {"request-rate": 5}}"#,
        "\"a\" with request-rate; it must be flags",
    );
    check_refused(
        r#"{"name": "a", "share": 1, "flags": {"max-num-seqs": 5}}"#,
        "\"a\" with max-num-seqs; it must be flags",
    );
    check_refused(
        r#"{"name": "a", "share": 1, "flags": {"random-input-len": [5]}}"#,
        "\"a\" with random-input-len; it must",
    );
    check_refused(r#"{"name": "a", "share": 1, "flags": {"random-input-len": -5}}"#, "--random-input-len");
    check_refused(r#"{"name": "a", "share": 1, "flags": {"dataset-name": "azure"}}"#, "\"a\" with dataset-name azure");
    check_refused(
        r#"{"name": "a", "share": 1, "flags": {"think-time": 5}}"#,
        "--think-time does nothing with --dataset-name random",
    );
    check_refused(r#"{"name": "a", "share": 1, "goodput": "speed:5"}"#, "--goodput");
    let none = prepared("[1]", &[]).map(|_| ()).expect_err("refused");
    assert!(none.contains("line 1"), "{none}");
}
