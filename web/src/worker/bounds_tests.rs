//! What the worker says of an estimated profile: the run, and the same at both ends of its range.

use sim_core::profile::Profile;
use sim_core::profile::schema::{ProvenanceKind, TimeRange};

use super::session::{Host, Session};
use crate::answer::{Answer, Metric};
use crate::protocol::{Reply, Request, RunInput};

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

/// The answer with a profile that is the shipped one, but for what it calls itself.
fn answer(range: Option<TimeRange>, flags: &[(&str, &str)]) -> Answer {
    let mut profile = Profile::from_json(SHIPPED).expect("the shipped profile");
    if range.is_some() {
        profile.provenance.kind = ProvenanceKind::Estimated;
        profile.provenance.range = range;
    }
    let input = RunInput {
        flags: flags.iter().map(|&(flag, value)| (flag.to_owned(), Some(value.to_owned()))).collect(),
        profile_name: "made up".to_owned(),
        profile: profile.to_json().expect("a profile").into_bytes(),
        dataset: None,
    };
    match Session::default().handle(Request::Run { id: 1, input }, &mut Desk) {
        Reply::Answer { id: 1, answer } => *answer,
        other => panic!("{other:?}"),
    }
}

const FLAGS: [(&str, &str); 3] = [("num-prompts", "100"), ("request-rate", "10"), ("goodput", "tpot:9")];

#[test]
fn an_estimate_is_run_at_both_ends_of_its_range() {
    let range = TimeRange { low: 0.5, high: 2.0 };
    let said = answer(Some(range), &FLAGS);
    let [fast, slow] = &said.bounds[..] else { panic!("{} bounds", said.bounds.len()) };
    assert_eq!([fast.factor, slow.factor].map(f64::to_bits), [range.low, range.high].map(f64::to_bits), "factors");
    let means = |metrics: &[Metric]| -> Vec<f64> { metrics.iter().map(|metric| metric.mean).collect() };
    let all = means(&fast.metrics).into_iter().zip(means(&said.metrics)).zip(means(&slow.metrics));
    for ((fast, own), slow) in all {
        assert!(fast < own && own < slow, "{fast} < {own} < {slow}");
    }
    assert!(fast.share_met > slow.share_met, "{} of requests, then {}", fast.share_met, slow.share_met);
    assert_eq!(said.profile.kind, "estimated", "kind");
    assert!(said.profile.estimated.contains("50 % less to 100 % more"), "{}", said.profile.estimated);
}

#[test]
fn the_label_changes_no_figure_and_other_profiles_have_no_bounds() {
    let (own, labelled) = (answer(None, &FLAGS), answer(Some(TimeRange { low: 0.7, high: 1.4 }), &FLAGS));
    assert_eq!((own.bounds.len(), own.profile.estimated.as_str()), (0, ""), "no estimate");
    assert_eq!((own.digest, own.metrics), (labelled.digest, labelled.metrics), "the run itself");
}
