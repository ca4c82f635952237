//! Those who listen: a PUB socket that all batches go to, and a ROUTER socket that is asked for older ones.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::time::sleep;

use super::config::{Endpoint, KvEventsConfig};
use super::log::EventLog;
use super::peer::Peer;
use super::zmtp::{Frame, write_message};

/// Most connections of either socket at once; more wait to be taken.
const MAX_PEERS: usize = 64;
/// Most subscriptions of a listener.
const MAX_SUBSCRIPTIONS: usize = 64;
/// Parts of a request for older batches: an empty one, and the number of the first.
const REQUEST_PARTS: usize = 2;
/// How long until a connection is tried again, as in libzmq.
const RECONNECT: Duration = Duration::from_millis(100);
/// What ends a replay, in the place of a number (`END_SEQ`).
const END: [u8; 8] = [0xff; 8];

/// Both sockets, open.
#[derive(Debug)]
pub(crate) struct Sockets {
    publishing: Publishing,
    replaying: Option<TcpListener>,
    source: Source,
}

#[derive(Debug)]
enum Publishing {
    Bound(TcpListener),
    To(String, u16),
}

/// What is given out.
#[derive(Debug, Clone)]
struct Source {
    log: Arc<EventLog>,
    topic: Arc<str>,
    hwm: u64,
}

impl Sockets {
    /// Opens them.
    ///
    /// # Errors
    /// If an address cannot be had.
    pub(crate) fn open(config: KvEventsConfig) -> Result<Self> {
        let KvEventsConfig { endpoint, replay_endpoint, buffer_steps, hwm, topic } = config;
        let publishing = match endpoint {
            Endpoint::Bind(address, port) => Publishing::Bound(bind((address, port).into(), "endpoint")?),
            Endpoint::Connect(host, port) => Publishing::To(host, port),
        };
        let replaying = match replay_endpoint {
            Some(Endpoint::Bind(address, port)) => Some(bind((address, port).into(), "replay_endpoint")?),
            _ => None,
        };
        let source = Source { log: Arc::new(EventLog::new(buffer_steps)), topic: topic.into(), hwm };
        Ok(Self { publishing, replaying, source })
    }

    /// Where they are, for people.
    ///
    /// # Errors
    /// If the system does not say.
    pub(crate) fn told(&self) -> Result<String> {
        let mut told = match &self.publishing {
            Publishing::Bound(listener) => format!("KV events at tcp://{}", listener.local_addr()?),
            Publishing::To(host, port) => format!("KV events to tcp://{host}:{port}"),
        };
        if let Some(listener) = &self.replaying {
            told = format!("{told}, replays at tcp://{}", listener.local_addr()?);
        }
        Ok(told)
    }

    pub(super) fn log(&self) -> Arc<EventLog> {
        Arc::clone(&self.source.log)
    }

    /// Serves them beside everything else that the current runtime does.
    ///
    /// # Errors
    /// If the system refuses the listeners.
    pub(crate) fn serve(self) -> Result<()> {
        let Self { publishing, replaying, source } = self;
        if let Some(listener) = replaying {
            let source = source.clone();
            accept(listener, move |stream| replays(stream, source.clone()))?;
        }
        match publishing {
            Publishing::Bound(listener) => accept(listener, move |stream| listener_of(stream, source.clone())),
            Publishing::To(host, port) => {
                tokio::spawn(async move {
                    loop {
                        if let Ok(stream) = TcpStream::connect((host.as_str(), port)).await {
                            listener_of(stream, source.clone()).await;
                        }
                        sleep(RECONNECT).await;
                    }
                });
                Ok(())
            }
        }
    }
}

fn bind(address: SocketAddr, field: &str) -> Result<TcpListener> {
    let listener = TcpListener::bind(address);
    let listener = listener.with_context(|| format!("--kv-events-config: {field}: tcp://{address}"))?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// Takes connections for ever, in a task of its own.
fn accept<Served: Future<Output = ()> + Send + 'static>(
    listener: TcpListener,
    serve: impl Fn(TcpStream) -> Served + Send + 'static,
) -> Result<()> {
    let listener = tokio::net::TcpListener::from_std(listener)?;
    tokio::spawn(async move {
        let room = Arc::new(Semaphore::new(MAX_PEERS));
        while let Ok(place) = Arc::clone(&room).acquire_owned().await {
            match listener.accept().await {
                Ok((stream, _)) => {
                    let served = serve(stream);
                    tokio::spawn(async move {
                        served.await;
                        drop(place);
                    });
                }
                Err(_) => sleep(Duration::from_millis(10)).await,
            }
        }
    });
    Ok(())
}

