//! What the worker says of a run: plain data, ready to be drawn. Times are in seconds unless a name says otherwise.

use serde::{Deserialize, Serialize};

/// Everything the page shows of a run without asking again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Answer {
    /// 16 hexadecimal digits: [`sim_core::metrics::digest::digest`], equal to that of `profiler simulate`.
    pub digest: String,
    /// Requests sent.
    pub num_requests: u32,
    /// Requests that ran to their end.
    pub num_finished: u32,
    /// Entries of the dataset that ask for no token and were left out.
    pub num_skipped: u32,
    /// Wall-clock time of the simulation itself, in milliseconds.
    pub wall_ms: f64,
    /// Where the step times come from.
    pub profile: ProfileCard,
    /// The resolved engine, field by field.
    pub engine: Vec<EngineField>,
    /// What vLLM would log of its KV cache.
    pub kv_cache: KvCache,
    /// What vLLM or the simulator would rather see otherwise.
    pub warnings: Vec<String>,
    /// Whether the objectives are met, and what holds requests back.
    pub verdict: Verdict,
    /// Throughputs and totals of `vllm bench serve`.
    pub totals: Totals,
    /// One entry each for TTFT, TPOT, ITL and E2EL, in that order; client queue time last, if there is any.
    pub metrics: Vec<Metric>,
    /// Mean and percentiles of the parts of TTFT.
    pub ttft_split: Vec<SplitRow>,
    /// The engine over time.
    pub series: TimeSeries,
    /// The table of `vllm bench serve`.
    pub bench_table: String,
    /// The engine's summary as name and value, as `profiler simulate` prints it.
    pub engine_lines: Vec<(String, String)>,
}

/// The facts of a profile that belong beside every number made from it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ProfileCard {
    /// Its name in the gallery, or the file's.
    pub name: String,
    /// `measured`, `derived` or `synthetic`.
    pub kind: String,
    /// The model.
    pub model: String,
    /// The device, and how many.
    pub hardware: String,
    /// vLLM whose passes were timed.
    pub vllm_version: String,
    /// Day it was made.
    pub date: String,
    /// Name, version, licence, address.
    pub sources: Vec<[String; 4]>,
    /// What a reader must know.
    pub notes: Vec<String>,
    /// Held-out runs: workload, metric, measured, predicted. Empty: never compared with a running engine.
    pub validation_runs: Vec<(String, String, f64, f64)>,
    /// Held-out passes that were compared, and their median absolute error relative to the measurement.
    pub validation_steps: Option<(u32, f64)>,
    /// Share of the device time from points that were measured exactly, 0 to 1.
    pub measured_share: f64,
    /// Share of the device time beyond the profile's samples, 0 to 1.
    pub extrapolated_share: f64,
}

/// A resolved setting.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EngineField {
    /// vLLM's name, with underscores.
    pub field: String,
    /// Its value.
    pub value: String,
    /// Why: `given`, or the reason for the default.
    pub reason: String,
    /// Whether the user gave it and it holds.
    pub is_given: bool,
}

/// The KV cache as vLLM's start-up log tells of it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct KvCache {
    /// Blocks, the null block included.
    pub num_gpu_blocks: u32,
    /// Tokens that fit.
    pub num_tokens: u64,
    /// Requests of `max_model_len` tokens that fit.
    pub max_concurrency: f64,
}

/// What keeps a waiting request from running.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Limit {
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
}

/// The answer in a sentence's worth of facts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    /// Whether every objective that was asked for is met by [`Verdict::REQUIRED_SHARE`] of the requests; `None` without any.
    pub meets: Option<bool>,
    /// Share of requests that meet every objective.
    pub share_met: f64,
    /// Good requests per second.
    pub goodput: f64,
    /// Per objective: metric key, bound in ms, share of the requests within it.
    pub objectives: Vec<(String, f64, f64)>,
    /// What held requests back for most of the time in which any waited.
    pub limit: Limit,
    /// Share of the run in which a request waited in the engine, 0 to 1.
    pub waiting_share: f64,
    /// Of that time, the share that each limit is the reason for.
    pub limits: Vec<(Limit, f64)>,
    /// Requests are sent faster than they are answered: the latencies grow with the length of the run.
    pub overload: Option<Overload>,
    /// What to try: one sentence, or nothing to say.
    pub advice: Option<String>,
}

impl Verdict {
    /// Share of requests that must meet the objectives.
    pub const REQUIRED_SHARE: f64 = 0.99;
}

/// Requests are sent faster than they are answered.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Overload {
    /// Requests per second that were sent.
    pub offered: f64,
    /// Requests per second that were answered meanwhile.
    pub answered: f64,
}

/// Totals, as `vllm bench serve` reports them.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Totals {
    /// From the first request to the last answer.
    pub duration: f64,
    /// Answered requests per second.
    pub request_throughput: f64,
    /// Output tokens per second.
    pub output_throughput: f64,
    /// Prompt and output tokens per second.
    pub total_token_throughput: f64,
    /// Output tokens in the best second.
    pub max_output_tokens_per_s: f64,
    /// Requests under way in the fullest second.
    pub max_concurrent_requests: f64,
    /// Prompt tokens.
    pub total_input_tokens: u64,
    /// Output tokens.
    pub total_output_tokens: u64,
    /// Preemptions.
    pub num_preemptions: u64,
    /// Share of looked-up tokens found in the prefix cache, 0 to 1.
    pub prefix_cache_hit_rate: f64,
}

