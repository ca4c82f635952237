//! What changed between versions of vLLM, as questions that are asked where the answer matters.

use core::fmt;

/// A version of vLLM whose rules are known. A rule that differs is a method here, and nowhere else is a version looked
/// at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum VllmVersion {
    /// 0.32.0 of 20 October 2026.
    V0_32,
    /// 0.33.0 of 1 November 2026.
    #[default]
    V0_33,
}

impl VllmVersion {
    /// All versions, oldest first.
    pub const ALL: [Self; 2] = [Self::V0_32, Self::V0_33];

    /// The newest, which is assumed where none is named.
    pub const NEWEST: Self = Self::V0_33;

    /// The version as vLLM writes it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::V0_32 => "0.32.0",
            Self::V0_33 => "0.33.0",
        }
    }

    /// The version that `name` means: exact, or without its last part (`0.33`), with `v` before it or a local part
    /// behind (`0.33.0+cpu`).
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        let name = name.trim();
        let name = name.strip_prefix('v').unwrap_or(name);
        let name = name.split('+').next().unwrap_or(name);
        Self::ALL.into_iter().find(|version| {
            let full = version.name();
            full == name || full.strip_suffix(".0") == Some(name)
        })
    }

    /// Whether a request that makes room by giving up its own blocks ends the loop over running requests, also where
    /// those behind it could run. Source: `scheduler.py::schedule`, after the allocation loop.
    #[must_use]
    pub const fn self_preemption_ends_pass(self) -> bool {
        matches!(self, Self::V0_32)
    }

    /// Whether `prefill_schedule_interval` acts in an engine without data parallelism. Source:
    /// `scheduler.py::local_prefill_interval`.
    #[must_use]
    pub const fn schedules_prefills_at_intervals(self) -> bool {
        !matches!(self, Self::V0_32)
    }

    /// Whether an admission that would get no token ends the loop over waiting requests; it is passed over otherwise.
    #[must_use]
    pub const fn empty_admission_ends_pass(self) -> bool {
        matches!(self, Self::V0_32)
    }

    /// Whether a block's key covers the tokens behind it that a drafter reads, in place of a hit that gives up its last
    /// block. Source: `config/vllm.py::num_hash_lookahead_tokens`.
    #[must_use]
    pub const fn has_lookahead_block_hashes(self) -> bool {
        !matches!(self, Self::V0_32)
    }

    /// Whether passes are found whose drafts nobody can use. Source: `scheduler.py::_drafts_unused`.
    #[must_use]
    pub const fn finds_unused_drafts(self) -> bool {
        !matches!(self, Self::V0_32)
    }

    /// Whether `DFlash` and `DSpark` draft in a pass of their own, and their draft keys depend on no next token. Then they
    /// take no input slots, limit the running requests, and drop no block. Source: `config/speculative.py`.
    #[must_use]
    pub const fn drafts_in_a_pass_of_their_own(self) -> bool {
        !matches!(self, Self::V0_32)
    }

    /// Whether results of a pass give blocks their keys up to what passes under way do not touch, if drafts are used or
    /// results are awaited; otherwise up to the placeholders, and only with asynchronous scheduling. Source:
    /// `scheduler.py::update_from_output` against `async_scheduler.py::_update_request_with_output`.
    #[must_use]
    pub const fn results_cache_settled_tokens(self) -> bool {
        !matches!(self, Self::V0_32)
    }

    /// Whether a GB10 (compute capability 12.1) has the defaults of a small GPU, whatever its memory. Source:
    /// `arg_utils.py::get_batch_defaults`.
    #[must_use]
    pub const fn knows_gb10(self) -> bool {
        !matches!(self, Self::V0_32)
    }

    /// Whether asynchronous scheduling that is asked for is refused with pipeline stages and the older worker before the
    /// platform has its say. Source: `config/vllm.py::v1_async_sched_incompat`.
    #[must_use]
    pub const fn refuses_async_pipeline_of_old_runner(self) -> bool {
        !matches!(self, Self::V0_32)
    }

    /// Whether gated delta networks save their states at ends of blocks inside a chunk. Source:
    /// `qwen_gdn_linear_attn.py::get_prefill_checkpoint_alignment`.
    #[must_use]
    pub const fn saves_states_at_block_ends(self) -> bool {
        !matches!(self, Self::V0_32)
    }

    /// Whether n-gram speculation on the GPU's model runner leaves asynchronous scheduling on.
    #[must_use]
    pub const fn async_scheduling_takes_any_drafter(self) -> bool {
        !matches!(self, Self::V0_32)
    }

    /// Whether a drafter's layers are marked as such; the last layer is taken for one otherwise. Source:
    /// `kv_cache_planning.py::get_global_kv_cache_groups`.
    #[must_use]
    pub const fn marks_draft_layers(self) -> bool {
        !matches!(self, Self::V0_32)
    }

    /// Whether a group with a drafter's layers keeps the block before the end of a shared prefix. Source:
    /// `single_type_kv_cache_manager.py::reachable_block_mask`.
    #[must_use]
    pub const fn keeps_block_before_junction(self) -> bool {
        !matches!(self, Self::V0_32)
    }

    /// Whether a Mamba state that has its key already does not hold up those that find it. Source:
    /// `single_type_kv_cache_manager.py::MambaManager.cache_blocks`.
    #[must_use]
    pub const fn skips_keyed_tail(self) -> bool {
        !matches!(self, Self::V0_32)
    }
}

impl fmt::Display for VllmVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
