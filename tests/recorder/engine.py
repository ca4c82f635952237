"""A real vLLM EngineCore on an executor that computes nothing.

Scheduler, KV-cache manager, block pool, step loop, start-up checks and request preprocessing are vLLM's own.
Only the executor is replaced: it answers every pass with the tokens the workload prescribes.
"""

from __future__ import annotations

import os
import sys
from concurrent.futures import Future
from pathlib import Path
from typing import Any

VLLM_VERSION = "0.32.0"
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
    import torch
    import vllm
    from vllm.config import VllmConfig
    from vllm.engine.arg_utils import EngineArgs
    from vllm.usage.usage_lib import UsageContext
    from vllm.v1.engine.core import EngineCore
    from vllm.v1.executor.abstract import Executor
    from vllm.v1.kv_cache_interface import FullAttentionSpec
    from vllm.v1.outputs import EMPTY_MODEL_RUNNER_OUTPUT, ModelRunnerOutput
except ImportError as error:
    sys.exit(f"vLLM does not load ({error}); run scripts/install-vllm.sh, then use {PYTHON_IN_PROJECT}")
if vllm.__version__.split("+")[0] != VLLM_VERSION:
    sys.exit(f"vLLM {vllm.__version__} found, {VLLM_VERSION} needed; run scripts/install-vllm.sh")


class ScriptedExecutor(Executor):
    """Answers passes from the workload's script instead of running a model.

    Like a model runner it knows a request only by what scheduler outputs told it, and samples for a request exactly
    when the pass reaches the last token known to the scheduler (counting tokens still being sampled).
    """

    def _init_executor(self) -> None:
        self.output_token_id: dict[str, Any] = {}
        self._num_prompt_tokens: dict[str, int] = {}
        self._sampled: ModelRunnerOutput | None = None

    # Everything asked of workers at start-up. One full-attention layer; the block count is overridden anyway.
    def collective_rpc(self, method: Any, timeout=None, args=(), kwargs=None, non_block=False) -> list[Any]:
        answers: dict[Any, Any] = {
            "get_kv_cache_spec": {
                "layer": FullAttentionSpec(
                    block_size=self.cache_config.block_size, num_kv_heads=1, head_size=64, dtype=torch.bfloat16
                )
            },
            "determine_available_memory": 1 << 34,
            "get_supported_kv_cache_layouts": ["LBNHC"],
            "get_supported_tasks": ("generate",),
        }
        return [answers.get(method)]

    def compile_or_warm_up_model(self) -> None:
        pass

    def check_health(self) -> None:
        pass

    def shutdown(self) -> None:
        pass

    @classmethod
    def supports_async_scheduling(cls) -> bool:
        return True

    def execute_model(self, scheduler_output: Any, non_block: bool = False) -> Any:
        if scheduler_output.total_num_scheduled_tokens == 0:
            return _answer(EMPTY_MODEL_RUNNER_OUTPUT, non_block)
        self._sampled = self._run(scheduler_output)
        return _answer(None, non_block)

    def sample_tokens(self, grammar_output: Any, non_block: bool = False) -> Any:
        sampled, self._sampled = self._sampled, None
        return _answer(sampled, non_block)

    def _run(self, scheduler_output: Any) -> ModelRunnerOutput:
        bounds = self._computed_and_known_tokens(scheduler_output)
        request_ids = list(scheduler_output.num_scheduled_tokens)
        sampled: list[list[int]] = []
        for request_id, num_tokens in scheduler_output.num_scheduled_tokens.items():
            num_computed, num_known = bounds[request_id]
            end = num_computed + num_tokens
            position = end - self._num_prompt_tokens[request_id]
            sampled.append([self.output_token_id[request_id](position)] if end >= num_known else [])
        return ModelRunnerOutput(
            req_ids=request_ids,
            req_id_to_index={request_id: row for row, request_id in enumerate(request_ids)},
            sampled_token_ids=sampled,
        )

    def _computed_and_known_tokens(self, scheduler_output: Any) -> dict[str, tuple[int, int]]:
        bounds: dict[str, tuple[int, int]] = {}
        for new in scheduler_output.scheduled_new_reqs:
            self._num_prompt_tokens[new.req_id] = len(new.prompt_token_ids)
            # The V2 model runner is sent resumed requests as new ones, with all their tokens here.
            known = new.prompt_token_ids if new.prefill_token_ids is None else new.prefill_token_ids
            bounds[new.req_id] = (new.num_computed_tokens, len(known))
        cached = scheduler_output.scheduled_cached_reqs
        for request_id, num_computed, num_output in zip(
            cached.req_ids, cached.num_computed_tokens, cached.num_output_tokens, strict=True
        ):
            bounds[request_id] = (num_computed, self._num_prompt_tokens[request_id] + num_output)
        return bounds


def _answer(value: Any, non_block: bool) -> Any:
    if not non_block:
        return value
    future: Future = Future()
    future.set_result(value)
    return future


def make_engine_core(engine: dict[str, Any]) -> EngineCore:
    """Starts an engine with the settings of `Workload.engine`."""
    return EngineCore(_vllm_config(engine), ScriptedExecutor, log_stats=False)


def _vllm_config(engine: dict[str, Any]) -> VllmConfig:
    same_name = dict(engine)
    policy = same_name.pop("policy")
    num_gpu_blocks = same_name.pop("num_gpu_blocks")
    async_scheduling = same_name.pop("async_scheduling")
    pipeline_parallel_size = same_name.pop("pipeline_parallel_size")
    arguments = EngineArgs(
        model=str(MODEL_DIR),
        load_format="dummy",
        skip_tokenizer_init=True,
        enforce_eager=True,
        scheduling_policy=policy,
        num_gpu_blocks_override=num_gpu_blocks,
        **same_name,
    )
    config = arguments.create_engine_config(usage_context=UsageContext.LLM_CLASS)
    # The CPU platform refuses both of these for reasons that lie in its workers, and there are no workers here.
    config.scheduler_config.async_scheduling = async_scheduling
    config.parallel_config.pipeline_parallel_size = pipeline_parallel_size
    # Asynchronous pipeline stages exist only with the V2 model runner, which is also the default on GPUs. It changes
    # how scheduler outputs are written down; the CPU platform would not choose it.
    VllmConfig.use_v2_model_runner = property(lambda self: self.scheduler_config.async_scheduling)
    return config
