"""What a scheduler with a KV connector is given, made up by kind and seed."""

from __future__ import annotations

import zlib
from typing import Any

from draft import Draft

# Kinds: which side of a hand-over, what a failed load leads to, and what is frequent.
KINDS: dict[str, dict[str, Any]] = {
    "loads": {"roles": ("kv_consumer", "kv_both"), "tight": 0.0},
    "tight": {"roles": ("kv_consumer", "kv_both", "kv_producer"), "tight": 1.0},
    "sends": {"roles": ("kv_producer", "kv_both"), "tight": 0.5, "sends": 0.8},
    "recompute": {"roles": ("kv_consumer", "kv_both"), "tight": 0.3, "policy": "recompute", "fails": 0.4},
    "fail": {"roles": ("kv_consumer", "kv_both"), "tight": 0.3, "policy": "fail", "fails": 0.25},
    "within_pass": {"roles": ("kv_both", "kv_consumer"), "tight": 0.5, "sync": 1.0, "fails": 0.15},
    "priorities": {"roles": ("kv_both", "kv_producer"), "tight": 0.7, "priorities": True},
    "aborts": {"roles": ("kv_both", "kv_consumer", "kv_producer"), "tight": 0.5, "aborts": 0.35},
    "sticky": {"roles": ("kv_both", "kv_consumer"), "tight": 1.0, "sticky": 0.8},
    "limits": {"roles": ("kv_both", "kv_producer"), "tight": 0.6, "limits": True},
}


def connector_document(kind: str, async_scheduling: bool, seed: int) -> dict[str, Any]:
    """Requests of which the connector has parts."""
    mode = "async" if async_scheduling else "sync"
    draft, settings = Draft(zlib.crc32(f"connector {kind} {mode}".encode()) * 1_000 + seed), KINDS[kind]
    is_tight = draft.chance(settings["tight"])
    block_size = draft.one_of(8, 16)
    longest = draft.one_of(256, 384)
    optional: dict[str, Any] = {}
    if settings.get("limits"):
        optional = {
            "watermark": draft.one_of(0.0, 0.05, 0.1),
            "scheduler_reserve_full_isl": draft.chance(0.5),
            "long_prefill_token_threshold": draft.one_of(0, 24, 48),
            "max_num_active_seqs": draft.one_of(None, 3),
        }
    draft.set_engine(
        usable_blocks=-(-longest // block_size) + draft.between(0, 12) if is_tight else draft.between(120, 240),
        max_model_len=longest,
        block_size=block_size,
        max_num_seqs=draft.one_of(4, 8, 16),
        max_num_batched_tokens=draft.one_of(64, 128, 256),
        policy="priority" if settings.get("priorities") else "fcfs",
        async_scheduling=async_scheduling,
        **optional,
    )
    for _ in range(draft.between(10, 22)):
        _add_request(draft, settings)
    if draft.chance(0.5):
        draft.bursts(6, 3)
    else:
        draft.spread(draft.one_of(0.4, 1.0, 2.5))
    for index in range(len(draft.requests)):
        if draft.chance(settings.get("aborts", 0.0)):
            draft.abort(draft.between(1, 30), index)
    document = draft.document()
    policy = settings.get("policy") or draft.one_of("fail", "recompute")
    return {**document, "kv": {"kv_role": draft.one_of(*settings["roles"]), "kv_load_failure_policy": policy}}


def _add_request(draft: Draft, settings: dict[str, Any]) -> None:
    longest_output = draft.one_of(2, 20, 60)
    num_tokens = draft.between(1, 150)
    fields: dict[str, Any] = {}
    if draft.chance(0.6):
        shared = draft.shared_run(draft.between(0, 2), draft.between(1, 90))
        fields["prompt"] = [shared, draft.private_run(num_tokens)]
    else:
        fields["prompt_len"] = num_tokens
    if settings.get("priorities"):
        fields["priority"] = draft.between(-2, 2)
    if draft.chance(0.7):
        fields["ext"] = "prompt" if draft.chance(0.5) else draft.between(1, 120)
        if not draft.chance(settings.get("sync", 0.3)):
            fields["load_passes"] = draft.one_of(0, 1, 1, 2, 3, 5, 9)
        if draft.chance(0.25):
            fields["not_yet"] = draft.between(1, 4)
        if draft.chance(settings.get("sticky", 0.1)):
            fields["sticky"] = True
        if draft.chance(settings.get("fails", 0.0)):
            whole = "load_passes" in fields and draft.chance(0.4)
            fields["fail"] = "request" if whole else draft.between(0, 3)
    if draft.chance(settings.get("sends", 0.3)):
        fields["send_passes"] = draft.one_of(0, 1, 4, 9)
    draft.add(max_tokens=draft.skewed(1, longest_output), **fields)
