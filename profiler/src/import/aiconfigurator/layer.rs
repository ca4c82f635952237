//! Everything of a pass but attention: matrix products, experts, all-reduces, and what only moves memory.

use anyhow::Result;
use sim_core::profile::schema::Model;

use super::super::gpus::Gpu;
use super::columns::Wanted;
use super::gemm::{Gemms, Product, Shape};
use super::measured;
use super::package::TableFile;
use super::series::Series;
use super::{Dtype, Options};

/// Bytes of an activation.
const ACTIVATION_BYTES: f64 = 2.0;

/// Microseconds to move `bytes`: the source's formula for what it did not measure.
pub(super) fn moving_us(bytes: f64, gpu: &Gpu) -> f64 {
    bytes / (0.8 * gpu.memory_bandwidth) * 1e6 + 3.0
}

/// A measured operator in a pass.
#[derive(Debug)]
struct Operator {
    series: Series,
    /// How often a pass runs it.
    times: f64,
    /// What the series counts, for each token.
    per_token: f64,
}

/// The operators of a pass.
#[derive(Debug)]
pub(super) struct Layer {
    operators: Vec<Operator>,
    /// The logits, over rows.
    pub(super) head: Series,
    /// Shapes that were not measured, and the octaves to the nearest one that was.
    pub(super) transferred: Vec<(Shape, f64)>,
    num_layers: f64,
    hidden_size: f64,
    /// Width of a dense MLP on one rank; 0 where experts stand in its place.
    mlp_width: f64,
}

/// A pass's time without attention and logits.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sum {
    pub(super) raw_us: f64,
    pub(super) smooth_us: f64,
}

impl Layer {
    /// Finds the operators of the model on one rank.
    ///
    /// # Errors
    /// If a table cannot be read, or has nothing near an operator.
    pub(super) fn new(
        gemm: &[TableFile],
        allreduce: &[TableFile],
        moe: &[TableFile],
        options: &Options,
        gpu: &Gpu,
    ) -> Result<Self> {
        let config = &options.config;
        let model = &config.model;
        let (tp, layers) = (options.tensor_parallel_size, f64::from(model.num_hidden_layers));
        let half = Gemms::read(gemm, Dtype::Bfloat16, gpu)?;
        let quantised = match options.dtype {
            Dtype::Bfloat16 => None,
            dtype => Some(Gemms::read(gemm, dtype, gpu)?),
        };
        let matrices = quantised.as_ref().unwrap_or(&half);
        let logits = (model.vocab_size.div_ceil(tp), model.hidden_size);
        let head = half.product(logits)?;
        let mut layer = Self {
            operators: Vec::new(),
            head: head.series,
            transferred: if head.distance > 0.0 { vec![(logits, head.distance)] } else { vec![] },
            num_layers: layers,
            hidden_size: f64::from(model.hidden_size),
            mlp_width: if config.experts.is_some() { 0.0 } else { f64::from(model.intermediate_size / tp) },
        };
        for shape in products(model, tp, config.kv_heads_per_rank(tp), config.experts.is_some()) {
            layer.add_product(matrices.product(shape)?, shape, layers);
        }
        if let Some(experts) = config.experts {
            // The router stays in 16 bits.
            let router = (experts.num_experts, model.hidden_size);
            layer.add_product(half.product(router)?, router, layers);
            let series = expert_series(moe, options)?;
            layer.operators.push(Operator { series, times: layers, per_token: 1.0 });
        }
        if tp > 1 {
            let series = allreduce_series(allreduce, tp)?;
            // After attention and after the MLP of each layer, and after the embedding.
            let operator = Operator { series, times: 2.0 * layers + 1.0, per_token: layer.hidden_size };
            layer.operators.push(operator);
        }
        Ok(layer)
    }

    fn add_product(&mut self, product: Product, shape: Shape, times: f64) {
        if product.distance > 0.0 {
            self.transferred.push((shape, product.distance));
        }
        self.operators.push(Operator { series: product.series, times, per_token: 1.0 });
    }

    /// Whether all operators were measured around this number of tokens.
    pub(super) fn encloses(&self, num_tokens: u32) -> bool {
        self.operators.iter().all(|operator| operator.series.encloses(f64::from(num_tokens) * operator.per_token))
    }

    /// The time of a pass of that many tokens.
    pub(super) fn at(&self, num_tokens: u32, gpu: &Gpu) -> Sum {
        let tokens = f64::from(num_tokens);
        let moved = self.moved_us(tokens, gpu);
        let mut sum = Sum { raw_us: moved, smooth_us: moved };
        for operator in &self.operators {
            let count = tokens * operator.per_token;
            sum.raw_us += operator.times * operator.series.raw_at(count);
            sum.smooth_us += operator.times * operator.series.smooth_at(count);
        }
        sum
    }

