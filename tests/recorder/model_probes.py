"""Counts how often rules were used that only engines with a drafter or with layers of several kinds have."""

from __future__ import annotations

from collections import Counter
from typing import Any

from vllm.v1.core.single_type_kv_cache_manager import MambaManager


class DraftProbes:
    """Installed on one scheduler that verifies drafts.

    tokens_behind_stop   accepted drafts that were cut off because the request ended before them
    stale_verifications  verifications whose request was preempted meanwhile
    reserved_chunks      prompt chunks shortened, or put off, so as not to end just before the prompt does
    """

    def __init__(self, scheduler: Any, counts: Counter[str]):
        self._counts = counts
        self._scheduler = scheduler
        update, reserve = scheduler._update_request_with_output, scheduler._reserve_prefill_lookahead

        def watched_update(request: Any, new_token_ids: list[int], *args: Any, **kwargs: Any) -> Any:
            num_tokens = len(new_token_ids)
            result = update(request, new_token_ids, *args, **kwargs)
            counts["tokens_behind_stop"] += num_tokens - len(result[0])
            return result

        def watched_reserve(request: Any, num_computed_tokens: int, num_new_tokens: int) -> int:
            reserved = reserve(request, num_computed_tokens, num_new_tokens)
            counts["reserved_chunks"] += reserved < num_new_tokens
            return reserved

        scheduler._update_request_with_output = watched_update
        scheduler._reserve_prefill_lookahead = watched_reserve
        self._watch_stale()

    def _watch_stale(self) -> None:
        scheduler, counts, update = self._scheduler, self._counts, self._scheduler.update_from_output

        def watched_update(scheduler_output: Any, model_runner_output: Any) -> Any:
            for request_id in scheduler_output.scheduled_spec_decode_tokens:
                request = scheduler.requests.get(request_id)
                counts["stale_verifications"] += request is not None and request.num_stale_output_tokens > 0
            return update(scheduler_output, model_runner_output)

        scheduler.update_from_output = watched_update


class LayerProbes:
    """Installed on the KV cache of an engine whose workload gives layers.

    blocks_left_behind   blocks given back by running requests: fallen out of a window or chunk, or old states
    unkept_blocks        full blocks that got no key because a later request would hardly resume there
    partial_keys         keys for a part of a block
    kept_checkpoints     of these, states saved in the midst of a pass
    block_copies         blocks copied because a hit or a kept state ends within them
    junctions            lookups after which the place where texts part is kept, too
    same_pass_waits      admissions put off because the state they would find is only being made
    aligned_chunks       chunks shortened to end where a state is to be saved, and those of them put off whole:
    chunks_put_off
    relocated_states     states of drafts moved within a request's table
    """

    def __init__(self, scheduler: Any, counts: Counter[str]):
        self._counts = counts
        self._scheduler = scheduler
        self._pool = scheduler.kv_cache_manager.block_pool
        for manager in scheduler.kv_cache_manager.coordinator.single_type_managers:
            self._watch_manager(manager)
            if isinstance(manager, MambaManager):
                self._watch_states(manager)
        self._watch_keys()
        self._watch_lookups()
        self._watch_chunks()

    def _watch_manager(self, manager: Any) -> None:
        counts, pool, remove = self._counts, self._pool, manager.remove_skipped_blocks

        def watched_remove(*args: Any, **kwargs: Any) -> None:
            before = pool.get_num_free_blocks()
            remove(*args, **kwargs)
            counts["blocks_left_behind"] += pool.get_num_free_blocks() - before

        manager.remove_skipped_blocks = watched_remove

    def _watch_states(self, manager: Any) -> None:
        counts, pool = self._counts, self._pool
        needed, relocate = manager.get_num_blocks_to_allocate, manager._relocate_speculative_block

        def watched_needed(*args: Any, **kwargs: Any) -> int:
            num_blocks = needed(*args, **kwargs)
            counts["same_pass_waits"] += num_blocks > pool.num_gpu_blocks
            return num_blocks

        def watched_relocate(*args: Any, **kwargs: Any) -> None:
            counts["relocated_states"] += 1
            relocate(*args, **kwargs)

        manager.get_num_blocks_to_allocate = watched_needed
        manager._relocate_speculative_block = watched_relocate

    def _watch_keys(self) -> None:
        counts, pool = self._counts, self._pool
        cache_full, cache_partial = pool.cache_full_blocks, pool.cache_partial_block

        def watched_full(*args: Any, block_mask: list[bool] | None = None, **kwargs: Any) -> Any:
            counts["unkept_blocks"] += (block_mask or []).count(False)
            return cache_full(*args, block_mask=block_mask, **kwargs)

        def watched_partial(*args: Any, **kwargs: Any) -> Any:
            key = cache_partial(*args, **kwargs)
            counts["partial_keys"] += key is not None
            counts["kept_checkpoints"] += key is not None and kwargs.get("replace_existing_hashes", False)
            return key

        pool.cache_full_blocks = watched_full
        pool.cache_partial_block = watched_partial

    def _watch_lookups(self) -> None:
        counts, manager = self._counts, self._scheduler.kv_cache_manager
        lookup, take_copies = manager.get_computed_blocks, manager.take_kv_cache_block_copies

        def watched_lookup(*args: Any, **kwargs: Any) -> Any:
            result = lookup(*args, **kwargs)
            counts["junctions"] += result[2] > 0
            return result

        def watched_take() -> Any:
            copies, retained = take_copies()
            counts["block_copies"] += len(copies)
            return copies, retained

        manager.get_computed_blocks = watched_lookup
        manager.take_kv_cache_block_copies = watched_take

    def _watch_chunks(self) -> None:
        scheduler, counts, split = self._scheduler, self._counts, self._scheduler._mamba_block_aligned_split

        def watched_split(request: Any, num_new_tokens: int, *args: Any, **kwargs: Any) -> int:
            num_tokens = split(request, num_new_tokens, *args, **kwargs)
            counts["aligned_chunks"] += num_tokens < num_new_tokens
            counts["chunks_put_off"] += num_tokens == 0
            return num_tokens

        scheduler._mamba_block_aligned_split = watched_split
