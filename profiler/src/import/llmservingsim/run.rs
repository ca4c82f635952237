//! A run that LLMServingSim measured on a real vLLM: `requests.jsonl`, one request a line with its times in the engine
//! core, and `meta.json`, the engine's arguments.

use std::str;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use sim_core::scenario::Scenario;
use sim_core::time::SimTime;

use crate::import::fit::runs::{Clock, Latency, Metric, Run, Told, workload};
use crate::import::version::Version;

/// Longest file that is read.
pub(crate) const MAX_BYTES: usize = 64 << 20;
/// Most requests.
const MAX_REQUESTS: usize = 1_000_000;
/// Longest run, in seconds.
const MAX_SECONDS: f64 = 1e6;

/// A line of `requests.jsonl`; other fields are ignored. `arrival_time` is Unix time, the others are another clock's.
#[derive(Debug, Clone, Deserialize)]
struct Line {
    input_toks: u32,
    output_toks: u32,
    arrival_time: f64,
    queued_ts: f64,
    first_token_ts: f64,
    last_token_ts: f64,
}

/// `meta.json`; other fields are ignored.
#[derive(Debug, Clone, Deserialize)]
struct Meta {
    model: String,
    vllm_version: String,
    engine_kwargs: EngineKwargs,
    kv_cache: Option<KvCache>,
}

#[derive(Debug, Clone, Deserialize)]
struct EngineKwargs {
    max_num_seqs: u32,
    max_num_batched_tokens: u32,
    tensor_parallel_size: u32,
    #[serde(default)]
    data_parallel_size: Option<u32>,
    max_model_len: Option<u32>,
}

/// Newer recordings have it.
#[derive(Debug, Clone, Deserialize)]
struct KvCache {
    num_gpu_blocks: u32,
    gpu_memory_utilization: f64,
}

/// Reads a run. The two clocks are set so that the quickest request takes no time from the client to the engine core's
/// queue: what all requests have in common of that time cannot be known.
///
/// # Errors
/// If a file is not what it should be, with the line.
pub(crate) fn read(meta: &[u8], requests: &[u8]) -> Result<Run> {
    ensure!(meta.len() <= MAX_BYTES, "meta.json: {} bytes; the limit is {MAX_BYTES}", meta.len());
    let meta: Meta = serde_json::from_slice(meta).context("meta.json")?;
    let mut lines = lines(requests).context("requests.jsonl")?;
    lines.sort_by(|a, b| a.arrival_time.total_cmp(&b.arrival_time));
    let offset = lines.iter().map(|line| line.queued_ts - line.arrival_time).fold(f64::INFINITY, f64::min);
    let start = lines.first().map_or(0.0, |line| line.arrival_time);
    let lengths: Vec<(u32, u32)> = lines.iter().map(|line| (line.input_toks, line.output_toks)).collect();
    let send_times = lines.iter().map(|line| SimTime::from_secs_f64(line.arrival_time - start)).collect();

    let mean = |values: Vec<f64>| values.iter().sum::<f64>() / values.len().max(1) as f64;
    let ttft = lines.iter().map(|line| 1e3 * (line.first_token_ts - line.arrival_time - offset)).collect();
    let e2el = lines.iter().map(|line| 1e3 * (line.last_token_ts - line.arrival_time - offset)).collect();
    let tpot = |line: &Line| {
        let gaps = line.output_toks - 1;
        (gaps > 0).then(|| 1e3 * (line.last_token_ts - line.first_token_ts) / f64::from(gaps))
    };
    let tpot: Vec<f64> = lines.iter().filter_map(tpot).collect();
    ensure!(!tpot.is_empty(), "requests.jsonl: no request has two tokens");
    Ok(Run {
        name: format!("LLMServingSim, {} requests at their own times, vLLM {}", lines.len(), meta.vllm_version),
        model: meta.model.clone(),
        engine: engine(&meta).context("meta.json")?,
        workload: workload(&lengths, send_times, None)?,
        clock: Clock::EngineCore,
        vllm_version: Version::parse(&meta.vllm_version),
        num_gpu_blocks: meta.kv_cache.map(|cache| cache.num_gpu_blocks),
        measured: vec![
            (Metric::mean(Latency::Ttft), mean(ttft)),
            (Metric::mean(Latency::Tpot), mean(tpot)),
            (Metric::mean(Latency::E2el), mean(e2el)),
        ],
        told: Told::default(),
    })
}

fn engine(meta: &Meta) -> Result<Scenario> {
    let kwargs = &meta.engine_kwargs;
    if let Some(replicas) = kwargs.data_parallel_size {
        ensure!(
            replicas <= 1,
            "data_parallel_size {replicas}: one engine is simulated, not replicas that share a load"
        );
    }
    let mut engine = Scenario::default();
    engine.set("max-num-seqs", Some(&kwargs.max_num_seqs.to_string()))?;
    engine.set("max-num-batched-tokens", Some(&kwargs.max_num_batched_tokens.to_string()))?;
    engine.set("tensor-parallel-size", Some(&kwargs.tensor_parallel_size.to_string()))?;
    if let Some(length) = kwargs.max_model_len {
        engine.set("max-model-len", Some(&length.to_string()))?;
    }
    if let Some(cache) = &meta.kv_cache {
        engine.set("gpu-memory-utilization", Some(&cache.gpu_memory_utilization.to_string()))?;
    }
    Ok(engine)
}

fn lines(bytes: &[u8]) -> Result<Vec<Line>> {
    ensure!(bytes.len() <= MAX_BYTES, "{} bytes; the limit is {MAX_BYTES}", bytes.len());
    let text = str::from_utf8(bytes).map_err(|error| anyhow::anyhow!("not text: {error}"))?;
    let mut lines = vec![];
    for (number, text) in (1..).zip(text.lines()).filter(|(_, text)| !text.trim().is_empty()) {
        ensure!(lines.len() < MAX_REQUESTS, "more than {MAX_REQUESTS} requests");
        let line: Line = serde_json::from_str(text).with_context(|| format!("line {number}"))?;
        let is_ordered = line.queued_ts <= line.first_token_ts && line.first_token_ts <= line.last_token_ts;
        ensure!(is_ordered, "line {number}: queued_ts, first_token_ts and last_token_ts must not decrease");
        ensure!(line.input_toks > 0 && line.output_toks > 0, "line {number}: a request without tokens");
        let times = [line.arrival_time, line.queued_ts, line.first_token_ts, line.last_token_ts];
        ensure!(times.iter().all(|time| time.is_finite()), "line {number}: a time is not a number");
        lines.push(line);
    }
    ensure!(!lines.is_empty(), "no requests");
    let times = || lines.iter().map(|line| line.arrival_time);
    let span = times().fold(f64::NEG_INFINITY, f64::max) - times().fold(f64::INFINITY, f64::min);
    ensure!(span <= MAX_SECONDS, "arrivals over {span} s; the limit is {MAX_SECONDS}");
    Ok(lines)
}
