//! Which models the operators make up, and the sizes of those operators.

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use sim_core::models::ModelConfig;

use super::flags::CudaFlags;
use super::number::{Format, Storage};
use super::quantization;

/// Decoders of the same operators: attention with grouped heads, gated MLPs, root-mean-square norms, no biases.
const ARCHITECTURES: [&str; 3] = ["LlamaForCausalLM", "MistralForCausalLM", "Qwen3ForCausalLM"];
/// Widths of a head that the attention kernels are written for.
const HEAD_DIMS: [u32; 2] = [64, 128];
/// vLLM pads vocabularies to multiples of this before it divides them.
const VOCAB_PADDING: u32 = 64;
/// Most query heads per key head: their sums lie in registers and in shared memory.
const MAX_GROUP: u32 = 8;

/// A model as its operators see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Shape {
    pub(crate) num_layers: u32,
    pub(crate) hidden: u32,
    pub(crate) intermediate: u32,
    pub(crate) q_heads: u32,
    pub(crate) kv_heads: u32,
    pub(crate) head_dim: u32,
    pub(crate) vocab: u32,
    /// Rows of the embedding and of the head that are here: all, or those of one of several ranks.
    pub(crate) vocab_per_rank: u32,
    pub(crate) max_position_embeddings: u32,
    /// Whether every query and key head has a norm of its own.
    pub(crate) has_qk_norm: bool,
    /// Whether the head's weights are those of the embedding.
    pub(crate) is_tied: bool,
    /// Of weights and activations.
    pub(crate) format: Format,
    /// Weights and inputs of the layers' matrix products; embedding and head are in 16 bits always.
    pub(crate) linear: Storage,
    pub(crate) kv_cache: Storage,
}

/// A matrix product with weights: `rows` of outputs for `columns` of inputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Matrix {
    pub(crate) rows: u32,
    pub(crate) columns: u32,
}

impl Matrix {
    pub(crate) const fn num_weights(self) -> u64 {
        self.rows as u64 * self.columns as u64
    }
}

impl Shape {
    /// Reads a `config.json` with the flags that say in which formats its numbers are kept.
    ///
    /// # Errors
    /// If the file is none, or the model has an operator that is not here: named.
    pub(crate) fn new(config: &[u8], flags: &CudaFlags) -> Result<Self> {
        let read = ModelConfig::from_json(config)?;
        let raw: Value = serde_json::from_slice(config.strip_prefix(b"\xef\xbb\xbf").unwrap_or(config))?;
        check_operators(&read, &raw)?;
        let of_file = read.dtype.as_deref();
        let name = match flags.dtype.as_deref().unwrap_or("auto") {
            "auto" => of_file.context("config.json names no dtype; give --dtype bfloat16 or --dtype float16")?,
            "half" => "float16",
            name => name,
        };
        let Some(format) = Format::named(name) else {
            bail!("dtype {name}: the engine's operators compute in bfloat16 and float16");
        };
        let shape = Self {
            num_layers: read.num_hidden_layers,
            hidden: read.hidden_size,
            intermediate: read.intermediate_size,
            q_heads: read.num_attention_heads,
            kv_heads: read.num_key_value_heads,
            head_dim: read.head_dim,
            vocab: read.vocab_size,
            vocab_per_rank: read.vocab_size,
            max_position_embeddings: read.max_position_embeddings,
            has_qk_norm: read.architecture == "Qwen3ForCausalLM",
            is_tied: raw.get("tie_word_embeddings").and_then(Value::as_bool).unwrap_or(false),
            format,
            linear: quantization::linear(&read, &raw, flags.quantization.as_deref())?,
            kv_cache: quantization::kv_cache(flags.kv_cache_dtype.as_deref())?,
        };
        shape.check_sizes()?;
        Ok(shape)
    }

