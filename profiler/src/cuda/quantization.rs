//! What is kept in 8 bits, by vLLM's rules; everything else is refused by name.
//!
//! `--quantization fp8` on a 16-bit checkpoint is the deprecated name of `fp8_per_tensor`
//! (`vllm/model_executor/model_loader/weight_utils.py`): one scale for each weight matrix, and inputs quantised as they
//! come, with a scale for each token on devices that multiply in 8 bits
//! (`layers/quantization/online/fp8.py::Fp8PerTensorOnlineLinearMethod`, `kFp8DynamicTokenSym`). A checkpoint in fp8 with
//! dynamic activations is multiplied the same way (`layers/quantization/fp8.py::Fp8LinearMethod`). Head and embedding are
//! no `LinearBase`, so they stay in 16 bits. Keys and values in fp8 have the scale 1 unless a checkpoint brings others.

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;
use sim_core::models::ModelConfig;

use super::number::Storage;

/// How the layers' matrix products keep weights and inputs; `flag` is `--quantization`.
///
/// # Errors
/// If it is another way than those of the module.
pub(crate) fn linear(read: &ModelConfig, raw: &Value, flag: Option<&str>) -> Result<Storage> {
    match (read.quantization.as_deref(), flag) {
        (None, None) => Ok(Storage::Half),
        (None, Some("fp8" | "fp8_per_tensor")) => Ok(Storage::Fp8),
        (None, Some(other)) => {
            bail!(
                "--quantization {other}: the engine has fp8 (the same as fp8_per_tensor); measure others with --engine vllm"
            )
        }
        (Some("fp8"), None | Some("fp8")) => {
            let config = raw.get("quantization_config").or_else(|| raw.get("compression_config"));
            check_fp8(config.context("config.json: quantization_config is not where vLLM's fp8 has it")?)?;
            Ok(Storage::Fp8)
        }
        (Some("fp8"), Some(other)) => {
            bail!("--quantization {other} on a checkpoint in fp8: the engine does not convert it")
        }
        (Some(method), _) => bail!(
            "quantization {method}: the engine multiplies in bfloat16, float16 and fp8 with one scale for each matrix"
        ),
    }
}

/// How keys and values are kept; `flag` is `--kv-cache-dtype`.
///
/// # Errors
/// If it is another way.
pub(crate) fn kv_cache(flag: Option<&str>) -> Result<Storage> {
    match flag.unwrap_or("auto") {
        "auto" => Ok(Storage::Half),
        "fp8" | "fp8_e4m3" => Ok(Storage::Fp8),
        other => {
            bail!("--kv-cache-dtype {other}: the cuda engine keeps keys and values as the model's, or as fp8 (e4m3)")
        }
    }
}

/// Refuses what an fp8 checkpoint may have beside one scale for each matrix.
fn check_fp8(config: &Value) -> Result<()> {
    if let Some(size) = config.get("weight_block_size").filter(|size| !size.is_null()) {
        bail!("weight_block_size {size}: the engine has one scale for each matrix, none for blocks");
    }
    let scheme = config.get("activation_scheme").and_then(Value::as_str).unwrap_or("absent");
    ensure!(
        scheme == "dynamic",
        "activation_scheme {scheme}: the engine quantises activations as they come, which is \"dynamic\""
    );
    if let Some(format) = config.get("store_dtype").filter(|format| !format.is_null()) {
        bail!("store_dtype {format}: the engine has fp8 only");
    }
    for field in ["ignored_layers", "modules_to_not_convert"] {
        let listed = config.get(field).and_then(Value::as_array);
        let other = listed.into_iter().flatten().find(|name| name.as_str() != Some("lm_head"));
        if let Some(name) = other {
            bail!("{field} names {name}: the engine has all layers in fp8, and the head and the embedding in 16 bits");
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::cuda::number::Storage;
    use crate::cuda::shape::tests::{llama_8b, shape_with};

    fn with(quantization: &Value) -> Value {
        let mut config = llama_8b();
        if !quantization.is_null() {
            config["quantization_config"] = quantization.clone();
        }
        config
    }

    #[track_caller]
    fn check(quantization: &Value, words: &str, expect: [Storage; 2]) {
        let shape = shape_with(&with(quantization), words).expect("a format of this engine");
        assert_eq!([shape.linear, shape.kv_cache], expect, "{quantization} {words}");
    }

    #[test]
    fn flags_and_checkpoints_say_what_is_in_8_bits() {
        use Storage::{Fp8, Half};
        let dynamic = json!({"quant_method": "fp8", "activation_scheme": "dynamic", "ignored_layers": ["lm_head"]});
        check(&Value::Null, "", [Half, Half]);
        check(&Value::Null, "--quantization fp8", [Fp8, Half]);
        check(&Value::Null, "-q fp8_per_tensor --kv-cache-dtype fp8_e4m3", [Fp8, Fp8]);
        check(&Value::Null, "--kv-cache-dtype=fp8", [Half, Fp8]);
        check(&dynamic, "", [Fp8, Half]);
        check(&dynamic, "--quantization fp8 --kv-cache-dtype auto", [Fp8, Half]);
    }

    #[track_caller]
    fn check_refused(quantization: &Value, words: &str, expect: &str) {
        let error = format!("{:#}", shape_with(&with(quantization), words).expect_err("not of this engine"));
        assert!(error.contains(expect), "{error} without {expect:?}");
    }

    #[test]
    fn other_ways_are_refused_by_name() {
        let fp8 = |field: &str, value: Value| {
            let mut config = json!({"quant_method": "fp8", "activation_scheme": "dynamic"});
            config[field] = value;
            config
        };
        check_refused(&Value::Null, "--quantization fp8_per_block", "--quantization fp8_per_block");
        check_refused(&Value::Null, "--quantization awq", "--quantization awq");
        check_refused(&Value::Null, "--kv-cache-dtype fp8_e5m2", "--kv-cache-dtype fp8_e5m2");
        check_refused(&fp8("weight_block_size", json!([128, 128])), "", "weight_block_size [128,128]");
        check_refused(&fp8("activation_scheme", json!("static")), "", "activation_scheme static");
        check_refused(&fp8("ignored_layers", json!(["lm_head", "model.layers.0"])), "", "model.layers.0");
        check_refused(&fp8("store_dtype", json!("mxfp4")), "", "store_dtype");
        check_refused(&fp8("ignored_layers", Value::Null), "--quantization fp8_per_tensor", "does not convert");
        check_refused(&json!({"quant_method": "compressed-tensors"}), "", "quantization compressed-tensors");
        check_refused(&json!({"quant_method": "fp8"}), "", "activation_scheme absent");
    }
}
