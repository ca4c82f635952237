"""What a started engine is and what it runs on."""

from __future__ import annotations

import os
import platform
import sys
from typing import Any

from refusal import Refused
from vllm_simulator_model import NotSimulated, described_model
from vllm_simulator_settings import scheduler_settings


def facts(core: Any) -> dict[str, Any]:
    """What the engine resolved, with vLLM's names, and what it runs on."""
    import torch
    import vllm
    from vllm.platforms import current_platform

    config = core.vllm_config
    model, cache, scheduler = config.model_config, config.cache_config, config.scheduler_config
    text = model.hf_text_config
    parallel, compilation = config.parallel_config, config.compilation_config
    is_cpu = current_platform.is_cpu()
    capability = None if is_cpu else current_platform.get_device_capability()
    return {
        "model": {
            "name": model.served_model_name or model.model,
            "num_hidden_layers": text.num_hidden_layers,
            "hidden_size": text.hidden_size,
            "intermediate_size": text.intermediate_size,
            "num_attention_heads": text.num_attention_heads,
            "num_key_value_heads": getattr(text, "num_key_value_heads", text.num_attention_heads),
            "head_dim": model.get_head_size(),
            "vocab_size": text.vocab_size,
            "dtype": name_of_dtype(getattr(text, "dtype", None) or model.dtype),
            "max_position_embeddings": text.max_position_embeddings,
        },
        "engine": {
            "vllm_version": vllm.__version__,
            "dtype": name_of_dtype(model.dtype),
            "quantization": model.quantization,
            "kv_cache_dtype": str(cache.cache_dtype),
            "attention_backend": attention_backend(core),
            "tensor_parallel_size": parallel.tensor_parallel_size,
            "pipeline_parallel_size": parallel.pipeline_parallel_size,
            "block_size": cache.block_size,
            "enforce_eager": bool(model.enforce_eager),
            "max_model_len": model.max_model_len,
            "gpu_memory_utilization": cache.gpu_memory_utilization,
            "max_num_seqs": scheduler.max_num_seqs,
            "max_num_batched_tokens": scheduler.max_num_batched_tokens,
        },
        "scheduler": scheduler_settings(config),
        "capture_sizes": [] if is_cpu or model.enforce_eager else list(compilation.cudagraph_capture_sizes or []),
        "hardware": {
            "device_type": current_platform.device_type,
            "name": processor_name() if is_cpu else current_platform.get_device_name(),
            "num_devices": parallel.tensor_parallel_size * parallel.pipeline_parallel_size,
            "total_memory_bytes": current_platform.get_device_total_memory(),
            "compute_capability": f"{capability.major}.{capability.minor}" if capability else None,
        },
        "weight_bytes": weight_bytes(core),
        "planning": planning(core),
        "host": f"{processor_name()}, threads: {torch.get_num_threads()}, {platform.system()} {platform.release()}",
        "versions": [
            ["vllm", vllm.__version__],
            ["torch", torch.__version__],
            ["python", platform.python_version()],
        ],
    }


def name_of_dtype(dtype: Any) -> str:
    return str(dtype).removeprefix("torch.")


def weight_bytes(core: Any) -> int:
    """Bytes of the parameters on the first rank; 0 where no worker tells."""
    try:
        return core.model_executor.collective_rpc(count_weight_bytes)[0]
    except Exception as error:  # noqa: BLE001: a profile without this figure is still one
        print(f"the weights' size is not known: {error}", file=sys.stderr)
        return 0


def count_weight_bytes(worker: Any) -> int:
    """In the worker's process, which may be another."""
    worker = getattr(worker, "worker", worker)
    return sum(weight.numel() * weight.element_size() for weight in worker.model_runner.model.parameters())


def planning(core: Any) -> dict[str, Any]:
    """What the layers keep, as the workers say, who drafts, and what vLLM made of it."""
    specs: dict[str, Any] = {}
    # Stages of a pipeline have different layers, ranks of one stage the same.
    for of_rank in core.model_executor.get_kv_cache_specs():
        specs |= of_rank
    try:
        return described_model(core.vllm_config, specs, core.scheduler)
    except NotSimulated as error:
        raise Refused("not_simulated", str(error)) from error
    except AttributeError as error:
        message = f"this vLLM does not describe its KV cache as others do: {error}"
        raise Refused("unsupported_version", message) from error


def attention_backend(core: Any) -> str | None:
    """The backend of the first attention layer."""
    layers = core.vllm_config.compilation_config.static_forward_context.values()
    return next((layer.attn_backend.get_name() for layer in layers if hasattr(layer, "attn_backend")), None)


def processor_name() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            for line in file:
                if line.startswith("model name"):
                    return f"{line.split(':', 1)[1].strip()} ({os.cpu_count()} cores)"
    except OSError:
        pass
    return platform.processor() or platform.machine()
