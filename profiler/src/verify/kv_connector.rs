//! The KV connector of a recording: it has of each prompt what the workload says, and its transfers take so many passes.

use std::collections::BTreeSet;

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;
use sim_core::config::EngineConfig;
use sim_core::engine_core::EngineCore;
use sim_core::request::{FinishReason, RequestId};
use sim_core::request_set::RequestSet;
use sim_core::sched::connector::interface::{
    Ended, KvConnector, KvConnectorOutput, KvLoadFailurePolicy, KvRole, KvTransferConfig, Matched, Waiting,
};

use super::offloading::{ExtraConfig, Offloading, TransferPasses};

/// What a recording adds if its engine had a connector.
#[derive(Debug, Deserialize)]
pub(crate) struct RecordedConnector {
    kv: Option<Settings>,
    workload: Scripts,
    /// What vLLM made of its own connector's settings, if the engine had that one.
    offloading: Option<Offloading>,
}

#[derive(Debug, Deserialize)]
struct Settings {
    kv_role: String,
    #[serde(default = "fail")]
    kv_load_failure_policy: String,
    #[serde(default)]
    kv_connector_extra_config: ExtraConfig,
}

fn fail() -> String {
    "fail".to_owned()
}

#[derive(Debug, Deserialize)]
struct Scripts {
    #[serde(default)]
    requests: Vec<Script>,
    #[serde(default)]
    transfer_passes: TransferPasses,
}

/// What the connector does with one request. Names as in the file.
#[derive(Debug, Clone, Default, Deserialize)]
struct Script {
    /// Tokens it has.
    ext: Option<External>,
    /// Passes that a load takes; none: it is over within the pass.
    load_passes: Option<u64>,
    /// How often it does not know yet.
    #[serde(default)]
    not_yet: u32,
    /// Whether it has them after a preemption, too.
    #[serde(default)]
    sticky: bool,
    fail: Option<Failure>,
    /// Passes for which blocks are read after the request's end.
    send_passes: Option<u64>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
enum External {
    Tokens(u32),
    /// `"prompt"`.
    All(String),
}

#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
enum Failure {
    /// Place of a block that does not come.
    Block(usize),
    /// `"request"`: nothing comes.
    All(String),
}

impl RecordedConnector {
    /// That of a recording; `None` if its engine had none.
    pub(crate) fn of(json: &[u8]) -> Result<Option<Self>> {
        let recorded: Self = serde_json::from_slice(json).context("not a recorded scheduler trace")?;
        for (index, script) in recorded.workload.requests.iter().enumerate() {
            if let Some(External::All(text)) = &script.ext {
                ensure!(
                    text == "prompt",
                    "requests[{index}].ext is {text:?}; it must be a number of tokens or \"prompt\""
                );
            }
            if let Some(Failure::All(text)) = &script.fail {
                ensure!(text == "request", "requests[{index}].fail is {text:?}; it must be a block or \"request\"");
            }
        }
        Ok(recorded.kv.is_some().then_some(recorded))
    }

