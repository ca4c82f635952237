//! What a report of transfers changes, with the results of a pass: loads that ended or failed, blocks that were sent.
//!
//! Source: `vllm/v1/core/sched/scheduler.py`: `_update_from_kv_xfer_finished`, `_handle_invalid_blocks`.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use super::interface::KvConnectorOutput;
use crate::request::{FinishReason, RequestId};
use crate::sched::live_request::Place;
use crate::sched::output::{EngineCoreOutputs, FinishedRequest, SchedulerOutput};
use crate::sched::scheduler::Scheduler;

impl Scheduler<'_> {
    /// Before the results themselves: blocks that passes read are free, and failures are found.
    pub(in crate::sched) fn begin_report(&mut self, output: &SchedulerOutput) {
        let Some(connector) = &mut self.connector else { return };
        connector.fence.note_processed(output.has_tokens());
        while let Some(table) = connector.fence.take_freed() {
            self.kv_cache.free_taken(table);
        }
        connector.hit_by_failure.clear();
        if let Some(pass) = &output.kv_connector {
            self.note_failed_loads(&pass.report);
            if !pass.report.invalid_block_ids.is_empty() {
                self.handle_invalid_blocks(&pass.report.invalid_block_ids, output);
            }
        }
    }

    /// After the results: requests end with an error, loads and sendings have ended.
    pub(in crate::sched) fn end_report(&mut self, output: &SchedulerOutput, outputs: &mut EngineCoreOutputs) {
        let Some(connector) = &mut self.connector else { return };
        let hit = core::mem::take(&mut connector.hit_by_failure);
        if !connector.recomputes {
            for id in hit {
                self.end_with_error(id, outputs);
            }
        }
        let Some(pass) = &output.kv_connector else { return };
        if let Some(connector) = &mut self.connector {
            connector.kv_connector.update_connector_output(&pass.report);
        }
        for &id in &pass.report.finished_recving {
            match &mut self.connector {
                Some(connector) if connector.loading.contains(&id) => {
                    connector.received.insert(id);
                }
                _ => self.free_delayed(id),
            }
        }
        for &id in &pass.report.finished_sending {
            self.free_delayed(id);
        }
    }

    fn end_with_error(&mut self, id: RequestId, outputs: &mut EngineCoreOutputs) {
        let Place::Slot(slot) = self.live.place(id) else { return };
        let request = self.live.get(slot);
        outputs.finished.push(FinishedRequest {
            id,
            reason: FinishReason::Error,
            num_output_tokens: request.num_output_tokens(),
            num_preemptions: request.num_preemptions,
            num_passes: request.num_passes,
        });
        self.end_request(slot, FinishReason::Error);
    }

    /// Requests of whose load nothing came.
    fn note_failed_loads(&mut self, report: &KvConnectorOutput) {
        let Some(connector) = &mut self.connector else { return };
        for &id in &report.failed_recving {
            let Place::Slot(slot) = self.live.place(id) else { continue };
            if !connector.loading.contains(&id) {
                continue;
            }
            if connector.recomputes {
                self.live.get_mut(slot).num_computed_tokens = 0;
                connector.failed.insert(id);
            } else {
                connector.hit_by_failure.insert(id);
            }
        }
    }

    /// Computed tokens of all requests with an invalid block fall back to the first of them. A block that several share
    /// is loaded, or computed, for the first of them: the others keep what they have.
    fn handle_invalid_blocks(&mut self, invalid: &[u32], output: &SchedulerOutput) {
        let Some(connector) = &self.connector else { return };
        let loading: Vec<u32> = connector
            .holding
            .in_order()
            .into_iter()
            .filter(|id| connector.loading.contains(id))
            .filter_map(|id| match self.live.place(id) {
                Place::Slot(slot) => Some(slot),
                _ => None,
            })
            .collect();
        let mut marked = BTreeSet::new();
        for slot in loading {
            self.take_back(slot, invalid, &mut marked, 0, true);
        }
        marked.clear();
        for place in 0..self.running.len() {
            let slot = self.running[place];
            let scheduled = output.scheduled.iter().find(|part| part.slot == slot);
            let id = self.live.get(slot).id;
            let num_scheduled = scheduled.filter(|part| part.id == id).map_or(0, |part| part.num_scheduled_tokens);
            self.take_back(slot, invalid, &mut marked, num_scheduled, false);
        }
    }

    fn take_back(
        &mut self,
        slot: u32,
        invalid: &[u32],
        marked: &mut BTreeSet<u32>,
        num_scheduled_tokens: u32,
        is_async: bool,
    ) {
        let Some(connector) = &mut self.connector else { return };
        let request = self.live.get_mut(slot);
        let num_computed_tokens = request.num_computed_tokens.saturating_sub(num_scheduled_tokens);
        let block_size = self.kv_cache.block_size();
        let num_blocks = num_computed_tokens.div_ceil(block_size);
        let mut is_hit = false;
        let mut first = None;
        for (block, place) in self.kv_cache.table(&request.blocks).iter().zip(0..num_blocks) {
            if invalid.contains(block) {
                is_hit = true;
                if marked.insert(*block) && first.is_none() {
                    first = Some(place * block_size);
                }
            }
        }
        if !is_hit {
            return;
        }
        request.num_computed_tokens = first.unwrap_or(num_computed_tokens);
        let id = request.id;
        if is_async && connector.recomputes {
            connector.failed.insert(id);
            return;
        }
        connector.hit_by_failure.insert(id);
        if !is_async && !connector.recomputes {
            let from = request.num_computed_tokens / block_size;
            self.kv_cache.forget_keys_from(&request.blocks, from);
        }
    }
}
