//! A Hugging Face `config.json`, read for what step times and memory depend on.
//!
//! Decoders of Llama's form: Llama, Mistral, Qwen2, Qwen3, and Qwen3 with experts. Others are refused by name rather
//! than taken for one of these.

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::{Map, Value};
use sim_core::models::layers::{ModelLayerKind, ModelLayers};
use sim_core::models::{ModelConfig as CoreConfig, ModelKvCache, ModelSettings};
use sim_core::profile::schema::Model;

const SUPPORTED: [&str; 5] = ["llama", "mistral", "qwen2", "qwen3", "qwen3_moe"];

/// A decoder of Llama's form.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ModelConfig {
    pub(crate) model: Model,
    /// The mixture that stands in the place of each layer's MLP; `None` for a dense model.
    pub(crate) experts: Option<Experts>,
    /// Whether the logits use the embedding's matrix.
    pub(crate) tie_word_embeddings: bool,
    /// Whether queries and keys are normalised.
    pub(crate) has_qk_norm: bool,
    /// Whether queries, keys and values have a bias.
    pub(crate) has_qkv_bias: bool,
    /// The checkpoint's quantisation, if any.
    pub(crate) quantization: Option<String>,
    /// The whole file, which says what the layers keep.
    file: Vec<u8>,
}

/// A mixture of experts, the same in every layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Experts {
    pub(crate) num_experts: u32,
    /// Experts that each token goes through.
    pub(crate) num_experts_per_tok: u32,
    /// Width of one expert.
    pub(crate) moe_intermediate_size: u32,
}

impl ModelConfig {
    /// Reads a `config.json`; `name` is the model's if the file has no `_name_or_path`.
    ///
    /// # Errors
    /// If it is too long, not a `config.json`, or of a model that this cannot compose.
    pub(crate) fn from_json(bytes: &[u8], name: &str) -> Result<Self> {
        let core = CoreConfig::from_json(bytes)?;
        let root: Map<String, Value> =
            serde_json::from_slice(bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes)).context("config.json")?;
        let kind = core.model_type.as_str();
        ensure!(
            SUPPORTED.contains(&kind),
            "config.json: model_type {kind:?} cannot be composed; must be one of {}",
            SUPPORTED.join(", ")
        );
        refuse_windows(&root, kind)?;
        let experts = if kind == "qwen3_moe" { Some(experts(&root, &core)?) } else { None };
        let intermediate_size = core.intermediate_size;
        ensure!(intermediate_size > 0, "config.json: intermediate_size is absent; it must be there");
        let max_position_embeddings = core.max_position_embeddings;
        let own_name = root.get("_name_or_path").and_then(Value::as_str).filter(|name| !name.is_empty());
        let config = Self {
            model: Model {
                name: own_name.unwrap_or(name).to_owned(),
                num_hidden_layers: core.num_hidden_layers,
                hidden_size: core.hidden_size,
                intermediate_size,
                num_attention_heads: core.num_attention_heads,
                num_key_value_heads: core.num_key_value_heads,
                head_dim: core.head_dim,
                vocab_size: core.vocab_size,
                dtype: core.dtype.unwrap_or_else(|| "bfloat16".to_owned()),
                max_position_embeddings,
            },
            experts,
            tie_word_embeddings: flag(&root, "tie_word_embeddings"),
            has_qk_norm: kind.starts_with("qwen3"),
            has_qkv_bias: kind == "qwen2" || flag(&root, "attention_bias"),
            quantization: core.quantization,
            file: bytes.to_vec(),
        };
        config.check()?;
        Ok(config)
    }

    /// What no decoder of this form can be.
    fn check(&self) -> Result<()> {
        let model = &self.model;
        let (heads, kv_heads) = (model.num_attention_heads, model.num_key_value_heads);
        ensure!(
            kv_heads > 0 && heads % kv_heads == 0,
            "config.json: num_attention_heads {heads} must be a multiple of num_key_value_heads {kv_heads}"
        );
        let limits = [
            ("num_hidden_layers", model.num_hidden_layers, 1_000),
            ("hidden_size", model.hidden_size, 1 << 17),
            ("intermediate_size", model.intermediate_size, 1 << 19),
            ("num_attention_heads", heads, 1 << 10),
            ("head_dim", model.head_dim, 1 << 10),
            ("vocab_size", model.vocab_size, 1 << 22),
            ("num_experts", self.experts.map_or(1, |experts| experts.num_experts), 1 << 12),
            ("moe_intermediate_size", self.experts.map_or(1, |experts| experts.moe_intermediate_size), 1 << 17),
        ];
        for (field, value, limit) in limits {
            ensure!((1..=limit).contains(&value), "config.json: {field} is {value}; it must be from 1 to {limit}");
        }
        Ok(())
    }

    /// All parameters.
    pub(crate) fn num_parameters(&self) -> u64 {
        let parts = self.layer_parameters(1, 1);
        let embeddings = if self.tie_word_embeddings { 1 } else { 2 };
        let model = &self.model;
        let hidden = u64::from(model.hidden_size);
        u64::from(model.num_hidden_layers) * (parts.matrices + parts.vectors)
            + embeddings * u64::from(model.vocab_size) * hidden
            + hidden
    }

    /// Parameters of one layer on one of `tp` ranks, the experts spread over `ep` of them.
    pub(crate) fn layer_parameters(&self, tp: u32, ep: u32) -> LayerParameters {
        let model = &self.model;
        let [hidden, head_dim] = [model.hidden_size, model.head_dim].map(u64::from);
        let query = u64::from(model.num_attention_heads / tp) * head_dim;
        let qkv = query + 2 * u64::from(self.kv_heads_per_rank(tp)) * head_dim;
        let mlp = match self.experts {
            None => 3 * hidden * u64::from(model.intermediate_size / tp),
            Some(experts) => {
                let [number, width] = [experts.num_experts / ep, experts.moe_intermediate_size / (tp / ep)];
                3 * hidden * u64::from(number) * u64::from(width)
            }
        };
        let router = self.experts.map_or(0, |experts| hidden * u64::from(experts.num_experts));
        let norms = 2 * hidden + if self.has_qk_norm { 2 * head_dim } else { 0 };
        let bias = if self.has_qkv_bias { qkv } else { 0 };
        LayerParameters { matrices: hidden * (qkv + query) + mlp, vectors: norms + bias + router }
    }

    /// What the layers keep on one rank, as vLLM plans it.
    ///
    /// # Errors
    /// If that is not known, or more than attention over all tokens, which is all that the tables hold.
    pub(crate) fn kv_cache_layers(&self, settings: &ModelSettings) -> Result<Vec<ModelLayers>> {
        let layers = ModelKvCache::from_json(&self.file, settings)?.layers;
        let is_full = layers.iter().all(|run| run.kind == ModelLayerKind::FullAttention);
        ensure!(is_full, "config.json: some layers attend to fewer than all tokens, which cannot be composed");
        Ok(layers)
    }

    /// Key and value heads of one rank; they are copied where there are more ranks than heads.
    pub(crate) fn kv_heads_per_rank(&self, tp: u32) -> u32 {
        (self.model.num_key_value_heads / tp).max(1)
    }
}

