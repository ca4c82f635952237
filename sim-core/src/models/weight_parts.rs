//! What a layer's weights are made of, on one rank.
//!
//! Source: `vllm/model_executor/layers/{linear,vocab_parallel_embedding}.py` for how ranks share matrices,
//! `vllm/model_executor/layers/mamba`, `vllm/model_executor/layers/fused_moe`, and the models' own files.

use super::shape::{
    AttentionShape, DenseMlp, ExpertsShape, LayerShape, Mixer, MlaShape, Mlp, ModelShape, StateShape, WeightFormat,
};
use super::weights::WeightSharing;

/// Some matrices of a rank that are alike, or some numbers that are none.
#[derive(Debug, Clone, Copy)]
pub(super) struct Part {
    /// What they are of.
    pub(super) of: PartOf,
    /// How many.
    pub(super) copies: u64,
    /// Numbers that come out of one; 1 for what is no matrix.
    pub(super) rows: u64,
    /// Numbers that go into one.
    pub(super) columns: u64,
    /// How each number is stored.
    pub(super) store: Store,
}

/// What a part is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PartOf {
    /// Attention, a state, and the norms around it.
    Mixer,
    /// An MLP that every token goes through.
    Mlp,
    /// Experts.
    Experts,
}

/// How a number is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Store {
    /// In the model's own format.
    Plain,
    /// In 32 bits.
    Wide,
    /// In the format of a checkpoint's matrix.
    Format(WeightFormat),
    /// In the model's own format, a copy that is no parameter.
    Copy,
}

/// Takes parts in.
pub(super) type Visit<'a> = &'a mut dyn FnMut(Part);

/// The parts of one layer.
pub(super) struct Parts<'a> {
    model: &'a ModelShape,
    sharing: &'a WeightSharing,
    hidden: u64,
}

impl<'a> Parts<'a> {
    pub(super) fn new(model: &'a ModelShape, sharing: &'a WeightSharing) -> Self {
        Self { model, sharing, hidden: u64::from(model.hidden_size) }
    }

    /// A rank's part of `amount`.
    fn share(&self, amount: u64) -> u64 {
        amount.div_ceil(u64::from(self.sharing.tensor_parallel_size.max(1)))
    }

    /// Shows every part of `layer`.
    pub(super) fn of_layer(&self, layer: &LayerShape, visit: Visit<'_>) {
        if !layer.shares_weights {
            match layer.mixer {
                Mixer::Nothing => {}
                Mixer::Attention(attention) => self.attention(&attention, visit),
                Mixer::Mla(attention) => self.latent(&attention, visit),
                Mixer::State(state) => self.state(&state, visit),
                Mixer::AttentionAndState(attention, state) => {
                    self.attention(&attention, visit);
                    self.state(&state, visit);
                }
            }
            match layer.mlp {
                Mlp::Nothing => {}
                Mlp::Dense(mlp) => self.mlp(mlp, self.model.formats.mlp, visit),
                Mlp::Experts(experts) => self.experts(&experts, visit),
            }
            visit(numbers(PartOf::Mixer, u64::from(layer.num_norms).saturating_mul(self.hidden)));
        }
        visit(numbers(PartOf::Mixer, layer.extra_parameters));
    }

    fn matrix(&self, rows: u64, columns: u64) -> Part {
        Part { of: PartOf::Mixer, copies: 1, rows, columns, store: Store::Format(self.model.formats.mixer) }
    }

    fn attention(&self, attention: &AttentionShape, visit: Visit<'_>) {
        let [heads, head, value_head] = [attention.num_heads, attention.head_dim, attention.v_head_dim].map(u64::from);
        let heads = self.share(heads);
        // Ranks beyond the heads of keys and values hold copies.
        let kv_heads = if attention.shares_kv { 0 } else { self.share(u64::from(attention.num_kv_heads)) };
        let queries = heads.saturating_mul(head);
        let gate = if attention.has_output_gate { queries } else { 0 };
        let rows = (queries + gate).saturating_add(kv_heads.saturating_mul(head + value_head));
        visit(self.matrix(rows, self.hidden));
        visit(self.matrix(self.hidden, heads.saturating_mul(value_head)));
        let biases = if attention.has_qkv_bias { rows } else { 0 };
        let output = if attention.has_output_bias { self.hidden } else { 0 };
        let norms = match (attention.has_qk_norm, attention.shares_kv) {
            (true, false) => 2 * head,
            (true, true) => head,
            (false, _) => 0,
        };
        visit(numbers(PartOf::Mixer, biases.saturating_add(output).saturating_add(norms)));
    }

