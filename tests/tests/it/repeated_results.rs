//! Results of `vllm bench serve`, simulated again: what each states, what flags may add, what is assumed, what is refused.

use serde_json::{Value, json};
use sim_core::metrics::json_measured::MeasuredResult;
use sim_core::scenario::Scenario;
use sim_core::scenario::repeat::{Repetition, Stated, settings};
use sim_core::workload::Traffic;

/// A result as vLLM 0.32 writes it without details, of four requests with 600 prompt and 60 output tokens each.
fn plain() -> Value {
    json!({
        "date": "20260101-000000", "endpoint_type": "vllm", "backend": "vllm", "label": null, "model_id": "m",
        "tokenizer_id": "m", "num_prompts": 4, "request_rate": "inf", "burstiness": 1.0, "max_concurrency": null,
        "duration": 1.0, "completed": 4, "failed": 0, "total_input_tokens": 2400, "total_output_tokens": 240,
        "latencies": [1.0, 1.0, 1.0, 1.0], "queue_times": [0.0, 0.0, 0.0, 0.0], "mean_ttft_ms": 20.0,
    })
}

/// The same with `--save-detailed`, the requests sent at these times of the client's clock.
fn detailed(start_times: [f64; 4]) -> Value {
    let mut result = plain();
    result["input_lens"] = json!([600, 590, 610, 600]);
    result["output_lens"] = json!([60, 61, 59, 60]);
    result["ttfts"] = json!([0.1, 0.1, 0.1, 0.1]);
    result["itls"] = json!([[0.9], [0.9], [0.9], [0.9]]);
    result["start_times"] = json!(start_times);
    result["errors"] = json!(["", "", "", ""]);
    result
}

fn with(mut result: Value, changes: &[(&str, Value)]) -> Value {
    for (key, value) in changes {
        match value {
            Value::String(text) if text == "absent" => drop(result.as_object_mut().expect("an object").remove(*key)),
            value => result[*key] = value.clone(),
        }
    }
    result
}

/// What comes of a result, in words: the workload and what was assumed, or the refusal.
fn outcome(result: &Value, flags: &str, file: Option<&[u8]>) -> String {
    let words: Vec<&str> = flags.split_whitespace().collect();
    let given = words.chunks(2).map(|pair| (pair[0], pair.get(1).copied()));
    let given = Scenario::from_flags(given).expect("flags");
    let read = MeasuredResult::all_from_json(result.to_string().as_bytes());
    let read = match read {
        Ok(read) => read,
        Err((number, error)) => return format!("refused: result {number}: {error}"),
    };
    match Stated::new(&read[0], &given).and_then(|stated| stated.repeat(file, None)) {
        Ok(repetition) => told(&repetition),
        Err(error) => format!("refused: {error}"),
    }
}

fn told(Repetition { scenario, workload, notes }: &Repetition) -> String {
    let measured = &workload.requests.as_slice()[..workload.num_measured()];
    let lengths: Vec<String> =
        measured.iter().map(|request| format!("{}/{}", request.num_prompt_tokens, request.num_output_tokens)).collect();
    let Traffic::Timed { send_times, max_concurrency } = &workload.traffic else { panic!("a script") };
    let times: Vec<String> = send_times.iter().map(|time| format!("{:.2}", time.as_secs_f64())).collect();
    let limit = max_concurrency.map_or_else(String::new, |limit| format!(", {limit} at a time"));
    let num_earlier = workload.requests.len() - measured.len();
    let flags: Vec<String> = scenario
        .flags()
        .into_iter()
        .map(|(flag, value)| value.map_or_else(|| flag.clone(), |value| format!("{flag}={value}")))
        .collect();
    format!(
        "{} at {}{limit}, {num_earlier} before; {}; {}",
        lengths.join(" "),
        times.join(" "),
        flags.join(" "),
        notes.join(". ")
    )
}

#[track_caller]
fn check(result: Value, flags: &str, expect: &[&str]) {
    let got = outcome(&result, flags, None);
    for part in expect {
        assert!(got.contains(part), "{flags:?}\n{got}\nwithout\n{part}");
    }
}

const AT_ONCE: &str = "600/60 600/60 600/60 600/60 at 0.00 0.00 0.00 0.00";

