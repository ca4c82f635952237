//! What a scheduler asks a KV connector, and what the connector's workers report.
//!
//! Source: `vllm/distributed/kv_transfer/kv_connector/v1/base.py::KVConnectorBase_V1` and
//! `vllm/v1/outputs.py::KVConnectorOutput`; the names are theirs.

use alloc::vec::Vec;
use core::fmt::Debug;

use super::tiers::{TierEvent, TierPass};
use crate::request::{FinishReason, RequestId, TokenRun};

/// Tokens that a connector has of a prompt, beyond those computed here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Matched {
    /// How many tokens; 0 for none.
    pub num_external_tokens: u32,
    /// Whether they are loaded while other passes run, and not within the pass.
    pub load_kv_async: bool,
}

/// Number of a transfer that a connector told its workers of.
pub type JobId = u32;

/// A request, when the scheduler looks at it first.
#[derive(Debug, Clone, Copy)]
pub struct NewText<'a> {
    /// The request.
    pub id: RequestId,
    /// Prompt, and what will be generated.
    pub runs: &'a [TokenRun],
    /// Tokens of the prompt.
    pub num_prompt_tokens: u32,
    /// Tokens of both, of those that the request lives to see.
    pub num_tokens: u32,
    /// Requests with different salts share nothing; 0 means none.
    pub cache_salt: u32,
    /// Its place among requests, which is not its number where places of ended ones are used again.
    pub arrival_order: u64,
}

/// A waiting request without blocks, about which a connector is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Waiting {
    /// The request.
    pub id: RequestId,
    /// Tokens of its prompt.
    pub num_prompt_tokens: u32,
    /// Known tokens: after a preemption more than the prompt.
    pub num_tokens: u32,
    /// Tokens found in the prefix cache.
    pub num_computed_tokens: u32,
}

/// A request that a pass computes tokens of.
#[derive(Debug, Clone, Copy)]
pub struct ScheduledBlocks<'a> {
    /// The request.
    pub id: RequestId,
    /// Known tokens.
    pub num_tokens: u32,
    /// Tokens computed once the pass has run.
    pub num_computed_tokens: u32,
    /// Its blocks, first to last.
    pub blocks: &'a [u32],
}

/// A request that has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ended {
    /// The request.
    pub id: RequestId,
    /// Why.
    pub reason: FinishReason,
    /// Known tokens.
    pub num_tokens: u32,
    /// Tokens computed, or being computed by a pass issued.
    pub num_computed_tokens: u32,
    /// Whether it has blocks.
    pub has_blocks: bool,
}

/// Blocks that begin to be moved between the device and where else a connector keeps them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TransferJob {
    /// Its number.
    pub id: JobId,
    /// Whose blocks.
    pub request: RequestId,
    /// Whether they leave the device.
    pub is_store: bool,
    /// How many of the device's.
    pub num_blocks: u32,
}

/// A KV connector, as the scheduler sees it.
pub trait KvConnector: Debug + Send {
    /// A request is looked at for the first time.
    fn on_new_request(&mut self, _request: &NewText<'_>) {}

    /// Tokens that could be loaded behind those that the request has; `None` if that is not known yet: then it is passed
    /// over.
    fn get_num_new_matched_tokens(&mut self, request: Waiting) -> Option<Matched>;

    /// The request has its `blocks`, and `matched` is going to be loaded into the last of them.
    fn update_state_after_alloc(&mut self, id: RequestId, blocks: &[u32], matched: Matched);

    /// A request has ended; whether its blocks are to be kept until its sending is reported as finished.
    fn request_finished(&mut self, ended: Ended) -> bool;

    /// A pass is decided: which transfers begin with it is added to `told`. `preempted` are those of this pass.
    fn build_connector_meta(
        &mut self,
        _scheduled: &[ScheduledBlocks<'_>],
        _preempted: &[RequestId],
        _told: &mut KvConnectorPass,
    ) {
    }

    /// The workers get the pass that was just decided, and look what has ended by now: that is reported with its results.
    /// Called once for each pass, in order, as workers do it once they have launched the pass
    /// (`vllm/v1/worker/gpu/kv_connector.py::ActiveKVConnector.post_forward`): what ends while it runs is in the next
    /// report. Transfers that somebody else times are reported through
    /// [`EngineCore::report_transfers`](crate::engine_core::EngineCore::report_transfers), and not here.
    fn execute(&mut self) -> KvConnectorOutput {
        KvConnectorOutput::default()
    }

    /// What happened in tiers behind the host's memory since this was said last, in order, and what their clock shows. Called
    /// before each pass is decided, if there are such tiers.
    fn report_tiers(&mut self, _clock_ns: u64, _events: &[TierEvent]) {}

    /// The results of a pass are processed, and the workers' report with them.
    fn update_connector_output(&mut self, _report: &KvConnectorOutput) {}

    /// Whether transfers are under way for whose ends passes are needed, if empty ones.
    fn has_pending_push_work(&self) -> bool {
        false
    }

    /// Whether it still has something of a request, which has ended: nobody else can be called like it until then.
    fn remembers(&self, _id: RequestId) -> bool {
        false
    }

    /// Whether what a producer computed has to get to whoever waits for it: then results from before a preemption are
    /// dropped.
    fn requires_kv_delivery(&self) -> bool {
        true
    }
}

/// What workers report of transfers, with the results of a pass.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KvConnectorOutput {
    /// Requests whose asynchronous load has ended, in order.
    pub finished_recving: Vec<RequestId>,
    /// Requests whose blocks nobody reads any longer, in order.
    pub finished_sending: Vec<RequestId>,
    /// Blocks that were not loaded.
    pub invalid_block_ids: Vec<u32>,
    /// Requests of whose load nothing came.
    pub failed_recving: Vec<RequestId>,
    /// Jobs that have ended, of a connector that counts them.
    pub completed_jobs: Vec<JobId>,
}

impl KvConnectorOutput {
    /// Moves all of `other` behind what is here.
    pub(crate) fn append(&mut self, other: &mut Self) {
        self.finished_recving.append(&mut other.finished_recving);
        self.finished_sending.append(&mut other.finished_sending);
        self.invalid_block_ids.append(&mut other.invalid_block_ids);
        self.failed_recving.append(&mut other.failed_recving);
        self.completed_jobs.append(&mut other.completed_jobs);
    }
}

/// On which side of a hand-over the engine is (`KVTransferConfig.kv_role`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KvRole {
    /// `kv_producer`: others fetch from here.
    Producer,
    /// `kv_consumer`: it fetches from others.
    Consumer,
    /// `kv_both`.
    Both,
}

