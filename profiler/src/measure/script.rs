//! How a pass is brought about: requests that join at the right iterations.
//!
//! Chunks are requests for one token that join together, once for each repeat. Their prefixes were computed by earlier
//! requests and are found in the prefix cache; without one, a prompt is so long, and a filler in front of it such, that
//! its last part is the chunk. Decodes are requests with prompts of their own that join at once and then all generate.

use sim_core::rng::Pcg64;

use super::limits::{Limits, mean_context, rows};
use super::plan::Point;
use crate::engine::{Script, ScriptedRequest};

/// Fewest samples that a script is to give, the first, which warms up, not counted.
const MIN_REPEATS: u32 = 6;
/// Most of them: what follows at once says little that is new.
const MAX_REPEATS: u32 = 24;

/// Requests, each with the iteration before which it joins.
struct Timeline {
    random: Pcg64,
    vocab_size: u32,
    joins: Vec<(u32, ScriptedRequest)>,
}

impl Timeline {
    fn text(&mut self, num_tokens: u32) -> Vec<u32> {
        (0..num_tokens).map(|_| self.random.integers(0, self.vocab_size.saturating_sub(1))).collect()
    }

    fn join(&mut self, iteration: u32, prompt_token_ids: Vec<u32>, max_tokens: u32) {
        let request = ScriptedRequest { prompt_token_ids, max_tokens, ..ScriptedRequest::default() };
        self.joins.push((iteration, request));
    }

    fn script(mut self) -> Script {
        self.joins.sort_by_key(|&(iteration, _)| iteration);
        let num_iterations = self.joins.last().map_or(0, |&(iteration, _)| iteration as usize + 1);
        let mut queries_per_iter = vec![0; num_iterations];
        for &(iteration, _) in &self.joins {
            queries_per_iter[iteration as usize] += 1;
        }
        Script {
            requests: self.joins.into_iter().map(|(_, request)| request).collect(),
            queries_per_iter,
            ..Script::default()
        }
    }
}

/// A script for the `visit`-th measurement of a point; its prompts differ from those of other visits.
pub(crate) fn script(point: &Point, limits: &Limits, seed: u64, visit: u32) -> Script {
    let random = Pcg64::stream(seed.wrapping_add(u64::from(visit) << 32), &format!("{:?}", point.batch));
    let mut timeline = Timeline { random, vocab_size: limits.vocab_size, joins: vec![] };
    if limits.has_prefix_caching || point.batch.prefill_chunks.iter().all(|chunk| chunk.num_computed_tokens == 0) {
        let (prefixes, start) = add_prefixes(point, limits, &mut timeline);
        if point.batch.num_decodes == 0 {
            let num_repeats = repeats(start) + 1;
            (start..start + num_repeats).for_each(|iteration| add_chunks(point, &prefixes, iteration, &mut timeline));
        } else {
            add_decodes(point, limits, start, &prefixes, &mut timeline);
        }
    } else {
        add_long_prompts(point, limits, &mut timeline);
    }
    // The passes of a drafter's own proposals would be any.
    let forced_drafts = limits.num_drafts.map(|_| rows(&point.batch) - 1);
    Script { forced_drafts, ..timeline.script() }
}

/// More samples where each visit pays for a long set-up.
fn repeats(num_setup_passes: u32) -> u32 {
    num_setup_passes.clamp(MIN_REPEATS, MAX_REPEATS)
}

/// Requests that leave the chunks' prefixes in the cache. The prefixes, and the first iteration without those requests.
fn add_prefixes(point: &Point, limits: &Limits, timeline: &mut Timeline) -> (Vec<Vec<u32>>, u32) {
    let mut start = 0;
    let mut prefixes = vec![];
    for chunk in &point.batch.prefill_chunks {
        let prefix = timeline.text(chunk.num_computed_tokens);
        if !prefix.is_empty() {
            timeline.join(start, prefix.clone(), 1);
            start += chunk.num_computed_tokens.div_ceil(limits.max_chunk);
        }
        prefixes.push(prefix);
    }
    (prefixes, start)
}

