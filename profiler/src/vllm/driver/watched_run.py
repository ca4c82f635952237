"""Runs scripts on an engine core whose scheduler is watched, and describes every pass in the trace format."""

from __future__ import annotations

import gc
import time
from typing import Any

from refusal import Refused

# A script has a few thousand passes at most; far beyond it an engine makes no progress.
MAX_PASSES = 1_000_000
# Of a vocabulary's first tokens, which few texts hold.
FORCED_TOKEN_ID = 3


class Watch:
    """Instants and results of every call of an engine's step function; little is done while the clock runs."""

    def __init__(self, core: Any):
        self.core = core
        scheduler = self.scheduler = core.scheduler
        self.pool = scheduler.kv_cache_manager.block_pool
        self.index_of: dict[str, int] = {}
        self.row: dict[str, Any] = {}
        self.preempted: list[str] = []
        # By pass, the drafts that it verifies, by request.
        self.verified_in: dict[int, dict[str, int]] = {}
        # For measuring: how many drafts without meaning take the place of each proposal.
        self.forced_drafts: int | None = None
        schedule, update, preempt = scheduler.schedule, scheduler.update_from_output, scheduler._preempt_request
        take_drafts = scheduler.update_draft_token_ids
        verified_in = self.verified_in
        has_drafter = scheduler.num_spec_tokens > 0
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
            if has_drafter:
                # Counted now, as the worker of an engine in this process may change the object.
                drafts = output.scheduled_spec_decode_tokens
                verified_in[id(output)] = {request_id: len(tokens) for request_id, tokens in drafts.items()}
            return output

        def watched_update(output: Any, model_output: Any, *args: Any, **kwargs: Any) -> Any:
            self.row["executed"] = now()
            self.row["done"] = output
            if has_drafter:
                self.row["sampled"] = sampled_counts(model_output)
            outputs = update(output, model_output, *args, **kwargs)
            self.row["updated"] = now()
            return outputs

        def watched_take_drafts(drafts: Any, *args: Any, **kwargs: Any) -> None:
            if self.forced_drafts is not None:
                forced = [[FORCED_TOKEN_ID] * self.forced_drafts for _ in drafts.req_ids]
                drafts = type(drafts)(drafts.req_ids, forced)
            self.row["drafts"] = dict(zip(drafts.req_ids, map(len, drafts.draft_token_ids), strict=True))
            take_drafts(drafts, *args, **kwargs)

        scheduler.schedule = watched_schedule
        scheduler.update_from_output = watched_update
        scheduler._preempt_request = watched_preempt
        scheduler.update_draft_token_ids = watched_take_drafts


def sampled_counts(model_output: Any) -> dict[str, int]:
    """Tokens that a pass brought, by request; 0 for a part of a prompt that is not its end."""
    sampled = model_output.sampled_token_ids
    if not sampled:
        return {}
    return {request_id: len(sampled[row]) for request_id, row in model_output.req_id_to_index.items()}


class Script:
    """The requests of one `run` command, made ready before the clock starts."""

    def __init__(self, core: Any, command: dict[str, Any]):
        from vllm.sampling_params import SamplingParams
        from vllm.v1.engine import EngineCoreRequest

        self.requests = []
        for index, request in enumerate(command["requests"]):
            params = SamplingParams(
                max_tokens=request["max_tokens"],
                temperature=request.get("temperature", 0.0),
                # No seed of its own: vLLM 0.32's `_bookkeeping_sync` asks a processor's generator for its offset, which
                # it has not. All draw from the engine's.
                ignore_eos=True,
                detokenize=False,
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
    watch.forced_drafts = command.get("forced_drafts")
    watch.index_of = {request.request_id: index for index, (request, _) in enumerate(script.requests)}
    watch.verified_in.clear()
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
    proposals: list[list[int]] = [[] for _ in script.requests]
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
            describe_drafts(watch, row, entry, proposals)
        describe_outputs(watch, row, entry, outputs)
        entry["free_end"] = row["free_end"]
        called = row["called"]
        scheduled = row.get("scheduled", called)
        executed = row.get("executed", scheduled)
        instants = [row["begin"], called, scheduled, executed, row.get("updated", executed), row["end"]]
        passes.append({"entry": entry, "ns": [instant - origin for instant in instants]})
    return {"passes": passes, "outputs": outputs, "proposals": proposals}


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
    describe_verifications(watch, output, entry)
    entry["free"] = row["free"]
    entry["run"], entry["wait"] = row["counts"]


def describe_verifications(watch: Watch, output: Any, entry: dict[str, Any]) -> None:
    """What a drafter adds to a pass; nothing without one."""
    drafts = watch.verified_in.get(id(output))
    if drafts:
        entry["spec"] = [[watch.index_of[request_id], num_drafts] for request_id, num_drafts in drafts.items()]
    # vLLM 0.32 does not look for drafts that nobody can use.
    if getattr(output, "skip_drafts", False) and output.total_num_scheduled_tokens:
        entry["skip"] = 1
    if output.num_spec_tokens_to_schedule != watch.scheduler.num_spec_tokens:
        entry["k"] = output.num_spec_tokens_to_schedule


def describe_drafts(watch: Watch, row: dict[str, Any], entry: dict[str, Any], proposals: list[list[int]]) -> None:
    """How many drafts the pass accepted, and how many were proposed for the requests that it gave a token."""
    sampled = row.get("sampled")
    if sampled is None:
        return
    accepted = []
    for request_id, num_drafts in watch.verified_in[id(row["done"])].items():
        if not 1 <= sampled.get(request_id, 0) <= num_drafts + 1:
            raise Refused("engine", f"{sampled.get(request_id)} tokens came of a verification of {num_drafts} drafts")
        accepted.append([watch.index_of[request_id], num_drafts, sampled[request_id] - 1])
    if accepted:
        entry["acc"] = accepted
    proposed = row.get("drafts", {})
    for request_id, num_tokens in sampled.items():
        if num_tokens:
            proposals[watch.index_of[request_id]].append(proposed.get(request_id, 0))


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
