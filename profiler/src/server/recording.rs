//! What the recording scheduler wrote: when requests joined the waiting queue, and every pass.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::Deserialize;
use sim_core::batch::{AttentionSpan, BatchComposition};

use crate::verify::recorded_engine::RecordedEngine;
use crate::verify::recorded_groups::Planning;

/// What the engine says of itself.
#[derive(Debug, Deserialize)]
pub(crate) struct ServerEngine {
    /// vLLM's version.
    pub(crate) vllm: String,
    /// Tokens that the model knows.
    pub(crate) vocab_size: u32,
    /// The scheduler's settings, resolved.
    pub(crate) scheduler: RecordedEngine,
    /// Layers and drafter, or why the recorder has no words for them.
    pub(crate) planning: ServerPlanning,
}

/// What the recorder says of the model's layers and the drafter.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ServerPlanning {
    /// All of it.
    Described(Box<Planning>),
    /// The engine has something else, by this name.
    NotSimulated(String),
}

/// A pass that computed tokens; instants of `CLOCK_MONOTONIC` in nanoseconds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct ServerPass {
    /// `(request, tokens, computed tokens)`; requests by their numbers in the run.
    pub(crate) parts: Vec<(u32, u32, u32)>,
    /// `schedule()` was called.
    pub(crate) schedule_begin_ns: u64,
    /// It had returned.
    pub(crate) schedule_end_ns: u64,
    /// `update_from_output()` was called: the sampled tokens were there.
    pub(crate) update_begin_ns: u64,
    /// It had returned.
    pub(crate) update_end_ns: u64,
    /// `(request, tokens)` that the pass put out.
    pub(crate) tokens: Vec<(u32, u32)>,
}

impl ServerPass {
    /// What the pass computed; `spans` are those of the model's layers.
    pub(crate) fn batch(&self, spans: &[AttentionSpan]) -> BatchComposition {
        let mut batch = BatchComposition::default();
        batch.set_spans(spans);
        for &(_, num_tokens, num_computed_tokens) in &self.parts {
            // A server with a drafter is refused: no token is a draft.
            batch.push_verification(num_tokens, num_computed_tokens, 0);
        }
        batch
    }
}

/// What the engine did in one run of the client.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct ServerRecording {
    /// Per request, when it stood in the waiting queue.
    pub(crate) joined_ns: Vec<Option<u64>>,
    /// In order of their ends.
    pub(crate) passes: Vec<ServerPass>,
    num_finished: usize,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Row {
    Engine(Box<ServerEngine>),
    Add(String, u64),
    Pass(PassRow),
}

#[derive(Debug, Deserialize)]
struct PassRow {
    s: Vec<(String, u32, u32)>,
    ns: [u64; 4],
    tokens: Vec<(String, u32)>,
    finished: Vec<String>,
}

/// The file, read as it grows.
#[derive(Debug)]
pub(crate) struct RecordingFile {
    path: PathBuf,
    offset: u64,
}

impl RecordingFile {
    /// The file of a server that is up, and what the engine says of itself.
    ///
    /// # Errors
    /// If the file does not begin as the recorder begins it.
    pub(crate) fn open(path: &Path) -> Result<(Self, ServerEngine)> {
        let mut file = Self { path: path.to_owned(), offset: 0 };
        match file.rows()?.into_iter().next() {
            Some(Row::Engine(engine)) => Ok((file, *engine)),
            _ => anyhow::bail!("the scheduler of vllm serve was not recorded: --scheduler-cls had no effect"),
        }
    }

    /// Takes what was written since the last call and belongs to the run of `id` into `recording`.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub(crate) fn read_into(&mut self, id: &str, recording: &mut ServerRecording) -> Result<()> {
        for row in self.rows()? {
            recording.take(row, id);
        }
        Ok(())
    }

    fn rows(&mut self) -> Result<Vec<Row>> {
        let place = || self.path.display().to_string();
        let mut file = File::open(&self.path).with_context(place)?;
        file.seek(SeekFrom::Start(self.offset)).with_context(place)?;
        let mut bytes = vec![];
        file.read_to_end(&mut bytes).with_context(place)?;
        // A line may be half written.
        let length = bytes.iter().rposition(|&byte| byte == b'\n').map_or(0, |last| last + 1);
        self.offset += length as u64;
        let lines = bytes[..length].split(|&byte| byte == b'\n').filter(|line| !line.is_empty());
        lines.map(|line| serde_json::from_slice(line).context("the recording of vllm serve")).collect()
    }
}