    /// An idle engine with it.
    pub(crate) fn engine<'a>(&self, config: &'a EngineConfig, requests: &'a RequestSet) -> Result<EngineCore<'a>> {
        let settings = self.kv.as_ref().context("kv is missing")?;
        let kv_role = match settings.kv_role.as_str() {
            "kv_producer" => KvRole::Producer,
            "kv_consumer" => KvRole::Consumer,
            "kv_both" => KvRole::Both,
            other => bail!("kv.kv_role: {other:?} is none of kv_producer, kv_consumer and kv_both"),
        };
        let kv_load_failure_policy = match settings.kv_load_failure_policy.as_str() {
            "recompute" => KvLoadFailurePolicy::Recompute,
            "fail" => KvLoadFailurePolicy::Fail,
            other => bail!("kv.kv_load_failure_policy: {other:?} is neither recompute nor fail"),
        };
        let with_connector = |connector| {
            Ok(EngineCore::with_connector(
                config,
                requests,
                KvTransferConfig { kv_role, kv_load_failure_policy },
                connector,
            )?)
        };
        if let Some(offloading) = &self.offloading {
            return with_connector(offloading.connector(
                config,
                &settings.kv_connector_extra_config,
                &self.workload.transfer_passes,
            )?);
        }
        let connector = ScriptedConnector {
            requests: self.workload.requests.iter().map(|script| (script.clone(), 0)).collect(),
            used: BTreeSet::new(),
            begun: vec![],
            under_way: vec![],
            num_passes: 0,
        };
        with_connector(Box::new(connector))
    }
}

/// Plays the scripts.
#[derive(Debug)]
struct ScriptedConnector {
    /// Each with how often it was asked for.
    requests: Vec<(Script, u32)>,
    /// Requests that had tokens loaded.
    used: BTreeSet<RequestId>,
    /// What the workers hear of with the next pass.
    begun: Vec<Transfer>,
    under_way: Vec<(u64, Transfer)>,
    num_passes: u64,
}

#[derive(Debug)]
struct Transfer {
    id: RequestId,
    num_passes: u64,
    kind: TransferKind,
    invalid_block: Option<u32>,
    fails: bool,
}

#[derive(Debug, PartialEq, Eq)]
enum TransferKind {
    Receives,
    /// Within the pass.
    Loads,
    Sends,
}

impl KvConnector for ScriptedConnector {
    fn get_num_new_matched_tokens(&mut self, request: Waiting) -> Option<Matched> {
        let Waiting { id, num_prompt_tokens, num_computed_tokens, .. } = request;
        let nothing = Some(Matched { num_external_tokens: 0, load_kv_async: false });
        let Some((script, num_asked)) = self.requests.get_mut(id.index()) else { return nothing };
        let Some(external) = &script.ext else { return nothing };
        if self.used.contains(&id) && !script.sticky {
            return nothing;
        }
        if *num_asked < script.not_yet {
            *num_asked += 1;
            return None;
        }
        let is_async = script.load_passes.is_some();
        let most = if is_async { num_prompt_tokens } else { num_prompt_tokens.saturating_sub(1) };
        let num_external = match external {
            External::Tokens(num) => (*num).min(most),
            External::All(_) => most,
        };
        let num_external_tokens = num_external.saturating_sub(num_computed_tokens);
        Some(Matched { num_external_tokens, load_kv_async: is_async && num_external_tokens > 0 })
    }

    fn update_state_after_alloc(&mut self, id: RequestId, blocks: &[u32], matched: Matched) {
        self.used.insert(id);
        let Some((script, _)) = self.requests.get(id.index()) else { return };
        let invalid_block = match &script.fail {
            Some(Failure::Block(place)) => blocks.get(*place).copied(),
            _ => None,
        };
        let fails = matches!(script.fail, Some(Failure::All(_)));
        if matched.load_kv_async {
            let num_passes = script.load_passes.unwrap_or(0);
            self.begun.push(Transfer { id, num_passes, kind: TransferKind::Receives, invalid_block, fails });
        } else if invalid_block.is_some() {
            self.begun.push(Transfer { id, num_passes: 0, kind: TransferKind::Loads, invalid_block, fails: false });
        }
    }

    fn request_finished(&mut self, ended: Ended) -> bool {
        let Ended { id, reason, has_blocks, .. } = ended;
        let Some(num_passes) = self.requests.get(id.index()).and_then(|(script, _)| script.send_passes) else {
            return false;
        };
        let sends = has_blocks && matches!(reason, FinishReason::Length | FinishReason::Stop);
        if sends {
            self.begun.push(Transfer { id, num_passes, kind: TransferKind::Sends, invalid_block: None, fails: false });
        }
        sends
    }

    fn execute(&mut self) -> KvConnectorOutput {
        let pass = self.num_passes;
        self.num_passes += 1;
        // Loads come before sendings, however they began.
        let (sends, loads): (Vec<_>, Vec<_>) =
            self.begun.drain(..).partition(|transfer| transfer.kind == TransferKind::Sends);
        let begun = loads.into_iter().chain(sends);
        self.under_way.extend(begun.map(|transfer| (pass + transfer.num_passes, transfer)));
        let (mut due, under_way): (Vec<_>, Vec<_>) = self.under_way.drain(..).partition(|(end, _)| *end <= pass);
        self.under_way = under_way;
        due.sort_by_key(|(end, _)| *end);
        let mut output = KvConnectorOutput::default();
        for (_, transfer) in due {
            output.invalid_block_ids.extend(transfer.invalid_block);
            if transfer.fails {
                output.failed_recving.push(transfer.id);
            }
            match transfer.kind {
                TransferKind::Receives => output.finished_recving.push(transfer.id),
                TransferKind::Sends => output.finished_sending.push(transfer.id),
                TransferKind::Loads => {}
            }
        }
        output
    }
}