#[test]
fn every_key_of_the_traffic_is_read() {
    check(plain(), "", &[AT_ONCE, "taken as --dataset-name random with 600 prompt and 60 output tokens"]);
    let rate = [("request_rate", json!(2.0)), ("duration", json!(3.0))];
    check(with(plain(), &rate), "", &["at 0.42 1.09 1.58 2.00", "taken as vLLM's default, --seed 0"]);
    check(with(plain(), &rate), "--seed 1", &["2.00, 0 before; num-prompts=4 seed=1"]);
    let even = [("burstiness", json!("inf")), ("request_rate", json!(2.0)), ("duration", json!(3.0))];
    check(with(plain(), &even), "", &["at 0.50 1.00 1.50 2.00"]);
    let limit = [("max_concurrency", json!(1)), ("queue_times", json!([0.0, 1.0, 2.0, 3.0])), ("duration", json!(4.0))];
    check(with(plain(), &limit), "", &[AT_ONCE, ", 1 at a time"]);
    let ramp = |strategy: &str, duration: f64| {
        with(
            plain(),
            &[
                ("ramp_up_strategy", json!(strategy)),
                ("ramp_up_start_rps", json!(1)),
                ("ramp_up_end_rps", json!(9)),
                ("duration", json!(duration)),
            ],
        )
    };
    check(ramp("linear", 2.62), "", &["ramp-up-strategy=linear ramp-up-start-rps=1 ramp-up-end-rps=9"]);
    check(ramp("exponential", 3.0), "", &["ramp-up-strategy=exponential"]);
    check(ramp("cubic", 3.0), "", &["refused: --ramp-up-strategy \"cubic\": one of linear, exponential"]);
    let half = [("ramp_up_strategy", json!("linear")), ("ramp_up_start_rps", json!(1))];
    check(with(plain(), &half), "", &["refused: ramp_up_end_rps is absent; it must be given with ramp_up_strategy"]);
    check(with(plain(), &[("request_rate", json!(0))]), "", &["refused: request_rate is 0; it must be above 0"]);
    check(with(plain(), &[("burstiness", json!(-1))]), "", &["refused: burstiness is -1; it must be above 0"]);
}

#[test]
fn an_old_file_of_ours_has_its_ramp_up_and_its_version() {
    let result: Value =
        serde_json::from_slice(&crate::profile_fixture::file("data/results/ramp_up.json")).expect("JSON");
    check(
        result.clone(),
        "",
        &[
            "600/60 600/60",
            "vllm-version=0.32.0 num-prompts=40 ramp-up-strategy=linear ramp-up-start-rps=1 ramp-up-end-rps=10",
            "taken as --dataset-name random with 600 prompt and 60 output tokens",
        ],
    );
    // Its times are those of seed 0: with another the last answer would not have come at its end.
    check(
        result.clone(),
        "--seed 1",
        &["refused: with the file's latencies the last answer would have come after 8.0 s"],
    );
    check(result, "--ramp-up-end-rps 20", &["refused: --ramp-up-end-rps 20 was given, and the file states 10"]);
}

#[test]
fn what_the_file_does_not_say_is_asked_for_by_name() {
    let random = [("total_input_tokens", json!(2399)), ("total_output_tokens", json!(241))];
    check(
        with(plain(), &random),
        "",
        &[
            "refused: the file does not say the lengths of its requests, and 2399 prompt and 241 output tokens are not 4 \
           times the same: give --dataset-name with the lengths that it had, or a file saved with --save-detailed",
        ],
    );
    // vLLM's defaults of 1024/128 are not those of this run.
    check(
        with(plain(), &random),
        "--dataset-name random",
        &["refused: total_input_tokens is 2399 in the file and 4096 by the workload that was simulated"],
    );
    check(
        plain(),
        "--random-input-len 600 --random-output-len 50",
        &["refused: total_output_tokens is 240 in the file and 200 by the workload"],
    );
    check(plain(), "--random-input-len 600 --random-output-len 60", &[AT_ONCE, "before; num-prompts=4"]);
    // Answers of a real server end where the model does; ours do not.
    let ended = || with(plain(), &[("total_output_tokens", json!(241))]);
    check(
        ended(),
        "",
        &["600/60 600/60 600/60 600/61 at", "taken as prompts of 600 tokens that share none, and 60 or 61"],
    );
    check(with(ended(), &[("backend", json!("simulated"))]), "", &["refused: the file does not say the lengths"]);
    let metadata = [("input_len", json!("600")), ("output_len", json!("500"))];
    check(
        with(ended(), &metadata),
        "",
        &["The metadata's dataset was not used: total_output_tokens is 241 in the file and 2000 by", "60 or 61"],
    );
    check(plain(), "--dataset-name azure", &["refused: the requests are of --dataset-name azure: give its file with"]);
    check(with(plain(), &[("total_input_tokens", json!("absent"))]), "", &["refused: total_input_tokens is absent"]);
}

