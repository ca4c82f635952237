//! What files and texts are taken for, by their content.

use sim_core::metrics::json_measured::MeasuredResult;
use sim_core::models::ModelConfig;
use sim_core::profile::Profile;
use sim_core::scenario::{RecogniseError, Recognised, recognise};
use sim_core::workload::timed_trace::TimedTraceOptions;
use sim_core::workload::trace::TraceKind;

use crate::profile_fixture::{file, h100_bytes};

#[track_caller]
fn check(what: &str, bytes: &[u8], expect: &Recognised) {
    match recognise(bytes) {
        Ok(found) => assert_eq!(&found, expect, "{what}"),
        Err(error) => panic!("{what} is not recognised: {error}"),
    }
}

#[track_caller]
fn check_refused(bytes: &[u8], expect: &str) {
    match recognise(bytes) {
        Ok(found) => panic!("taken for {found:?}"),
        Err(error) => {
            let text = error.to_string();
            assert!(text.contains(expect), "{text}\ndoes not say\n{expect}");
        }
    }
}

#[test]
fn files_are_known_by_their_content() {
    check("profile", &h100_bytes(), &Recognised::Profile);
    check("old profile", &file("data/profiles/v0.json"), &Recognised::Profile);
    check("config.json", &file("recorder/model/config.json"), &Recognised::ModelConfig);
    for name in ["defaults.detailed", "defaults.result", "all_failed.result", "no_tokenizer.detailed"] {
        check(name, &file(&format!("data/bench_serve_table/{name}.json")), &Recognised::BenchResult);
    }
    let timed = |options| Recognised::Trace(TraceKind::TimedTrace(options));
    let bailian = br#"{"chat_id": 1, "timestamp": 0.5, "input_length": 33, "output_length": 5, "hash_ids": [0,1,2]}"#;
    check("Bailian", bailian, &timed(TimedTraceOptions::default()));
    check("Mooncake", &file("data/bench_serve/timed_trace_mooncake.jsonl"), &timed(TimedTraceOptions::mooncake()));
    check("BurstGPT", &file("data/bench_serve/burstgpt.csv"), &Recognised::Trace(TraceKind::BurstGpt));
    let azure = file("../www/datasets/azure_llm_2023_conv_first_1000.csv");
    check("Azure", &azure, &Recognised::Trace(TraceKind::Azure));
}

