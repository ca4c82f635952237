//! KV events over ZeroMQ, as vLLM publishes them: routers that know which engine has which prefix listen to them.
//!
//! Source: `vllm/distributed/kv_events.py::ZmqEventPublisher`. The crates that speak ZeroMQ's protocol were left out:
//! `zeromq` reserves as much memory as a peer's first bytes ask for, the others need its C++ library. What a publisher
//! needs of the protocol is small (`zmtp.rs`), and bounded here.

mod config;
mod log;
mod payload;
mod peer;
mod sockets;
mod zmtp;

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use sim_core::config::EngineConfig;
use sim_core::kv_cache::events::{KvCacheEvent, spec_kind};

use super::tokens::Tokens;

pub(crate) use config::KvEventsConfig;
pub(crate) use sockets::Sockets;

use log::EventLog;
use payload::Group;

/// Reads what a peer sends as a publisher does; whether it is understood, and the same however it was cut. For fuzzing.
pub(crate) fn read_peer(bytes: &[u8]) -> Option<bool> {
    zmtp::read_alone(bytes)
}

/// The engine's way to those who listen.
#[derive(Debug)]
pub(crate) struct Publisher {
    log: Arc<EventLog>,
    groups: Vec<Group>,
    tokens: Arc<Tokens>,
}

impl Publisher {
    /// Of the engine `config`. What it publishes, `sockets` give to whoever asks.
    pub(crate) fn new(sockets: &Sockets, config: &EngineConfig, tokens: Arc<Tokens>) -> Self {
        let group = |spec_kind: (&'static str, Option<u32>)| Group { kind: spec_kind.0, sliding_window: spec_kind.1 };
        let groups = config.kv_cache.groups.iter().map(|of| group(spec_kind(&of.spec.kind))).collect();
        Self { log: sockets.log(), groups, tokens }
    }

    /// Publishes what became of the cache, as one batch.
    pub(crate) fn publish(&self, events: &[KvCacheEvent]) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
        let token_id = |number| self.tokens.published_id(number);
        self.log.append(payload::batch(now, events, &self.groups, &token_id).into());
    }
}
