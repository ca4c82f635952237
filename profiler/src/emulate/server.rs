//! The server from its first connection to its end; what becomes of a connection is in `connections.rs`.

use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};

use super::api::router;
use super::connections::{BROKEN, Further, accept, hand_on, runtime};
use super::kv_events::Sockets;
use super::state::State;
use super::submission::Batch;

/// How long requests under way may go on after the server was told to end.
const GRACE: Duration = Duration::from_secs(5);

/// Serves until the process is told to end (SIGINT, SIGTERM), and then for what is under way, at most [`GRACE`]; or until
/// the engine, or one of the connections' threads, is gone. This thread is the first of those, and each of them gets its
/// own `batches`. `kv_events` are served beside it.
///
/// # Errors
/// If the system refuses threads, the listener or the signals, or if a thread has broken down.
pub(super) fn serve(
    listener: TcpListener,
    kv_events: Option<Sockets>,
    state: &Arc<State>,
    batches: Vec<mpsc::Receiver<Batch>>,
) -> Result<()> {
    let mut batches = batches.into_iter();
    let own_batches = batches.next().context("no thread for connections")?;
    let further = Further::start(|number| router(state, number), batches)?;
    let served = runtime()?.block_on(async {
        listener.set_nonblocking(true).context("the listener")?;
        let listener = tokio::net::TcpListener::from_std(listener).context("the listener")?;
        kv_events.map_or(Ok(()), Sockets::serve).context("KV events")?;
        let mut interrupt = signal(SignalKind::interrupt()).context("SIGINT")?;
        let mut terminate = signal(SignalKind::terminate()).context("SIGTERM")?;
        let mut hand_on = tokio::spawn(hand_on(own_batches));
        let router = router(state, 0);
        tokio::select! {
            () = accept(&listener, router, &further) => {}
            ended = &mut hand_on => return ended.context(BROKEN),
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
    });
    // That one has broken down may be why the engine has ended.
    further.end().and(served)
}
