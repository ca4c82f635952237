"""The model's layers and the drafter, as an engine resolved them, in the words of the trace format.

Shared by the driver and by the recorder inside a server. What the format cannot say is refused by name: an engine that
keeps something else in its KV cache, or drafts otherwise, is not one with plain layers and no drafter.
"""

from __future__ import annotations

import re
from typing import Any


class NotSimulated(Exception):
    """The engine has something that the trace format has no words for."""


# Classes of `vllm/v1/kv_cache_interface.py`. A subclass is another kind.
KINDS = {
    "FullAttentionSpec": "full",
    "MLAAttentionSpec": "mla",
    "SlidingWindowSpec": "window",
    "ChunkedLocalAttentionSpec": "chunked",
    "MambaSpec": "mamba",
}
# Fields of those classes that change what a block is or who may share it, and the values that change nothing.
PLAIN_FIELDS: dict[str, tuple[Any, ...]] = {
    "block_stride_alignment": (None,),
    "non_causal": (False,),
    "non_causal_multi_token_decode": (False,),
    "alignment": (None,),
    "is_index_group_leader": (False,),
    "tokens_per_state": (1, -1),
}
# Keys of vLLM's `SpeculativeConfig` that the scheduler's rules read, with the values that change nothing.
DRAFTER_DEFAULTS: dict[str, Any] = {
    "num_speculative_tokens_per_batch_size": None,
    "disable_lookahead_block_hashes": False,
    "disable_eagle_block_drop": False,
    "parallel_drafting": False,
}


def described_model(config: Any, specs: dict[str, Any], scheduler: Any) -> dict[str, Any]:
    """What the layers of `specs`, in model order, keep; who drafts; and what vLLM's `scheduler` made of both."""
    cache = config.cache_config
    model: dict[str, Any] = {
        "layers": layers(specs),
        "disable_hybrid": bool(config.scheduler_config.disable_hybrid_kv_cache_manager),
        "retention": getattr(cache, "prefix_cache_retention_interval", 0),
        "prefix_match_unit": getattr(cache, "prefix_match_unit", None),
        "shared_prefix_checkpoint": bool(getattr(cache, "enable_mamba_shared_prefix_checkpoint", False)),
    }
    states = [spec for spec in specs.values() if type(spec).__name__ == "MambaSpec"]
    if states:
        model["mamba_mode"] = states[0].mamba_cache_mode
        model["mamba_block"] = states[0].block_size
    described: dict[str, Any] = {"model": model, "groups": groups(scheduler, list(specs))}
    if config.speculative_config is not None:
        model["speculative"] = drafter(config)
        described["speculative"] = drafting(config, scheduler)
    return described


def layers(specs: dict[str, Any]) -> list[dict[str, Any]]:
    """Runs of equal layers."""
    runs: list[dict[str, Any]] = []
    for name, spec in specs.items():
        one = layer(name, spec)
        if runs and all(runs[-1][key] == one[key] for key in one if key != "n") and len(runs[-1]) == len(one):
            runs[-1]["n"] += 1
        else:
            runs.append(one)
    return runs


def layer(name: str, spec: Any) -> dict[str, Any]:
    found = type(spec).__name__
    kind = KINDS.get(found)
    if kind is None:
        raise NotSimulated(f"layer {name} keeps a {found}; those that are simulated are {', '.join(KINDS)}")
    for field, plain in PLAIN_FIELDS.items():
        value = getattr(spec, field, plain[0])
        if value not in plain:
            raise NotSimulated(f"layer {name}: {found}.{field} is {value!r}, and only {plain[0]!r} is simulated")
    one: dict[str, Any] = {"kind": kind, "n": 1, "block_size": spec.block_size}
    if kind == "mamba":
        one["bytes"] = spec.state_content_size_bytes
        if spec.prefill_checkpoint_alignment is not None:
            one["checkpoint_alignment"] = spec.prefill_checkpoint_alignment
    else:
        heads = 1 if kind == "mla" else spec.num_kv_heads
        num_bytes, rest = divmod(spec.unpadded_page_size_bytes, spec.block_size * heads)
        if rest:
            whole = spec.unpadded_page_size_bytes
            raise NotSimulated(f"layer {name}: the {whole} bytes of a block are not of whole tokens")
        one |= {"kv_heads": heads, "head_size": spec.head_size, "bytes": num_bytes}
    if spec.page_size_padded is not None:
        one["page"] = spec.page_size_padded
    for field, word in (("sliding_window", "window"), ("attention_chunk_size", "chunk")):
        if getattr(spec, field, None) is not None:
            one[word] = getattr(spec, field)
    if getattr(spec, "is_draft", False):
        one["draft"] = True
    return one