#[test]
fn damage_does_not_hide_what_a_file_is() {
    let profile = h100_bytes();
    check("half a profile", &profile[..profile.len() / 2], &Recognised::Profile);
    let with_mark = [b"\xef\xbb\xbf\n ".as_slice(), &profile].concat();
    check("byte order mark", &with_mark, &Recognised::Profile);
    let result = file("data/bench_serve_table/defaults.result.json");
    check("two results", &[result.as_slice(), b"\n", &result].concat(), &Recognised::BenchResult);
    check("NaN", br#"{"duration": NaN, "completed": 1}"#, &Recognised::BenchResult);
    check("key in a text", br#"{"model_type": "llama", "note": "\"step_time\": {"}"#, &Recognised::ModelConfig);
}

#[test]
fn links_and_commands_are_known_with_what_surrounds_them() {
    for text in ["#v=1&request-rate=8", "v=1&request-rate=8", "https://host/path/#v=1&a=b", "http://127.0.0.1/#v=9"] {
        check(text, format!(" {text}\n").as_bytes(), &Recognised::Link { text: text.to_owned() });
    }
    for text in [
        "vllm serve org/model --max-num-seqs 8",
        "$ HF_TOKEN=x vllm   bench\tserve --request-rate 8",
        "python3 -m vllm.entrypoints.openai.api_server --model m",
        "docker run --gpus all vllm/vllm-openai:v0.32.0 --model m",
        "profiler simulate --num-prompts 10",
        "# how we start it\nvllm serve m \\\n  --max-model-len 4096\n",
        "vllm serve m # see https://host/#v=1",
    ] {
        check(text, text.as_bytes(), &Recognised::Command { text: text.to_owned() });
    }
}

#[test]
fn what_is_not_known_is_told_what_is() {
    check_refused(b"", "there is nothing in it");
    check_refused(b"\xef\xbb\xbf \n", "there is nothing in it");
    check_refused(b"hello", "\"hello\" is none of what can be read here: a profile; a model's config.json;");
    check_refused(br#"{"a": 1}"#, "a trace of Mooncake, Qwen-Bailian, Azure or BurstGPT");
    check_refused(b"\x89PNG\r\n\x1a\n\0\0\0", "a binary file is none of");
    check_refused(b"\x1f\x8b\x08\0", "this is a gzip file; unpack it first");
    check_refused(b"\xff\xfe{\0", "the text is UTF-16; save it as UTF-8");
    check_refused(b"{\0\"\0v\0", "the text is UTF-16; save it as UTF-8");
    check_refused(b"\0{\0\"\0v", "the text is UTF-16; save it as UTF-8");
    check_refused(&file("data/bench_serve/sharegpt.json"), "profiler simulate --dataset-name sharegpt --tokenizer");
    check_refused(&file("data/bench_serve/custom.jsonl"), "profiler simulate --dataset-name custom --tokenizer");
    let long = "x".repeat(10_000);
    let text = recognise(long.as_bytes()).expect_err("no format").to_string();
    assert!(text.len() < 500, "{} bytes: {text}", text.len());
}

#[test]
fn what_is_too_large_is_not_called_unknown() {
    let padded = |text: &str, length: usize| {
        let mut bytes = text.as_bytes().to_vec();
        bytes.resize(length, b' ');
        bytes
    };
    for (text, limit, expect) in [
        (r#"{"step_time": 1}"#, Profile::MAX_BYTES, "a profile"),
        (r#"{"duration": 1, "completed": 1}"#, MeasuredResult::MAX_BYTES, "a result of vllm bench serve"),
        (r#"{"architectures": []}"#, ModelConfig::MAX_BYTES, "a model's config.json"),
        ("vllm serve m", 1 << 16, "a command"),
        ("#v=1", 1 << 16, "a share link"),
    ] {
        assert!(recognise(&padded(text, limit)).is_ok(), "{expect} at its limit");
        let found = recognise(&padded(text, limit + 1));
        assert_eq!(found, Err(RecogniseError::TooLarge { what: expect, num_bytes: limit + 1, limit }));
    }
}

/// A config of Llama-3.1-8B, which the shipped profile is of, with some of its text replaced.
fn llama(replace: &[(&str, &str)]) -> ModelConfig {
    let mut text = r#"{"architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 4096,
        "intermediate_size": 14336, "num_hidden_layers": 32, "num_attention_heads": 32, "num_key_value_heads": 8,
        "vocab_size": 128256, "torch_dtype": "bfloat16", "max_position_embeddings": 131072}"#
        .to_owned();
    for (from, to) in replace {
        assert!(text.contains(from), "{from} is not in the file");
        text = text.replace(from, to);
    }
    ModelConfig::from_json(text.as_bytes()).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn a_config_is_read_with_the_fallbacks_of_vllm() {
    let plain = llama(&[]);
    assert_eq!(plain.head_dim, 128, "hidden_size / num_attention_heads");
    assert_eq!(llama(&[("\"vocab_size\"", "\"head_dim\": 64, \"vocab_size\"")]).head_dim, 64);
    assert_eq!(llama(&[("num_key_value_heads", "x")]).num_key_value_heads, 32, "as many as query heads");
    assert_eq!(llama(&[("torch_dtype", "dtype")]), plain);
    assert_eq!(llama(&[("\"vocab_size\"", "\"seq_length\": 2048, \"vocab_size\"")]).max_position_embeddings, 2048);
    let command_r = llama(&[("\"vocab_size\"", "\"model_max_length\": 999999, \"vocab_size\"")]);
    assert_eq!(command_r.max_position_embeddings, 999_999, "it wins even where it is larger");
    let nested = llama(&[("\"hidden_size\"", "\"text_config\": {\"hidden_size\""), ("131072}", "131072}}")]);
    assert_eq!(nested, plain);
}

#[test]
fn faults_of_a_config_name_the_field() {
    let llama = |rest: &str| format!(r#"{{"architectures": ["LlamaForCausalLM"]{rest}}}"#);
    for (json, expect) in [
        (r#"{"hidden_size": 1}"#.to_owned(), "architectures is absent"),
        (llama(""), "num_attention_heads is absent"),
        (
            llama(r#", "num_attention_heads": -1"#),
            "num_attention_heads is -1; it must be a whole number from 0 to 67108864",
        ),
        (llama(r#", "num_attention_heads": {}"#), "num_attention_heads is an object"),
        ("[]".to_owned(), "config.json: found an array; it must be an object"),
        ("{".to_owned(), "the text ends within an object"),
    ] {
        let error = ModelConfig::from_json(json.as_bytes()).expect_err("refused").to_string();
        assert!(error.contains(expect), "{error}\ndoes not say\n{expect}");
    }
}
