"""Writes down what a scheduler tells its KV connector, beside what `schedule_recorder.py` writes down."""

from __future__ import annotations

from typing import Any

from scripted_connector import SCRIPT
from workload import Workload

# `KVTransferConfig`'s own.
CONNECTOR_DEFAULTS = {"kv_role": "kv_both", "kv_load_failure_policy": "fail"}


def connector_settings(workload: Workload) -> dict[str, Any]:
    """The connector's settings, defaults filled in."""
    return {**CONNECTOR_DEFAULTS, **workload.document["kv"]}


def watch_connector(scheduler: Any, workload: Workload, entry: Any) -> None:
    """From now on `entry()`, that of the iteration under way, gets what concerns the connector."""
    SCRIPT.requests = {request.request_id: request for request in workload.requests}
    index_of = workload.index_of
    schedule, update = scheduler.schedule, scheduler.update_from_output
    take_in = scheduler._update_waiting_for_remote_kv
    ready: list[list[int]] = []

    def watched_take_in(request: Any) -> Any:
        result = take_in(request)
        ready.append([index_of[request.request_id], request.num_computed_tokens])
        return result

    def watched_schedule(*args: Any, **kwargs: Any) -> Any:
        SCRIPT.async_loads.clear()
        SCRIPT.sync_loads.clear()
        ready.clear()
        output = schedule(*args, **kwargs)
        loads = [
            [index_of[name], scheduler.requests[name].num_computed_tokens - count, count]
            for name, count in SCRIPT.async_loads
        ]
        told = {
            "load": loads,
            "ext": [[index_of[name], count] for name, count in SCRIPT.sync_loads],
            "ready": list(ready),
            "hold": len(scheduler.kv_holding_waiting),
        }
        entry().update({key: value for key, value in told.items() if value})
        return output

    def watched_update(scheduler_output: Any, model_runner_output: Any) -> Any:
        report = model_runner_output.kv_connector_output
        if report is not None:
            said = {"recv": report.finished_recving, "sent": report.finished_sending}
            entry().update({key: [index_of[name] for name in names] for key, names in said.items() if names})
        return update(scheduler_output, model_runner_output)

    finish = scheduler.finish_requests

    def finish_in_order(request_ids: Any, finished_status: Any) -> Any:
        # vLLM goes through a set of names: requests that end together give their blocks back in no defined order.
        if isinstance(request_ids, str) or request_ids is None:
            return finish(request_ids, finished_status)
        names = sorted(request_ids, key=lambda name: index_of[name])
        return [request for name in names for request in finish(name, finished_status)]

    scheduler.finish_requests = finish_in_order
    scheduler._update_waiting_for_remote_kv = watched_take_in
    scheduler.schedule, scheduler.update_from_output = watched_schedule, watched_update