def groups(scheduler: Any, names: list[str]) -> dict[str, Any]:
    """What vLLM made of the layers; these by their places in `names`."""
    config = scheduler.kv_cache_config
    place_of = {name: f"layer.{place}" for place, name in enumerate(names)}
    made = []
    for group in config.kv_cache_groups:
        unknown = [name for name in group.layer_names if name not in place_of]
        if unknown:
            raise NotSimulated(f"layer {unknown[0]} is in a group of the KV cache, and no worker has it")
        made.append(
            {
                "spec": type(group.kv_cache_spec).__name__,
                "block_size": group.kv_cache_spec.block_size,
                "page": group.kv_cache_spec.page_size_bytes,
                "layers": [place_of[name] for name in group.layer_names],
                "eagle": bool(getattr(group, "is_eagle_group", False)),
            }
        )
    return {
        "groups": made,
        "num_blocks": config.num_blocks,
        "scheduler_block_size": scheduler.block_size,
        "hash_block_size": scheduler.hash_block_size,
    }


def layers_of_groups(scheduler: Any) -> dict[str, Any]:
    """By name, in model order as far as the numbers in their names tell: what a scheduler alone knows of layers."""

    def numbers(name: str) -> list[Any]:
        return [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", name)]

    groups_of = scheduler.kv_cache_config.kv_cache_groups
    specs = {name: group.kv_cache_spec for group in groups_of for name in group.layer_names}
    return {name: specs[name] for name in sorted(specs, key=numbers)}


def drafter(config: Any) -> dict[str, Any]:
    """The drafter, with the keys of `--speculative-config`."""
    given = config.speculative_config
    hf_config = getattr(getattr(given, "draft_model_config", None), "hf_config", None)
    described: dict[str, Any] = {
        "method": given.method,
        "num_speculative_tokens": given.num_speculative_tokens,
        "v2_runner": bool(getattr(config, "use_v2_model_runner", False)),
        "proposes_as_scheduled": True,
    }
    for key, default in DRAFTER_DEFAULTS.items():
        value = getattr(given, key, default)
        if value != default:
            described[key] = value
    if given.method == "mtp":
        described["num_mtp_layers"] = getattr(hf_config, "num_nextn_predict_layers", None) or 1
    if given.method == "dspark":
        described["sample_from_anchor"] = bool(getattr(hf_config, "sample_from_anchor", True))
    if given.method == "ngram":
        described |= {"prompt_lookup_max": given.prompt_lookup_max, "prompt_lookup_min": given.prompt_lookup_min}
    return described


def drafting(config: Any, scheduler: Any) -> dict[str, Any]:
    """What vLLM derived from the drafter. A version that lacks a rule has the value that changes nothing."""
    return {
        "k": scheduler.num_spec_tokens,
        "lookahead": scheduler.num_lookahead_tokens,
        "draft_slots": config.speculative_config.max_num_new_slots_for_drafting,
        "hash_lookahead": getattr(scheduler, "num_hash_lookahead_tokens", 0),
        "eagle_block_drop": bool(scheduler.use_eagle_block_drop),
        "skips_drafts": bool(getattr(scheduler, "can_skip_drafts", False)),
        "prefill_lookahead": scheduler.num_prefill_lookahead,
    }
