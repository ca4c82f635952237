"""What comes back."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas
    import pyarrow

    from . import _native

# Columns of requests that are words; all others are numbers.
_WORDS = {"status"}
_SWITCHES = {"slo_met"}
_COUNTS = {"request", "prompt_tokens", "output_tokens", "cached_tokens", "preemptions", "passes"}

Columns = dict[str, list[Any]]


class Run(Mapping[str, Any]):
    """A simulated run: a mapping of the keys of `vllm bench serve`'s result file, with the object `simulation`."""

    def __init__(self, native: _native.Run) -> None:
        self._native = native
        self._figures: dict[str, Any] = json.loads(native.json(datetime.now().strftime("%Y%m%d-%H%M%S")))

    def __getitem__(self, key: str) -> Any:
        return self._figures[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._figures)

    def __len__(self) -> int:
        return len(self._figures)

    def __str__(self) -> str:
        """The table of `vllm bench serve`, and what the engine did."""
        return self._native.text()

    def __repr__(self) -> str:
        return f"Run({self['completed']} requests in {self['duration']:.3f} s, digest {self.digest})"

    @property
    def digest(self) -> str:
        """Equal digests are equal runs, here, on the command line and on the page."""
        return self._native.digest()

    @property
    def warnings(self) -> list[str]:
        """What vLLM would warn of on start-up."""
        return self._native.warnings()

    def to_dict(self) -> dict[str, Any]:
        """The result file, read."""
        return dict(self._figures)

    def requests(self) -> Columns:
        """A list for each column, a row for each request: `profiler simulate --per-request-csv`. What a request does not
        have is None."""
        rows = csv.reader(io.StringIO(self._native.requests_csv()))
        names = next(rows)
        columns: Columns = {name: [] for name in names}
        readers = [(_reader(name), columns[name]) for name in names]
        for row in rows:
            for cell, (read, column) in zip(row, readers):
                column.append(read(cell) if cell else None)
        return columns

    def to_pandas(self) -> pandas.DataFrame:
        """`requests` as a data frame. Needs pandas."""
        import pandas

        return pandas.DataFrame(self.requests())

    def to_arrow(self) -> pyarrow.Table:
        """`requests` as a table. Needs pyarrow."""
        import pyarrow

        return pyarrow.table(self.requests())


class Capacity(Mapping[str, Any]):
    """How much load is carried: a mapping of the keys that `profiler capacity --output-json` writes."""

    def __init__(self, answer: str, text: str) -> None:
        self._answer: dict[str, Any] = json.loads(answer)
        self._text = text

    def __getitem__(self, key: str) -> Any:
        return self._answer[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._answer)

    def __len__(self) -> int:
        return len(self._answer)

    def __str__(self) -> str:
        """What `profiler capacity` prints."""
        return self._text

    def __repr__(self) -> str:
        return f"Capacity({self.value} {self['load']})"

    @property
    def value(self) -> float | None:
        """The highest load that meets the objectives: requests per second, or requests at once; None if nothing does."""
        value: float | None = self._answer["capacity"]
        return value

    def to_dict(self) -> dict[str, Any]:
        """The answer and every run behind it."""
        return dict(self._answer)

    def curve(self) -> Columns:
        """The load curve: a list for each column, a row for each run behind it."""
        rows = [{"load": point["load"], **trial} for point in self["curve"] for trial in point["trials"]]
        return {name: [row[name] for row in rows] for name in (rows[0] if rows else {})}

    def to_pandas(self) -> pandas.DataFrame:
        """`curve` as a data frame. Needs pandas."""
        import pandas

        return pandas.DataFrame(self.curve())

    def to_arrow(self) -> pyarrow.Table:
        """`curve` as a table. Needs pyarrow."""
        import pyarrow

        return pyarrow.table(self.curve())


def _reader(name: str) -> Any:
    if name in _WORDS:
        return str
    if name in _SWITCHES:
        return lambda cell: cell == "true"
    return int if name in _COUNTS else float
