//! What the front end asks of the engine's thread.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{SendError, Sender};
use std::time::Instant;

use sim_core::request::TokenRun;
use tokio::sync::oneshot;

use super::admission::{Held, Hold};
use super::reply::{NewTokens, Reply};

/// Tells requests apart, for as long as the program runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Ticket(pub(crate) u64);

/// A request for the engine.
#[derive(Debug)]
pub(crate) struct Submission {
    pub(crate) ticket: Ticket,
    /// When it came to the front end.
    pub(crate) arrival: Instant,
    pub(crate) prompt: Vec<TokenRun>,
    pub(crate) num_prompt_tokens: u32,
    /// What the answer will be: so many tokens as these are.
    pub(crate) output: Vec<TokenRun>,
    pub(crate) max_tokens: u32,
    /// Whether the answer ends before `max_tokens`.
    pub(crate) stops: bool,
    pub(crate) priority: i32,
    pub(crate) cache_salt: u32,
    pub(crate) reply: Arc<Reply>,
    /// Which of the reply's prompts it is.
    pub(crate) choice: usize,
    pub(crate) hold: Hold,
}

/// A message to the engine's thread.
#[derive(Debug)]
pub(crate) enum Message {
    /// Requests that came together.
    Add(Vec<Submission>),
    /// The client has gone.
    Abort(Vec<Ticket>),
    /// Forget the prefix cache; answered with whether it was.
    ResetPrefixCache(oneshot::Sender<bool>),
    /// End.
    Stop,
}

/// Tokens of a pass for connections of one thread, due together.
#[derive(Debug)]
pub(crate) struct Batch {
    pub(crate) due: Instant,
    pub(crate) tokens: Vec<(Arc<Reply>, NewTokens)>,
}

/// The way to the engine's thread.
#[derive(Debug)]
pub(crate) struct EngineHandle {
    sender: Sender<Message>,
    next_ticket: AtomicU64,
    pub(crate) held: Arc<Held>,
}

impl EngineHandle {
    /// A way that ends where `sender`'s receiver is.
    pub(crate) fn new(sender: Sender<Message>) -> Self {
        Self { sender, next_ticket: AtomicU64::new(0), held: Arc::new(Held::default()) }
    }

    /// A ticket that nobody has.
    pub(crate) fn ticket(&self) -> Ticket {
        Ticket(self.next_ticket.fetch_add(1, Ordering::Relaxed))
    }

    /// Sends a message.
    ///
    /// # Errors
    /// If the engine's thread has ended.
    pub(crate) fn send(&self, message: Message) -> Result<(), SendError<Message>> {
        self.sender.send(message)
    }
}
