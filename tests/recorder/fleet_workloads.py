"""What several engines together are given, made up by kind and seed: events for balancers, requests for ranks."""

from __future__ import annotations

import zlib
from typing import Any

from draft import Draft

# Kinds of events: ranks and API servers, how often the coordinator tells counts, how full KV caches get, how many
# requests name their rank, how many end.
BALANCER_KINDS: dict[str, dict[str, Any]] = {
    "burst": {"ranks": (2, 3, 16), "clients": (1,), "snapshots": 0.02, "kv": (0.0, 0.3), "ends": 0.1, "named": 0.0},
    "steady": {"ranks": (3, 4, 16), "clients": (1,), "snapshots": 0.15, "kv": (0.0, 0.6), "ends": 0.4, "named": 0.0},
    "pressure": {"ranks": (4, 5, 8), "clients": (1, 2), "snapshots": 0.2, "kv": (0.4, 1.0), "ends": 0.35, "named": 0.0},
    "stale": {"ranks": (2, 4, 8), "clients": (4, 8), "snapshots": 0.03, "kv": (0.0, 1.0), "ends": 0.3, "named": 0.05},
    "named": {"ranks": (2, 5), "clients": (2, 3), "snapshots": 0.1, "kv": (0.0, 0.9), "ends": 0.3, "named": 0.4},
}
# Kinds of ranks in lockstep.
LOCKSTEP_KINDS = ("bursts", "trickle", "throttled", "one_sided", "tight")


def balancer_document(kind: str, seed: int) -> dict[str, Any]:
    """Requests, ends and counts, in a random order."""
    draft = Draft(zlib.crc32(kind.encode()) * 1_000 + seed)
    settings = BALANCER_KINDS[kind]
    num_ranks, num_clients = draft.one_of(*settings["ranks"]), draft.one_of(*settings["clients"])
    events: list[dict[str, Any]] = []
    under_way: list[tuple[int, str]] = []
    for number in range(draft.between(40, 90)):
        if draft.chance(settings["snapshots"]):
            low, high = settings["kv"]
            # A share that no binary fraction is: sums in another order would show.
            usage = [round(low + draft.rng.random() * (high - low), 3) for _ in range(num_ranks)]
            counts = [[draft.skewed(0, 30), draft.skewed(0, 64), share] for share in usage]
            events.append({"e": "snapshot", "counts": counts})
        if under_way and draft.chance(settings["ends"]):
            client, name = under_way.pop(draft.between(0, len(under_way) - 1))
            events.append({"e": "finish", "client": client, "id": name})
        event = {"e": "add", "client": draft.between(0, num_clients - 1), "id": f"q{number}"}
        if under_way and draft.chance(0.03):
            # A request that continues, and one that nobody knows the end of.
            event["client"], event["id"] = draft.one_of(*under_way)
        elif draft.chance(settings["named"]):
            event["rank"] = draft.between(0, num_ranks - 1)
        if (event["client"], event["id"]) not in under_way:
            under_way.append((event["client"], event["id"]))
        events.append(event)
    return {"ranks": num_ranks, "clients": num_clients, "events": events}


def lockstep_document(kind: str, async_scheduling: bool, seed: int) -> dict[str, Any]:
    """Requests with the tick and the rank at which they come."""
    draft = Draft(zlib.crc32(f"lockstep {kind}".encode()) * 1_000 + seed)
    num_ranks = draft.one_of(2, 2, 3, 4)
    tight = kind == "tight"
    draft.set_engine(
        usable_blocks=draft.between(18, 30) if tight else draft.between(60, 200),
        max_model_len=256,
        max_num_seqs=draft.one_of(2, 4, 8),
        max_num_batched_tokens=draft.one_of(32, 64, 128),
    )
    tick = draft.between(0, 3)
    for _ in range(draft.between(8, 24)):
        fields = {"prompt_len": draft.skewed(1, 180), "max_tokens": draft.skewed(1, 40)}
        rank = 0 if kind == "one_sided" and draft.chance(0.8) else draft.between(0, num_ranks - 1)
        draft.requests.append({**fields, "tick": tick, "rank": rank})
        if kind == "trickle":
            tick += draft.skewed(0, 60)
        elif not draft.chance(0.5):
            tick += draft.skewed(1, 12)
    draft.engine["async_scheduling"] = async_scheduling
    interval = draft.one_of(2, 3, 4) if kind == "throttled" else draft.one_of(1, 1, 1, 2)
    return {
        "ranks": num_ranks,
        "engine": draft.engine,
        "dp_sync_interval": draft.one_of(2, 4, 16),
        "prefill_schedule_interval": interval,
        "requests": draft.requests,
    }