impl KvRole {
    pub(super) const fn is_producer(self) -> bool {
        !matches!(self, Self::Consumer)
    }

    pub(super) const fn is_consumer(self) -> bool {
        !matches!(self, Self::Producer)
    }
}

/// What becomes of a request whose load failed (`KVTransferConfig.kv_load_failure_policy`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KvLoadFailurePolicy {
    /// What was not loaded is computed here.
    Recompute,
    /// It ends with an error.
    Fail,
}

/// A connector's settings (`vllm/config/kv_transfer.py::KVTransferConfig`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KvTransferConfig {
    /// Its side.
    pub kv_role: KvRole,
    /// What a failed load leads to.
    pub kv_load_failure_policy: KvLoadFailurePolicy,
}

/// Tokens of a request that come from a connector.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExternalTokens {
    /// The request.
    pub id: RequestId,
    /// Its computed tokens before them.
    pub num_computed_tokens: u32,
    /// How many come.
    pub num_external_tokens: u32,
}

/// What a connector was asked for, by first admissions (`Scheduler.connector_prefix_cache_stats`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ExternalStats {
    /// Tokens looked up, behind those of the prefix cache.
    pub num_queried_tokens: u64,
    /// Of these, tokens found.
    pub num_hit_tokens: u64,
}

/// What a pass decided for the connector, and what came back with its results.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KvConnectorPass {
    /// Loads that begin and do not end within the pass, in order.
    pub async_loads: Vec<ExternalTokens>,
    /// Loads within the pass, in order.
    pub sync_loads: Vec<ExternalTokens>,
    /// Requests whose load was taken in, and the tokens that count as computed then.
    pub ready: Vec<(RequestId, u32)>,
    /// Waiting requests that hold blocks, after the decision.
    pub num_holding: u32,
    /// Transfers that begin with the pass, of a connector that counts them; loads first.
    pub jobs: Vec<TransferJob>,
    /// Jobs that have to be over before the pass runs, in order: others get the blocks that they read.
    pub jobs_to_flush: Vec<JobId>,
    /// Chunks of a tier that have content or soon will, and of these, those that nobody uses.
    pub num_resident_chunks: (u32, u32),
    /// What concerns tiers behind that one.
    pub tiers: TierPass,
    /// The workers' report.
    pub report: KvConnectorOutput,
}

impl KvConnectorPass {
    /// Whether nothing was decided and nothing reported.
    pub(crate) fn is_nothing(&self) -> bool {
        let Self { async_loads, sync_loads, ready, jobs, jobs_to_flush, tiers, report, .. } = self;
        let TierPass { begun, lookups, over, num_dropped, loaded, .. } = tiers;
        let has_loads = !async_loads.is_empty() || !sync_loads.is_empty() || !ready.is_empty() || !loaded.is_empty();
        let has_jobs = !jobs.is_empty() || !jobs_to_flush.is_empty() || !begun.is_empty() || !over.is_empty();
        !has_loads && !has_jobs && lookups.is_empty() && *num_dropped == 0 && *report == KvConnectorOutput::default()
    }
}

/// An engine that cannot have a connector.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KvConnectorError {
    /// Only the rules for one group of full attention are known.
    Layers,
    /// Only the rules without a drafter are known.
    Drafter,
}

impl core::fmt::Display for KvConnectorError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::Layers => {
                "a KV connector is simulated for models with one kind of layers, full attention; this one has others"
            }
            Self::Drafter => "a KV connector is simulated without speculative decoding; the engine has a drafter",
        })
    }
}

impl core::error::Error for KvConnectorError {}
