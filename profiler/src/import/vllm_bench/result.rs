//! A result of `vllm bench serve --save-result`, read for what a simulation needs and is compared with.

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Map, Value};

use crate::import::fit::runs::{Latency, Metric, Statistic};

/// Longest file that is read.
pub(crate) const MAX_BYTES: usize = 256 << 20;
/// Most requests of a run.
const MAX_REQUESTS: usize = 1_000_000;
/// Most tokens of a prompt or an output.
const MAX_TOKENS: u64 = 1 << 26;
/// Longest time, in milliseconds or seconds.
const MAX_TIME: f64 = 1e9;

/// What a result says.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct BenchResult {
    pub(crate) model_id: String,
    pub(crate) num_prompts: u32,
    /// Requests per second; infinite for all at once.
    pub(crate) request_rate: f64,
    pub(crate) burstiness: f64,
    pub(crate) max_concurrency: Option<u32>,
    pub(crate) total_input_tokens: u64,
    pub(crate) total_output_tokens: u64,
    /// With `--save-detailed`: the lengths and sending times of every request.
    pub(crate) requests: Option<Vec<BenchRequest>>,
    /// The latencies it reports, in milliseconds.
    pub(crate) metrics: Vec<(Metric, f64)>,
}

/// A request of a detailed result.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct BenchRequest {
    pub(crate) input_len: u32,
    pub(crate) output_len: u32,
    /// Seconds after the first was sent.
    pub(crate) start_time: f64,
}

/// Reads a file: one result, or one a line (`--append-result`).
///
/// # Errors
/// If it is not such a file, or a run in it failed or reports no latency.
pub(crate) fn read(bytes: &[u8]) -> Result<Vec<BenchResult>> {
    ensure!(bytes.len() <= MAX_BYTES, "{} bytes; the limit is {MAX_BYTES}", bytes.len());
    let values = serde_json::Deserializer::from_slice(bytes).into_iter::<Value>();
    let mut results = vec![];
    for (number, value) in (1..).zip(values) {
        let value = value.with_context(|| format!("result {number}: not JSON"))?;
        let Value::Object(fields) = value else { bail!("result {number}: not an object") };
        results.push(result(&fields).with_context(|| format!("result {number}"))?);
    }
    ensure!(!results.is_empty(), "the file is empty");
    Ok(results)
}

fn result(fields: &Map<String, Value>) -> Result<BenchResult> {
    let Some(model_id) = fields.get("model_id").and_then(Value::as_str) else {
        bail!("no model_id: is this a result of vllm bench serve --save-result?")
    };
    let failed = fields.get("failed").and_then(Value::as_u64).unwrap_or(0);
    let completed = count(fields, "completed", MAX_REQUESTS as u64)?;
    ensure!(failed == 0, "{failed} requests failed; a run must be whole to be simulated");
    let num_prompts = count(fields, "num_prompts", MAX_REQUESTS as u64)?;
    ensure!(completed == num_prompts, "completed is {completed} of num_prompts {num_prompts}");
    let metrics = metrics(fields)?;
    ensure!(!metrics.is_empty(), "no latency of ttft, tpot or e2el; give --percentile-metrics ttft,tpot,itl,e2el");
    let max_concurrency = match fields.get("max_concurrency") {
        None | Some(Value::Null) => None,
        Some(_) => Some(small(count(fields, "max_concurrency", MAX_TOKENS)?)),
    };
    Ok(BenchResult {
        model_id: model_id.to_owned(),
        num_prompts: small(num_prompts),
        request_rate: request_rate(fields)?,
        burstiness: match fields.get("burstiness") {
            None => 1.0,
            Some(value) => value.as_f64().filter(|value| *value > 0.0).context("burstiness is not a number above 0")?,
        },
        max_concurrency,
        total_input_tokens: count(fields, "total_input_tokens", u64::MAX)?,
        total_output_tokens: count(fields, "total_output_tokens", u64::MAX)?,
        requests: requests(fields, completed)?,
        metrics,
    })
}

fn small(count: u64) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

