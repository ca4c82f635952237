//! Tiers behind host memory: what is stored goes on to all of them, and what only they have is brought back to host memory
//! before it is loaded.
//!
//! Source: `vllm/v1/kv_offload/tiering/manager.py::TieringOffloadingManager`, with tiers of the kinds `fs` and `obj`, which
//! keep what was written. Without such tiers it is `CPUOffloadingManager`.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use core::ops::Range;

use super::async_lookup::AsyncLookups;
use super::backpressure::Backpressure;
use super::chunks::ChunkId;
use super::manager::{CpuOffloadingManager, LookupResult};
use super::request::{Access, Text};
use super::settings::{OffloadingSettings, SecondaryTierSettings};
use crate::math;
use crate::request::RequestId;
use crate::sched::connector::tiers::{TierEvent, TierJob, TierJobId, TierLookups, TierPass};

/// A tier behind host memory (`SecondaryTierManager`).
#[derive(Debug, Default)]
struct SecondaryTier {
    lookups: AsyncLookups,
    /// Chunks that are written.
    files: BTreeSet<ChunkId>,
    /// Transfers that have ended and that nobody asked for yet.
    finished: Vec<TierJobId>,
    backpressure: Option<Backpressure>,
}

/// A transfer under way.
#[derive(Debug)]
struct Job {
    tier: usize,
    is_promotion: bool,
    chunks: Vec<ChunkId>,
    /// By the tiers' clock; `None` until the next pass.
    begin_ns: Option<u64>,
}

/// Chunks that a request has brought from a tier, until the pass is decided (`PendingPromotion`).
#[derive(Debug)]
struct PendingPromotion {
    tier: usize,
    request: RequestId,
    chunks: Vec<ChunkId>,
}

/// Host memory, and the tiers behind it.
#[derive(Debug)]
pub(super) struct TieringOffloadingManager {
    pub(super) primary: CpuOffloadingManager,
    tiers: Vec<SecondaryTier>,
    jobs: BTreeMap<TierJobId, Job>,
    num_jobs: TierJobId,
    pending: Vec<PendingPromotion>,
    chunk_bytes: u64,
    /// What the tiers' clock shows: what they do not keep up with depends on it, and nothing else does.
    clock_ns: u64,
    /// Whether ends were asked for since a pass was decided last: not a second time, then.
    has_polled: bool,
    told: TierPass,
}

impl SecondaryTier {
    fn new(settings: &SecondaryTierSettings) -> Self {
        Self { backpressure: settings.backpressure.map(Backpressure::new), ..Self::default() }
    }
}

fn seconds(ns: u64) -> f64 {
    math::u64_to_f64(ns) / 1e9
}

impl TieringOffloadingManager {
    pub(super) fn new(settings: &OffloadingSettings, tokens_per_chunk: u32) -> Self {
        Self {
            primary: CpuOffloadingManager::new(settings, tokens_per_chunk),
            tiers: settings.secondary_tiers().map(|tier| SecondaryTier::new(&tier)).collect(),
            jobs: BTreeMap::new(),
            num_jobs: 0,
            pending: Vec::new(),
            chunk_bytes: settings.chunk_bytes,
            clock_ns: 0,
            has_polled: false,
            told: TierPass::default(),
        }
    }

    /// What happened by `clock_ns` since this was said last, in order; then a pass is decided. What came from the device since the
    /// pass before goes on from now: until then nobody knew the time.
    pub(super) fn report(&mut self, clock_ns: u64, events: &[TierEvent]) {
        self.clock_ns = clock_ns;
        for job in self.jobs.values_mut() {
            job.begin_ns.get_or_insert(clock_ns);
        }
        for event in events {
            match *event {
                TierEvent::JobEnded(id) => {
                    let Some(job) = self.jobs.get(&id) else { continue };
                    let tier = &mut self.tiers[job.tier];
                    tier.finished.push(id);
                    if !job.is_promotion {
                        for &chunk in &job.chunks {
                            if tier.files.insert(chunk) {
                                self.primary.chunks.hold_again(chunk);
                            }
                        }
                    }
                }
                TierEvent::Answered { tier } => {
                    if let Some(tier) = self.tiers.get_mut(tier) {
                        tier.lookups.answer(&tier.files);
                    }
                }
            }
        }
    }

    /// Takes in which transfers have ended, once a pass (`_maybe_process_finished_jobs`).
    fn poll(&mut self) {
        if core::mem::replace(&mut self.has_polled, true) {
            return;
        }
        for tier in &mut self.tiers {
            for id in tier.finished.drain(..) {
                let Some(job) = self.jobs.remove(&id) else { continue };
                if job.is_promotion {
                    self.primary.complete_store(&job.chunks);
                } else {
                    self.primary.complete_load(&job.chunks);
                    if let Some(backpressure) = &mut tier.backpressure {
                        let num_bytes = self.chunk_bytes.saturating_mul(math::usize_to_u64(job.chunks.len()));
                        let begin_ns = job.begin_ns.unwrap_or(self.clock_ns);
                        backpressure.update(seconds(self.clock_ns), seconds(begin_ns), num_bytes);
                    }
                }
                self.told.over.push(id);
            }
        }
    }