/// A latency's distribution.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Metric {
    /// `ttft`, `tpot`, `itl`, `e2el`, `client_queue_time`.
    pub key: String,
    /// `TTFT`.
    pub name: String,
    /// `Time to First Token`.
    pub header: String,
    /// Samples.
    pub count: u64,
    /// Arithmetic mean.
    pub mean: f64,
    /// Population standard deviation.
    pub std: f64,
    /// Smallest sample.
    pub min: f64,
    /// Largest sample.
    pub max: f64,
    /// P50, P75, P90, P95, P99, P99.9: percent and value.
    pub percentiles: Vec<(f64, f64)>,
    /// The objective for it, in seconds.
    pub objective: Option<f64>,
    /// (value, share of samples at most it), thinned to what a plot can show, the tail kept.
    pub ecdf: Vec<(f64, f64)>,
    /// Edges and counts of equal bins.
    pub linear_histogram: Bins,
    /// Edges and counts of bins of equal ratio.
    pub log_histogram: Bins,
}

/// A histogram.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Bins {
    /// One more than bins.
    pub edges: Vec<f64>,
    /// Samples per bin.
    pub counts: Vec<u64>,
}

/// The parts of TTFT, which add up to it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct SplitRow {
    /// `Mean`, `P50`, `P90`, `P95`, `P99`: of the requests around that rank of TTFT.
    pub label: String,
    /// From sending until the engine's queue.
    pub front_end: f64,
    /// In the engine's queue.
    pub queue: f64,
    /// From the first pass until the engine has the first token.
    pub prefill: f64,
    /// From there to the client.
    pub delivery: f64,
}

/// (time, smallest, mean, largest) in spans of the run.
pub type SeriesPoints = Vec<(f64, f64, f64, f64)>;

/// The engine over time.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct TimeSeries {
    /// Requests in the running list.
    pub running: SeriesPoints,
    /// Requests waiting.
    pub waiting: SeriesPoints,
    /// KV blocks in use, 0 to 1.
    pub kv_cache_usage: SeriesPoints,
    /// Tokens per pass.
    pub tokens_per_pass: SeriesPoints,
    /// Of these, of prefill chunks.
    pub prefill_tokens_per_pass: SeriesPoints,
    /// Most requests in the running list.
    pub max_num_seqs: u32,
    /// Most tokens of a pass.
    pub max_num_batched_tokens: u32,
}

/// One request, in the order of the workload.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct RequestRow {
    /// Its number.
    pub index: u32,
    /// When it was sent.
    pub send: f64,
    /// Prompt tokens.
    pub num_prompt_tokens: u32,
    /// Of these, found in the prefix cache.
    pub num_cached_tokens: u32,
    /// Output tokens.
    pub num_output_tokens: u32,
    /// Wait for `max_concurrency`.
    pub client_queue: f64,
    /// Time to first token.
    pub ttft: f64,
    /// Wait in the engine's queue.
    pub queue: f64,
    /// Time per output token; `None` for a single token.
    pub tpot: Option<f64>,
    /// End-to-end latency.
    pub e2el: f64,
    /// Times it was preempted.
    pub num_preemptions: u32,
    /// Whether it meets every objective.
    pub is_good: bool,
    /// Whether it ran to its end. If not, the times are zero.
    pub is_finished: bool,
}

/// A stretch of the run in which each request and each pass is drawn.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct GanttWindow {
    /// Begin and end.
    pub range: (f64, f64),
    /// End of the run.
    pub end: f64,
    /// Passes: start, end, all tokens, prefill tokens, requests. Thinned: neighbours are joined where they would
    /// be narrower than a pixel; each number is then the largest of theirs.
    pub passes: Vec<(f64, f64, u32, u32, u32)>,
    /// Requests under way: index, scheduled send, send, queued, first scheduled, first delivery, last delivery.
    pub requests: Vec<(u32, [f64; 6])>,
    /// Requests under way that are not listed, for want of room.
    pub num_hidden: u32,
}

/// A measured run of `vllm bench serve`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct MeasuredRun {
    /// The file.
    pub file: String,
    /// Its `label`, model and backend, as far as given.
    pub title: String,
    /// Answered requests.
    pub completed: u64,
    /// Failed requests.
    pub failed: u64,
    /// `request_rate` and `max_concurrency` as the file has them: name and text.
    pub settings: Vec<(String, String)>,
    /// Totals.
    pub totals: Totals,
    /// Distributions if the file is detailed; else only the statistics it has (empty `ecdf`, missing percentiles left
    /// out, `min` and `max` 0).
    pub metrics: Vec<Metric>,
    /// Whether the file says that it was simulated.
    pub is_simulated: bool,
    /// What was concluded instead of read: sentences.
    pub notes: Vec<String>,
}
