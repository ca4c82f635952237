"""Runs a workload on a real EngineCore and writes down what it scheduled, iteration by iteration."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from engine import VLLM_VERSION, make_engine_core, resolved_settings
from kv_events import watch_events
from model_probes import DraftProbes, LayerProbes
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

    @property
    def entry(self) -> dict[str, Any]:
        """That of the iteration under way."""
        return self._entry

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

        def watched_update(scheduler_output: Any, model_runner_output: Any) -> Any:
            self._entry["done"] = self._issued_in.pop(0)
            self._note_acceptance(scheduler_output, model_runner_output)
            return update(scheduler_output, model_runner_output)

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
        self._note_drafts(scheduler_output)
        entry["free"] = self._pool.get_num_free_blocks()
        entry["run"], entry["wait"] = self._scheduler.get_request_counts()
        if self._with_blocks:
            entry["blocks"] = blocks

    def _note_drafts(self, scheduler_output: Any) -> None:
        """What a drafter adds to a pass; nothing without one."""
        entry, drafts = self._entry, scheduler_output.scheduled_spec_decode_tokens
        if drafts:
            entry["spec"] = [[self._index_of[request_id], len(tokens)] for request_id, tokens in drafts.items()]
        # vLLM 0.32 does not look for drafts that nobody can use.
        if getattr(scheduler_output, "skip_drafts", False) and scheduler_output.total_num_scheduled_tokens:
            entry["skip"] = 1
        if scheduler_output.num_spec_tokens_to_schedule != self._scheduler.num_spec_tokens:
            entry["k"] = scheduler_output.num_spec_tokens_to_schedule

    def _note_acceptance(self, scheduler_output: Any, model_runner_output: Any) -> None:
        sampled, row_of = model_runner_output.sampled_token_ids, model_runner_output.req_id_to_index
        drafts = scheduler_output.scheduled_spec_decode_tokens
        if drafts:
            self._entry["acc"] = [
                [self._index_of[request_id], len(tokens), len(sampled[row_of[request_id]]) - 1]
                for request_id, tokens in drafts.items()
            ]

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


def derived_facts(core: Any, workload: Workload) -> dict[str, Any]:
    """What vLLM made of the layers and of the drafter before the first pass; nothing of a workload with neither."""
    facts: dict[str, Any] = {}
    scheduler = core.scheduler
    if workload.layers is not None:
        facts["groups"] = _groups(scheduler)
    if workload.has_offloading:
        from offloading_recorder import offloading_facts

        facts["offloading"] = offloading_facts(scheduler)
    if workload.speculative is not None:
        drafter = core.vllm_config.speculative_config
        facts["speculative"] = {
            "k": scheduler.num_spec_tokens,
            "lookahead": scheduler.num_lookahead_tokens,
            "draft_slots": drafter.max_num_new_slots_for_drafting,
            # vLLM 0.32 has neither of the two that are looked up with a default.
            "hash_lookahead": getattr(scheduler, "num_hash_lookahead_tokens", 0),
            "eagle_block_drop": bool(scheduler.use_eagle_block_drop),
            "skips_drafts": bool(getattr(scheduler, "can_skip_drafts", False)),
            "prefill_lookahead": scheduler.num_prefill_lookahead,
        }
    return facts


def _groups(scheduler: Any) -> dict[str, Any]:
    config = scheduler.kv_cache_config
    groups = [
        {
            "spec": type(group.kv_cache_spec).__name__,
            "block_size": group.kv_cache_spec.block_size,
            "page": group.kv_cache_spec.page_size_bytes,
            "layers": group.layer_names,
            "eagle": bool(group.is_eagle_group),
        }
        for group in config.kv_cache_groups
    ]
    return {
        "groups": groups,
        "num_blocks": config.num_blocks,
        "scheduler_block_size": scheduler.block_size,
        "hash_block_size": scheduler.hash_block_size,
    }


def record(
    document: dict[str, Any],
    with_blocks: bool = False,
    max_iterations: int = MAX_ITERATIONS,
    with_events: bool = False,
) -> Recording:
    """Runs a workload document to its end on a fresh engine."""
    workload = Workload(document)
    core = make_engine_core(workload, with_events)
    recorder = ScheduleRecorder(core, workload, with_blocks)
    if with_events:
        watch_events(core.scheduler, lambda: recorder.entry)
    if workload.has_offloading:
        from offloading_recorder import watch_offloading

        watch_offloading(core.scheduler, workload, lambda: recorder.entry)
        if workload.has_tiers:
            from tiering_recorder import watch_tiers

            watch_tiers(core.scheduler, workload, lambda: recorder.entry)
    elif workload.has_connector:
        from connector_recorder import watch_connector

        watch_connector(core.scheduler, workload, lambda: recorder.entry)
    probes = Probes(core.scheduler)
    if workload.speculative is not None:
        DraftProbes(core.scheduler, probes.counts)
    if workload.layers is not None:
        LayerProbes(core.scheduler, probes.counts)
    arrivals = workload.arrivals()
    iterations: list[dict[str, Any]] = []
    while True:
        aborted = workload.aborts_before(len(iterations))
        for request_id in aborted:
            # One message each: vLLM frees the members of one abort message in no defined order.
            probes.abort(request_id)
            core.abort_requests([request_id])
        if len(iterations) in workload.resets and not core.reset_prefix_cache():
            raise NoProgress(f"the prefix cache is in use before iteration {len(iterations)}")
        added = next(arrivals, None)
        for request in added or ():
            core.add_request(*core.preprocess_add_request(engine_core_request(request)))
        if added is None and not (core.scheduler.has_requests() or core.batch_queue):
            break
        iterations.append(
            recorder.step([request.index for request in added or ()], [workload.index_of[name] for name in aborted])
        )
        if len(iterations) > max_iterations:
            raise NoProgress(f"still unfinished after {max_iterations} iterations")
    if workload.has_tiers:
        # Its memory has a name that outlives the process.
        core.scheduler.connector.connector_scheduler.shutdown()
    trace = {
        "workload": document,
        "vllm": VLLM_VERSION,
        "engine": resolved_settings(core, workload),
        "usable_blocks": core.scheduler.kv_cache_manager.block_pool.num_gpu_blocks - 1,
        **derived_facts(core, workload),
        **({"kv": document["kv"]} if workload.has_connector else {}),
        "iterations": iterations,
    }
    return Recording(trace, probes.counts)


def engine_core_request(request: RequestSpec) -> EngineCoreRequest:
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