impl ServerRecording {
    /// Room for `num_requests` requests.
    pub(crate) fn new(num_requests: usize) -> Self {
        Self { joined_ns: vec![None; num_requests], ..Self::default() }
    }

    /// Whether every request has ended in the engine.
    pub(crate) fn is_complete(&self) -> bool {
        self.num_finished >= self.joined_ns.len()
    }

    fn take(&mut self, row: Row, id: &str) {
        match row {
            Row::Engine(_) => {}
            Row::Add(request, instant) => {
                if let Some(joined) = number(&request, id).and_then(|number| self.joined_ns.get_mut(number as usize)) {
                    *joined = Some(instant);
                }
            }
            Row::Pass(pass) => {
                let parts = pass
                    .s
                    .iter()
                    .filter_map(|(request, tokens, computed)| Some((number(request, id)?, *tokens, *computed)));
                let parts: Vec<_> = parts.collect();
                if parts.is_empty() {
                    return;
                }
                let tokens = pass.tokens.iter().filter_map(|(request, count)| Some((number(request, id)?, *count)));
                let [schedule_begin_ns, schedule_end_ns, update_begin_ns, update_end_ns] = pass.ns;
                let tokens = tokens.collect();
                self.num_finished += pass.finished.iter().filter(|request| number(request, id).is_some()).count();
                self.passes.push(ServerPass {
                    parts,
                    schedule_begin_ns,
                    schedule_end_ns,
                    update_begin_ns,
                    update_end_ns,
                    tokens,
                });
            }
        }
    }
}

/// The number of a request whose id in the client is `id-number`; the server makes of it `cmpl-id-number-0-xxxxxxxx`.
fn number(request: &str, id: &str) -> Option<u32> {
    let rest = request.strip_prefix("cmpl-")?.strip_prefix(id)?.strip_prefix('-')?;
    rest.split('-').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_known_by_its_run_and_number() {
        assert_eq!(number("cmpl-r1-20-0-8039d84d", "r1"), Some(20));
        assert_eq!(number("cmpl-r1-20-0-8039d84d", "r2"), None, "another run");
        assert_eq!(number("cmpl-r12-20-0-8039d84d", "r1"), None, "a longer id");
        assert_eq!(number("chatcmpl-1", "r1"), None, "somebody else's");
    }

    #[test]
    fn rows_of_other_runs_and_half_lines_are_left() {
        let folder = std::env::temp_dir().join(format!("vllm-simulator-recording-{}", std::process::id()));
        let scheduler = r#"{"max_num_seqs":4,"max_num_batched_tokens":64,"block_size":16,"num_gpu_blocks":9,
            "max_model_len":64,"enable_prefix_caching":true,"enable_chunked_prefill":true,
            "long_prefill_token_threshold":0,"policy":"fcfs","async_scheduling":false}"#;
        let planning = r#"{"not_simulated":"layer 0 keeps a CrossAttentionSpec"}"#;
        let engine =
            format!(r#"{{"engine":{{"vllm":"0.32.0","vocab_size":9,"scheduler":{scheduler},"planning":{planning}}}}}"#);
        let add = r#"{"add":["cmpl-a-0-0-x",5]}"#;
        let pass = r#"{"pass":{"s":[["cmpl-a-0-0-x",7,0]],"ns":[1,2,3,4],"tokens":[["cmpl-a-0-0-x",1]],"finished":["cmpl-a-0-0-x"]}}"#;
        let others = pass.replace("-a-", "-b-");
        std::fs::write(&folder, format!("{}\n{add}\n{others}\n{}", engine.replace('\n', ""), &pass[..20]))
            .expect("a file");
        let (mut file, engine) = RecordingFile::open(&folder).expect("a recording");
        assert_eq!((engine.vllm.as_str(), engine.vocab_size), ("0.32.0", 9));
        let mut recording = ServerRecording::new(1);
        // What came with the engine's row belongs to nobody's run.
        std::fs::write(
            &folder,
            format!("{:>1$}\n{add}\n{others}\n{2}\n", "", usize::try_from(file.offset).expect("small") - 1, &pass),
        )
        .expect("a file");
        file.read_into("a", &mut recording).expect("rows");
        std::fs::remove_file(&folder).expect("our file");
        assert_eq!((recording.joined_ns[0], recording.is_complete()), (Some(5), true));
        assert_eq!(recording.passes.len(), 1, "the other run's is left");
        assert_eq!(recording.passes[0].tokens, [(0, 1)]);
        assert_eq!(recording.passes[0].batch(&[]).num_tokens(), 7);
    }
}
