//! A run of the real engine in the words of the trace format, so that it is compared and kept as a recording is.

use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::Path;

use anyhow::{Context as _, Result};
use flate2::Compression;
use flate2::write::GzEncoder;
use serde::Serialize;
use sim_core::config::{EngineConfig, SchedulingPolicy};

use super::recorded_engine::RecordedEngine;
use super::recorded_trace::{RecordedRequest, RecordedTrace, RecordedWorkload};
use super::run_drafts::run_drafts;
use crate::engine::{EngineFacts, PassInstants, Run, Script};

impl RecordedTrace {
    /// A script and what the engine of `facts` did with it.
    pub(crate) fn of_run(facts: &EngineFacts, script: &Script, run: &Run) -> Self {
        let engine = RecordedEngine::from(&facts.config);
        let drafts = run_drafts(run, script.requests.len());
        let answers = run.output_token_ids.iter().zip(drafts);
        let requests = script.requests.iter().zip(answers).enumerate().map(|(index, (request, (outputs, drafts)))| {
            RecordedRequest {
                id: Some(request_id(index)),
                max_tokens: request.max_tokens,
                priority: request.priority,
                cache_salt: request.cache_salt.clone(),
                prompt_token_ids: Some(request.prompt_token_ids.iter().copied().map(u64::from).collect()),
                output_token_ids: Some(outputs.iter().copied().map(u64::from).collect()),
                accept: (!drafts.accepted.is_empty()).then_some(drafts.accepted),
                propose: (!drafts.proposed.is_empty()).then_some(drafts.proposed),
                ..RecordedRequest::default()
            }
        });
        let aborts = script.aborts.iter().map(|&(iteration, request)| (iteration, request_id(request as usize)));
        Self {
            vllm: facts.engine.vllm_version.split('+').next().unwrap_or_default().to_owned(),
            workload: RecordedWorkload {
                requests: requests.collect(),
                queries_per_iter: Some(script.queries_per_iter.clone()),
                aborts: aborts.collect(),
                model: facts.planning.model.clone(),
            },
            usable_blocks: engine.num_gpu_blocks - 1,
            engine,
            iterations: run.passes.iter().map(|pass| pass.iteration.clone()).collect(),
            groups: facts.planning.groups.clone(),
            speculative: facts.planning.speculative.clone(),
        }
    }
}

/// Ids that order as their numbers do.
fn request_id(index: usize) -> String {
    format!("r{index:08}")
}

impl From<&EngineConfig> for RecordedEngine {
    fn from(config: &EngineConfig) -> Self {
        Self {
            max_num_seqs: config.max_num_seqs,
            max_num_batched_tokens: config.max_num_batched_tokens,
            block_size: config.block_size(),
            num_gpu_blocks: config.num_gpu_blocks,
            max_model_len: config.max_model_len,
            enable_prefix_caching: config.enable_prefix_caching,
            enable_chunked_prefill: config.enable_chunked_prefill,
            long_prefill_token_threshold: config.long_prefill_token_threshold,
            policy: match config.policy {
                SchedulingPolicy::Fcfs => "fcfs".to_owned(),
                SchedulingPolicy::Priority => "priority".to_owned(),
            },
            async_scheduling: config.async_scheduling,
            long_prefill_token_threshold_adaptive: config.long_prefill_token_threshold_adaptive,
            max_num_scheduled_tokens: Some(config.max_num_scheduled_tokens),
            max_num_active_seqs: Some(config.max_num_active_seqs),
            watermark: share_of_blocks(config),
            scheduler_reserve_full_isl: config.scheduler_reserve_full_isl,
            pipeline_parallel_size: config.pipeline_parallel_size,
            prefill_schedule_interval: config.prefill_schedule_interval,
        }
    }
}

/// A `watermark` that comes to the configuration's blocks again.
fn share_of_blocks(config: &EngineConfig) -> f64 {
    let half = if config.watermark_blocks == 0 { 0.0 } else { 0.5 };
    (f64::from(config.watermark_blocks) + half) / f64::from(config.num_gpu_blocks)
}

/// In the order of [`PassInstants`]' fields.
pub(crate) const fn instants(instants: PassInstants) -> [u64; 6] {
    let PassInstants { begin, called, scheduled, executed, updated, end } = instants;
    [begin, called, scheduled, executed, updated, end]
}

/// Writes `value` as JSON, compressed if the name ends in `.gz`.
///
/// # Errors
/// If the file cannot be written.
pub(crate) fn write_json(path: &Path, value: &impl Serialize) -> Result<()> {
    let place = || path.display().to_string();
    let mut file = BufWriter::new(File::create(path).with_context(place)?);
    if path.extension().is_some_and(|extension| extension == "gz") {
        let mut packed = GzEncoder::new(&mut file, Compression::default());
        serde_json::to_writer(&mut packed, value).with_context(place)?;
        packed.finish().with_context(place)?;
    } else {
        serde_json::to_writer(&mut file, value).with_context(place)?;
    }
    file.flush().with_context(place)
}
