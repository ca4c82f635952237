//! Texts as people have them, of every kind that is pasted: what is taken, what is named, and what is no command.

use proptest::prelude::*;
use sim_core::scenario::command::{self, CommandError};
use sim_core::scenario::{RecogniseError, Recognised, Scenario, recognise};

use crate::commands::told;

const MODEL: &str = "model Qwen/Qwen3-8B";
const SEQS: &str = "max-num-seqs 8";

/// Each text calls `vllm serve Qwen/Qwen3-8B --max-num-seqs 8` and nothing else.
#[track_caller]
fn check_same(texts: &[&str]) {
    for text in texts {
        check(text, &[MODEL, SEQS]);
    }
}

#[track_caller]
fn check(text: &str, expect: &[&str]) {
    assert_eq!(told(text), expect.join("\n"), "{text}");
    assert!(matches!(recognise(text.as_bytes()), Ok(Recognised::Command { .. })), "{text}");
}

#[test]
fn terminals_and_shells() {
    check_same(&[
        "user@host ~ % vllm serve Qwen/Qwen3-8B --max-num-seqs 8",
        "[user@host ~]$ vllm serve Qwen/Qwen3-8B --max-num-seqs 8",
        "(venv) root@3f2a:/# vllm serve Qwen/Qwen3-8B --max-num-seqs 8",
        "❯ vllm serve Qwen/Qwen3-8B --max-num-seqs 8",
        "C:\\Users\\me> vllm serve Qwen/Qwen3-8B ^\r\n  --max-num-seqs 8\r\n",
        "PS C:\\Users\\me> vllm serve Qwen/Qwen3-8B `\n>>   --max-num-seqs 8\n",
        "$model = \"Qwen/Qwen3-8B\"\n& vllm serve $model --max-num-seqs 8",
        "set -gx MODEL Qwen/Qwen3-8B\nvllm serve $MODEL --max-num-seqs 8",
        "set MODEL=Qwen/Qwen3-8B\r\nvllm serve %MODEL% --max-num-seqs 8\r\n",
        "!vllm serve Qwen/Qwen3-8B --max-num-seqs 8 &",
        "In [3]: !vllm serve Qwen/Qwen3-8B --max-num-seqs 8",
        "%%bash\nvllm serve Qwen/Qwen3-8B --max-num-seqs 8",
        "+ vllm serve Qwen/Qwen3-8B --max-num-seqs 8",
    ]);
}

#[test]
fn scripts() {
    check_same(&[
        "vllm serve Qwen/Qwen3-8B \\ \n  --max-num-seqs 8",
        "vllm serve Qwen/Qwen3-8B \\  # the small one\n  --max-num-seqs 8",
        "(vllm serve Qwen/Qwen3-8B --max-num-seqs 8 &); sleep 5",
        "cd /srv && nohup vllm serve Qwen/Qwen3-8B --max-num-seqs 8 >log 2>&1 &",
        "ARGS=(\n  --max-num-seqs 8\n)\nvllm serve Qwen/Qwen3-8B \"${ARGS[@]}\"",
        "ARGS=()\nARGS+=(--max-num-seqs 8)\nvllm serve Qwen/Qwen3-8B \"${ARGS[@]}\"",
        "CMD=\"vllm serve Qwen/Qwen3-8B\"\nCMD+=\" --max-num-seqs 8\"\neval \"$CMD\"",
        "cat > run.sh <<'EOF'\nvllm serve Qwen/Qwen3-8B --max-num-seqs 8\nEOF\nbash run.sh",
        "#!/bin/bash\n#SBATCH --gres=gpu:8\nsrun --nodes 1 vllm serve Qwen/Qwen3-8B --max-num-seqs 8",
        "ssh gpu-1 \"vllm serve Qwen/Qwen3-8B --max-num-seqs 8\"",
        "cmd /c \"vllm serve Qwen/Qwen3-8B --max-num-seqs 8\"",
        "vllm serve Qwen/Qwen3-8B --max-num-seqs 8 &\nvllm serve Qwen/Qwen3-8B --max-num-seqs 8 &",
        "tmux new -d -s vllm 'vllm serve Qwen/Qwen3-8B --max-num-seqs 8'",
        "MODEL ?= Qwen/Qwen3-8B\nSEQS := 8\nserve:\n\t@vllm serve $(MODEL) --max-num-seqs $(SEQS)\n",
        "model := \"Qwen/Qwen3-8B\"\nserve:\n    vllm serve {{model}} --max-num-seqs 8\n",
        "[Service]\nEnvironment=\"MODEL=Qwen/Qwen3-8B\"\nExecStart=/opt/vllm serve ${MODEL} \\\n    --max-num-seqs 8\n",
        "[program:vllm]\ncommand=/usr/bin/vllm serve Qwen/Qwen3-8B --max-num-seqs 8\nautostart=true\n",
    ]);
}

