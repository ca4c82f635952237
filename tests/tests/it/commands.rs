//! Commands as people have them: in scripts, compose files, manifests and values files, with flags of any age.

use proptest::prelude::*;
use sim_core::config::flags::{FlagError, REMOVED, bench_serve_flag, serve_flag};
use sim_core::scenario::command::{self, CommandError, Program, ReadCommand};
use sim_core::scenario::{RecogniseError, Recognised, Scenario, recognise};

use crate::profile_fixture::file;

#[track_caller]
pub(crate) fn read(text: &str) -> ReadCommand {
    command::read(text, &Scenario::default()).unwrap_or_else(|error| panic!("{text}\n{error}"))
}

/// What a text says, one thing a line: model, flags of the scenario, then those set aside, unknown and refused.
pub(crate) fn told(text: &str) -> String {
    let read = read(text);
    let mut lines = vec![format!("model {}", read.model.as_deref().unwrap_or("none"))];
    // The server's model is one of the scenario's flags.
    let is_client = read.programs == [Program::BenchServe];
    assert_eq!(read.scenario.get("model"), read.model.as_deref().filter(|_| !is_client), "{text}");
    let flags = read.scenario.flags().into_iter().filter(|(name, _)| name != "model");
    lines.extend(flags.map(|(name, value)| match value {
        Some(value) => format!("{name} {value}"),
        None => name,
    }));
    lines.extend(read.set_aside.iter().map(|flag| format!("aside {}", flag.flag)));
    lines.extend(read.unknown.iter().map(|flag| format!("unknown {}", flag.flag)));
    lines.extend(read.refused.iter().map(|sentence| format!("refused {sentence}")));
    lines.extend(read.left_over.iter().map(|left| format!("left {left}")));
    lines.join("\n")
}

#[track_caller]
pub(crate) fn check(text: &str, expect: &[&str]) {
    assert_eq!(told(text), expect.join("\n"), "{text}");
}

/// A file is recognised as commands, and says what is expected.
#[track_caller]
fn check_file(name: &str, expect: &[&str]) {
    let bytes = file(&format!("data/commands/{name}"));
    match recognise(&bytes) {
        Ok(Recognised::Command { text }) => assert_eq!(told(&text), expect.join("\n"), "{name}"),
        other => panic!("{name} is taken for {other:?}"),
    }
}

#[test]
fn compose_files_say_what_is_below_command() {
    let folded = ["max-model-len 8000", "max-num-seqs 128", "gpu-memory-utilization 0.95"];
    check_file("compose-folded.yml", &[&["model meta-llama/Llama-3.1-8B-Instruct"], &folded[..]].concat());
    check_file("compose-list.yml", &["model /models/Qwen3-8B", "max-model-len 16384", "max-num-seqs 32"]);
    check_file("compose-text.yml", &["model Qwen/Qwen3-8B", "max-model-len 4096", "max-num-seqs 24"]);
    check_file("compose-entrypoint.yml", &["model Qwen/Qwen3-8B", "max-num-seqs 48", "enable-prefix-caching"]);
}

#[test]
fn manifests_say_what_their_containers_run() {
    let flags = ["max-num-batched-tokens 1024", "enable-chunked-prefill", "aside --trust-remote-code"];
    check_file("deployment.yaml", &[&["model Qwen/Qwen3-32B"], &flags[..]].concat());
    check_file(
        "deployment-script.yaml",
        &["model meta-llama/Llama-3.1-405B-Instruct", "max-model-len 8192", "tensor-parallel-size 8", "aside --port"],
    );
    check(
        "args: [\"--model\", \"openai/gpt-oss-120b\", \"--tensor-parallel-size\", \"1\"]",
        &["model openai/gpt-oss-120b", "tensor-parallel-size 1"],
    );
    check("[\"--model\", \"m/m\", \"--max-num-seqs\", \"8\"]", &["model m/m", "max-num-seqs 8"]);
    check("- --model=m/m\n- --max-num-seqs=8\n", &["model m/m", "max-num-seqs 8"]);
    check_file("args.json", &["model openai/gpt-oss-120b", "tensor-parallel-size 1"]);
}

