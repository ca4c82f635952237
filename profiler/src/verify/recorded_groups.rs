//! What vLLM made of a model's layers and of a drafter before the first pass, and the same of the simulator's.

use anyhow::{Context as _, Result, ensure};
use serde::{Deserialize, Serialize};
use sim_core::config::{EngineConfig, VllmVersion};
use sim_core::kv_cache::spec::KvCacheConfig;

use super::recorded_engine::RecordedEngine;
use super::recorded_model::RecordedModel;

/// The result of vLLM's planning.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RecordedGroups {
    groups: Vec<RecordedGroup>,
    num_blocks: u32,
    scheduler_block_size: u32,
    hash_block_size: Option<u32>,
}

/// A group of layers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RecordedGroup {
    spec: String,
    block_size: u32,
    page: u64,
    layers: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    eagle: Option<bool>,
}

impl RecordedGroups {
    /// What the simulator made of the same layers, in the recording's words.
    pub(crate) fn of(config: &EngineConfig, recorded: &Self) -> Self {
        let KvCacheConfig { groups, scheduler_block_size, hash_block_size, .. } = &config.kv_cache;
        let says_eagle = recorded.groups.iter().any(|group| group.eagle.is_some());
        let groups = groups.iter().map(|group| RecordedGroup {
            spec: group.spec.kind.vllm_class().to_owned(),
            block_size: group.spec.block_size,
            page: group.spec.page_size_bytes(),
            layers: group.layers.iter().map(|layer| format!("layer.{layer}")).collect(),
            eagle: says_eagle.then_some(group.is_eagle_group),
        });
        Self {
            groups: groups.collect(),
            num_blocks: config.num_gpu_blocks,
            scheduler_block_size: *scheduler_block_size,
            hash_block_size: recorded.hash_block_size.map(|_| *hash_block_size),
        }
    }
}

/// What follows from a drafter; all numbers are of tokens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RecordedDrafting {
    /// Drafts of a verification at most (`Scheduler.num_spec_tokens`).
    k: u32,
    /// KV slots behind the scheduled tokens (`Scheduler.num_lookahead_tokens`).
    lookahead: u32,
    /// Input tokens that a request's drafting takes (`SpeculativeConfig.max_num_new_slots_for_drafting`); older
    /// recordings do not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    draft_slots: Option<u32>,
    /// Tokens behind a block that its key covers (`Scheduler.num_hash_lookahead_tokens`).
    hash_lookahead: u32,
    /// Whether a hit gives up its last block (`Scheduler.use_eagle_block_drop`).
    eagle_block_drop: bool,
    /// Whether passes are found whose drafts nobody can use (`Scheduler.can_skip_drafts`).
    skips_drafts: bool,
    /// Prompt tokens behind a chunk that the drafter reads (`Scheduler.num_prefill_lookahead`).
    prefill_lookahead: u32,
}

impl RecordedDrafting {
    /// What the simulator derived from the same drafter, as far as `recorded` says it; `None` if it has none.
    pub(crate) fn of(config: &EngineConfig, recorded: Option<&Self>) -> Option<Self> {
        config.speculative.as_ref()?;
        let says_slots = recorded.is_none_or(|recorded| recorded.draft_slots.is_some());
        Some(Self {
            k: config.num_speculative_tokens(),
            lookahead: config.num_lookahead_tokens(),
            draft_slots: says_slots.then(|| config.draft_slots()),
            hash_lookahead: config.num_hash_lookahead_tokens(),
            eagle_block_drop: config.drops_eagle_block(),
            skips_drafts: config.can_skip_drafts(),
            prefill_lookahead: config.num_prefill_lookahead_tokens(),
        })
    }
}

/// A running engine's layers and drafter, and what vLLM made of them.
#[derive(Debug, Clone, Default, Deserialize)]
pub(crate) struct Planning {
    /// What the workers and the configuration say.
    pub(crate) model: RecordedModel,
    /// The groups that came of it; `None` of an engine that is not vLLM.
    pub(crate) groups: Option<RecordedGroups>,
    /// What came of the drafter.
    pub(crate) speculative: Option<RecordedDrafting>,
}

impl Planning {
    /// The engine as the simulator takes it, with the scheduler's `settings`.
    ///
    /// # Errors
    /// If a fact is malformed, or the simulator makes something else of the same layers and the same drafter than
    /// `version` of vLLM did: its schedule would be another.
    pub(crate) fn config(&self, settings: &RecordedEngine, version: VllmVersion) -> Result<EngineConfig> {
        ensure!(self.model.layers.is_some(), "planning.model.layers is missing: what the model's layers keep");
        let groups = self.groups.as_ref().context("planning.groups is missing: what vLLM made of the layers")?;
        let config = settings.config(&self.model, version).context("the engine's settings")?;
        let found = RecordedGroups::of(&config, groups);
        ensure!(
            found == *groups,
            "this engine is not simulated: vLLM put the layers into {groups:?}, the simulator into {found:?}"
        );
        let found = RecordedDrafting::of(&config, self.speculative.as_ref());
        ensure!(
            found == self.speculative,
            "this engine is not simulated: of the drafter vLLM made {:?}, the simulator {found:?}",
            self.speculative
        );
        Ok(config)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recording_that_leaves_the_slots_out_is_compared_without_them() {
        let recorded: RecordedDrafting = serde_json::from_str(
            r#"{"k": 3, "lookahead": 0, "hash_lookahead": 0, "eagle_block_drop": false, "skips_drafts": false,
                "prefill_lookahead": 0}"#,
        )
        .expect("the slots are optional");
        assert_eq!(recorded.draft_slots, None, "not said");
        assert_eq!(RecordedDrafting::of(&EngineConfig::new(16, 100, 1000), Some(&recorded)), None, "no drafter");
    }
}
