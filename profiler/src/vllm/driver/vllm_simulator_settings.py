"""The scheduler's settings, as an engine resolved them, in the words of the trace format.

Shared by the driver and by the recorder inside a server.
"""

from __future__ import annotations

from typing import Any


def scheduler_settings(config: Any) -> dict[str, Any]:
    """Of vLLM's `VllmConfig`. A setting that a version lacks has the value that changes nothing."""
    model, cache, scheduler = config.model_config, config.cache_config, config.scheduler_config
    return {
        "max_num_seqs": scheduler.max_num_seqs,
        "max_num_batched_tokens": scheduler.max_num_batched_tokens,
        "max_num_scheduled_tokens": scheduler.max_num_scheduled_tokens,
        "max_num_active_seqs": getattr(scheduler, "max_num_active_seqs", None),
        "block_size": cache.block_size,
        "num_gpu_blocks": cache.num_gpu_blocks,
        "max_model_len": model.max_model_len,
        "enable_prefix_caching": bool(cache.enable_prefix_caching),
        "enable_chunked_prefill": bool(scheduler.enable_chunked_prefill),
        "long_prefill_token_threshold": scheduler.long_prefill_token_threshold,
        "long_prefill_token_threshold_adaptive": bool(
            getattr(scheduler, "long_prefill_token_threshold_adaptive", False)
        ),
        "policy": scheduler.policy,
        "async_scheduling": bool(scheduler.async_scheduling),
        "watermark": getattr(scheduler, "watermark", 0.0),
        "scheduler_reserve_full_isl": bool(getattr(scheduler, "scheduler_reserve_full_isl", True)),
        "pipeline_parallel_size": config.parallel_config.pipeline_parallel_size,
    }
