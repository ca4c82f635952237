//! What is measured: passes, named by their composition, on the nodes of the profile's tables, and some off them.
//!
//! The terms of a pass are never seen alone. They can be told apart because the plan varies one at a time: the same
//! requests as chunks and as decodes (head), the same chunk over growing prefixes (prefill attention), the same decodes
//! at growing context (decode attention), the same decodes with drafts behind them (verification attention). Layers with
//! a window do as the others do until it is full: up to there the time is divided by the layers' numbers. What still
//! cannot be told apart makes no difference to a whole pass.

use sim_core::batch::{AttentionKind, AttentionSpan, BatchComposition};
use sim_core::kv_cache::spec::KvCacheConfig;
use sim_core::rng::Pcg64;

use super::limits::{Limits, composition, mean_context, with_drafts, with_spans};
use crate::engine::EngineFacts;

/// Passes that are measured but kept from the fit.
const NUM_HELD_OUT: usize = 24;
/// Draws after which fewer held-out passes are accepted: a small engine has few compositions.
const MAX_DRAWS: usize = 2000;

/// What a point is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// The tables are fitted to it.
    Fit,
    /// It tells how good they are.
    HeldOut,
}

/// A pass to be measured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Point {
    /// Its composition; decodes are meant to attend to the mean context each.
    pub(crate) batch: BatchComposition,
    /// What it is for.
    pub(crate) role: Role,
}

impl Point {
    /// Whether a pass is a sample of this point, whatever its decodes' context.
    pub(crate) fn is_met_by(&self, batch: &BatchComposition) -> bool {
        batch.num_decodes == self.batch.num_decodes
            && batch.num_draft_tokens() == self.batch.num_draft_tokens()
            && batch.prefill_chunks == self.batch.prefill_chunks
    }
}

/// The nodes of the profile's tables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Axes {
    /// Of `non_attention`: tokens that the device computes.
    pub(crate) num_tokens: Vec<u32>,
    /// Of `decode_attention` and `verification_attention`.
    pub(crate) num_seqs: Vec<u32>,
    /// Of `head`: with a drafter, those of verifications, too.
    pub(crate) num_sampled_rows: Vec<u32>,
    /// Rows of a verification; `None` without a drafter.
    pub(crate) num_rows: Option<u32>,
    /// Of `decode_attention`.
    pub(crate) context_tokens: Vec<u32>,
    /// Of `prefill_attention`.
    pub(crate) chunk_tokens: Vec<u32>,
    /// Of `prefill_attention`.
    pub(crate) prefix_tokens: Vec<u32>,
    /// Layers that look at all tokens.
    pub(crate) num_full_layers: u32,
    /// Of `span_attention`, in the order of the limits' spans.
    pub(crate) spans: Vec<SpanAxes>,
}

/// The nodes of the tables of layers with a span.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SpanAxes {
    /// What limits the tokens they look at.
    pub(crate) span: AttentionSpan,
    /// How many layers.
    pub(crate) num_layers: u32,
    /// Tokens that a decode looks at.
    pub(crate) context_tokens: Vec<u32>,
    /// Earlier tokens that a prompt part looks at.
    pub(crate) prefix_tokens: Vec<u32>,
}

/// All points of an engine: the same for the same facts, bound and seed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Plan {
    /// What limits them.
    pub(crate) limits: Limits,
    /// What they lie on.
    pub(crate) axes: Axes,
    /// The points; fitted ones first.
    pub(crate) points: Vec<Point>,
    /// The points that are measured in turn now and then to see whether the machine changes: one of decodes, and one of a
    /// prompt part.
    pub(crate) references: [usize; 2],
    /// What all random choices follow from.
    pub(crate) seed: u64,
}

