//! A model's layers as one rank has them.

use super::error::{ComposeError, MAX_RANKS};
use super::setup::Setup;
use crate::models::shape::{AttentionShape, ExpertsShape, LayerShape, Mixer, Mlp, ModelShape, StateShape};
use crate::operators::experts::ExpertsOnRank;

/// Widest matrix of a layer; the widest of any model that is served is below a million.
const MAX_WIDTH: u64 = 1 << 27;

/// How ranks share a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ranks {
    /// Ranks that share each layer but its experts.
    pub(super) tensor: u32,
    /// Engines beside each other.
    pub(super) data: u32,
    /// Whether experts are shared out.
    pub(super) shares_experts: bool,
}

impl Ranks {
    /// The ranks of `setup`, if they can divide `shape`.
    pub(super) fn new(setup: &Setup, shape: &ModelShape) -> Result<Self, ComposeError> {
        for (flag, value) in
            [("tensor-parallel-size", setup.tensor_parallel_size), ("data-parallel-size", setup.data_parallel_size)]
        {
            if !(1..=MAX_RANKS).contains(&value) {
                return Err(ComposeError::Ranks { flag, value });
            }
        }
        let has_experts = shape.layers.iter().any(|run| matches!(run.layer.mlp, Mlp::Experts(_)));
        if !has_experts && setup.data_parallel_size > 1 {
            return Err(ComposeError::NoExperts { flag: "data-parallel-size" });
        }
        let ranks = Self {
            tensor: setup.tensor_parallel_size,
            data: setup.data_parallel_size,
            // vLLM takes the flag for any model; without experts there is nothing to share out.
            shares_experts: setup.enable_expert_parallel && has_experts,
        };
        for run in &shape.layers {
            check_width(shape.hidden_size, &run.layer)?;
            ranks.check_mixer(&run.layer.mixer)?;
            ranks.check_mlp(&run.layer.mlp)?;
        }
        Ok(ranks)
    }

    /// Ranks that hold the experts together.
    pub(super) const fn of_experts(self) -> u32 {
        self.tensor * self.data
    }

    /// All ranks of the setup.
    pub(super) const fn all(self) -> u32 {
        self.tensor * self.data
    }

    /// A share of `value`.
    pub(super) fn share(self, value: u32) -> u32 {
        (value / self.tensor).max(1)
    }

    fn check_mixer(self, mixer: &Mixer) -> Result<(), ComposeError> {
        match mixer {
            Mixer::Attention(attention) | Mixer::AttentionAndState(attention, _) => {
                self.check_heads(attention.num_heads, attention)
            }
            Mixer::Mla(mla) => divisible("num_attention_heads", mla.num_heads, self.tensor),
            Mixer::Nothing | Mixer::State(_) => Ok(()),
        }
    }

    fn check_heads(self, num_heads: u32, attention: &AttentionShape) -> Result<(), ComposeError> {
        divisible("num_attention_heads", num_heads, self.tensor)?;
        // More ranks than key heads hold copies of them.
        let (kv_heads, tensor) = (attention.num_kv_heads, self.tensor);
        let fits = kv_heads.is_multiple_of(tensor) || tensor.is_multiple_of(kv_heads.max(1));
        if fits {
            Ok(())
        } else {
            Err(ComposeError::Indivisible { field: "num_key_value_heads", value: kv_heads, ranks: tensor })
        }
    }

    fn check_mlp(self, mlp: &Mlp) -> Result<(), ComposeError> {
        match mlp {
            Mlp::Nothing => Ok(()),
            Mlp::Dense(dense) => divisible("intermediate_size", dense.intermediate_size, self.tensor),
            Mlp::Experts(experts) if self.shares_experts => {
                // vLLM gives the first ranks one more where it does not come out even.
                if experts.num_experts >= self.of_experts() {
                    Ok(())
                } else {
                    Err(ComposeError::Indivisible {
                        field: "num_experts",
                        value: experts.num_experts,
                        ranks: self.of_experts(),
                    })
                }
            }
            Mlp::Experts(experts) => divisible("moe_intermediate_size", experts.intermediate_size, self.of_experts()),
        }
    }

