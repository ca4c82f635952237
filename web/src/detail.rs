//! What the worker says when it is asked again: single requests, single passes, a measured run. Times are in seconds
//! unless a name says otherwise.

use crate::answer::{Metric, Totals};
use crate::parcel::records;

/// One request, in the order of the workload.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct RequestRow {
    /// Its number.
    pub(crate) index: u32,
    /// When it was sent.
    pub(crate) send: f64,
    /// Prompt tokens.
    pub(crate) num_prompt_tokens: u32,
    /// Of these, found in the prefix cache.
    pub(crate) num_cached_tokens: u32,
    /// Output tokens.
    pub(crate) num_output_tokens: u32,
    /// Wait for `max_concurrency`.
    pub(crate) client_queue: f64,
    /// Time to first token.
    pub(crate) ttft: f64,
    /// Wait in the engine's queue.
    pub(crate) queue: f64,
    /// Time per output token; `None` for a single token.
    pub(crate) tpot: Option<f64>,
    /// End-to-end latency.
    pub e2el: f64,
    /// Times it was preempted.
    pub(crate) num_preemptions: u32,
    /// Whether it meets every objective.
    pub(crate) is_good: bool,
    /// Whether it ran to its end. If not, the times are zero.
    pub(crate) is_finished: bool,
}

/// A stretch of the run in which each request and each pass is drawn.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct GanttWindow {
    /// Begin and end.
    pub(crate) range: (f64, f64),
    /// End of the run.
    pub(crate) end: f64,
    /// Thinned: neighbours are joined where they would be narrower than a pixel; each number is then the largest of
    /// theirs.
    pub(crate) passes: Vec<PassBar>,
    /// Requests under way: index, scheduled send, send, queued, first scheduled, first delivery, last delivery.
    pub(crate) requests: Vec<(u32, [f64; 6])>,
    /// Requests under way that are not listed, for want of room.
    pub(crate) num_hidden: u32,
}

/// A pass, or several that are drawn as one.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct PassBar {
    /// When the first begins.
    pub(crate) start: f64,
    /// When the last ends.
    pub(crate) end: f64,
    /// All tokens.
    pub(crate) num_tokens: u32,
    /// Tokens of prefill chunks.
    pub(crate) num_prefill_tokens: u32,
    /// Drafts that are verified.
    pub(crate) num_draft_tokens: u32,
    /// Requests.
    pub(crate) num_reqs: u32,
}

/// A measured run of `vllm bench serve`.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct MeasuredRun {
    /// The file.
    pub(crate) file: String,
    /// Its `label`, model and backend, as far as given.
    pub(crate) title: String,
    /// Answered requests.
    pub(crate) completed: u64,
    /// Failed requests.
    pub(crate) failed: u64,
    /// What the file states of its run ([`sim_core::scenario::repeat::settings`]) and its `date`: name and text.
    pub(crate) settings: Vec<(String, String)>,
    /// Totals.
    pub(crate) totals: Totals,
    /// Distributions if the file is detailed; else only the statistics it has (empty `ecdf`, missing percentiles left
    /// out, `min` and `max` 0).
    pub(crate) metrics: Vec<Metric>,
    /// Whether the file says that it was simulated.
    pub(crate) is_simulated: bool,
    /// What was concluded instead of read: sentences.
    pub(crate) notes: Vec<String>,
    /// The model that the file names; empty if none.
    pub(crate) model: String,
}

records! {
    RequestRow {
        index, send, num_prompt_tokens, num_cached_tokens, num_output_tokens, client_queue, ttft, queue, tpot, e2el,
        num_preemptions, is_good, is_finished,
    }
    GanttWindow { range, end, passes, requests, num_hidden }
    PassBar { start, end, num_tokens, num_prefill_tokens, num_draft_tokens, num_reqs }
    MeasuredRun { file, title, completed, failed, settings, totals, metrics, is_simulated, notes, model }
}
