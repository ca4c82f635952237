//! Parameters of the towers that look at pictures, which vLLM loads with the language model.
//!
//! Source: `vllm/model_executor/models/{qwen3_vl,qwen2_5_vl,gemma3_mm,siglip,llama4,pixtral,kimi_k25_vit}.py`. Sizes that add
//! up to what publishers count: Gemma 3, Llama 4, Mistral 3, Qwen3-VL and Qwen3.5; the others are within some parts of a hundred of the tower.

use super::super::config_file::{ConfigFile, Fields};
use super::super::error::ModelConfigError;

type Result<T> = core::result::Result<T, ModelConfigError>;

/// Llama 4's, which the same for both sizes: what the publisher counts less the language model.
const LLAMA4: u64 = 871_932_416;

/// The parameters of a model's towers; 0 if it has none.
pub(super) fn parameters(file: &ConfigFile, architecture: &str) -> Result<u64> {
    if architecture == "Llama4ForConditionalGeneration" {
        return Ok(LLAMA4);
    }
    let Some(vision) = file.root().object("vision_config")? else { return Ok(0) };
    let text = u64::from(file.text()?.count("hidden_size")?);
    match architecture {
        "Gemma3ForConditionalGeneration" => gemma3(vision, text),
        "Gemma4ForConditionalGeneration" => gated(vision, text, 0),
        "Mistral3ForConditionalGeneration" => mistral3(vision, text),
        "KimiK25ForConditionalGeneration" | "KimiK3ForConditionalGeneration" => kimi(vision, text),
        _ if architecture.starts_with("Qwen3") => qwen3(vision, text),
        _ if architecture.starts_with("Qwen2_5_VL") => gated(vision, text, MERGED),
        _ => Ok(0),
    }
}

/// Neighbouring parts of a picture that become one word.
const MERGED: u64 = 4;

/// Width, layers and width of the MLP.
fn sizes(vision: Fields<'_>, names: [&'static str; 3], defaults: [u32; 3]) -> Result<[u64; 3]> {
    let mut sizes = [0; 3];
    for ((size, name), default) in sizes.iter_mut().zip(names).zip(defaults) {
        *size = u64::from(vision.count_or(name, default)?.min(1 << 20));
    }
    Ok(sizes)
}

/// Layers of two norms with biases, attention with biases, and an MLP of two matrices with biases.
fn layers([hidden, depth, width]: [u64; 3]) -> u64 {
    let attention = 4 * hidden * (hidden + 1);
    let mlp = 2 * hidden * width + hidden + width;
    depth.saturating_mul(attention + mlp + 4 * hidden)
}

const USUAL: [&str; 3] = ["hidden_size", "num_hidden_layers", "intermediate_size"];

/// `SigLIP` of Gemma 3: parts of 14 × 14 of pictures of 896 × 896, and one matrix to the language model.
fn gemma3(vision: Fields<'_>, text: u64) -> Result<u64> {
    let sizes = sizes(vision, USUAL, [1152, 27, 4304])?;
    let [hidden, ..] = sizes;
    let (patch, image) =
        (u64::from(vision.count_or("patch_size", 14)?), u64::from(vision.count_or("image_size", 896)?));
    let (patch, image) = (patch.min(1 << 10), image.min(1 << 14));
    let places = (image / patch).pow(2).saturating_mul(hidden);
    let first = hidden.saturating_mul(3 * patch * patch + 1);
    let ends = 2 * hidden + hidden + hidden.saturating_mul(text);
    Ok(layers(sizes).saturating_add(places).saturating_add(first).saturating_add(ends))
}

/// Qwen3-VL and Qwen3.5, whose last layers' outputs may go in at several places.
fn qwen3(vision: Fields<'_>, text: u64) -> Result<u64> {
    let sizes = sizes(vision, ["hidden_size", "depth", "intermediate_size"], [1152, 27, 4304])?;
    let [hidden, ..] = sizes;
    let patch = u64::from(vision.count_or("patch_size", 16)?.min(1 << 10));
    let frames = u64::from(vision.count_or("temporal_patch_size", 2)?.min(1 << 10));
    let first = hidden.saturating_mul((3 * frames).saturating_mul(patch * patch) + 1);
    let places = hidden.saturating_mul(u64::from(vision.count_or("num_position_embeddings", 2304)?));
    let merged = MERGED * hidden;
    let merger = (merged * (merged + 1)).saturating_add(text.saturating_mul(merged + 1));
    let deep = vision.numbers("deepstack_visual_indexes")?.map_or(0, |places| places.len());
    let deep = u64::try_from(deep).unwrap_or(0).saturating_mul(merger + 2 * merged);
    let sum = layers(sizes).saturating_add(first).saturating_add(places);
    Ok(sum.saturating_add(merger).saturating_add(2 * hidden).saturating_add(deep))
}

/// Layers of two norms, attention, and an MLP with a gate, without biases; and the matrix that takes a picture's parts in.
fn gated_tower(vision: Fields<'_>) -> Result<[u64; 2]> {
    let depth = if vision.value("depth").is_some() { "depth" } else { "num_hidden_layers" };
    let [hidden, depth, width] = sizes(vision, ["hidden_size", depth, "intermediate_size"], [1024, 24, 4096])?;
    let layer = 4 * hidden * hidden + 3 * hidden * width + 2 * hidden;
    let patch = u64::from(vision.count_or("patch_size", 14)?.min(1 << 10));
    Ok([hidden, depth.saturating_mul(layer).saturating_add(hidden.saturating_mul(3 * patch * patch))])
}

/// Pixtral of Mistral 3: four parts become one, then two matrices to the language model.
fn mistral3(vision: Fields<'_>, text: u64) -> Result<u64> {
    let [hidden, tower] = gated_tower(vision)?;
    let merger = MERGED * hidden * hidden + 2 * hidden;
    Ok(tower.saturating_add(merger).saturating_add(text.saturating_mul(hidden + text)))
}

/// Qwen2.5-VL and Gemma 4: so many parts become one on the way out, or none.
fn gated(vision: Fields<'_>, text: u64, merged: u64) -> Result<u64> {
    let [hidden, tower] = gated_tower(vision)?;
    let inner = merged.max(1) * hidden;
    let out = if merged == 0 { hidden.saturating_mul(text) } else { inner * inner + inner.saturating_mul(text) };
    Ok(tower.saturating_add(out))
}

/// Kimi's: parts of four are merged.
fn kimi(vision: Fields<'_>, text: u64) -> Result<u64> {
    let names = ["vt_hidden_size", "vt_num_hidden_layers", "vt_intermediate_size"];
    let sizes = sizes(vision, names, [1152, 27, 4304])?;
    let [hidden, ..] = sizes;
    let inner = MERGED * hidden;
    Ok(layers(sizes).saturating_add(inner * inner).saturating_add(inner.saturating_mul(text)))
}
