//! When requests are sent, or what they wait for.

use alloc::vec::Vec;

use crate::request::RequestId;
use crate::time::{SimDuration, SimTime};

/// A request that waits for the answer of another: a turn of a conversation, a step of an agent, a user's next session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct After {
    /// Whose answer it waits for: a request before it in the workload.
    pub request: RequestId,
    /// Time from that answer's last token to this request: thinking, typing, a tool at work.
    pub delay: SimDuration,
}

/// When requests reach the engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Traffic {
    /// A client sends request `i` at `send_times[i]`, or later if `max_concurrency` requests are under way: then as
    /// soon as one of them ends, first come first served (the semaphore of `vllm bench serve --max-concurrency`).
    Timed {
        /// One time per request, not decreasing. All zero: everything at once (`--request-rate inf`).
        send_times: Vec<SimTime>,
        /// Most requests under way; `None` for no limit, else at least 1.
        max_concurrency: Option<u32>,
    },
    /// A client sends request `i` at `not_before[i]`, or when `after[i]` allows it, if that is later. Then as above.
    Answered {
        /// One time per request, in any order.
        not_before: Vec<SimTime>,
        /// Whom each request waits for; one per request.
        after: Vec<Option<After>>,
        /// Most requests under way; `None` for no limit, else at least 1.
        max_concurrency: Option<u32>,
    },
    /// `queries_per_iter[i]` requests join before iteration `i` of the engine's step loop. This is the engine's only
    /// native input: every other traffic is turned into it, and the result of a run records it.
    QueriesPerIter {
        /// Requests added before each iteration; they sum to the number of requests.
        queries_per_iter: Vec<u32>,
        /// The order in which they join: every request once, or empty for the order of their numbers. It matters
        /// where a short prompt overtook a longer one in the front end.
        join_order: Vec<RequestId>,
        /// Requests aborted before an iteration's additions, ordered by iteration.
        aborts: Vec<(u32, RequestId)>,
    },
}
