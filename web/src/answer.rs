//! What the worker says of a run: plain data, ready to be drawn. Times are in seconds unless a name says otherwise.

use sim_core::metrics::figure_ranges::RunRange;

use crate::fleet_answer::FleetAnswer;
use crate::parcel::{choices, records};

/// Everything the page shows of a run without asking again.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Answer {
    /// 16 hexadecimal digits: [`sim_core::metrics::digest::digest`], equal to that of `profiler simulate`.
    pub(crate) digest: String,
    /// Requests sent.
    pub(crate) num_requests: u32,
    /// Requests that ran to their end.
    pub(crate) num_finished: u32,
    /// Entries of the dataset that ask for no token and were left out.
    pub(crate) num_skipped: u32,
    /// Wall-clock time of the simulation itself, in milliseconds.
    pub(crate) wall_ms: f64,
    /// Where the step times come from.
    pub(crate) profile: ProfileCard,
    /// The resolved engine, field by field.
    pub(crate) engine: Vec<EngineField>,
    /// What vLLM would log of its KV cache.
    pub(crate) kv_cache: KvCache,
    /// What vLLM or the simulator would rather see otherwise.
    pub(crate) warnings: Vec<String>,
    /// Whether the objectives are met, and what holds requests back.
    pub(crate) verdict: Verdict,
    /// What became of the drafts, in a sentence; empty without any.
    pub(crate) spec_decoding: String,
    /// Throughputs and totals of `vllm bench serve`.
    pub(crate) totals: Totals,
    /// One entry each for TTFT, TPOT, ITL and E2EL, in that order; client queue time last, if there is any.
    pub(crate) metrics: Vec<Metric>,
    /// Mean and percentiles of the parts of TTFT.
    pub(crate) ttft_split: Vec<SplitRow>,
    /// The engine over time; empty of several.
    pub(crate) series: TimeSeries,
    /// Each of several engines; `None` of one.
    pub(crate) fleet: Option<FleetAnswer>,
    /// The table of `vllm bench serve`.
    pub(crate) bench_table: String,
    /// The engine's summary as name and value, as `profiler simulate` prints it.
    pub(crate) engine_lines: Vec<(String, String)>,
}

/// How far the figures of a run may be off.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct RangeAnswer {
    /// Factors, what says so, and the figures of the result file at the ends.
    pub(crate) range: RunRange,
    /// The same requests at both ends, the faster first; several of each where passes differ at random.
    pub(crate) bounds: Vec<Bound>,
}

/// A run at an end of the range.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Bound {
    /// By which the time of every pass was multiplied.
    pub(crate) factor: f64,
    /// Share of requests that meet every objective.
    pub(crate) share_met: f64,
    /// Good requests per second.
    pub(crate) goodput: f64,
    /// As those of the answer.
    pub(crate) totals: Totals,
    /// As those of the answer.
    pub(crate) metrics: Vec<Metric>,
}

/// The facts of a profile that belong beside every number made from it.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct ProfileCard {
    /// Its name in the gallery, or the file's.
    pub(crate) name: String,
    /// `measured`, `derived`, `estimated` or `synthetic`.
    pub(crate) kind: String,
    /// The model.
    pub(crate) model: String,
    /// The device, and how many.
    pub(crate) hardware: String,
    /// vLLM whose passes were timed.
    pub(crate) vllm_version: String,
    /// Day it was made.
    pub(crate) date: String,
    /// Name, version, licence, address.
    pub(crate) sources: Vec<[String; 4]>,
    /// What a reader must know.
    pub(crate) notes: Vec<String>,
    /// Held-out runs: workload, metric, measured, predicted. Empty: never compared with a running engine.
    pub(crate) validation_runs: Vec<(String, String, f64, f64)>,
    /// Held-out passes that were compared, and their median absolute error relative to the measurement.
    pub(crate) validation_steps: Option<(u32, f64)>,
    /// Share of the device time from points that were measured exactly, 0 to 1.
    pub(crate) measured_share: f64,
    /// Share of the device time beyond the profile's samples, 0 to 1.
    pub(crate) extrapolated_share: f64,
    /// What is to be said of an estimate; empty with other profiles.
    pub(crate) estimated: String,
}

