//! What depends on a pass's tokens alone: matrix products, experts, collectives, and what only moves memory.

use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use super::error::ComposeError;
use super::rank::Ranks;
use super::setup::Setup;
use super::{collectives, formats, states};
use crate::math;
use crate::models::shape::{
    AttentionShape, DenseMlp, ExpertsShape, LayerShape, Mixer, MlaShape, Mlp, ModelShape, StateShape, WeightFormat,
};
use crate::operators::format::NumberFormat;
use crate::operators::kinds::Operator;
use crate::operators::products::Products;
use crate::operators::schema::Pack;
use crate::operators::series::Series;
use crate::operators::{Gpu, experts};

/// Bytes of a number in activations.
const ACTIVATION_BYTES: f64 = 2.0;

/// An operator of a pass.
#[derive(Debug)]
struct Term {
    series: Series,
    /// How often it runs.
    times: f64,
    /// Its count for each token of the pass.
    per_token: f64,
    /// Whether it runs beside routed experts while a pass has few tokens.
    is_beside_experts: bool,
}

/// Numbers that operators without a table read and write.
#[derive(Debug, Clone, Copy)]
struct Moved {
    /// How often it runs.
    times: f64,
    /// Numbers for each token.
    per_token: f64,
    /// Whether it is part of another kernel, so that nothing is launched for it.
    is_fused: bool,
}

/// How much faster tensor cores are in bf16 than the other units in 32 bits, and the most that those reach: 15 on an H100
/// (67 TFLOPS), 16 on an A100, 30 on a B200 (75).
const F32_RATIO: f64 = 15.0;
const F32_MOST_FLOPS: f64 = 75e12;
/// Share of that peak that products reach.
const F32_SHARE: f64 = 0.7;
/// Most tokens of a pass in which shared experts run on a stream of their own beside the routed ones
/// (`VLLM_SHARED_EXPERTS_STREAM_TOKEN_THRESHOLD`).
const BESIDE_EXPERTS: u32 = 256;

/// What depends on a pass's tokens.
#[derive(Debug)]
pub(super) struct Layers {
    terms: Vec<Term>,
    moved: Vec<Moved>,
    /// Whether what is being added runs beside routed experts.
    is_beside_experts: bool,
    /// The logits, over rows.
    pub(super) head: Series,
    /// What was carried from other shapes, in words: for the notes.
    pub(super) carried: Vec<String>,
    /// Whether experts were carried from another shape or format.
    pub(super) experts_carried: Option<String>,
}

/// What a rank's layers are made of.
#[derive(Clone, Copy)]
pub(super) struct Parts<'a> {
    pub(super) pack: &'a Pack,
    pub(super) shape: &'a ModelShape,
    pub(super) ranks: Ranks,
    pub(super) setup: &'a Setup,
}

impl Parts<'_> {
    /// Whether norms are part of the all-reduce in front of them (`config/vllm.py`, `enable_allreduce_rms_fusion`: on
    /// capabilities 9.0 and 10.x).
    fn fuses_norms(&self) -> bool {
        let capability = &self.pack.gpu.compute_capability;
        self.ranks.tensor > 1 && (capability == "9.0" || capability.starts_with("10."))
    }
}

impl Layers {
    /// The layers of a rank.
    ///
    /// # Errors
    /// [`ComposeError::Operator`] if the pack lacks an operator.
    pub(super) fn new(parts: &Parts<'_>) -> Result<Self, ComposeError> {
        let Parts { pack, shape, ranks, .. } = *parts;
        let products = Products::new(pack);
        let logits = (shape.vocab_size.div_ceil(ranks.tensor), shape.hidden_size);
        let head_format = if shape.tie_word_embeddings { WeightFormat::Unquantized } else { shape.formats.lm_head };
        let head = products.find(logits, formats::of(head_format)).ok_or_else(|| missing(pack, "matrix products"))?;
        let mut layers = Self {
            terms: vec![],
            moved: vec![],
            is_beside_experts: false,
            head: head.series,
            carried: vec![],
            experts_carried: None,
        };
        // The embedding.
        layers.moved.push(Moved { times: 1.0, per_token: math::u32_to_f64(shape.hidden_size), is_fused: false });
        for run in &shape.layers {
            layers.add(&run.layer, math::u32_to_f64(run.num_layers), parts)?;
        }
        if ranks.tensor > 1 {
            let hidden = math::u32_to_f64(shape.hidden_size);
            // After the embedding.
            layers.add_all_reduce(1.0, hidden, parts)?;
        }
        Ok(layers)
    }

