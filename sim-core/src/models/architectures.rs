//! The models whose layers are known, by the name of their class in vLLM (`model_executor/models/registry.py`).

use alloc::vec::Vec;

use super::error::{ModelConfigError, shortened};
use super::kernels::Attention;
use super::layers::ModelLayers;
use super::mtp::{self, MtpLayers};
use super::rank::Rank;
use super::shapes::{self, BuildShapes};
use super::{dense, hybrids, mla, windows};

/// Finds the layers of a model.
type Build = fn(&Rank<'_>) -> Result<Vec<ModelLayers>, ModelConfigError>;
/// Finds its layers for further tokens.
type BuildMtp = fn(&Rank<'_>) -> Result<MtpLayers, ModelConfigError>;

/// What is known of a class.
#[derive(Debug, Clone, Copy)]
pub(super) struct Architecture {
    /// Its name.
    pub(super) name: &'static str,
    /// Its attention.
    pub(super) attention: Attention,
    /// Its layers, in the order in which vLLM builds them.
    pub(super) layers: Build,
    /// What they compute.
    pub(super) shape: BuildShapes,
    /// Its layers for further tokens, where they are known.
    pub(super) mtp: Option<BuildMtp>,
}

impl Architecture {
    const fn new(name: &'static str, attention: Attention, layers: Build, shape: BuildShapes) -> Self {
        Self { name, attention, layers, shape, mtp: None }
    }

    const fn with_mtp(self, mtp: BuildMtp) -> Self {
        Self { mtp: Some(mtp), ..self }
    }

    /// The class called `name`, of a file of this `model_type`.
    pub(super) fn find(name: &str, model_type: Option<&str>) -> Result<&'static Self, ModelConfigError> {
        ARCHITECTURES.iter().find(|known| known.name == name).ok_or_else(|| ModelConfigError::Architecture {
            name: shortened(name),
            model_type: model_type.map(shortened),
            why: NOT_SIMULATED.iter().find(|(other, _)| *other == name).map(|(_, why)| *why),
            near: near(name),
            known: ARCHITECTURES.map(|known| known.name).join(", "),
        })
    }

    /// The length where the file has none: vLLM's for models without positions.
    pub(super) fn default_max_model_len(&self) -> Option<u32> {
        (self.attention == Attention::None).then_some(2048)
    }
}

const ARCHITECTURES: [Architecture; 67] = [
    Architecture::new("LlamaForCausalLM", Attention::Heads, dense::llama, shapes::llama),
    Architecture::new("LlamaForCausalLMEagle3", Attention::Heads, dense::all_full, shapes::llama),
    Architecture::new("MistralForCausalLM", Attention::Heads, dense::llama, shapes::llama),
    Architecture::new("MixtralForCausalLM", Attention::Heads, dense::one_kind, shapes::mixtral),
    Architecture::new("MiniMaxM2ForCausalLM", Attention::Heads, dense::one_kind, shapes::minimax_m2),
    Architecture::new("Glm4MoeForCausalLM", Attention::Heads, dense::one_kind, shapes::glm4_moe).with_mtp(mtp::full),
    Architecture::new("Phi3ForCausalLM", Attention::Heads, dense::one_kind, shapes::decoder),
    Architecture::new("Qwen2ForCausalLM", Attention::Heads, dense::qwen, shapes::qwen2),
    Architecture::new("Qwen2MoeForCausalLM", Attention::Heads, dense::qwen, shapes::qwen2_moe),
    Architecture::new("Qwen3ForCausalLM", Attention::Heads, dense::qwen, shapes::qwen3),
    Architecture::new("Qwen3MoeForCausalLM", Attention::Heads, dense::qwen, shapes::qwen3_moe),
    Architecture::new("DeciLMForCausalLM", Attention::Heads, dense::nemotron_nas, shapes::deci),
    Architecture::new("GptOssForCausalLM", Attention::Heads, windows::gpt_oss, shapes::gpt_oss),
    Architecture::new("Gemma2ForCausalLM", Attention::Heads, windows::gemma2, shapes::gemma2),
    Architecture::new("Gemma3ForCausalLM", Attention::Heads, windows::gemma3, shapes::gemma3),
    Architecture::new("Gemma3ForConditionalGeneration", Attention::Heads, windows::gemma3, shapes::gemma3),
    Architecture::new("Gemma3nForCausalLM", Attention::Heads, windows::gemma3n, shapes::gemma3n),
    Architecture::new("Gemma3nForConditionalGeneration", Attention::Heads, windows::gemma3n, shapes::gemma3n),
    Architecture::new("Gemma4ForCausalLM", Attention::WideHeads, windows::gemma4, shapes::gemma4),
    Architecture::new("Gemma4ForConditionalGeneration", Attention::WideHeads, windows::gemma4, shapes::gemma4),
    Architecture::new("Olmo3ForCausalLM", Attention::Heads, windows::every_fourth, shapes::olmo),
    Architecture::new("Exaone4ForCausalLM", Attention::Heads, windows::every_fourth, shapes::exaone4),
    Architecture::new("AfmoeForCausalLM", Attention::Heads, windows::afmoe, shapes::afmoe),
    Architecture::new("Cohere2ForCausalLM", Attention::Heads, windows::cohere2, shapes::cohere),
    Architecture::new("MiMoV2FlashForCausalLM", Attention::Heads, windows::mimo_v2_flash, shapes::mimo_v2_flash)
        .with_mtp(mtp::mimo_v2_flash),
    Architecture::new("Step3p5ForCausalLM", Attention::Heads, windows::step3p5, shapes::step3p5).with_mtp(mtp::step3p5),
    Architecture::new("Llama4ForCausalLM", Attention::Heads, windows::llama4, shapes::llama4),
    Architecture::new("Llama4ForConditionalGeneration", Attention::Heads, windows::llama4, shapes::llama4),
    Architecture::new("Qwen3NextForCausalLM", Attention::Heads, hybrids::qwen3_next, shapes::qwen3_next)
        .with_mtp(mtp::full),
    Architecture::new("Qwen3_5ForConditionalGeneration", Attention::Heads, hybrids::qwen3_5, shapes::qwen3_5)
        .with_mtp(mtp::qwen3_5),
    Architecture::new("Qwen3_5MoeForConditionalGeneration", Attention::Heads, hybrids::qwen3_5, shapes::qwen3_5_moe)
        .with_mtp(mtp::qwen3_5),
    Architecture::new("NemotronHForCausalLM", Attention::Heads, hybrids::nemotron_h, shapes::nemotron_h)
        .with_mtp(mtp::nemotron_h),
    Architecture::new("JambaForCausalLM", Attention::Heads, hybrids::jamba, shapes::jamba),
    Architecture::new("GraniteMoeHybridForCausalLM", Attention::Heads, hybrids::granite, shapes::granite),
    Architecture::new("Lfm2ForCausalLM", Attention::Heads, hybrids::lfm2, shapes::lfm2),
    Architecture::new("Lfm2MoeForCausalLM", Attention::Heads, hybrids::lfm2, shapes::lfm2),
    Architecture::new("FalconH1ForCausalLM", Attention::Heads, hybrids::falcon_h1, shapes::falcon_h1),
    Architecture::new("Zamba2ForCausalLM", Attention::Heads, hybrids::zamba2, shapes::zamba2),
    Architecture::new("MambaForCausalLM", Attention::None, hybrids::mamba1_alone, shapes::mamba1_alone),
    Architecture::new("FalconMambaForCausalLM", Attention::None, hybrids::mamba1_alone, shapes::mamba1_alone),
    Architecture::new("Mamba2ForCausalLM", Attention::None, hybrids::mamba2_alone, shapes::mamba2_alone),
    Architecture::new("KimiLinearForCausalLM", Attention::Mla, hybrids::kimi, shapes::kimi),
    Architecture::new("KimiK3ForConditionalGeneration", Attention::Mla, hybrids::kimi, shapes::kimi),
    Architecture::new("DeepseekV2ForCausalLM", Attention::Mla, mla::deepseek, shapes::deepseek_v2),
    Architecture::new("DeepseekV3ForCausalLM", Attention::Mla, mla::deepseek, shapes::deepseek_v3).with_mtp(mtp::mla),
    Architecture::new("DeepseekV32ForCausalLM", Attention::SparseMla, mla::sparse, shapes::sparse)
        .with_mtp(mtp::sparse),
    Architecture::new("GlmMoeDsaForCausalLM", Attention::SparseMla, mla::sparse, shapes::sparse).with_mtp(mtp::sparse),
    Architecture::new("Ministral3ForCausalLM", Attention::Heads, dense::llama, shapes::llama),
    Architecture::new("Mistral3ForConditionalGeneration", Attention::Heads, dense::llama, shapes::llama),
    Architecture::new("GraniteForCausalLM", Attention::Heads, dense::one_kind, shapes::llama),
    Architecture::new("GemmaForCausalLM", Attention::Heads, dense::all_full, shapes::decoder),
    Architecture::new("MiMoForCausalLM", Attention::Heads, dense::qwen, shapes::qwen2),
    Architecture::new("SeedOssForCausalLM", Attention::Heads, dense::all_full, shapes::seed_oss),
    Architecture::new("Olmo2ForCausalLM", Attention::Heads, dense::all_full, shapes::olmo),
    Architecture::new("Glm4ForCausalLM", Attention::Heads, dense::all_full, shapes::glm4),
    Architecture::new("CohereForCausalLM", Attention::Heads, dense::all_full, shapes::cohere),
    Architecture::new("Ernie4_5ForCausalLM", Attention::Heads, dense::all_full, shapes::ernie),
    Architecture::new("Ernie4_5_MoeForCausalLM", Attention::Heads, dense::all_full, shapes::ernie_moe),
    Architecture::new("HYV3ForCausalLM", Attention::Heads, dense::all_full, shapes::hy3),
    Architecture::new("Qwen2_5_VLForConditionalGeneration", Attention::Heads, dense::qwen, shapes::qwen2),
    Architecture::new("Qwen3VLForConditionalGeneration", Attention::Heads, dense::qwen, shapes::qwen3),
    Architecture::new("Qwen3VLMoeForConditionalGeneration", Attention::Heads, dense::qwen, shapes::qwen3_moe),
    Architecture::new("Qwen3_5ForCausalLM", Attention::Heads, hybrids::qwen3_5, shapes::qwen3_5).with_mtp(mtp::qwen3_5),
    Architecture::new("Qwen3_5MoeForCausalLM", Attention::Heads, hybrids::qwen3_5, shapes::qwen3_5_moe)
        .with_mtp(mtp::qwen3_5),
    Architecture::new("KimiK25ForConditionalGeneration", Attention::Mla, mla::deepseek, shapes::deepseek_v3),
    Architecture::new("MistralLarge3ForCausalLM", Attention::Mla, mla::deepseek, shapes::deepseek_v3),
    Architecture::new("Glm4MoeLiteForCausalLM", Attention::Mla, mla::deepseek, shapes::deepseek_v3),
];

/// The known classes that begin like this one, most alike first.
fn near(name: &str) -> Vec<&'static str> {
    const LEAST: usize = 4;
    const MOST: usize = 4;
    let alike = |known: &str| {
        known.chars().zip(name.chars()).take_while(|(one, other)| one.eq_ignore_ascii_case(other)).count()
    };
    let mut near: Vec<(usize, &'static str)> =
        ARCHITECTURES.iter().map(|known| (alike(known.name), known.name)).collect();
    near.retain(|(alike, _)| *alike >= LEAST);
    near.sort_by_key(|(alike, _)| core::cmp::Reverse(*alike));
    near.into_iter().take(MOST).map(|(_, name)| name).collect()
}

/// Classes that people will ask for, and why they are not known.
const NOT_SIMULATED: [(&str, &str); 6] = [
    ("DeepseekV4ForCausalLM", "its caches of several compression ratios are laid out in a way that is not simulated"),
    ("DeepseekV41ForCausalLM", "its caches of several compression ratios are laid out in a way that is not simulated"),
    ("BambaForCausalLM", "vLLM has no such model since 0.23"),
    ("MiniMaxText01ForCausalLM", "vLLM has no such model since 0.23"),
    ("MiniMaxM1ForCausalLM", "vLLM has no such model since 0.23"),
    ("Plamo2ForCausalLM", "vLLM has no such model since 0.26"),
];
