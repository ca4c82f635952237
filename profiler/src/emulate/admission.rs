//! How much the engine holds at once: vLLM's limits on its queue, and this program's on its memory.
//!
//! Source: `vllm/v1/engine/async_llm.py::check_admission`.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Most requests that wait or run. vLLM has no such limit of its own; a client that sends for ever would fill the memory.
pub(crate) const MAX_REQUESTS: u64 = 65_536;
/// Most prompt tokens of them, 16 bytes each at worst.
pub(crate) const MAX_PROMPT_TOKENS: u64 = 16 << 20;

/// Why a request is turned away; all are HTTP 503.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rejection {
    /// `--max-num-queued-reqs`
    QueuedReqs,
    /// `--max-num-queued-tokens`
    QueuedTokens,
    /// [`MAX_REQUESTS`] or [`MAX_PROMPT_TOKENS`]
    Memory,
}

/// `--max-num-queued-reqs` and `--max-num-queued-tokens`.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct QueueLimits {
    pub(crate) max_num_queued_reqs: Option<u64>,
    pub(crate) max_num_queued_tokens: Option<u64>,
}

/// What the engine holds.
#[derive(Debug, Default)]
pub(crate) struct Held {
    num_requests: AtomicU64,
    num_prompt_tokens: AtomicU64,
    /// Prompt tokens of requests without a token yet.
    num_queued_tokens: AtomicU64,
}

impl Held {
    /// Requests that wait or run.
    pub(crate) fn num_requests(&self) -> u64 {
        self.num_requests.load(Ordering::Relaxed)
    }

    /// Whether `num_requests` more would be let in.
    pub(crate) fn check(&self, num_requests: u64, limits: QueueLimits) -> Result<(), Rejection> {
        let total = self.num_requests().saturating_add(num_requests);
        if limits.max_num_queued_reqs.is_some_and(|most| total > most) {
            return Err(Rejection::QueuedReqs);
        }
        let num_queued_tokens = self.num_queued_tokens.load(Ordering::Relaxed);
        if limits.max_num_queued_tokens.is_some_and(|most| num_queued_tokens >= most) {
            return Err(Rejection::QueuedTokens);
        }
        if total > MAX_REQUESTS || self.num_prompt_tokens.load(Ordering::Relaxed) >= MAX_PROMPT_TOKENS {
            return Err(Rejection::Memory);
        }
        Ok(())
    }

    /// A place for a request of so many prompt tokens.
    pub(crate) fn hold(self: &Arc<Self>, num_prompt_tokens: u32) -> Hold {
        let num_prompt_tokens = u64::from(num_prompt_tokens);
        self.num_requests.fetch_add(1, Ordering::Relaxed);
        self.num_prompt_tokens.fetch_add(num_prompt_tokens, Ordering::Relaxed);
        self.num_queued_tokens.fetch_add(num_prompt_tokens, Ordering::Relaxed);
        Hold { held: Arc::clone(self), num_prompt_tokens, is_queued: true }
    }
}

/// A request's place, given back when this is dropped.
#[derive(Debug)]
pub(crate) struct Hold {
    held: Arc<Held>,
    num_prompt_tokens: u64,
    is_queued: bool,
}

impl Hold {
    /// The request has got its first token.
    pub(crate) fn note_first_token(&mut self) {
        if std::mem::take(&mut self.is_queued) {
            self.held.num_queued_tokens.fetch_sub(self.num_prompt_tokens, Ordering::Relaxed);
        }
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.note_first_token();
        self.held.num_requests.fetch_sub(1, Ordering::Relaxed);
        self.held.num_prompt_tokens.fetch_sub(self.num_prompt_tokens, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_held_counts_until_it_is_dropped() {
        let held = Arc::new(Held::default());
        let reqs = QueueLimits { max_num_queued_reqs: Some(2), max_num_queued_tokens: None };
        let tokens = QueueLimits { max_num_queued_reqs: None, max_num_queued_tokens: Some(100) };
        let first = held.hold(60);
        assert_eq!((held.check(1, reqs), held.check(2, reqs)), (Ok(()), Err(Rejection::QueuedReqs)));
        assert_eq!(held.check(1, tokens), Ok(()), "as in vLLM, what is there counts, not what comes");
        let mut second = held.hold(40);
        assert_eq!(held.check(1, reqs), Err(Rejection::QueuedReqs));
        assert_eq!(held.check(1, tokens), Err(Rejection::QueuedTokens));
        second.note_first_token();
        second.note_first_token();
        assert_eq!(held.check(1, tokens), Ok(()));
        drop((first, second));
        assert_eq!(held.num_requests(), 0);
        let _large = held.hold(u32::MAX);
        assert_eq!(held.check(1, QueueLimits::default()), Err(Rejection::Memory));
    }
}
