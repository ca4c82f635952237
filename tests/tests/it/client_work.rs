//! A client whose one thread works for each request and each token: what that adds to latencies.

use sim_core::profile::Profile;
use sim_core::scenario::{Scenario, prepare};
use sim_core::simulator::{SimulationOptions, simulate};

const PROFILE: &[u8] = include_bytes!("../../../www/profiles/h100-sxm_llama-3.1-8b_bf16_tp1.json");

/// TTFT of each request in milliseconds, of requests sent `rate` a second.
fn ttfts(num_prompts: &str, rate: &str, client_work: &str) -> Vec<f64> {
    let flags = [
        ("num-prompts", num_prompts),
        ("request-rate", rate),
        ("burstiness", "1000000"),
        ("random-input-len", "16"),
        ("random-output-len", "2"),
        ("client-work", client_work),
    ];
    let scenario = Scenario::from_flags(flags.map(|(name, value)| (name, Some(value)))).expect("known flags");
    let profile = Profile::from_json(PROFILE).expect("the profile that ships");
    let run = prepare(&scenario, &profile, None, None).expect("a possible run");
    let options = SimulationOptions::default();
    let recording = simulate(&run.workload, &run.engine.config, &run.step_time, options).expect("a run").recording;
    let ttft = |request| recording.instants(request).expect("it ended").ttft().as_millis_f64();
    recording.requests.iter().map(ttft).collect()
}

#[test]
fn without_load_a_request_takes_its_own_work_longer() {
    let (plain, working) = (ttfts("5", "1", "off"), ttfts("5", "1", "3000,500"));
    for (plain, working) in plain.iter().zip(&working) {
        assert!((working - plain - 3.5).abs() < 1e-6, "{working} after {plain}");
    }
}

#[test]
fn requests_at_once_leave_one_after_another_and_tokens_are_read_behind_them() {
    let (plain, working) = (ttfts("200", "inf", "off"), ttfts("200", "inf", "10000,0"));
    let (first, last) = (working[0], working[199]);
    assert!(first > 2000.0 && last < 2200.0, "{first} to {last} ms, plain {plain:?}");
    assert_eq!(ttfts("200", "inf", "0,0"), plain, "no work is none");
}

#[test]
fn other_texts_are_refused() {
    for wrong in ["", "5", "1,2,3", "-1,0", "nan,0", "1,2000000"] {
        let error = Scenario::from_flags([("client-work", Some(wrong))]).expect_err(wrong).to_string();
        assert!(error.contains("--client-work") && error.contains("REQUEST_US,TOKEN_US"), "{wrong}: {error}");
    }
}
