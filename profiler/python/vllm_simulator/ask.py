"""The questions."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from . import _native
from .answers import Capacity, Recommendation, Run, Split
from .flags import FlagValue, text
from .profile import Profile, Question


def simulate(
    profile: Profile | str | os.PathLike[str] | Mapping[str, Any] | None = None,
    *,
    link: str | None = None,
    tokenizer: str | os.PathLike[str] | None = None,
    **flags: FlagValue,
) -> Run:
    """What `vllm bench serve` would report with these flags: `profiler simulate`.

    `profile` is a `Profile`, a path, or the text or dict of one; without it one is composed of `model` and `gpu`, and
    without these the built-in one is used. `link` is a share link of the page, on top of which the flags come.
    """
    return Run(_native.simulate(Question(flags, profile, link, tokenizer)))


def capacity(
    profile: Profile | str | os.PathLike[str] | Mapping[str, Any] | None = None,
    *,
    by: Literal["rate", "concurrency", "users"] = "rate",
    share: float = 0.99,
    num_seeds: int = 5,
    link: str | None = None,
    tokenizer: str | os.PathLike[str] | None = None,
    **flags: FlagValue,
) -> Capacity:
    """The highest load that meets `goodput`, such as `goodput={"ttft": 500, "tpot": 50}`: `profiler capacity`.

    `share` is that of the requests that must meet every objective, `num_seeds` the runs at each load.
    """
    _check("num_seeds", num_seeds, 100)
    question = Question(flags, profile, link, tokenizer)
    return Capacity(*_native.capacity(question, by, share, num_seeds))


def recommend(
    objective: Literal["cost", "throughput", "interactivity", "latency"] = "cost",
    *,
    by: Literal["rate", "concurrency", "users"] = "rate",
    num_gpus: int = 8,
    vary: Mapping[str, Sequence[FlagValue]] | None = None,
    prices: str | os.PathLike[str] | None = None,
    share: float = 0.99,
    num_seeds: int = 3,
    link: str | None = None,
    tokenizer: str | os.PathLike[str] | None = None,
    **flags: FlagValue,
) -> Recommendation:
    """The GPU, parallelism, formats and flags that answer the workload best: `profiler recommend`.

    `objective` is what `--for` is there. `vary` has the values that are tried of a flag, None for vLLM's default, such as
    `vary={"gpu": ["h100-sxm", "l40s"], "max_num_seqs": [64, None]}`. `prices` is the file of a list of prices. `share` is
    that of the requests that must meet `goodput`, `num_seeds` the runs at each load of those searched to the end.
    """
    axes = [
        (name, ["default" if value is None else text(name, value) for value in values]) for name, values in (vary or {}).items()
    ]
    wanted = _wanted(objective, by, num_gpus, axes, prices, share, num_seeds)
    return Recommendation(*_native.recommend(Question(flags, None, link, tokenizer), wanted))


def recommend_split(
    *,
    by: Literal["rate", "concurrency", "users"] = "rate",
    num_gpus: int = 8,
    prices: str | os.PathLike[str] | None = None,
    share: float = 0.99,
    num_seeds: int = 3,
    link: str | None = None,
    tokenizer: str | os.PathLike[str] | None = None,
    **flags: FlagValue,
) -> Split:
    """Which split of `num_gpus` GPUs into prefill and decode replicas carries most, beside all of them doing both:
    `profiler recommend --disaggregated`.

    The engine is as the flags say; `prefill_args` and `decode_args` have those of one role. The other arguments are those of
    `recommend`.
    """
    wanted = _wanted("cost", by, num_gpus, [], prices, share, num_seeds)
    return Split(*_native.recommend_split(Question(flags, None, link, tokenizer), wanted))


@dataclass(frozen=True)
class Wanted:
    """What the native `recommend` and `recommend_split` take beside a question."""

    objective: str
    by: str
    num_gpus: int
    vary: list[tuple[str, list[str]]]
    prices: str | None
    share: float
    num_seeds: int


def _wanted(
    objective: str,
    by: str,
    num_gpus: int,
    vary: list[tuple[str, list[str]]],
    prices: str | os.PathLike[str] | None,
    share: float,
    num_seeds: int,
) -> Wanted:
    _check("num_gpus", num_gpus, 100_000)
    _check("num_seeds", num_seeds, 100)
    path = None if prices is None else os.fspath(prices)
    return Wanted(objective, by, num_gpus, vary, path, share, num_seeds)


def _check(name: str, value: int, limit: int) -> None:
    if not 1 <= value <= limit:
        raise ValueError(f"{name} {value}: give a number from 1 to {limit}")