/// Gives a listener every batch from its subscription on, until it goes.
async fn listener_of(stream: TcpStream, source: Source) {
    let Some(mut peer) = Peer::open(stream, "PUB", &["SUB", "XSUB"]).await else { return };
    let mut changes = source.log.changes();
    let mut subscriptions: Vec<Vec<u8>> = Vec::new();
    // The number of the batch that it gets next, while it wants any.
    let mut next = None;
    loop {
        if let Some(number) = next {
            let from = u64::max(number, source.log.next().saturating_sub(source.hwm));
            if let Some((number, batch)) = source.log.at_or_after(from) {
                let mut bytes = Vec::with_capacity(batch.len() + 64);
                write_message(&mut bytes, &[source.topic.as_bytes(), &number.to_be_bytes(), &batch]);
                if peer.write(&bytes).await.is_none() {
                    return;
                }
                next = Some(number + 1);
                continue;
            }
        }
        tokio::select! {
            frame = peer.frame() => {
                let Some(frame) = frame else { return };
                if heed(&mut peer, frame, &mut subscriptions).await.is_none() {
                    return;
                }
                let wants = subscriptions.iter().any(|begin| source.topic.as_bytes().starts_with(begin));
                next = wants.then(|| next.unwrap_or_else(|| source.log.next()));
            }
            changed = changes.changed() => if changed.is_err() { return },
        }
    }
}

/// Adds or ends a subscription: ZMTP 3.0 has a byte for that, 3.1 a command.
async fn heed(peer: &mut Peer, frame: Frame, subscriptions: &mut Vec<Vec<u8>>) -> Option<()> {
    let (is_added, begin) = match &frame {
        Frame::Part { body, has_more: false } => match body.split_first() {
            Some((1, begin)) => (true, begin),
            Some((0, begin)) => (false, begin),
            _ => return Some(()),
        },
        Frame::Part { .. } => return Some(()),
        Frame::Command { name, data } => match name.as_slice() {
            b"SUBSCRIBE" => (true, data.as_slice()),
            b"CANCEL" => (false, data.as_slice()),
            _ => return peer.answer(name, data).await,
        },
    };
    if is_added {
        subscriptions.push(begin.to_vec());
    } else if let Some(place) = subscriptions.iter().position(|known| known == begin) {
        subscriptions.swap_remove(place);
    }
    (subscriptions.len() <= MAX_SUBSCRIPTIONS).then_some(())
}

/// Gives older batches to whoever asks, from a number on (`_service_replay`).
async fn replays(stream: TcpStream, source: Source) {
    let Some(mut peer) = Peer::open(stream, "ROUTER", &["REQ", "DEALER", "ROUTER"]).await else { return };
    let mut parts: Vec<Vec<u8>> = Vec::new();
    while let Some(frame) = peer.frame().await {
        let answered = match frame {
            Frame::Command { name, data } => peer.answer(&name, &data).await,
            Frame::Part { body, has_more } => {
                // What is longer is no such request, and need not be kept.
                if parts.len() <= REQUEST_PARTS {
                    parts.push(body);
                }
                match parts.as_slice() {
                    _ if has_more => Some(()),
                    [_, first] => {
                        let first =
                            first.iter().fold(0_u64, |first, byte| first.saturating_mul(256) | u64::from(*byte));
                        parts.clear();
                        replay(&mut peer, &source, first).await
                    }
                    // As vLLM, which only writes a line into its log.
                    _ => {
                        parts.clear();
                        Some(())
                    }
                }
            }
        };
        if answered.is_none() {
            return;
        }
    }
}

async fn replay(peer: &mut Peer, source: &Source, mut number: u64) -> Option<()> {
    let end = source.log.next();
    let mut bytes = Vec::new();
    while let Some((found, batch)) = source.log.at_or_after(number).filter(|(found, _)| *found < end) {
        bytes.clear();
        write_message(&mut bytes, &[b"", source.topic.as_bytes(), &found.to_be_bytes(), &batch]);
        peer.write(&bytes).await?;
        number = found + 1;
    }
    bytes.clear();
    write_message(&mut bytes, &[b"", b"", &END, b""]);
    peer.write(&bytes).await
}
