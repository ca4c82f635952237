//! What depends on what is attended to: all layers of a model that look equally far back, together.

use alloc::string::String;
use alloc::vec::Vec;

use super::error::ComposeError;
use super::latent::{self, LatentTimes};
use super::layers::{Parts, missing};
use super::states::{self, StateTimes};
use crate::batch::AttentionSpan;
use crate::math;
use crate::models::shape::{AttentionShape, Mixer};
use crate::operators::Gpu;
use crate::operators::attention::{FoundAttention, HeadsOnRank, work};
use crate::operators::grid::TimeGrid;

/// Layers that look equally far back, with the states of a model beside those that look at everything.
#[derive(Debug, Default)]
pub(super) struct Kind {
    heads: Vec<Heads>,
    latent: Vec<(f64, LatentTimes)>,
    states: Vec<(f64, StateTimes)>,
}

/// Layers of the same heads.
#[derive(Debug)]
struct Heads {
    num_layers: f64,
    found: FoundAttention,
    /// 0 for all tokens.
    span: f64,
    /// Elements of all queries of a rank.
    query_width: f64,
}

/// What a further row of a verification takes in a layer with a state, as a share of the first: reading and writing the
/// state are not done again, but for the copy that is kept for it.
const STATE_OF_ANOTHER_ROW: f64 = 0.5;

/// The attention of a model.
#[derive(Debug)]
pub(super) struct Attention {
    /// Of the layers that look at all tokens, and of states.
    pub(super) full: Kind,
    /// Of those of each span.
    pub(super) spans: Vec<(AttentionSpan, Kind)>,
    /// Kernels of attention of heads.
    pub(super) kernels: Vec<String>,
    /// Query heads per key head, where there are heads.
    pub(super) query_heads_per_key_head: f64,
    /// Octaves from the nearest measured heads, the farthest.
    pub(super) distance: f64,
    /// Whether states follow from a formula.
    pub(super) has_state_formula: bool,
}

impl Attention {
    /// The attention of a rank's layers.
    ///
    /// # Errors
    /// [`ComposeError::Operator`] if the pack lacks an operator.
    pub(super) fn new(parts: &Parts<'_>, is_fp8: bool) -> Result<Self, ComposeError> {
        let mut attention = Self {
            full: Kind::default(),
            spans: Vec::new(),
            kernels: Vec::new(),
            query_heads_per_key_head: 1.0,
            distance: 0.0,
            has_state_formula: false,
        };
        for run in &parts.shape.layers {
            let num_layers = math::u32_to_f64(run.num_layers);
            match &run.layer.mixer {
                Mixer::Nothing => {}
                Mixer::Attention(heads) => attention.add_heads(heads, num_layers, is_fp8, parts)?,
                Mixer::Mla(mla) => {
                    attention.full.latent.push((num_layers, latent::times(mla, is_fp8, parts)?));
                }
                Mixer::State(state) => attention.add_state(state, num_layers, parts)?,
                Mixer::AttentionAndState(heads, state) => {
                    attention.add_heads(heads, num_layers, is_fp8, parts)?;
                    attention.add_state(state, num_layers, parts)?;
                }
            }
        }
        Ok(attention)
    }

    /// So many requests with one new token over `context` tokens each, in all layers, in microseconds; the nearest that was
    /// measured.
    pub(super) fn decode_us(&self, num_seqs: u32, context: u32) -> f64 {
        let spans = self
            .spans
            .iter()
            .map(|(span, kind)| kind.nearest_decode_us(num_seqs, span.num_attended_tokens(context, 1)));
        self.full.nearest_decode_us(num_seqs, context) + spans.sum::<f64>()
    }

    fn add_state(
        &mut self,
        state: &crate::models::shape::StateShape,
        num_layers: f64,
        parts: &Parts<'_>,
    ) -> Result<(), ComposeError> {
        let times = states::times(state, parts.pack, parts.ranks)?;
        self.has_state_formula |= times.is_formula;
        self.full.states.push((num_layers, times));
        Ok(())
    }

    fn add_heads(
        &mut self,
        shape: &AttentionShape,
        num_layers: f64,
        is_fp8: bool,
        parts: &Parts<'_>,
    ) -> Result<(), ComposeError> {
        let span = match shape.span {
            None => 0,
            Some(AttentionSpan::Window(tokens) | AttentionSpan::Chunk(tokens)) => tokens,
        };
        let heads = HeadsOnRank {
            num_heads: parts.ranks.share(shape.num_heads),
            num_kv_heads: parts.ranks.share(shape.num_kv_heads),
            // Where values are narrower, both count by their mean.
            head_dim: (shape.head_dim + shape.v_head_dim).div_ceil(2),
            span,
            is_fp8,
        };
        let found = heads.find(parts.pack).ok_or_else(|| missing(parts.pack, "attention"))?;
        self.kernels.clone_from(&found.kernels);
        self.distance = math::max(self.distance, found.distance);
        self.query_heads_per_key_head = f64::from(heads.num_heads) / f64::from(heads.num_kv_heads);
        let layers = Heads {
            num_layers,
            found,
            span: math::u32_to_f64(span),
            query_width: math::u32_to_f64(heads.num_heads) * math::u32_to_f64(heads.head_dim),
        };
        match shape.span {
            None => self.full.heads.push(layers),
            Some(span) => match self.spans.iter_mut().find(|(other, _)| *other == span) {
                Some((_, kind)) => kind.heads.push(layers),
                None => self.spans.push((span, Kind { heads: alloc::vec![layers], ..Kind::default() })),
            },
        }
        Ok(())
    }
}

