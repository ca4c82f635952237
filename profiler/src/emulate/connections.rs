//! Connections, on a few threads: taken in turn, served within limits, and given the engine's tokens.
//!
//! The tokens of a pass are due at one instant, and most of what a message costs is the system's for one `write`: two
//! threads have written them in half the time.

use std::num::NonZero;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::JoinError;
use tokio::time::sleep;

use super::silence;
use super::submission::Batch;

/// Most connections at once; more wait to be taken.
const MAX_CONNECTIONS: usize = 4096;
/// How long a client may take for the head of a request.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
/// Most bytes of a request's head, and of what is read or written ahead.
const BUFFER_BYTES: usize = 64 << 10;
/// Threads that have connections; as many as there are processors, if these are fewer.
const MAX_THREADS: usize = 4;
/// Threads beside each of these, for bodies that take long to read.
const MAX_READERS: usize = 2;
/// Why the server has ended by itself, if it was not the engine.
pub(super) const BROKEN: &str = "a thread of the server's connections broke down";

/// How many threads have connections.
pub(super) fn num_threads() -> usize {
    thread::available_parallelism().map_or(1, NonZero::get).min(MAX_THREADS)
}

/// What runs a thread's connections.
///
/// # Errors
/// If the system refuses it.
pub(super) fn runtime() -> Result<Runtime> {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.enable_all().max_blocking_threads(MAX_READERS).build().context("the server")
}

/// A connection that was taken, and its place among [`MAX_CONNECTIONS`].
type Taken = (std::net::TcpStream, OwnedSemaphorePermit);

/// A thread that has connections, and whether what hands on the tokens has broken down in it.
type Thread = JoinHandle<Result<(), JoinError>>;

/// The threads beside the one that takes connections.
#[derive(Debug)]
pub(super) struct Further {
    threads: Vec<(mpsc::UnboundedSender<Taken>, Thread)>,
}

impl Further {
    /// One for each of `batches`, from the second thread on, with the `router` of its number.
    ///
    /// # Errors
    /// If the system refuses a thread.
    pub(super) fn start(
        router: impl Fn(usize) -> Router,
        batches: impl Iterator<Item = mpsc::Receiver<Batch>>,
    ) -> Result<Self> {
        let mut threads = Vec::new();
        for (number, batches) in (1..).zip(batches) {
            let (sender, taken) = mpsc::unbounded_channel();
            let (runtime, router) = (runtime()?, router(number));
            let serve = move || runtime.block_on(serve_taken(taken, batches, router));
            let thread = thread::Builder::new().name(format!("connections-{number}")).spawn(serve);
            threads.push((sender, thread.context("a thread for connections")?));
        }
        Ok(Self { threads })
    }

    /// Gives a connection to one of the threads; false if that has ended.
    fn give(&self, thread: usize, stream: TcpStream, place: OwnedSemaphorePermit) -> bool {
        // A client whose connection the system does not let go is gone.
        let Ok(stream) = stream.into_std() else { return true };
        self.threads.get(thread).is_none_or(|(sender, _)| sender.send((stream, place)).is_ok())
    }

    /// Ends them, and their connections with them.
    ///
    /// # Errors
    /// If one had broken down.
    pub(super) fn end(self) -> Result<()> {
        let mut num_broken = 0;
        for (sender, thread) in self.threads {
            drop(sender);
            num_broken += usize::from(!matches!(thread.join(), Ok(Ok(()))));
        }
        ensure!(num_broken == 0, BROKEN);
        Ok(())
    }
}

/// What one of them does: until its sender is gone, or the engine, or until what hands on the tokens breaks down.
async fn serve_taken(
    mut taken: mpsc::UnboundedReceiver<Taken>,
    batches: mpsc::Receiver<Batch>,
    router: Router,
) -> Result<(), JoinError> {
    let mut hand_on = tokio::spawn(hand_on(batches));
    loop {
        let (stream, place) = tokio::select! {
            ended = &mut hand_on => return ended,
            taken = taken.recv() => match taken {
                Some(taken) => taken,
                None => return Ok(()),
            },
        };
        // A client whose connection the system gives nobody has gone.
        if let Ok(stream) = TcpStream::from_std(stream) {
            tokio::spawn(connection(stream, router.clone(), place));
        }
    }
}

