//! `profiler emulate`: an HTTP server that answers as vLLM's does, in the simulated engine's time, without a GPU.
//!
//! One thread is the engine (`engine.rs`), a few have the connections (`server.rs`, `connections.rs`). Requests go to the
//! engine as messages, tokens come back in batches, one for each pass and thread.

mod admission;
mod api;
mod clock;
mod connections;
mod engine;
mod filler;
mod kv_events;
mod lateness;
mod lengths;
mod live_request;
mod metrics;
mod pieces;
mod reply;
mod server;
mod silence;
mod state;
mod submission;
mod tokens;

use std::net::TcpListener;
use std::sync::{Arc, Mutex, mpsc};
use std::thread;

use anyhow::{Context as _, Result, ensure};
use sim_core::config::EngineConfig;
use sim_core::live_engine::LiveEngine;
use sim_core::profile::StepTimeModel;
use sim_core::sched::connector::interface::KvConnectorError;
use sim_core::speculative::Acceptance;

pub(crate) use admission::QueueLimits;
pub(crate) use kv_events::{KvEventsConfig, Sockets, read_peer};
pub(crate) use lengths::OutputLengths;
pub(crate) use tokens::Tokens;

use api::body::Bodies;
use clock::Clock;
use engine::EngineThread;
use kv_events::Publisher;
use lateness::Lateness;
use metrics::{CacheConfigInfo, Metrics};
use state::{Served, State};
use submission::{EngineHandle, Message};

/// Passes that may wait for a thread of the front end.
const MAX_BATCHES: usize = 256;

/// Reads a body as `POST /v1/completions` or, with `is_chat`, as `POST /v1/chat/completions` does; the tokens of its
/// prompts, as counted and as sequences, if it is accepted. For fuzzing.
pub(crate) fn read_request(is_chat: bool, body: &[u8]) -> Option<(u64, u64)> {
    let served = Served { names: vec!["model".to_owned()], tokens: Arc::new(Tokens::pieces()) };
    api::read_alone(&served, is_chat, body)
}

/// What is emulated.
#[derive(Debug)]
pub(crate) struct Emulation {
    pub(crate) config: EngineConfig,
    pub(crate) step_time: StepTimeModel,
    pub(crate) acceptance: Acceptance,
    /// Names under which the model is served; at least one.
    pub(crate) names: Vec<String>,
    pub(crate) root: String,
    pub(crate) tokens: Tokens,
    pub(crate) lengths: OutputLengths,
    pub(crate) limits: QueueLimits,
    pub(crate) tells_cached_tokens: bool,
    /// Simulated seconds for each second.
    pub(crate) time_scale: f64,
    /// Who is told of the KV cache, if anybody.
    pub(crate) kv_events: Option<Sockets>,
}

impl Emulation {
    /// Serves on `listener` until the process is told to end.
    ///
    /// # Errors
    /// If the system refuses threads, the listener or signals.
    pub(crate) fn serve(self, listener: TcpListener) -> Result<()> {
        let Self { config, step_time, acceptance, names, root, tokens, lengths, limits, kv_events, .. } = self;
        let tokens = Arc::new(tokens);
        let publisher = kv_events.as_ref().map(|sockets| Publisher::new(sockets, &config, Arc::clone(&tokens)));
        let cache = CacheConfigInfo {
            block_size: config.block_size(),
            num_gpu_blocks: config.num_gpu_blocks,
            enable_prefix_caching: config.enable_prefix_caching,
        };
        let model_name = names.first().cloned().unwrap_or_default();
        let num_drafts = config.num_speculative_tokens();
        let mut metrics = Metrics::new(model_name, cache, config.max_model_len, num_drafts);
        if config.kv_offloading.is_some() {
            metrics.tell_of_offloading();
        }
        let metrics = Arc::new(Mutex::new(metrics));
        let (sender, inbox) = mpsc::channel();
        let channels = (0..connections::num_threads()).map(|_| tokio::sync::mpsc::channel(MAX_BATCHES));
        let (outboxes, batches) = channels.unzip();
        let state = Arc::new(State {
            served: Served { names, tokens },
            root,
            config: config.clone(),
            lengths,
            limits,
            tells_cached_tokens: self.tells_cached_tokens,
            time_scale: self.time_scale,
            engine: EngineHandle::new(sender),
            metrics: Arc::clone(&metrics),
            lateness: Lateness::default(),
            bodies: Bodies::new(),
        });
        let clock = Clock::new(self.time_scale);
        let engine = thread::Builder::new().name("engine".to_owned()).spawn(move || {
            let engine = LiveEngine::new(&config, &step_time, acceptance)?;
            EngineThread::new(engine, clock, inbox, outboxes, metrics, publisher).run();
            Ok::<(), KvConnectorError>(())
        });
        let engine = engine.context("the engine's thread")?;
        let served = server::serve(listener, kv_events, &state, batches);
        // It may have ended before.
        drop(state.engine.send(Message::Stop));
        let ended = engine.join();
        ensure!(ended.is_ok(), "the engine's thread broke down");
        ended.unwrap_or(Ok(()))?;
        served
    }
}
