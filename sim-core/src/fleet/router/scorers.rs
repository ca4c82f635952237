//! A weighted sum of scores from 0 to 1, and the best replica. Source: llm-d's inference scheduler (`pkg/plugins/scorer`)
//! and the gateway API's inference extension (`prefix-cache-scorer`, `queue-scorer`, `kv-cache-utilization-scorer`,
//! `max-score-picker`), with the weights of their sample configurations.

use alloc::vec::Vec;

use super::prefix_tree::PrefixTree;
use super::routing::{Arrival, ReplicaView, Router, any_of, places_of_least};
use super::weights::RouterWeights;
use crate::math;
use crate::rng::Pcg64;

/// Tokens of a block whose prefix is known or not; the approximate index hashes 64 characters.
const BLOCK_TOKENS: u64 = 16;
/// Prompts after which a prefix is taken for evicted: the index is a cache of the least recently used of each replica,
/// 31,250 blocks (`lruCapacityPerServer`), here in prompts, as nodes of the tree are not cut.
const MAX_AGE_INSERTIONS: u64 = 31_250;

/// The router.
#[derive(Debug)]
pub(super) struct WeightedScorers {
    tree: PrefixTree,
    weights: RouterWeights,
}

impl WeightedScorers {
    pub(super) fn new(weights: &RouterWeights) -> Self {
        Self { tree: PrefixTree::new(), weights: *weights }
    }

    /// Share of the prompt's whole blocks that a replica was sent before, by place.
    fn prefix_scores(&self, arrival: &Arrival<'_>, replicas: &[ReplicaView]) -> Vec<f64> {
        let num_blocks = arrival.num_prompt_tokens() / BLOCK_TOKENS;
        let mut known = alloc::vec![0_u64; replicas.len()];
        for step in self.tree.steps(arrival.prompt) {
            for (view, known) in replicas.iter().zip(&mut known) {
                let is_kept = |&&(replica, last): &&(usize, u64)| {
                    replica == view.replica && self.tree.num_insertions() - last <= MAX_AGE_INSERTIONS
                };
                if step.holders.iter().any(|holder| is_kept(&holder)) {
                    *known = step.num_tokens / BLOCK_TOKENS;
                }
            }
        }
        let share =
            |known: u64| if num_blocks == 0 { 0.0 } else { math::u64_to_f64(known) / math::u64_to_f64(num_blocks) };
        known.into_iter().map(share).collect()
    }
}

impl Router for WeightedScorers {
    fn route(&mut self, arrival: &Arrival<'_>, replicas: &[ReplicaView], rng: &mut Pcg64) -> usize {
        let waiting = || replicas.iter().map(|view| view.scraped.num_waiting);
        let (least, most) = (waiting().min().unwrap_or(0), waiting().max().unwrap_or(0));
        let queue = |view: &ReplicaView| {
            let room = math::u64_to_f64(most - view.scraped.num_waiting);
            if most == least { 1.0 } else { room / math::u64_to_f64(most - least) }
        };
        let weights = &self.weights;
        let prefix = self.prefix_scores(arrival, replicas);
        let missing = replicas.iter().zip(prefix).map(|(view, prefix)| {
            let free = 1.0 - view.scraped.kv_cache_usage;
            -(weights.prefix_cache_scorer * prefix
                + weights.queue_scorer * queue(view)
                + weights.kv_cache_utilization_scorer * free)
        });
        let place = any_of(&places_of_least(missing), rng);
        if let Some(view) = replicas.get(place) {
            self.tree.insert(arrival.prompt, view.replica);
        }
        place
    }

    fn note_gone(&mut self, replica: usize) {
        self.tree.forget(replica);
    }
}
