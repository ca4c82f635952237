//! The loop over waiting requests, with a connector: what it has of a prompt is loaded instead of computed.
//!
//! Source: `vllm/v1/core/sched/scheduler.py::schedule`, its second half, and `_update_waiting_for_remote_kv`.

use alloc::vec::Vec;

use super::interface::{ExternalTokens, Matched, Waiting};
use crate::kv_cache::external::ExternalDemand;
use crate::kv_cache::request_blocks::AdmissionLimits;
use crate::math;
use crate::request::RequestId;
use crate::sched::budget::Budget;
use crate::sched::output::SchedulerOutput;
use crate::sched::scheduler::Scheduler;

/// What comes of a look at the next waiting request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Look {
    Admitted,
    /// It stays, and everything behind it.
    Blocked,
    /// It stays; the next one is looked at.
    PassedOver,
}

/// What a waiting request has without being computed here.
#[derive(Debug, Clone, Copy)]
struct Known {
    /// Tokens found in the prefix cache; 0 for a request that holds blocks.
    num_hit_tokens: u32,
    matched: Matched,
    /// All tokens that count as computed, the connector's included.
    num_computed_tokens: u32,
    /// Whether this was looked up just now.
    is_found: bool,
}

const NOTHING: Matched = Matched { num_external_tokens: 0, load_kv_async: false };

