//! A drafter as the engine knows it.
//!
//! Source: `vllm/config/speculative.py::SpeculativeConfig` and the properties of `vllm/config/vllm.py` that follow from
//! it.

use core::fmt;

use super::dynamic::DynamicSchedule;
use crate::vllm_version::VllmVersion;

/// How drafts come about (`SpeculativeConfig.method`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SpeculativeMethod {
    /// Text of the request that repeats, looked up on the processor.
    Ngram,
    /// The same, on the GPU.
    NgramGpu,
    /// A small model of its own.
    DraftModel,
    /// A head over the model's hidden states.
    Eagle,
    /// The same, over those of several layers.
    Eagle3,
    /// The model's own layers for further tokens.
    Mtp,
    /// A block of drafts in one pass.
    Dflash,
    /// The same, from an anchor token.
    Dspark,
}

impl SpeculativeMethod {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Ngram,
        Self::NgramGpu,
        Self::DraftModel,
        Self::Eagle,
        Self::Eagle3,
        Self::Mtp,
        Self::Dflash,
        Self::Dspark,
    ];

    /// vLLM's name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ngram => "ngram",
            Self::NgramGpu => "ngram_gpu",
            Self::DraftModel => "draft_model",
            Self::Eagle => "eagle",
            Self::Eagle3 => "eagle3",
            Self::Mtp => "mtp",
            Self::Dflash => "dflash",
            Self::Dspark => "dspark",
        }
    }

    /// The method called `name`, by vLLM's own and its deprecated names of MTP.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        let known = Self::ALL.into_iter().find(|method| method.name() == name);
        known
            .or_else(|| name.ends_with("_mtp").then_some(Self::Mtp))
            .or_else(|| (name == "[ngram]").then_some(Self::Ngram))
    }

    /// Whether drafts follow from the model's hidden states (`use_eagle`).
    #[must_use]
    pub const fn uses_hidden_states(self) -> bool {
        matches!(self, Self::Eagle | Self::Eagle3 | Self::Mtp | Self::Dflash | Self::Dspark)
    }

    /// Whether drafts come from layers of their own, which have keys and values to keep.
    #[must_use]
    pub const fn has_own_layers(self) -> bool {
        self.uses_hidden_states() || matches!(self, Self::DraftModel)
    }

    /// Whether all drafts come from one pass over query tokens of their own.
    const fn drafts_in_one_pass(self) -> bool {
        matches!(self, Self::Dflash | Self::Dspark)
    }
}

impl fmt::Display for SpeculativeMethod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A drafter as the engine knows it, resolved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpeculativeConfig {
    /// How drafts come about.
    pub method: SpeculativeMethod,
    /// Drafts a request is verified with at most, at least 1.
    pub num_speculative_tokens: u32,
    /// Drafts by the number of requests in a pass, where they are not always as many.
    pub num_speculative_tokens_per_batch_size: Option<DynamicSchedule>,
    /// Whether all drafts come from one pass of a model made for it.
    pub parallel_drafting: bool,
    /// Whether a hit keeps the block whose draft keys depend on the next token.
    pub disable_eagle_block_drop: bool,
    /// Whether a block's key covers its own tokens alone.
    pub disable_lookahead_block_hashes: bool,
    /// The model's layers for further tokens (`num_nextn_predict_layers`), at least 1.
    pub num_mtp_layers: u32,
    /// Whether `DSpark`'s first prediction is at its anchor token.
    pub sample_from_anchor: bool,
}

impl SpeculativeConfig {
    /// `num_speculative_tokens` drafts by `method`, everything else as vLLM has it by default.
    #[must_use]
    pub const fn new(method: SpeculativeMethod, num_speculative_tokens: u32) -> Self {
        Self {
            method,
            num_speculative_tokens,
            num_speculative_tokens_per_batch_size: None,
            parallel_drafting: false,
            disable_eagle_block_drop: false,
            disable_lookahead_block_hashes: false,
            num_mtp_layers: 1,
            sample_from_anchor: true,
        }
    }

