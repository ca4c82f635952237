//! Speculative decoding asked for in ways that vLLM refuses, or that nobody can simulate.

use sim_core::profile::Profile;
use sim_core::scenario::{Scenario, prepare};

use super::check_text;
use crate::profile_fixture::layered;

/// An engine with three drafts; `config` replaces the drafter where it says something.
#[track_caller]
fn check(name: &str, config: &str, flags: &[(&str, &str)]) {
    let profile = Profile::from_json(&serde_json::to_vec(&layered()).expect("JSON")).expect("a profile");
    let given = [("speculative-config", config)];
    let given = given.into_iter().filter(|(_, config)| !config.is_empty()).chain(flags.iter().copied());
    let error = Scenario::from_flags(given.map(|(flag, value)| (flag, Some(value))))
        .and_then(|scenario| prepare(&scenario, &profile, None, None).map(drop))
        .expect_err("must be refused");
    check_text(&format!("speculation_{name}"), &error);
}

const EAGLE3: &str = r#"{"method": "eagle3", "model": "head", "num_speculative_tokens": 3}"#;

/// The drafter with one key more.
fn and(key: &str) -> String {
    EAGLE3.replace('}', &format!(", {key}}}"))
}

#[test]
fn a_config_that_is_none_is_refused() {
    let check = |name: &str, config: &str| check(&format!("config_{name}"), config, &[]);
    check("no_json", "eagle3");
    check("list", "[1, 2]");
    check("open", r#"{"method": "ngram""#);
    check("deep", &format!(r#"{{"method": {}"#, "[".repeat(100_000)));
    check("empty", "{}");
    check("without_drafts", r#"{"method": "eagle3", "model": "head"}"#);
    check("no_drafts", r#"{"method": "ngram", "num_speculative_tokens": 0}"#);
    check("drafts_below_0", r#"{"method": "ngram", "num_speculative_tokens": -3}"#);
    check("absurdly_many_drafts", r#"{"method": "ngram", "num_speculative_tokens": 9223372036854775807}"#);
    check("drafts_beyond_64_bits", r#"{"method": "ngram", "num_speculative_tokens": 92233720368547758070}"#);
    check("half_a_draft", r#"{"method": "ngram", "num_speculative_tokens": 2.5}"#);
    check("without_model", r#"{"method": "eagle3", "num_speculative_tokens": 3}"#);
    check("unknown_method", r#"{"method": "eagle4", "num_speculative_tokens": 3}"#);
    check("method_not_simulated", r#"{"method": "suffix", "num_speculative_tokens": 3}"#);
    check("unknown_key", &and(r#""num_speculative_token": 3"#));
    check("key_not_simulated", &and(r#""max_model_len": 1000"#));
    check("text_for_a_switch", &and(r#""parallel_drafting": "yes""#));
    check("lookup_longest_below_shortest", &and(r#""prompt_lookup_max": 2, "prompt_lookup_min": 3"#));
}

#[test]
fn a_schedule_of_drafts_that_is_none_is_refused() {
    let check = |name: &str, ranges: &str| {
        check(&format!("schedule_{name}"), &and(&format!(r#""num_speculative_tokens_per_batch_size": {ranges}"#)), &[]);
    };
    check("empty", "[]");
    check("no_list", "3");
    check("pair", "[[1, 2]]");
    check("from_0", "[[0, 4, 3]]");
    check("backwards", "[[4, 1, 3]]");
    check("from_2", "[[2, 4, 3]]");
    check("overlap", "[[1, 4, 3], [4, 9, 1]]");
    check("negative", "[[1, 4, -3]]");
}

#[test]
fn an_acceptance_that_cannot_be_is_refused() {
    let check = |name: &str, flags: &[(&str, &str)]| check(&format!("acceptance_{name}"), EAGLE3, flags);
    check("missing", &[]);
    check("rate_above_1", &[("spec-acceptance-rates", "0.5,1.5,0.1")]);
    check("rate_below_0", &[("spec-acceptance-rates", "0.5,-0.5,0.1")]);
    check("rate_nan", &[("spec-acceptance-rates", "0.5,nan,0.1")]);
    check("rate_no_number", &[("spec-acceptance-rates", "0.5,high,0.1")]);
    check("rates_too_few", &[("spec-acceptance-rates", "0.5,0.4")]);
    check("rates_empty", &[("spec-acceptance-rates", "")]);
    check("length_below_1", &[("spec-acceptance-length", "0.5")]);
    check("length_above_drafts", &[("spec-acceptance-length", "4.5")]);
    check("length_infinite", &[("spec-acceptance-length", "inf")]);
    check("sequence_negative", &[("spec-acceptance-sequence", "1,-1")]);
    check("sequence_empty", &[("spec-acceptance-sequence", "")]);
    check("two_ways", &[("spec-acceptance-length", "2"), ("spec-acceptance-rates", "0.5,0.4,0.3")]);
}

#[test]
fn an_acceptance_that_vllm_has_not_is_refused() {
    let check = |name: &str, keys: &str| check(&format!("synthetic_{name}"), &and(keys), &[]);
    check("without_rates", r#""rejection_sample_method": "synthetic""#);
    check("rates_without_method", r#""synthetic_acceptance_rates": [0.5, 0.4, 0.3]"#);
    let synthetic = |more: &str| format!(r#""rejection_sample_method": "synthetic", {more}"#);
    check("rates_rise", &synthetic(r#""synthetic_acceptance_rates": [0.5, 0.6, 0.3]"#));
    check("rates_too_many", &synthetic(r#""synthetic_acceptance_rates": [0.5, 0.4, 0.3, 0.2]"#));
    check("rate_above_1", &synthetic(r#""synthetic_acceptance_rates": [1.5, 0.4, 0.3]"#));
    check("length_above_drafts", &synthetic(r#""synthetic_acceptance_length": 5"#));
    check("both", &synthetic(r#""synthetic_acceptance_length": 2, "synthetic_acceptance_rates": [0.5, 0.4, 0.3]"#));
}

#[test]
fn a_drafter_that_the_profile_or_engine_has_no_room_for_is_refused() {
    let rates = ("spec-acceptance-length", "2");
    check("engine_drafter_not_measured", &EAGLE3.replace("eagle3", "dflash"), &[rates]);
    check("engine_budget_below_a_verification", EAGLE3, &[rates, ("long-prefill-token-threshold", "3")]);
    check("engine_acceptance_without_drafter", "", &[rates]);
    check("engine_seats", EAGLE3, &[rates, ("max-num-batched-tokens", "2"), ("max-num-seqs", "2")]);
}
