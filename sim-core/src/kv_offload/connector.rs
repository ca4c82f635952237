//! The connector's half beside the scheduler: what of a prompt the tiers have, when it is loaded, what its workers are told.
//!
//! Source: `vllm/distributed/kv_transfer/kv_connector/v1/offloading/scheduler.py::OffloadingConnectorScheduler`. Of requests
//! that have ended since the last pass the one that was sent first comes first; in vLLM it is the order of a set.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use core::ops::Range;

use super::chunks::ChunkId;
use super::fences::Fences;
use super::manager::LookupResult;
use super::request::{End, Job, OffloadState, Text};
use super::settings::OffloadingSettings;
use super::tiering::TieringOffloadingManager;
use crate::config::EngineConfig;
use crate::math;
use crate::request::RequestId;
use crate::sched::connector::interface::{
    Ended, JobId, KvConnector, KvConnectorOutput, KvConnectorPass, Matched, NewText, ScheduledBlocks, TransferJob,
    Waiting,
};
use crate::sched::connector::tiers::{TierEvent, TierPass};

const NOTHING: Matched = Matched { num_external_tokens: 0, load_kv_async: false };

/// vLLM's `OffloadingConnector`, beside the scheduler.
#[derive(Debug)]
pub struct OffloadingConnector {
    pub(super) settings: OffloadingSettings,
    block_size: u32,
    pub(super) manager: TieringOffloadingManager,
    pub(super) requests: BTreeMap<RequestId, OffloadState>,
    pub(super) jobs: BTreeMap<JobId, Job>,
    num_jobs: JobId,
    /// Chunks that loads read, where the device's cache finds them afterwards: nobody else loads them again.
    being_loaded: Option<BTreeSet<ChunkId>>,
    pub(super) fences: Fences,
    /// Requests that have ended since the last pass.
    ended: Vec<RequestId>,
    /// Transfers that begin with the pass being decided.
    pub(super) begun: Vec<TransferJob>,
    pub(super) to_flush: BTreeSet<JobId>,
}

impl OffloadingConnector {
    /// One with an empty tier, for an engine of `config`.
    #[must_use]
    pub fn new(config: &EngineConfig, settings: OffloadingSettings) -> Self {
        let block_size = config.kv_cache.scheduler_block_size;
        Self {
            settings,
            block_size,
            manager: TieringOffloadingManager::new(&settings, block_size.saturating_mul(settings.blocks_per_chunk)),
            requests: BTreeMap::new(),
            jobs: BTreeMap::new(),
            num_jobs: 0,
            being_loaded: config.enable_prefix_caching.then(BTreeSet::new),
            fences: Fences::default(),
            ended: Vec::new(),
            begun: Vec::new(),
            to_flush: BTreeSet::new(),
        }
    }

    /// Chunks of the tier that have content or soon will, and of these, those that nobody uses.
    #[must_use]
    pub const fn num_resident(&self) -> (u32, u32) {
        self.manager.primary.num_resident()
    }

    /// What the next pass will tell of tiers behind host memory, as far as it is decided.
    #[must_use]
    pub const fn tiers_told(&self) -> &TierPass {
        self.manager.told()
    }

    pub(super) const fn tokens_per_chunk(&self) -> u32 {
        self.block_size * self.settings.blocks_per_chunk
    }

    /// Tells the workers of a transfer.
    pub(super) fn begin(&mut self, job: Job, num_blocks: u32) -> JobId {
        let id = self.num_jobs;
        self.num_jobs += 1;
        self.begun.push(TransferJob { id, request: job.request, is_store: job.is_store, num_blocks });
        if let Some(state) = self.requests.get_mut(&job.request) {
            state.jobs.insert(id);
        }
        self.jobs.insert(id, job);
        id
    }

