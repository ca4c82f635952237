"""What a scheduler with tiers behind host memory is given: the workloads of `offloading_workloads.py`, and tiers."""

from __future__ import annotations

import zlib
from typing import Any

from draft import Draft
from offloading_workloads import BYTES_PER_TOKEN, PAGE, offloading_document

# Kinds, and which workloads they have. `host`: chunks of host memory, as a share of the device's blocks, small enough that
# the tiers behind it matter. `most_passes`: of transfers and look-ups.
KINDS: dict[str, dict[str, Any]] = {
    "spill": {"of": "reuse", "host": (0.3, 1.2)},
    "arc": {"of": "arc", "host": (0.3, 1.2)},
    "chunks": {"of": "chunks", "host": (0.3, 1.5)},
    "outputs": {"of": "outputs", "host": (0.3, 1.5)},
    "two_tiers": {"of": "reuse", "host": (0.3, 1.2), "tiers": 2},
    "slow": {"of": "slow", "host": (0.3, 2.0), "most_passes": 15},
    "aborts": {"of": "aborts", "host": (0.2, 1.2)},
    "slow_aborts": {"of": "aborts", "host": (0.2, 1.2), "most_passes": 15},
    "backpressure": {"of": "reuse", "host": (0.3, 1.2), "backpressure": 1.0, "most_passes": 12},
    "everything": {"of": "everything", "host": (0.1, 1.5), "tiers": None, "most_passes": 8, "backpressure": 0.3},
}


def tiering_document(kind: str, async_scheduling: bool, seed: int) -> dict[str, Any]:
    """One of those workloads, with a smaller host memory and scripted tiers."""
    settings = KINDS[kind]
    document = offloading_document(settings["of"], async_scheduling, seed + 500)
    mode = "async" if async_scheduling else "sync"
    draft = Draft(zlib.crc32(f"tiers {kind} {mode}".encode()) * 1_000 + seed)
    extra = document["kv"]["kv_connector_extra_config"]
    chunk_bytes = _bytes_per_chunk(document, extra)
    low, high = settings["host"]
    most_blocks = document["engine"]["num_gpu_blocks"] * (low + (high - low) * draft.rng.random())
    blocks_per_chunk = _blocks_per_chunk(document, extra)
    extra["cpu_bytes_to_use"] = max(2, int(most_blocks / blocks_per_chunk)) * chunk_bytes
    num_tiers = settings.get("tiers", 1) or draft.between(1, 3)
    most_passes = settings.get("most_passes", 4)

    def passes(most: int) -> list[int]:
        return [draft.between(0, most) for _ in range(draft.between(1, 7))]

    extra["spec_name"] = "TieringOffloadingSpec"
    extra["secondary_tiers"] = [
        {
            "type": "ScriptedTier",
            "module_path": "scripted_tier",
            "read": passes(most_passes),
            "write": passes(most_passes),
            "lookup": passes(draft.one_of(0, 1, most_passes)),
            **({"backpressure": _backpressure(draft)} if draft.chance(settings.get("backpressure", 0.0)) else {}),
        }
        for _ in range(num_tiers)
    ]
    document["transfer_passes"]["pass_ns"] = [draft.between(1, 40) * 1_000_000]
    return document


def _backpressure(draft: Draft) -> dict[str, Any]:
    """Marks that are often reached: chunks of some kilobytes, and passes of some milliseconds."""
    low = draft.between(1, 400) / 100
    return {
        "backpressure_cls": "EMABackpressureDetector",
        "policy_cls": draft.one_of("ThrottledDropPolicy", "DropStorePolicy"),
        "low_water_s": low,
        "high_water_s": low * draft.between(10, 50) / 10,
        "alpha": draft.one_of(0.15, 0.5, 1.0),
        "warmup_completions": draft.between(0, 4),
        "decay_half_life_s": draft.one_of(0.0, 0.1, 0.5, 2.0),
        "cooldown_s": draft.one_of(0.0, 0.1, 1.0),
    }


def _blocks_per_chunk(document: dict[str, Any], extra: dict[str, Any]) -> int:
    return extra.get("blocks_per_chunk") or extra.get("block_size", 0) // document["engine"]["block_size"] or 1


def _bytes_per_chunk(document: dict[str, Any], extra: dict[str, Any]) -> int:
    num_tokens = document["engine"]["block_size"] * _blocks_per_chunk(document, extra)
    return -(-num_tokens * BYTES_PER_TOKEN // PAGE) * PAGE
