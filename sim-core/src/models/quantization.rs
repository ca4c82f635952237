//! The number formats of weights and of keys and values, from the checkpoint's own words.
//!
//! Source: `vllm/config/model.py::_get_and_verify_dtype`, `vllm/utils/torch_utils.py::get_kv_cache_quant_algo_string`.

use super::config_file::{ConfigFile, Fields};
use super::error::ModelConfigError;
use super::settings::{Dtype, KvCacheDtype, ModelSettings};
use super::weight_formats::quantization_config;

/// The number format of weights and activations.
pub(super) fn dtype(file: &ConfigFile, settings: &ModelSettings) -> Result<Dtype, ModelConfigError> {
    if let Some(given) = settings.dtype {
        return Ok(given);
    }
    for fields in [file.root(), file.text()?] {
        for field in ["torch_dtype", "dtype"] {
            let Some(name) = fields.text(field)? else { continue };
            let need = "one of float32, float16, bfloat16";
            let value = || ModelConfigError::value(field, &serde_json::Value::from(name), need);
            let dtype = Dtype::from_name(name).ok_or_else(value)?;
            return Ok(short(dtype));
        }
    }
    Ok(short(Dtype::Float32))
}

/// vLLM runs models of 32 bits with 16 unless it is told otherwise.
const fn short(dtype: Dtype) -> Dtype {
    match dtype {
        Dtype::Float32 => Dtype::Bfloat16,
        dtype => dtype,
    }
}

/// The number format of keys and values; never [`KvCacheDtype::Auto`].
pub(super) fn kv_cache_dtype(
    file: &ConfigFile,
    settings: &ModelSettings,
    dtype: Dtype,
) -> Result<KvCacheDtype, ModelConfigError> {
    if settings.kv_cache_dtype != KvCacheDtype::Auto {
        return Ok(settings.kv_cache_dtype);
    }
    let is_fp8 = quantization_config(file)?.map(keeps_fp8).transpose()?.unwrap_or(false);
    Ok(if is_fp8 { KvCacheDtype::Fp8 } else { KvCacheDtype::Plain(dtype) })
}

/// Whether a checkpoint asks for a cache of one byte a number. What it says in other words means nothing to vLLM.
fn keeps_fp8(config: Fields<'_>) -> Result<bool, ModelConfigError> {
    // A file of `ModelOpt`'s own names an algorithm alone.
    let unnamed = if config.value("quant_algo").is_some() { "modelopt" } else { "" };
    let method = config.text("quant_method")?.unwrap_or(unnamed);
    let field = "kv_cache_scheme";
    let Some(scheme) = config.value(field) else {
        return Ok(method.starts_with("modelopt") && config.text("kv_cache_quant_algo")?.is_some_and(is_fp8));
    };
    if let Some(name) = scheme.as_str() {
        return Ok(is_fp8(name));
    }
    let Some(scheme) = config.object(field)? else { return Ok(false) };
    let is_float = scheme.text("type")? == Some("float");
    match scheme.number("num_bits", u32::MAX)? {
        // ModelOpt's own kernels need scales that do not change.
        Some(8) => Ok(is_float && !(method.starts_with("modelopt") && scheme.flag_or("dynamic", true)?)),
        Some(4) if is_float && method.starts_with("modelopt") => {
            let value = serde_json::Value::from("nvfp4");
            Err(ModelConfigError::value(field, &value, "of 8 bits: caches of 4 bits a number are not simulated"))
        }
        _ => Ok(false),
    }
}

fn is_fp8(name: &str) -> bool {
    name.eq_ignore_ascii_case("fp8")
}