    fn add(&mut self, layer: &LayerShape, times: f64, parts: &Parts<'_>) -> Result<(), ComposeError> {
        let hidden = math::u32_to_f64(parts.shape.hidden_size);
        // A norm reads and writes the residual and what is added to it.
        let norms = times * math::u32_to_f64(layer.num_norms);
        self.moved.push(Moved { times: norms, per_token: 4.0 * hidden, is_fused: parts.fuses_norms() });
        let mut num_sums = 0.0;
        match &layer.mixer {
            Mixer::Nothing => {}
            Mixer::Attention(attention) => {
                self.add_attention(attention, times, parts)?;
                num_sums += 1.0;
            }
            Mixer::Mla(mla) => {
                self.add_mla(mla, times, parts)?;
                num_sums += 1.0;
            }
            Mixer::State(state) => {
                self.add_state(state, times, parts)?;
                num_sums += 1.0;
            }
            Mixer::AttentionAndState(attention, state) => {
                self.add_attention(attention, times, parts)?;
                self.add_state(state, times, parts)?;
                num_sums += 1.0;
            }
        }
        match &layer.mlp {
            Mlp::Nothing => {}
            Mlp::Dense(mlp) => {
                self.add_mlp(mlp, parts.shape.formats.mlp, times, parts)?;
                num_sums += 1.0;
            }
            Mlp::Experts(experts) => {
                self.add_experts(experts, times, parts)?;
                // With data parallelism experts' results are sent back instead of summed.
                num_sums += if parts.ranks.data > 1 { 0.0 } else { 1.0 };
            }
        }
        if parts.ranks.tensor > 1 && num_sums > 0.0 {
            self.add_all_reduce(times * num_sums, hidden, parts)?;
        }
        Ok(())
    }

    fn add_all_reduce(&mut self, times: f64, per_token: f64, parts: &Parts<'_>) -> Result<(), ComposeError> {
        let series = collectives::all_reduce(parts.pack, parts.ranks.tensor)?;
        self.terms.push(Term { series, times, per_token, is_beside_experts: false });
        Ok(())
    }

    /// A product in 16 bits, once in a pass.
    pub(super) fn add_projection(&mut self, shape: (u32, u32), parts: &Parts<'_>) -> Result<(), ComposeError> {
        self.add_in(shape, NumberFormat::Bf16, 1.0, parts)
    }

    fn add_product(
        &mut self,
        shape: (u32, u32),
        format: WeightFormat,
        times: f64,
        parts: &Parts<'_>,
    ) -> Result<(), ComposeError> {
        self.add_in(shape, formats::of(format), times, parts)
    }

    fn add_in(
        &mut self,
        shape: (u32, u32),
        format: NumberFormat,
        times: f64,
        parts: &Parts<'_>,
    ) -> Result<(), ComposeError> {
        let (n, k) = shape;
        if n == 0 || k == 0 {
            return Ok(());
        }
        let found =
            Products::new(parts.pack).find(shape, format).ok_or_else(|| missing(parts.pack, "matrix products"))?;
        if found.distance > 0.0 {
            let note = format!("{n} × {k} ({:.2} octaves from the nearest that was)", found.distance);
            if !self.carried.contains(&note) {
                self.carried.push(note);
            }
        }
        self.terms.push(Term {
            series: found.series,
            times,
            per_token: 1.0,
            is_beside_experts: self.is_beside_experts,
        });
        Ok(())
    }

