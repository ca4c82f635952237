"""Estimates how many blocks requests need with given layers, so that a kind's pool is as tight with any of them.

vLLM alone knows exactly; its start-up check has the last word on a pool that is too small.
"""

from __future__ import annotations

from collections import Counter
from typing import Any, NamedTuple


class Group(NamedTuple):
    """Groups of layers as they probably come out: how many, and how many tokens a block of them has."""

    kind: str
    count: int
    block_size: int
    # Tokens behind the current one that a window or chunk keeps.
    reach: int


Groups = list[Group]


def estimated_groups(model: dict[str, Any], engine: dict[str, Any]) -> Groups:
    """The groups of `model["layers"]`."""
    layers = model["layers"]
    block_size = engine["block_size"]
    counts: Counter[tuple[Any, ...]] = Counter()
    pages = {}
    for one in layers:
        key = _likeness(one)
        counts[key] += one["n"]
        pages[key] = _page(one, block_size)
    largest = max(pages.values())
    fewest, most = min(counts.values()), max(counts.values())
    size = most if most < fewest * 1.5 else fewest
    groups = []
    for one in layers:
        key = _likeness(one)
        if key not in counts:
            continue
        longer = largest // pages[key] if one["kind"] != "mamba" and largest % pages[key] == 0 else 1
        own = one.get("block_size", block_size) * longer
        if one["kind"] == "mamba":
            own = model.get("mamba_block", block_size)
        reach = one.get("window", one.get("chunk", 0))
        groups.append(Group(one["kind"], -(-counts.pop(key) // size), own, reach))
    return groups


def estimated_blocks(model: dict[str, Any], engine: dict[str, Any], num_tokens: int) -> int:
    """Blocks that one request of `num_tokens` tokens needs at its largest."""
    drafter = model.get("speculative") or {}
    num_drafts = drafter.get("num_speculative_tokens", 0)
    # Tokens of passes under way stay beside the window.
    in_flight = engine["max_num_batched_tokens"] * 2
    needed = 0
    for group in estimated_groups(model, engine):
        whole = -(-num_tokens // group.block_size)
        if group.kind == "mamba":
            blocks = 3 + num_drafts
        elif group.kind in ("window", "chunked") and not model.get("disable_hybrid"):
            blocks = min(whole, -(-(group.reach + in_flight) // group.block_size)) + 1
        else:
            blocks = whole
        needed += blocks * group.count
    return needed


def _likeness(layers: dict[str, Any]) -> tuple[Any, ...]:
    names = ("kind", "window", "chunk", "kv_heads", "head_size", "block_size", "state", "page")
    return tuple(layers.get(name) for name in names)


def _page(layers: dict[str, Any], block_size: int) -> int:
    """Bytes of a block."""
    if layers["kind"] == "mamba":
        return layers.get("page", layers.get("state", 512) * 4)
    tensors = 1 if layers["kind"] == "mla" else 2
    head_size = layers.get("head_size", 576 if layers["kind"] == "mla" else 64)
    return layers.get("block_size", block_size) * layers.get("kv_heads", 1) * head_size * tensors * 2
