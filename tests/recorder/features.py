"""What a trace has: kinds of groups, drafter, settings. A manifest counts them, so that one sees what is covered."""

from __future__ import annotations

from typing import Any

from workload import ENGINE_DEFAULTS

GROUP_KINDS = {
    "FullAttentionSpec": "full",
    "SlidingWindowSpec": "window",
    "ChunkedLocalAttentionSpec": "chunked",
    "MLAAttentionSpec": "mla",
    "MambaSpec": "mamba",
}


def features(trace: dict[str, Any]) -> list[str]:
    """Names of what is in a trace, sorted."""
    found = {f"vllm_{trace['vllm']}", *_of_engine(trace["engine"])}
    workload = trace["workload"]
    if "groups" in trace:
        found |= _of_groups(trace["groups"], workload["layers"]) | _of_cache(workload, trace["engine"])
    if "speculative" in trace:
        found |= _of_drafter(trace["speculative"], workload["speculative"])
    if workload.get("aborts"):
        found.add("aborts")
    return sorted(found)


def _of_engine(engine: dict[str, Any]) -> set[str]:
    found = {"async" if engine["async_scheduling"] else "sync"}
    if engine["policy"] == "priority":
        found.add("priority")
    if engine["pipeline_parallel_size"] > 1:
        found.add(f"pipeline_{engine['pipeline_parallel_size']}")
    if not engine["enable_chunked_prefill"]:
        found.add("no_chunked_prefill")
    if not engine["enable_prefix_caching"]:
        found.add("no_prefix_caching")
    if engine.get("prefill_schedule_interval", 1) > 1:
        found.add("prefill_schedule_interval")
    named = ("long_prefill_token_threshold", "watermark", "max_num_active_seqs", "max_num_scheduled_tokens")
    return found | {name for name in named if engine[name] != ENGINE_DEFAULTS[name]}


def _of_groups(groups: dict[str, Any], layers: list[dict[str, Any]]) -> set[str]:
    kinds = {GROUP_KINDS.get(group["spec"], group["spec"]) for group in groups["groups"]}
    found = {f"group_{kind}" for kind in kinds}
    found.add(f"groups_{len(groups['groups'])}")
    if len(kinds) > 2:
        found.add(f"kinds_{len(kinds)}")
    if len({len(group["layers"]) for group in groups["groups"]}) > 1:
        found.add("padding_layers")
    block_sizes = {group["block_size"] for group in groups["groups"]}
    if len(block_sizes) > 1:
        found.add("unequal_block_sizes")
    sizes = {
        (one.get("kv_heads", 1), one.get("head_size"), one.get("block_size"), one.get("state"))
        for one in layers
        if one["kind"] != "mamba"
    }
    if len(sizes) > 1:
        found.add("pages_made_equal" if len(groups["groups"]) > 1 else "one_group_of_sizes")
    return found


def _of_cache(workload: dict[str, Any], engine: dict[str, Any]) -> set[str]:
    found = {name for name in ("disable_hybrid", "prefix_match_unit", "shared_prefix_checkpoint") if workload.get(name)}
    mamba = [one for one in workload["layers"] if one["kind"] == "mamba"]
    if mamba:
        default = "align" if engine["enable_prefix_caching"] else "none"
        found.add(f"mamba_{workload.get('mamba_mode', default)}")
    if any("checkpoint_alignment" in one for one in mamba):
        found.add("checkpoint_alignment")
    if "retention" in workload:
        found.add("retention_all" if workload["retention"] is None else "retention_interval")
    return found


def _of_drafter(facts: dict[str, Any], drafter: dict[str, Any]) -> set[str]:
    found = {f"method_{drafter['method']}"}
    named = ("v2_runner", "parallel_drafting", "disable_lookahead_block_hashes", "disable_eagle_block_drop")
    found |= {name for name in named if drafter.get(name)}
    if "num_speculative_tokens_per_batch_size" in drafter:
        found.add("dynamic_drafts")
    if facts["hash_lookahead"]:
        found.add("keys_look_ahead")
    if facts["eagle_block_drop"]:
        found.add("block_dropped")
    if facts["skips_drafts"]:
        found.add("skips_drafts")
    if facts["prefill_lookahead"] > 1:
        found.add("prefill_lookahead")
    return found