    fn add_attention(&mut self, attention: &AttentionShape, times: f64, parts: &Parts<'_>) -> Result<(), ComposeError> {
        let (ranks, hidden) = (parts.ranks, parts.shape.hidden_size);
        let heads = ranks.share(attention.num_heads);
        let kv_heads = if attention.shares_kv { 0 } else { ranks.share(attention.num_kv_heads) };
        let query = heads * attention.head_dim;
        let gate = if attention.has_output_gate { heads * attention.v_head_dim } else { 0 };
        let format = parts.shape.formats.mixer;
        let width = query + gate + kv_heads * (attention.head_dim + attention.v_head_dim);
        self.add_product((width, hidden), format, times, parts)?;
        self.add_product((hidden, heads * attention.v_head_dim), format, times, parts)?;
        // Rotary embedding, with the norms of queries and keys in the same kernel, and the write to the KV cache.
        let keys = kv_heads * attention.head_dim;
        self.moved.push(Moved { times, per_token: 2.0 * math::u32_to_f64(query + keys), is_fused: false });
        self.moved.push(Moved { times, per_token: 4.0 * math::u32_to_f64(keys), is_fused: false });
        if attention.norms_all_heads && ranks.tensor > 1 {
            // Ranks add up their heads' squares: two numbers of 32 bits a token.
            self.add_all_reduce(times, 4.0, parts)?;
        }
        Ok(())
    }

    fn add_mla(&mut self, mla: &MlaShape, times: f64, parts: &Parts<'_>) -> Result<(), ComposeError> {
        for shape in mla_products(mla, parts.shape.hidden_size, parts.ranks) {
            self.add_product(shape, parts.shape.formats.mixer, times, parts)?;
        }
        Ok(())
    }

    fn add_state(&mut self, state: &StateShape, times: f64, parts: &Parts<'_>) -> Result<(), ComposeError> {
        for shape in states::products(state, parts.shape.hidden_size, parts.ranks) {
            self.add_product(shape, parts.shape.formats.mixer, times, parts)?;
        }
        // The gated norm behind the state.
        let width = math::u32_to_f64(states::output_width(state, parts.ranks));
        self.moved.push(Moved { times, per_token: 3.0 * width, is_fused: false });
        Ok(())
    }

    fn add_mlp(
        &mut self,
        mlp: &DenseMlp,
        format: WeightFormat,
        times: f64,
        parts: &Parts<'_>,
    ) -> Result<(), ComposeError> {
        let (hidden, width) = (parts.shape.hidden_size, parts.ranks.share(mlp.intermediate_size));
        let up = if mlp.is_gated { 2 * width } else { width };
        self.add_product((up, hidden), format, times, parts)?;
        self.add_product((hidden, width), format, times, parts)?;
        self.moved.push(Moved { times, per_token: math::u32_to_f64(up + width), is_fused: self.is_beside_experts });
        Ok(())
    }

    fn add_experts(&mut self, shape: &ExpertsShape, times: f64, parts: &Parts<'_>) -> Result<(), ComposeError> {
        let Parts { pack, ranks, .. } = *parts;
        let (hidden, all) = (parts.shape.hidden_size, parts.shape.formats);
        self.add_router(shape, times, parts)?;
        let on_rank = ranks.experts(shape, hidden);
        let variant = parts.setup.routing.variant();
        let format = match all.experts {
            WeightFormat::Mxfp4 if parts.setup.has_fp8_activations => NumberFormat::Mxfp4Fp8,
            format => formats::of(format),
        };
        let found = experts::find(pack, &on_rank, format, variant)
            .or_else(|| experts::find(pack, &on_rank, format, "balanced"))
            .ok_or_else(|| missing(pack, "experts"))?;
        if found.distance > 0.0 || !found.is_own_format {
            let what = if found.is_own_format { "" } else { " and from another number format" };
            self.experts_carried =
                Some(format!("{:.2} octaves from the nearest that were measured{what}", found.distance));
        }
        // With data parallelism every rank's experts see the tokens of all engines.
        self.terms.push(Term {
            series: found.series,
            times,
            per_token: f64::from(ranks.data),
            is_beside_experts: false,
        });
        for width in [shape.shared_intermediate_size, shape.dense_intermediate_size] {
            if width > 0 {
                let mlp = DenseMlp { intermediate_size: width, is_gated: shape.is_gated };
                let format = if width == shape.shared_intermediate_size { all.shared_experts } else { all.mlp };
                self.is_beside_experts = true;
                let added = self.add_mlp(&mlp, format, times, parts);
                self.is_beside_experts = false;
                added?;
            }
        }
        if let Some(latent) = shape.latent_size {
            self.add_product((latent, hidden), all.mlp, times, parts)?;
            self.add_product((hidden, latent), all.mlp, times, parts)?;
        }
        if ranks.data > 1 {
            let numbers = math::u32_to_f64(hidden) * f64::from(ranks.data);
            for operator in [Operator::AllGather, Operator::ReduceScatter] {
                let series = collectives::nccl(pack, operator, ranks.of_experts())?;
                self.terms.push(Term { series, times, per_token: numbers, is_beside_experts: false });
            }
        }
        Ok(())
    }