/// A resolved setting.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct EngineField {
    /// vLLM's name, with underscores.
    pub(crate) field: String,
    /// Its value.
    pub(crate) value: String,
    /// Why: `given`, or the reason for the default.
    pub(crate) reason: String,
    /// Whether the user gave it and it holds.
    pub(crate) is_given: bool,
}

/// The KV cache as vLLM's start-up log tells of it.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct KvCache {
    /// Blocks, the null block included.
    pub(crate) num_gpu_blocks: u32,
    /// Tokens that fit.
    pub(crate) num_tokens: u64,
    /// Requests of `max_model_len` tokens that fit.
    pub(crate) max_concurrency: f64,
    /// The groups of layers with blocks of their own, in words; empty if there is one.
    pub(crate) groups: String,
}

/// What keeps a waiting request from running.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Limit {
    /// No request ever waited in the engine for longer than a pass.
    Nothing,
    /// The KV blocks are in use.
    KvBlocks,
    /// `max_num_seqs` requests run.
    BatchSize,
    /// A pass has no more tokens to give.
    TokenBudget,
    /// The client's own `max_concurrency`.
    ClientConcurrency,
    /// Passes are kept for decodes by `prefill_schedule_interval`.
    PrefillInterval,
}

/// The answer in a sentence's worth of facts.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Verdict {
    /// Whether every objective that was asked for is met by [`Verdict::REQUIRED_SHARE`] of the requests; `None` without any.
    pub(crate) meets: Option<bool>,
    /// Share of requests that meet every objective.
    pub(crate) share_met: f64,
    /// Good requests per second.
    pub(crate) goodput: f64,
    /// Per objective: metric key, bound in ms, share of the requests within it.
    pub(crate) objectives: Vec<(String, f64, f64)>,
    /// What held requests back for most of the time in which any waited.
    pub(crate) limit: Limit,
    /// Share of the run in which a request waited in the engine, 0 to 1.
    pub(crate) waiting_share: f64,
    /// Of that time, the share that each limit is the reason for.
    pub(crate) limits: Vec<(Limit, f64)>,
    /// Requests are sent faster than they are answered: the latencies grow with the length of the run.
    pub(crate) overload: Option<Overload>,
    /// What to try: one sentence, or nothing to say.
    pub(crate) advice: Option<String>,
}

impl Verdict {
    /// Share of requests that must meet the objectives.
    pub(crate) const REQUIRED_SHARE: f64 = 0.99;
}

/// Requests are sent faster than they are answered.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Overload {
    /// Requests per second that were sent.
    pub(crate) offered: f64,
    /// Requests per second that were answered meanwhile.
    pub(crate) answered: f64,
}

/// Totals, as `vllm bench serve` reports them.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Totals {
    /// From the first request to the last answer.
    pub(crate) duration: f64,
    /// Answered requests per second.
    pub(crate) request_throughput: f64,
    /// Output tokens per second.
    pub(crate) output_throughput: f64,
    /// Prompt and output tokens per second.
    pub(crate) total_token_throughput: f64,
    /// Output tokens in the best second.
    pub(crate) max_output_tokens_per_s: f64,
    /// Requests under way in the fullest second.
    pub(crate) max_concurrent_requests: f64,
    /// Prompt tokens.
    pub(crate) total_input_tokens: u64,
    /// Output tokens.
    pub(crate) total_output_tokens: u64,
    /// Preemptions.
    pub(crate) num_preemptions: u64,
    /// Share of looked-up tokens found in the prefix cache, 0 to 1.
    pub(crate) prefix_cache_hit_rate: f64,
}

