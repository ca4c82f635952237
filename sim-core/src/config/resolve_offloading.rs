//! The tiers for KV blocks that a user's flags ask for: how many chunks host memory has, which tiers are behind it, or why
//! it is not simulated.
//!
//! Source: `vllm/config/vllm.py::_post_init_kv_transfer_config`, `vllm/v1/kv_offload/cpu/spec.py`.

use alloc::format;

use super::EngineArgs;
use super::kv_transfer_args::KvOffloadingBackend;
use super::platform::Platform;
use super::reasons::Resolved;
use super::refusals::ConfigError;
use crate::kv_cache::spec::{KvCacheConfig, LayerKind};
use crate::kv_offload::settings::{MAX_SECONDARY_TIERS, OffloadingSettings, SecondaryTierSettings};
use crate::math;

/// Most GiB of a tier.
const MAX_GIB: f64 = 1e6;
const MAX_BLOCKS_PER_CHUNK: u32 = 65_536;
const BYTES_PER_GIB: f64 = 1_073_741_824.0;

const SIZE: &str = "kv_offloading_size";
const CONFIG: &str = "kv_transfer_config";

impl EngineArgs {
    /// The tier, if there is to be one, beside the device's `kv_cache`.
    pub(super) fn kv_offloading(
        &self,
        platform: &Platform,
        kv_cache: &KvCacheConfig,
        has_drafter: bool,
    ) -> Result<Resolved<Option<OffloadingSettings>>, ConfigError> {
        let vllm_refuses = |field, why| Err(ConfigError::KvOffloading { field, why });
        let refuse = |field, why| Err(ConfigError::KvOffloadingNotSimulated { field, why });
        let given = self.kv_transfer_config.as_ref();
        let num_bytes = match self.kv_offloading_size {
            Some(gib) if gib > MAX_GIB => return refuse(SIZE, "at most 1000000 GiB are simulated"),
            Some(gib) if gib.is_nan() || gib <= 0.0 => return vllm_refuses(SIZE, "it must be above 0 GiB"),
            Some(_) if self.kv_offloading_backend == Some(KvOffloadingBackend::Lmcache) => {
                return refuse("kv_offloading_backend", "an LMCache server is not simulated; native is");
            }
            Some(gib) => math::f64_to_u64(gib * BYTES_PER_GIB),
            None => match given {
                None => return Ok(Resolved::default(None, "blocks that make room are gone")),
                Some(given) if !given.has_connector => return refuse(CONFIG, "it needs kv_connector"),
                Some(given) => match given.cpu_bytes_to_use {
                    Some(num_bytes) => num_bytes,
                    None => return vllm_refuses(CONFIG, "cpu_bytes_to_use must be in kv_connector_extra_config"),
                },
            },
        };
        let field = if self.kv_offloading_size.is_some() { SIZE } else { CONFIG };
        if has_drafter {
            return refuse(field, "host memory for KV blocks is simulated without speculative decoding");
        }
        let [group] = kv_cache.groups.as_slice() else {
            return refuse(field, "host memory for KV blocks is simulated for models with one kind of layers");
        };
        let is_mla = group.spec.kind == LayerKind::Mla;
        if !is_mla && !matches!(group.spec.kind, LayerKind::FullAttention { .. }) {
            return refuse(field, "host memory for KV blocks is simulated for models of full attention");
        }
        if platform.device.is_cpu() {
            return vllm_refuses(field, "vLLM offloads from GPUs; this profile's device is a CPU");
        }
        if platform.pipeline_parallel_size > 1 {
            return refuse(field, "host memory for KV blocks is simulated for engines of one pipeline stage");
        }
        let blocks_per_chunk = self.blocks_per_chunk(group.spec.block_size)?;
        // Ranks whose parts are all the same keep one of them.
        let num_copies = if is_mla { 1 } else { platform.tensor_parallel_size };
        let block_bytes = kv_cache.bytes_per_block().saturating_mul(u64::from(num_copies));
        let chunk_bytes = OffloadingSettings::chunk_bytes_of(block_bytes, blocks_per_chunk);
        let num_chunks = OffloadingSettings::num_chunks_of(num_bytes, chunk_bytes);
        let settings = OffloadingSettings {
            num_chunks,
            blocks_per_chunk,
            eviction_policy: given.and_then(|given| given.eviction_policy).unwrap_or_default(),
            offload_prompt_only: given.and_then(|given| given.offload_prompt_only).unwrap_or(true),
            chunk_bytes,
            secondary_tiers: self.secondary_tiers(num_chunks)?,
        };
        let why = format!("{field}: {num_bytes} bytes, chunks of {blocks_per_chunk} blocks of {block_bytes} bytes");
        Ok(Resolved::overridden(Some(settings), why))
    }

    /// The tiers behind one of `num_chunks` chunks.
    fn secondary_tiers(
        &self,
        num_chunks: u32,
    ) -> Result<[Option<SecondaryTierSettings>; MAX_SECONDARY_TIERS], ConfigError> {
        let mut settings = [None; MAX_SECONDARY_TIERS];
        let Some(given) = self.kv_transfer_config.as_ref() else { return Ok(settings) };
        if !given.is_tiering {
            if given.secondary_tiers.is_empty() {
                return Ok(settings);
            }
            // vLLM does not look at them then.
            let why = "its secondary_tiers need \"spec_name\": \"TieringOffloadingSpec\" beside them";
            return Err(ConfigError::KvOffloadingNotSimulated { field: CONFIG, why });
        }
        if num_chunks == 0 {
            let why = "cpu_bytes_to_use hold no chunk; with TieringOffloadingSpec vLLM does not start then";
            return Err(ConfigError::KvOffloading { field: CONFIG, why });
        }
        for (place, tier) in settings.iter_mut().zip(&given.secondary_tiers) {
            *place = Some(tier.settings);
        }
        Ok(settings)
    }

    /// `offloading/config.py::build_offloading_config`.
    fn blocks_per_chunk(&self, block_size: u32) -> Result<u32, ConfigError> {
        let vllm_refuses = |why| Err(ConfigError::KvOffloading { field: CONFIG, why });
        let given = self.kv_transfer_config.as_ref();
        match given.map(|given| (given.block_size, given.blocks_per_chunk)) {
            None | Some((None, None)) => Ok(1),
            Some((Some(_), Some(_))) => vllm_refuses("give one of block_size and blocks_per_chunk"),
            Some((Some(tokens), None)) if tokens.is_multiple_of(block_size) => {
                Ok((tokens / block_size).min(MAX_BLOCKS_PER_CHUNK))
            }
            Some((Some(_), None)) => {
                vllm_refuses("its block_size must be a multiple of the GPU's; or give blocks_per_chunk")
            }
            Some((None, Some(blocks))) if blocks <= MAX_BLOCKS_PER_CHUNK => Ok(blocks),
            Some((None, Some(_))) => Err(ConfigError::KvOffloadingNotSimulated {
                field: CONFIG,
                why: "blocks_per_chunk is more than 65536, the most that is simulated",
            }),
        }
    }
}
