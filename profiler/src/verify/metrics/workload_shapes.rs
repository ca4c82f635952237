//! The form of each generated workload: when requests join, how long they are, what they share.
//!
//! `c` requests at a time means that, at one token a pass, `c` of them are under way.

use super::workloads::Draft;

/// Writes a workload and says what it is; `None` if the engine has no room for its point.
type Shape = fn(&mut Draft) -> Option<String>;

/// All of them.
pub(super) const SHAPES: &[(&str, Shape)] = &[
    ("steady-light", |draft| Some(steady(draft, 2))),
    ("steady-medium", |draft| Some(steady(draft, 8))),
    ("saturating", saturating),
    ("random-arrivals", random_arrivals),
    ("bursts", bursts),
    ("ramp", ramp),
    ("mixed-lengths", mixed_lengths),
    ("one-by-one", one_by_one),
    ("chunked-prefill", chunked_prefill),
    ("prefill-heavy", prefill_heavy),
    ("decode-heavy", decode_heavy),
    ("shared-prefixes", shared_prefixes),
    ("aborts", aborts),
    ("kv-tight", kv_tight),
];

fn steady(draft: &mut Draft, at_a_time: u32) -> String {
    let (prompt, output) = draft.ordinary();
    let at_a_time = at_a_time.min(draft.room.seqs).min(output);
    let num_requests = (draft.num_passes * at_a_time / output).clamp(1, draft.prompt_budget() / prompt + 1);
    for i in 0..num_requests {
        draft.join(i * output / at_a_time, prompt, output);
    }
    format!("{prompt} tokens in, {output} out, evenly, {at_a_time} at a time")
}

fn saturating(draft: &mut Draft) -> Option<String> {
    let (prompt, output) = draft.ordinary();
    let served = draft.room.seqs.min(32);
    let num_requests = (draft.num_passes * served / output).clamp(1, draft.prompt_budget() / prompt + 1);
    for i in 0..num_requests {
        draft.join(i * output / (2 * served), prompt, output);
    }
    Some(format!("{prompt} tokens in, {output} out, evenly, joining twice as fast as {served} at a time leave"))
}

fn random_arrivals(draft: &mut Draft) -> Option<String> {
    let (prompt, output) = draft.ordinary();
    let at_a_time = draft.room.seqs.min(6);
    let mean_gap = f64::from(output) / f64::from(at_a_time);
    let mut at = 0.0;
    while at < f64::from(draft.num_passes) {
        draft.join(whole(at), prompt, output);
        at += exponential(draft, mean_gap);
    }
    Some(format!("{prompt} tokens in, {output} out, exponential gaps, {at_a_time} at a time in the mean"))
}

fn bursts(draft: &mut Draft) -> Option<String> {
    const NUM_BURSTS: u32 = 3;
    let (prompt, output) = draft.ordinary();
    let size = draft.room.seqs.min(16).min(draft.prompt_budget() / NUM_BURSTS / prompt).max(2);
    for burst in 0..NUM_BURSTS {
        for _ in 0..size {
            draft.join(burst * draft.num_passes / NUM_BURSTS, prompt, output);
        }
    }
    Some(format!("{prompt} tokens in, {output} out, {NUM_BURSTS} times {size} at once"))
}

fn ramp(draft: &mut Draft) -> Option<String> {
    let (prompt, output) = draft.ordinary();
    let most = f64::from(draft.room.seqs.min(16));
    let end = f64::from(draft.num_passes);
    let mut at = 0.0;
    while at < end {
        draft.join(whole(at), prompt, output);
        at += f64::from(output) / (1.0 + (most - 1.0) * at / end);
    }
    Some(format!("{prompt} tokens in, {output} out, from 1 to {most} at a time"))
}

fn mixed_lengths(draft: &mut Draft) -> Option<String> {
    let (prompt, output) = draft.ordinary();
    let (longest_prompt, longest_output) = (prompt * 4, output * 3);
    let mean_gap = f64::from(output) / 4.0;
    let mut at = 0.0;
    while at < f64::from(draft.num_passes) {
        let (prompt, output) = (log_uniform(draft, longest_prompt), log_uniform(draft, longest_output));
        draft.join(whole(at), prompt, output);
        at += exponential(draft, mean_gap);
    }
    Some(format!("1 to {longest_prompt} tokens in, 1 to {longest_output} out (log-uniform), exponential gaps"))
}

fn one_by_one(draft: &mut Draft) -> Option<String> {
    let (prompt, output) = draft.ordinary();
    let mut at = 0;
    while at < draft.num_passes {
        let prompt = draft.random.integers(1, prompt * 2);
        let output = draft.random.integers(2, output);
        draft.join(at, prompt, output);
        // The pass that computes the end of the prompt gives the first token.
        at += prompt.div_ceil(draft.room.pass.max(1)) + output - 1;
    }
    Some(format!("1 to {} tokens in, 2 to {output} out, each joins when the one before has left", prompt * 2))
}