    /// What one of `num_ranks` tensor parallel ranks has of the model, by vLLM's rules: heads, MLP and vocabulary are
    /// divided, key heads are copied where there are more ranks (`layers/linear.py::QKVParallelLinear`), the vocabulary is
    /// padded to a multiple of 64 first (`layers/vocab_parallel_embedding.py`).
    ///
    /// # Errors
    /// If something cannot be divided, or a kernel is not written for what is left.
    pub(crate) fn rank(&self, num_ranks: u32) -> Result<Self> {
        if num_ranks == 1 {
            return Ok(self.clone());
        }
        for (name, size) in [("num_attention_heads", self.q_heads), ("intermediate_size", self.intermediate)] {
            ensure!(
                size.is_multiple_of(num_ranks),
                "{name} {size} cannot be divided by --tensor-parallel-size {num_ranks}"
            );
        }
        let (more, fewer) = (self.kv_heads.max(num_ranks), self.kv_heads.min(num_ranks));
        ensure!(
            more.is_multiple_of(fewer),
            "num_key_value_heads {} and --tensor-parallel-size {num_ranks}: one must be a multiple of the other",
            self.kv_heads
        );
        let rank = Self {
            q_heads: self.q_heads / num_ranks,
            kv_heads: (self.kv_heads / num_ranks).max(1),
            intermediate: self.intermediate / num_ranks,
            vocab_per_rank: self.vocab.next_multiple_of(VOCAB_PADDING) / num_ranks,
            ..self.clone()
        };
        rank.check_sizes().with_context(|| format!("one of --tensor-parallel-size {num_ranks} ranks"))?;
        Ok(rank)
    }

    /// Whether anything is kept in 8 bits.
    pub(crate) fn uses_fp8(&self) -> bool {
        [self.linear, self.kv_cache].contains(&Storage::Fp8)
    }

    /// Query heads that share a key head.
    pub(crate) const fn group(&self) -> u32 {
        self.q_heads / self.kv_heads
    }

    /// Numbers in the row of queries, keys and values of a token.
    pub(crate) const fn qkv_width(&self) -> u32 {
        (self.q_heads + 2 * self.kv_heads) * self.head_dim
    }

    /// The four products of a layer: queries, keys and values; attention's output; gate and up; down.
    pub(crate) const fn layer_matrices(&self) -> [Matrix; 4] {
        [
            Matrix { rows: self.qkv_width(), columns: self.hidden },
            Matrix { rows: self.hidden, columns: self.q_heads * self.head_dim },
            Matrix { rows: 2 * self.intermediate, columns: self.hidden },
            Matrix { rows: self.hidden, columns: self.intermediate },
        ]
    }

    /// The product that gives the logits; the embedding has the same size.
    pub(crate) const fn head_matrix(&self) -> Matrix {
        Matrix { rows: self.vocab_per_rank, columns: self.hidden }
    }

    /// Bytes of all weights, and of a scale for each matrix in 8 bits.
    pub(crate) fn weight_bytes(&self) -> u64 {
        let norms = 2 * u64::from(self.hidden) + if self.has_qk_norm { 2 * u64::from(self.head_dim) } else { 0 };
        let matrices = self.layer_matrices();
        let weights: u64 = matrices.iter().map(|matrix| matrix.num_weights()).sum();
        let scales = if self.linear == Storage::Fp8 { 4 * matrices.len() as u64 } else { 0 };
        let layer = self.linear.num_bytes() * weights + scales + 2 * norms;
        let tables = if self.is_tied { 1 } else { 2 } * self.head_matrix().num_weights();
        u64::from(self.num_layers) * layer + 2 * (tables + u64::from(self.hidden))
    }

    /// Bytes of keys and values of one token in all layers.
    pub(crate) fn kv_bytes_per_token(&self) -> u64 {
        let numbers = 2 * u64::from(self.num_layers) * u64::from(self.kv_heads) * u64::from(self.head_dim);
        self.kv_cache.num_bytes() * numbers
    }

    fn check_sizes(&self) -> Result<()> {
        ensure!(
            HEAD_DIMS.contains(&self.head_dim),
            "head_dim {}: the engine's attention kernels are written for 64 and 128",
            self.head_dim
        );
        ensure!(
            self.q_heads.is_multiple_of(self.kv_heads) && self.group() <= MAX_GROUP,
            "{} query heads for {} key heads: the engine's attention kernels are written for 1 to {MAX_GROUP} each",
            self.q_heads,
            self.kv_heads
        );
        for (name, size) in [("hidden_size", self.hidden), ("intermediate_size", self.intermediate)] {
            ensure!(
                size > 0 && size.is_multiple_of(8),
                "{name} {size}: the engine's kernels read eight numbers at a time"
            );
        }
        ensure!(
            self.vocab.is_multiple_of(8),
            "vocab_size {}: the engine's kernels read eight numbers at a time",
            self.vocab
        );
        if self.linear == Storage::Fp8 {
            for (name, size) in [("hidden_size", self.hidden), ("intermediate_size", self.intermediate)] {
                ensure!(size.is_multiple_of(16), "{name} {size}: cuBLASLt's products in fp8 take multiples of 16");
            }
        }
        Ok(())
    }
}

