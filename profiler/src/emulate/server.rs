//! Connections: taken, served within limits, and brought to an end.

use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpStream;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Semaphore, mpsc};
use tokio::time::{sleep, timeout};

use super::api::router;
use super::kv_events::Sockets;
use super::silence;
use super::state::State;
use super::submission::Batch;

/// Most connections at once; more wait to be taken.
const MAX_CONNECTIONS: usize = 4096;
/// How long a client may take for the head of a request.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
/// Most bytes of a request's head, and of what is read or written ahead.
const BUFFER_BYTES: usize = 64 << 10;
/// How long requests under way may go on after the server was told to end.
const GRACE: Duration = Duration::from_secs(5);
/// Threads beside the connections', for bodies that take long to read.
const MAX_READERS: usize = 2;

/// Serves until the process is told to end (SIGINT, SIGTERM), and then for what is under way, at most [`GRACE`]; or until
/// the engine is gone. `kv_events` are served beside it.
///
/// # Errors
/// If the system refuses the listener or the signals.
pub(super) fn serve(
    listener: TcpListener,
    kv_events: Option<Sockets>,
    state: &Arc<State>,
    batches: mpsc::Receiver<Batch>,
) -> Result<()> {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_all().max_blocking_threads(MAX_READERS).build().context("the server")?;
    runtime.block_on(async {
        listener.set_nonblocking(true).context("the listener")?;
        let listener = tokio::net::TcpListener::from_std(listener).context("the listener")?;
        kv_events.map_or(Ok(()), Sockets::serve).context("KV events")?;
        let mut interrupt = signal(SignalKind::interrupt()).context("SIGINT")?;
        let mut terminate = signal(SignalKind::terminate()).context("SIGTERM")?;
        let mut hand_on = tokio::spawn(hand_on(batches));
        let router = router(state);
        tokio::select! {
            () = accept(&listener, router) => {}
            _ = &mut hand_on => return Ok(()),
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        drop(listener);
        let finish = async {
            while state.engine.held.num_requests() > 0 {
                sleep(Duration::from_millis(20)).await;
            }
            // What came last is written.
            sleep(Duration::from_millis(20)).await;
        };
        tokio::select! {
            _ = timeout(GRACE, finish) => {}
            _ = &mut hand_on => {}
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        Ok(())
    })
}

/// Takes connections for ever.
async fn accept(listener: &tokio::net::TcpListener, router: Router) {
    let room = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        let Ok(place) = Arc::clone(&room).acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, _)) => {
                let router = router.clone();
                tokio::spawn(async move {
                    connection(stream, router).await;
                    drop(place);
                });
            }
            // Out of files, or the client has gone already: others may be served.
            Err(_) => sleep(Duration::from_millis(10)).await,
        }
    }
}

async fn connection(stream: TcpStream, router: Router) {
    silence::limit(&stream);
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT).max_buf_size(BUFFER_BYTES);
    let service = TowerToHyperService::new(router);
    // A client that breaks off is no error of the server's.
    drop(builder.serve_connection(TokioIo::new(stream), service).await);
}

/// Hands the engine's tokens to the answers under way: many are woken together.
async fn hand_on(mut batches: mpsc::Receiver<Batch>) {
    while let Some(batch) = batches.recv().await {
        for (reply, new) in batch.tokens {
            reply.add(new, batch.due);
        }
    }
}