    fn latent(&self, attention: &MlaShape, visit: Visit<'_>) {
        let [heads, latent, nope, rope, value] = [
            attention.num_heads,
            attention.kv_lora_rank,
            attention.qk_nope_head_dim,
            attention.qk_rope_head_dim,
            attention.v_head_dim,
        ]
        .map(u64::from);
        let heads = self.share(heads);
        let queries = heads.saturating_mul(nope + rope);
        let input = match attention.q_lora_rank.map(u64::from) {
            Some(rank) => {
                visit(self.matrix(rank, self.hidden));
                visit(self.matrix(queries, rank));
                visit(numbers(PartOf::Mixer, rank));
                rank
            }
            None => {
                visit(self.matrix(queries, self.hidden));
                self.hidden
            }
        };
        visit(self.matrix(latent + rope, self.hidden));
        visit(numbers(PartOf::Mixer, latent));
        let unpacked = self.matrix(heads.saturating_mul(nope + value), latent);
        visit(unpacked);
        if self.model.formats.mixer != WeightFormat::Unquantized {
            // Decoding multiplies by it in the model's own format (`split_kv_b_proj`).
            visit(Part { store: Store::Copy, ..unpacked });
        }
        visit(self.matrix(self.hidden, heads.saturating_mul(value)));
        if attention.has_output_gate {
            visit(self.matrix(heads.saturating_mul(value), self.hidden));
        }
        if let Some(index) = attention.indexer.filter(|index| index.is_own) {
            let [index_heads, head] = [index.num_heads, index.head_dim].map(u64::from);
            visit(self.matrix(index_heads.saturating_mul(head), input));
            visit(self.matrix(head, self.hidden));
            visit(plain(PartOf::Mixer, index_heads, self.hidden));
            visit(Part { store: Store::Wide, ..numbers(PartOf::Mixer, 2 * head) });
        }
    }

    fn state(&self, state: &StateShape, visit: Visit<'_>) {
        match *state {
            StateShape::GatedDeltaNet { num_key_heads, num_value_heads, key_head_dim, value_head_dim, conv_kernel } => {
                let [key_heads, value_heads, key, value, kernel] =
                    [num_key_heads, num_value_heads, key_head_dim, value_head_dim, conv_kernel].map(u64::from);
                let keys = self.share(key_heads.saturating_mul(key));
                let values = self.share(value_heads.saturating_mul(value));
                let value_heads = self.share(value_heads);
                visit(self.matrix(2 * keys + 2 * values, self.hidden));
                visit(plain(PartOf::Mixer, 2 * value_heads, self.hidden));
                visit(plain(PartOf::Mixer, 2 * keys + values, kernel));
                visit(wide(value_heads));
                visit(numbers(PartOf::Mixer, value_heads + value));
                visit(self.matrix(self.hidden, values));
            }
            StateShape::KimiDelta { num_heads, head_dim, conv_kernel, has_full_gate } => {
                self.kimi_delta([num_heads, head_dim, conv_kernel].map(u64::from), has_full_gate, visit);
            }
            StateShape::Mamba1 { intermediate_size, state_size, conv_kernel, time_step_rank } => {
                let [inner, state, kernel, rank] =
                    [intermediate_size, state_size, conv_kernel, time_step_rank].map(u64::from);
                let inner = self.share(inner);
                visit(self.matrix(2 * inner, self.hidden));
                visit(plain(PartOf::Mixer, inner, kernel));
                visit(plain(PartOf::Mixer, rank + 2 * state, inner));
                visit(plain(PartOf::Mixer, inner, rank + 1));
                visit(wide(inner.saturating_mul(state + 1)));
                visit(self.matrix(self.hidden, inner));
            }
            StateShape::Mamba2 { intermediate_size, num_heads, num_groups, state_size, conv_kernel, .. } => {
                let [inner, heads, state, kernel] =
                    [intermediate_size, num_heads, state_size, conv_kernel].map(u64::from);
                // Groups are copied until every rank has one.
                let groups = self.share(u64::from(num_groups));
                let (inner, heads) = (self.share(inner), self.share(heads));
                let conv = inner.saturating_add(2 * groups.saturating_mul(state));
                visit(self.matrix(inner.saturating_add(conv).saturating_add(heads), self.hidden));
                visit(plain(PartOf::Mixer, conv, kernel));
                visit(wide(heads));
                visit(numbers(PartOf::Mixer, 2 * heads + inner));
                visit(self.matrix(self.hidden, inner));
            }
            StateShape::ShortConv { width, conv_kernel } => {
                let whole = u64::from(width);
                let width = self.share(whole);
                visit(self.matrix(3 * width, whole));
                visit(plain(PartOf::Mixer, width, u64::from(conv_kernel)));
                visit(self.matrix(whole, width));
            }
        }
    }

