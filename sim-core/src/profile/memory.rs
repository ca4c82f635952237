//! How many KV blocks an engine has (`vllm/v1/worker/gpu_worker.py::determine_available_memory`,
//! `vllm/v1/core/kv_cache_utils.py`).

use alloc::format;
use alloc::string::String;

use super::error::ProfileError;
use super::schema::Profile;
use crate::math;

/// The settings the number of KV blocks depends on, with vLLM's names.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MemoryRequest {
    /// Tokens per block.
    pub block_size: u32,
    /// Share of the device memory vLLM may use: above 0, at most 1.
    pub gpu_memory_utilization: f64,
    /// Blocks, whatever memory there is.
    pub num_gpu_blocks_override: Option<u32>,
    /// Bytes of KV cache; `gpu_memory_utilization` is then not looked at.
    pub kv_cache_memory_bytes: Option<u64>,
}

impl MemoryRequest {
    /// The settings the profile offers by default.
    #[must_use]
    pub const fn of_profile(profile: &Profile) -> Self {
        Self {
            block_size: profile.engine.block_size,
            gpu_memory_utilization: profile.engine.gpu_memory_utilization,
            num_gpu_blocks_override: None,
            kv_cache_memory_bytes: None,
        }
    }
}

/// KV blocks of the engine, the null block included.
///
/// In this order: the override; what a real engine reported under these very settings; KV bytes divided by the bytes of
/// a block. KV bytes are as given, or `ceil(total × gpu_memory_utilization)` less weights, other resident memory, the
/// peak of the profiling pass, and the CUDA graphs. Whether a request of `max_model_len` fits is the engine
/// configuration's question.
///
/// # Errors
/// [`ProfileError::Settings`]: a setting outside its limits, or no memory left for a single block.
pub fn num_gpu_blocks(profile: &Profile, request: &MemoryRequest) -> Result<u32, ProfileError> {
    let refuse = |setting, message: String| Err(ProfileError::Settings { setting, message });
    let MemoryRequest { block_size, gpu_memory_utilization, .. } = *request;
    if block_size == 0 {
        return refuse("block_size", "0 must be at least 1".into());
    }
    if !(gpu_memory_utilization > 0.0 && gpu_memory_utilization <= 1.0) {
        return refuse("gpu_memory_utilization", format!("{gpu_memory_utilization} must be above 0 and at most 1"));
    }
    match request.num_gpu_blocks_override {
        Some(0) => return refuse("num_gpu_blocks_override", "0 must be at least 1".into()),
        Some(blocks) => return Ok(blocks),
        None => {}
    }
    if let (Some(reported), None) = (&profile.memory.reported, request.kv_cache_memory_bytes)
        && reported.block_size == block_size
        && reported.gpu_memory_utilization.to_bits() == gpu_memory_utilization.to_bits()
    {
        return Ok(reported.num_gpu_blocks);
    }
    let block_bytes = profile.memory.kv_cache_per_token.bytes.saturating_mul(u64::from(block_size)).max(1);
    let kv_bytes = match request.kv_cache_memory_bytes {
        Some(bytes) => bytes,
        None => available_bytes(profile, gpu_memory_utilization)?,
    };
    let blocks = kv_bytes / block_bytes;
    if blocks == 0 {
        return refuse("kv_cache_memory_bytes", format!("{kv_bytes} bytes hold no block of {block_bytes} bytes"));
    }
    // More than 4 billion blocks are no engine's.
    Ok(u32::try_from(blocks).unwrap_or(u32::MAX))
}

/// Bytes left for the KV cache on one device.
fn available_bytes(profile: &Profile, gpu_memory_utilization: f64) -> Result<u64, ProfileError> {
    let memory = &profile.memory;
    let total = profile.hardware.total_memory.bytes;
    let requested = math::f64_to_u64(math::ceil(math::u64_to_f64(total) * gpu_memory_utilization));
    let used = [&memory.weights, &memory.other_resident, &memory.activation_peak, &memory.cuda_graphs]
        .iter()
        .fold(0_u64, |sum, part| sum.saturating_add(part.bytes));
    requested.checked_sub(used).filter(|&left| left > 0).ok_or_else(|| ProfileError::Settings {
        setting: "gpu_memory_utilization",
        message: format!(
            "no available memory for the cache blocks: {gpu_memory_utilization} of {total} bytes is {requested}, and \
             weights, activations and CUDA graphs take {used}; try increasing it"
        ),
    })
}
