//! What a class of models has where its `config.json` leaves it out.
//!
//! Published files leave out what transformers' configuration class has as its default; those that do are here, and no
//! others: a file without sizes is no model's. Source: `transformers/models/*/configuration_*.py` of 5.24.

/// Fields of a class and their defaults.
type Defaults = &'static [(&'static str, u32)];

const GEMMA3: Defaults = &[
    ("vocab_size", 262_208),
    ("hidden_size", 2304),
    ("intermediate_size", 9216),
    ("num_hidden_layers", 26),
    ("num_attention_heads", 8),
    ("num_key_value_heads", 4),
    ("head_dim", 256),
    ("sliding_window", 4096),
];
const GEMMA3N: Defaults = &[
    ("vocab_size", 262_400),
    ("num_attention_heads", 8),
    ("num_key_value_heads", 2),
    ("head_dim", 256),
    ("sliding_window", 512),
];
const GEMMA4: Defaults = &[("vocab_size", 262_144), ("head_dim", 256), ("sliding_window", 512)];
const QWEN3_5: Defaults = &[
    ("vocab_size", 248_320),
    ("head_dim", 256),
    ("linear_conv_kernel_dim", 4),
    ("linear_key_head_dim", 128),
    ("linear_value_head_dim", 128),
    ("linear_num_key_heads", 16),
    ("linear_num_value_heads", 32),
];
const QWEN3: Defaults = &[("vocab_size", 151_936), ("head_dim", 128)];
const DEEPSEEK_V3: Defaults = &[
    ("vocab_size", 129_280),
    ("num_attention_heads", 128),
    ("kv_lora_rank", 512),
    ("qk_nope_head_dim", 128),
    ("qk_rope_head_dim", 64),
    ("v_head_dim", 128),
];
const GLM_DSA: Defaults = &[("vocab_size", 154_880)];
const GPT_OSS: Defaults = &[("vocab_size", 201_088), ("head_dim", 64), ("sliding_window", 128)];

/// The defaults of a class.
pub(super) fn of(architecture: &str) -> Defaults {
    match architecture {
        "Gemma2ForCausalLM" => &[("vocab_size", 256_000), ("head_dim", 256), ("sliding_window", 4096)],
        "Gemma3ForCausalLM" | "Gemma3ForConditionalGeneration" => GEMMA3,
        "Gemma3nForCausalLM" | "Gemma3nForConditionalGeneration" => GEMMA3N,
        "Gemma4ForCausalLM" | "Gemma4ForConditionalGeneration" => GEMMA4,
        "Qwen3ForCausalLM" => QWEN3,
        "Qwen3_5ForCausalLM"
        | "Qwen3_5ForConditionalGeneration"
        | "Qwen3_5MoeForCausalLM"
        | "Qwen3_5MoeForConditionalGeneration" => QWEN3_5,
        "DeepseekV3ForCausalLM" | "DeepseekV32ForCausalLM" => DEEPSEEK_V3,
        "GlmMoeDsaForCausalLM" => GLM_DSA,
        "GptOssForCausalLM" => GPT_OSS,
        "Llama4ForCausalLM" | "Llama4ForConditionalGeneration" => &[("vocab_size", 202_048), ("head_dim", 128)],
        "Mistral3ForConditionalGeneration" | "Ministral3ForCausalLM" => &[("vocab_size", 131_072), ("head_dim", 128)],
        _ => &[],
    }
}

/// Whether the logits use the embedding's matrix where the file does not say.
pub(super) fn ties_word_embeddings(architecture: &str) -> bool {
    const TIED: [&str; 6] = ["Gemma", "Cohere", "Lfm2", "Zamba2", "Mamba", "FalconMamba"];
    let is_mamba2 = architecture.starts_with("Mamba2");
    architecture.starts_with("Ernie4_5") || (!is_mamba2 && TIED.iter().any(|family| architecture.starts_with(family)))
}
