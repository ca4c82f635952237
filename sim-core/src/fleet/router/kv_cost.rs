//! The replica on which a request costs least: blocks of prompts still to be computed, and blocks that are read in each
//! decode. Source: Dynamo, `lib/kv-router` (the router's own approximate index, temperature 0: least cost, ties at random).

use alloc::collections::BTreeMap;

use super::prefix_tree::PrefixTree;
use super::routing::{Arrival, ReplicaView, Router, any_of, places_of_least};
use crate::math;
use crate::request::RequestId;
use crate::rng::Pcg64;

/// Tokens of a block (`--kv-cache-block-size`).
const BLOCK_TOKENS: u64 = 16;
/// What a block of a prompt counts for, in blocks of decodes (`overlap_score_weight`).
const OVERLAP_SCORE_WEIGHT: f64 = 1.0;

/// What the router knows of a replica.
#[derive(Debug, Clone, Copy, Default)]
struct Load {
    /// Tokens of prompts that are being computed.
    num_prefill_tokens: u64,
    /// Blocks of all requests under way.
    num_blocks: u64,
}

/// A request under way.
#[derive(Debug, Clone, Copy)]
struct Active {
    num_prefill_tokens: u64,
    num_blocks: u64,
}

/// The router.
#[derive(Debug)]
pub(super) struct KvCost {
    tree: PrefixTree,
    loads: BTreeMap<usize, Load>,
    active: BTreeMap<RequestId, Active>,
}

impl KvCost {
    pub(super) fn new() -> Self {
        Self { tree: PrefixTree::new(), loads: BTreeMap::new(), active: BTreeMap::new() }
    }

    /// Tokens of whole blocks of the prompt that `replica` was sent before.
    fn overlap(&self, arrival: &Arrival<'_>, replica: usize) -> u64 {
        let steps = self.tree.steps(arrival.prompt);
        let has = |holders: &[(usize, u64)]| holders.iter().any(|holder| holder.0 == replica);
        let known = steps.iter().rev().find(|step| has(step.holders)).map_or(0, |step| step.num_tokens);
        known / BLOCK_TOKENS * BLOCK_TOKENS
    }
}

impl Router for KvCost {
    fn route(&mut self, arrival: &Arrival<'_>, replicas: &[ReplicaView], rng: &mut Pcg64) -> usize {
        let num_tokens = arrival.num_prompt_tokens();
        let num_blocks = num_tokens.div_ceil(BLOCK_TOKENS);
        let costs = replicas.iter().map(|view| {
            let load = self.loads.get(&view.replica).copied().unwrap_or_default();
            let prefill = load.num_prefill_tokens + num_tokens - self.overlap(arrival, view.replica);
            let prefill_blocks = math::u64_to_f64(prefill) / math::u64_to_f64(BLOCK_TOKENS);
            OVERLAP_SCORE_WEIGHT * prefill_blocks + math::u64_to_f64(load.num_blocks + num_blocks)
        });
        let place = any_of(&places_of_least(costs), rng);
        let Some(view) = replicas.get(place) else { return place };
        let active = Active { num_prefill_tokens: num_tokens - self.overlap(arrival, view.replica), num_blocks };
        let load = self.loads.entry(view.replica).or_default();
        load.num_prefill_tokens += active.num_prefill_tokens;
        load.num_blocks += active.num_blocks;
        self.active.insert(arrival.id, active);
        self.tree.insert(arrival.prompt, view.replica);
        place
    }

    fn note_first_token(&mut self, id: RequestId, replica: usize) {
        if let (Some(active), Some(load)) = (self.active.get_mut(&id), self.loads.get_mut(&replica)) {
            load.num_prefill_tokens -= core::mem::take(&mut active.num_prefill_tokens);
        }
    }

    fn note_end(&mut self, id: RequestId, replica: usize) {
        self.note_first_token(id, replica);
        if let (Some(active), Some(load)) = (self.active.remove(&id), self.loads.get_mut(&replica)) {
            load.num_blocks -= active.num_blocks;
        }
    }

    fn note_gone(&mut self, replica: usize) {
        self.tree.forget(replica);
    }
}
