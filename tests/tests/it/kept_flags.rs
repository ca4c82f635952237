//! What was there before a command came: it stays and is named, unless it contradicts what the command says.

use proptest::prelude::*;
use sim_core::scenario::command::{self, Program, ReadCommand};
use sim_core::scenario::{DatasetName, Scenario};

use crate::draws::draws;
use crate::scenario::{scenario, scenarios};

/// A command upon what was there: what there is then, what is named as kept, and what has yielded with a part of the
/// reason.
#[track_caller]
fn check(
    before: &[(&str, &str)],
    text: &str,
    after: &[(&str, &str)],
    kept: &[&str],
    yielded: &[(&str, &str)],
) -> ReadCommand {
    let read = command::read(text, &scenario(before)).unwrap_or_else(|error| panic!("{text}: {error}"));
    assert_eq!(read.scenario, scenario(after), "{text}");
    assert_eq!(read.kept.iter().map(ToString::to_string).collect::<Vec<_>>(), kept, "{text}");
    let found: Vec<String> = read.yielded.iter().map(|yielded| yielded.flag.to_string()).collect();
    assert_eq!(found, yielded.iter().map(|(flag, _)| *flag).collect::<Vec<_>>(), "{text}");
    for (found, (flag, part)) in read.yielded.iter().zip(yielded) {
        assert!(found.why.contains(part), "{flag}: {}", found.why);
    }
    read
}

#[test]
fn a_command_leaves_what_it_does_not_name() {
    let before = [("max-num-seqs", "16"), ("max-model-len", "4096"), ("request-rate", "5")];
    let read = check(
        &before,
        "vllm serve m --block-size 32",
        &[&before[..], &[("model", "m"), ("block-size", "32")]].concat(),
        &["--max-model-len 4096", "--max-num-seqs 16"],
        &[],
    );
    assert_eq!(read.without_kept(), scenario(&[("model", "m"), ("block-size", "32"), ("request-rate", "5")]));
    check(
        &before,
        "vllm serve m --max-num-seqs 8",
        &[("model", "m"), ("max-num-seqs", "8"), ("max-model-len", "4096"), ("request-rate", "5")],
        &["--max-model-len 4096"],
        &[],
    );
    check(&before, "vllm bench serve --seed 3", &[&before[..], &[("seed", "3")]].concat(), &["--request-rate 5"], &[]);
    let off = [("enable-prefix-caching", "false"), ("gpu", "h200-sxm"), ("model", "a/b")];
    check(
        &off,
        "vllm serve $MODEL --max-num-seqs 8",
        &[&off[..], &[("max-num-seqs", "8")]].concat(),
        &["--no-enable-prefix-caching"],
        &[],
    );
}

#[test]
fn what_contradicts_the_command_yields_and_is_named() {
    let trace = [("dataset-name", "azure"), ("dataset-path", "a.csv"), ("max-concurrency", "9")];
    let of_trace =
        [("--dataset-name azure", "--request-rate, --burstiness"), ("--dataset-path a.csv", "it is for sharegpt")];
    let left = [("max-concurrency", "9"), ("request-rate", "5")];
    check(&trace, "vllm bench serve --request-rate 5", &left, &["--max-concurrency 9"], &of_trace);
    check(
        &trace,
        "vllm bench serve --random-input-len 100",
        &[("max-concurrency", "9"), ("random-input-len", "100")],
        &["--max-concurrency 9"],
        &[("--dataset-name azure", "--random-input-len does nothing"), ("--dataset-path a.csv", "it is for sharegpt")],
    );
    check(
        &[("random-input-len", "100"), ("request-rate", "5"), ("num-prompts", "7")],
        "vllm bench serve --dataset-name timed_trace --dataset-path t.jsonl",
        &[("num-prompts", "7"), ("dataset-name", "timed_trace"), ("dataset-path", "t.jsonl")],
        &["--num-prompts 7"],
        &[("--request-rate 5", "has its own times"), ("--random-input-len 100", "it is for random")],
    );
    check(
        &[("ramp-up-strategy", "linear"), ("ramp-up-start-rps", "1"), ("ramp-up-end-rps", "9")],
        "vllm bench serve --request-rate 5",
        &[("ramp-up-start-rps", "1"), ("ramp-up-end-rps", "9"), ("request-rate", "5")],
        &["--ramp-up-start-rps 1", "--ramp-up-end-rps 9"],
        &[("--ramp-up-strategy linear", "left out with ramp_up_strategy")],
    );
    check(
        &[("max-num-seqs", "2000"), ("long-prefill-token-threshold", "512")],
        "vllm serve m --max-num-batched-tokens 1024 --max-model-len 256",
        &[("model", "m"), ("max-num-batched-tokens", "1024"), ("max-model-len", "256")],
        &[],
        &[("--max-num-seqs 2000", "1024"), ("--long-prefill-token-threshold 512", "256")],
    );
    let drafts = "{\"method\":\"ngram\",\"num_speculative_tokens\":3,\"rejection_sample_method\":\"synthetic\",\
                  \"synthetic_acceptance_length\":2.0}";
    check(
        &[
            ("spec-acceptance-length", "2"),
            ("speculative-config", "{\"method\":\"ngram\",\"num_speculative_tokens\":2}"),
        ],
        &format!("vllm serve m --speculative-config '{drafts}'"),
        &[("model", "m"), ("speculative-config", drafts)],
        &[],
        &[("--spec-acceptance-length 2", "both say how many drafts")],
    );
}

