//! Attention of one layer: decodes over (requests, context), one prompt part over (new tokens, earlier tokens).

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Result, ensure};
use sim_core::profile::schema::MixedBatch;

use super::super::gpus::Gpu;
use super::columns::{Columns, Wanted};
use super::layer::moving_us;
use super::measured::{self, Measured};
use super::package::TableFile;
use super::{Options, cold, mixed};

/// Attention of one layer on one rank.
#[derive(Debug)]
pub(super) struct Attention {
    /// For messages: heads and number format.
    pub(super) label: String,
    /// Requests: one row each.
    pub(super) num_seqs: Vec<u32>,
    /// Tokens that each attends to, its own included: one column each.
    pub(super) context_tokens: Vec<u32>,
    /// Microseconds; a row ends where nothing longer was measured, no later than the row above.
    pub(super) measured_decode_us: Vec<Vec<f64>>,
    /// The same without what only a warm cache explains.
    pub(super) decode_us: Vec<Vec<f64>>,
    /// Whole prompts, one request: tokens and microseconds.
    prompts: Vec<(f64, f64)>,
    kernels: BTreeSet<String>,
    query_width: f64,
    key_width: f64,
    has_qk_norm: bool,
}

impl Attention {
    /// Reads the tables of the model's heads on one rank.
    ///
    /// # Errors
    /// If a file cannot be read, or these heads were not measured.
    pub(super) fn new(context: &[TableFile], generation: &[TableFile], options: &Options, gpu: &Gpu) -> Result<Self> {
        let (config, tp) = (&options.config, options.tensor_parallel_size);
        let model = &config.model;
        let (heads, kv_heads) = (model.num_attention_heads / tp, config.kv_heads_per_rank(tp));
        let kv_dtype = options.kv_cache_dtype.name();
        let label = format!(
            "num_heads={heads} num_key_value_heads={kv_heads} head_dim={} kv_cache_dtype={kv_dtype}",
            model.head_dim
        );
        let wanted = Wanted {
            texts: &["kv_cache_dtype"],
            counts: &["batch_size", "isl", "num_heads", "num_key_value_heads", "head_dim", "step"],
            newer_counts: &["window_size"],
        };
        let is_ours = |columns: &Columns, row: usize| {
            columns.text("kv_cache_dtype", row) == kv_dtype
                && columns.count("num_heads", row) == heads
                && columns.count("num_key_value_heads", row) == kv_heads
                && columns.count("head_dim", row) == model.head_dim
                && columns.count("window_size", row) == 0
        };
        let prompts = measured::read(context, &wanted, |columns, row| {
            let is_single = columns.count("batch_size", row) == 1 && columns.count("step", row) == 0;
            (is_single && is_ours(columns, row)).then(|| columns.count("isl", row))
        })?;
        ensure!(prompts.times.len() >= 2, "context_attention_perf: {label} was not measured");
        let decodes = measured::read(generation, &wanted, |columns, row| {
            // The context is `isl` tokens, 1 in all rows, and `step` more.
            let tokens = columns.count("isl", row).checked_add(columns.count("step", row))?;
            is_ours(columns, row).then(|| (columns.count("batch_size", row), tokens))
        })?;
        let (num_seqs, context_tokens, measured_decode_us) = staircase(&decodes);
        ensure!(num_seqs.len() >= 2, "generation_attention_perf: {label} was not measured");
        let head_dim = f64::from(model.head_dim);
        let key_width = f64::from(kv_heads) * head_dim;
        let bytes_per_token = 2.0 * key_width * f64::from(options.kv_cache_dtype.bytes());
        let decode_us = cold::raise(&measured_decode_us, [&num_seqs, &context_tokens], bytes_per_token, gpu);
        Ok(Self {
            label,
            num_seqs,
            context_tokens,
            measured_decode_us,
            decode_us,
            prompts: prompts.times.iter().map(|(&tokens, &time)| (f64::from(tokens), time)).collect(),
            kernels: prompts.kernels,
            query_width: f64::from(heads) * head_dim,
            key_width,
            has_qk_norm: config.has_qk_norm,
        })
    }