impl Plan {
    /// Plans the measurement of an engine.
    pub(crate) fn new(facts: &EngineFacts, max_context: Option<u32>, seed: u64) -> Self {
        let limits = Limits::new(facts, max_context);
        let mut axes = Axes::new(&limits, &facts.capture_sizes);
        axes.add_spans(&limits, &facts.config.kv_cache);
        axes.add_verifications(&limits);
        let mut points: Vec<Point> = vec![];
        let decodes = axes.decode_points();
        let verifying = |decodes: &BatchComposition| limits.num_drafts.map(|drafts| with_drafts(decodes, drafts));
        let verifications = decodes.iter().filter_map(verifying).collect();
        let grid = [axes.token_points(), axes.head_points(&limits), decodes, axes.prefill_points(), verifications];
        for batch in grid.into_iter().flatten().chain(axes.mixed_points(&limits)) {
            let batch = with_spans(&batch, &limits.spans);
            if limits.fit(&batch) && !points.iter().any(|point| point.batch == batch) {
                points.push(Point { batch, role: Role::Fit });
            }
        }
        // Passes of the middle: long enough to be timed well, short enough to be repeated often.
        let middle = axes.num_seqs[axes.num_seqs.len() / 2];
        let decodes = points.iter().rposition(|point| {
            point.batch.is_uniform_decode(1) && point.batch.num_decodes <= middle && mean_context(&point.batch) <= 256
        });
        let chunk = axes.chunk_tokens[axes.chunk_tokens.len() / 2];
        let prompt = points.iter().rposition(|point| {
            let batch = &point.batch;
            let [part] = batch.prefill_chunks[..] else { return false };
            batch.num_decodes == 0 && part.num_computed_tokens == 0 && part.num_tokens <= chunk
        });
        let decodes = decodes.unwrap_or(0);
        let references = [decodes, prompt.unwrap_or(decodes)];
        points.extend(held_out(&limits, seed));
        Self { limits, axes, points, references, seed }
    }
}

/// `first`, then `factor` times as much each, and `last`.
fn geometric(first: u32, last: u32, factor: u32) -> Vec<u32> {
    let mut axis: Vec<u32> = std::iter::successors(Some(first), |&x| x.checked_mul(factor)).collect();
    // A node just below the last one would tell little.
    axis.retain(|&x| u64::from(x) * 5 <= u64::from(last) * 4);
    axis.push(last);
    axis
}

/// The nodes below `last`, and `last` if there are any beyond it; two at least.
fn up_to(axis: &[u32], last: u32) -> Vec<u32> {
    let mut cut: Vec<u32> = axis.iter().copied().filter(|&node| node < last).collect();
    if cut.len() < axis.len() {
        cut.push(last);
    }
    cut
}

/// Adds a node in the place of those next to it that tell nearly the same, but for the ends.
fn insert_apart(axis: &mut Vec<u32>, node: u32) {
    let (first, last) = (axis[0], axis[axis.len() - 1]);
    if node <= first || node.saturating_mul(5) > last.saturating_mul(4) {
        return;
    }
    let is_apart = |&other: &u32| {
        let (low, high) = (u64::from(other.min(node)), u64::from(other.max(node)));
        low * 5 <= high * 4
    };
    axis.retain(|other| *other == first || *other == last || is_apart(other));
    axis.push(node);
    axis.sort_unstable();
}

