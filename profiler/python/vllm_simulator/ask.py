"""The questions."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, Literal

from . import _native
from .answers import Capacity, Run
from .flags import FlagValue
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
    if not 1 <= num_seeds <= 100:
        raise ValueError(f"num_seeds {num_seeds}: give a number from 1 to 100")
    question = Question(flags, profile, link, tokenizer)
    return Capacity(*_native.capacity(question, by, share, num_seeds))