#[test]
fn values_of_charts_say_their_command_or_their_flags() {
    check_file(
        "values-chart.yaml",
        &["model /data/", "dtype float32", "block-size 16", "aside --host", "aside --port"],
    );
    check_file(
        "values-stack.yaml",
        &[
            "model meta-llama/Llama-3.1-8B-Instruct",
            "dtype bfloat16",
            "max-model-len 16384",
            "no-enable-chunked-prefill",
            "enable-prefix-caching",
            "gpu-memory-utilization 0.8",
            "aside --disable-log-requests",
        ],
    );
}

#[test]
fn scripts_are_read_as_their_shell_reads_them() {
    check_file("docker-run.txt", &["model mistralai/Mistral-7B-v0.1", "max-num-seqs 12"]);
    check_file("powershell.txt", &["model Qwen/Qwen3-8B", "max-model-len 8192", "max-num-seqs 16"]);
    let both = ["model Qwen/Qwen3-8B", "max-num-seqs 32", "num-prompts 100", "request-rate 5"];
    check_file("two-programs.txt", &both);
    check_file(
        "script.sh",
        &[
            "model Qwen/Qwen3-8B",
            "max-num-seqs 40",
            "speculative-config {\n    \"method\": \"ngram\", \"num_speculative_tokens\": 3\n  }",
            "tensor-parallel-size 1",
            "num-prompts 50",
            "request-rate 2",
            "unknown $EXTRA",
        ],
    );
    let seqs = ["model m", "max-num-seqs 8"];
    check("vllm serve m ^\r\n  --max-num-seqs 8\r\n", &seqs);
    check("sh -c \"vllm serve m --max-num-seqs 8\"", &seqs);
    check("docker run -it --rm --entrypoint vllm my/vllm:1 serve m --max-num-seqs 8", &seqs);
    check("docker run --gpus all my/image bash -lc 'cd /x && vllm serve m --max-num-seqs 8'", &seqs);
    check("docker run vllm/vllm-openai@sha256:abc m/m --max-num-seqs 8", &["model m/m", "max-num-seqs 8"]);
    check("user@host:~$ vllm serve m --max-num-seqs 8 2>&1 | tee log; echo done", &seqs);
    check("python -m vllm.entrypoints.cli.main serve m --max-num-seqs 8", &seqs);
    check("Start it:\n```bash\nvllm serve m --max-num-seqs 8\n```\n", &seqs);
    check("```\nvllm serve m --max-num-seqs 8\n```\n", &seqs);
    check("uv run --with vllm vllm serve m --max-num-seqs 8 # a note", &seqs);
}

#[test]
fn names_of_flags_are_read_as_by_vllms_parser() {
    check("vllm serve Qwen/Qwen3-32B --tensor-parallel-size 2", &["model Qwen/Qwen3-32B", "tensor-parallel-size 2"]);
    check(
        "vllm serve m --max-num-seq 30 --tensor-parallel 1 --max_num_batched=4096",
        &["model m", "max-num-batched-tokens 4096", "max-num-seqs 30", "tensor-parallel-size 1"],
    );
    check(
        "vllm bench serve --num-prompt 34 --random-input 200",
        &["model none", "num-prompts 34", "random-input-len 200"],
    );
    check(
        "vllm serve m --no-enable-prefix --speculative-conf.method ngram",
        &["model m", "no-enable-prefix-caching", "speculative-config {\"method\":\"ngram\"}"],
    );
    check(
        "vllm serve --trust-remote-code m -O3",
        &["model m", "aside --trust-remote-code", "aside --optimization-level"],
    );
    check("vllm serve m --served-model-name a b --max-num-seqs 8", &["model m", "max-num-seqs 8"]);
    check("vllm serve --model-tag m --enable-chunked-prefill False", &["model m", "no-enable-chunked-prefill"]);
    check(
        "vllm serve m --max-num-s 8 --max-num 9",
        &[
            "model m",
            "refused --max-num-s could be each of --max-num-scheduled-tokens, --max-num-seqs",
            "refused --max-num could be each of --max-num-active-seqs, --max-num-batched-tokens, --max-num-queued-reqs, \
         --max-num-queued-tokens, --max-num-scheduled-tokens, --max-num-seqs",
        ],
    );
}

