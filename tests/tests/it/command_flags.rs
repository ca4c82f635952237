//! Flags of pasted commands: taken as by vLLM's own parser, and judged by their value.

use crate::commands::{check, read};

#[test]
fn beginnings_short_names_and_keys_are_read_as_by_vllms_parser() {
    let check_serve =
        |flags: &str, expect: &[&str]| check(&format!("vllm serve m {flags}"), &[&["model m"], expect].concat());
    check_serve("--gpu-mem 0.8 --max-mod=8k", &["max-model-len 8k", "gpu-memory-utilization 0.8"]);
    check_serve("--kv-cache-mem 1.5g", &["kv-cache-memory-bytes 1.5g"]);
    check_serve("-tp=2 -pp 2", &["tensor-parallel-size 2", "pipeline-parallel-size 2"]);
    check_serve("--disable-prefix-caching --enable-chunked-p", &["enable-chunked-prefill", "no-enable-prefix-caching"]);
    check_serve("--block-size 16 --block_size=32", &["block-size 32"]);
    check_serve("-sc '{\"method\":\"mtp\"}' -sc.method ngram", &["speculative-config {\"method\":\"ngram\"}"]);
    check_serve(
        "--spec-tokens 2 -sc.method mtp",
        &["speculative-config {\"method\":\"mtp\",\"num_speculative_tokens\":2}"],
    );
    check_serve("-cc.mode 3 --compilation-c.level=2", &["aside --compilation-config"]);
    check_serve("--max-num-scheduled-tokens 2k --max-num-scheduled-tokens None", &[]);
    check_serve(
        "--port 80 --served-model-name a b --host h -- ",
        &["aside --port", "aside --host", "refused \"--\" belongs to no flag"],
    );
    check("vllm serve --model m --max-num-seqs 4 --model n", &["model m", "max-num-seqs 4"]);
    check("vllm serve --max-num-seqs 4 -- m", &["model m", "max-num-seqs 4"]);
    let none =
        |flags: &str, expect: &[&str]| check(&format!("vllm bench serve {flags}"), &[&["model none"], expect].concat());
    none("--num-p 34 --random-o=5 --request-r inf", &["num-prompts 34", "request-rate inf", "random-output-len 5"]);
    none("--good ttft:5 tpot:6 --max-c 3", &["max-concurrency 3", "goodput ttft:5 tpot:6"]);
    none(
        "--random 5",
        &["refused --random could be each of --random-batch-size, --random-input-len, \
        --random-mm-base-items-per-request, --random-mm-bucket-config, --random-mm-limit-mm-per-prompt, \
        --random-mm-num-mm-items-range-ratio, --random-output-len, --random-prefix-len and 1 more"],
    );
}

#[test]
fn a_flag_is_judged_by_its_value_in_a_command() {
    let aside = |flags: &str, named: &[&str]| {
        let read = read(flags);
        assert!(read.refused.is_empty() && read.unknown.is_empty(), "{flags}: {:?} {:?}", read.refused, read.unknown);
        let names: Vec<&str> = read.set_aside.iter().map(|flag| flag.flag.as_str()).collect();
        assert_eq!(names, named, "{flags}");
        assert!(read.set_aside.iter().all(|flag| !flag.is_fixed_by_profile), "{flags}");
    };
    aside("vllm bench serve --backend vllm", &["--backend"]);
    aside("vllm bench serve --backend openai --endpoint /v1/completions", &["--backend", "--endpoint"]);
    aside("vllm bench serve --backend openai-audio --backend openai-chat", &["--backend"]);
    aside("vllm bench serve --probe-request-rate 0 --extra-body '{}'", &["--probe-request-rate", "--extra-body"]);
    aside("vllm bench serve --random-batch-size 01 --hf-split train", &["--random-batch-size", "--hf-split"]);
    aside(
        "vllm serve m --stream-interval 1 --no-enable-lora -dcp 1",
        &["--stream-interval", "--no-enable-lora", "--decode-context-parallel-size"],
    );
    aside("vllm serve m --runner generate --ec-transfer-config None", &["--runner", "--ec-transfer-config"]);
    aside(
        "vllm serve m --cpu-offload-gb 0 --load-format auto --hf-overrides {}",
        &["--cpu-offload-gb", "--load-format", "--hf-overrides"],
    );
    for (text, why) in [
        ("vllm bench serve --backend openai-responses", "--backend is not simulated: only the streamed"),
        ("vllm bench serve --probe-request-rate 0.5", "--probe-request-rate is not simulated"),
        ("vllm serve m --stream-interval 2", "--stream-interval is not simulated"),
        ("vllm serve m --runner pooling", "--runner is not simulated"),
        ("vllm serve m --runner what", "--runner \"what\": one of auto, draft, generate, pooling"),
        ("vllm serve m --port eighty", "--port \"eighty\": a whole number"),
    ] {
        let refused = read(text).refused;
        assert!(refused.len() == 1 && refused[0].starts_with(why), "{text}: {refused:?}");
    }
}
