//! The scheduler's state of requests that it has touched: a slab with dense places.

use alloc::collections::BTreeMap;
use alloc::vec;
use alloc::vec::Vec;

use super::output::ScheduledRequest;
use crate::kv_cache::request_blocks::{RequestBlocks, SlotDemand};
use crate::math;
use crate::request::{FinishReason, RequestId};

/// State of a request from its first look at the head of the waiting queue to its end.
///
/// Source: `vllm/v1/request.py::Request`; the fields keep its names where it has one.
#[derive(Debug)]
pub(super) struct LiveRequest {
    pub(super) id: RequestId,
    /// Known tokens: prompt and processed output.
    pub(super) num_tokens: u32,
    /// Tokens whose KV exists or is being computed by a pass already issued.
    pub(super) num_computed_tokens: u32,
    /// Output tokens issued but not yet known; only when scheduling is asynchronous.
    pub(super) num_output_placeholders: u32,
    /// Tokens of passes issued and not yet processed.
    pub(super) num_in_flight_tokens: u32,
    /// Of these, tokens of passes issued before a preemption.
    pub(super) num_stale_tokens: u32,
    /// Prompt length plus `max_tokens`.
    pub(super) max_num_tokens: u32,
    /// Known tokens at which it ends.
    pub(super) final_num_tokens: u32,
    pub(super) finish_reason: FinishReason,
    pub(super) is_running: bool,
    /// Number of its admission: the running list is in this order.
    pub(super) admission: u64,
    /// Whether it is counted instead of looked at: see [`super::steady`].
    pub(super) is_steady: bool,
    /// The pass issued up to which its counters are kept; also the last pass that sampled a token of it.
    pub(super) issued: u64,
    /// While it is steady, the pass processed up to which they are kept.
    pub(super) processed: u64,
    /// While it is steady, the pass in which it has to be asked for blocks and keys next.
    pub(super) next_ask: u64,
    /// While it only grows, the first pass that takes a block for it that it does not have; `u64::MAX` else.
    pub(super) next_growth: u64,
    /// Tokens that it got while it is steady and that nobody was told of.
    pub(super) num_untold_tokens: u32,
    pub(super) num_prompt_tokens: u32,
    pub(super) num_preemptions: u32,
    pub(super) num_passes: u32,
    /// With pipeline parallelism: the first pass that may take its next token.
    pub(super) eligible_pass: u64,
    /// Drafts to be verified with the next token.
    pub(super) num_spec_tokens: u32,
    /// Whether its last pass left known tokens to compute.
    pub(super) is_prefill_chunk: bool,
    /// Whether it waits although it was looked at, for a reason of its own.
    pub(super) is_deferred: bool,
    pub(super) blocks: RequestBlocks,
}

impl LiveRequest {
    /// What it needs slots for in a pass that computes `num_new_tokens`.
    #[inline]
    pub(super) const fn demand(&self, num_new_tokens: u32) -> SlotDemand {
        SlotDemand {
            num_computed_tokens: self.num_computed_tokens,
            num_new_tokens,
            num_tokens: self.num_tokens,
            num_in_flight_tokens: self.num_in_flight_tokens,
        }
    }

    /// Tokens that it has generated.
    pub(super) const fn num_output_tokens(&self) -> u32 {
        self.num_tokens - self.num_prompt_tokens
    }

    /// Whether a pass issued since its admission, or one before that, sampled a token of it.
    pub(super) const fn has_sampled(&self) -> bool {
        self.num_tokens + self.num_output_placeholders > self.num_prompt_tokens
    }

    /// Whether a pass already issued computes the last token that `max_tokens` allows, even if all drafts are rejected.
    #[inline]
    pub(super) const fn has_last_token_under_way(&self) -> bool {
        self.num_output_placeholders > 0
            && self.num_computed_tokens + 2 - self.num_output_placeholders >= self.max_num_tokens
    }
}

/// Where a request of the workload stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// Not known to the scheduler, or gone.
    Absent,
    /// In the waiting queue, never looked at.
    Untouched,
    /// In the slab.
    Slot(u32),
}

/// The slab, and the way from a request to its place.
#[derive(Debug)]
pub(super) struct LiveRequests {
    slots: Vec<LiveRequest>,
    unused: Vec<u32>,
    /// Per request of the workload: [`ABSENT`], [`UNTOUCHED`] or its slot.
    places: Vec<u32>,
    /// Requests that come with tokens another engine generated, and how many: a prompt of both.
    generated: BTreeMap<RequestId, u32>,
}

const ABSENT: u32 = u32::MAX;
const UNTOUCHED: u32 = u32::MAX - 1;
/// Whose slot it is that no request has: of no workload.
const NOBODY: RequestId = RequestId(u32::MAX);

impl LiveRequests {
    pub(super) fn new(num_requests: usize) -> Self {
        Self { slots: Vec::new(), unused: Vec::new(), places: vec![ABSENT; num_requests], generated: BTreeMap::new() }
    }

    /// Request `id` will come with `num_tokens` tokens of its answer behind its prompt.
    pub(super) fn note_generated(&mut self, id: RequestId, num_tokens: u32) {
        self.generated.insert(id, num_tokens);
    }

    /// With how many it comes, for its first look.
    pub(super) fn take_generated(&mut self, id: RequestId) -> u32 {
        if self.generated.is_empty() { 0 } else { self.generated.remove(&id).unwrap_or(0) }
    }

    pub(super) fn place(&self, id: RequestId) -> Place {
        match self.places[id.index()] {
            ABSENT => Place::Absent,
            UNTOUCHED => Place::Untouched,
            slot => Place::Slot(slot),
        }
    }

    pub(super) fn add(&mut self, id: RequestId) {
        if id.index() >= self.places.len() {
            self.places.resize(id.index() + 1, ABSENT);
        }
        assert!(self.places[id.index()] == ABSENT, "a request is added once");
        self.places[id.index()] = UNTOUCHED;
    }

    /// A slot for `new`, whose `blocks` are replaced by emptied ones that keep their memory.
    pub(super) fn insert(&mut self, mut new: LiveRequest) -> u32 {
        let id = new.id;
        let slot = if let Some(slot) = self.unused.pop() {
            let old = &mut self.slots[slot as usize];
            new.blocks = core::mem::take(&mut old.blocks);
            *old = new;
            slot
        } else {
            self.slots.push(new);
            math::usize_to_u32(self.slots.len() - 1)
        };
        self.places[id.index()] = slot;
        slot
    }

    /// Ends the request; its slot may be used again.
    pub(super) fn remove(&mut self, id: RequestId) {
        if let Place::Slot(slot) = self.place(id) {
            self.slots[slot as usize].id = NOBODY;
            self.slots[slot as usize].is_running = false;
            self.unused.push(slot);
        }
        self.places[id.index()] = ABSENT;
    }

    /// What is in `slot`, if it still belongs to `id`.
    #[inline]
    pub(super) fn held_mut(&mut self, slot: u32, id: RequestId) -> Option<&mut LiveRequest> {
        Some(&mut self.slots[slot as usize]).filter(|request| request.id == id)
    }

    /// The admission of a pass's part, for order; of a request that has ended, anything.
    pub(super) fn admission_of(&self, scheduled: &ScheduledRequest) -> u64 {
        self.slots[scheduled.slot as usize].admission
    }

    #[inline]
    pub(super) fn get(&self, slot: u32) -> &LiveRequest {
        &self.slots[slot as usize]
    }

    #[inline]
    pub(super) fn get_mut(&mut self, slot: u32) -> &mut LiveRequest {
        &mut self.slots[slot as usize]
    }
}