fn count(fields: &Map<String, Value>, name: &str, most: u64) -> Result<u64> {
    let value = fields.get(name).with_context(|| format!("no {name}"))?;
    let count = value.as_u64().filter(|count| (1..=most).contains(count));
    count.with_context(|| format!("{name} is {}; it must be a whole number from 1 to {most}", shortened(value)))
}

fn request_rate(fields: &Map<String, Value>) -> Result<f64> {
    match fields.get("request_rate") {
        None => Ok(f64::INFINITY),
        Some(Value::String(text)) if text == "inf" => Ok(f64::INFINITY),
        Some(value) => {
            let rate = value.as_f64().filter(|rate| *rate > 0.0);
            rate.with_context(|| format!("request_rate is {}; it must be \"inf\" or above 0", shortened(value)))
        }
    }
}

/// The requests of a detailed result; `None` without details.
fn requests(fields: &Map<String, Value>, completed: u64) -> Result<Option<Vec<BenchRequest>>> {
    let list = |name: &str| -> Result<Option<&Vec<Value>>> {
        let Some(value) = fields.get(name) else { return Ok(None) };
        let list = value.as_array().with_context(|| format!("{name} is not a list"))?;
        ensure!(list.len() as u64 == completed, "{name} has {} entries; completed is {completed}", list.len());
        Ok(Some(list))
    };
    let (Some(inputs), Some(outputs)) = (list("input_lens")?, list("output_lens")?) else { return Ok(None) };
    let starts = list("start_times")?;
    let length = |name: &str, at: usize, value: &Value| {
        let length = value.as_u64().filter(|length| (1..=MAX_TOKENS).contains(length)).map(small);
        length.with_context(|| {
            format!("{name}[{at}] is {}; it must be a whole number from 1 to {MAX_TOKENS}", shortened(value))
        })
    };
    let time = |at: usize| match starts {
        None => Ok(0.0),
        Some(starts) => {
            let time = starts[at].as_f64().filter(|time| time.is_finite() && *time >= 0.0);
            time.with_context(|| format!("start_times[{at}] is {}; it must be seconds", shortened(&starts[at])))
        }
    };
    let mut requests = vec![];
    for (at, (input, output)) in inputs.iter().zip(outputs).enumerate() {
        requests.push(BenchRequest {
            input_len: length("input_lens", at, input)?,
            output_len: length("output_lens", at, output)?,
            start_time: time(at)?,
        });
    }
    let first = requests.iter().map(|request| request.start_time).fold(f64::INFINITY, f64::min);
    requests.iter_mut().for_each(|request| request.start_time -= first);
    let last = requests.iter().map(|request| request.start_time).fold(0.0, f64::max);
    ensure!(last <= MAX_TIME, "start_times span {last} seconds; the limit is {MAX_TIME}");
    Ok(Some(requests))
}

/// Every `mean_ttft_ms`, `median_tpot_ms`, `p99_e2el_ms` of the latencies that are simulated.
fn metrics(fields: &Map<String, Value>) -> Result<Vec<(Metric, f64)>> {
    let mut metrics = vec![];
    for (name, value) in fields {
        let Some(metric) = metric(name) else { continue };
        let value = value.as_f64().filter(|value| (0.0..=MAX_TIME).contains(value));
        let value = value.with_context(|| format!("{name} must be milliseconds from 0 to {MAX_TIME}"))?;
        // A latency of no request is reported as 0.
        if value > 0.0 {
            metrics.push((metric, value));
        }
    }
    Ok(metrics)
}

fn metric(name: &str) -> Option<Metric> {
    let (statistic, rest) = name.strip_suffix("_ms")?.split_once('_')?;
    let latency = Latency::ALL.into_iter().find(|latency| latency.key() == rest)?;
    let statistic = match statistic {
        "mean" => Statistic::Mean,
        "median" => Statistic::Quantile(0.5),
        other => {
            let percent = other.strip_prefix('p')?.parse::<f64>().ok().filter(|p| (0.0..=100.0).contains(p))?;
            Statistic::Quantile(percent / 100.0)
        }
    };
    Some(Metric { latency, statistic, name: name.to_owned() })
}

fn shortened(value: &Value) -> String {
    let text = value.to_string();
    if text.chars().count() > 40 { format!("{}...", text.chars().take(40).collect::<String>()) } else { text }
}
