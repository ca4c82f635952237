//! What a profile says about the machine, in the terms in which vLLM resolves its arguments.

use core::num::NonZeroU32;

use super::cuda_graphs::CaptureSizes;
use super::error::ProfileError;
use super::schema::{DeviceType, Drafter, KvCacheLayerKind, KvCacheLayers, Profile};
use crate::config::{Device, DrafterPlatform, EngineArgs, KvCacheMemory, Platform, UsageContext};
use crate::models::layers::ModelLayers;
use crate::speculative::SpeculativeMethod;

impl Profile {
    /// The platform of this profile. The number of blocks that a real engine reported is used as long as `args` ask
    /// for the memory that it had; otherwise the blocks follow from the parts of the memory.
    ///
    /// # Errors
    /// [`ProfileError::Settings`] if the profile's KV cache bytes per token or reported block size are 0, which
    /// [`Profile::validate`] refuses.
    pub fn platform(&self, usage_context: UsageContext, args: &EngineArgs) -> Result<Platform, ProfileError> {
        Ok(Platform {
            device: self.device(),
            usage_context,
            model_max_len: self.engine.max_model_len,
            tensor_parallel_size: self.engine.tensor_parallel_size,
            pipeline_parallel_size: self.engine.pipeline_parallel_size,
            default_block_size: Some(self.engine.block_size),
            kernel_block_size: self.kernel_block_size(),
            max_kernel_block_size: self.max_kernel_block_size(),
            layers: self.memory.kv_cache_layers.iter().map(ModelLayers::from).collect(),
            drafters: self.drafters.iter().filter_map(drafter).collect(),
            kv_cache: self.kv_cache_memory(args)?,
        })
    }

    /// Whether the passes were measured with CUDA graphs, which vLLM has on GPUs unless `enforce_eager` is set.
    #[must_use]
    pub fn has_cuda_graphs(&self) -> bool {
        self.hardware.device_type == DeviceType::Cuda && !self.engine.enforce_eager
    }

    /// The smallest block of the attention kernels that vLLM has for the model by default.
    fn kernel_block_size(&self) -> u32 {
        let is_mla = self.memory.kv_cache_layers.iter().any(|layers| layers.kind == KvCacheLayerKind::Mla);
        match self.hardware.device_type {
            DeviceType::Cpu => 32,
            DeviceType::Cuda if is_mla => 64,
            DeviceType::Cuda => 16,
        }
    }

    /// `FlashInfer`'s kernels know blocks of 16, 32 and 64 tokens.
    fn max_kernel_block_size(&self) -> Option<u32> {
        let backend = self.engine.attention_backend.as_deref().unwrap_or_default();
        backend.starts_with("FLASHINFER").then_some(64)
    }

    fn device(&self) -> Device {
        let total_memory_bytes = self.hardware.total_memory.bytes;
        match self.hardware.device_type {
            DeviceType::Cuda => Device::Gpu {
                name: self.hardware.name.clone(),
                total_memory_bytes,
                compute_capability: self.hardware.compute_capability.clone(),
            },
            DeviceType::Cpu => Device::Cpu { total_memory_bytes },
        }
    }

    fn kv_cache_memory(&self, args: &EngineArgs) -> Result<KvCacheMemory, ProfileError> {
        let memory = &self.memory;
        let zero = |setting| ProfileError::Settings { setting, message: "0 must be at least 1".into() };
        let same_share =
            |reported: f64| args.gpu_memory_utilization.is_none_or(|share| share.to_bits() == reported.to_bits());
        if let Some(reported) = &memory.reported
            && args.kv_cache_memory_bytes.is_none()
            && same_share(reported.gpu_memory_utilization)
        {
            let block_size = NonZeroU32::new(reported.block_size).ok_or_else(|| zero("memory.reported.block_size"))?;
            return Ok(KvCacheMemory::Blocks {
                num_gpu_blocks: reported.num_gpu_blocks,
                block_size,
                gpu_memory_utilization: reported.gpu_memory_utilization,
            });
        }
        if let Some(limit_terms) = &memory.limit_terms {
            return Ok(KvCacheMemory::ByLimits {
                resident_bytes: memory.weights.bytes.saturating_add(memory.other_resident.bytes),
                terms: limit_terms.terms(),
                capture_ceiling: if self.has_cuda_graphs() { CaptureSizes::ceiling(&self.hardware) } else { 0 },
            });
        }
        let parts = [&memory.weights, &memory.other_resident, &memory.activation_peak, &memory.cuda_graphs];
        Ok(KvCacheMemory::Measured {
            non_kv_cache_bytes: parts.iter().fold(0, |sum: u64, part| sum.saturating_add(part.bytes)),
        })
    }
}

/// Modules of a model's chain for further tokens: each has one layer that keeps something. Modules of latent attention may
/// have an index beside it; no model has several of those.
fn num_mtp_layers(layers: &[KvCacheLayers]) -> u32 {
    let is_module = |run: &&KvCacheLayers| !matches!(run.kind, KvCacheLayerKind::Mla | KvCacheLayerKind::Mamba);
    layers.iter().filter(is_module).fold(0, |sum: u32, run| sum.saturating_add(run.num_layers)).max(1)
}

/// A drafter whose method is known, as that of a valid profile is.
fn drafter(drafter: &Drafter) -> Option<DrafterPlatform> {
    let method = SpeculativeMethod::from_name(&drafter.method)?;
    Some(DrafterPlatform {
        method,
        num_mtp_layers: if method == SpeculativeMethod::Mtp { num_mtp_layers(&drafter.kv_cache_layers) } else { 1 },
        layers: drafter.kv_cache_layers.iter().map(ModelLayers::from).collect(),
        memory_bytes: drafter.memory.bytes,
    })
}
