"""How long passes take: profiles as objects."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from . import _native
from .flags import FlagValue, written


class Profile:
    """The step times of a model on a GPU: a file that `profiler` measured, imported or composed."""

    def __init__(self, source: str | os.PathLike[str] | Mapping[str, Any], name: str = "profile") -> None:
        """`source` is a path, the text of a profile's file, or that text as a dict; `name` is for reports."""
        if isinstance(source, Mapping):
            self._json = json.dumps(source)
        elif isinstance(source, str) and source.lstrip().startswith("{"):
            self._json = source
        else:
            path = Path(source)
            try:
                self._json = path.read_text(encoding="utf-8")
            except (OSError, UnicodeDecodeError) as error:
                raise ValueError(f"{path} cannot be read as a profile: {error}") from error
            name = path.stem
        self.name = name

    def to_json(self) -> str:
        """The text of its file."""
        return self._json

    def to_dict(self) -> dict[str, Any]:
        """That text, read: change a copy and make a profile of it."""
        read: dict[str, Any] = json.loads(self._json)
        return read

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes its file, which `profiler simulate --profile` and the page take."""
        Path(path).write_text(self._json, encoding="utf-8")

    def __repr__(self) -> str:
        return f"Profile({self.name!r}, {len(self._json)} bytes)"


def compose(**flags: FlagValue) -> Profile:
    """The profile of a model on a GPU, composed of measured operators: `profiler compose`."""
    name, text = _native.compose(Question(flags, None, None, None))
    return Profile(text, name)


class Question:
    """What the native functions take."""

    def __init__(
        self,
        flags: Mapping[str, object],
        profile: Profile | str | os.PathLike[str] | Mapping[str, Any] | None,
        link: str | None,
        tokenizer: str | os.PathLike[str] | None,
    ) -> None:
        self.flags = written(flags)
        self.profile_path: str | None = None
        self.profile_json: tuple[str, str] | None = None
        if isinstance(profile, (str, os.PathLike)) and not str(profile).lstrip().startswith("{"):
            # Its reader says best what is wrong with a file.
            self.profile_path = os.fspath(profile)
        elif profile is not None:
            made = profile if isinstance(profile, Profile) else Profile(profile)
            self.profile_json = (made.name, made.to_json())
        self.link = link
        self.tokenizer = None if tokenizer is None else os.fspath(tokenizer)
