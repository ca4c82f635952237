//! The waiting queue.
//!
//! Source: `vllm/v1/core/sched/request_queue.py`.

use alloc::collections::{BTreeSet, VecDeque};
use alloc::vec::Vec;

use crate::config::SchedulingPolicy;
use crate::request::RequestId;
use crate::request_set::InLine;

/// Place of a request under the priority policy: (priority, arrival, id as text, order of creation).
type PriorityKey = (i32, u64, u32, RequestId);

/// Requests that wait for admission, next one first.
#[derive(Debug)]
pub enum RequestQueue {
    /// In order of arrival; preempted requests come back to the front.
    Fcfs(VecDeque<RequestId>),
    /// By priority, whether new or preempted.
    Priority(BTreeSet<PriorityKey>),
}

impl RequestQueue {
    /// An empty queue.
    #[must_use]
    pub const fn new(policy: SchedulingPolicy) -> Self {
        match policy {
            SchedulingPolicy::Fcfs => Self::Fcfs(VecDeque::new()),
            SchedulingPolicy::Priority => Self::Priority(BTreeSet::new()),
        }
    }

    const fn key(id: RequestId, in_line: InLine) -> PriorityKey {
        (in_line.priority, in_line.arrival_order, in_line.id_rank, id)
    }

    /// Adds a new request.
    pub fn add_request(&mut self, id: RequestId, in_line: InLine) {
        match self {
            Self::Fcfs(queue) => queue.push_back(id),
            Self::Priority(queue) => {
                queue.insert(Self::key(id, in_line));
            }
        }
    }

    /// Brings a request back that was preempted or passed over.
    pub fn prepend_request(&mut self, id: RequestId, in_line: InLine) {
        match self {
            Self::Fcfs(queue) => queue.push_front(id),
            Self::Priority(queue) => {
                queue.insert(Self::key(id, in_line));
            }
        }
    }

    /// The next request.
    #[must_use]
    pub fn peek_request(&self) -> Option<RequestId> {
        match self {
            Self::Fcfs(queue) => queue.front().copied(),
            Self::Priority(queue) => queue.first().map(|key| key.3),
        }
    }

    /// Takes the next request.
    pub fn pop_request(&mut self) -> Option<RequestId> {
        match self {
            Self::Fcfs(queue) => queue.pop_front(),
            Self::Priority(queue) => queue.pop_first().map(|key| key.3),
        }
    }

    /// Takes a request out of wherever it is.
    pub fn remove_request(&mut self, id: RequestId, in_line: InLine) {
        match self {
            Self::Fcfs(queue) => queue.retain(|&waiting| waiting != id),
            Self::Priority(queue) => {
                queue.remove(&Self::key(id, in_line));
            }
        }
    }

    /// All waiting requests, next one first.
    pub(super) fn in_order(&self) -> Vec<RequestId> {
        match self {
            Self::Fcfs(queue) => queue.iter().copied().collect(),
            Self::Priority(queue) => queue.iter().map(|key| key.3).collect(),
        }
    }

    /// Number of waiting requests.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Fcfs(queue) => queue.len(),
            Self::Priority(queue) => queue.len(),
        }
    }

    /// Whether nobody waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
