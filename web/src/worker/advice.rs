//! The verdict: whether the objectives are met, what holds requests back, and what to try.

use sim_core::config::EngineConfig;
use sim_core::kv_cache::spec::LayerKind;
use sim_core::metrics::bench_outputs::BenchOutputs;
use sim_core::metrics::bench_serve::BenchmarkMetrics;
use sim_core::metrics::goodput::Goodput;
use sim_core::metrics::limits::{self, WaitingLimits};

use super::run::FinishedRun;
use crate::answer::{Limit, Overload, Verdict};

/// Share of the run that requests must wait for advice about it to be worth a sentence.
const WORTH_A_SENTENCE: f64 = 0.05;

/// Share of the verifications that must accept the last draft for it to be worth its rows. A rule of thumb: what a row
/// costs depends on the pass.
const WORTH_DRAFTING: f64 = 0.3;

/// The verdict on `run`.
pub(crate) fn verdict(run: &FinishedRun, outputs: &impl BenchOutputs, metrics: &BenchmarkMetrics) -> Verdict {
    let goodput = &run.options.goodput;
    let none = Goodput::default();
    let objectives = [
        ("ttft", goodput.ttft_ms, Goodput { ttft_ms: goodput.ttft_ms, ..none }),
        ("tpot", goodput.tpot_ms, Goodput { tpot_ms: goodput.tpot_ms, ..none }),
        ("e2el", goodput.e2el_ms, Goodput { e2el_ms: goodput.e2el_ms, ..none }),
    ];
    let objectives: Vec<(String, f64, f64)> = objectives
        .into_iter()
        .filter_map(|(key, bound, alone)| Some((key.to_owned(), bound?, alone.share_met(outputs))))
        .collect();
    let share_met = goodput.share_met(outputs);
    let (recording, config) = (&run.result.recording, &run.engine.config);
    let waiting = match &run.several {
        Some(several) => several.waiting(recording, config),
        None => WaitingLimits::new(recording, config),
    };
    let overload =
        limits::overload(recording).map(|found| Overload { offered: found.offered, answered: found.answered });
    let meets = (!goodput.is_empty()).then_some(share_met >= Verdict::REQUIRED_SHARE);
    let mut verdict = Verdict {
        meets,
        share_met,
        goodput: metrics.request_goodput,
        objectives,
        limit: main_limit(&waiting),
        waiting_share: waiting.waiting_share,
        limits: waiting.limits.iter().map(|&(limit, share)| (of_engine(limit), share)).collect(),
        overload,
        advice: None,
    };
    verdict.advice = advice(&verdict, &waiting, run);
    verdict
}

const fn of_engine(limit: limits::Limit) -> Limit {
    match limit {
        limits::Limit::KvBlocks => Limit::KvBlocks,
        limits::Limit::BatchSize => Limit::BatchSize,
        limits::Limit::TokenBudget => Limit::TokenBudget,
        limits::Limit::PrefillInterval => Limit::PrefillInterval,
    }
}

/// What requests waited for longest: one of the engine's limits, or the client's.
fn main_limit(waiting: &WaitingLimits) -> Limit {
    let engine = waiting.limits.first().map(|&(limit, share)| (of_engine(limit), share * waiting.waiting_share));
    match engine {
        Some((limit, share)) if share >= waiting.client_waiting_share => limit,
        _ if waiting.client_waiting_share > 0.0 => Limit::ClientConcurrency,
        _ => Limit::Nothing,
    }
}

fn advice(verdict: &Verdict, waiting: &WaitingLimits, run: &FinishedRun) -> Option<String> {
    let waits =
        if verdict.limit == Limit::ClientConcurrency { waiting.client_waiting_share } else { verdict.waiting_share };
    let raise = (waits >= WORTH_A_SENTENCE).then(|| raise(verdict.limit, run)).flatten();
    if let Some(overload) = verdict.overload {
        let or = raise.map_or_else(String::new, |raise| format!(", or {}", lower_first(&raise)));
        return Some(format!("Lower --request-rate below {:.2}{or}", overload.answered));
    }
    if verdict.meets == Some(true) {
        return None;
    }
    raise.or_else(|| missed(verdict, run))
}

