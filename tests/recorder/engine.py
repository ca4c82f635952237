"""A real vLLM EngineCore on an executor that computes nothing.

Scheduler, KV-cache planning and managers, block pool, step loop, start-up checks and request preprocessing are vLLM's
own. Only the executor is replaced (`scripted_executor.py`): it names the layers that the workload gives and answers
every pass with the tokens that it prescribes.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any
from unittest.mock import patch

# Known to behave as recorded. Whoever follows another release sets ANY_VLLM, and compares.
VLLM_VERSIONS = ("0.32.0", "0.33.0")
ANY_VLLM = "RECORDER_ANY_VLLM"
MODEL_DIR = Path(__file__).parent / "model"
PYTHON_IN_PROJECT = Path(__file__).parents[2] / ".venv-vllm" / "bin" / "python"


def _prepare_environment() -> None:
    """Must run before vLLM is imported: it reads the environment while loading."""
    for name in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE"):
        os.environ.pop(name, None)
    os.environ |= {
        "VLLM_CPU_KVCACHE_SPACE": "1",
        "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
        "HF_HUB_OFFLINE": "1",
        "VLLM_NO_USAGE_STATS": "1",
        "VLLM_LOGGING_LEVEL": "ERROR",
    }


_prepare_environment()

try:
    import vllm
    import vllm.config.vllm as config_module
    from vllm.config import KVTransferConfig, VllmConfig
    from vllm.engine.arg_utils import EngineArgs
    from vllm.usage.usage_lib import UsageContext
    from vllm.v1.engine.core import EngineCore

    from drafters import speculative_arguments
    from kv_events import events_config
    from layers import has_mamba, layer_specs, mamba_settings
    from scripted_executor import ScriptedExecutor
except ImportError as error:
    sys.exit(f"vLLM does not load ({error}); run scripts/install-vllm.sh, then use {PYTHON_IN_PROJECT}")
from workload import Workload, WorkloadError

VLLM_VERSION = vllm.__version__.split("+")[0]
if VLLM_VERSION not in VLLM_VERSIONS and ANY_VLLM not in os.environ:
    known = " and ".join(VLLM_VERSIONS)
    sys.exit(f"vLLM {VLLM_VERSION} found; recorded are {known}. scripts/follow-vllm.sh compares another release")


class StartRefused(RuntimeError):
    """vLLM does not start with what the workload sets."""


def make_engine_core(workload: Workload, with_events: bool = False) -> EngineCore:
    """Starts an engine for a workload; `with_events` it tells of its KV cache."""

    base = ScriptedExecutor
    if workload.has_offloading:
        from offloading_executor import OffloadingExecutor

        base = OffloadingExecutor
    elif workload.has_connector:
        from connector_executor import ConnectorExecutor

        base = ConnectorExecutor

    class WorkloadExecutor(base):
        requests = {request.request_id: request for request in workload.requests}
        kv_cache_spec = layer_specs(workload)
        transfer_passes = workload.document.get("transfer_passes", {})
        proposes_as_scheduled = bool((workload.speculative or {}).get("proposes_as_scheduled"))

    try:
        return EngineCore(_vllm_config(workload, with_events), WorkloadExecutor, log_stats=False)
    except (ValueError, NotImplementedError, AssertionError) as error:
        raise StartRefused(f"{type(error).__name__}: {_first_line(error)}") from error


def resolved_settings(core: EngineCore, workload: Workload) -> dict[str, Any]:
    """Every engine setting as the running engine has it: vLLM lowers some for a drafter."""
    settings = workload.engine
    settings["max_num_active_seqs"] = core.vllm_config.scheduler_config.max_num_active_seqs
    settings["max_model_len"] = core.vllm_config.model_config.max_model_len
    return settings


def _vllm_config(workload: Workload, with_events: bool) -> VllmConfig:
    same_name = workload.engine
    policy = same_name.pop("policy")
    num_gpu_blocks = same_name.pop("num_gpu_blocks")
    async_scheduling = same_name.pop("async_scheduling")
    pipeline_parallel_size = same_name.pop("pipeline_parallel_size")
    v2_runner = _uses_v2_runner(workload)
    # The CPU platform would not choose the V2 model runner, which is the default on GPUs. It changes how scheduler
    # outputs are written down, and asynchronous pipeline stages and some drafters exist only with it.
    VllmConfig.use_v2_model_runner = property(lambda self: workload.speculative is not None and v2_runner)
    arguments = EngineArgs(
        model=str(MODEL_DIR),
        load_format="dummy",
        skip_tokenizer_init=True,
        enforce_eager=True,
        scheduling_policy=policy,
        num_gpu_blocks_override=num_gpu_blocks,
        speculative_config=speculative_arguments(workload),
        kv_transfer_config=_connector_config(workload),
        kv_events_config=events_config() if with_events else None,
        **_cache_arguments(workload),
        **same_name,
    )
    # Triton compiles the V2 runner's kernels, and no kernel runs here.
    with patch.object(config_module, "HAS_TRITON", True):
        config = arguments.create_engine_config(usage_context=UsageContext.LLM_CLASS)
    # The CPU platform refuses both of these for reasons that lie in its workers, and there are no workers here.
    config.scheduler_config.async_scheduling = async_scheduling
    config.parallel_config.pipeline_parallel_size = pipeline_parallel_size
    VllmConfig.use_v2_model_runner = property(lambda self: v2_runner)
    if has_mamba(workload):
        # What vLLM settles from the model's own configuration, and there is no such model.
        mode, block_size = mamba_settings(workload)
        config.cache_config.mamba_cache_mode = mode
        config.cache_config.mamba_block_size = block_size
    return config


def _connector_config(workload: Workload) -> KVTransferConfig | None:
    if not workload.has_connector:
        return None
    if workload.has_offloading:
        return KVTransferConfig(**workload.document["kv"])
    from connector_recorder import connector_settings

    settings = connector_settings(workload)
    module = "scripted_connector"
    return KVTransferConfig(kv_connector="ScriptedConnector", kv_connector_module_path=module, **settings)


def _uses_v2_runner(workload: Workload) -> bool:
    """Without a drafter it goes with asynchronous scheduling; with one the workload says it, as rules depend on it."""
    settings = workload.engine
    if workload.speculative is None:
        return settings["async_scheduling"]
    v2_runner = workload.speculative.get("v2_runner", False)
    if settings["pipeline_parallel_size"] > 1 and not (v2_runner and settings["async_scheduling"]):
        raise WorkloadError("speculative: pipeline stages need async_scheduling and v2_runner")
    return v2_runner


def _cache_arguments(workload: Workload) -> dict[str, Any]:
    """What the workload says of the KV cache beside the layers, under vLLM's names."""
    names = {
        "disable_hybrid": "disable_hybrid_kv_cache_manager",
        "retention": "prefix_cache_retention_interval",
        "prefix_match_unit": "prefix_match_unit",
        "shared_prefix_checkpoint": "enable_mamba_shared_prefix_checkpoint",
    }
    return {vllm_name: workload.document[name] for name, vllm_name in names.items() if name in workload.document}


def _first_line(error: Exception) -> str:
    """A validation error of several lines has its reason in the second."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[1] if len(lines) > 1 and "validation error" in lines[0] else (lines or [""])[0]
