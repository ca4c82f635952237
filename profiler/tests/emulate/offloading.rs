//! Prompts that only host memory still holds, or only files behind it.

use serde_json::{Value, json};

use super::server::Server;

/// Blocks of the device: one prompt's, and a few.
const SMALL_DEVICE: [&str; 3] = ["--num-gpu-blocks-override", "260", "--enable-prompt-tokens-details"];
/// 200 blocks.
const PROMPT_LEN: u32 = 3200;
const BLOCK_BYTES: u64 = 2_097_152;
const PROMPT_BYTES: u64 = 200 * BLOCK_BYTES;

/// A prompt that no other begins like.
fn prompt(number: u32) -> Vec<u32> {
    (0..PROMPT_LEN).map(|token| 1 + (number * 7919 + token) % 30_000).collect()
}

fn start(flags: &[&str]) -> Server {
    Server::start(&[&SMALL_DEVICE, flags].concat())
}

/// Cached tokens of an answer to prompt `number`.
fn cached(server: &Server, number: u32) -> u64 {
    let answer = server.post("/v1/completions", &json!({"prompt": prompt(number), "max_tokens": 3})).json();
    assert_eq!(answer["usage"]["completion_tokens"], 3, "{answer}");
    let details: &Value = &answer["usage"]["prompt_tokens_details"];
    details["cached_tokens"].as_u64().unwrap_or(0)
}

fn number(server: &Server, metric: &str) -> u64 {
    let value = server.metric(metric);
    value.strip_suffix(".0").and_then(|value| value.parse().ok()).unwrap_or_else(|| panic!("{metric} is {value}"))
}

/// Simulated seconds until first tokens came, of all requests so far.
fn seconds(server: &Server) -> f64 {
    server.metric("vllm:time_to_first_token_seconds_sum").parse().expect("a number")
}

/// Waits until transfers are over: nothing else goes on.
fn wait_for_stores(server: &Server, num_bytes: u64) {
    let start = std::time::Instant::now();
    while number(server, "vllm:kv_offload_store_bytes_total") < num_bytes {
        assert!(start.elapsed() < super::PATIENCE, "stores do not end");
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
}

#[test]
fn what_only_host_memory_still_holds_is_cached() {
    let without = start(&["--time-scale", "20"]);
    let with = start(&["--time-scale", "20", "--kv-offloading-size", "8"]);
    let all = u64::from(PROMPT_LEN);
    for (number, expect) in [(1, 0), (2, 0)] {
        assert_eq!((cached(&without, number), cached(&with, number)), (expect, expect));
    }
    wait_for_stores(&with, 2 * PROMPT_BYTES);
    let device = cached(&without, 1);
    assert!(device < all / 2, "{device} tokens are left of what the other prompt displaced");
    // All of it, though the last token is computed again.
    assert_eq!(cached(&with, 1), all);
    let hits = |source: &str| {
        let name = "vllm:prompt_tokens_cached_by_source_total{engine=\"0\",model_name=\"meta-llama/Llama-3.1-8B\"";
        number(&with, &format!("{name},source=\"{source}\"}}"))
    };
    let from_host = hits("host");
    assert_eq!(from_host + hits("device"), all);
    assert_eq!(number(&with, "vllm:external_prefix_cache_hits_total"), from_host);
    assert_eq!(number(&with, "vllm:kv_offload_load_bytes_total"), from_host / 16 * BLOCK_BYTES);
    assert_eq!(number(&with, "vllm:kv_offload_load_size_count"), 1);
    assert!(!without.get("/metrics").body.contains("kv_offload"), "none of it without host memory");
    for (query, status) in
        [("reset_external=true", 501), ("reset_running_requests=1", 501), ("reset_external=false", 200)]
    {
        assert_eq!(with.post(&format!("/reset_prefix_cache?{query}"), &json!({})).status, status, "{query}");
    }
    // Emptying the device's cache empties nothing else.
    assert_eq!(with.post("/reset_prefix_cache", &json!({})).json()["success"], true);
    assert_eq!(cached(&with, 1), all);
    assert_eq!(hits("host"), from_host + all);
}

#[test]
fn what_only_files_still_hold_is_cached_when_it_has_been_read() {
    let config = json!({
        "kv_connector": "OffloadingConnector", "kv_role": "kv_both",
        "kv_connector_extra_config": {
            "cpu_bytes_to_use": 230 * BLOCK_BYTES, "spec_name": "TieringOffloadingSpec",
            "secondary_tiers": [{"type": "fs", "root_dir": "/kv"}],
        },
    });
    // A second of simulated time for each prompt, in either direction; a hundred simulated milliseconds are one.
    let flags = ["--kv-tier-read-bandwidth", "0.42", "--kv-tier-write-bandwidth", "0.42", "--time-scale", "100"];
    let server = start(&[&["--kv-transfer-config", config.to_string().as_str()], &flags[..]].concat());
    for number in [1, 2] {
        assert_eq!(cached(&server, number), 0);
        wait_for_stores(&server, u64::from(number) * PROMPT_BYTES);
        // Until it is written it is held.
        std::thread::sleep(std::time::Duration::from_millis(200));
    }
    let before = seconds(&server);
    assert_eq!(cached(&server, 1), u64::from(PROMPT_LEN));
    let ttft = seconds(&server) - before;
    let hits = number(
        &server,
        "vllm:prompt_tokens_cached_by_source_total{engine=\"0\",model_name=\"meta-llama/Llama-3.1-8B\",source=\"disk\"}",
    );
    assert!(hits >= 2000, "{hits} tokens from files");
    // Of 131,072 bytes each.
    let reading = f64::from(u32::try_from(hits).expect("few")) * 131_072.0 / 0.42e9;
    assert!(ttft > 0.9 * reading, "the first token comes after {ttft} s, and reading takes {reading} s");
}

/// What is left of a request whose client has gone is moved to its end, and others are served.
#[test]
fn a_client_that_leaves_while_its_prompt_is_loaded_blocks_nobody() {
    // A second and a half for each prompt to come back.
    let slow = ["--kv-offloading-size", "8", "--kv-offloading-bandwidth", "0.28", "--time-scale", "10"];
    let server = start(&slow);
    for number in [1, 2] {
        assert_eq!(cached(&server, number), 0);
    }
    wait_for_stores(&server, 2 * PROMPT_BYTES);
    let loads = || number(&server, "vllm:external_prefix_cache_hits_total");
    let body = json!({"prompt": prompt(1), "max_tokens": 3}).to_string();
    let stream = server.post_stream("/v1/completions", &body);
    let start = std::time::Instant::now();
    while loads() == 0 {
        assert!(start.elapsed() < super::PATIENCE, "it does not begin to load");
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
    drop(stream);
    server.wait_idle();
    assert!(cached(&server, 3) == 0, "another prompt gets the blocks once nothing is written to them");
    assert_eq!(cached(&server, 1), u64::from(PROMPT_LEN));
    assert_eq!(server.metric("vllm:num_requests_running"), "0.0");
}