    fn kimi_delta(&self, [heads, head, kernel]: [u64; 3], has_full_gate: bool, visit: Visit<'_>) {
        let heads = self.share(heads);
        let width = heads.saturating_mul(head);
        visit(self.matrix(3 * width + heads + head, self.hidden));
        visit(self.matrix(width, head));
        if has_full_gate {
            visit(self.matrix(width, self.hidden));
        } else {
            visit(self.matrix(head, self.hidden));
            visit(self.matrix(width, head));
        }
        visit(wide(width.saturating_mul(3).saturating_mul(kernel)));
        visit(wide(width + heads));
        visit(numbers(PartOf::Mixer, head));
        visit(self.matrix(self.hidden, width));
    }

    fn mlp(&self, mlp: DenseMlp, format: WeightFormat, visit: Visit<'_>) {
        let width = self.share(u64::from(mlp.intermediate_size));
        let inward = if mlp.is_gated { 2 } else { 1 } * width;
        let part =
            Part { of: PartOf::Mlp, copies: 1, rows: inward, columns: self.hidden, store: Store::Format(format) };
        visit(part);
        visit(Part { rows: self.hidden, columns: width, ..part });
    }

    fn experts(&self, experts: &ExpertsShape, visit: Visit<'_>) {
        let number = u64::from(experts.num_experts);
        let hidden = u64::from(experts.latent_size.unwrap_or(self.model.hidden_size));
        let (copies, width) = if self.sharing.enable_expert_parallel {
            (number.div_ceil(self.sharing.expert_ranks()), u64::from(experts.intermediate_size))
        } else {
            // Engines beside each other slice each expert together (`FusedMoEParallelConfig.make`).
            (number, u64::from(experts.intermediate_size) / self.sharing.expert_ranks())
        };
        let format = self.model.formats.experts;
        let (hidden, width) = self.sharing.padded(format, hidden, width);
        let inward = if experts.is_gated { 2 } else { 1 } * width;
        let part = Part { of: PartOf::Experts, copies, rows: inward, columns: hidden, store: Store::Format(format) };
        visit(part);
        visit(Part { rows: hidden, columns: width, ..part });
        if experts.has_bias {
            let store = if format == WeightFormat::Mxfp4 { Store::Wide } else { Store::Plain };
            visit(Part { rows: 1, columns: inward + hidden, store, ..part });
        }
        let router = plain(PartOf::Mlp, number, self.hidden);
        visit(if experts.has_f32_router { Part { store: Store::Wide, ..router } } else { router });
        if let Some(latent) = experts.latent_size.map(u64::from) {
            visit(Part { copies: 2, ..plain(PartOf::Mlp, latent, self.hidden) });
        }
        for (intermediate_size, format) in [
            (experts.shared_intermediate_size, self.model.formats.shared_experts),
            (experts.dense_intermediate_size, self.model.formats.mlp),
        ] {
            if intermediate_size > 0 {
                self.mlp(DenseMlp { intermediate_size, is_gated: experts.is_gated }, format, visit);
            }
        }
    }
}

/// A matrix that is never quantised.
const fn plain(of: PartOf, rows: u64, columns: u64) -> Part {
    Part { of, copies: 1, rows, columns, store: Store::Plain }
}

/// Numbers that are no matrix.
const fn numbers(of: PartOf, columns: u64) -> Part {
    plain(of, 1, columns)
}

/// Numbers of a state in 32 bits.
const fn wide(columns: u64) -> Part {
    Part { store: Store::Wide, ..plain(PartOf::Mixer, 1, columns) }
}
