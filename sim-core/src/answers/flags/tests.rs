//! Steps of a setup on a made-up GPU, and what is said of their capacities.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::{Change, steps};
use crate::profile::Profile;
use crate::scenario::Scenario;

const PROFILE: &[u8] = include_bytes!("../../../../www/profiles/h100-sxm_llama-3.1-8b_bf16_tp1.json");

#[track_caller]
fn check(flags: &[(&str, &str)], expect: &[&str]) {
    let profile = Profile::from_json(PROFILE).expect("the shipped profile");
    let scenario = Scenario::from_flags(flags.iter().map(|&(flag, value)| (flag, Some(value)))).expect("known flags");
    let told: Vec<String> = steps(&scenario, &profile)
        .expect("a possible setup")
        .into_iter()
        .map(|step| alloc::format!("{}{}", step.typed(), if step.refused.is_some() { " refused" } else { "" }))
        .collect();
    assert_eq!(told, expect, "{flags:?}");
}

#[test]
fn each_flag_is_moved_by_one_step_and_no_other_changes() {
    check(
        &[],
        &[
            "--max-num-seqs 2048",
            "--max-num-seqs 512",
            "--max-num-batched-tokens 16384",
            "--max-num-batched-tokens 4096",
            "--no-async-scheduling",
            "--no-enable-prefix-caching",
            "--no-enable-chunked-prefill",
            "--gpu-memory-utilization 0.97",
            "--gpu-memory-utilization 0.87",
        ],
    );
}

#[test]
fn at_an_end_there_is_one_way_and_what_vllm_refuses_is_said() {
    check(
        &[
            ("max-num-seqs", "1"),
            ("max-num-batched-tokens", "128"),
            ("max-model-len", "4096"),
            ("num-gpu-blocks-override", "600"),
        ],
        &[
            "--max-num-seqs 2",
            "--max-num-batched-tokens 256",
            "--no-async-scheduling",
            "--no-enable-prefix-caching",
            "--no-enable-chunked-prefill refused",
        ],
    );
}

#[test]
fn a_change_counts_from_a_hundredth_on_and_the_best_comes_first() {
    let changes = [(10.0, Some(9.0)), (10.0, Some(10.05)), (10.0, None), (10.0, Some(12.0))];
    let mut changes: Vec<Change> = changes.map(|(before, after)| Change::new(Some(before), after)).to_vec();
    changes.sort_by(|a, b| a.best_first(*b));
    let told: Vec<String> = changes.iter().map(|change| alloc::format!("{:.2}", change.share())).collect();
    assert_eq!(told.join(" "), "0.20 0.00 -0.10 -1.00".to_string());
    assert_eq!(Change::new(None, Some(1.0)), Change::More(f64::INFINITY), "something instead of nothing");
}
