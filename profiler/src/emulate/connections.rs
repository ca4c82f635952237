//! Connections, on a few threads: taken in turn, served within limits, and given the engine's tokens.
//!
//! The tokens of a pass are due at one instant, and most of what a message costs is the system's for one `write`: two
//! threads have written them in half the time.

use std::io;
use std::num::NonZero;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::{Context as _, Result};
use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::sleep;

use super::api::router;
use super::silence;
use super::state::State;
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

/// The threads beside the one that takes connections. They end, and their connections with them, when this is dropped.
#[derive(Debug)]
pub(super) struct Further {
    threads: Vec<(mpsc::UnboundedSender<Taken>, JoinHandle<()>)>,
}

impl Further {
    /// One for each of `batches`, from the second thread on.
    ///
    /// # Errors
    /// If the system refuses a thread.
    pub(super) fn start(state: &Arc<State>, batches: impl Iterator<Item = mpsc::Receiver<Batch>>) -> Result<Self> {
        let mut threads = Vec::new();
        for (number, batches) in (1..).zip(batches) {
            let (sender, mut taken) = mpsc::unbounded_channel();
            let (runtime, router) = (runtime()?, router(state, number));
            let serve = move || {
                runtime.block_on(async {
                    tokio::spawn(hand_on(batches));
                    while let Some((stream, place)) = taken.recv().await {
                        // A client whose connection the system gives nobody has gone.
                        if let Ok(stream) = TcpStream::from_std(stream) {
                            tokio::spawn(connection(stream, router.clone(), place));
                        }
                    }
                });
            };
            let thread = thread::Builder::new().name(format!("connections-{number}")).spawn(serve);
            threads.push((sender, thread.context("a thread for connections")?));
        }
        Ok(Self { threads })
    }

    /// Gives a connection to one of the threads.
    fn give(&self, thread: usize, stream: TcpStream, place: OwnedSemaphorePermit) -> io::Result<()> {
        if let Some((sender, _)) = self.threads.get(thread) {
            // A thread that has ended serves nobody: the client is told so by the end of its connection.
            drop(sender.send((stream.into_std()?, place)));
        }
        Ok(())
    }
}

impl Drop for Further {
    fn drop(&mut self) {
        for (sender, thread) in self.threads.drain(..) {
            drop(sender);
            // One that broke down has ended, too.
            drop(thread.join());
        }
    }
}

/// Takes connections for ever: one for this thread, one for each further one, and so on.
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
            // Who cannot be handed on is gone.
            Some(thread) => further.give(thread, stream, place).unwrap_or_default(),
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
