"""Runs a real vLLM engine for `profiler`, in this process, and reports every pass.

Started by the profiler with the user's Python. One JSON object a line: commands on stdin, answers on the descriptor
that was stdout; what vLLM prints goes to stderr.

  -> {"start": {"flags": [...]}}             <- {"started": {facts}}
  -> {"run": {"requests": [...], ...}}       <- {"ran": {"passes": [...], "outputs": [...]}}
  (end of input ends the process)            <- {"failed": {"kind": ..., "message": ...}} instead of an answer

The engine is vLLM's own `EngineCore`; its scheduler is only watched. What is needed of it is looked up before it is
used, so that a vLLM that lacks it is refused by name instead of failing somewhere.
"""

from __future__ import annotations

import ctypes
import gc
import json
import os
import platform
import signal
import sys
import time
import traceback
from typing import Any

ENVIRONMENT = {
    # The engine in this process, where its scheduler can be watched.
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
    "VLLM_NO_USAGE_STATS": "1",
    "VLLM_DO_NOT_TRACK": "1",
    "HF_HUB_OFFLINE": "1",
}
# A pass of a script of a few thousand requests; far beyond it an engine makes no progress.
MAX_PASSES = 1_000_000


class Refused(Exception):
    """Something the user can change; `kind` is a word of the protocol."""

    def __init__(self, kind: str, message: str):
        super().__init__(message)
        self.kind = kind


def look_up(owner: Any, *path: str) -> Any:
    """An attribute of vLLM's, or a refusal that names it."""
    found = owner
    for name in path:
        if not hasattr(found, name):
            raise Refused("unsupported_version", f"this vLLM has no {type(owner).__name__}.{'.'.join(path)}")
        found = getattr(found, name)
    return found


def start(flags: list[str]) -> Any:
    """An engine core with the flags of `vllm serve`."""
    try:
        from vllm.engine.arg_utils import EngineArgs
        from vllm.usage.usage_lib import UsageContext
        from vllm.utils.argparse_utils import FlexibleArgumentParser
        from vllm.v1.engine.core import EngineCore
        from vllm.v1.executor.abstract import Executor
    except ImportError as error:
        raise Refused("unsupported_version", f"this vLLM does not have what is driven: {error}") from error
    parser = EngineArgs.add_cli_args(FlexibleArgumentParser(exit_on_error=False))
    try:
        arguments = EngineArgs.from_cli_args(parser.parse_args(flags))
    except SystemExit as error:
        raise Refused("engine_start", "vLLM does not take these flags") from error
    # Prompts are token ids, so no tokenizer is needed; defaults are those of `vllm serve`.
    arguments.skip_tokenizer_init = True
    config = arguments.create_engine_config(usage_context=UsageContext.OPENAI_API_SERVER)
    core = EngineCore(config, Executor.get_class(config), log_stats=False)
    for path in (
        ("step_fn",),
        ("post_step",),
        ("preprocess_add_request",),
        ("scheduler", "schedule"),
        ("scheduler", "update_from_output"),
        ("scheduler", "_preempt_request"),
        ("scheduler", "get_request_counts"),
        ("scheduler", "reset_prefix_cache"),
        ("scheduler", "kv_cache_manager", "block_pool", "get_num_free_blocks"),
    ):
        look_up(core, *path)
    groups = look_up(core.scheduler, "kv_cache_config", "kv_cache_groups")
    kinds = [type(group.kv_cache_spec).__name__ for group in groups]
    if kinds != ["FullAttentionSpec"]:
        raise Refused(
            "not_simulated",
            f"the model's KV cache is {' and '.join(kinds) or 'none'}; full attention in every layer is simulated",
        )
    return core


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
        "scheduler": {
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
            "pipeline_parallel_size": parallel.pipeline_parallel_size,
        },
        "capture_sizes": [] if is_cpu or model.enforce_eager else list(compilation.cudagraph_capture_sizes or []),
        "hardware": {
            "device_type": current_platform.device_type,
            "name": processor_name() if is_cpu else current_platform.get_device_name(),
            "num_devices": parallel.tensor_parallel_size * parallel.pipeline_parallel_size,
            "total_memory_bytes": current_platform.get_device_total_memory(),
            "compute_capability": f"{capability.major}.{capability.minor}" if capability else None,
        },
        "weight_bytes": weight_bytes(core),
        "kv_cache_bytes_per_block": kv_bytes_per_block(core),
        "host": f"{processor_name()}, {torch.get_num_threads()} threads, {platform.system()} {platform.release()}",
        "versions": [
            ["vllm", vllm.__version__],
            ["torch", torch.__version__],
            ["python", platform.python_version()],
        ],
    }