#[test]
fn a_flag_that_is_not_known_is_named_and_the_rest_is_taken() {
    check(
        "vllm serve m --num-scheduler-steps 8 --swap-space 16 --max-num-seqs 64",
        &["model m", "max-num-seqs 64", "unknown --num-scheduler-steps", "unknown --swap-space"],
    );
    check(
        "vllm bench serve --what 3 --num-prompts 5 --rate=2 --random-input-len 7",
        &["model none", "num-prompts 5", "random-input-len 7", "unknown --what", "unknown --rate"],
    );
    check(
        "vllm serve --use-v2-block-manager --max-nun-seqs 64 m --block-size 32",
        &["model m", "block-size 32", "unknown --use-v2-block-manager", "unknown --max-nun-seqs"],
    );
    let unknown = read("vllm serve m --num-scheduler-steps 8 --what 1 2 --request-rate 5").unknown;
    let unknown: Vec<String> = unknown.iter().map(ToString::to_string).collect();
    assert_eq!(
        unknown,
        [
            "--num-scheduler-steps: vLLM 0.33.0 no longer has this flag: several passes without scheduling between them went \
         with the V0 engine (0.11); it has no equivalent",
            "--what: vLLM 0.33.0 has no such flag",
            "--request-rate: a flag of vllm bench serve, not of vllm serve",
        ]
    );
    check(
        "vllm serve m --max-num-seqs 8\nvllm serve m --swap-space 1\nvllm serve m --block-size 16",
        &[
            "model m",
            "block-size 16",
            "left vllm serve m --max-num-seqs 8: the program is called again below; only its last call is taken",
            "left vllm serve m --swap-space 1: the program is called again below; only its last call is taken",
        ],
    );
}

#[test]
fn a_client_of_the_same_requests_is_taken() {
    let rest = ["num-prompts 200", "request-rate 4", "random-input-len 1024", "random-output-len 128"];
    let head = ["model meta-llama/Llama-3.1-8B-Instruct", "dataset-name random"];
    check_file("backend-vllm.txt", &[&head[..], &rest, &["aside --backend"]].concat());
    check(
        "vllm bench serve --backend openai-chat --endpoint /v1/chat/completions",
        &["model none", "aside --backend", "aside --endpoint"],
    );
    let refused = read("vllm bench serve --backend tgi").refused;
    assert!(refused[0].starts_with("--backend \"tgi\": one of infinity-embeddings,"), "{refused:?}");
    let refused = read("vllm bench serve --backend openai-responses").refused;
    assert!(refused[0].starts_with("--backend is not simulated: only the streamed completions"), "{refused:?}");
}

#[test]
fn what_only_names_vllm_is_no_command_without_flags() {
    let error = |text: &str| command::read(text, &Scenario::default()).expect_err(text);
    let image = file("data/commands/compose-image-only.yml");
    let image = String::from_utf8(image).expect("a text");
    assert_eq!(error(&image), CommandError::NoArguments);
    assert!(error(&image).to_string().contains("no list of its flags"), "{}", error(&image));
    assert!(
        matches!(recognise(image.as_bytes()), Ok(Recognised::Command { .. })),
        "refused by its reader, with more to say"
    );
    for prose in [
        "We don't use vllm serve with many flags here.",
        "The image vllm/vllm-openai:v0.32.0 is on every machine",
        "docker pull vllm/vllm-openai:latest",
        "docker run --rm nginx vllm",
        "image: nginx\nargs: [\"--port\", \"80\"]",
        "args: [\"--config=/etc/collector.yaml\", \"--log-level=debug\"]",
    ] {
        assert_eq!(error(prose), CommandError::NoCommand, "{prose}");
        assert!(matches!(recognise(prose.as_bytes()), Err(RecogniseError::Unknown { .. })), "{prose}");
    }
}