/// A latency's distribution.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Metric {
    /// `ttft`, `tpot`, `itl`, `e2el`, `client_queue_time`.
    pub(crate) key: String,
    /// `TTFT`.
    pub(crate) name: String,
    /// `Time to First Token`.
    pub(crate) header: String,
    /// Samples.
    pub(crate) count: u64,
    /// Arithmetic mean.
    pub(crate) mean: f64,
    /// Population standard deviation.
    pub(crate) std: f64,
    /// Smallest sample.
    pub(crate) min: f64,
    /// Largest sample.
    pub(crate) max: f64,
    /// P50, P75, P90, P95, P99, P99.9: percent and value.
    pub(crate) percentiles: Vec<(f64, f64)>,
    /// The objective for it, in seconds.
    pub(crate) objective: Option<f64>,
    /// (value, share of samples at most it), thinned to what a plot can show, the tail kept.
    pub(crate) ecdf: Vec<(f64, f64)>,
    /// Edges and counts of equal bins.
    pub(crate) linear_histogram: Bins,
    /// Edges and counts of bins of equal ratio.
    pub(crate) log_histogram: Bins,
}

/// A histogram.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Bins {
    /// One more than bins.
    pub(crate) edges: Vec<f64>,
    /// Samples per bin.
    pub(crate) counts: Vec<u64>,
}

/// The parts of TTFT, which add up to it.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct SplitRow {
    /// `Mean`, `P50`, `P90`, `P95`, `P99`: of the requests around that rank of TTFT.
    pub(crate) label: String,
    /// From sending until the engine's queue.
    pub(crate) front_end: f64,
    /// Waiting for a busy API server, on the way in and on the way out.
    pub(crate) front_end_wait: f64,
    /// In the engine's queue.
    pub(crate) queue: f64,
    /// From the first pass until the engine has the first token.
    pub(crate) prefill: f64,
    /// From there to the client.
    pub(crate) delivery: f64,
}

/// (time, smallest, mean, largest) in spans of the run.
pub(crate) type SeriesPoints = Vec<(f64, f64, f64, f64)>;

/// The engine over time.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct TimeSeries {
    /// Requests in the running list.
    pub(crate) running: SeriesPoints,
    /// Requests waiting.
    pub(crate) waiting: SeriesPoints,
    /// KV blocks in use, 0 to 1.
    pub(crate) kv_cache_usage: SeriesPoints,
    /// Tokens per pass.
    pub(crate) tokens_per_pass: SeriesPoints,
    /// Of these, of prefill chunks.
    pub(crate) prefill_tokens_per_pass: SeriesPoints,
    /// Of these, drafts; empty without a drafter.
    pub(crate) draft_tokens_per_pass: SeriesPoints,
    /// Most requests in the running list.
    pub(crate) max_num_seqs: u32,
    /// Most tokens of a pass.
    pub(crate) max_num_batched_tokens: u32,
}

records! {
    Answer {
        digest, num_requests, num_finished, num_skipped, wall_ms, profile, engine, kv_cache, warnings, verdict,
        spec_decoding, totals, metrics, ttft_split, series, fleet, bench_table, engine_lines,
    }
    RangeAnswer { range, bounds }
    RunRange { low_factor, high_factor, why, figures }
    Bound { factor, share_met, goodput, totals, metrics }
    ProfileCard {
        name, kind, model, hardware, vllm_version, date, sources, notes, validation_runs, validation_steps,
        measured_share, extrapolated_share, estimated,
    }
    EngineField { field, value, reason, is_given }
    KvCache { num_gpu_blocks, num_tokens, max_concurrency, groups }
    Verdict { meets, share_met, goodput, objectives, limit, waiting_share, limits, overload, advice }
    Overload { offered, answered }
    Totals {
        duration, request_throughput, output_throughput, total_token_throughput, max_output_tokens_per_s,
        max_concurrent_requests, total_input_tokens, total_output_tokens, num_preemptions, prefix_cache_hit_rate,
    }
    Metric {
        key, name, header, count, mean, std, min, max, percentiles, objective, ecdf, linear_histogram, log_histogram,
    }
    Bins { edges, counts }
    SplitRow { label, front_end, front_end_wait, queue, prefill, delivery }
    TimeSeries {
        running, waiting, kv_cache_usage, tokens_per_pass, prefill_tokens_per_pass, draft_tokens_per_pass,
        max_num_seqs, max_num_batched_tokens,
    }
}

choices! {
    Limit {
        0 Nothing {}
        1 KvBlocks {}
        2 BatchSize {}
        3 TokenBudget {}
        4 ClientConcurrency {};
        5 PrefillInterval {}
    }
}
