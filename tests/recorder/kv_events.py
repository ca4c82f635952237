"""Writes down the events of the KV cache as vLLM hands them to its publisher.

Hashes are numbered in the order in which they are first told: they are of token ids and of a seed, and whoever compares
has others. Tokens are stretches of consecutive ids.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from vllm.config.kv_events import KVEventsConfig
from vllm.distributed.kv_events import AllBlocksCleared, BlockRemoved, BlockStored


def events_config() -> KVEventsConfig:
    """Events are made, and go nowhere but to `watch_events`."""
    return KVEventsConfig(enable_kv_cache_events=True, publisher="null")


def watch_events(scheduler: Any, current_entry: Callable[[], dict[str, Any]]) -> None:
    """Adds the events published in an iteration to its entry, under `kv`."""
    numbers: dict[Any, int] = {}

    def number(block_hash: Any) -> int:
        return numbers.setdefault(block_hash, len(numbers))

    def written(event: Any) -> Any:
        if isinstance(event, BlockStored):
            parent = None if event.parent_block_hash is None else number(event.parent_block_hash)
            return {
                "stored": {
                    "group": event.group_idx,
                    "block_size": event.block_size,
                    "parent": parent,
                    "hashes": [number(block_hash) for block_hash in event.block_hashes],
                    "tokens": stretches(event.token_ids),
                    "salted": any(keys is not None for keys in event.extra_keys or ()),
                }
            }
        if isinstance(event, BlockRemoved):
            (block_hash,) = event.block_hashes
            return {"removed": {"group": event.group_idx, "hash": number(block_hash)}}
        assert isinstance(event, AllBlocksCleared)
        return "cleared"

    scheduler.kv_event_publisher.publish = lambda batch: current_entry().setdefault("kv", []).extend(
        written(event) for event in batch.events
    )


def stretches(token_ids: list[int]) -> list[list[int]]:
    """First id and number of each stretch."""
    found: list[list[int]] = []
    for token_id in token_ids:
        if found and sum(found[-1]) == token_id:
            found[-1][1] += 1
        else:
            found.append([token_id, 1])
    return found