def name_of_dtype(dtype: Any) -> str:
    return str(dtype).removeprefix("torch.")


def weight_bytes(core: Any) -> int:
    """Bytes of the parameters on the first rank; 0 where they are in another process."""
    worker = getattr(getattr(core.model_executor, "driver_worker", None), "worker", None)
    model = getattr(getattr(worker, "model_runner", None), "model", None)
    return sum(weight.numel() * weight.element_size() for weight in model.parameters()) if model is not None else 0


def kv_bytes_per_block(core: Any) -> int:
    """Bytes of one block in all layers of a rank."""
    groups = look_up(core.scheduler, "kv_cache_config", "kv_cache_groups")
    return sum(group.kv_cache_spec.page_size_bytes * len(group.layer_names) for group in groups)


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


class Watch:
    """Instants and results of every call of an engine's step function; little is done while the clock runs."""

    def __init__(self, core: Any):
        self.core = core
        scheduler = self.scheduler = core.scheduler
        self.pool = scheduler.kv_cache_manager.block_pool
        self.index_of: dict[str, int] = {}
        self.row: dict[str, Any] = {}
        self.preempted: list[str] = []
        schedule, update, preempt = scheduler.schedule, scheduler.update_from_output, scheduler._preempt_request
        now = time.perf_counter_ns

        def watched_preempt(request: Any, *args: Any, **kwargs: Any) -> None:
            self.preempted.append(request.request_id)
            preempt(request, *args, **kwargs)

        def watched_schedule(*args: Any, **kwargs: Any) -> Any:
            self.preempted = []
            output = schedule(*args, **kwargs)
            row = self.row
            row["scheduled"] = now()
            row["output"] = output
            row["preempted"] = self.preempted
            row["resumed"] = [
                scheduler.requests[new.req_id].num_preemptions > 0 for new in output.scheduled_new_reqs
            ]
            row["free"] = self.pool.get_num_free_blocks()
            row["counts"] = scheduler.get_request_counts()
            return output

        def watched_update(output: Any, *args: Any, **kwargs: Any) -> Any:
            self.row["executed"] = now()
            self.row["done"] = output
            outputs = update(output, *args, **kwargs)
            self.row["updated"] = now()
            return outputs

        scheduler.schedule = watched_schedule
        scheduler.update_from_output = watched_update
        scheduler._preempt_request = watched_preempt


