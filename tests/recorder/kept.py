"""The recipes of the traces that are kept, from the lists in `kept/`.

A line is a recipe: kind, layers and drafter if there are any, mode, seed, version of vLLM (not in the first corpus),
and `blocks` if the trace has block ids. Lines that begin with # are remarks.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from drafter_settings import METHODS
from layer_sets import LAYER_SETS
from recipe import FIRST_VERSION, Recipe, short_version

LISTS_DIR = Path(__file__).parent / "kept"
TRACES_DIR = Path(__file__).parents[1] / "data" / "traces"
# The lists, and the folder of TRACES_DIR that each is kept in.
FOLDERS = {
    "plain": "",
    "v0.33": "v0.33",
    "groups": "groups",
    "speculation": "speculation",
    "groups_speculation": "groups_speculation",
}


class Kept(NamedTuple):
    """One trace that is kept."""

    recipe: Recipe
    with_blocks: bool

    @property
    def file_name(self) -> str:
        return f"{self.recipe.name}.json.gz"


def kept(corpus: str) -> list[Kept]:
    """The list of a corpus, in the order in which its manifest names the traces."""
    return sorted(_read(LISTS_DIR / f"{corpus}.txt"), key=_order)


def line(recipe: Recipe) -> str:
    """The line of a recipe."""
    mode = "async" if recipe.async_scheduling else "sync"
    words = [recipe.kind, recipe.layers, recipe.method, mode, str(recipe.seed)]
    if recipe.says_version:
        words.append(short_version(recipe.version))
    return " ".join(word for word in words if word)


def _read(path: Path) -> Iterator[Kept]:
    for text in path.read_text(encoding="utf-8").splitlines():
        if text and not text.startswith("#"):
            yield _parse(text.split())


def _parse(words: list[str]) -> Kept:
    kind, *rest = words
    recipe = Recipe(kind, async_scheduling="async" in rest, seed=0)
    for word in rest:
        if word in LAYER_SETS:
            recipe = recipe._replace(layers=word)
        elif word in METHODS:
            recipe = recipe._replace(method=word)
        elif word.startswith("v"):
            recipe = recipe._replace(version=f"0.{word[1:]}.0")
        elif word.isdecimal():
            recipe = recipe._replace(seed=int(word))
    return Kept(recipe, "blocks" in rest)


def _order(one: Kept) -> tuple[str, str, str, str, bool, int]:
    recipe = one.recipe
    version = "" if recipe.version == FIRST_VERSION else recipe.version
    return recipe.kind, recipe.layers or "", recipe.method or "", version, recipe.async_scheduling, recipe.seed
