//! What a model's name may say of how its weights are quantised.

use alloc::string::String;
use core::fmt;

use serde_json::{Map, Value, json};

/// A quantisation that a name asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Variant {
    /// `-FP8`, `-FP8-dynamic`: 8 bits, float, one scale a tensor or channel.
    Fp8,
    /// `-FP8` of publishers whose scales are of blocks: Qwen, Z.ai, `DeepSeek` and others.
    Fp8Block,
    /// `-w8a8`, `-INT8`: 8 bits, whole numbers.
    Int8,
    /// `-NVFP4`, `-FP4`.
    Nvfp4,
    /// `-AWQ`: whole numbers of 4 bits with zeros, groups of 128.
    Awq,
    /// `-GPTQ-Int4`, `-GPTQ`: whole numbers of 4 bits, groups of 128.
    Gptq,
    /// `-w4a16`, `-INT4`: the same, as compressed-tensors stores them.
    Int4,
    /// `-BF16`: not quantised, whatever the model is otherwise.
    Unquantized,
}

impl Variant {
    /// The words of a checkpoint that is quantised so; `None` if it is not.
    pub(super) fn quantization_config(self) -> Option<Value> {
        let groups = |bits: u32, group: Option<u32>| {
            let weights = json!({"num_bits": bits, "type": "int", "symmetric": true, "group_size": group});
            json!({
                "quant_method": "compressed-tensors",
                "config_groups": {"group_0": {"targets": ["Linear"], "weights": weights}},
                "ignore": ["lm_head"],
            })
        };
        Some(match self {
            Self::Fp8 => json!({"quant_method": "fp8"}),
            Self::Fp8Block => json!({"quant_method": "fp8", "weight_block_size": [128, 128]}),
            Self::Int8 => groups(8, None),
            Self::Nvfp4 => json!({"quant_method": "modelopt", "quant_algo": "NVFP4"}),
            Self::Awq => json!({"quant_method": "awq", "bits": 4, "group_size": 128, "zero_point": true}),
            Self::Gptq => json!({"quant_method": "gptq", "bits": 4, "group_size": 128, "sym": true}),
            Self::Int4 => groups(4, Some(128)),
            Self::Unquantized => return None,
        })
    }

    /// Puts those words in the place of a file's own.
    pub(super) fn apply(self, config: &mut Map<String, Value>) {
        config.remove("compression_config");
        if let Some(Value::Object(text)) = config.get_mut("text_config") {
            text.remove("quantization_config");
        }
        match self.quantization_config() {
            Some(words) => config.insert("quantization_config".into(), words),
            None => config.remove("quantization_config"),
        };
    }

    /// Whether the weights are the same to everyone who asks for one of the two.
    pub(super) fn is_like(self, other: Self) -> bool {
        self == other || matches!((self, other), (Self::Fp8, Self::Fp8Block) | (Self::Fp8Block, Self::Fp8))
    }
}

impl fmt::Display for Variant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Fp8 => "FP8",
            Self::Fp8Block => "FP8 by blocks",
            Self::Int8 => "INT8",
            Self::Nvfp4 => "NVFP4",
            Self::Awq => "AWQ",
            Self::Gptq => "GPTQ",
            Self::Int4 => "W4A16",
            Self::Unquantized => "not quantised",
        })
    }
}
