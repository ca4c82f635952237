"""What a generated workload is made from. A recipe names the workload, and always gives the same one."""

from __future__ import annotations

import zlib
from typing import Any, NamedTuple

from draft import Draft
from drafter_settings import draw_drafter
from kinds_core import KINDS as CORE_KINDS
from kinds_drafts import KINDS as DRAFT_KINDS
from kinds_layers import KINDS as LAYER_KINDS
from kinds_model import KINDS as MODEL_KINDS
from kinds_stress import KINDS as STRESS_KINDS
from layer_sets import draw_layers
from workload import Workload

PLAIN_KINDS = CORE_KINDS | STRESS_KINDS | {"cadence": MODEL_KINDS["cadence"]}
FIRST_VERSION = "0.32.0"


class Recipe(NamedTuple):
    """Kind and seed, and what else there is to choose."""

    kind: str
    async_scheduling: bool
    seed: int
    version: str = FIRST_VERSION
    method: str | None = None
    layers: str | None = None

    @property
    def name(self) -> str:
        """`{kind}_{layers}_{method}_{sync|async}_{seed}_{v32|v33}`."""
        parts = [self.kind, self.layers, self.method, "async" if self.async_scheduling else "sync", str(self.seed)]
        if self.says_version:
            parts.append(short_version(self.version))
        return "_".join(part for part in parts if part)

    @property
    def has_model(self) -> bool:
        """Whether there are layers or a drafter, and not just one layer of full attention."""
        return self.method is not None or self.layers is not None

    @property
    def says_version(self) -> bool:
        """The first corpus is of one version, and its names do not say it."""
        return self.has_model or self.version != FIRST_VERSION

    @property
    def parts(self) -> dict[str, Any]:
        """The fields that say something, as a manifest lists them."""
        given = {"layers": self.layers, "method": self.method}
        named = {"kind": self.kind, **{name: value for name, value in given.items() if value is not None}}
        if self.says_version:
            named["vllm"] = self.version
        return named | {"async_scheduling": self.async_scheduling, "seed": self.seed}


def short_version(version: str) -> str:
    """`v33` of 0.33.0."""
    _, minor, patch = version.split(".")
    return f"v{minor}" if patch == "0" else f"v{minor}.{patch}"


def kinds_for(method: str | None, layers: str | None) -> dict[str, Any]:
    """The kinds that can be had with this choice of drafter and layers."""
    if method is None and layers is None:
        return PLAIN_KINDS
    return MODEL_KINDS | (DRAFT_KINDS if method else {}) | (LAYER_KINDS if layers else {})


def make_workload(recipe: Recipe) -> dict[str, Any]:
    """The workload document of a recipe."""
    # Recipes with the same seed must not share their random numbers. Text hashes differ from run to run; CRCs do not.
    subject = "/".join(part for part in (recipe.kind, recipe.layers, recipe.method) if part)
    draft = Draft(zlib.crc32(subject.encode()) * 1_000 + recipe.seed)
    if recipe.method is not None:
        draw_drafter(draft, recipe.method, recipe.async_scheduling, recipe.version)
    if recipe.layers is not None:
        draw_layers(draft, recipe.layers)
    kinds_for(recipe.method, recipe.layers)[recipe.kind](draft)
    draft.engine["async_scheduling"] = recipe.async_scheduling
    if not draft.setting("enable_prefix_caching"):
        # Mamba blocks are then as long as max_model_len, and the interval would have to be a multiple of that.
        draft.model.pop("retention", None)
    document = draft.document()
    Workload(document)
    return document