    /// The router stays in 16 bits, or is computed in 32 (`GateLinear`), for which no product was measured: twice the bytes,
    /// and what the units for 32 bits can compute.
    fn add_router(&mut self, shape: &ExpertsShape, times: f64, parts: &Parts<'_>) -> Result<(), ComposeError> {
        let sizes = (shape.num_experts, parts.shape.hidden_size);
        if !shape.has_f32_router {
            return self.add_in(sizes, NumberFormat::Bf16, times, parts);
        }
        let gpu = &parts.pack.gpu;
        let products = Products::new(parts.pack);
        let found = products.find(sizes, NumberFormat::Bf16).ok_or_else(|| missing(parts.pack, "matrix products"))?;
        let launch = products.launch_us();
        let rate = F32_SHARE * math::min(gpu.bf16_flops / F32_RATIO, F32_MOST_FLOPS);
        let work = 2.0 * math::u32_to_f64(sizes.0) * math::u32_to_f64(sizes.1);
        let series = found.series.map(|tokens, time| {
            math::max(launch + 2.0 * math::max(time - launch, 0.0), launch + tokens * work / rate * 1e6)
        });
        self.terms.push(Term { series, times, per_token: 1.0, is_beside_experts: false });
        Ok(())
    }

    /// Whether all operators were measured around this number of tokens.
    pub(super) fn encloses(&self, num_tokens: u32) -> bool {
        let tokens = math::u32_to_f64(num_tokens);
        self.terms.iter().all(|term| {
            let counts = term.series.counts();
            // Beneath the first point stands a launch, whose time does not change.
            counts.last().is_some_and(|&last| tokens * term.per_token <= last)
        })
    }

    /// The time of a pass of that many tokens, in microseconds.
    pub(super) fn at(&self, num_tokens: u32, gpu: &Gpu) -> f64 {
        let tokens = math::u32_to_f64(num_tokens);
        let moved = self.moved.iter().map(|moved| {
            let launch = if moved.is_fused { moving_us(0.0, gpu) } else { 0.0 };
            moved.times * (moving_us(tokens * moved.per_token * ACTIVATION_BYTES, gpu) - launch)
        });
        let is_counted = |term: &&Term| num_tokens > BESIDE_EXPERTS || !term.is_beside_experts;
        let measured =
            self.terms.iter().filter(is_counted).map(|term| term.times * term.series.at(tokens * term.per_token));
        moved.sum::<f64>() + measured.sum::<f64>()
    }
}

/// The products of a block of latent attention on a rank, those of its absorbed matrices included.
pub(super) fn mla_products(mla: &MlaShape, hidden: u32, ranks: Ranks) -> Vec<(u32, u32)> {
    let heads = ranks.share(mla.num_heads);
    let query = mla.qk_nope_head_dim + mla.qk_rope_head_dim;
    let kv = mla.kv_lora_rank + mla.qk_rope_head_dim;
    let mut shapes = match mla.q_lora_rank {
        // Both ways down at once, whole on every rank.
        Some(rank) => vec![(rank + kv, hidden), (heads * query, rank)],
        None => vec![(kv, hidden), (heads * query, hidden)],
    };
    if mla.has_output_gate {
        shapes.push((heads * mla.v_head_dim, hidden));
    }
    shapes.push((hidden, heads * mla.v_head_dim));
    if let Some(index) = mla.indexer.filter(|index| index.is_own) {
        shapes.push((index.num_heads * index.head_dim, mla.q_lora_rank.unwrap_or(hidden)));
        shapes.push((index.head_dim + index.num_heads, hidden));
    }
    shapes
}

/// What only moves so many bytes takes: aiconfigurator's formula.
pub(super) fn moving_us(bytes: f64, gpu: &Gpu) -> f64 {
    const SHARE: f64 = 0.8;
    const LAUNCH_US: f64 = 3.0;
    bytes / (SHARE * gpu.memory_bandwidth) * 1e6 + LAUNCH_US
}

pub(super) fn missing(pack: &Pack, operator: &'static str) -> ComposeError {
    ComposeError::Operator { operator, gpu: pack.gpu.label.clone() }
}
