//! The parsers of files that somebody else wrote, for fuzz targets and tests: each takes bytes and says whether it took them.

use crate::emulate::{read_peer, read_request};
use crate::import::aiconfigurator::columns::{Columns, Wanted};
use crate::import::calibrate::inferencex;
use crate::import::llmservingsim::{Files, Meta, Ranks, import, inflate, run};
use crate::import::model_config::ModelConfig;
use crate::import::vllm_bench::result;
use crate::sweep::plan::Plan;
use crate::sweep::{MAX_POINTS, params_file, values};

/// Reads a `config.json` as `profiler import` does; the number of the model's parameters if it is accepted.
#[must_use]
pub fn model_config(bytes: &[u8]) -> Option<u64> {
    ModelConfig::from_json(bytes, "fuzz").ok().map(|config| config.num_parameters())
}

/// Reads a parquet table as `profiler import aiconfigurator` does; its number of rows if it is accepted.
#[must_use]
pub fn parquet_table(bytes: &[u8]) -> Option<usize> {
    let wanted = Wanted { texts: &["gemm_dtype"], counts: &["m", "n", "k"], ..Wanted::default() };
    Columns::read(bytes, "fuzz", &wanted).ok().map(|columns| columns.num_rows())
}

/// Reads layer times as `profiler import llmservingsim` does, with these bytes as the table of the dense layers, of the
/// layers over sequences, and of attention, divided by 0 bytes; whether a profile comes of it.
#[must_use]
pub fn llmservingsim_tables(bytes: &[u8]) -> bool {
    let mut parts = bytes.splitn(3, |&byte| byte == 0);
    let (dense, per_sequence) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let files = Files { dense, per_sequence, attention: parts.next().unwrap_or_default() };
    let meta =
        b"vllm_version: 0\ngpu: NVIDIA H200\nmodel: m\nvariant: bf16\nmeasurement_iterations: 3\nengine_effective:\n  \
                 block_size: 16\n  max_num_batched_tokens: 2048\n  max_num_seqs: 256\n";
    let config = include_bytes!("../models/llama-3.1-8b.json");
    Meta::from_yaml(meta).and_then(|meta| import(&meta, files, config, &Ranks::default())).is_ok()
}

/// Reads `meta.yaml` of such a folder; whether it is accepted.
#[must_use]
pub fn llmservingsim_meta(bytes: &[u8]) -> bool {
    Meta::from_yaml(bytes).is_ok()
}

/// Reads the requests of a run as `profiler import calibrate` does; whether they are accepted.
#[must_use]
pub fn llmservingsim_requests(bytes: &[u8]) -> bool {
    let meta = br#"{"vllm_version": "0", "engine_kwargs": {"max_num_seqs": 8, "max_num_batched_tokens": 64, "tensor_parallel_size": 1}}"#;
    run::read(meta, bytes).is_ok()
}

/// Reads a list of configurations as `profiler import calibrate` does; the number of runs if it is accepted.
#[must_use]
pub fn inferencex(bytes: &[u8]) -> Option<usize> {
    inferencex::read(bytes, None).ok().map(|runs| runs.len())
}

/// Reads results of `vllm bench serve` as `profiler import vllm-bench` does; their number if they are accepted.
#[must_use]
pub fn bench_result(bytes: &[u8]) -> Option<usize> {
    result::read(bytes).ok().map(|results| results.len())
}

/// Unpacks gzipped bytes under a limit of 1 MiB; the length of what was inside.
#[must_use]
pub fn gzipped(bytes: &[u8]) -> Option<usize> {
    inflate(bytes, 1 << 20).ok().map(|plain| plain.len())
}

/// Reads a parameter file of `vllm bench sweep` as `profiler sweep` does; its number of records if it is accepted.
#[must_use]
pub fn sweep_params(bytes: &[u8]) -> Option<usize> {
    params_file::read(bytes).ok().map(|records| records.len())
}

/// Reads the values of a flag as `profiler sweep --grid` does; whether there are no more than a sweep has points, if they
/// are accepted.
#[must_use]
pub fn grid_values(text: &str) -> Option<bool> {
    let number = |is_whole| values::expand(text, is_whole).ok().map(|values| (1..=MAX_POINTS).contains(&values.len()));
    number(false).or_else(|| number(true))
}

/// Reads `plan.json` of a sweep; whether each of its points lies in one part, if it is accepted.
#[must_use]
pub fn sweep_plan(bytes: &[u8]) -> Option<bool> {
    let plan = Plan::from_json(bytes).ok()?;
    let mut next = 0;
    for part in 0..plan.num_parts() {
        let points = plan.points_of(part);
        if points.start != next || points.is_empty() {
            return Some(false);
        }
        next = points.end;
    }
    Some(next == plan.grid().num_points())
}

/// Reads the body of a request to `profiler emulate`, of a chat or a completion; the tokens of its prompts, as they are
/// counted and as they are in its sequences, if it is accepted.
#[must_use]
pub fn emulated_request(is_chat: bool, bytes: &[u8]) -> Option<(u64, u64)> {
    read_request(is_chat, bytes)
}

/// Reads what a listener to KV events sends to `profiler emulate`; whether it is the same however it was cut, if it is
/// understood.
#[must_use]
pub fn zeromq_peer(bytes: &[u8]) -> Option<bool> {
    read_peer(bytes)
}