#[test]
fn faults_of_yaml_name_the_line() {
    for (text, line, why) in [
        ("services:\n  vllm:\n\timage: vllm/vllm-openai\n", 3, "tabs"),
        ("image: vllm\nargs:\n{{- if .Values.x }}\n- --model=m\n", 3, "template"),
        ("image: vllm\nargs: [\"--model\", \"m\"\n", 2, "not closed"),
        ("image: vllm\nargs: \"--model\n", 2, "not closed"),
        ("image: vllm\nargs:\n  - --model\n  what\n", 4, "as no line above"),
        ("image: vllm\nwhat\nargs: x\n", 2, "no key"),
        ("args: [\"--model\" \"m\"]\n", 1, "commas"),
    ] {
        match command::read(text, &Scenario::default()) {
            Err(CommandError::Yaml { line: found, why: said }) => {
                assert!(found == line && said.contains(why), "{text}: line {found}: {said}");
            }
            other => panic!("{text}: {other:?}"),
        }
    }
    let deep = format!("args: {}", "[".repeat(10_000));
    assert!(command::read(&deep, &Scenario::default()).is_err(), "a stack has an end");
    let deep: String = (0..200).map(|depth| format!("{}command:\n", " ".repeat(depth))).collect();
    assert!(command::read(&deep, &Scenario::default()).is_err(), "a stack has an end");
}

#[test]
fn variables_that_hold_each_other_do_not_grow_without_end() {
    let mut text = String::from("A=xxxxxxxxxx\n");
    for _ in 0..60 {
        text.push_str("A=\"$A$A\"\n");
    }
    text.push_str("vllm serve m --download-dir $A");
    let length = read(&text).set_aside[0].value.as_ref().map_or(0, String::len);
    assert!(length <= command::MAX_COMMAND_BYTES, "{length}");
}

#[test]
fn a_flag_that_is_said_to_be_gone_is_gone() {
    for flag in REMOVED.iter().flat_map(|group| group.with_value.iter().chain(group.switches)) {
        let is_known = [serve_flag(flag, None), bench_serve_flag(flag, None)]
            .iter()
            .any(|found| !matches!(found, Err(FlagError::Unknown { .. })));
        assert!(!is_known, "{flag} is a flag of today");
    }
}

#[test]
fn a_command_is_read_again_from_what_is_written_of_it() {
    let read = read("vllm serve m --max-num-seq 8 --trust-remote-code --swap-space 4");
    let text = command::write(Program::Serve, &read.scenario, "m", &read.set_aside);
    assert_eq!(text, "vllm serve m \\\n    --max-num-seqs 8 \\\n    --trust-remote-code");
    check(&text, &["model m", "max-num-seqs 8", "aside --trust-remote-code"]);
}

/// What is damaged below.
const SAMPLES: [&str; 8] = [
    include_str!("../../data/commands/args.json"),
    include_str!("../../data/commands/compose-folded.yml"),
    include_str!("../../data/commands/compose-list.yml"),
    include_str!("../../data/commands/compose-text.yml"),
    include_str!("../../data/commands/deployment.yaml"),
    include_str!("../../data/commands/script.sh"),
    include_str!("../../data/commands/values-stack.yaml"),
    include_str!("../../data/commands/powershell.txt"),
];

proptest! {
    #[test]
    fn damaged_texts_are_read_or_refused(
        sample in 0..SAMPLES.len(),
        edits in prop::collection::vec((0_usize..2000, 0_usize..30, "[-\\[\\]{}:'\"#\\\\$|>&!\t\n a]{0,3}"), 1..4),
    ) {
        let mut text: Vec<char> = SAMPLES[sample].chars().collect();
        for (at, num_gone, inserted) in edits {
            let at = at % text.len().max(1);
            let end = (at + num_gone).min(text.len());
            text.splice(at.min(end)..end, inserted.chars());
        }
        let text: String = text.into_iter().collect();
        match command::read(&text, &Scenario::default()) {
            Ok(read) => {
                prop_assert!(!read.programs.is_empty(), "nothing was called");
                let written = command::write(Program::Simulate, &read.scenario, "", &[]);
                let again = command::read(&written, &Scenario::default()).expect("a command of ours");
                prop_assert_eq!(again.scenario, read.scenario, "{}", written);
            }
            Err(refused) => prop_assert!(refused.to_string().len() < 1_000),
        }
    }
}

#[test]
fn values_that_look_like_flags_are_written_so_that_they_are_read_again() {
    let mut scenario = Scenario::default();
    scenario.set("model", Some("--m")).expect("any text");
    let written = command::write(Program::Simulate, &scenario, "", &[]);
    assert_eq!(read(&written).scenario, scenario, "{written}");
    let nothing = command::read("vllm serve a\0b --max-num-seqs 8", &Scenario::default());
    assert_eq!(nothing.map(|read| read.programs), Err(CommandError::NoCommand), "a byte that no command has");
}