impl Scheduler<'_> {
    /// Admits and loads what fits, requests that hold blocks first.
    pub(in crate::sched) fn schedule_waiting_with_connector(
        &mut self,
        budget: &mut Budget,
        output: &mut SchedulerOutput,
    ) {
        let (mut skipped, mut skipped_holding) = (Vec::new(), Vec::new());
        while budget.num_tokens > 0
            && self.running.len() < self.config.max_num_active_seqs as usize
            && let Some(id) = self.peek_waiting()
        {
            let slot = self.touch(id);
            match self.look(id, slot, budget, output) {
                Look::Admitted => {}
                Look::Blocked => break,
                Look::PassedOver => {
                    self.pop_waiting();
                    if !core::mem::replace(&mut self.live.get_mut(slot).is_deferred, true) {
                        self.num_deferred += 1;
                    }
                    let holds = self.live.get(slot).num_computed_tokens > 0 || self.is_loading(id);
                    if holds { &mut skipped_holding } else { &mut skipped }.push(id);
                }
            }
        }
        for id in skipped.into_iter().rev() {
            self.waiting.prepend_request(id, self.arrivals.in_line(&self.requests, id));
        }
        if let Some(connector) = &mut self.connector {
            for id in skipped_holding.into_iter().rev() {
                connector.holding.prepend_request(id, self.arrivals.in_line(&self.requests, id));
            }
        }
        if !budget.holds_prefills {
            self.prefill_interval.note_waiting(math::usize_to_u32(self.num_waiting()) > self.num_deferred);
        }
    }

    fn peek_waiting(&self) -> Option<RequestId> {
        let holding = self.connector.as_ref().and_then(|connector| connector.holding.peek_request());
        holding.or_else(|| self.waiting.peek_request())
    }

    pub(in crate::sched) fn pop_waiting(&mut self) {
        let holding = self.connector.as_mut().and_then(|connector| connector.holding.pop_request());
        if holding.is_none() {
            self.waiting.pop_request();
        }
    }

    fn is_loading(&self, id: RequestId) -> bool {
        self.connector.as_ref().is_some_and(|connector| connector.loading.contains(&id))
    }

    fn look(&mut self, id: RequestId, slot: u32, budget: &mut Budget, output: &mut SchedulerOutput) -> Look {
        if self.is_loading(id) && !self.take_in_load(id, slot, output) {
            return Look::PassedOver;
        }
        let drops_stale = self.connector.as_ref().is_some_and(|connector| connector.drops_stale.contains(&id));
        if self.live.get(slot).num_stale_tokens > 0 && !drops_stale {
            return Look::PassedOver;
        }
        let Some(known) = self.known_tokens(slot) else { return Look::PassedOver };
        let is_async = known.matched.load_kv_async;
        let num_tokens = self.live.get(slot).num_tokens;
        let mut num_new_tokens = 0;
        if !is_async {
            if budget.holds_prefills && known.num_computed_tokens < num_tokens - 1 {
                return Look::Blocked;
            }
            match self.num_new_tokens_waiting(slot, known.num_computed_tokens, budget, output) {
                Some((num, _)) => num_new_tokens = num,
                None => return Look::Blocked,
            }
        }
        if !self.allocate_for(slot, &known, num_new_tokens) {
            return Look::Blocked;
        }
        self.tell_connector(id, slot, &known, output);
        if is_async {
            let request = self.live.get_mut(slot);
            request.num_computed_tokens = known.num_computed_tokens;
            if let Some(connector) = &mut self.connector {
                connector.loading.insert(id);
                connector.local_hits.insert(id, known.num_hit_tokens);
                connector.prefills.insert(id);
            }
            return Look::PassedOver;
        }
        self.pop_waiting();
        if known.num_computed_tokens + num_new_tokens < num_tokens
            && let Some(connector) = &mut self.connector
        {
            connector.prefills.insert(id);
        }
        self.start_running(slot, known.num_computed_tokens, (num_new_tokens, false), budget, output);
        self.count_own_hits_only(id, slot, &known);
        Look::Admitted
    }

    /// Takes back what the counters of the prefix cache were told of tokens that did not come from it
    /// (`KVCacheManager.get_computed_blocks` counts; what a connector has is counted apart).
    fn count_own_hits_only(&mut self, id: RequestId, slot: u32, known: &Known) {
        let loaded = self.connector.as_mut().and_then(|connector| connector.local_hits.remove(&id));
        let num_local = loaded.unwrap_or(known.num_hit_tokens).min(known.num_computed_tokens);
        let num_other = u64::from(known.num_computed_tokens - num_local);
        let is_first = self.live.get(slot).num_preemptions == 0;
        let stats = &mut self.stats;
        *(if is_first { &mut stats.prefix_cache_hits } else { &mut stats.preempted_hits }) -= num_other;
    }

    /// Counts what was loaded as computed, once the load has ended; false while it has not.
    fn take_in_load(&mut self, id: RequestId, slot: u32, output: &mut SchedulerOutput) -> bool {
        let Some(connector) = &mut self.connector else { return true };
        if !connector.received.remove(&id) {
            return false;
        }
        connector.loading.remove(&id);
        let has_failed = connector.failed.remove(&id);
        if has_failed && self.live.get(slot).num_computed_tokens == 0 {
            self.free_request_blocks(slot);
        } else {
            let request = self.live.get_mut(slot);
            let (num_computed_tokens, num_tokens) = (request.num_computed_tokens, request.num_tokens);
            self.kv_cache.cache_blocks(&mut request.blocks, num_computed_tokens, num_tokens, num_computed_tokens);
        }
        let request = self.live.get_mut(slot);
        // Something has to be computed for there to be a next token.
        request.num_computed_tokens = request.num_computed_tokens.min(request.num_tokens - 1);
        if let Some(pass) = &mut output.kv_connector {
            pass.ready.push((id, request.num_computed_tokens));
        }
        true
    }

    /// What the request has already; `None` if the connector does not know yet.
    fn known_tokens(&mut self, slot: u32) -> Option<Known> {
        let request = self.live.get_mut(slot);
        if request.num_computed_tokens > 0 {
            let num_computed_tokens = request.num_computed_tokens;
            return Some(Known { num_hit_tokens: 0, matched: NOTHING, num_computed_tokens, is_found: false });
        }
        let num_hit_tokens = self.kv_cache.get_computed_blocks(&mut request.blocks, request.num_tokens);
        let matched = match &mut self.connector {
            Some(connector) => connector.kv_connector.get_num_new_matched_tokens(Waiting {
                id: request.id,
                num_prompt_tokens: request.num_prompt_tokens,
                num_tokens: request.num_tokens,
                num_computed_tokens: num_hit_tokens,
            })?,
            None => NOTHING,
        };
        let num_computed_tokens = num_hit_tokens + matched.num_external_tokens;
        Some(Known { num_hit_tokens, matched, num_computed_tokens, is_found: true })
    }

    fn allocate_for(&mut self, slot: u32, known: &Known, num_new_tokens: u32) -> bool {
        let is_async = known.matched.load_kv_async;
        let num_reserved_blocks = if is_async { self.num_blocks_of_prefills() } else { 0 };
        let keep_watermark = !self.running.is_empty();
        let reserve_full = self.config.scheduler_reserve_full_isl;
        let request = self.live.get_mut(slot);
        let demand = ExternalDemand {
            num_hit_tokens: known.num_hit_tokens,
            num_computed_tokens: known.num_computed_tokens,
            num_new_tokens,
            num_tokens: request.num_tokens,
            num_reserved_blocks,
            delay_cache_blocks: is_async,
        };
        let limits = AdmissionLimits { reserve_full, keep_watermark };
        self.kv_cache.allocate_with_external(&mut request.blocks, &demand, limits)
    }

    /// Blocks that unfinished prompts, those being loaded included, still need.
    fn num_blocks_of_prefills(&self) -> u32 {
        let prefills = self.connector.iter().flat_map(|connector| &connector.prefills);
        let missing = prefills.map(|&id| match self.live.place(id) {
            crate::sched::live_request::Place::Slot(slot) => {
                let request = self.live.get(slot);
                self.kv_cache.num_missing_blocks(&request.blocks, request.num_tokens)
            }
            _ => 0,
        });
        missing.sum()
    }

    fn tell_connector(&mut self, id: RequestId, slot: u32, known: &Known, output: &mut SchedulerOutput) {
        let num_external_tokens = known.matched.num_external_tokens;
        let Some(connector) = &mut self.connector else { return };
        let request = self.live.get(slot);
        if known.is_found && request.num_preemptions == 0 {
            connector.stats.num_queried_tokens += u64::from(request.num_tokens - known.num_hit_tokens);
            connector.stats.num_hit_tokens += u64::from(num_external_tokens);
        }
        if num_external_tokens == 0 {
            return;
        }
        let table = self.kv_cache.table(&self.live.get(slot).blocks);
        connector.kv_connector.update_state_after_alloc(id, table, known.matched);
        let load = ExternalTokens { id, num_computed_tokens: known.num_hit_tokens, num_external_tokens };
        if let Some(pass) = &mut output.kv_connector {
            if known.matched.load_kv_async { &mut pass.async_loads } else { &mut pass.sync_loads }.push(load);
        }
    }
}
