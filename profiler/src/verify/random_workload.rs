//! Random engines and random workloads on them: whatever a scheduler may have to decide, often.
//!
//! A seed fixes both. Pools are tight, so that requests are preempted and cached blocks evicted; prompts share
//! beginnings; budgets cut prompts anywhere; some requests have priorities, some are aborted.

use sim_core::config::{EngineConfig, SchedulingPolicy};
use sim_core::rng::Pcg64;

use crate::engine::{Script, ScriptedRequest};

/// Thousandths, where there is a drafter: at 0 a tiny model soon repeats itself and every draft is accepted, at 1000
/// hardly any is.
const TEMPERATURES: [u32; 6] = [0, 0, 1, 3, 10, 1000];

/// Flags of `vllm serve` for a random small engine.
///
/// `multiple` is the smallest block size that the attention kernels take, `tables` a request's block tables, each with
/// the window of its layers, if they have one.
pub(crate) fn random_engine_flags(seed: u64, multiple: u32, tables: &[Option<u32>]) -> Vec<String> {
    let mut random = Pcg64::stream(seed, "engine");
    let block_size = multiple * [1, 1, 2, 4][pick(&mut random, 4)];
    let max_model_len = between(&mut random, 200, 900);
    let max_num_seqs = between(&mut random, 2, 16);
    let max_num_batched_tokens = between(&mut random, 24, 400).max(max_num_seqs);
    // Room for one longest sequence and a little more, so that not all that run can stay.
    let smallest = smallest_pool(tables, block_size, max_model_len, max_num_batched_tokens);
    let num_gpu_blocks = 1 + smallest + between(&mut random, 1, 2 * smallest + 4);
    let mut flags: Vec<String> = vec![];
    let mut set = |flag: &str, value: u32| flags.push(format!("--{flag}={value}"));
    set("block-size", block_size);
    set("max-model-len", max_model_len);
    set("max-num-seqs", max_num_seqs);
    set("max-num-batched-tokens", max_num_batched_tokens);
    set("num-gpu-blocks-override", num_gpu_blocks);
    if chance(&mut random, 0.25) {
        set("long-prefill-token-threshold", between(&mut random, 16, 128));
    }
    let mut flag = |flag: &str| flags.push(flag.to_owned());
    if chance(&mut random, 0.4) {
        flag("--scheduling-policy=priority");
    }
    if chance(&mut random, 0.2) {
        flag("--no-enable-prefix-caching");
    }
    if chance(&mut random, 0.3) {
        flag("--no-scheduler-reserve-full-isl");
    }
    if chance(&mut random, 0.3) {
        flag(["--watermark=0.05", "--watermark=0.2"][pick(&mut random, 2)]);
    }
    flags.extend(["--enforce-eager", "--kv-cache-memory-bytes=256M"].map(str::to_owned));
    flags
}

/// Blocks of one longest sequence (`KVCacheSpec.max_memory_usage_bytes`): a window keeps its tokens and those of a pass.
fn smallest_pool(tables: &[Option<u32>], block_size: u32, max_model_len: u32, max_num_batched_tokens: u32) -> u32 {
    let blocks = |window: &Option<u32>| match window {
        None => max_model_len.div_ceil(block_size),
        Some(window) => (window - 1 + max_num_batched_tokens).min(max_model_len).div_ceil(block_size) + 1,
    };
    tables.iter().map(blocks).sum()
}