impl Kind {
    /// Whether there is anything in it.
    pub(super) const fn is_empty(&self) -> bool {
        self.heads.is_empty() && self.latent.is_empty() && self.states.is_empty()
    }

    fn grids(&self) -> impl Iterator<Item = &TimeGrid> {
        let heads = self.heads.iter().map(|heads| &heads.found.decode);
        heads.chain(self.latent.iter().map(|(_, latent)| &latent.decode))
    }

    /// Rows and columns that were measured: requests and context.
    pub(super) fn axes(&self) -> (Vec<u32>, Vec<u32>) {
        const SEQS: [u32; 12] = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048];
        const CONTEXTS: [u32; 2] = [1, 131_072];
        match self.grids().next() {
            Some(grid) => (grid.num_seqs.clone(), grid.context_tokens.clone()),
            None => (SEQS.to_vec(), CONTEXTS.to_vec()),
        }
    }

    /// So many requests with one new token over `context` tokens each, in microseconds; `None` where nothing was measured.
    pub(super) fn decode_us(&self, num_seqs: u32, context: u32) -> Option<f64> {
        let mut sum: f64 = self.states.iter().map(|(layers, state)| layers * state.decode_us(num_seqs)).sum();
        for heads in &self.heads {
            sum += heads.num_layers * heads.found.decode.at(num_seqs, context)?;
        }
        for (layers, latent) in &self.latent {
            sum += layers * latent.decode.at(num_seqs, context)?;
        }
        Some(sum)
    }

    fn nearest_decode_us(&self, num_seqs: u32, context: u32) -> f64 {
        if self.is_empty() {
            return 0.0;
        }
        let rows = self.axes().0;
        let row = rows.iter().copied().find(|&row| row >= num_seqs).or(rows.last().copied()).unwrap_or(1);
        (0..6).find_map(|halvings| self.decode_us(row, (context >> halvings).max(1))).unwrap_or(0.0)
    }

    /// So many requests with `rows` new tokens each: keys and values are read once, products grow with the rows.
    pub(super) fn verification_us(&self, num_seqs: u32, context: u32, rows: u32, gpu: &Gpu) -> Option<f64> {
        let decode = self.decode_us(num_seqs, context)?;
        let more = math::u32_to_f64(rows - 1);
        let states: f64 = self.states.iter().map(|(layers, state)| layers * state.decode_us(num_seqs)).sum();
        let pairs = math::u32_to_f64(num_seqs) * math::u32_to_f64(context);
        let width: f64 = self.heads.iter().map(|heads| heads.num_layers * heads.query_width).sum();
        let latent: f64 = self.latent.iter().map(|(layers, latent)| layers * latent.query_width).sum();
        // Two products over each pair, at half of the peak.
        let computed = more * 4.0 * pairs * (width + latent) / (0.5 * gpu.bf16_flops) * 1e6;
        // A state goes from row to row.
        Some(decode + computed + more * states * STATE_OF_ANOTHER_ROW)
    }

    /// The longest prompt that was measured, in tokens.
    pub(super) fn longest_prompt(&self) -> f64 {
        let heads = self.heads.iter().map(|heads| &heads.found.prompt);
        let all = heads.chain(self.latent.iter().map(|(_, latent)| &latent.prompt));
        let least = all.filter_map(|series| series.counts().last().copied()).fold(f64::INFINITY, math::min);
        if least.is_finite() { least } else { 16_384.0 }
    }

    /// `chunk` new tokens over `prefix` earlier ones, in microseconds: of a whole prompt's time the new tokens' share of
    /// the work, at least what reading the earlier ones takes.
    pub(super) fn prefill_us(&self, chunk: u32, prefix: u32) -> f64 {
        let [new, earlier] = [chunk, prefix].map(math::u32_to_f64);
        let all = new + earlier;
        let mut sum: f64 = self.states.iter().map(|(layers, state)| layers * state.prompt_us(chunk)).sum();
        for heads in &self.heads {
            let share = 1.0 - work(earlier, heads.span) / work(all, heads.span);
            let formula = heads.found.prompt.at(all) * share;
            let bound = if prefix == 0 { 0.0 } else { heads.found.decode.one_request_us(all) };
            let alone = heads.found.prompt.at(new);
            let least = if prefix == 0 { formula } else { math::max(bound, alone) };
            sum += heads.num_layers * math::max(formula, least);
        }
        for (layers, latent) in &self.latent {
            sum += layers * latent.prefill_us(chunk, prefix);
        }
        sum
    }
}