    /// The experts of a rank.
    pub(super) fn experts(self, experts: &ExpertsShape, hidden_size: u32) -> ExpertsOnRank {
        let ranks = self.of_experts();
        let (slices, shares) = if self.shares_experts { (1, ranks) } else { (ranks, 1) };
        ExpertsOnRank {
            hidden_size: experts.latent_size.unwrap_or(hidden_size),
            intermediate_size: experts.intermediate_size,
            num_experts_per_tok: experts.num_experts_per_tok,
            num_experts: experts.num_experts,
            slices,
            shares,
            num_matrices: if experts.is_gated { 3 } else { 2 },
        }
    }
}

/// Refuses a layer so wide that its matrices' sizes could not be counted: far above every model's.
fn check_width(hidden_size: u32, layer: &LayerShape) -> Result<(), ComposeError> {
    let product = |a: u32, b: u32| u64::from(a).saturating_mul(u64::from(b));
    let of_heads = |heads: &AttentionShape| {
        let dim = heads.head_dim.max(heads.v_head_dim);
        product(heads.num_heads.max(heads.num_kv_heads), dim).saturating_mul(8)
    };
    let of_state = |state: &StateShape| match *state {
        StateShape::GatedDeltaNet { num_key_heads, num_value_heads, key_head_dim, value_head_dim, .. } => {
            product(num_key_heads.max(num_value_heads), key_head_dim.max(value_head_dim)).saturating_mul(4)
        }
        StateShape::KimiDelta { num_heads, head_dim, .. } => product(num_heads, head_dim).saturating_mul(4),
        StateShape::Mamba1 { intermediate_size, state_size, time_step_rank, .. } => {
            2 * u64::from(intermediate_size) + 2 * u64::from(state_size) + u64::from(time_step_rank)
        }
        StateShape::Mamba2 { intermediate_size, num_heads, num_groups, state_size, .. } => {
            2 * u64::from(intermediate_size) + product(num_groups, state_size).saturating_mul(2) + u64::from(num_heads)
        }
        StateShape::ShortConv { width, .. } => 3 * u64::from(width),
    };
    let mixer = match &layer.mixer {
        Mixer::Nothing => 0,
        Mixer::Attention(heads) => of_heads(heads),
        Mixer::AttentionAndState(heads, state) => of_heads(heads).max(of_state(state)),
        Mixer::State(state) => of_state(state),
        Mixer::Mla(mla) => {
            let dim = u64::from(mla.qk_nope_head_dim) + u64::from(mla.qk_rope_head_dim) + u64::from(mla.v_head_dim);
            let index = mla.indexer.map_or(0, |index| product(index.num_heads, index.head_dim));
            let latents = u64::from(mla.kv_lora_rank) + u64::from(mla.q_lora_rank.unwrap_or(0));
            u64::from(mla.num_heads).saturating_mul(dim).saturating_add(latents).max(index)
        }
    };
    let mlp = match &layer.mlp {
        Mlp::Nothing => 0,
        Mlp::Dense(dense) => 2 * u64::from(dense.intermediate_size),
        Mlp::Experts(experts) => {
            let widths = [experts.intermediate_size, experts.shared_intermediate_size, experts.dense_intermediate_size];
            2 * widths.into_iter().map(u64::from).max().unwrap_or(0)
        }
    };
    let widest = mixer.max(mlp).max(2 * u64::from(hidden_size));
    if widest <= MAX_WIDTH { Ok(()) } else { Err(ComposeError::TooWide { widest }) }
}

fn divisible(field: &'static str, value: u32, ranks: u32) -> Result<(), ComposeError> {
    if value.is_multiple_of(ranks) { Ok(()) } else { Err(ComposeError::Indivisible { field, value, ranks }) }
}
