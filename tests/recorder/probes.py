"""Counts how often rules were used that leave no mark of their own in a trace.

The counts go into the manifest, so that a reader sees which rules a trace exercises. They are taken from the running
engine, not derived by a second implementation of its rules.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from vllm.v1.request import RequestStatus


class Probes:
    """Installed on one scheduler, after anything else that wraps its methods; `counts` grows while it runs.

    aborts_{unknown,waiting,running,preempted}  state an aborted request was in (unknown: not yet added, or done)
    chunked_prefills      admissions whose prefill took more than one pass
    rollbacks             victims that the pass had already given tokens (priority policy)
    self_preemptions      victims that were the very request blocks were sought for
    stale_tokens          tokens delivered to a request while it was preempted
    stale_finish          requests that such a token finished
    stale_skips           times a waiting request was passed over because results of it were still under way
    admissions_refused    times the head of the queue did not fit
    refused_for_whole     of these, times its first chunk alone would have fitted, had the whole not been asked for
    refused_for_watermark of these, times it would have fitted without the watermark; both for one group of layers only
    put_off_admissions    times it was passed over because its chunk would have ended just before the prompt does
    cache_evictions       blocks that lost their key by being handed out
    duplicate_keys        keys given to a second block while a first one had it
    """

    def __init__(self, scheduler: Any):
        self.counts: Counter[str] = Counter()
        self._scheduler = scheduler
        self._pool = scheduler.kv_cache_manager.block_pool
        self._allocated_this_pass: set[str] = set()
        self._sought_for: Any = None
        self._watch_passes()
        self._watch_allocations()
        self._watch_blocks()

    def abort(self, request_id: str) -> None:
        """To be called just before an abort."""
        request = self._scheduler.requests.get(request_id)
        self.counts[f"aborts_{request.status.name.lower() if request else 'unknown'}"] += 1

    def _watch_passes(self) -> None:
        scheduler = self._scheduler
        schedule, update, preempt = scheduler.schedule, scheduler.update_from_output, scheduler._preempt_request

        def watched_schedule(*args: Any, **kwargs: Any) -> Any:
            self._allocated_this_pass.clear()
            unfinished = set(scheduler._inflight_prefills)
            scheduler_output = schedule(*args, **kwargs)
            self.counts["chunked_prefills"] += len(scheduler._inflight_prefills - unfinished)
            return scheduler_output

        def watched_preempt(request: Any, *args: Any, **kwargs: Any) -> None:
            self.counts["rollbacks"] += request.request_id in self._allocated_this_pass
            self.counts["self_preemptions"] += request is self._sought_for
            preempt(request, *args, **kwargs)

        def watched_update(*args: Any, **kwargs: Any) -> Any:
            preempted = [
                (request, request.num_output_tokens)
                for request in scheduler.requests.values()
                if request.status == RequestStatus.PREEMPTED
            ]
            outputs = update(*args, **kwargs)
            for request, num_output_tokens in preempted:
                self.counts["stale_tokens"] += request.num_output_tokens - num_output_tokens
                self.counts["stale_finish"] += request.is_finished()
            return outputs

        scheduler.schedule = watched_schedule
        scheduler._preempt_request = watched_preempt
        scheduler.update_from_output = watched_update
        scheduler.deferred_waiting = _DeferredWaiting(self.counts)

    def _watch_allocations(self) -> None:
        manager = self._scheduler.kv_cache_manager
        allocate = manager.allocate_slots

        def watched_allocate(request: Any, num_new_tokens: int, **kwargs: Any) -> Any:
            blocks = allocate(request, num_new_tokens, **kwargs)
            if blocks is not None:
                self._allocated_this_pass.add(request.request_id)
            elif request.status == RequestStatus.RUNNING:
                self._sought_for = request
            else:
                self._note_refusal(num_new_tokens, request.num_tokens, kwargs)
            return blocks

        manager.allocate_slots = watched_allocate

    def _note_refusal(self, num_new_tokens: int, num_tokens: int, arguments: dict[str, Any]) -> None:
        manager = self._scheduler.kv_cache_manager
        self.counts["admissions_refused"] += 1
        if manager.num_kv_cache_groups > 1:
            return
        hit_blocks = arguments["new_computed_blocks"].blocks[0]
        num_hit_tokens = arguments["num_new_computed_tokens"]
        reused = len(hit_blocks) - sum(block.ref_cnt == 0 for block in hit_blocks)
        whole = -(-num_tokens // self._scheduler.block_size) - reused
        chunk = -(-(num_hit_tokens + num_new_tokens) // self._scheduler.block_size) - reused
        asked = whole if arguments["full_sequence_must_fit"] else chunk
        watermark = manager.watermark_blocks if arguments["has_scheduled_reqs"] else 0
        free = self._pool.get_num_free_blocks()
        self.counts["refused_for_whole"] += chunk + watermark <= free
        self.counts["refused_for_watermark"] += asked <= free

    def _watch_blocks(self) -> None:
        pool = self._pool
        evict, insert = pool._maybe_evict_cached_block, pool._insert_block_hash

        def watched_evict(block: Any) -> bool:
            evicted = evict(block)
            self.counts["cache_evictions"] += evicted
            return evicted

        def watched_insert(key: Any, *args: Any, **kwargs: Any) -> Any:
            self.counts["duplicate_keys"] += pool.cached_block_hash_to_block.get_one_block(key) is not None
            return insert(key, *args, **kwargs)

        pool._maybe_evict_cached_block = watched_evict
        pool._insert_block_hash = watched_insert


class _DeferredWaiting(set):
    """The scheduler's set of requests that it passed over; counts every `add`, also of what it already holds."""

    def __init__(self, counts: Counter[str]):
        super().__init__()
        self._counts = counts

    def add(self, request: Any) -> None:
        # The other reason here is a chunk that is put off whole, so as not to end just before the prompt does.
        self._counts["stale_skips" if request.num_stale_output_tokens else "put_off_admissions"] += 1
        super().add(request)