    /// Where the chunk `place` of a request's text is. One that only a tier behind has begins to be brought.
    pub(super) fn lookup(&mut self, request: RequestId, text: &mut Text, place: u32) -> LookupResult {
        self.poll();
        let found = self.primary.lookup(text, place);
        if found != LookupResult::Miss {
            return found;
        }
        let mut is_known = true;
        for tier in 0..self.tiers.len() {
            match self.tiers[tier].lookups.lookup(&mut self.primary.chunks, request, &text.path, place) {
                Some(true) => return self.promote(tier, request, text, place),
                Some(false) => {}
                None => is_known = false,
            }
        }
        if is_known { LookupResult::Miss } else { LookupResult::Retry }
    }

    /// Makes room in host memory for a chunk of a tier; without room it counts as missing (`_initiate_promotion`).
    fn promote(&mut self, tier: usize, request: RequestId, text: &mut Text, place: u32) -> LookupResult {
        let Some(stored) = self.primary.prepare_store(text, place..place + 1) else { return LookupResult::Miss };
        text.note(place, Access::Promoted);
        let chunks = stored.into_iter().map(|(_, chunk)| chunk);
        match self.pending.iter_mut().find(|one| one.tier == tier && one.request == request) {
            Some(pending) => pending.chunks.extend(chunks),
            None => self.pending.push(PendingPromotion { tier, request, chunks: chunks.collect() }),
        }
        LookupResult::HitPending
    }

    fn begin(&mut self, (tier, is_promotion): (usize, bool), request: RequestId, chunks: Vec<ChunkId>) {
        let files = &self.tiers[tier].files;
        let num_there = chunks.iter().filter(|chunk| !is_promotion && files.contains(chunk)).count();
        let id = self.num_jobs;
        self.num_jobs += 1;
        self.told.begun.push(TierJob {
            id,
            tier,
            request,
            is_promotion,
            num_chunks: math::usize_to_u32(chunks.len()),
            num_moved: math::usize_to_u32(chunks.len() - num_there),
        });
        self.jobs.insert(id, Job { tier, is_promotion, chunks, begin_ns: None });
    }

    /// See [`CpuOffloadingManager::prepare_store`].
    pub(super) fn prepare_store(&mut self, text: &mut Text, places: Range<u32>) -> Option<Vec<(u32, ChunkId)>> {
        self.poll();
        self.primary.prepare_store(text, places)
    }

    /// Chunks have come from the device: they go on to all tiers that keep up (a cascade).
    pub(super) fn complete_store(&mut self, request: RequestId, stored: &[ChunkId]) {
        self.primary.complete_store(stored);
        let (now, num_chunks) = (seconds(self.clock_ns), math::usize_to_u32(stored.len()));
        for tier in 0..self.tiers.len() {
            let backpressure = &mut self.tiers[tier].backpressure;
            if backpressure.as_mut().is_none_or(|backpressure| backpressure.should_store(now, num_chunks)) {
                self.primary.prepare_read(stored);
                self.begin((tier, false), request, stored.to_vec());
            }
        }
    }

    /// Tokens of a load of chunks `places` came from behind host memory.
    pub(super) fn note_loaded(&mut self, request: RequestId, num_tokens: u32) {
        if num_tokens > 0 {
            self.told.loaded.push((request, num_tokens));
        }
    }

    /// A pass is decided: what is to be brought begins to be, and tiers are asked for what nobody knows.
    pub(super) fn on_schedule_end(&mut self) {
        self.poll();
        self.has_polled = false;
        let mut pending = core::mem::take(&mut self.pending);
        // Those of one tier together, tiers in the order in which they were wanted first.
        let mut order: Vec<usize> = Vec::new();
        for one in &pending {
            if !order.contains(&one.tier) {
                order.push(one.tier);
            }
        }
        pending.sort_by_key(|one| order.iter().position(|&tier| tier == one.tier));
        for PendingPromotion { tier, request, chunks } in pending {
            self.begin((tier, true), request, chunks);
        }
        for (tier, secondary) in self.tiers.iter_mut().enumerate() {
            if let Some((num_requests, num_chunks)) = secondary.lookups.flush(&mut self.primary.chunks) {
                self.told.lookups.push(TierLookups { tier, num_requests, num_chunks });
            }
        }
    }

    /// A request will store nothing more, and nothing of what it stored is still to come from the device
    /// (`_maybe_finalize_request`).
    pub(super) fn finalize(&mut self, request: RequestId) {
        for tier in &mut self.tiers {
            tier.lookups.cleanup(&mut self.primary.chunks, request);
        }
    }

    /// Whether transfers to or from tiers are under way.
    pub(super) fn has_pending_work(&self) -> bool {
        !self.jobs.is_empty()
    }

    pub(super) const fn told(&self) -> &TierPass {
        &self.told
    }

    /// What the workers of the tiers are told with the pass.
    pub(super) fn take_told(&mut self) -> TierPass {
        let mut told = core::mem::take(&mut self.told);
        let dropped = self.tiers.iter_mut().filter_map(|tier| tier.backpressure.as_mut());
        told.num_dropped = dropped.map(|backpressure| core::mem::take(&mut backpressure.num_dropped)).sum();
        told.num_chunks = self.tiers.iter().map(|tier| math::usize_to_u32(tier.files.len())).collect();
        told
    }
}