/// Parameters of one layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LayerParameters {
    /// Those of the matrices, which quantisation shortens.
    pub(crate) matrices: u64,
    /// Norms, biases and the router, which it does not.
    pub(crate) vectors: u64,
}

fn flag(root: &Map<String, Value>, name: &str) -> bool {
    root.get(name).and_then(Value::as_bool).unwrap_or(false)
}

/// The tables hold attention over all tokens.
fn refuse_windows(root: &Map<String, Value>, kind: &str) -> Result<()> {
    let window = root.get("sliding_window").is_some_and(|value| !value.is_null());
    let is_used = kind == "mistral" || flag(root, "use_sliding_window");
    ensure!(!(window && is_used), "config.json: sliding_window is set; attention over a window cannot be composed");
    Ok(())
}

fn experts(root: &Map<String, Value>, core: &CoreConfig) -> Result<Experts> {
    let count = |field: &str| -> Result<u32> {
        let value = root.get(field).with_context(|| format!("config.json: {field} is absent; it must be there"))?;
        let count = value.as_u64().and_then(|count| u32::try_from(count).ok()).filter(|&count| count > 0);
        count.with_context(|| format!("config.json: {field} must be a whole number above 0"))
    };
    let dense_layers = root.get("mlp_only_layers").and_then(Value::as_array).is_some_and(|layers| !layers.is_empty());
    if dense_layers || root.get("decoder_sparse_step").is_some_and(|step| step.as_u64() != Some(1)) {
        bail!("config.json: mlp_only_layers or decoder_sparse_step: experts in some layers only cannot be composed");
    }
    let (num_experts, num_experts_per_tok) = (core.num_experts, count("num_experts_per_tok")?);
    ensure!(
        num_experts_per_tok <= num_experts,
        "config.json: num_experts_per_tok is {num_experts_per_tok}; it must be at most num_experts, {num_experts}"
    );
    Ok(Experts { num_experts, num_experts_per_tok, moe_intermediate_size: count("moe_intermediate_size")? })
}

#[cfg(test)]
mod tests {
    use super::ModelConfig;

    #[track_caller]
    fn check(file: &str, num_parameters: u64) {
        let path = format!("{}/models/{file}.json", env!("CARGO_MANIFEST_DIR"));
        let bytes = std::fs::read(path).expect("a model's facts");
        assert_eq!(ModelConfig::from_json(&bytes, file).expect("it is accepted").num_parameters(), num_parameters);
    }

    #[test]
    fn the_shipped_models_have_the_parameters_that_their_publishers_count() {
        check("llama-3.1-8b", 8_030_261_248);
        check("llama-3.3-70b", 70_553_706_496);
        check("qwen3-8b", 8_190_735_360);
        check("qwen3-14b", 14_768_307_200);
        check("qwen3-32b", 32_762_123_264);
        check("qwen3-30b-a3b", 30_532_122_624);
    }
}