/// What to change where requests wait for `limit`: a sentence without full stop.
fn raise(limit: Limit, run: &FinishedRun) -> Option<String> {
    let config = &run.engine.config;
    match limit {
        Limit::Nothing => None,
        Limit::KvBlocks => {
            let preemptions = match run.result.stats.num_preemptions {
                0 => String::new(),
                1 => ", with 1 preemption".to_owned(),
                count => format!(", with {count} preemptions"),
            };
            if keeps_what_no_layer_reads(config) {
                return Some(format!(
                    "Leave out --disable-hybrid-kv-cache-manager: layers that look at a window keep every token, and \
                     too few of the {} KV blocks are free{preemptions}",
                    config.num_gpu_blocks.saturating_sub(1)
                ));
            }
            Some(format!(
                "Raise --gpu-memory-utilization, or send fewer or shorter requests: too few of the {} KV \
                 blocks are free{preemptions}",
                config.num_gpu_blocks.saturating_sub(1)
            ))
        }
        Limit::BatchSize => {
            let (flag, value) = batch_size_flag(config);
            Some(format!("Raise {flag} above {value}: requests wait for a place in the batch"))
        }
        Limit::TokenBudget => {
            let (flag, value) = token_budget_flag(config);
            let drafts = config.speculative.as_ref().map_or_else(String::new, |speculative| {
                let most = speculative.num_speculative_tokens + 1;
                format!(" that verifications take up to {most} tokens each of")
            });
            Some(format!(
                "Raise {flag} above {value}: prompts wait for room in a pass{drafts}. Passes then last longer, and so do \
                 inter-token latencies"
            ))
        }
        Limit::ClientConcurrency => {
            let max = run.options.max_concurrency.unwrap_or(0);
            Some(format!("Raise --max-concurrency above {max}: the client itself holds requests back"))
        }
        Limit::PrefillInterval => Some(format!(
            "Lower --prefill-schedule-interval below {}: prompts are held back for passes of decodes alone",
            config.prefill_schedule_interval
        )),
    }
}

const fn batch_size_flag(config: &EngineConfig) -> (&'static str, u32) {
    if config.max_num_active_seqs < config.max_num_seqs {
        ("--max-num-active-seqs", config.max_num_active_seqs)
    } else {
        ("--max-num-seqs", config.max_num_seqs)
    }
}

const fn token_budget_flag(config: &EngineConfig) -> (&'static str, u32) {
    if config.max_num_scheduled_tokens < config.max_num_batched_tokens {
        ("--max-num-scheduled-tokens", config.max_num_scheduled_tokens)
    } else {
        ("--max-num-batched-tokens", config.max_num_batched_tokens)
    }
}

/// Whether layers that look at a window or a chunk keep all tokens, because groups were not asked for.
fn keeps_what_no_layer_reads(config: &EngineConfig) -> bool {
    config.kv_cache.groups.iter().any(|group| {
        matches!(
            group.spec.kind,
            LayerKind::FullAttention { sliding_window: Some(_), .. }
                | LayerKind::FullAttention { attention_chunk_size: Some(_), .. }
        )
    })
}

/// The last draft, where most verifications reject it: its number and the share that accept it.
fn wasted_draft(run: &FinishedRun) -> Option<(usize, f64)> {
    let rates = run.result.recording.spec_decoding.per_position_acceptance_rates();
    let &last = rates.last()?;
    (last < WORTH_DRAFTING).then_some((rates.len(), last))
}

/// What to try where an objective is missed and nothing waits: the objective that the fewest requests meet decides.
fn missed(verdict: &Verdict, run: &FinishedRun) -> Option<String> {
    verdict.meets.filter(|meets| !meets)?;
    let (key, ..) = verdict.objectives.iter().min_by(|a, b| a.2.total_cmp(&b.2))?;
    if let ("tpot" | "e2el", Some((number, share))) = (key.as_str(), wasted_draft(run)) {
        return Some(format!(
            "Lower num_speculative_tokens below {number}: only {:.0} % of the verifications accept draft {number}, and every \
             pass pays for it",
            100.0 * share
        ));
    }
    Some(match key.as_str() {
        "ttft" => {
            "Send shorter prompts, or a lower --request-rate: requests do not queue for long, so the time to first token \
             is that of their prefill and of the passes before it"
        }
        _ => {
            "Lower --max-num-seqs or --request-rate: requests do not queue for long, but many share each pass, and every \
             token takes as long as its pass"
        }
    }
    .to_owned())
}

fn lower_first(sentence: &str) -> String {
    let mut chars = sentence.chars();
    chars.next().map_or_else(String::new, |first| first.to_lowercase().chain(chars).collect())
}
