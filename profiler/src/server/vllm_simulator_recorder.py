"""A scheduler for `vllm serve --scheduler-cls vllm_simulator_recorder.RecordingScheduler`: vLLM's own, watched.

Written into a folder on PYTHONPATH by `profiler`, which reads what is recorded from the file that the environment
names. One JSON object a line: first `engine`, then `add` (a request stands in the waiting queue) and `pass`. Instants
are nanoseconds of CLOCK_MONOTONIC, which all processes of a machine share. Rows are kept in memory while the engine
works and written once it has had nothing to do for a moment, so that no token waits for them.
"""

from __future__ import annotations

import atexit
import json
import os
import threading
import time
from typing import Any

import vllm
from vllm.v1.core.sched.async_scheduler import AsyncScheduler
from vllm.v1.core.sched.scheduler import Scheduler
from vllm_simulator_model import NotSimulated, described_model, layers_of_groups
from vllm_simulator_settings import scheduler_settings

FILE_VARIABLE = "VLLM_SIMULATOR_RECORDING"
# An engine that is never idle still shows what it did, and its memory is bounded.
MAX_UNWRITTEN = 50_000
# Seconds without work after which rows are written, and between two looks.
IDLE_SECONDS = 0.1


def now() -> int:
    return time.clock_gettime_ns(time.CLOCK_MONOTONIC)


def engine(scheduler: Any) -> dict[str, Any]:
    """What the engine resolved, in the words of the trace format."""
    config = scheduler.vllm_config
    try:
        planning = {"described": described_model(config, layers_of_groups(scheduler), scheduler)}
    except NotSimulated as error:
        planning = {"not_simulated": str(error)}
    except AttributeError as error:
        planning = {"not_simulated": f"this vLLM does not describe its KV cache as others do: {error}"}
    return {
        "vllm": vllm.__version__,
        "vocab_size": config.model_config.hf_text_config.vocab_size,
        "scheduler": scheduler_settings(config),
        "planning": planning,
    }


class Recording:
    """Mixed in before a scheduler of vLLM's: takes the instants around its methods, changes nothing."""

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self._rows: list[dict[str, Any]] = [{"engine": engine(self)}]
        # Passes under way, by their scheduler output.
        self._under_way: dict[int, tuple[Any, ...]] = {}
        self._file = open(os.environ[FILE_VARIABLE], "w", encoding="utf-8")
        self._last_update = now()
        self._write()
        atexit.register(self._write)
        threading.Thread(target=self._write_when_idle, daemon=True).start()

    def add_request(self, request: Any) -> None:
        instant = now()
        super().add_request(request)
        self._rows.append({"add": [request.request_id, instant]})

    def schedule(self, *args: Any, **kwargs: Any) -> Any:
        begin = now()
        output = super().schedule(*args, **kwargs)
        self._under_way[id(output)] = (begin, now(), output)
        return output

    def update_from_output(self, scheduler_output: Any, *args: Any, **kwargs: Any) -> Any:
        begin = now()
        outputs = super().update_from_output(scheduler_output, *args, **kwargs)
        end = now()
        issued = self._under_way.pop(id(scheduler_output), None)
        if issued is not None and scheduler_output.num_scheduled_tokens:
            self._rows.append(self._pass(issued, begin, end, outputs))
        self._last_update = end
        return outputs

    def _pass(self, issued: tuple[Any, ...], begin: int, end: int, outputs: Any) -> dict[str, Any]:
        schedule_begin, schedule_end, output = issued
        computed = {new.req_id: new.num_computed_tokens for new in output.scheduled_new_reqs}
        cached = output.scheduled_cached_reqs
        computed.update(zip(cached.req_ids, cached.num_computed_tokens, strict=True))
        parts = [[request, tokens, computed[request]] for request, tokens in output.num_scheduled_tokens.items()]
        tokens, finished = [], []
        for of_client in (outputs or {}).values():
            for one in of_client.outputs:
                tokens.append([one.request_id, len(one.new_token_ids)])
                if one.finish_reason is not None:
                    finished.append(one.request_id)
        return {
            "pass": {
                "s": parts,
                "ns": [schedule_begin, schedule_end, begin, end],
                "tokens": tokens,
                "finished": finished,
            }
        }

    def _write_when_idle(self) -> None:
        while True:
            time.sleep(IDLE_SECONDS)
            is_idle = not self.requests and now() - self._last_update > IDLE_SECONDS * 1e9
            if self._rows and (is_idle or len(self._rows) > MAX_UNWRITTEN):
                self._write()

    def _write(self) -> None:
        # The engine's thread may add rows meanwhile: to the new list.
        rows, self._rows = self._rows, []
        self._file.write("".join(json.dumps(row, separators=(",", ":")) + "\n" for row in rows))
        self._file.flush()


class RecordingSyncScheduler(Recording, Scheduler):
    """Used unless async scheduling is on."""


class RecordingAsyncScheduler(Recording, AsyncScheduler):
    """Used if async scheduling is on: a subclass of `Scheduler` could not follow passes that are under way."""


class RecordingScheduler:
    """The one of the two that fits; known only once the platform has had the last word on async scheduling."""

    def __new__(cls, vllm_config: Any, *args: Any, **kwargs: Any) -> Any:
        is_async = bool(vllm_config.scheduler_config.async_scheduling)
        kind = RecordingAsyncScheduler if is_async else RecordingSyncScheduler
        return kind(vllm_config, *args, **kwargs)
