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


class _Answer(Mapping[str, Any]):
    """A mapping of figures, with columns behind them."""

    def __init__(self, figures: dict[str, Any]) -> None:
        self._figures = figures

    def __getitem__(self, key: str) -> Any:
        return self._figures[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._figures)

    def __len__(self) -> int:
        return len(self._figures)

    def to_dict(self) -> dict[str, Any]:
        """All figures, as a dict that may be changed."""
        return dict(self._figures)

    def columns(self) -> Columns:
        """A list for each column of the table."""
        raise NotImplementedError

    def to_pandas(self) -> pandas.DataFrame:
        """The columns as a data frame. Needs pandas."""
        import pandas

        return pandas.DataFrame(self.columns())

    def to_arrow(self) -> pyarrow.Table:
        """The columns as a table. Needs pyarrow."""
        import pyarrow

        return pyarrow.table(self.columns())

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        """For whoever takes Arrow's tables: `polars.DataFrame(run)`. Needs pyarrow."""
        return self.to_arrow().__arrow_c_stream__(requested_schema)


class Run(_Answer):
    """A simulated run: a mapping of the keys of `vllm bench serve`'s result file, with the object `simulation`."""

    def __init__(self, native: _native.Run) -> None:
        super().__init__(json.loads(native.json(datetime.now().strftime("%Y%m%d-%H%M%S"))))
        self._native = native

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

    def columns(self) -> Columns:
        """A row for each request, as `profiler simulate --per-request-csv` has them; what a request does not have is
        None."""
        rows = csv.reader(io.StringIO(self._native.requests_csv()))
        names = next(rows)
        columns: Columns = {name: [] for name in names}
        readers = [(_reader(name), columns[name]) for name in names]
        for row in rows:
            for cell, (read, column) in zip(row, readers):
                column.append(read(cell) if cell else None)
        return columns


class Capacity(_Answer):
    """How much load is carried: a mapping of the keys that `profiler capacity --output-json` writes."""

    def __init__(self, answer: str, text: str) -> None:
        super().__init__(json.loads(answer))
        self._text = text

    def __str__(self) -> str:
        """What `profiler capacity` prints."""
        return self._text

    def __repr__(self) -> str:
        return f"Capacity({self.value} {self['load']})"

    @property
    def value(self) -> float | None:
        """The highest load that meets the objectives: requests per second, or requests at once; None if nothing does."""
        value: float | None = self["capacity"]
        return value

    def columns(self) -> Columns:
        """The load curve: a row for each run behind it."""
        rows = [{"load": point["load"], **trial} for point in self["curve"] for trial in point["trials"]]
        return {name: [row[name] for row in rows] for name in (rows[0] if rows else {})}


class Recommendation(_Answer):
    """What answers a workload best: a mapping of the keys that `profiler recommend --output-json` writes."""

    def __init__(self, answer: str, text: str) -> None:
        super().__init__(json.loads(answer))
        self._text = text

    def __str__(self) -> str:
        """What `profiler recommend` prints."""
        return self._text

    def __repr__(self) -> str:
        best = self["ranked"][0]["name"] if self["ranked"] else self["why_nothing"]
        return f"Recommendation({best})"

    @property
    def command(self) -> str | None:
        """The `vllm serve` of the best; None if nothing is recommended (`why_nothing` says why)."""
        ranked = self["ranked"]
        command: str | None = ranked[0]["command"] if ranked else None
        return command

    def columns(self) -> Columns:
        """The ranking, best first: a row for each that was searched to the end and meets the objectives."""
        names = ("name", "command", "gpu", "gpus_per_engine", "replicas", "capacity")
        rows = [{**{name: entry[name] for name in names}, **_flat(entry["operating"])} for entry in self["ranked"]]
        return {name: [row[name] for row in rows] for name in (rows[0] if rows else {})}


class Split(_Answer):
    """How GPUs are divided best: a mapping of the keys that `profiler recommend --disaggregated --output-json` writes."""

    def __init__(self, answer: str, text: str) -> None:
        super().__init__(json.loads(answer))
        self._text = text

    def __str__(self) -> str:
        """What `profiler recommend --disaggregated` prints."""
        return self._text

    def __repr__(self) -> str:
        best = self.best
        if best is None:
            return "Split(nothing meets the objectives)"
        return f"Split({', '.join(f'{name}={count}' for name, count in best.items())})"

    @property
    def best(self) -> dict[str, int] | None:
        """The flags of the split that is recommended, as `profiler simulate` takes them: `replicas`, or
        `prefill_replicas` and `decode_replicas`; None if no split carries anything."""
        place = self["best"]
        if place is None:
            return None
        names = ("replicas", "prefill_replicas", "decode_replicas")
        split = self["splits"][place]
        return {name: split[name] for name in names if split[name] is not None}

    def columns(self) -> Columns:
        """A row for each split."""
        names = ("replicas", "prefill_replicas", "decode_replicas", "capacity", "is_limited", "excluded")
        return {name: [split[name] for split in self["splits"]] for name in names}


def _flat(figures: dict[str, Any]) -> dict[str, Any]:
    """Figures with a name for each percentile instead of a list of three."""
    rest = dict(figures)
    latencies = rest.pop("p99_ms_ttft_tpot_e2el")
    return {**rest, **dict(zip(("p99_ttft_ms", "p99_tpot_ms", "p99_e2el_ms"), latencies))}


def _reader(name: str) -> Any:
    if name in _WORDS:
        return str
    if name in _SWITCHES:
        return lambda cell: cell == "true"
    return int if name in _COUNTS else float