fn chunked_prefill(draft: &mut Draft) -> Option<String> {
    let output = 16.min(draft.room.sequence / 4).max(1);
    let prompt = (draft.room.pass / 2 * 5).min(draft.room.sequence.saturating_sub(output)).max(1);
    let num_requests = (draft.prompt_budget() / prompt).clamp(3, 24);
    let gap = prompt.div_ceil(draft.room.pass.max(1)) + 2;
    for i in 0..num_requests {
        draft.join(i * gap, prompt, output);
    }
    Some(format!("{prompt} tokens in ({} per pass), {output} out, one every {gap} passes", draft.room.pass))
}

fn prefill_heavy(draft: &mut Draft) -> Option<String> {
    const OUTPUT: u32 = 4;
    let prompt = (draft.room.pass / 2).min(512).min(draft.room.sequence.saturating_sub(OUTPUT)).max(1);
    let num_requests = (draft.prompt_budget() / prompt).clamp(4, draft.num_passes / 2 + 4);
    for i in 0..num_requests {
        draft.join(i * 2, prompt, OUTPUT);
    }
    Some(format!("{prompt} tokens in, {OUTPUT} out, one every 2 passes"))
}

fn decode_heavy(draft: &mut Draft) -> Option<String> {
    let prompt = 16.min(draft.room.sequence / 4).max(1);
    let output = (draft.num_passes * 3 / 4).min(draft.room.sequence - prompt).max(1);
    let num_requests = draft.room.seqs.min(12);
    let gap = (draft.num_passes / 4 / num_requests.max(1)).max(1);
    for i in 0..num_requests {
        // Not all of one length: errors over the number of passes need different numbers.
        draft.join(i * gap, prompt, output - output / 2 * i / num_requests);
    }
    Some(format!("{prompt} tokens in, {output} to {} out, one every {gap} passes", output - output / 2))
}

fn shared_prefixes(draft: &mut Draft) -> Option<String> {
    const NUM_PREFIXES: usize = 3;
    let (prompt, output) = draft.ordinary();
    let (block, suffix) = (draft.room.block.max(1), (prompt / 4).max(1));
    let prefix = (draft.room.sequence / 2).min(512) / block * block;
    let prefixes: Vec<Vec<u32>> = (0..NUM_PREFIXES).map(|_| draft.text(prefix)).collect();
    let num_requests = (draft.num_passes * 4 / output).max(6);
    for i in 0..num_requests {
        let mut text = prefixes[i as usize % NUM_PREFIXES].clone();
        text.extend(draft.text(suffix));
        draft.join_with(i * output / 4, text, output);
    }
    Some(format!("one of {NUM_PREFIXES} prefixes of {prefix} tokens and {suffix} own ones in, {output} out, evenly"))
}

fn aborts(draft: &mut Draft) -> Option<String> {
    let (prompt, output) = draft.ordinary();
    let at_a_time = draft.room.seqs.min(6).min(output);
    for i in 0..(draft.num_passes * at_a_time / output).max(1) {
        let at = i * output / at_a_time;
        draft.join(at, prompt, output);
        if i % 4 == 3 {
            draft.abort_last(at + output / 2);
        }
    }
    Some(format!("{prompt} tokens in, {output} out, evenly, {at_a_time} at a time, every fourth aborted halfway"))
}

/// All join at once with room for their prompts, and their answers grow until some have to be preempted.
fn kv_tight(draft: &mut Draft) -> Option<String> {
    let room = draft.room;
    let output = (draft.num_passes / 4).min(room.sequence / 2).max(1);
    let num_requests = room.seqs.min(32);
    // When a third of the answers is there, the cache is full.
    let prompt = (room.kv_cache / num_requests.max(1)).saturating_sub(output / 3);
    let num_prompt_tokens = prompt.saturating_mul(num_requests);
    let fits = prompt > 0 && prompt + output <= room.sequence && num_prompt_tokens <= 2 * draft.prompt_budget();
    if !fits || num_requests < 2 {
        return None;
    }
    for _ in 0..num_requests {
        draft.join(0, prompt, output);
    }
    Some(format!("{prompt} tokens in, {output} out, all at once: more than the KV cache of {} tokens", room.kv_cache))
}

/// A number with mean `mean`.
fn exponential(draft: &mut Draft, mean: f64) -> f64 {
    -mean * (1.0 - draft.random.random()).ln()
}

/// A whole number from 1 to `high`, small ones as likely as large ones.
fn log_uniform(draft: &mut Draft, high: u32) -> u32 {
    whole(f64::from(high + 1).powf(draft.random.random())).clamp(1, high)
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "of a number of passes or tokens")]
const fn whole(x: f64) -> u32 {
    x as u32
}
