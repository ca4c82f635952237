"""What a scheduler that offloads KV blocks to host memory is given, made up by kind and seed."""

from __future__ import annotations

import zlib
from typing import Any

from draft import Draft

# Bytes that a block of 16 tokens takes (`layers.py`), and what the tier's chunks are rounded up to.
BYTES_PER_TOKEN = 256
PAGE = 4096

# Kinds, and what is frequent in them. `tier`: chunks of the tier, as a share of the device's blocks.
KINDS: dict[str, dict[str, Any]] = {
    "reuse": {"tier": (2.0, 8.0)},
    "small_tier": {"tier": (0.2, 0.9)},
    "arc": {"tier": (0.3, 1.5), "policy": "arc"},
    "chunks": {"tier": (0.5, 4.0), "blocks_per_chunk": True},
    "outputs": {"tier": (0.5, 4.0), "outputs": True},
    "tight": {"tier": (0.3, 4.0), "tight": 1.0},
    "slow": {"tier": (0.5, 4.0), "tight": 0.5, "slow": True},
    "priorities": {"tier": (0.3, 2.0), "tight": 0.8, "priorities": True},
    "aborts": {"tier": (0.3, 2.0), "tight": 0.5, "aborts": 0.35},
    "everything": {
        "tier": (0.1, 2.0), "tight": 0.6, "priorities": True, "aborts": 0.2, "outputs": True, "blocks_per_chunk": True,
        "policy": None, "limits": True,
    },
}


def offloading_document(kind: str, async_scheduling: bool, seed: int) -> dict[str, Any]:
    """Requests whose prompts have much in common, and a cache that does not hold it all."""
    mode = "async" if async_scheduling else "sync"
    draft, settings = Draft(zlib.crc32(f"offloading {kind} {mode}".encode()) * 1_000 + seed), KINDS[kind]
    is_tight = draft.chance(settings.get("tight", 0.0))
    block_size = draft.one_of(8, 16)
    longest = draft.one_of(256, 384)
    optional: dict[str, Any] = {}
    if settings.get("limits"):
        optional = {
            "watermark": draft.one_of(0.0, 0.05, 0.1),
            "scheduler_reserve_full_isl": draft.chance(0.5),
            "long_prefill_token_threshold": draft.one_of(0, 24, 48),
            "enable_prefix_caching": draft.chance(0.8),
        }
    smallest = -(-longest // block_size)
    draft.set_engine(
        usable_blocks=smallest + (draft.between(0, 10) if is_tight else draft.between(10, 60)),
        max_model_len=longest,
        block_size=block_size,
        max_num_seqs=draft.one_of(4, 8, 16),
        max_num_batched_tokens=draft.one_of(64, 128, 256),
        policy="priority" if settings.get("priorities") else "fcfs",
        async_scheduling=async_scheduling,
        **optional,
    )
    for _ in range(draft.between(18, 40)):
        _add_request(draft, settings)
    if draft.chance(0.5):
        draft.bursts(6, 8)
    else:
        draft.spread(draft.one_of(1.0, 2.5, 5.0))
    for index in range(len(draft.requests)):
        if draft.chance(settings.get("aborts", 0.0)):
            draft.abort(draft.between(1, 60), index)
    slowest = 12 if settings.get("slow") else 4
    passes = {name: [draft.between(0, slowest) for _ in range(draft.between(1, 7))] for name in ("load", "store")}
    return {**draft.document(), "kv": _connector(draft, settings), "transfer_passes": passes}


def _connector(draft: Draft, settings: dict[str, Any]) -> dict[str, Any]:
    blocks_per_chunk = draft.one_of(2, 3, 4) if settings.get("blocks_per_chunk") else 1
    low, high = settings["tier"]
    num_chunks = max(1, int(draft.setting("num_gpu_blocks") * (low + (high - low) * draft.rng.random()) / blocks_per_chunk))
    num_bytes = blocks_per_chunk * draft.setting("block_size") * BYTES_PER_TOKEN
    extra: dict[str, Any] = {"cpu_bytes_to_use": num_chunks * -(-num_bytes // PAGE) * PAGE}
    if blocks_per_chunk > 1:
        extra |= (
            {"blocks_per_chunk": blocks_per_chunk}
            if draft.chance(0.5)
            else {"block_size": blocks_per_chunk * draft.setting("block_size")}
        )
    policy = settings.get("policy", "lru") or draft.one_of("lru", "arc")
    if policy != "lru":
        extra["eviction_policy"] = policy
    if settings.get("outputs"):
        extra["offload_prompt_only"] = False
    return {"kv_connector": "OffloadingConnector", "kv_role": "kv_both", "kv_connector_extra_config": extra}


def _add_request(draft: Draft, settings: dict[str, Any]) -> None:
    longest_output = draft.one_of(20, 60, 200) if settings.get("tight") else draft.one_of(2, 20, 60)
    fields: dict[str, Any] = {}
    runs = []
    if draft.requests and settings.get("outputs") and draft.chance(0.4):
        # The next turn of an earlier request: its prompt, what was generated, and something new.
        earlier = draft.between(max(0, len(draft.requests) - 8), len(draft.requests) - 1)
        before = draft.requests[earlier]
        runs = [*before["prompt"], draft.output_run(earlier, draft.between(1, before["max_tokens"]))]
    elif draft.chance(0.85):
        runs = [draft.shared_run(draft.between(0, 4), draft.between(1, 220))]
    fields["prompt"] = [*runs, draft.private_run(draft.between(1, 40))]
    if settings.get("priorities"):
        fields["priority"] = draft.between(-2, 2)
    if draft.chance(0.1):
        fields["cache_salt"] = draft.one_of("red", "blue")
    draft.add(max_tokens=draft.skewed(1, longest_output), **fields)
