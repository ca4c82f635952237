//! What a profile says about the machine, in the terms in which vLLM resolves its arguments.

use core::num::{NonZeroU32, NonZeroU64};

use super::error::ProfileError;
use super::schema::{DeviceType, Profile};
use crate::config::{Device, EngineArgs, KvCacheMemory, Platform, UsageContext};

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
            kv_cache: self.kv_cache_memory(args)?,
        })
    }

    /// Whether the passes were measured with CUDA graphs, which vLLM has on GPUs unless `enforce_eager` is set.
    #[must_use]
    pub fn has_cuda_graphs(&self) -> bool {
        self.hardware.device_type == DeviceType::Cuda && !self.engine.enforce_eager
    }

    fn device(&self) -> Device {
        let total_memory_bytes = self.hardware.total_memory.bytes;
        match self.hardware.device_type {
            DeviceType::Cuda => Device::Gpu { name: self.hardware.name.clone(), total_memory_bytes },
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
        let parts = [&memory.weights, &memory.other_resident, &memory.activation_peak, &memory.cuda_graphs];
        Ok(KvCacheMemory::Measured {
            non_kv_cache_bytes: parts.iter().fold(0, |sum: u64, part| sum.saturating_add(part.bytes)),
            bytes_per_token: NonZeroU64::new(memory.kv_cache_per_token.bytes)
                .ok_or_else(|| zero("memory.kv_cache_per_token.bytes"))?,
        })
    }
}