/// Refuses models with operators that are not here.
fn check_operators(read: &ModelConfig, raw: &Value) -> Result<()> {
    ensure!(
        ARCHITECTURES.contains(&read.architecture.as_str()),
        "architecture {:?}: the engine has the operators of {}; measure others with --engine vllm",
        read.architecture,
        ARCHITECTURES.join(", ")
    );
    let number = |field: &str| raw.get(field).and_then(Value::as_u64).unwrap_or(0);
    let num_experts = number("num_experts").max(number("num_local_experts"));
    ensure!(num_experts == 0, "{num_experts} experts: the engine has no mixture of experts");
    let kv_lora_rank = number("kv_lora_rank");
    ensure!(kv_lora_rank == 0, "kv_lora_rank {kv_lora_rank}: the engine has no latent attention");
    for field in ["attention_bias", "mlp_bias"] {
        let is_set = raw.get(field).and_then(Value::as_bool).unwrap_or(false);
        ensure!(!is_set, "{field} is set: the engine's matrix products have no bias");
    }
    let window = raw.get("sliding_window").is_some_and(|window| !window.is_null());
    let is_used = raw.get("use_sliding_window").and_then(Value::as_bool).unwrap_or(true);
    ensure!(!(window && is_used), "sliding_window is set: the engine's attention sees the whole context");
    if let Some(name) = raw.get("hidden_act").and_then(Value::as_str) {
        ensure!(name == "silu", "hidden_act {name}: the engine has silu");
    }
    Ok(())
}

#[cfg(test)]
pub(crate) mod tests {
    use super::Shape;
    use crate::cuda::flags::tests::flags;
    use serde_json::{Value, json};

    /// The sizes of Llama-3.1-8B.
    pub(crate) fn llama_8b() -> Value {
        json!({
            "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 4096,
            "intermediate_size": 14336, "num_hidden_layers": 32, "num_attention_heads": 32, "num_key_value_heads": 8,
            "vocab_size": 128_256, "max_position_embeddings": 131_072, "torch_dtype": "bfloat16", "hidden_act": "silu",
            "attention_bias": false, "mlp_bias": false, "tie_word_embeddings": false
        })
    }

    pub(crate) fn shape_of(config: &Value) -> anyhow::Result<Shape> {
        shape_with(config, "")
    }

    pub(crate) fn shape_with(config: &Value, words: &str) -> anyhow::Result<Shape> {
        Shape::new(config.to_string().as_bytes(), &flags(words)?)
    }

    #[test]
    fn the_weights_and_the_cache_of_a_known_model_are_counted() {
        let shape = shape_of(&llama_8b()).expect("a model of known operators");
        assert_eq!(shape.weight_bytes(), 2 * 8_030_261_248);
        assert_eq!(shape.kv_bytes_per_token(), 131_072);
        assert_eq!((shape.group(), shape.qkv_width()), (4, 6144));
    }

    #[track_caller]
    fn check_refused(field: &str, value: Value, expect: &str) {
        let mut config = llama_8b();
        config[field] = value;
        let error = shape_of(&config).expect_err("an operator that is not here").to_string();
        assert!(error.contains(expect), "{error} without {expect:?}");
    }

    #[test]
    fn operators_that_are_not_here_are_refused_by_name() {
        check_refused("architectures", json!(["GemmaForCausalLM"]), "GemmaForCausalLM");
        check_refused("num_experts", json!(64), "64 experts");
        check_refused("kv_lora_rank", json!(512), "kv_lora_rank 512");
        check_refused("quantization_config", json!({"quant_method": "awq"}), "quantization awq");
        check_refused("attention_bias", json!(true), "attention_bias is set");
        check_refused("sliding_window", json!(4096), "sliding_window is set");
        check_refused("hidden_act", json!("gelu"), "hidden_act gelu");
        check_refused("head_dim", json!(80), "head_dim 80");
        check_refused("num_key_value_heads", json!(2), "32 query heads for 2 key heads");
        check_refused("intermediate_size", json!(14_337), "intermediate_size 14337");
        check_refused("torch_dtype", json!("float32"), "dtype float32");
    }