#[test]
fn pages() {
    check_same(&[
        "Run:\n\n    vllm serve Qwen/Qwen3-8B --max-num-seqs 8\n\nthen wait.",
        "`vllm serve Qwen/Qwen3-8B --max-num-seqs 8`",
        "* `vllm serve Qwen/Qwen3-8B --max-num-seqs 8`",
        "1. vllm serve Qwen/Qwen3-8B --max-num-seqs 8",
        "> vllm serve Qwen/Qwen3-8B \\\n>   --max-num-seqs 8",
        "# Setup\n\nIt's vLLM.\n\n~~~yaml\nimage: vllm/vllm-openai\nargs: [--model, Qwen/Qwen3-8B, --max-num-seqs=8]\n~~~\n",
        "1. Start it:\n   ```dockerfile\n   FROM vllm/vllm-openai\n   CMD [\"--model\", \"Qwen/Qwen3-8B\", \
         \"--max-num-seqs\", \"8\"]\n   ```\n",
    ]);
    check(
        "Server:\n```bash\nvllm serve Qwen/Qwen3-8B --max-num-seqs 8\n```\nClient:\n```console\n$ vllm bench serve \
         --request-rate 5\n```\n",
        &[MODEL, SEQS, "request-rate 5"],
    );
}

#[test]
fn containers() {
    check_same(&[
        "FROM nvidia/cuda:12\nRUN pip install vllm\nENTRYPOINT [\"vllm\", \"serve\"]\nCMD [\"Qwen/Qwen3-8B\", \
         \"--max-num-seqs\", \"8\"]\n",
        "FROM vllm/vllm-openai:v0.10\nENV MODEL=Qwen/Qwen3-8B\nCMD [\"--model\", \"$MODEL\", \"--max-num-seqs\", \"8\"]",
        "FROM python:3.12\nCMD vllm serve Qwen/Qwen3-8B \\\n    --max-num-seqs ${SEQS:-8}\n",
        "$ sudo docker run --gpus all -e HF_TOKEN=x vllm/vllm-openai --model Qwen/Qwen3-8B --max-num-seqs 8",
        "apptainer run --nv docker://vllm/vllm-openai:latest --model Qwen/Qwen3-8B --max-num-seqs 8",
        "kubectl run llm --image=vllm/vllm-openai -- --model Qwen/Qwen3-8B --max-num-seqs 8",
        "services:\n  llm:\n    image: my/inference\n    environment:\n      MODEL: Qwen/Qwen3-8B\n      SEQS: 8\n    command: sh -c \
         \"vllm serve $$MODEL --max-num-seqs $$SEQS\"\n",
        "containers:\n- image: vllm/vllm-openai\n  env: [{name: MODEL, value: Qwen/Qwen3-8B}]\n  args: [\"--model\", \
         \"$(MODEL)\", \"--max-num-seqs=8\"]\n",
        "containers:\n- image: vllm/vllm-openai\n  env:\n  - name: MODEL\n    value: Qwen/Qwen3-8B\n  command: [sh, -c]\n  \
         args:\n  - |\n    vllm serve $MODEL \\\n      --max-num-seqs 8\n",
        "decode:\n  containers:\n  - image: ghcr.io/llm-d/llm-d-cuda:v0.3\n    args: [\"--max-num-seqs\", \"8\", \"--model\", \
         \"Qwen/Qwen3-8B\"]\n",
        "applications:\n- args:\n    llm_configs:\n    - model_loading_config: {model_id: qwen, model_source: Qwen/Qwen3-8B}\n      \
         engine_kwargs:\n        max_num_seqs: 8\n",
        "jobs:\n  bench:\n    steps:\n    - run: pip install vllm\n    - run: |\n        vllm serve Qwen/Qwen3-8B \
         --max-num-seqs 8 &\n",
        "web: vllm serve Qwen/Qwen3-8B --max-num-seqs 8\n",
        "image: vllm/vllm-openai:v0.11\nargs: [serve, Qwen/Qwen3-8B, --max-num-seqs, \"8\"]\n",
        "image: \"{{ .Values.image }}\"\nargs: [\"serve\", \"Qwen/Qwen3-8B\", \"--max-num-seqs\", \"8\"]\n",
        "{\"Cmd\": [\"--model\", \"Qwen/Qwen3-8B\", \"--max-num-seqs\", \"8\"], \"Image\": \"vllm/vllm-openai\"}",
    ]);
}