#[test]
fn the_files_own_figures_are_held_against_the_workload() {
    // All at once, with answers after a second, cannot take a minute.
    check(
        with(plain(), &[("duration", json!(60.0))]),
        "",
        &["refused: with the file's latencies the last answer would have come after 1.0 s, and its duration is 60.0 s"],
    );
    let late = [("request_rate", json!(0.01)), ("latencies", json!("absent")), ("duration", json!(2.0))];
    check(
        with(plain(), &late),
        "",
        &["refused: with the file's latencies the last answer would have come after 400.0 s"],
    );
    // Without latencies nothing is known of a long run's end.
    check(with(plain(), &[("latencies", json!("absent")), ("duration", json!(60.0))]), "", &[AT_ONCE]);
    check(with(plain(), &[("failed", json!(1)), ("completed", json!(3))]), "", &["refused: 1 requests failed"]);
    check(
        with(plain(), &[("failed", json!("absent")), ("completed", json!(3))]),
        "",
        &["refused: completed is 3 of num_prompts 4, and failures are not counted"],
    );
    check(
        with(plain(), &[("completed", json!(0))]),
        "",
        &["refused: completed is 0; it must be a whole number from 1"],
    );
    check(with(plain(), &[("num_prompts", json!("four"))]), "", &["refused: num_prompts is \"four\""]);
    // A dataset of fewer entries than were asked for.
    let fewer = [("num_prompts", json!(6)), ("completed", json!(4))];
    let four = "--dataset-name prefix_repetition --prefix-repetition-num-prefixes 4";
    check(with(plain(), &fewer), four, &["refused: total_input_tokens is 2400 in the file and 2048 by the workload"]);
    let three = "--dataset-name prefix_repetition --prefix-repetition-num-prefixes 3";
    check(with(plain(), &fewer), three, &["refused: completed is 4 in the file and 6 by the workload"]);
    check(with(detailed([0.0; 4]), &fewer), "", &["600/60 590/61 610/59 600/60 at"]);
}

#[test]
fn a_flag_that_contradicts_the_file_or_does_nothing_is_named() {
    let rate = || with(plain(), &[("request_rate", json!(2.0)), ("duration", json!(3.0))]);
    check(
        rate(),
        "--request-rate 4",
        &["refused: --request-rate 4 was given, and the file states 2: leave the flag out"],
    );
    check(rate(), "--request-rate 2.0", &["600/60"]);
    check(rate(), "--num-prompts 5", &["refused: --num-prompts 5 was given, and the file states 4"]);
    check(rate(), "--burstiness 0.5", &["refused: --burstiness 0.5 was given, and the file states 1"]);
    check(plain(), "--request-rate 4", &["refused: --request-rate 4 was given, and the file states inf"]);
    check(plain(), "--max-concurrency 4", &["refused: --max-concurrency 4 was given, and the file states no --max-c"]);
    check(plain(), "--ramp-up-strategy linear", &["and the file states no --ramp-up-strategy: leave the flag out"]);
    check(
        detailed([0.0; 4]),
        "--random-input-len 600 --random-output-len 60",
        &["refused: request 1 has 590 prompt and 61 output tokens in the file, and 600 and 60 by the flags"],
    );
    check(detailed([0.0; 4]), "--seed 5", &["refused: --seed does nothing: the file says of each request"]);
    check(detailed([0.0; 4]), "--self-timed", &["refused: --self-timed does nothing"]);
    check(plain(), "--random-prefix-len 10", &["refused: total_input_tokens is 2400 in the file"]);
    // Files before 0.6.3 have no such keys, so flags may.
    let old = [("burstiness", json!("absent")), ("max_concurrency", json!("absent"))];
    check(with(plain(), &old), "--max-concurrency 4", &[", 4 at a time"]);
}