#[test]
fn what_needs_another_kept_flag_stays_with_it() {
    let before =
        [("dataset-name", "azure"), ("request-rate", "5"), ("self-timed", "false"), ("random-prefix-len", "1")];
    // The prefix contradicted the trace before the command came.
    let read = command::read("vllm bench serve --seed 1", &scenario(&before)).expect("a command");
    assert_eq!(read.scenario, scenario(&[&before[..], &[("seed", "1")]].concat()));
    let read = command::read("vllm bench serve --max-concurrency 2", &scenario(&before[..3])).expect("a command");
    assert_eq!((read.scenario.given().count(), read.kept.len(), read.yielded.len()), (4, 3, 0));
}

#[test]
fn a_contradiction_of_the_commands_own_takes_nothing_away() {
    let before = [("num-prompts", "7"), ("max-num-seqs", "16")];
    let text = "vllm bench serve --dataset-name azure --random-input-len 5";
    let read = command::read(text, &scenario(&before)).expect("a command");
    assert_eq!((read.kept.len(), read.yielded.len()), (1, 0));
    assert_eq!(read.scenario.workload().dataset_name(), DatasetName::Azure);
    assert!(read.scenario.contradiction().is_some(), "the command's own");
}

proptest! {
    #![proptest_config(draws(400))]

    #[test]
    fn nothing_set_is_lost_without_a_word(before in scenarios(), said in scenarios()) {
        let said = command::read(&command::write(Program::Simulate, &said, "", &[]), &Scenario::default());
        let said = said.expect("a command of ours").scenario;
        let text = command::write(Program::Simulate, &said, "", &[]);
        let read = command::read(&text, &before).expect("a command of ours");
        for (flag, value) in said.given() {
            prop_assert_eq!(read.scenario.get(flag.name), Some(value), "{} is said", flag.name);
        }
        for (flag, value) in before.given().filter(|(flag, _)| said.get(flag.name).is_none()) {
            let is_kept = read.kept.iter().any(|kept| kept.flag == flag.name && kept.value == value) || flag.name == "model";
            let has_yielded = read.yielded.iter().any(|yielded| yielded.flag.flag == flag.name && yielded.flag.value == value);
            prop_assert_eq!(read.scenario.get(flag.name), is_kept.then_some(value), "{}", flag.name);
            prop_assert!(is_kept != has_yielded, "{} is named once", flag.name);
        }
        let number = before.given().count() + said.given().filter(|(flag, _)| before.get(flag.name).is_none()).count();
        prop_assert_eq!(read.scenario.given().count() + read.yielded.len(), number);
        // No fault that neither of the two had.
        let fault = read.scenario.contradiction();
        prop_assert!(fault.is_none() || fault == said.contradiction() || fault == before.contradiction(), "{:?}", fault);
        // A second time nothing changes.
        let again = command::read(&text, &read.scenario).expect("a command of ours");
        prop_assert_eq!(again.scenario, read.scenario);
    }
}
