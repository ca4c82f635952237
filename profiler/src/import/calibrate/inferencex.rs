//! Serving configurations that InferenceX (SemiAnalysis) measured, as `silicon_sample.csv` of aiconfigurator-core 0.12.0
//! (Apache-2.0) lists them: mean TTFT and TPOT by lengths and concurrency.
//!
//! What the list leaves out is in InferenceX's public scripts: vLLM 0.10.2 with `max-num-batched-tokens` 8192,
//! `max-model-len` 10240, `max-num-seqs` the concurrency, no prefix caching, asynchronous scheduling,
//! `gpu-memory-utilization` 0.9 (an fp8 KV cache, too, which the runs had not: `sim_core::compose::host`); a client
//! that keeps so many requests under way, ten times as many in all, with lengths drawn from 0.8 L to L.

use std::str;

use anyhow::{Context, Result, ensure};
use sim_core::rng::Pcg64;
use sim_core::scenario::Scenario;
use sim_core::time::SimTime;

use crate::import::fit::runs::{Clock, Latency, Metric, Run, Told, workload};
use crate::import::version::Version;

/// Layers and hidden size of Llama-3.1-70B, whose runs are read.
pub(crate) const LAYERS_AND_WIDTH: (u32, u32) = (80, 8192);
/// Longest file that is read.
pub(crate) const MAX_BYTES: usize = 8 << 20;
/// Largest length or concurrency.
const MAX_COUNT: u32 = 1 << 14;
const VLLM: &str = "0.10.2";
/// Shortest length, as a share of the longest.
const SHORTEST: f64 = 0.8;
const PROMPTS_PER_PLACE: u32 = 10;
const SEED: u64 = 0;

/// Of a list with several, the configurations that are read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wanted<'a> {
    /// aiconfigurator's name of the device.
    pub(crate) system: &'a str,
    pub(crate) tensor_parallel_size: u32,
}

impl Wanted<'_> {
    /// Those whose flags are known: of vLLM, with Llama-3.1-70B in fp8, measured by InferenceX on this day.
    fn is_met(self, header: &[&str], fields: &[&str]) -> bool {
        let text = |name: &str| header.iter().position(|column| *column == name).map(|place| fields[place]);
        let is = |name: &str, value: &str| text(name) == Some(value);
        is("backend", "vllm")
            && is("mode", "agg")
            && is("model_path", "meta-llama/Llama-3.1-70B")
            && is("precision", "fp8")
            && is("system", self.system)
            && text("tp_size").and_then(|size| size.parse().ok()) == Some(self.tensor_parallel_size)
            && text("silicon_data_source").is_some_and(|source| source.contains("measured=2025-10-29"))
    }
}

/// Reads the list, or what is `wanted` of it.
///
/// # Errors
/// If it is not such a list, with the line, or nothing is left.
pub(crate) fn read(bytes: &[u8], wanted: Option<Wanted<'_>>) -> Result<Vec<Run>> {
    ensure!(bytes.len() <= MAX_BYTES, "{} bytes; the limit is {MAX_BYTES}", bytes.len());
    let text = str::from_utf8(bytes).map_err(|error| anyhow::anyhow!("not text: {error}"))?;
    let mut lines = text.lines();
    let header: Vec<&str> = lines.next().unwrap_or_default().split(',').collect();
    let mut runs = vec![];
    for (number, line) in (2..).zip(lines).filter(|(_, line)| !line.trim().is_empty()) {
        let fields: Vec<&str> = line.split(',').collect();
        ensure!(fields.len() == header.len(), "line {number}: {} fields; must be {}", fields.len(), header.len());
        if wanted.is_some_and(|wanted| !wanted.is_met(&header, &fields)) {
            continue;
        }
        runs.push(run(&header, &fields).with_context(|| format!("line {number}"))?);
    }
    ensure!(
        !runs.is_empty(),
        "no configurations{}",
        wanted.map_or(String::new(), |wanted| format!(
            " of Llama-3.1-70B fp8 that InferenceX ran on {} {}",
            wanted.tensor_parallel_size, wanted.system
        ))
    );
    Ok(runs)
}

fn run(header: &[&str], fields: &[&str]) -> Result<Run> {
    let text = |name: &str| {
        let place = header.iter().position(|column| *column == name);
        place.map(|place| fields[place]).with_context(|| format!("no column {name}"))
    };
    let count = |name: &str| {
        let value = text(name)?;
        let count = value.parse::<u32>().ok().filter(|count| (1..=MAX_COUNT).contains(count));
        count.with_context(|| format!("{name} is {value:?}; it must be a whole number from 1 to {MAX_COUNT}"))
    };
    let time = |name: &str| {
        let value = text(name)?;
        let time = value.parse::<f64>().ok().filter(|time| *time > 0.0 && *time < 1e9);
        time.with_context(|| format!("{name} is {value:?}; it must be milliseconds above 0"))
    };
    let (input, output, concurrency) = (count("isl")?, count("osl")?, count("batch_size")?);
    let mut engine = Scenario::default();
    for (flag, value) in [
        ("max-num-seqs", concurrency.to_string()),
        ("max-num-batched-tokens", "8192".to_owned()),
        ("max-model-len", "10240".to_owned()),
        ("tensor-parallel-size", text("tp_size")?.to_owned()),
        ("gpu-memory-utilization", "0.9".to_owned()),
    ] {
        engine.set(flag, Some(&value))?;
    }
    engine.set("no-enable-prefix-caching", None)?;
    engine.set("async-scheduling", None)?;
    let mut random = Pcg64::stream(SEED, "InferenceX");
    let mut length = |longest: u32| random.integers(shortest(longest), longest);
    let lengths: Vec<(u32, u32)> =
        (0..concurrency * PROMPTS_PER_PLACE).map(|_| (length(input), length(output))).collect();
    let send_times = vec![SimTime::ZERO; lengths.len()];
    Ok(Run {
        name: format!("InferenceX, {input} in, {output} out, {concurrency} at a time, vLLM {VLLM}"),
        model: text("model_path")?.to_owned(),
        engine,
        vllm_version: Version::parse(VLLM),
        num_gpu_blocks: None,
        workload: workload(&lengths, send_times, Some(concurrency))?,
        clock: Clock::Client,
        measured: vec![
            (Metric::mean(Latency::Ttft), time("silicon_ttft_ms")?),
            (Metric::mean(Latency::Tpot), time("silicon_tpot_ms")?),
        ],
        told: Told::default(),
    })
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share of a whole number above 0")]
fn shortest(longest: u32) -> u32 {
    ((f64::from(longest) * SHORTEST) as u32).max(1)
}