    /// vLLM's name of the kernels; `None` if it is unclear.
    pub(super) fn backend(&self) -> Option<String> {
        let names = [("flash_attn", "FLASH_ATTN"), ("flashinfer", "FLASHINFER"), ("triton", "TRITON_ATTN")];
        let all = |part: &str| self.kernels.iter().all(|kernel| kernel.contains(part));
        names.iter().find(|(part, _)| all(part)).map(|(_, name)| (*name).to_owned())
    }

    /// What a pass with decodes and prompt parts is counted as.
    pub(super) fn mixed_batch(&self) -> Option<MixedBatch> {
        mixed::mixed_batch(&self.kernels, self.query_width / self.key_width)
    }

    /// The longest prompt that was measured.
    pub(super) fn longest_prompt(&self) -> f64 {
        self.prompts.last().map_or(0.0, |&(tokens, _)| tokens)
    }

    /// Attention of `chunk` new tokens over `prefix` earlier ones, by the source's formula for those.
    pub(super) fn prefill_us(&self, chunk: u32, prefix: u32, gpu: &Gpu) -> f64 {
        let (prefix, all) = (f64::from(prefix), f64::from(chunk) + f64::from(prefix));
        self.prompt_us(all) * (all * all - prefix * prefix) / (all * all) + self.around_us(gpu)
    }

    /// A whole prompt: straight in the square root, as work grows with the square.
    fn prompt_us(&self, tokens: f64) -> f64 {
        let upper = self.prompts.partition_point(|&(start, _)| start < tokens).clamp(1, self.prompts.len() - 1);
        let ((x0, y0), (x1, y1)) = (self.prompts[upper - 1], self.prompts[upper]);
        let weight = ((tokens - x0) / (x1 - x0)).max(0.0);
        (y0.sqrt() + (y1.sqrt() - y0.sqrt()) * weight).powi(2)
    }

    /// Rotary embedding and the write to the KV cache, norms of queries and keys where there are any: the source adds
    /// them for the numbers of one token, whatever the prompt's length, so that what remains is launches.
    fn around_us(&self, gpu: &Gpu) -> f64 {
        let (query, key) = (2.0 * self.query_width, 2.0 * self.key_width);
        let rotary = 2.0 * moving_us(query + key, gpu);
        let write = 2.0 * moving_us(key, gpu);
        let norms = if self.has_qk_norm { 4.0 * (moving_us(query, gpu) + moving_us(key, gpu)) } else { 0.0 };
        1.1 * (rotary + write + norms)
    }

    /// Attention of one decode over `context_tokens`, straight between points.
    pub(super) fn one_decode_us(&self, context_tokens: f64) -> f64 {
        let Some(row) = self.decode_us.first() else {
            return 0.0;
        };
        let points: Vec<f64> = self.context_tokens.iter().map(|&tokens| f64::from(tokens)).take(row.len()).collect();
        let upper = points.partition_point(|&start| start < context_tokens);
        match (upper.checked_sub(1), points.get(upper)) {
            (None, _) => row.first().copied().unwrap_or(0.0),
            (_, None) => row.last().copied().unwrap_or(0.0),
            (Some(lower), Some(end)) => {
                let weight = (context_tokens - points[lower]) / (end - points[lower]);
                row[lower] + (row[upper] - row[lower]) * weight
            }
        }
    }
}

/// Rows and columns of what was measured; large batches were measured up to shorter contexts.
fn staircase(decodes: &Measured<(u32, u32)>) -> (Vec<u32>, Vec<u32>, Vec<Vec<f64>>) {
    let mut by_batch: BTreeMap<u32, BTreeMap<u32, f64>> = BTreeMap::new();
    for (&(num_seqs, tokens), &time) in &decodes.times {
        if num_seqs > 0 && tokens > 0 {
            by_batch.entry(num_seqs).or_default().insert(tokens, time);
        }
    }
    let context_tokens: Vec<u32> = by_batch.first_key_value().map_or(vec![], |(_, row)| row.keys().copied().collect());
    let (mut num_seqs, mut rows) = (Vec::new(), Vec::new());
    let mut longest = context_tokens.len();
    for (batch, row) in by_batch {
        let times: Vec<f64> =
            context_tokens.iter().take(longest).map_while(|tokens| row.get(tokens).copied()).collect();
        if times.len() < 2 {
            break;
        }
        longest = times.len();
        num_seqs.push(batch);
        rows.push(times);
    }
    (num_seqs, context_tokens, rows)
}
