//! vLLM's offloading connector in a recording: the simulator's own one, and workers whose transfers take so many passes.

use std::collections::BTreeMap;

use anyhow::{Result, bail, ensure};
use serde::Deserialize;
use sim_core::config::EngineConfig;
use sim_core::kv_offload::connector::OffloadingConnector;
use sim_core::kv_offload::settings::{EvictionPolicy, OffloadingSettings};
use sim_core::request::RequestId;
use sim_core::sched::connector::interface::{
    Ended, JobId, KvConnector, KvConnectorOutput, KvConnectorPass, Matched, NewText, ScheduledBlocks, TransferJob,
    Waiting,
};

use super::tiers::{ScriptedTiers, TierScript};

/// Of the recorder's one layer: keys and values of one head of 64 numbers, two bytes each.
const BYTES_PER_TOKEN: u64 = 256;

/// What vLLM made of the settings.
#[derive(Debug, Deserialize)]
pub(crate) struct Offloading {
    num_chunks: u32,
    blocks_per_chunk: u32,
}

/// The connector's settings, as they were given. Names as in the file.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct ExtraConfig {
    #[serde(default)]
    cpu_bytes_to_use: u64,
    eviction_policy: Option<String>,
    offload_prompt_only: Option<bool>,
    #[serde(default)]
    secondary_tiers: Vec<TierScript>,
}

/// Passes that transfers take, used by number of the job, again and again.
#[derive(Debug, Clone, Default, Deserialize)]
pub(crate) struct TransferPasses {
    #[serde(default)]
    load: Vec<u64>,
    #[serde(default)]
    store: Vec<u64>,
    /// What a pass takes by the clock of tiers behind host memory: one number.
    #[serde(default)]
    pass_ns: Vec<u64>,
}

impl TransferPasses {
    fn of(&self, job: &TransferJob) -> u64 {
        let numbers = if job.is_store { &self.store } else { &self.load };
        // A store begins with the next pass.
        u64::from(job.is_store) + numbers.get(job.id as usize % numbers.len().max(1)).copied().unwrap_or(0)
    }
}

impl Offloading {
    /// The connector and its workers.
    pub(crate) fn connector(
        &self,
        config: &EngineConfig,
        extra: &ExtraConfig,
        passes: &TransferPasses,
    ) -> Result<Box<dyn KvConnector>> {
        let eviction_policy = match extra.eviction_policy.as_deref() {
            None | Some("lru") => EvictionPolicy::Lru,
            Some("arc") => EvictionPolicy::Arc,
            Some(other) => bail!("kv.kv_connector_extra_config.eviction_policy: {other:?} is neither lru nor arc"),
        };
        ensure!(self.blocks_per_chunk > 0, "offloading.blocks_per_chunk is 0; it must be at least 1");
        let (bytes, block_bytes) = (extra.cpu_bytes_to_use, BYTES_PER_TOKEN * u64::from(config.block_size()));
        let chunk_bytes = OffloadingSettings::chunk_bytes_of(block_bytes, self.blocks_per_chunk);
        let num_chunks = OffloadingSettings::num_chunks_of(bytes, chunk_bytes);
        ensure!(
            num_chunks == self.num_chunks,
            "offloading.num_chunks is {}, but {bytes} bytes hold {num_chunks} chunks of {} blocks of {block_bytes} bytes",
            self.num_chunks,
            self.blocks_per_chunk
        );
        let settings = OffloadingSettings {
            num_chunks,
            blocks_per_chunk: self.blocks_per_chunk,
            eviction_policy,
            offload_prompt_only: extra.offload_prompt_only.unwrap_or(true),
            chunk_bytes,
            secondary_tiers: ScriptedTiers::settings(&extra.secondary_tiers)?,
        };
        Ok(Box::new(ScriptedOffloading {
            connector: OffloadingConnector::new(config, settings),
            passes: passes.clone(),
            under_way: BTreeMap::new(),
            num_passes: 0,
            tiers: ScriptedTiers::new(&extra.secondary_tiers, passes.pass_ns.first().copied().unwrap_or(0)),
        }))
    }
}

/// The connector, and workers that play the script.
#[derive(Debug)]
struct ScriptedOffloading {
    connector: OffloadingConnector,
    passes: TransferPasses,
    /// By number: the pass that a job ends with, and the request it loads for.
    under_way: BTreeMap<JobId, (u64, Option<RequestId>)>,
    num_passes: u64,
    tiers: ScriptedTiers,
}

impl ScriptedOffloading {
    fn begin_pass(&mut self) {
        if self.tiers.begins() {
            // What went on to the tiers since the pass before may be there already.
            self.tiers.note_begun(self.connector.tiers_told());
            let clock_ns = self.tiers.clock_ns();
            self.connector.report_tiers(clock_ns, &self.tiers.begin_pass());
        }
    }
}

impl KvConnector for ScriptedOffloading {
    fn on_new_request(&mut self, request: &NewText<'_>) {
        self.connector.on_new_request(request);
    }

    fn get_num_new_matched_tokens(&mut self, request: Waiting) -> Option<Matched> {
        self.begin_pass();
        self.connector.get_num_new_matched_tokens(request)
    }

    fn update_state_after_alloc(&mut self, id: RequestId, blocks: &[u32], matched: Matched) {
        self.connector.update_state_after_alloc(id, blocks, matched);
    }

    fn request_finished(&mut self, ended: Ended) -> bool {
        self.connector.request_finished(ended)
    }

    fn build_connector_meta(
        &mut self,
        scheduled: &[ScheduledBlocks<'_>],
        preempted: &[RequestId],
        told: &mut KvConnectorPass,
    ) {
        self.begin_pass();
        self.connector.build_connector_meta(scheduled, preempted, told);
        self.tiers.end_pass(&told.tiers);
        for job in &told.jobs {
            let end = self.num_passes + self.passes.of(job);
            self.under_way.insert(job.id, (end, (!job.is_store).then_some(job.request)));
        }
        for id in &told.jobs_to_flush {
            if let Some((end, _)) = self.under_way.get_mut(id) {
                *end = self.num_passes;
            }
        }
    }

    fn execute(&mut self) -> KvConnectorOutput {
        let mut output = KvConnectorOutput::default();
        self.under_way.retain(|&id, &mut (end, loaded)| {
            if end <= self.num_passes {
                output.completed_jobs.push(id);
                output.finished_recving.extend(loaded);
            }
            end > self.num_passes
        });
        self.num_passes += 1;
        output
    }

    fn update_connector_output(&mut self, report: &KvConnectorOutput) {
        self.connector.update_connector_output(report);
    }

    fn has_pending_push_work(&self) -> bool {
        self.connector.has_pending_push_work()
    }

    fn requires_kv_delivery(&self) -> bool {
        self.connector.requires_kv_delivery()
    }
}