/// Takes connections until one of the threads has ended: one for this thread, one for each further one, and so on.
pub(super) async fn accept(listener: &tokio::net::TcpListener, router: Router, further: &Further) {
    let room = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let mut num_taken = 0_usize;
    loop {
        let Ok(place) = Arc::clone(&room).acquire_owned().await else { return };
        let Ok((stream, _)) = listener.accept().await else {
            // Out of files, or the client has gone already: others may be served.
            sleep(Duration::from_millis(10)).await;
            continue;
        };
        let thread = num_taken % (1 + further.threads.len());
        num_taken = num_taken.wrapping_add(1);
        match thread.checked_sub(1) {
            None => drop(tokio::spawn(connection(stream, router.clone(), place))),
            Some(thread) if further.give(thread, stream, place) => {}
            Some(_) => return,
        }
    }
}

async fn connection(stream: TcpStream, router: Router, _place: OwnedSemaphorePermit) {
    silence::limit(&stream);
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT).max_buf_size(BUFFER_BYTES);
    // A message is a few hundred bytes: to copy them costs less than a list of three pieces does in the system.
    builder.writev(false);
    let service = TowerToHyperService::new(router);
    // A client that breaks off is no error of the server's.
    drop(builder.serve_connection(TokioIo::new(stream), service).await);
}

/// Hands the engine's tokens to the answers under way: many are woken together.
pub(super) async fn hand_on(mut batches: mpsc::Receiver<Batch>) {
    while let Some(batch) = batches.recv().await {
        for (reply, new) in batch.tokens {
            reply.add(new, batch.due);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::iter;
    use std::task::{Context, Wake, Waker};
    use std::time::Instant;

    use tokio::time::timeout;

    use super::*;
    use crate::emulate::reply::{NewTokens, Progress, Reply};

    /// Breaks down who wakes it, as a defect in what hands on the tokens would.
    struct Breaks;

    impl Wake for Breaks {
        fn wake(self: Arc<Self>) {
            panic!("this is what the test wants");
        }
    }

    fn further(batches: mpsc::Receiver<Batch>) -> Further {
        Further::start(|_| Router::new(), iter::once(batches)).expect("a thread")
    }

    /// Lets one thread break down, and waits until it has ended.
    fn broken() -> Further {
        let (outbox, batches) = mpsc::channel(1);
        let further = further(batches);
        let reply = Arc::new(Reply::new(1, 1));
        let waker = Waker::from(Arc::new(Breaks));
        let mut told = vec![Progress::default()];
        assert!(reply.poll_news(&Context::from_waker(&waker), &mut told).is_pending(), "nothing has come yet");
        let new = NewTokens { choice: 0, num_tokens: 1, num_cached_tokens: 0, finished: None };
        outbox.blocking_send(Batch { due: Instant::now(), tokens: vec![(reply, new)] }).expect("the thread listens");
        // Its receivers go one after the other: what hands on the tokens first, then what takes connections.
        while !further.threads.iter().all(|(_, thread)| thread.is_finished()) {
            thread::sleep(Duration::from_millis(1));
        }
        assert!(outbox.is_closed(), "the engine knows");
        further
    }

    #[test]
    fn a_thread_that_broke_down_is_an_error_and_one_that_was_ended_is_none() {
        let error = broken().end().expect_err("one broke down");
        assert_eq!(error.to_string(), BROKEN);
        let (outbox, batches) = mpsc::channel(1);
        let told_to_end = further(batches);
        assert!(told_to_end.end().is_ok(), "it was told to end");
        let (without_engine, batches) = mpsc::channel(1);
        drop(without_engine);
        assert!(further(batches).end().is_ok(), "its engine has ended");
        drop(outbox);
    }

    #[test]
    fn no_connection_is_taken_for_a_thread_that_broke_down() {
        let further = broken();
        let taken = runtime().expect("a runtime").block_on(async {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
            let address = listener.local_addr().expect("an address");
            let _clients = [TcpStream::connect(address).await, TcpStream::connect(address).await];
            timeout(Duration::from_secs(10), accept(&listener, Router::new(), &further)).await
        });
        assert!(taken.is_ok(), "it takes connections for ever");
        assert!(further.end().is_err(), "one broke down");
    }
}