    /// KV slots behind the scheduled tokens that the drafter writes to (`VllmConfig.num_lookahead_tokens`).
    #[must_use]
    pub const fn num_lookahead_tokens(&self) -> u32 {
        let num_drafts = self.num_speculative_tokens;
        match self.method {
            SpeculativeMethod::Dflash => num_drafts + 1,
            SpeculativeMethod::Dspark if !self.sample_from_anchor => num_drafts + 1,
            method if method.has_own_layers() => num_drafts,
            _ => 0,
        }
    }

    /// Input tokens of a pass that a request's drafting takes beside its own (`max_num_new_slots_for_drafting`).
    #[must_use]
    pub const fn draft_slots(&self, version: VllmVersion) -> u32 {
        let num_drafts = self.num_speculative_tokens;
        match self.method {
            SpeculativeMethod::Dflash | SpeculativeMethod::Dspark if version.drafts_in_a_pass_of_their_own() => 0,
            SpeculativeMethod::Dflash => num_drafts,
            SpeculativeMethod::DraftModel => {
                if self.parallel_drafting {
                    num_drafts
                } else {
                    1
                }
            }
            SpeculativeMethod::Dspark => num_drafts - 1,
            _ if self.parallel_drafting => num_drafts - 1,
            _ => 0,
        }
    }

    /// Whether the drafter is a chain of several MTP layers (`use_multi_module_mtp`).
    #[must_use]
    pub const fn is_multi_module_mtp(&self) -> bool {
        matches!(self.method, SpeculativeMethod::Mtp) && self.num_mtp_layers > 1 && self.num_speculative_tokens > 1
    }

    /// Prompt tokens behind a chunk that the drafter reads (`num_prefill_lookahead_tokens`).
    #[must_use]
    pub const fn num_prefill_lookahead_tokens(&self) -> u32 {
        if !self.method.uses_hidden_states() {
            0
        } else if self.is_multi_module_mtp() {
            self.num_speculative_tokens
        } else {
            1
        }
    }

    /// Whether draft keys at a position depend on the next token, and the last block of a hit is not to be trusted for
    /// it (`use_eagle_block_drop`).
    #[must_use]
    pub const fn uses_eagle_block_drop(&self, version: VllmVersion) -> bool {
        let depends = self.method.uses_hidden_states()
            && !(self.method.drafts_in_one_pass() && version.drafts_in_a_pass_of_their_own());
        depends && !self.disable_eagle_block_drop
    }

    /// Tokens behind a block that its key covers, with prefix caching on (`VllmConfig.num_hash_lookahead_tokens`).
    #[must_use]
    pub const fn num_hash_lookahead_tokens(&self, version: VllmVersion) -> u32 {
        if version.has_lookahead_block_hashes()
            && self.uses_eagle_block_drop(version)
            && !self.disable_lookahead_block_hashes
        {
            self.num_prefill_lookahead_tokens()
        } else {
            0
        }
    }

    /// Times that the drafter runs to propose `num_drafts`: once for each, or once for all.
    #[must_use]
    pub const fn num_draft_runs(&self, num_drafts: u32) -> u32 {
        let is_one_run = self.parallel_drafting || self.method.drafts_in_one_pass() || !self.method.has_own_layers();
        if is_one_run && num_drafts > 0 { 1 } else { num_drafts }
    }

    /// Drafts to propose after a pass of `num_reqs` requests.
    #[must_use]
    pub fn num_tokens_to_propose(&self, num_reqs: u32) -> u32 {
        match &self.num_speculative_tokens_per_batch_size {
            Some(schedule) if num_reqs > 0 => {
                schedule.num_speculative_tokens(num_reqs).min(self.num_speculative_tokens)
            }
            _ => self.num_speculative_tokens,
        }
    }
}