    /// Of all operators the one that smoothing changed most at that number of tokens, and by what share of itself.
    pub(super) fn most_changed(&self, num_tokens: u32) -> Option<(&str, f64)> {
        let tokens = f64::from(num_tokens);
        let changes = self.operators.iter().map(|operator| {
            let count = tokens * operator.per_token;
            let (raw, smooth) = (operator.series.raw_at(count), operator.series.smooth_at(count));
            (operator.times * (smooth - raw).abs(), operator.series.label.as_str(), smooth / raw - 1.0)
        });
        let worst = changes.max_by(|a, b| a.0.total_cmp(&b.0));
        worst.map(|(_, label, change)| (label, change))
    }

    /// The embedding, two norms with the residual in each layer, and the activation: bytes, not measurements.
    fn moved_us(&self, tokens: f64, gpu: &Gpu) -> f64 {
        let moving = |numbers: f64| moving_us(tokens * numbers * ACTIVATION_BYTES, gpu);
        let norms = 2.0 * moving(4.0 * self.hidden_size);
        let activation = if self.mlp_width > 0.0 { moving(3.0 * self.mlp_width) } else { 0.0 };
        moving(self.hidden_size) + self.num_layers * (norms + activation)
    }
}

/// The matrix products of a layer: queries, keys and values; attention's output; the MLP.
fn products(model: &Model, tp: u32, kv_heads: u32, has_experts: bool) -> Vec<Shape> {
    let hidden = model.hidden_size;
    let query = model.num_attention_heads / tp * model.head_dim;
    let width = model.intermediate_size / tp;
    let mut shapes = vec![(query + 2 * kv_heads * model.head_dim, hidden), (hidden, query)];
    if !has_experts {
        shapes.extend([(2 * width, hidden), (hidden, width)]);
    }
    shapes
}

/// The experts of a layer on one rank, over the tokens of the pass; routing and activation included.
fn expert_series(files: &[TableFile], options: &Options) -> Result<Series> {
    let wanted = Wanted {
        texts: &["moe_dtype", "distribution"],
        counts: &["num_tokens", "hidden_size", "inter_size", "topk", "num_experts", "moe_tp_size", "moe_ep_size"],
        ..Wanted::default()
    };
    let (dtype, distribution) = (options.dtype.name(), options.moe_distribution.name());
    let (tp, ep) = (options.tensor_parallel_size, options.expert_parallel_size);
    let experts = options.config.experts;
    let shape = [
        ("hidden_size", options.config.model.hidden_size),
        ("inter_size", experts.map_or(0, |experts| experts.moe_intermediate_size)),
        ("topk", experts.map_or(0, |experts| experts.num_experts_per_tok)),
        ("num_experts", experts.map_or(0, |experts| experts.num_experts)),
        ("moe_tp_size", tp / ep),
        ("moe_ep_size", ep),
    ];
    let measured = measured::read(files, &wanted, |columns, row| {
        let is_ours = columns.text("moe_dtype", row) == dtype
            && columns.text("distribution", row) == distribution
            && shape.iter().all(|&(name, value)| columns.count(name, row) == value);
        is_ours.then(|| columns.count("num_tokens", row))
    })?;
    let sizes: Vec<String> = shape.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let label = format!("moe_perf {dtype} {distribution} {}", sizes.join(" "));
    Series::new(label, &measured.times.into_iter().collect::<Vec<_>>())
}

/// vLLM's all-reduce inside a CUDA graph, over the numbers that are summed: launches are not device time.
///
/// # Errors
/// If so many devices were not measured.
pub(super) fn allreduce_series(files: &[TableFile], tp: u32) -> Result<Series> {
    let wanted = Wanted { texts: &["allreduce_dtype"], counts: &["num_gpus", "message_size"], ..Wanted::default() };
    let measured = measured::read(files, &wanted, |columns, row| {
        let is_ours = columns.count("num_gpus", row) == tp
            && columns.text("allreduce_dtype", row) == "bfloat16"
            && columns.text("kernel_source", row).contains("graph");
        is_ours.then(|| columns.count("message_size", row))
    })?;
    let label = format!("custom_allreduce_perf bfloat16 num_gpus={tp}");
    Series::new(label, &measured.times.into_iter().collect::<Vec<_>>())
}
