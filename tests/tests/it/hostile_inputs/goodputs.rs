//! `--goodput` as it should not be written. The words are those of `vllm bench serve`, which scripts may look for.

use sim_core::metrics::goodput::Goodput;

use super::check_text;

#[track_caller]
fn check(name: &str, arguments: &[&str]) {
    let error = Goodput::parse(arguments.iter().copied()).expect_err("must be refused");
    check_text(&format!("goodput_{name}"), &error);
}

#[test]
fn a_service_level_objective_that_is_no_pair_is_refused() {
    check("no_colon", &["ttft"]);
    check("two_colons", &["ttft:500:3"]);
    check("no_value", &["ttft:"]);
    check("text_as_value", &["ttft:fast"]);
    check("unit_in_value", &["ttft:500ms"]);
    check("empty", &[""]);
    check("second_of_two", &["ttft:500", "tpot=50"]);
}

#[test]
fn a_service_level_objective_of_no_meaning_is_refused() {
    check("unknown_name", &["itl:20"]);
    check("capitals", &["TTFT:500"]);
    check("no_name", &[":500"]);
    check("negative", &["e2el:-1"]);
    check("minus_infinity", &["tpot:-inf"]);
}
