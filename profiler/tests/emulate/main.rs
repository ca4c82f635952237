//! The built `profiler emulate` as a process: what it answers over HTTP, what it publishes, and what clients can do to it.

mod hostile;
mod kv_events;
mod offloading;
mod server;

use std::io::Read as _;
use std::process::Command;
use std::time::Instant;

use serde_json::{Value, json};

use server::{PATIENCE, Server};

#[test]
fn a_stream_has_a_message_for_each_token_and_tells_the_usage() {
    let server = Server::fast();
    for (path, prompt, num_prompt_tokens) in [
        ("/v1/completions", json!({"prompt": "One two three"}), 3),
        ("/v1/completions", json!({"prompt": [5, 6, 7, 8]}), 4),
        // Role and marks are tokens, too.
        ("/v1/chat/completions", json!({"messages": [{"role": "user", "content": "One two three"}]}), 10),
    ] {
        let mut body = prompt;
        body["max_tokens"] = json!(9);
        let whole = server.post(path, &body);
        body["stream"] = json!(true);
        body["stream_options"] = json!({"include_usage": true, "continuous_usage_stats": true});
        let streamed = server.post(path, &body);
        assert!(streamed.head.contains("content-type: text/event-stream"), "{streamed:?}");
        assert!(streamed.head.contains("simulated vllm"), "{streamed:?}");
        let messages = streamed.messages();
        let usage = &messages.last().expect("a usage")["usage"];
        let expect = json!({
            "prompt_tokens": num_prompt_tokens, "completion_tokens": 9, "total_tokens": num_prompt_tokens + 9,
        });
        assert_eq!((usage, &whole.json()["usage"]), (&expect, &expect));
        let is_chat = path.contains("chat");
        let text_of = |message: &Value| {
            let choice = &message["choices"][0];
            let text = if is_chat { &choice["delta"]["content"] } else { &choice["text"] };
            text.as_str().unwrap_or_default().to_owned()
        };
        let text: String = messages.iter().map(text_of).collect();
        let whole = whole.json();
        let choice = &whole["choices"][0];
        let expect = if is_chat { &choice["message"]["content"] } else { &choice["text"] };
        assert_eq!(expect, &json!(text), "the same prompt has the same answer");
        assert_eq!(text.split_whitespace().count(), 9);
        let last = &messages[messages.len() - 2];
        assert_eq!(last["choices"][0]["finish_reason"], "length");
        assert_eq!(last["usage"]["completion_tokens"], 9);
    }
    assert_eq!(server.metric("vllm:e2e_request_latency_seconds_count"), "6.0");
    assert_eq!(server.metric("vllm:generation_tokens_total"), "54.0");
    assert_eq!(server.metric("vllm:prompt_tokens_total"), "34.0");
    assert_eq!(server.metric("vllm:time_to_first_token_seconds_count"), "6.0");
    assert_eq!(server.metric("vllm:num_requests_running"), "0.0");
}

#[test]
fn several_prompts_are_answered_in_one() {
    let server = Server::fast();
    let body = json!({"prompt": ["a", "b c"], "max_tokens": 3});
    let whole = server.post("/v1/completions", &body).json();
    let indices: Vec<&Value> = whole["choices"].as_array().expect("choices").iter().map(|c| &c["index"]).collect();
    assert_eq!(indices, [0, 1]);
    assert_eq!(whole["usage"], json!({"prompt_tokens": 3, "completion_tokens": 6, "total_tokens": 9}));
    let body = json!({"prompt": [[1, 2], [3]], "max_tokens": 3, "stream": true});
    let messages = server.post("/v1/completions", &body).messages();
    let of = |index: u64| messages.iter().filter(|message| message["choices"][0]["index"] == index).count();
    assert!((1..=3).contains(&of(0)) && (1..=3).contains(&of(1)), "{messages:?}");
}

