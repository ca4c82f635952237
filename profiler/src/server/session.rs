//! A server and a client together: runs whose two sides are put side by side.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use sim_core::config::{EngineConfig, VllmVersion};
use sim_core::rng::Pcg64;

use super::client::OpenLoopClient;
use super::client_run::{ClientRun, TimedRequest};
use super::event_loop::EventLoopTime;
use super::process::ServerProcess;
use super::recording::{RecordingFile, ServerEngine, ServerPlanning, ServerRecording};
use crate::engine::version::simulated_version;
use crate::vllm::EngineOptions;

/// How long the recorder may take to write a run after the client holds its last token.
const PATIENCE_WITH_RECORDER: Duration = Duration::from_secs(20);

/// One run, as the client and as the engine saw it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct ServerRun {
    /// What the client saw.
    pub(crate) client: ClientRun,
    /// What the scheduler did.
    pub(crate) engine: ServerRecording,
    /// How long the API server's event loop worked; `None` where the system does not tell.
    pub(crate) event_loop: Option<EventLoopTime>,
}

/// A server that is up, and its client.
#[derive(Debug)]
pub(crate) struct ServerSession {
    server: ServerProcess,
    client: OpenLoopClient,
    recording: RecordingFile,
    config: EngineConfig,
    vocab_size: u32,
    num_runs: u32,
}

/// How long a server and a request may take.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Timeouts {
    /// Until the server is up.
    pub(crate) server: Duration,
    /// From sending a request until its last token.
    pub(crate) request: Duration,
}

impl ServerSession {
    /// Starts a server and a client; `waiting` is called now and then while the server starts.
    ///
    /// # Errors
    /// Those of [`ServerProcess::start`]; or if it is another version of vLLM.
    pub(crate) fn start(options: &EngineOptions, timeouts: Timeouts, waiting: impl FnMut(Duration)) -> Result<Self> {
        let server = ServerProcess::start(options, timeouts.server, waiting)?;
        let (recording, engine) = RecordingFile::open(&server.recording_path())?;
        let version = simulated_version(&engine.vllm).with_context(|| options.python.display().to_string())?;
        let config = engine_config(&engine, version)?;
        let client = OpenLoopClient::new(server.address(), timeouts.request)?;
        Ok(Self { server, client, recording, config, vocab_size: engine.vocab_size, num_runs: 0 })
    }

    /// The scheduler's settings, as the engine resolved them.
    pub(crate) const fn config(&self) -> &EngineConfig {
        &self.config
    }

    /// A prompt of random tokens.
    pub(crate) fn prompt(&self, random: &mut Pcg64, num_tokens: u32) -> Vec<u32> {
        // The first ids are special tokens.
        (0..num_tokens).map(|_| random.integers(3, self.vocab_size - 1)).collect()
    }

    /// Sends `requests` at their times and waits until all of them have ended on both sides.
    ///
    /// # Errors
    /// If a request fails, or the server dies.
    pub(crate) fn run(&mut self, requests: &[TimedRequest]) -> Result<ServerRun> {
        self.num_runs += 1;
        let id = format!("r{}", self.num_runs);
        let before = self.server.event_loop_time();
        let client = self.client.run(&id, requests)?;
        let failed: Vec<_> = client.requests.iter().filter_map(|request| request.error.as_deref()).collect();
        if let Some(first) = failed.first() {
            self.server.check()?;
            let last_lines = self.server.last_lines();
            bail!(
                "{} of {} requests failed, the first: {first}\n  vllm serve printed last:{last_lines}",
                failed.len(),
                requests.len()
            );
        }
        let mut engine = ServerRecording::new(requests.len());
        let start = Instant::now();
        loop {
            self.recording.read_into(&id, &mut engine)?;
            if engine.is_complete() {
                let after = self.server.event_loop_time();
                let event_loop = after.zip(before).map(|(after, before)| after.since(before));
                return Ok(ServerRun { client, engine, event_loop });
            }
            self.server.check()?;
            ensure!(start.elapsed() < PATIENCE_WITH_RECORDER, "the scheduler's recording of the run does not come");
            thread::sleep(Duration::from_millis(20));
        }
    }
}

/// The engine as the simulator takes it.
///
/// # Errors
/// If its layers are not simulated; or if it has a drafter: how many drafts are accepted depends on the text, which a
/// simulated load does not have.
fn engine_config(engine: &ServerEngine, version: VllmVersion) -> Result<EngineConfig> {
    let planning = match &engine.planning {
        ServerPlanning::Described(planning) => planning,
        ServerPlanning::NotSimulated(why) => bail!("this engine is not simulated: {why}"),
    };
    let config = planning.config(&engine.scheduler, version)?;
    if let Some(drafter) = &config.speculative {
        bail!(
            "speculative_config.method is {}: a server with a drafter is not compared, as the drafts that are accepted \
             depend on the text; `verify-tokens` and `verify-metrics` know them",
            drafter.method
        );
    }
    Ok(config)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCHEDULER: &str = r#"{"max_num_seqs":4,"max_num_batched_tokens":64,"block_size":16,"num_gpu_blocks":9,
        "max_model_len":64,"enable_prefix_caching":true,"enable_chunked_prefill":true,
        "long_prefill_token_threshold":0,"policy":"fcfs","async_scheduling":false}"#;

    fn config(planning: &str) -> Result<EngineConfig> {
        let engine = format!(r#"{{"vllm":"0.32.0","vocab_size":9,"scheduler":{SCHEDULER},"planning":{planning}}}"#);
        engine_config(&serde_json::from_str(&engine).expect("an engine"), VllmVersion::V0_32)
    }

    /// One group of full attention with `more` in the model and `drafting` beside it.
    fn described(more: &str, drafting: &str) -> String {
        format!(
            r#"{{"described":{{"model":{{"layers":[{{"kind":"full","n":1,"block_size":16,"bytes":256}}]{more}}},
            "groups":{{"groups":[{{"spec":"FullAttentionSpec","block_size":16,"page":4096,"layers":["layer.0"]}}],
            "num_blocks":9,"scheduler_block_size":16,"hash_block_size":16}}{drafting}}}}}"#
        )
    }

    #[test]
    fn servers_that_cannot_be_compared_are_refused_by_name() {
        assert_eq!(config(&described("", "")).expect("plain layers").num_gpu_blocks, 9);
        let drafter = r#","speculative":{"method":"ngram","num_speculative_tokens":2}"#;
        let drafting = r#","speculative":{"k":2,"lookahead":0,"draft_slots":0,"hash_lookahead":0,
            "eagle_block_drop":false,"skips_drafts":false,"prefill_lookahead":0}"#;
        for (planning, expect) in [
            (described(drafter, drafting), "speculative_config.method is ngram"),
            (described("", drafting), "of the drafter vLLM made Some"),
            (r#"{"not_simulated":"layer 0 keeps a RSWASpec"}"#.to_owned(), "not simulated: layer 0 keeps a RSWASpec"),
        ] {
            let error = format!("{:#}", config(&planning).expect_err(expect));
            assert!(error.contains(expect), "{error}");
        }
    }
}