impl Axes {
    fn new(limits: &Limits, capture_sizes: &[u32]) -> Self {
        let max_num_tokens = limits.max_num_tokens;
        let largest_graph = capture_sizes.last().copied().unwrap_or(0);
        let between = (1..32).map(|exponent| 3_u32.saturating_mul(1 << (exponent - 1)));
        let mut num_tokens: Vec<u32> = geometric(1, max_num_tokens, 2);
        num_tokens.extend(between);
        num_tokens.retain(|&tokens| tokens > largest_graph);
        num_tokens.extend(capture_sizes);
        num_tokens.retain(|&tokens| tokens <= max_num_tokens);
        num_tokens.sort_unstable();
        num_tokens.dedup();
        let block_size = limits.block_size;
        let first_prefix = 64_u32.next_multiple_of(block_size);
        let last_prefix = limits.max_model_len.saturating_sub(64) / block_size * block_size;
        // The longest chunk, too, is to have its longest prefix.
        let last_of_longest = limits.max_model_len.saturating_sub(limits.max_chunk + 1) / block_size * block_size;
        let mut prefix_tokens = vec![0];
        if last_prefix > first_prefix {
            prefix_tokens.extend(geometric(first_prefix, last_prefix, 4));
            insert_apart(&mut prefix_tokens, last_of_longest);
        } else {
            prefix_tokens.push(block_size);
        }
        let num_seqs = geometric(1, limits.max_num_seqs, 2);
        Self {
            num_tokens,
            num_sampled_rows: num_seqs.clone(),
            num_rows: None,
            num_seqs,
            context_tokens: geometric(16, limits.max_model_len, 2),
            chunk_tokens: geometric(2, limits.max_chunk, 2),
            prefix_tokens,
            num_full_layers: 1,
            spans: vec![],
        }
    }

    /// Adds the rows of verifications, as far as a pass has room for them.
    fn add_verifications(&mut self, limits: &Limits) {
        self.num_rows = limits.num_drafts.map(|num_drafts| num_drafts + 1);
        let Some(num_rows) = self.num_rows else { return };
        let rows = self.num_seqs.iter().map(|num_seqs| num_seqs.saturating_mul(num_rows));
        self.num_sampled_rows.extend(rows.filter(|&rows| rows <= limits.max_num_tokens));
        self.num_sampled_rows.sort_unstable();
        self.num_sampled_rows.dedup();
    }

    /// Adds the axes of layers with a span: they end where it does, which is a node of the contexts, too.
    fn add_spans(&mut self, limits: &Limits, kv_cache: &KvCacheConfig) {
        let num_layers = |kind: AttentionKind| -> u32 {
            let groups = kv_cache.groups.iter().filter(|group| group.spec.kind.attention() == kind);
            groups.map(|group| u32::try_from(group.layers.len()).unwrap_or(u32::MAX)).sum()
        };
        for &span in &limits.spans {
            let (AttentionSpan::Window(length) | AttentionSpan::Chunk(length)) = span;
            insert_apart(&mut self.context_tokens, length);
            self.spans.push(SpanAxes {
                span,
                num_layers: num_layers(AttentionKind::Span(span)).max(1),
                context_tokens: up_to(&self.context_tokens, length),
                prefix_tokens: up_to(&self.prefix_tokens, length.saturating_sub(1)),
            });
        }
        if !self.spans.is_empty() {
            self.num_full_layers = num_layers(AttentionKind::Full);
        }
    }

    /// Every number of tokens, as few chunks that lie on the axis of chunks.
    fn token_points(&self) -> Vec<BatchComposition> {
        let split = |&tokens: &u32| {
            let mut left = tokens;
            let mut chunks = vec![];
            while left > 0 {
                let chunk = self.chunk_tokens.iter().rev().copied().find(|&chunk| chunk <= left).unwrap_or(1);
                chunks.push((chunk, 0));
                left -= chunk;
            }
            composition(&chunks, 0, 0)
        };
        self.num_tokens.iter().map(split).collect()
    }

    /// Every number of requests as equal chunks: short ones, and such that fill the pass or an eighth of it.
    ///
    /// Not as the shortest ones: what a new request costs beside a decode is to be in a chunk's time above the launch,
    /// and the shortest chunk is nothing but launch.
    fn head_points(&self, limits: &Limits) -> Vec<BatchComposition> {
        let mut points = vec![];
        for &num_seqs in &self.num_seqs {
            points.push(composition(&vec![(self.chunk_tokens[1], 0); num_seqs as usize], 0, 0));
            for share in [1, 8] {
                let room = limits.max_num_tokens / share / num_seqs;
                let chunk = self.chunk_tokens.iter().rev().copied().find(|&chunk| chunk <= room);
                points.extend(chunk.map(|chunk| composition(&vec![(chunk, 0); num_seqs as usize], 0, 0)));
            }
        }
        points
    }

