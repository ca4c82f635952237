//! Routers that send a prompt where its beginning was sent before.

use alloc::vec::Vec;

use super::prefix_tree::PrefixTree;
use super::routing::{Arrival, CHARACTERS_PER_TOKEN, ReplicaView, Router};
use super::spread::{any_with_number, least_loaded};
use super::weights::RouterWeights;
use crate::math;
use crate::request::TokenRun;
use crate::rng::Pcg64;

/// Characters of a piece of text that is hashed (`HashTrie.chunk_size`).
const CHUNK_CHARACTERS: u32 = 128;

/// Among the replicas that were sent the longest beginning of whole pieces, any. A prompt that nobody has goes to any
/// replica at all, and nothing is ever forgotten. Source: production-stack, `routing_logic.py::PrefixAwareRouter`,
/// `prefix/hashtrie.py`.
#[derive(Debug)]
pub struct PrefixAware {
    tree: PrefixTree,
}

impl PrefixAware {
    /// A router that has sent nothing anywhere.
    #[must_use]
    pub fn new() -> Self {
        Self { tree: PrefixTree::new() }
    }

    /// Of the replicas `available`, those among which one is drawn.
    #[must_use]
    pub fn candidates(&self, arrival: &Arrival<'_>, available: &[usize]) -> Vec<usize> {
        let chunk = u64::from(CHUNK_CHARACTERS / CHARACTERS_PER_TOKEN);
        let num_prompt_tokens = arrival.num_prompt_tokens();
        let mut chosen = available.to_vec();
        let mut num_chunks = 0;
        for step in self.tree.steps(arrival.prompt) {
            // A piece is known if all of it is; the last one of a prompt may be shorter, and is then known only as that.
            if step.num_tokens / chunk > num_chunks {
                num_chunks = step.num_tokens / chunk;
                if !narrow(&mut chosen, |one| step.holders.iter().any(|holder| holder.0 == one)) {
                    break;
                }
            }
            if step.num_tokens == num_prompt_tokens
                && !num_prompt_tokens.is_multiple_of(chunk)
                && !narrow(&mut chosen, |one| step.ends.contains(&one))
            {
                break;
            }
        }
        chosen
    }

    /// A prompt was sent to `replica`.
    pub fn learn(&mut self, prompt: &[TokenRun], replica: usize) {
        self.tree.insert(prompt, replica);
    }
}

impl Default for PrefixAware {
    fn default() -> Self {
        Self::new()
    }
}

/// Keeps of `chosen` what `has`, if there is any; false if there is not.
fn narrow(chosen: &mut Vec<usize>, has: impl Fn(usize) -> bool) -> bool {
    let has_any = chosen.iter().any(|&one| has(one));
    if has_any {
        chosen.retain(|&one| has(one));
    }
    has_any
}

impl Router for PrefixAware {
    fn route(&mut self, arrival: &Arrival<'_>, replicas: &[ReplicaView], rng: &mut Pcg64) -> usize {
        let available: Vec<_> = replicas.iter().map(|view| view.replica).collect();
        let chosen = self.candidates(arrival, &available);
        let place = any_with_number(replicas, &chosen, rng).unwrap_or(0);
        if let Some(view) = replicas.get(place) {
            self.learn(arrival.prompt, view.replica);
        }
        place
    }

    fn note_gone(&mut self, replica: usize) {
        self.tree.forget(replica);
    }
}

/// Where most of the prompt is known, if that is over half of it; else, and while loads are out of balance, to the least
/// loaded. The tree is not cut: the real one forgets text that was not asked for when a replica's grows too large.
/// Source: vllm-router, `src/policies/cache_aware.rs`, `src/tree.rs`.
#[derive(Debug)]
pub(super) struct CacheAware {
    tree: PrefixTree,
    weights: RouterWeights,
}

impl CacheAware {
    pub(super) fn new(weights: &RouterWeights) -> Self {
        Self { tree: PrefixTree::new(), weights: *weights }
    }

    fn place(&self, arrival: &Arrival<'_>, replicas: &[ReplicaView]) -> usize {
        let loads = || replicas.iter().map(|view| view.num_in_flight);
        let (least, most) = (loads().min().unwrap_or(0), loads().max().unwrap_or(0));
        let is_imbalanced = most - least > self.weights.balance_abs_threshold
            && math::u64_to_f64(most) > math::u64_to_f64(least) * self.weights.balance_rel_threshold;
        if is_imbalanced {
            return least_loaded(replicas);
        }
        let steps = self.tree.steps(arrival.prompt);
        let known = steps.last().filter(|step| {
            math::u64_to_f64(step.num_tokens)
                > self.weights.cache_threshold * math::u64_to_f64(arrival.num_prompt_tokens())
        });
        // The one that brought the text first, as long as it is there.
        let holder = known.and_then(|step| step.holders.first()).map(|&(replica, _)| replica);
        let place = holder.and_then(|holder| replicas.iter().position(|view| view.replica == holder));
        place.unwrap_or_else(|| least_loaded(replicas))
    }
}

impl Router for CacheAware {
    fn route(&mut self, arrival: &Arrival<'_>, replicas: &[ReplicaView], _rng: &mut Pcg64) -> usize {
        let place = self.place(arrival, replicas);
        if let Some(view) = replicas.get(place) {
            self.tree.insert(arrival.prompt, view.replica);
        }
        place
    }

    fn note_gone(&mut self, replica: usize) {
        self.tree.forget(replica);
    }
}
