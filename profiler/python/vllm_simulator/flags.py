"""Python's values as flags have them."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import TypeAlias

FlagValue: TypeAlias = "bool | int | float | str | os.PathLike[str] | Mapping[str, object] | list[object] | tuple[object, ...] | None"


def written(flags: Mapping[str, object]) -> list[tuple[str, str | None]]:
    """Names and values; what is None is not given."""
    return [(name, text(name, value)) for name, value in flags.items() if value is not None]


def text(name: str, value: object) -> str:
    """A value as the command line has it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Mapping):
        if name.replace("-", "_") == "goodput":
            return " ".join(f"{metric}:{bound}" for metric, bound in value.items())
        return json.dumps(value, separators=(",", ":"))
    if isinstance(value, (list, tuple)):
        return " ".join(str(word) for word in value)
    if isinstance(value, os.PathLike):
        return str(os.fspath(value))
    return str(value)