#[test]
fn several_programs_count_whatever_stands_between_them() {
    let both = [MODEL, SEQS, "request-rate 5"];
    let (server, client) = ("vllm serve Qwen/Qwen3-8B --max-num-seqs 8", "vllm bench serve --request-rate 5");
    for between in [" & ", " && ", "; ", "\n", " || ", " & sleep 60; ", " 2>&1 | tee log &\nwait\n", " &\n\n# then\n$ "]
    {
        check(&format!("{server}{between}{client}"), &both);
        check(&format!("{client}{between}{server}"), &both);
    }
    check(&format!("- {server}\n- {client}\n"), &both);
    check(&format!("bash -c '{server} & {client}'"), &both);
}

#[test]
fn what_could_matter_and_is_not_read_is_named() {
    let serve = "vllm serve Qwen/Qwen3-8B --max-num-seqs 8";
    for (before, left) in [
        ("VLLM_USE_V1=0 ", "VLLM_USE_V1=0: the V0 engine is not simulated"),
        (
            "VLLM_ATTENTION_BACKEND=FLASHINFER ",
            "VLLM_ATTENTION_BACKEND=FLASHINFER: passes take as long as the profile says",
        ),
        ("export VLLM_FUSE=1\n", "VLLM_FUSE=1: a variable of vLLM's that is not read"),
        ("env CUDA_VISIBLE_DEVICES=1 ", "CUDA_VISIBLE_DEVICES=1: which GPUs are used changes nothing here"),
        ("guidellm benchmark --rate 5 & ", "guidellm benchmark --rate 5: a client that is not read"),
        (
            "python -m sglang.bench_serving --num-prompts 5\n",
            "python -m sglang.bench_serving --num-prompts 5: a client",
        ),
        ("vllm bench throughput --model m\n", "vllm bench throughput --model m: only vllm bench serve is read"),
        ("vllm serve a/b --port 1 &\n", "vllm serve a/b --port 1: the program is called again below"),
    ] {
        let told = told(&format!("{before}{serve}"));
        let begin = format!("{MODEL}\n{SEQS}\nleft {left}");
        assert!(told.starts_with(&begin) && told.lines().count() == 3, "{before}: {told}");
    }
    let behind = told("vllm serve Qwen/Qwen3-8B\n  --max-num-seqs 8");
    assert!(behind.starts_with(&format!("{MODEL}\nleft --max-num-seqs 8: it stands on a line of its own")), "{behind}");
    for harmless in
        ["HF_TOKEN=x ", "VLLM_USE_V1=1 ", "VLLM_LOGGING_LEVEL=DEBUG ", "pip install guidellm\n", "cd /srv; "]
    {
        check(&format!("{harmless}{serve}"), &[MODEL, SEQS]);
    }
}

#[test]
fn what_is_to_be_filled_in_is_named_and_the_rest_is_taken() {
    for open in ["$SEQS", "${SEQS}", "$(nproc)", "$1", "%SEQS%", "{{ .Values.seqs }}", "<number of sequences>"] {
        let text = format!("vllm serve Qwen/Qwen3-8B --max-num-seqs {open} --block-size 32");
        check(&text, &[MODEL, "block-size 32", "unknown --max-num-seqs"]);
    }
    check("vllm serve <your-model> --max-num-seqs 8", &["model none", SEQS, "unknown <your-model>"]);
    check("vllm serve \"$@\" --max-num-seqs 8", &["model none", SEQS, "unknown $@"]);
}

