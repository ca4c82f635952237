//! States of Mamba and of linear attention, in bytes.
//!
//! Source: `vllm/model_executor/layers/mamba/mamba_utils.py`, its calculators of shapes and of number formats.

use super::config_file::Fields;
use super::error::ModelConfigError;
use super::layers::{ModelLayerKind, ModelLayers, PrefillCheckpoint};
use super::rank::{Rank, layer};
use super::settings::Dtype;

/// The two parts of a layer's state on one rank.
#[derive(Debug, Clone, Copy)]
pub(super) struct State {
    /// Inputs of the convolution that are kept: its width less one.
    pub(super) conv_rows: u64,
    /// Numbers of each.
    pub(super) conv_width: u64,
    /// Numbers of the recurrent part; 0 if there is none.
    pub(super) ssm: u64,
    /// Number format of the recurrent part.
    pub(super) ssm_dtype: Dtype,
    /// Whether an input more is kept for each draft that is verified.
    pub(super) keeps_drafts: bool,
    /// Where inside a chunk a pass can save it.
    pub(super) prefill_checkpoint: Option<PrefillCheckpoint>,
}

/// The sizes of a Mamba-2 layer over all ranks.
#[derive(Debug, Clone, Copy)]
pub(super) struct Mamba2 {
    /// Width of the layer.
    pub(super) intermediate: u64,
    /// Groups that share their matrices.
    pub(super) num_groups: u32,
    /// Heads.
    pub(super) num_heads: u32,
    /// Elements of a head.
    pub(super) head_size: u32,
    /// Numbers of a state for each element.
    pub(super) state_size: u32,
    /// Width of the convolution.
    pub(super) conv_kernel: u32,
}

/// The sizes of a Mamba-1 layer over all ranks.
#[derive(Debug, Clone, Copy)]
pub(super) struct Mamba1 {
    /// Width of the layer.
    pub(super) intermediate: u64,
    /// Numbers of a state for each element.
    pub(super) state_size: u32,
    /// Width of the convolution.
    pub(super) conv_kernel: u32,
}

impl State {
    /// The layer that keeps it.
    pub(super) fn layer(&self, rank: &Rank<'_>) -> ModelLayers {
        let row = self.conv_width.saturating_mul(rank.conv_dtype().num_bytes());
        let ssm = self.ssm.saturating_mul(self.ssm_dtype.num_bytes());
        ModelLayers {
            bytes_per_draft_token: if self.keeps_drafts { row } else { 0 },
            prefill_checkpoint: self.prefill_checkpoint,
            ..layer(ModelLayerKind::Mamba, (1, 0), self.conv_rows.saturating_mul(row).saturating_add(ssm))
        }
    }

    /// `mamba2_state_shape`. Its passes return the state at every position.
    pub(super) fn mamba2(rank: &Rank<'_>, sizes: &Mamba2, ssm_dtype: Dtype) -> Self {
        let tp = rank.tensor_parallel_size;
        let groups = if sizes.num_groups.is_multiple_of(tp) {
            u64::from(sizes.num_groups)
        } else {
            // Groups are copied until every rank has one (`extra_groups_for_head_shards`).
            u64::from(sizes.num_groups) + u64::from(tp.saturating_sub(sizes.num_groups))
        };
        let matrices = product([2, groups, u64::from(sizes.state_size)]);
        let heads = rank.share(u64::from(sizes.num_heads));
        Self {
            conv_rows: conv_rows(sizes.conv_kernel),
            conv_width: rank.share(sizes.intermediate.saturating_add(matrices)),
            ssm: product([heads, u64::from(sizes.head_size), u64::from(sizes.state_size)]),
            ssm_dtype,
            keeps_drafts: true,
            prefill_checkpoint: Some(PrefillCheckpoint { alignment: 1, at_block_ends: false }),
        }
    }

    /// `mamba1_state_shape`.
    pub(super) fn mamba1(rank: &Rank<'_>, sizes: &Mamba1) -> Self {
        let width = rank.share(sizes.intermediate);
        Self {
            conv_rows: conv_rows(sizes.conv_kernel),
            conv_width: width,
            ssm: product([width, u64::from(sizes.state_size), 1]),
            ssm_dtype: rank.given_ssm_dtype().unwrap_or_else(|| rank.conv_dtype()),
            keeps_drafts: false,
            prefill_checkpoint: None,
        }
    }

    /// `short_conv_state_shape`.
    pub(super) fn short_conv(rank: &Rank<'_>, conv_kernel: u32, width: u32) -> Self {
        Self {
            conv_rows: conv_rows(conv_kernel),
            conv_width: rank.share(u64::from(width)),
            ssm: 0,
            ssm_dtype: rank.conv_dtype(),
            keeps_drafts: true,
            prefill_checkpoint: None,
        }
    }

    /// `gated_delta_net_state_shape`, by the names of Qwen3-Next. `FlashInfer`'s kernel can return the states at multiples
    /// of 64 tokens; vLLM has it on GPUs of capability 9.0, and with CUDA 13 on 10.x and 12.x for heads of 128.
    pub(super) fn gated_delta_net(
        rank: &Rank<'_>,
        fields: Fields<'_>,
        ssm: Option<Dtype>,
    ) -> Result<Self, ModelConfigError> {
        const ALIGNMENT: u32 = 64;
        let [key_heads, value_heads, key_size, value_size] = [
            fields.count("linear_num_key_heads")?,
            fields.count("linear_num_value_heads")?,
            fields.count("linear_key_head_dim")?,
            fields.count("linear_value_head_dim")?,
        ]
        .map(u64::from);
        let width = product([2, key_size, key_heads]).saturating_add(product([1, value_size, value_heads]));
        let capability = rank.compute_capability;
        let has_kernel = match capability.major {
            9 => capability.minor == 0,
            10 | 12 => key_size == 128,
            _ => false,
        };
        Ok(Self {
            conv_rows: conv_rows(fields.count("linear_conv_kernel_dim")?),
            conv_width: rank.share(width),
            ssm: product([rank.share(value_heads), value_size, key_size]),
            ssm_dtype: ssm.unwrap_or_else(|| rank.conv_dtype()),
            keeps_drafts: true,
            prefill_checkpoint: has_kernel.then_some(PrefillCheckpoint { alignment: ALIGNMENT, at_block_ends: true }),
        })
    }

    /// `kda_state_shape`, by the names of Kimi-Linear's `linear_attn_config`. Kimi-K3's kernel, which has a bound for its
    /// gate, returns the states at multiples of 16 tokens.
    pub(super) fn kimi_delta(rank: &Rank<'_>, linear: Fields<'_>) -> Result<Self, ModelConfigError> {
        const ALIGNMENT: u32 = 16;
        let [heads, size] = [linear.count("num_heads")?, linear.count("head_dim")?].map(u64::from);
        let has_kernel = linear.value("gate_lower_bound").is_some();
        Ok(Self {
            conv_rows: conv_rows(linear.count("short_conv_kernel_size")?),
            conv_width: rank.share(product([3, heads, size])),
            ssm: product([rank.share(heads), size, size]),
            ssm_dtype: rank.given_ssm_dtype().unwrap_or(Dtype::Float32),
            keeps_drafts: true,
            prefill_checkpoint: has_kernel.then_some(PrefillCheckpoint { alignment: ALIGNMENT, at_block_ends: false }),
        })
    }
}

fn conv_rows(conv_kernel: u32) -> u64 {
    u64::from(conv_kernel.saturating_sub(1))
}

/// The product, or the largest number there is.
fn product(factors: [u64; 3]) -> u64 {
    factors.into_iter().fold(1, u64::saturating_mul)
}
