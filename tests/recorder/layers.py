"""The layers that the fake workers say the model has: the `layers` of a workload as vLLM's own specs.

vLLM asks its workers for one spec per layer and does everything else itself: which layers share a group, how their
pages are made equal, how large a block is. So the specs are all there is of a model here.
"""

from __future__ import annotations

from typing import Any

import torch
from vllm.v1.kv_cache_interface import (
    ChunkedLocalAttentionSpec,
    FullAttentionSpec,
    KVCacheSpec,
    MambaSpec,
    MLAAttentionSpec,
    SlidingWindowSpec,
)
from workload import Workload, WorkloadError

ONE_FULL_LAYER: list[dict[str, Any]] = [{"kind": "full", "n": 1}]
HEAD_SIZE = {"mla": 576}


def layer_specs(workload: Workload) -> dict[str, KVCacheSpec]:
    """By name, in model order. A workload without layers has a single one, of full attention."""
    if workload.layers is None:
        return {"layer": _spec(ONE_FULL_LAYER[0], workload)}
    specs: dict[str, KVCacheSpec] = {}
    for layers in workload.layers:
        for _ in range(layers["n"]):
            specs[f"layer.{len(specs)}"] = _spec(layers, workload)
    return specs


def has_mamba(workload: Workload) -> bool:
    return any(layers["kind"] == "mamba" for layers in workload.layers or ())


def mamba_settings(workload: Workload) -> tuple[str, int]:
    """Cache mode and block size of Mamba layers, with vLLM's defaults for a model that supports prefix caching."""
    settings = workload.engine
    mode = workload.document.get("mamba_mode", "align" if settings["enable_prefix_caching"] else "none")
    default = settings["block_size"] if mode == "align" else settings["max_model_len"]
    return mode, workload.document.get("mamba_block", default)


def _spec(layers: dict[str, Any], workload: Workload) -> KVCacheSpec:
    kind = layers["kind"]
    if kind == "mamba":
        return _mamba_spec(layers, workload)
    attention: dict[str, Any] = {
        "block_size": layers.get("block_size", workload.engine["block_size"]),
        "num_kv_heads": 1 if kind == "mla" else layers.get("kv_heads", 1),
        "head_size": layers.get("head_size", HEAD_SIZE.get(kind, 64)),
        "dtype": torch.bfloat16,
        **_draft_mark(layers, FullAttentionSpec),
    }
    if kind == "full":
        return FullAttentionSpec(**attention)
    if kind == "window":
        return SlidingWindowSpec(**attention, sliding_window=layers["window"])
    if kind == "chunked":
        return ChunkedLocalAttentionSpec(**attention, attention_chunk_size=layers["chunk"])
    if kind == "mla":
        return MLAAttentionSpec(**attention)
    raise WorkloadError(f"layers: unknown kind {kind!r}")


def _mamba_spec(layers: dict[str, Any], workload: Workload) -> MambaSpec:
    mode, block_size = mamba_settings(workload)
    checkpoint: dict[str, int] = {}
    if "checkpoint_alignment" in layers:
        checkpoint = {
            "num_prefill_checkpoint_blocks": 1,
            "prefill_checkpoint_alignment": layers["checkpoint_alignment"],
        }
    return MambaSpec(
        block_size=block_size,
        shapes=((layers.get("state", 512),),),
        dtypes=(torch.float32,),
        mamba_cache_mode=mode,
        page_size_padded=layers.get("page"),
        num_speculative_blocks=(workload.speculative or {}).get("num_speculative_tokens", 0),
        **checkpoint,
        **_draft_mark(layers, MambaSpec),
    )


def _draft_mark(layers: dict[str, Any], spec: type[KVCacheSpec]) -> dict[str, bool]:
    """vLLM 0.32 does not mark a drafter's layers; it takes the last one for it."""
    has_mark = "is_draft" in spec.__dataclass_fields__
    return {"is_draft": True} if layers.get("draft") and has_mark else {}
