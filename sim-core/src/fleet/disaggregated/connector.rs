//! The KV connector of either side, as the scheduler sees it: what NIXL's has of a prompt, and which blocks are kept.
//!
//! Source: `vllm/distributed/kv_transfer/kv_connector/v1/nixl/pull_scheduler.py`: `get_num_new_matched_tokens`,
//! `update_state_after_alloc`, `request_finished`. Engines are `kv_both`, as NIXL's guide starts them.

use alloc::collections::BTreeSet;

use crate::request::{FinishReason, RequestId};
use crate::sched::connector::interface::{Ended, KvConnector, Matched, Waiting};

const NOTHING: Matched = Matched { num_external_tokens: 0, load_kv_async: false };

/// On an engine that computes prompts: `do_remote_decode` of every request.
#[derive(Debug)]
pub(super) struct PrefillConnector;

impl KvConnector for PrefillConnector {
    fn get_num_new_matched_tokens(&mut self, _request: Waiting) -> Option<Matched> {
        Some(NOTHING)
    }

    fn update_state_after_alloc(&mut self, _id: RequestId, _blocks: &[u32], _matched: Matched) {}

    fn request_finished(&mut self, ended: Ended) -> bool {
        ended.has_blocks && matches!(ended.reason, FinishReason::Length | FinishReason::Stop)
    }
}

/// On an engine that decodes: `do_remote_prefill` of every request, once.
#[derive(Debug, Default)]
pub(super) struct DecodeConnector {
    /// Requests that were loaded: what is missing after a preemption or a failure is computed here.
    loaded: BTreeSet<RequestId>,
}

impl KvConnector for DecodeConnector {
    fn get_num_new_matched_tokens(&mut self, request: Waiting) -> Option<Matched> {
        let num_external_tokens = request.num_prompt_tokens.saturating_sub(request.num_computed_tokens);
        let is_remote = num_external_tokens > 0 && !self.loaded.contains(&request.id);
        Some(if is_remote { Matched { num_external_tokens, load_kv_async: true } } else { NOTHING })
    }

    fn update_state_after_alloc(&mut self, id: RequestId, _blocks: &[u32], _matched: Matched) {
        self.loaded.insert(id);
    }

    fn request_finished(&mut self, ended: Ended) -> bool {
        self.loaded.remove(&ended.id);
        false
    }
}