    #[test]
    fn eight_bits_halve_what_they_are_for_and_nothing_else() {
        let [half, weights, cache] =
            ["", "--quantization fp8", "--kv-cache-dtype fp8"].map(|words| shape_with(&llama_8b(), words));
        let (half, weights, cache) = (half.expect("a model"), weights.expect("a model"), cache.expect("a model"));
        // Embedding and head stay, and every matrix gets a scale of four bytes.
        let (tables, norms) = (2 * 2 * 128_256 * 4096, 2 * (2 * 32 + 1) * 4096);
        assert_eq!(weights.weight_bytes(), (half.weight_bytes() - tables - norms) / 2 + tables + norms + 4 * 4 * 32);
        assert_eq!((weights.kv_bytes_per_token(), cache.kv_bytes_per_token()), (131_072, 65_536));
        assert_eq!(cache.weight_bytes(), half.weight_bytes());
        assert_eq!([half, weights, cache].map(|shape| shape.uses_fp8()), [false, true, true]);
    }

    #[test]
    fn ranks_share_heads_mlp_and_vocabulary() {
        let shape = shape_of(&llama_8b()).expect("a model");
        let ranks = [1, 2, 4, 8].map(|num_ranks| shape.rank(num_ranks).expect("a rank"));
        assert_eq!(ranks[0], shape);
        let sizes = ranks.map(|rank| (rank.q_heads, rank.kv_heads, rank.intermediate, rank.vocab_per_rank));
        assert_eq!(sizes[1..], [(16, 4, 7168, 64_128), (8, 2, 3584, 32_064), (4, 1, 1792, 16_032)]);
        // What is divided is divided, and the norms are on every rank.
        let (half, norms) = (shape.rank(2).expect("a rank"), 2 * (2 * 32 + 1) * 4096);
        assert_eq!(2 * (half.weight_bytes() - norms) + norms, shape.weight_bytes());
        assert_eq!(half.kv_bytes_per_token(), 65_536);
    }

    #[test]
    fn key_heads_are_copied_and_vocabularies_padded() {
        let mut config = llama_8b();
        config["num_key_value_heads"] = json!(4);
        config["vocab_size"] = json!(128_264);
        let rank = shape_of(&config).expect("a model").rank(8).expect("a rank");
        assert_eq!((rank.q_heads, rank.kv_heads, rank.vocab_per_rank), (4, 1, 128_320 / 8));
    }

    #[track_caller]
    fn check_indivisible(field: &str, value: Value, num_ranks: u32, expect: &str) {
        let mut config = llama_8b();
        config["head_dim"] = json!(128);
        config[field] = value;
        let error = shape_of(&config).expect("a model").rank(num_ranks).expect_err("it cannot be divided");
        assert!(format!("{error:#}").contains(expect), "{error:#} without {expect:?}");
    }

    #[test]
    fn what_cannot_be_divided_is_refused_by_name() {
        check_indivisible("num_attention_heads", json!(24), 16, "num_attention_heads 24 cannot be divided");
        check_indivisible("intermediate_size", json!(14_344), 16, "intermediate_size 14344 cannot be divided");
        check_indivisible("intermediate_size", json!(14_344), 2, "intermediate_size 7172: the engine's kernels");
        let mut config = llama_8b();
        (config["num_attention_heads"], config["head_dim"]) = (json!(48), json!(128));
        config["num_key_value_heads"] = json!(6);
        let error = shape_of(&config).expect("a model").rank(4).expect_err("6 key heads for 4 ranks").to_string();
        assert!(error.contains("num_key_value_heads 6 and --tensor-parallel-size 4"), "{error}");
    }

    #[test]
    fn a_window_that_is_off_is_no_window() {
        let mut config = llama_8b();
        config["sliding_window"] = json!(4096);
        config["use_sliding_window"] = json!(false);
        assert!(shape_of(&config).is_ok(), "refused");
    }
}