#[test]
fn a_detailed_file_says_when_each_request_was_wanted() {
    let at = "600/60 590/61 610/59 600/60 at 0.00 1.00 1.50 9.00";
    check(detailed([100.0, 101.0, 101.5, 109.0]), "", &[at, "taken as having no tokens in common"]);
    // The wait for a place is no part of it, and the limit holds again.
    let queued =
        [("queue_times", json!([0.0, 0.5, 0.75, 1.0])), ("max_concurrency", json!(2)), ("request_rate", json!(0.5))];
    check(
        with(detailed([100.0, 101.5, 102.25, 110.0]), &queued),
        "",
        &["at 0.00 1.00 1.50 9.00, 2 at a time, 0 before"],
    );
    let unknown = [("queue_times", json!("absent")), ("max_concurrency", json!(2))];
    check(with(detailed([0.0, 0.0, 5.0, 6.0]), &unknown), "", &["at 0.00 0.00 0.00 0.00, 2 at a time"]);
    let paced = [("queue_times", json!("absent")), ("max_concurrency", json!(2)), ("request_rate", json!(1))];
    check(
        with(detailed([0.0, 0.0, 5.0, 6.0]), &paced),
        "",
        &["at 0.00 0.00 5.00 6.00, 2 at a time", "taken as if each request had been wanted when it was sent"],
    );
    // Old files say the rate only.
    let old = [("start_times", json!("absent")), ("request_rate", json!(2.0))];
    check(with(detailed([0.0; 4]), &old), "", &["at 0.42 1.09 1.58 2.00", "drawn anew from its rate, with --seed 0"]);
    check(with(detailed([0.0; 4]), &old), "--seed 1", &["with --seed 1"]);
    // Of another client: in another order.
    check(detailed([9.0, 1.0, 0.0, 1.5]), "", &["610/59 590/61 600/60 600/60 at 0.00 1.00 1.50 9.00"]);
    // What was in the prompts may be said.
    let equal = [("input_lens", json!([600, 600, 600, 600])), ("output_lens", json!([60, 60, 60, 60]))];
    check(
        with(detailed([100.0, 101.0, 101.5, 109.0]), &equal),
        "--random-input-len 100 --random-prefix-len 500 --random-output-len 60 --seed 3",
        &["600/60 600/60 600/60 600/60 at 0.00 1.00 1.50 9.00, 0 before; num-prompts=4 seed=3"],
    );
}

#[test]
fn keys_of_metadata_are_flags_where_they_have_their_names() {
    let metadata = [
        ("random_input_len", json!("600")),
        ("random-output-len", json!("60")),
        ("seed", json!("1")),
        ("max_num_seqs", json!("8")),
        ("num_warmups", json!("2")),
        ("gpu", json!("H100")),
        ("version", json!("0.32.0")),
    ];
    check(
        with(plain(), &metadata),
        "",
        &[
            ", 2 before; max-num-seqs=8 num-prompts=4 seed=1 random-input-len=600 random-output-len=60 num-warmups=2",
            "Read from the file's metadata: --max-num-seqs 8, --seed 1, --random-input-len 600, --random-output-len 60, \
             --num-warmups 2",
        ],
    );
    check(
        with(plain(), &metadata),
        "--max-num-seqs 9",
        &["refused: --max-num-seqs 9 was given, and the file states 8"],
    );
    let odd = with(plain(), &[("seed", json!("some")), ("replicas", json!("4"))]);
    check(odd, "", &["A key of the file was not read: --seed \"some\"", "replicas is 4 in the file: several", AT_ONCE]);
    // The lists are measured; what somebody wrote beside them is not.
    check(
        with(detailed([0.0; 4]), &metadata),
        "",
        &["600/60 590/61 610/59 600/60 at", "The metadata's dataset was not used: request 1 has 590"],
    );
}

#[test]
fn drafts_are_accepted_as_the_file_counted_them() {
    let counted =
        [("spec_decode_num_drafts", json!(100)), ("spec_decode_per_position_acceptance_rates", json!([0.8, 0.4, 0.1]))];
    check(
        with(plain(), &counted),
        "",
        &["refused: the file counts drafts (spec_decode_num_drafts): give --speculative"],
    );
    let drafter = r#"--speculative-config {"method":"ngram","num_speculative_tokens":3}"#;
    check(
        with(plain(), &counted),
        drafter,
        &[
            "spec-acceptance-rates=0.8,0.5,0.25",
            "drawn anew, by the file's shares: --spec-acceptance-rates 0.8,0.5,0.25",
        ],
    );
    let said = format!("{drafter} --spec-acceptance-length 2");
    check(with(plain(), &counted), &said, &["spec-acceptance-length=2"]);
}