#[test]
fn what_cannot_be_answered_is_refused_in_vllms_words() {
    let server = Server::fast();
    let completions = "/v1/completions";
    let chat = "/v1/chat/completions";
    let long = "word ".repeat(5000);
    let cases = [
        (completions, json!({"prompt": "a", "max_tokens": 0}), 400, "max_tokens must be at least 1, got 0."),
        (completions, json!({"prompt": "a", "max_tokens": -3}), 400, "max_tokens must be at least 1, got -3."),
        (
            completions,
            json!({"prompt": "a", "max_tokens": 5000}),
            400,
            "max_tokens=5000 cannot be greater than max_model_len=4096",
        ),
        (
            completions,
            json!({"prompt": long}),
            400,
            "This model's maximum context length is 4096 tokens. However, your prompt",
        ),
        (completions, json!({"prompt": ""}), 400, "prompt cannot be empty"),
        (completions, json!({}), 400, "Either prompt or prompt_embeds must be provided"),
        (completions, json!({"prompt": 7}), 400, "body.prompt"),
        (completions, json!({"prompt": [1, -1]}), 400, "token ids"),
        (completions, json!({"prompt": "a", "model": "other"}), 404, "The model `other` does not exist."),
        (completions, json!({"prompt": "a", "max_tokens": "many"}), 400, "body.max_tokens"),
        (completions, json!({"prompt": "a", "n": 2}), 400, "`n` is not emulated"),
        (completions, json!({"prompt": "a", "logprobs": 1}), 400, "`logprobs` is not emulated"),
        (completions, json!({"prompt": "a", "echo": true}), 400, "`echo` is not emulated"),
        (
            completions,
            json!({"prompt": "a", "stream_options": {"include_usage": true}}),
            400,
            "Stream options can only",
        ),
        (completions, json!([1]), 400, "valid dictionary"),
        (chat, json!({"messages": "hello"}), 400, "body.messages"),
        (chat, json!({"messages": [{"content": "hello"}]}), 400, "body.messages.0.role"),
        (chat, json!({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}), 400, "content.0.image_url"),
        (chat, json!({"messages": [], "response_format": {"type": "json_object"}}), 400, "`response_format` is not"),
    ];
    for (path, body, status, message) in cases {
        let answer = server.post(path, &body);
        assert_eq!(answer.status, status, "{answer:?}");
        let error = &answer.json()["error"];
        assert!(error["message"].as_str().is_some_and(|text| text.contains(message)), "{message}: {error}");
        assert_eq!(error["code"], status);
        assert!(error["type"].is_string() && error.get("param").is_some(), "{error}");
    }
    let broken = server.post_text(completions, "{\"prompt\": \"a\", }");
    assert_eq!(broken.status, 400);
    assert_eq!(broken.json()["error"]["param"], "body.16", "{broken:?}");
    assert_eq!(server.get("/v2").status, 404);
    assert_eq!(server.get(completions).status, 405);
    for path in ["/sleep", "/wake_up"] {
        assert_eq!(server.post(path, &json!({})).status, 501);
    }
    assert_eq!(server.metric("vllm:num_requests_waiting{"), "0.0", "nothing of this reached the engine");
}

#[test]
fn the_other_endpoints_answer() {
    let server = Server::start(&["--served-model-name", "first", "second", "--time-scale", "20"]);
    let models = server.get("/v1/models").json();
    assert_eq!((&models["data"][0]["id"], &models["data"][1]["id"]), (&json!("first"), &json!("second")));
    assert_eq!(models["data"][0]["max_model_len"], 4096);
    let answer = server.post("/v1/completions", &json!({"model": "second", "prompt": "a", "max_tokens": 1}));
    assert_eq!(answer.json()["model"], "first");
    assert_eq!((server.get("/health").status, server.get("/ping").status), (200, 200));
    assert_eq!(server.get("/version").json()["simulated"], true);
    let tokens = server.post("/tokenize", &json!({"prompt": "One two"})).json();
    assert_eq!((&tokens["count"], tokens["tokens"].as_array().map(Vec::len)), (&json!(2), Some(2)));
}

#[test]
fn what_was_said_before_is_found_in_the_cache() {
    let server = Server::start(&["--enable-prompt-tokens-details", "--time-scale", "20"]);
    let mut messages = vec![json!({"role": "user", "content": "word ".repeat(100)})];
    let mut cached = Vec::new();
    for _ in 0..3 {
        let answer = server.post("/v1/chat/completions", &json!({"messages": messages, "max_tokens": 64})).json();
        let usage = &answer["usage"];
        let count = |value: &Value| value.as_u64().expect("a count");
        cached.push((count(&usage["prompt_tokens_details"]["cached_tokens"]), count(&usage["prompt_tokens"])));
        messages.push(answer["choices"][0]["message"].clone());
        messages.push(json!({"role": "user", "content": "and then?"}));
    }
    let [(0, first), (second_cached, second), (third_cached, _)] = cached[..] else { panic!("{cached:?}") };
    // All whole blocks of prompt and answer, but that the last token of an answer is never computed.
    assert_eq!((second_cached, third_cached), ((first + 63) / 16 * 16, (second + 63) / 16 * 16), "{cached:?}");
    assert_eq!(server.post("/reset_prefix_cache", &json!({})).json(), json!({"success": true}));
    let again = server.post("/v1/chat/completions", &json!({"messages": messages, "max_tokens": 1})).json();
    assert_eq!(again["usage"]["prompt_tokens_details"]["cached_tokens"], 0);
    assert_ne!(server.metric("vllm:prefix_cache_hits_total"), "0.0");
}

