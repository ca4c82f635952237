"""What the driver refuses, in words of the protocol."""

from __future__ import annotations

from typing import Any


class Refused(Exception):
    """Something the user can change; `kind` is a word of the protocol."""

    def __init__(self, kind: str, message: str):
        super().__init__(message)
        self.kind = kind


def look_up(owner: Any, *path: str) -> Any:
    """An attribute of vLLM's, or a refusal that names it."""
    found = owner
    for name in path:
        if not hasattr(found, name):
            raise Refused("unsupported_version", f"this vLLM has no {type(owner).__name__}.{'.'.join(path)}")
        found = getattr(found, name)
    return found