fn add_chunks(point: &Point, prefixes: &[Vec<u32>], iteration: u32, timeline: &mut Timeline) {
    for (chunk, prefix) in point.batch.prefill_chunks.iter().zip(prefixes) {
        let mut prompt = prefix.clone();
        prompt.extend(timeline.text(chunk.num_tokens));
        timeline.join(iteration, prompt, 1);
    }
}

/// Decodes that reach the point's context in the middle of its repeats, and the chunks that join them.
fn add_decodes(point: &Point, limits: &Limits, start: u32, prefixes: &[Vec<u32>], timeline: &mut Timeline) {
    let context = mean_context(&point.batch);
    let has_chunks = !prefixes.is_empty();
    let num_decodes = point.batch.num_decodes as usize;
    // With whole prompts first, to know how long the set-up takes; then with those that meet the context.
    let whole = vec![context.saturating_sub(1).max(1); num_decodes];
    let num_rows = rows(&point.batch);
    let ready = prefill_passes(&whole, num_rows, limits);
    let num_setup_passes = ready.last().map_or(0, |last| last + 1);
    let num_repeats = repeats(start + num_setup_passes);
    let num_passes = if has_chunks { 2 * num_repeats + 3 } else { num_repeats + 1 };
    // The last sample, too, must fit into a sequence.
    let context = context.min(limits.max_model_len.saturating_sub(num_passes.div_ceil(2) + num_rows));
    let prompt_len = |&ready: &u32| {
        let generated = num_setup_passes - 1 - ready + num_passes.div_ceil(2);
        context.saturating_sub(generated + num_rows).max(1)
    };
    let lens: Vec<u32> = ready.iter().map(prompt_len).collect();
    let ready = prefill_passes(&lens, num_rows, limits);
    let last = ready.last().copied().unwrap_or(0);
    for (&len, &ready) in lens.iter().zip(&ready) {
        let prompt = timeline.text(len);
        let max_tokens = (last - ready + num_passes + 1).min(limits.max_model_len.saturating_sub(len)).max(1);
        timeline.join(start, prompt, max_tokens);
    }
    if has_chunks {
        // Every other pass, so that a chunk's request has left when the next comes.
        for repeat in 0..=num_repeats {
            add_chunks(point, prefixes, start + last + 2 + 2 * repeat, timeline);
        }
    }
}

/// The pass in which each prompt is computed to its end, if all join at once. Prompts that are done decode.
fn prefill_passes(lens: &[u32], num_rows: u32, limits: &Limits) -> Vec<u32> {
    let mut ready = Vec::with_capacity(lens.len());
    let mut left = lens.first().copied().unwrap_or(0);
    let mut pass = 0;
    while ready.len() < lens.len() {
        let num_decodes = u32::try_from(ready.len()).unwrap_or(u32::MAX);
        let mut budget = limits.max_num_tokens.saturating_sub(num_decodes.saturating_mul(num_rows)).max(1);
        while ready.len() < lens.len() && budget > 0 {
            let part = left.min(budget).min(limits.max_chunk);
            budget -= part;
            left -= part;
            if left > 0 {
                break;
            }
            ready.push(pass);
            left = lens.get(ready.len()).copied().unwrap_or(0);
        }
        pass += 1;
    }
    ready
}

/// Prompts whose last part is the chunk: a filler takes so much of the first pass that the rest of the prefix fills
/// whole ones.
fn add_long_prompts(point: &Point, limits: &Limits, timeline: &mut Timeline) {
    let budget = limits.max_num_tokens;
    for chunk in &point.batch.prefill_chunks {
        let prefix = chunk.num_computed_tokens;
        let num_passes = prefix.div_ceil(budget) + 1;
        for repeat in 0..=repeats(num_passes) {
            let filler = prefix.next_multiple_of(budget) - prefix;
            if filler > 0 {
                let prompt = timeline.text(filler);
                timeline.join(repeat * num_passes, prompt, 1);
            }
            let prompt = timeline.text(prefix + chunk.num_tokens);
            timeline.join(repeat * num_passes, prompt, 1);
        }
    }
}