    fn decode_points(&self) -> Vec<BatchComposition> {
        let row = |&num_seqs: &u32| {
            let point = move |&context: &u32| composition(&[], num_seqs, u64::from(num_seqs) * u64::from(context));
            self.context_tokens.iter().map(point)
        };
        self.num_seqs.iter().flat_map(row).collect()
    }

    fn prefill_points(&self) -> Vec<BatchComposition> {
        let row = |&chunk: &u32| self.prefix_tokens.iter().map(move |&prefix| composition(&[(chunk, prefix)], 0, 0));
        self.chunk_tokens.iter().flat_map(row).collect()
    }

    /// Few, some and many decodes at short and long context, with a short, a middling and a long chunk.
    fn mixed_points(&self, limits: &Limits) -> Vec<BatchComposition> {
        let mut points = vec![];
        let largest = limits.max_num_seqs.saturating_sub(1).max(1);
        let rows = [largest.min(2), self.num_seqs[self.num_seqs.len() / 2].min(largest), largest];
        let contexts = [64.min(limits.max_model_len), limits.max_model_len / 4, limits.max_model_len / 2];
        let chunks = &self.chunk_tokens;
        let chunks = [chunks.len() / 4, chunks.len() / 2, chunks.len().saturating_sub(2)].map(|i| chunks[i]);
        let prefixes = [0, self.prefix_tokens[self.prefix_tokens.len() / 2]];
        for num_decodes in rows {
            for context in contexts.map(|context| context.max(16)) {
                for (chunk, prefix) in chunks.iter().flat_map(|&chunk| prefixes.map(|prefix| (chunk, prefix))) {
                    let context_tokens = u64::from(num_decodes) * u64::from(context);
                    points.push(composition(&[(chunk, prefix)], num_decodes, context_tokens));
                }
            }
        }
        points
    }
}

/// Passes that lie on no node: decodes, chunks, and both.
fn held_out(limits: &Limits, seed: u64) -> Vec<Point> {
    let mut random = Pcg64::stream(seed, "held-out passes");
    let mut points: Vec<Point> = vec![];
    for draw in 0..MAX_DRAWS {
        let kind = draw % 4;
        let num_decodes = if kind < 2 { 0 } else { log_uniform(&mut random, 1, limits.max_num_seqs) };
        let context = log_uniform(&mut random, 16, limits.max_model_len);
        let num_chunks = match kind {
            0 | 3 => 1,
            1 => log_uniform(&mut random, 1, limits.max_num_seqs.min(8)),
            _ => 0,
        };
        let chunks: Vec<(u32, u32)> = (0..num_chunks)
            .map(|_| {
                let chunk = log_uniform(&mut random, 2, limits.max_chunk);
                let prefix = random.integers(0, limits.max_model_len / 2 / limits.block_size) * limits.block_size;
                (chunk, if kind == 0 || limits.has_prefix_caching && num_chunks == 1 { prefix } else { 0 })
            })
            .collect();
        let batch = composition(&chunks, num_decodes, u64::from(num_decodes) * u64::from(context));
        let batch = with_spans(&batch, &limits.spans);
        if limits.fit(&batch) && !points.iter().any(|point| point.batch == batch) {
            points.push(Point { batch, role: Role::HeldOut });
        }
        if points.len() == NUM_HELD_OUT {
            break;
        }
    }
    points
}

/// A whole number from `low` to `high`, every factor as likely as every other.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "between two whole numbers")]
fn log_uniform(random: &mut Pcg64, low: u32, high: u32) -> u32 {
    let (low, high) = (f64::from(low.min(high)), f64::from(high));
    let drawn = low * ((high + 1.0) / low).powf(random.random());
    drawn.floor().clamp(low, high) as u32
}