class Script:
    """The requests of one `run` command, made ready before the clock starts."""

    def __init__(self, core: Any, command: dict[str, Any]):
        from vllm.sampling_params import SamplingParams
        from vllm.v1.engine import EngineCoreRequest

        self.requests = []
        for index, request in enumerate(command["requests"]):
            params = SamplingParams(
                max_tokens=request["max_tokens"], temperature=0.0, ignore_eos=True, detokenize=False
            )
            made = EngineCoreRequest(
                request_id=f"r{index:08}",
                prompt_token_ids=request["prompt_token_ids"],
                mm_features=None,
                sampling_params=params,
                pooling_params=None,
                arrival_time=float(index),
                lora_request=None,
                cache_salt=request.get("cache_salt"),
                data_parallel_rank=None,
                priority=request.get("priority", 0),
            )
            # Hashes the prompt's blocks, as the input thread of a server does beside the engine's loop.
            self.requests.append(core.preprocess_add_request(made))
        self.queries_per_iter: list[int] | None = command.get("queries_per_iter")
        self.send_times_ns: list[int] | None = command.get("send_times_ns")
        self.aborts: dict[int, list[str]] = {}
        for iteration, index in command.get("aborts", ()):
            self.aborts.setdefault(iteration, []).append(f"r{index:08}")

    def joining(self, iteration: int, num_joined: int, now_ns: int) -> int | None:
        """How many requests join now; `None` once all have."""
        if self.queries_per_iter is not None:
            return self.queries_per_iter[iteration] if iteration < len(self.queries_per_iter) else None
        times = self.send_times_ns or []
        if num_joined == len(times):
            return None
        count = 0
        while num_joined + count < len(times) and times[num_joined + count] <= now_ns:
            count += 1
        return count


def run(watch: Watch, command: dict[str, Any]) -> dict[str, Any]:
    """Runs a script from an idle engine with an empty cache to its end."""
    core = watch.core
    if not core.scheduler.reset_prefix_cache():
        raise Refused("engine", "the engine did not empty its prefix cache although it is idle")
    script = Script(core, command)
    watch.index_of = {request.request_id: index for index, (request, _) in enumerate(script.requests)}
    rows: list[dict[str, Any]] = []
    num_joined = 0
    gc.collect()
    now = time.perf_counter_ns
    origin = now()
    while True:
        begin = now()
        row = watch.row = {"begin": begin, "added": (num_joined, num_joined), "aborted": script.aborts.get(len(rows))}
        for request_id in row["aborted"] or ():
            core.abort_requests([request_id])
        joining = script.joining(len(rows), num_joined, begin - origin)
        for request in script.requests[num_joined : num_joined + (joining or 0)]:
            core.add_request(*request)
        num_joined += joining or 0
        row["added"] = (row["added"][0], num_joined)
        if not (core.scheduler.has_requests() or core.batch_queue):
            if joining is None:
                break
            if script.send_times_ns is not None:
                time.sleep(0.0002)
                continue
        row["called"] = now()
        outputs, model_executed = core.step_fn()
        core.post_step(model_executed)
        row["end"] = now()
        row["outputs"] = outputs
        row["free_end"] = watch.pool.get_num_free_blocks()
        rows.append(row)
        if len(rows) > MAX_PASSES:
            raise Refused("engine", f"still unfinished after {MAX_PASSES} passes")
    return describe(watch, script, rows, origin)


def describe(watch: Watch, script: Script, rows: list[dict[str, Any]], origin: int) -> dict[str, Any]:
    """The rows as the trace format has them, with instants since the script began."""
    outputs: list[list[int]] = [[] for _ in script.requests]
    issued_in: dict[int, int] = {}
    passes = []
    for number, row in enumerate(rows):
        entry: dict[str, Any] = {"i": number}
        first, end = row["added"]
        if end > first:
            entry["add"] = list(range(first, end))
        if row["aborted"]:
            entry["abort"] = [watch.index_of[request_id] for request_id in row["aborted"]]
        if "output" in row:
            issued_in[id(row["output"])] = number
            describe_schedule(watch, row, entry)
        if "done" in row:
            entry["done"] = issued_in[id(row["done"])]
        describe_outputs(watch, row, entry, outputs)
        entry["free_end"] = row["free_end"]
        called = row["called"]
        scheduled = row.get("scheduled", called)
        executed = row.get("executed", scheduled)
        instants = [row["begin"], called, scheduled, executed, row.get("updated", executed), row["end"]]
        passes.append({"entry": entry, "ns": [instant - origin for instant in instants]})
    return {"passes": passes, "outputs": outputs}