    /// How many tokens behind those of the device's cache the tiers have; `None` if that is not known, or if some are
    /// still on their way (`_lookup_complete_chunks`).
    fn lookup(&mut self, id: RequestId) -> Option<u32> {
        let size = self.tokens_per_chunk();
        let Some(state) = self.requests.get_mut(&id) else { return Some(0) };
        let num_local = state.num_local_tokens;
        let end = state.num_tokens / size;
        let start = num_local / size;
        if (end * size).saturating_sub(num_local) < size {
            return Some(0);
        }
        let mut hit_end = start;
        let mut is_deferred = false;
        for place in start..end {
            match self.manager.lookup(id, &mut state.text, place) {
                LookupResult::Miss => break,
                LookupResult::Hit => hit_end += 1,
                LookupResult::HitPending | LookupResult::Retry => is_deferred = true,
            }
        }
        if is_deferred {
            return None;
        }
        let num_hit_tokens = (hit_end * size).saturating_sub(num_local);
        if hit_end == start || num_hit_tokens < size {
            return Some(0);
        }
        let is_loading = |place: u32| {
            let id = self.manager.primary.id_of(&state.text, place);
            self.being_loaded.as_ref().zip(id).is_some_and(|(loading, id)| loading.contains(&id))
        };
        if (start..hit_end).any(is_loading) { None } else { Some(num_hit_tokens) }
    }

    fn complete(&mut self, id: JobId) {
        let Some(job) = self.jobs.remove(&id) else { return };
        if job.is_store {
            self.manager.complete_store(job.request, &job.chunks);
        } else {
            self.manager.primary.complete_load(&job.chunks);
            if let Some(loading) = &mut self.being_loaded {
                job.chunks.iter().for_each(|chunk| {
                    loading.remove(chunk);
                });
            }
        }
        self.fences.remove(id, &job.blocks);
        let Some(state) = self.requests.get_mut(&job.request) else { return };
        state.jobs.remove(&id);
        self.forget_if_over(job.request);
    }

    /// Forgets a request that has ended and of which nothing is under way; it asks tiers for nothing once its stores are
    /// over.
    fn forget_if_over(&mut self, id: RequestId) {
        let Some(state) = self.requests.get(&id).filter(|state| state.is_over) else { return };
        let is_store = |id: &JobId| self.jobs.get(id).is_some_and(|job| job.is_store);
        if !state.jobs.iter().any(is_store) {
            self.manager.finalize(id);
        }
        if state.jobs.is_empty()
            && let Some(mut state) = self.requests.remove(&id)
        {
            self.manager.primary.forget(&mut state.text);
        }
    }

    /// Notes the blocks that a pass's requests got (`_update_req_states`).
    fn note_blocks(&mut self, scheduled: &[ScheduledBlocks<'_>]) {
        for part in scheduled {
            let Some(state) = self.requests.get_mut(&part.id) else { continue };
            state.num_tokens = part.num_tokens;
            let new = part.blocks.get(state.blocks.len()..).unwrap_or(&[]);
            self.fences.allocated.extend_from_slice(new);
            state.blocks.extend_from_slice(new);
        }
    }
}

impl KvConnector for OffloadingConnector {
    fn on_new_request(&mut self, request: &NewText<'_>) {
        let num_chunks = request.num_tokens / self.tokens_per_chunk();
        let state = OffloadState {
            text: self.manager.primary.on_new_request(request.runs, num_chunks, request.cache_salt),
            arrival_order: request.arrival_order,
            num_prompt_tokens: request.num_prompt_tokens,
            num_tokens: request.num_prompt_tokens,
            blocks: Vec::new(),
            next_stored_chunk: 0,
            num_local_tokens: 0,
            jobs: BTreeSet::new(),
            end: None,
            is_over: false,
        };
        self.requests.insert(request.id, state);
    }

    fn get_num_new_matched_tokens(&mut self, request: Waiting) -> Option<Matched> {
        let Some(state) = self.requests.get_mut(&request.id) else { return Some(NOTHING) };
        state.blocks.clear();
        if !state.jobs.is_empty() {
            return None;
        }
        (state.num_tokens, state.num_local_tokens) = (request.num_tokens, request.num_computed_tokens);
        let num_external_tokens = self.lookup(request.id)?;
        Some(Matched { num_external_tokens, load_kv_async: num_external_tokens > 0 })
    }

