"""Runs a real vLLM engine for `profiler`, in this process, and reports every pass.

Started by the profiler with the user's Python. One JSON object a line: commands on stdin, answers on the descriptor
that was stdout; what vLLM prints goes to stderr.

  -> {"start": {"flags": [...]}}             <- {"started": {facts}}
  -> {"run": {"requests": [...], ...}}       <- {"ran": {"passes": [...], "outputs": [...], "proposals": [...]}}
  (end of input ends the process)            <- {"failed": {"kind": ..., "message": ...}} instead of an answer

The engine is vLLM's own `EngineCore`; its scheduler is only watched. (With `forced_drafts`, for measuring, a run gets
drafts without meaning in the place of those proposed.) What is needed of it is looked up before it is
used, so that a vLLM that lacks it is refused by name instead of failing somewhere.
"""

from __future__ import annotations

import ctypes
import json
import os
import platform
import signal
import sys
import traceback
from typing import Any

from engine_facts import facts
from refusal import Refused, look_up
from watched_run import Watch, run

ENVIRONMENT = {
    # The engine in this process, where its scheduler can be watched.
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
    "VLLM_NO_USAGE_STATS": "1",
    "VLLM_DO_NOT_TRACK": "1",
    "HF_HUB_OFFLINE": "1",
}


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
        ("scheduler", "update_draft_token_ids"),
        ("scheduler", "kv_cache_config", "kv_cache_groups"),
        ("scheduler", "hash_block_size"),
        ("scheduler", "num_spec_tokens"),
        ("model_executor", "get_kv_cache_specs"),
        ("scheduler", "kv_cache_manager", "block_pool", "get_num_free_blocks"),
    ):
        look_up(core, *path)
    return core


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


# Processes that vLLM spawns import this file, too.
if __name__ == "__main__":
    main()
