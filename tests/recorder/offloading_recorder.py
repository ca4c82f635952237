"""Writes down what vLLM's offloading connector decides, beside what `schedule_recorder.py` writes down."""

from __future__ import annotations

from typing import Any

from tiering_recorder import primary_of
from workload import Workload


def offloading_facts(scheduler: Any) -> dict[str, int]:
    """How large the tier is, and its chunks."""
    connector = scheduler.connector.connector_scheduler
    return {"num_chunks": primary_of(connector.manager)._num_chunks, "blocks_per_chunk": connector.config.blocks_per_chunk}


def watch_offloading(scheduler: Any, workload: Workload, entry: Any) -> None:
    """From now on `entry()`, that of the iteration under way, gets what concerns the connector."""
    index_of = workload.index_of
    connector = scheduler.connector.connector_scheduler
    schedule, update, take_in = (
        scheduler.schedule, scheduler.update_from_output, scheduler._update_waiting_for_remote_kv,
    )
    build, allocated = connector.build_connector_meta, connector.update_state_after_alloc
    ready: list[list[int]] = []
    loads: list[list[int]] = []

    def watched_take_in(request: Any) -> Any:
        result = take_in(request)
        ready.append([index_of[request.request_id], request.num_computed_tokens])
        return result

    def watched_allocated(request: Any, blocks: Any, num_external_tokens: int) -> None:
        allocated(request, blocks, num_external_tokens)
        if num_external_tokens:
            num_local = connector._req_status[request.request_id].num_locally_computed_tokens
            loads.append([index_of[request.request_id], num_local, num_external_tokens])

    def watched_build(scheduler_output: Any) -> Any:
        # vLLM goes through a set of names: which of several requests that ended is the first to be stored is undefined.
        finished = scheduler_output.finished_req_ids
        scheduler_output.finished_req_ids = dict.fromkeys(sorted(finished, key=lambda name: index_of[name]))
        metadata = build(scheduler_output)
        scheduler_output.finished_req_ids = finished
        stores = [
            [job_id, index_of[job.req_id], len(job.src_spec.block_ids)] for job_id, job in metadata.store_jobs.items()
        ]
        told = {"store": stores, "flush": sorted(metadata.jobs_to_flush or ())}
        entry().update({key: value for key, value in told.items() if value})
        return metadata

    def watched_schedule(*args: Any, **kwargs: Any) -> Any:
        ready.clear()
        loads.clear()
        output = schedule(*args, **kwargs)
        told = {"load": list(loads), "ready": list(ready), "hold": len(scheduler.kv_holding_waiting)}
        entry().update({key: value for key, value in told.items() if value})
        manager = primary_of(connector.manager)
        num_resident = manager._num_allocated_chunks - len(manager._free_list)
        if num_resident:
            entry()["tier"] = [num_resident, manager._num_evictable_cache_chunks]
        return output

    def watched_update(scheduler_output: Any, model_runner_output: Any) -> Any:
        report = model_runner_output.kv_connector_output
        if report is not None:
            if report.finished_recving:
                entry()["recv"] = [index_of[name] for name in report.finished_recving]
            if report.kv_connector_worker_meta is not None:
                entry()["jobs"] = list(report.kv_connector_worker_meta.completed_jobs)
        return update(scheduler_output, model_runner_output)

    scheduler.schedule, scheduler.update_from_output = watched_schedule, watched_update
    scheduler._update_waiting_for_remote_kv = watched_take_in
    connector.build_connector_meta, connector.update_state_after_alloc = watched_build, watched_allocated