    fn update_state_after_alloc(&mut self, id: RequestId, blocks: &[u32], matched: Matched) {
        let size = self.tokens_per_chunk();
        let Some(state) = self.requests.get_mut(&id) else { return };
        let num_cached_tokens = state.num_local_tokens + matched.num_external_tokens;
        self.fences.allocated.extend_from_slice(blocks);
        let places = state.num_local_tokens / size..num_cached_tokens.div_ceil(size);
        let num_blocks = num_cached_tokens.div_ceil(self.block_size) - state.num_local_tokens / self.block_size;
        state.next_stored_chunk = places.end;
        let num_promoted =
            num_promoted_tokens(&state.text, places.clone(), size, state.num_local_tokens..num_cached_tokens);
        self.manager.note_loaded(id, num_promoted);
        let chunks = self.manager.primary.prepare_load(&mut state.text, places);
        if let Some(loading) = &mut self.being_loaded {
            loading.extend(&chunks);
        }
        self.begin(Job { request: id, is_store: false, chunks, blocks: Vec::new() }, num_blocks);
    }

    fn request_finished(&mut self, ended: Ended) -> bool {
        let Some(state) = self.requests.get_mut(&ended.id) else { return false };
        state.num_tokens = ended.num_tokens;
        state.end = Some(End { reason: ended.reason, num_computed_tokens: ended.num_computed_tokens });
        for id in &state.jobs {
            if let Some(job) = self.jobs.get(id) {
                self.fences.add(*id, &job.blocks);
            }
        }
        self.ended.push(ended.id);
        false
    }

    fn build_connector_meta(
        &mut self,
        scheduled: &[ScheduledBlocks<'_>],
        preempted: &[RequestId],
        told: &mut KvConnectorPass,
    ) {
        self.note_blocks(scheduled);
        self.manager.on_schedule_end();
        let jobs = preempted.iter().filter_map(|id| self.requests.get(id)).flat_map(|state| &state.jobs);
        self.to_flush.extend(jobs);
        self.fences.find_taken(&mut self.to_flush);
        let mut ended = core::mem::take(&mut self.ended);
        ended.sort_unstable_by_key(|id| (self.requests.get(id).map(|state| state.arrival_order), *id));
        for part in scheduled {
            self.store(part.id, part.num_computed_tokens);
        }
        for &id in &ended {
            self.store_at_end(id);
        }
        for &id in &ended {
            if let Some(state) = self.requests.get_mut(&id) {
                state.is_over = true;
                self.manager.primary.on_request_finished(&state.text);
                self.forget_if_over(id);
            }
        }
        told.jobs.append(&mut self.begun);
        told.jobs_to_flush.extend(core::mem::take(&mut self.to_flush));
        told.num_resident_chunks = self.manager.primary.num_resident();
        told.tiers = self.manager.take_told();
        self.fences.allocated.clear();
    }

    fn report_tiers(&mut self, clock_ns: u64, events: &[TierEvent]) {
        self.manager.report(clock_ns, events);
    }

    fn update_connector_output(&mut self, report: &KvConnectorOutput) {
        for &id in &report.completed_jobs {
            self.complete(id);
        }
    }

    fn has_pending_push_work(&self) -> bool {
        !self.jobs.is_empty() || self.manager.has_pending_work()
    }

    fn remembers(&self, id: RequestId) -> bool {
        self.requests.contains_key(&id)
    }

    fn requires_kv_delivery(&self) -> bool {
        false
    }
}

/// Tokens of a load of chunks `places` that the request had brought from behind host memory (`get_load_source`).
fn num_promoted_tokens(text: &Text, places: Range<u32>, size: u32, loaded: Range<u32>) -> u32 {
    let promoted = places.filter(|&place| text.has_promoted(place));
    promoted.map(|place| ((place + 1) * size).min(loaded.end) - (place * size).max(loaded.start)).sum()
}

impl OffloadState {
    /// Chunks that can be offered of the first `num_tokens` tokens (`storable_chunks`).
    pub(super) fn num_storable_chunks(&self, num_tokens: u32, settings: &OffloadingSettings, block_size: u32) -> u32 {
        let size = block_size * settings.blocks_per_chunk;
        let most = if settings.offload_prompt_only { self.num_prompt_tokens } else { self.num_tokens };
        let num_held = math::usize_to_u32(self.blocks.len()) / settings.blocks_per_chunk;
        (num_tokens.min(self.num_tokens).min(most) / size).min(num_held)
    }
}