#[test]
fn requests_before_the_measured_ones_may_be_said_of_any_file() {
    check(plain(), "--num-warmups 3", &["600/60 600/60 600/60 600/60", ", 3 before;"]);
    check(plain(), "--num-warmups 3 --ready-check-timeout-sec 600 --num-earlier-runs 1", &[", 12 before;"]);
    check(detailed([0.0; 4]), "--num-warmups 1", &[", 1 before;"]);
}

#[test]
fn a_file_of_ours_states_all_its_flags() {
    let simulation = |flags: Value| json!({"profile": "p", "digest": "000000000000001f", "flags": flags});
    let own = |flags: Value| with(plain(), &[("simulation", simulation(flags))]);
    let flags = json!({"num-prompts": "4", "random-input-len": "600", "random-output-len": "60", "max-num-seqs": "8"});
    check(own(flags.clone()), "", &[AT_ONCE, "; max-num-seqs=8 num-prompts=4 random-input-len=600"]);
    check(own(flags.clone()), "--max-num-seqs 8 --seed 0", &[AT_ONCE]);
    check(own(flags.clone()), "--max-num-seqs 9", &["refused: --max-num-seqs 9 was given, and the file states 8"]);
    check(
        own(flags.clone()),
        "--block-size 16",
        &["refused: --block-size 16 was given, and the file, which states all flags of its run, has no such one"],
    );
    check(own(json!({"num-prompts": "4"})), "", &["refused: total_input_tokens is 2400 in the file and 4096 by the"]);
    let mut changed = own(flags.clone());
    changed["request_rate"] = json!(3);
    check(changed, "", &["refused: request_rate is 3 in the file, and inf by the flags that it states"]);
    check(own(json!({"no-such-flag": "4"})), "", &["refused: --no-such-flag: vLLM"]);
    let mut azure = own(json!({"num-prompts": "4", "dataset-name": "azure"}));
    azure["simulation"]["dataset"] = json!("0123456789abcdef");
    check(azure.clone(), "", &["refused: the requests are of --dataset-name azure: give its file with --dataset-path"]);
    let other = outcome(&azure, "", Some(b"TIMESTAMP,ContextTokens,GeneratedTokens\n"));
    assert!(other.starts_with("refused: the file of --dataset-name azure is not the one"), "{other}");
    // The user's own key of that name says nothing.
    check(with(plain(), &[("simulation", json!("mine"))]), "", &[AT_ONCE, "taken as --dataset-name random"]);
}

#[test]
fn several_results_of_a_file_are_read_one_by_one() {
    let (first, second) = (plain(), with(plain(), &[("num_prompts", json!(2)), ("completed", json!(2))]));
    let file = format!("{first}\n{second}");
    let all = MeasuredResult::all_from_json(file.as_bytes()).expect("two results");
    assert_eq!(all.iter().map(|result| result.completed).collect::<Vec<_>>(), [4, 2]);
    let last = MeasuredResult::from_json(file.as_bytes()).expect("the last");
    assert_eq!((last.completed, last.num_results), (2, 2), "the page takes the last");
    let broken = format!("{first}\n{{\"completed\": \"x\"}}");
    let error = MeasuredResult::all_from_json(broken.as_bytes()).expect_err("no number");
    assert_eq!(error.0, 2, "{}", error.1);
}

#[test]
fn people_are_shown_what_a_file_states() {
    let read = |result: &Value| MeasuredResult::from_json(result.to_string().as_bytes()).expect("a result");
    let ramp = [("ramp_up_strategy", json!("linear")), ("ramp_up_start_rps", json!(1)), ("ramp_up_end_rps", json!(9))];
    let shown: Vec<String> =
        settings(&read(&with(plain(), &ramp))).iter().map(|(name, value)| format!("{name}={value}")).collect();
    assert_eq!(
        shown.join(" "),
        "request_rate=inf burstiness=1 ramp_up_strategy=linear ramp_up_start_rps=1 ramp_up_end_rps=9 num_prompts=4"
    );
    let own = json!({"flags": {"random-input-len": "600", "model": "m", "num-prompts": "4", "dataset-path": "a.csv"}});
    let shown = settings(&read(&with(plain(), &[("simulation", own)])));
    assert!(shown.contains(&("random_input_len".to_owned(), "600".to_owned())), "{shown:?}");
    assert!(shown.iter().filter(|(name, _)| name == "num_prompts").count() == 1, "{shown:?}");
    assert!(shown.iter().all(|(name, _)| name != "model" && name != "dataset_path"), "{shown:?}");
}
