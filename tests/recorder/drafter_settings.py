"""Draws how a drafter is set up, and what becomes of its drafts."""

from __future__ import annotations

from typing import Any

from draft import Draft

# Methods with layers of their own, whose drafts lie in the KV cache.
WITH_LAYERS = ("draft_model", "eagle", "eagle3", "mtp", "dflash", "dspark")
METHODS = ("ngram", *WITH_LAYERS)
# Methods whose block keys look ahead with vLLM 0.33, or that give up the last block of a hit.
READS_NEXT_TOKEN = ("eagle", "eagle3", "mtp")


def draw_drafter(d: Draft, method: str, async_scheduling: bool, version: str) -> None:
    """Sets the workload's drafter. The same seed gives the same one for both modes where vLLM allows it."""
    drafter: dict[str, Any] = {"method": method, "num_speculative_tokens": d.between(1, 6)}
    v2_runner = d.chance(0.6)
    if method == "ngram":
        drafter |= {"prompt_lookup_max": d.between(2, 4), "prompt_lookup_min": d.between(1, 2)}
        # Asynchronous drafts from the text alone are the V2 runner's.
        v2_runner = async_scheduling
    if method == "mtp":
        _draw_mtp(d, drafter)
    if method == "dspark":
        drafter["sample_from_anchor"] = d.chance(0.5)
        v2_runner = True
    if method in ("draft_model", "eagle3") and d.chance(0.25):
        drafter["parallel_drafting"] = True
        v2_runner = False
    if method in READS_NEXT_TOKEN:
        _draw_reuse(d, drafter, version)
    if v2_runner:
        drafter["v2_runner"] = True
    d.model["speculative"] = drafter


def _draw_mtp(d: Draft, drafter: dict[str, Any]) -> None:
    """One layer that is run several times, or a chain of layers; vLLM asks for a whole number of rounds."""
    num_layers = d.one_of(1, 2, 3, 4)
    drafter["num_mtp_layers"] = num_layers
    drafter["num_speculative_tokens"] = d.one_of(num_layers, num_layers, 2 * num_layers, max(1, num_layers - 1))


def _draw_reuse(d: Draft, drafter: dict[str, Any], version: str) -> None:
    """Now and then without keys that look ahead, which gives up a block, and without that either."""
    if d.chance(0.3) and version != "0.32.0":
        drafter["disable_lookahead_block_hashes"] = True
    if d.chance(0.15):
        drafter["disable_eagle_block_drop"] = True


def largest_verification(d: Draft) -> int:
    """Tokens of a whole verification and the slots its drafting may take beside it."""
    drafter = d.model.get("speculative")
    return 2 * drafter["num_speculative_tokens"] + 1 if drafter else 1


def draft_acceptance(d: Draft, generous: bool = False) -> dict[str, Any]:
    """How many drafts of one request are accepted, verification by verification, and how many there are."""
    drafter = d.model.get("speculative")
    if drafter is None:
        return {}
    most = drafter["num_speculative_tokens"]
    fields: dict[str, Any] = {}
    shape = d.between(0, 9)
    if shape < 6:
        lowest = most // 2 if generous else 0
        fields["accept"] = [d.between(lowest, most) for _ in range(d.between(2, 7))]
    elif shape == 6 and not generous:
        fields["accept"] = [0]
    elif shape == 7:
        fields["accept"] = [most, 0]
    if drafter["method"] == "ngram" and d.chance(0.7):
        fields["propose"] = [d.one_of(0, 0, most, d.between(0, most)) for _ in range(d.between(2, 6))]
    return fields
