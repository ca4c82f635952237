//! What the worker says of how far a run's figures may be off: the same at both ends of the profile's range.

use sim_core::profile::Profile;
use sim_core::profile::schema::{ProvenanceKind, TimeRange};

use super::session::{Host, Session};
use crate::answer::{Answer, Metric, RangeAnswer};
use crate::protocol::{ExportKind, Reply, Request, RunInput};

const SHIPPED: &[u8] = include_bytes!("../../../www/profiles/h100-sxm_llama-3.1-8b_bf16_tp1.json");

struct Desk;

impl Host for Desk {
    fn now_ms(&self) -> f64 {
        0.0
    }
    fn wall_clock_ms(&self) -> u64 {
        0
    }
    fn progress(&mut self, _: u32, _: u32, _: f64) {}
}

const FLAGS: [(&str, &str); 3] = [("num-prompts", "100"), ("request-rate", "10"), ("goodput", "tpot:9")];
const NOISE: (&str, &str) = ("pass-noise", "0.1,0.5");

/// A run on a profile that is the shipped one, but for what it calls itself.
fn input(kind: ProvenanceKind, range: Option<TimeRange>, flags: &[(&str, &str)]) -> RunInput {
    let mut profile = Profile::from_json(SHIPPED).expect("the shipped profile");
    (profile.provenance.kind, profile.provenance.range) = (kind, range);
    RunInput {
        flags: flags.iter().map(|&(flag, value)| (flag.to_owned(), Some(value.to_owned()))).collect(),
        profile_name: "made up".to_owned(),
        profile: profile.to_json().expect("a profile").into_bytes(),
        is_of_lockstep: false,
        dataset: None,
    }
}

fn estimate() -> RunInput {
    input(ProvenanceKind::Estimated, Some(TimeRange { low: 0.5, high: 2.0 }), &FLAGS)
}

fn derived(flags: &[(&str, &str)]) -> RunInput {
    input(ProvenanceKind::Derived, None, flags)
}

/// The answer, and how far its figures may be off.
fn asked(input: &RunInput) -> (Answer, Result<RangeAnswer, String>) {
    let answer = match Session::default().handle(Request::Run { id: 1, input: input.clone() }, &mut Desk) {
        Reply::Answer { id: 1, answer } => *answer,
        other => panic!("{other:?}"),
    };
    // A worker of its own, which has seen no run.
    let range = match Session::default().handle(Request::Range { id: 2, input: input.clone() }, &mut Desk) {
        Reply::Range { id: 2, range } => Ok(*range),
        Reply::Fault { id: 2, message } => Err(message),
        other => panic!("{other:?}"),
    };
    (answer, range)
}

fn means(metrics: &[Metric]) -> Vec<f64> {
    metrics.iter().map(|metric| metric.mean).collect()
}

#[test]
fn an_estimate_is_run_at_both_ends_of_its_range() {
    let (said, range) = asked(&estimate());
    let range = range.expect("an estimate has a range");
    let [fast, slow] = &range.bounds[..] else { panic!("{} bounds", range.bounds.len()) };
    assert_eq!([fast.factor, slow.factor].map(f64::to_bits), [0.5, 2.0].map(f64::to_bits), "factors");
    for ((fast, own), slow) in means(&fast.metrics).into_iter().zip(means(&said.metrics)).zip(means(&slow.metrics)) {
        assert!(fast < own && own < slow, "{fast} < {own} < {slow}");
    }
    assert!(fast.share_met > slow.share_met, "{} of requests, then {}", fast.share_met, slow.share_met);
    assert_eq!(said.profile.kind, "estimated", "kind");
    assert!(said.profile.estimated.contains("50 % less to 100 % more"), "{}", said.profile.estimated);
    assert_eq!(range.range.why, said.profile.estimated, "the same sentence");
}

#[test]
fn a_label_changes_no_figure_of_the_run_itself() {
    let (own, labelled) = (asked(&derived(&FLAGS)).0, asked(&estimate()).0);
    assert_eq!(own.profile.estimated, "", "no estimate");
    assert_eq!((own.digest, own.metrics), (labelled.digest, labelled.metrics), "the run itself");
}

#[test]
fn what_stands_for_no_device_has_no_range() {
    let (_, range) = asked(&input(ProvenanceKind::Synthetic, None, &FLAGS));
    assert_eq!(range, Err("the profile does not say how far it may be off".to_owned()));
}

#[test]
fn where_passes_differ_each_end_is_drawn_several_times() {
    let range = asked(&derived(&[&FLAGS[..], &[NOISE]].concat())).1.expect("a range");
    let factors: Vec<f64> = range.bounds.iter().map(|bound| bound.factor).collect();
    assert_eq!(factors, [0.91, 0.91, 0.91, 1.21, 1.21, 1.21]);
    assert_ne!(range.bounds[0].metrics, range.bounds[1].metrics, "other draws");
}

#[test]
fn a_saved_result_has_the_range_that_was_found_with_its_own_figures_in_it() {
    let input = derived(&FLAGS);
    let range = asked(&input).1.expect("a range").range;
    let mut session = Session::default();
    session.handle(Request::Run { id: 1, input }, &mut Desk);
    let mut saved = |range| -> serde_json::Value {
        let date = "20260102-030405".to_owned();
        match session.handle(Request::Export { id: 3, kind: ExportKind::BenchJson, date, range }, &mut Desk) {
            Reply::Export { content, .. } => serde_json::from_slice(&content).expect("JSON"),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(saved(None)["simulation"].get("range"), None, "nobody asked");
    let result = saved(Some(range));
    let range = &result["simulation"]["range"];
    assert_eq!((&range["low_factor"], &range["high_factor"]), (&0.91.into(), &1.21.into()));
    assert!(range["why"].as_str().is_some_and(|why| why.contains("1200 published runs")), "{range}");
    for key in ["mean_ttft_ms", "p99_tpot_ms", "request_throughput", "request_goodput", "duration"] {
        let [low, own, high] = [&range["figures"][key][0], &result[key], &range["figures"][key][1]]
            .map(|value| value.as_f64().expect("a number"));
        assert!(low <= own && own <= high && low < high, "{key}: {low}, {own}, {high}");
    }
}
