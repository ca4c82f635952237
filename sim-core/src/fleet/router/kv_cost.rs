//! The replica on which a request costs least: blocks of prompts still to be computed, and blocks that are read in each
//! decode. Source: Dynamo, `lib/kv-router` (the router's own approximate index; at temperature 0 the least cost, ties at
//! random, else drawn by `softmax_sample`).

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use super::prefix_tree::PrefixTree;
use super::routing::{Arrival, ReplicaView, Router, any_of, places_of_least};
use super::weights::RouterWeights;
use crate::math;
use crate::request::RequestId;
use crate::rng::Pcg64;

/// Tokens of a block (`--kv-cache-block-size`).
const BLOCK_TOKENS: u64 = 16;

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
    weights: RouterWeights,
}

impl KvCost {
    pub(super) fn new(weights: &RouterWeights) -> Self {
        Self { tree: PrefixTree::new(), loads: BTreeMap::new(), active: BTreeMap::new(), weights: *weights }
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
            self.weights.kv_overlap_score_weight * prefill_blocks + math::u64_to_f64(load.num_blocks + num_blocks)
        });
        let place = if self.weights.router_temperature > 0.0 {
            drawn(&costs.collect::<Vec<_>>(), self.weights.router_temperature, rng)
        } else {
            any_of(&places_of_least(costs), rng)
        };
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

/// A place that is the more likely the less it costs: costs over their range, and the exponential of their negative over the
/// temperature.
fn drawn(costs: &[f64], temperature: f64, rng: &mut Pcg64) -> usize {
    let least = costs.iter().copied().fold(f64::INFINITY, math::min);
    let most = costs.iter().copied().fold(f64::NEG_INFINITY, math::max);
    let range = if most > least { most - least } else { 1.0 };
    let chance = |cost: &f64| math::exp((least - cost) / range / temperature);
    let mut left = rng.random() * costs.iter().map(chance).sum::<f64>();
    for (place, cost) in costs.iter().enumerate() {
        left -= chance(cost);
        if left < 0.0 {
            return place;
        }
    }
    costs.len().saturating_sub(1)
}
