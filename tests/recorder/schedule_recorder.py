"""Runs a workload on a real EngineCore and writes down what it scheduled, iteration by iteration."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from engine import VLLM_VERSION, make_engine_core
from probes import Probes
from vllm.sampling_params import SamplingParams
from vllm.v1.engine import EngineCoreRequest, FinishReason
from workload import EOS_TOKEN_ID, RequestSpec, Workload

# Far beyond any workload of a few hundred requests: an engine that gets here makes no progress.
MAX_ITERATIONS = 500_000


class NoProgress(RuntimeError):
    """The engine kept requests that it will never finish."""


@dataclass
class Recording:
    """A trace document, and how often rules that leave no mark in it were used."""

    trace: dict[str, Any]
    counts: Counter[str] = field(default_factory=Counter)


class ScheduleRecorder:
    """Observes one engine core. `step` makes it take a step and returns that iteration's entry."""

    def __init__(self, core: Any, workload: Workload, with_blocks: bool):
        self._core = core
        self._scheduler = core.scheduler
        self._pool = core.scheduler.kv_cache_manager.block_pool
        self._index_of = workload.index_of
        self._with_blocks = with_blocks
        self._iteration = 0
        self._entry: dict[str, Any] = {}
        self._preempted: list[int] = []
        # The step loop processes passes in the order they were issued.
        self._issued_in: list[int] = []
        self._num_outputs = Counter()
        self._watch()

    def step(self, added: list[int], aborted: list[int]) -> dict[str, Any]:
        entry = self._entry = {"i": self._iteration}
        if added:
            entry["add"] = added
        if aborted:
            entry["abort"] = aborted
        outputs, model_executed = self._core.step_fn()
        self._core.post_step(model_executed)
        self._note_outputs(outputs or {})
        entry["free_end"] = self._pool.get_num_free_blocks()
        self._iteration += 1
        return entry

    def _watch(self) -> None:
        scheduler = self._scheduler
        schedule, update, preempt = scheduler.schedule, scheduler.update_from_output, scheduler._preempt_request

        def watched_preempt(request: Any, *args: Any, **kwargs: Any) -> None:
            self._preempted.append(self._index_of[request.request_id])
            preempt(request, *args, **kwargs)

        def watched_schedule(*args: Any, **kwargs: Any) -> Any:
            self._preempted.clear()
            scheduler_output = schedule(*args, **kwargs)
            self._issued_in.append(self._iteration)
            self._note_pass(scheduler_output)
            return scheduler_output

        def watched_update(*args: Any, **kwargs: Any) -> Any:
            self._entry["done"] = self._issued_in.pop(0)
            return update(*args, **kwargs)

        scheduler._preempt_request = watched_preempt
        scheduler.schedule = watched_schedule
        scheduler.update_from_output = watched_update

    def _note_pass(self, scheduler_output: Any) -> None:
        index_of, entry = self._index_of, self._entry
        computed: dict[str, int] = {}
        blocks: dict[int, list[int]] = {}
        admitted: dict[str, list[list[int]]] = {"new": [], "res": []}
        for request in scheduler_output.scheduled_new_reqs:
            computed[request.req_id] = request.num_computed_tokens
            blocks[index_of[request.req_id]] = list(request.block_ids[0])
            # Which list a resumed request comes in depends on the model runner; having been preempted does not.
            key = "res" if self._scheduler.requests[request.req_id].num_preemptions else "new"
            admitted[key].append([index_of[request.req_id], request.num_computed_tokens])
        cached = scheduler_output.scheduled_cached_reqs
        for request_id, num_computed, block_ids in zip(
            cached.req_ids, cached.num_computed_tokens, cached.new_block_ids, strict=True
        ):
            computed[request_id] = num_computed
            if block_ids is not None:
                blocks[index_of[request_id]] = list(block_ids[0])
            if request_id in cached.resumed_req_ids:
                admitted["res"].append([index_of[request_id], num_computed])
        entry["s"] = [
            [index_of[request_id], num_tokens, computed[request_id]]
            for request_id, num_tokens in scheduler_output.num_scheduled_tokens.items()
        ]
        entry |= {key: admissions for key, admissions in admitted.items() if admissions}
        if self._preempted:
            entry["pre"] = list(self._preempted)
        entry["free"] = self._pool.get_num_free_blocks()
        entry["run"], entry["wait"] = self._scheduler.get_request_counts()
        if self._with_blocks:
            entry["blocks"] = blocks

    def _note_outputs(self, outputs: dict[int, Any]) -> None:
        num_tokens, finished = 0, []
        for client_outputs in outputs.values():
            for output in client_outputs.outputs:
                index = self._index_of[output.request_id]
                num_tokens += len(output.new_token_ids)
                self._num_outputs[index] += len(output.new_token_ids)
                if output.finish_reason is not None:
                    reason = FinishReason(output.finish_reason)
                    finished.append([index, str(reason), self._num_outputs[index]])
        if finished:
            self._entry["fin"] = finished
        if num_tokens:
            self._entry["ntok"] = num_tokens


def record(document: dict[str, Any], with_blocks: bool = False) -> Recording:
    """Runs a workload document to its end on a fresh engine."""
    workload = Workload(document)
    core = make_engine_core(workload.engine)
    core.model_executor.output_token_id = {
        request.request_id: request.output_token_id for request in workload.requests
    }
    recorder = ScheduleRecorder(core, workload, with_blocks)
    probes = Probes(core.scheduler)
    arrivals = workload.arrivals()
    iterations: list[dict[str, Any]] = []
    while True:
        aborted = workload.aborts_before(len(iterations))
        for request_id in aborted:
            # One message each: vLLM frees the members of one abort message in no defined order.
            probes.abort(request_id)
            core.abort_requests([request_id])
        added = next(arrivals, None)
        for request in added or ():
            core.add_request(*core.preprocess_add_request(_engine_core_request(request)))
        if added is None and not (core.scheduler.has_requests() or core.batch_queue):
            break
        iterations.append(
            recorder.step([request.index for request in added or ()], [workload.index_of[name] for name in aborted])
        )
        if len(iterations) > MAX_ITERATIONS:
            raise NoProgress(f"still unfinished after {MAX_ITERATIONS} iterations")
    trace = {
        "workload": document,
        "vllm": VLLM_VERSION,
        "engine": workload.engine,
        "usable_blocks": core.scheduler.kv_cache_manager.block_pool.num_gpu_blocks - 1,
        "iterations": iterations,
    }
    return Recording(trace, probes.counts)


def _engine_core_request(request: RequestSpec) -> EngineCoreRequest:
    params = SamplingParams(
        max_tokens=request.max_tokens,
        temperature=0.0,
        ignore_eos=not request.heeds_eos,
        stop_token_ids=request.stop_token_ids,
        detokenize=False,
    )
    params.update_from_generation_config({}, EOS_TOKEN_ID)
    return EngineCoreRequest(
        request_id=request.request_id,
        prompt_token_ids=request.prompt_token_ids(),
        mm_features=None,
        sampling_params=params,
        pooling_params=None,
        arrival_time=request.arrival_time,
        lora_request=None,
        cache_salt=request.cache_salt,
        data_parallel_rank=None,
        priority=request.priority,
    )