#[test]
fn a_client_that_goes_frees_its_place() {
    let server = Server::start(&["--max-num-queued-reqs", "2"]);
    // Minutes, at real time.
    let body = json!({"prompt": "a", "max_tokens": 4000, "stream": true}).to_string();
    let whole = json!({"prompt": "a", "max_tokens": 4000}).to_string();
    let mut streamed = server.post_stream("/v1/completions", &body);
    let waiting = server.post_stream("/v1/completions", &whole);
    let mut some = [0; 300];
    streamed.read_exact(&mut some).expect("the first token");
    let start = Instant::now();
    while server.get("/load").json()["server_load"] != 2 {
        assert!(start.elapsed() < PATIENCE);
    }
    let busy = server.post("/v1/completions", &json!({"prompt": "a"}));
    assert_eq!(busy.status, 503, "{busy:?}");
    assert!(busy.body.contains("currently busy"), "{busy:?}");
    assert_eq!(server.metric("vllm:admission_rejections_total"), "1.0");
    drop((streamed, waiting));
    server.wait_idle();
    assert_eq!(server.post("/v1/completions", &json!({"prompt": "a", "max_tokens": 2})).status, 200);
    assert_eq!(server.metric("vllm:num_requests_running"), "0.0");
    assert_eq!(server.metric("vllm:kv_cache_usage_perc"), "0.0");
}

#[test]
fn what_is_under_way_is_answered_before_the_end() {
    let mut server = Server::start(&[]);
    let body = json!({"prompt": "a", "max_tokens": 60, "stream": true}).to_string();
    let mut stream = server.post_stream("/v1/completions", &body);
    let mut first = [0; 200];
    stream.read_exact(&mut first).expect("it has begun");
    let id = server.process.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &id]).status().expect("kill").success());
    let mut rest = String::new();
    stream.read_to_string(&mut rest).expect("the rest");
    assert!(rest.contains("\"finish_reason\":\"length\"") && rest.contains("[DONE]"), "{rest}");
    assert!(server.process.wait().expect("it ends").success());
    let mut printed = String::new();
    server.stdout.read_to_string(&mut printed).expect("its output");
    assert!(printed.contains("SIMULATED"), "{printed}");
}

#[test]
fn answers_end_by_themselves_around_a_mean() {
    let server = Server::start(&["--mean-output-len", "20", "--time-scale", "100"]);
    let mut lengths = Vec::new();
    for prompt in 0..40 {
        let answer = server.post("/v1/completions", &json!({"prompt": [prompt], "max_tokens": 1000})).json();
        assert_eq!(answer["choices"][0]["finish_reason"], "stop");
        lengths.push(answer["usage"]["completion_tokens"].as_u64().expect("a count"));
    }
    let mean = lengths.iter().sum::<u64>() / 40;
    assert!((10..35).contains(&mean), "{lengths:?}");
    let body = json!({"prompt": [1], "max_tokens": 50, "ignore_eos": true});
    let answer = server.post("/v1/completions", &body).json();
    assert_eq!(
        (&answer["choices"][0]["finish_reason"], &answer["usage"]["completion_tokens"]),
        (&json!("length"), &json!(50))
    );
}

#[test]
fn flags_that_mean_nothing_are_refused() {
    let check = |arguments: &[&str], expect: &str| {
        let output =
            Command::new(env!("CARGO_BIN_EXE_profiler")).arg("emulate").args(arguments).output().expect("runs");
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.code() == Some(2) && text.contains(expect), "{text}");
    };
    check(&["--time-scale", "0"], "--time-scale 0: must be from");
    check(&["--mean-output-len", "nan"], "--mean-output-len NaN: must be from");
    check(&["--tokenizer", "/nowhere.json"], "--tokenizer /nowhere.json: not a tokenizer.json");
    check(&["--request-rate", "3"], "--request-rate");
    check(&["--host", "no address"], "--host");
}