/// A random workload for an engine with `config`, whose model knows `vocab_size` tokens.
pub(crate) fn random_workload(seed: u64, config: &EngineConfig, vocab_size: u32) -> Script {
    let mut random = Pcg64::stream(seed, "workload");
    let num_requests = between(&mut random, 8, 36);
    let longest = config.max_model_len - 1;
    let shared: Vec<Vec<u32>> = (0..3).map(|_| tokens(&mut random, longest, vocab_size)).collect();
    let share_probability = random.random();
    let abort_probability = if chance(&mut random, 0.5) { 0.25 } else { 0.0 };
    let mean_gap = [0.0, 0.7, 2.0, 6.0][pick(&mut random, 4)];
    // Draws of its own: without a drafter a seed's workload is what it always was.
    let mut repeats = Pcg64::stream(seed, "repeats");
    let mut script = Script::default();
    let mut place = 0.0;
    for index in 0..num_requests {
        let mut prompt_token_ids = vec![];
        if chance(&mut random, share_probability) {
            let text = &shared[pick(&mut random, 3)];
            prompt_token_ids.extend_from_slice(&text[..skewed(&mut random, 1, longest) as usize]);
        }
        let repeated = repeated_text(&mut repeats, config, longest, vocab_size);
        if let Some(text) = repeated {
            let room = longest as usize - prompt_token_ids.len();
            prompt_token_ids.extend(text.into_iter().take(room));
        }
        let private = skewed(&mut random, 0, longest - u32::try_from(prompt_token_ids.len()).unwrap_or(longest));
        prompt_token_ids.extend(tokens(&mut random, private, vocab_size));
        if prompt_token_ids.is_empty() {
            prompt_token_ids = tokens(&mut random, 1, vocab_size);
        }
        let is_first = script.queries_per_iter.is_empty();
        place += if is_first { 0.0 } else { 2.0 * mean_gap * random.random() };
        let iteration = whole(place);
        script.queries_per_iter.resize(script.queries_per_iter.len().max(iteration as usize + 1), 0);
        script.queries_per_iter[iteration as usize] += 1;
        if chance(&mut random, abort_probability) {
            script.aborts.push((iteration + between(&mut random, 0, 40), index));
        }
        script.requests.push(ScriptedRequest {
            prompt_token_ids,
            max_tokens: skewed(&mut random, 1, 90),
            priority: match config.policy {
                SchedulingPolicy::Fcfs => 0,
                SchedulingPolicy::Priority => i32::try_from(between(&mut random, 0, 6)).unwrap_or(0) - 3,
            },
            cache_salt: chance(&mut random, 0.1).then(|| "salt".to_owned()),
            temperature_permille: if config.speculative.is_some() { TEMPERATURES[pick(&mut repeats, 6)] } else { 0 },
        });
    }
    script.aborts.sort_by_key(|abort| abort.0);
    script
}

/// With a drafter, often: a short text over and over, which drafts are looked up in, and whose end may be accepted.
fn repeated_text(random: &mut Pcg64, config: &EngineConfig, longest: u32, vocab_size: u32) -> Option<Vec<u32>> {
    if config.speculative.is_none() || !chance(random, 0.7) {
        return None;
    }
    let period = between(random, 2, 24);
    let text = tokens(random, period, vocab_size);
    let num_tokens = skewed(random, period, longest.max(period)) as usize;
    Some(text.into_iter().cycle().take(num_tokens).collect())
}

fn tokens(random: &mut Pcg64, count: u32, vocab_size: u32) -> Vec<u32> {
    // The first ids are special tokens.
    (0..count).map(|_| random.integers(3, vocab_size - 1)).collect()
}

/// From `low` to `high`, both included.
fn between(random: &mut Pcg64, low: u32, high: u32) -> u32 {
    random.integers(low, high)
}

/// Mostly near `low`, now and then near `high`, as lengths are in practice.
fn skewed(random: &mut Pcg64, low: u32, high: u32) -> u32 {
    low + whole(random.random().powf(2.5) * f64::from(high - low + 1)).min(high - low)
}

fn chance(random: &mut Pcg64, probability: f64) -> bool {
    random.random() < probability
}

fn pick(random: &mut Pcg64, count: u32) -> usize {
    random.integers(0, count - 1) as usize
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "small and not negative")]
fn whole(x: f64) -> u32 {
    x as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::Engine as _;
    use crate::engine::mock::MockEngine;

    #[test]
    fn a_workload_is_valid_and_its_seed_fixes_it() {
        for seed in 0..50 {
            let engine = MockEngine::tight(seed);
            let config = &engine.facts().config;
            let script = random_workload(seed, config, 2048);
            assert_eq!(script, random_workload(seed, config, 2048), "seed {seed}");
            let joining: u32 = script.queries_per_iter.iter().sum();
            assert_eq!(joining as usize, script.requests.len(), "seed {seed}");
            for request in &script.requests {
                let length = request.prompt_token_ids.len();
                assert!((1..config.max_model_len as usize).contains(&length), "seed {seed}: {length} tokens");
                assert!(request.max_tokens >= 1, "seed {seed}");
            }
        }
    }

    #[test]
    fn workloads_preempt_share_chunk_and_abort() {
        let (mut preempted, mut hits, mut aborted, mut chunks) = (0, 0, 0, 0);
        for seed in 0..50 {
            let mut engine = MockEngine::tight(seed);
            let script = random_workload(seed, &engine.facts().config.clone(), 2048);
            for pass in engine.run(&script).expect("a valid script").passes {
                preempted += pass.iteration.pre.len();
                hits += pass.iteration.new.iter().filter(|admission| admission.1 > 0).count();
                aborted += pass.iteration.abort.len();
                chunks += pass.iteration.s.iter().flatten().filter(|part| part.1 > 1 && part.2 > 0).count();
            }
        }
        assert!(preempted > 20 && hits > 100 && aborted > 30 && chunks > 100, "{preempted} {hits} {aborted} {chunks}");
    }
}
