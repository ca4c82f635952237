//! What the engine has given a client so far, between the engine's thread and the connection.
//!
//! It holds numbers only, and what a slow client has not taken yet is summed up in them, as vLLM's
//! `output_processor.py::RequestOutputCollector` does: a client that does not read costs nothing.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use sim_core::request::FinishReason;

/// What one prompt of an HTTP request has got.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Progress {
    pub(crate) num_tokens: u32,
    pub(crate) num_cached_tokens: u32,
    pub(crate) finished: Option<FinishReason>,
}

/// The answer to an HTTP request, as far as it has come.
#[derive(Debug)]
pub(crate) struct Reply {
    /// Which of the connections' threads its connection belongs to.
    pub(crate) thread: usize,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    choices: Vec<Progress>,
    /// When the tokens that nobody has taken yet were due.
    due: Option<Instant>,
    waker: Option<Waker>,
}

/// Tokens for a choice of a reply.
#[derive(Debug, Clone, Copy)]
pub(crate) struct NewTokens {
    pub(crate) choice: usize,
    pub(crate) num_tokens: u32,
    pub(crate) num_cached_tokens: u32,
    pub(crate) finished: Option<FinishReason>,
}

impl Reply {
    /// Nothing yet, for so many prompts of a request on a connection of `thread`.
    pub(crate) fn new(thread: usize, num_choices: usize) -> Self {
        let state = State { choices: vec![Progress::default(); num_choices], due: None, waker: None };
        Self { thread, state: Mutex::new(state) }
    }

    /// Adds tokens that were due at `due`, and wakes who waits for them.
    pub(crate) fn add(&self, new: NewTokens, due: Instant) {
        let mut state = self.lock();
        let Some(progress) = state.choices.get_mut(new.choice) else { return };
        progress.num_tokens += new.num_tokens;
        progress.num_cached_tokens = new.num_cached_tokens;
        progress.finished = new.finished;
        state.due.get_or_insert(due);
        let waker = state.waker.take();
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Waits until something is new beside `told`, brings that up to date, and says since when it was due.
    pub(crate) fn poll_news(&self, context: &Context<'_>, told: &mut Vec<Progress>) -> Poll<Option<Instant>> {
        let mut state = self.lock();
        if state.choices == *told {
            state.waker = Some(context.waker().clone());
            return Poll::Pending;
        }
        told.clone_from(&state.choices);
        Poll::Ready(state.due.take())
    }

    /// A panic elsewhere cannot leave numbers half written.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn tokens(choice: usize, num_tokens: u32, finished: Option<FinishReason>) -> NewTokens {
        NewTokens { choice, num_tokens, num_cached_tokens: 0, finished }
    }

    #[test]
    fn what_nobody_took_is_summed_up() {
        let reply = Reply::new(0, 2);
        let mut told = vec![Progress::default(); 2];
        let context = Context::from_waker(Waker::noop());
        assert!(reply.poll_news(&context, &mut told).is_pending());
        let due = Instant::now();
        reply.add(tokens(1, 1, None), due);
        reply.add(tokens(1, 2, Some(FinishReason::Length)), Instant::now());
        reply.add(tokens(7, 2, None), Instant::now());
        assert_eq!(reply.poll_news(&context, &mut told), Poll::Ready(Some(due)));
        assert_eq!((told[0].num_tokens, told[1].num_tokens), (0, 3));
        assert_eq!(told[1].finished, Some(FinishReason::Length));
        assert!(reply.poll_news(&context, &mut told).is_pending());
    }
}