def describe_schedule(watch: Watch, row: dict[str, Any], entry: dict[str, Any]) -> None:
    index_of, output = watch.index_of, row["output"]
    computed: dict[str, int] = {}
    admitted: dict[str, list[list[int]]] = {"new": [], "res": []}
    # Which list a resumed request comes in depends on the model runner; having been preempted does not.
    for new, is_resumed in zip(output.scheduled_new_reqs, row["resumed"], strict=True):
        computed[new.req_id] = new.num_computed_tokens
        admitted["res" if is_resumed else "new"].append([index_of[new.req_id], new.num_computed_tokens])
    cached = output.scheduled_cached_reqs
    for request_id, num_computed in zip(cached.req_ids, cached.num_computed_tokens, strict=True):
        computed[request_id] = num_computed
        if request_id in cached.resumed_req_ids:
            admitted["res"].append([index_of[request_id], num_computed])
    entry["s"] = [
        [index_of[request_id], num_tokens, computed[request_id]]
        for request_id, num_tokens in output.num_scheduled_tokens.items()
    ]
    entry |= {key: admissions for key, admissions in admitted.items() if admissions}
    if row["preempted"]:
        entry["pre"] = [index_of[request_id] for request_id in row["preempted"]]
    entry["free"] = row["free"]
    entry["run"], entry["wait"] = row["counts"]


def describe_outputs(watch: Watch, row: dict[str, Any], entry: dict[str, Any], outputs: list[list[int]]) -> None:
    num_tokens, finished = 0, []
    for client_outputs in (row["outputs"] or {}).values():
        for output in client_outputs.outputs:
            index = watch.index_of[output.request_id]
            num_tokens += len(output.new_token_ids)
            outputs[index] += output.new_token_ids
            if output.finish_reason is not None:
                finished.append([index, str(output.finish_reason), len(outputs[index])])
    if num_tokens:
        entry["ntok"] = num_tokens
    if finished:
        entry["fin"] = finished


def serve(answers: Any) -> None:
    watch: Watch | None = None
    for line in sys.stdin:
        command = json.loads(line)
        try:
            if "start" in command:
                watch = Watch(start(command["start"]["flags"]))
                answer = {"started": facts(watch.core)}
            elif watch is None:
                raise Refused("protocol", "no engine was started")
            else:
                answer = {"ran": run(watch, command["run"])}
        except Refused as error:
            answer = {"failed": {"kind": error.kind, "message": str(error)}}
        except MemoryError:
            answer = {"failed": {"kind": "out_of_memory", "message": "the process is out of memory"}}
        except Exception as error:  # noqa: BLE001: whatever vLLM raises is told to the profiler
            traceback.print_exc()
            is_memory = "out of memory" in str(error).lower() or "OutOfMemory" in type(error).__name__
            kind = "out_of_memory" if is_memory else "engine_start" if "start" in command else "engine"
            answer = {"failed": {"kind": kind, "message": f"{type(error).__name__}: {error}"}}
        answers.write(json.dumps(answer, separators=(",", ":")) + "\n")
        answers.flush()


def end_with_parent() -> None:
    """A profiler that is killed while the engine runs must not leave it running. Linux only."""
    if sys.platform == "linux":
        set_parent_death_signal = 1
        ctypes.CDLL(None).prctl(set_parent_death_signal, signal.SIGKILL)


def main() -> None:
    end_with_parent()
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    for name in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE"):
        os.environ.pop(name, None)
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    os.environ["VLLM_ENABLE_V1_MULTIPROCESSING"] = "0"
    try:
        from vllm import __version__ as version
    except Exception as error:  # noqa: BLE001: a broken installation raises anything
        hello = {"failed": {"kind": "no_vllm", "message": f"{type(error).__name__}: {error}"}}
    else:
        hello = {"hello": {"vllm": version, "python": platform.python_version()}}
    answers.write(json.dumps(hello) + "\n")
    answers.flush()
    if "hello" in hello:
        serve(answers)


main()