/// Texts that are about vLLM and call nothing that is read, with a part of what is said of each.
const SAID: [(&str, &str); 14] = [
    ("INFO [api_server.py:1] vllm args: Namespace(model='m', max_num_seqs=8)", "a log of vLLM's is not read"),
    ("vLLM: non-default args: {'max_num_seqs': 8}", "a log of vLLM's is not read"),
    ("from vllm import LLM\nllm = LLM(model=\"m\", max_num_seqs=8)", "arguments of vLLM in Python are not read"),
    ("args = AsyncEngineArgs(model='m')  # vllm", "arguments of vLLM in Python are not read"),
    ("subprocess.run([\"vllm\", \"serve\", \"m\", \"--max-num-seqs\", \"8\"])", "a command within Python is not read"),
    ("os.system('vllm serve m --max-num-seqs 8')", "a command within Python is not read"),
    ("INFO [api_server.py:1] vLLM: non-default args: {'max_num_seqs': 8}", "a log of vLLM's is not read"),
    ("model: Qwen/Qwen3-8B\nmax-num-seqs: 8\n", "max-num-seqs: 8: an argument of vLLM's in a configuration"),
    ("{\"model\": \"m\", \"max_num_seqs\": 8}", "max_num_seqs: 8: an argument of vLLM's in a configuration"),
    (
        "guidellm benchmark --target http://localhost:8000",
        "guidellm benchmark --target http://localhost:8000: a client",
    ),
    ("genai-perf profile -m m --concurrency 4", "a client that is not read"),
    ("vllm bench latency --model m", "only vllm bench serve is read"),
    ("services:\n  vllm:\n    image: vllm/vllm-openai\n", "no list of its flags"),
    ("image: vllm\nargs:\n{{- if .x }}\n- --model=m\n", "this is a template"),
];

#[test]
fn what_calls_nothing_is_no_command() {
    for (text, part) in SAID {
        let error = command::read(text, &Scenario::default()).expect_err(text).to_string();
        assert!(error.contains(part) && error.len() < 500, "{text}: {error}");
        assert!(matches!(recognise(text.as_bytes()), Ok(Recognised::Command { .. })), "its reader says more: {text}");
    }
    for text in MENTIONS {
        assert_eq!(command::read(text, &Scenario::default()), Err(CommandError::NoCommand), "{text}");
        assert!(matches!(recognise(text.as_bytes()), Err(RecogniseError::Unknown { .. })), "{text}");
    }
}

/// Texts that mention vLLM; none of their lines, alone or among others, calls anything.
const MENTIONS: [&str; 30] = [
    "The vllm serve command starts a server.",
    "vllm serve hangs when I use two GPUs",
    "vllm serve Qwen/Qwen3-8B --max-num-seqs 8 crashes on my machine",
    "I ran vllm serve Qwen/Qwen3-8B --max-num-seqs 8 and it crashed",
    "vllm serve is slow",
    "vllm serve with --max-num-seqs 8 is slower than with --max-num-seqs 16",
    "vllm bench serve hangs",
    "vllm bench serve does not finish with --request-rate inf on my GPU",
    "Use vllm serve Qwen/Qwen3-8B --max-num-seqs 8.",
    "vllm serve",
    "vllm serve --help",
    "vllm serve Qwen/Qwen3-8B failed",
    "| vllm serve | the server |",
    "# vllm serve m --max-num-seqs 8",
    "echo vllm serve m --max-num-seqs 8",
    "echo \"vllm serve m --max-num-seqs 8\"",
    "pip install vllm==0.10.0",
    "pip install vllm && echo vllm serve",
    "docker pull vllm/vllm-openai:latest",
    "docker compose up -d vllm",
    "helm install vllm vllm/vllm-stack -f values.yaml",
    "git clone https://github.com/vllm-project/vllm",
    "import vllm",
    "vllm --version",
    "VLLM_ARGS='--max-num-seqs 8'",
    "It's vllm/vllm-openai that doesn't start",
    "https://docs.vllm.ai/en/latest/cli/serve/",
    "--max-num-seqs 8",
    "sudo systemctl restart vllm",
    "curl http://localhost:8000/v1/completions -d '{\"model\": \"vllm serve\"}'",
];

proptest! {
    #[test]
    fn texts_without_a_call_are_never_taken(places in prop::collection::vec((0..MENTIONS.len(), 0..4_usize), 1..7)) {
        let before = Scenario::from_flags([("max-num-seqs", Some("16"))]).expect("a flag");
        let lines = places.iter().map(|&(place, indent)| format!("{}{}", " ".repeat(indent), MENTIONS[place]));
        let text = lines.collect::<Vec<_>>().join("\n");
        prop_assert!(command::read(&text, &before).is_err(), "{}", text);
    }
}
