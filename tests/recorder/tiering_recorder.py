"""Writes down what vLLM's tiering manager does with the tiers behind host memory, beside `offloading_recorder.py`."""

from __future__ import annotations

from typing import Any

from scripted_tier import ScriptedClock
from vllm.v1.kv_offload.tiering import backpressure
from vllm.v1.metrics.cache_hit_source import CacheHitSource
from workload import Workload


def primary_of(manager: Any) -> Any:
    """The tier in host memory, whoever is in front of it."""
    return getattr(manager, "primary_tier", manager)


def watch_tiers(scheduler: Any, workload: Workload, entry: Any) -> None:
    """From now on `entry()`, that of the iteration under way, gets what concerns the tiers behind host memory."""
    index_of = workload.index_of
    connector = scheduler.connector.connector_scheduler
    tiers = connector.manager.secondary_tiers
    schedule, allocated = scheduler.schedule, connector.update_state_after_alloc
    from_tiers: list[list[int]] = []
    clock = backpressure.time = ScriptedClock(workload.document["transfer_passes"]["pass_ns"][0])

    def watched_allocated(request: Any, blocks: Any, num_external_tokens: int) -> None:
        allocated(request, blocks, num_external_tokens)
        sources = connector.get_external_cache_hit_sources(request, num_external_tokens)
        num_tokens = sources.get(CacheHitSource.DISK, 0)
        if num_tokens:
            from_tiers.append([index_of[request.request_id], num_tokens])

    def watched_schedule(*args: Any, **kwargs: Any) -> Any:
        from_tiers.clear()
        clock.num_passes += 1
        for tier in tiers:
            tier.begin_pass()
        output = schedule(*args, **kwargs)
        told: dict[str, list[Any]] = {"cascade": [], "promote": [], "ask": [], "polled": []}
        for number, tier in enumerate(tiers):
            for job in tier.submitted:
                kind = "promote" if job.is_promotion else "cascade"
                told[kind].append([job.job_id, number, index_of[job.req_context.req_id], len(job.keys)])
            told["ask"] += [[number, *asked] for asked in tier.lookups.told]
            told["polled"] += tier.polled
            tier.submitted.clear()
            tier.lookups.told.clear()
            tier.polled.clear()
        for jobs in (told["cascade"], told["promote"], told["polled"]):
            jobs.sort()
        told["files"] = [len(tier.files) for tier in tiers] if any(tier.files for tier in tiers) else []
        told["disk"] = list(from_tiers)
        entry().update({key: value for key, value in told.items() if value})
        return output

    scheduler.schedule = watched_schedule
    connector.update_state_after_alloc = watched_allocated
