#!/usr/bin/env python3
"""Records whole sets of generated workloads, with a manifest of which rules they exercise.

    record_corpus.py                       the set kept in tests/data/traces
    record_corpus.py --seeds 0-3 -o DIR    every kind with these seeds, synchronous and asynchronous

A trace that is recorded again gives the same bytes. Run with the Python that scripts/install-vllm.sh set up.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

from make_workloads import KINDS, make_workload
from schedule_recorder import Recording, record
from workload import Workload, write_json

KEPT_DIR = Path(__file__).parents[1] / "data" / "traces"

# What is kept: the seeds of each kind, recorded in both modes. They are the ones of the first six that use the most
# rules and notice the most ways of getting one wrong.
KEPT_SEEDS: dict[str, tuple[int, ...]] = {
    "abort_all": (1,),
    "aborts": (4,),
    "aborts_prefix": (2, 3),
    "active_seqs": (1,),
    "basic": (1,),
    "blocks_128": (5,),
    "boundaries": (2,),
    "chunked": (2,),
    "duplicates": (4,),
    "eos": (3,),
    "everything": (5,),
    "everything_pipeline": (5,),
    "explicit": (3,),
    "identical": (4,),
    "idle": (0,),
    "long_prefill": (1,),
    "long_prefill_adaptive": (1, 4),
    "model_len": (1,),
    "multiturn": (0,),
    "no_cache": (0,),
    "no_chunk": (0,),
    "no_chunk_stuck": (2,),
    "no_reserve": (0,),
    "pipeline": (4,),
    "pipeline_abort_all": (5,),
    "pipeline_aborts": (4,),
    "pipeline_priority": (5,),
    "pipeline_tight": (2,),
    "pipeline_victims": (1, 3),
    "prefix": (1,),
    "prefix_evict": (5,),
    "priority_ignored": (5,),
    "priority_ties": (2,),
    "queue": (2,),
    "rollback": (1,),
    "rollback_budget": (4,),
    "salt": (3,),
    "scheduled_tokens": (3,),
    "stale_finish": (3,),
    "stale_finish_priority": (2,),
    "stop_ids": (2, 3),
    "thrash": (5,),
    "thrash_priority": (1,),
    "tight_fcfs": (0,),
    "tight_priority": (4,),
    "watermark": (1, 3, 5),
}
# Kinds kept with block ids, which pin down the order of the free list directly.
KEPT_WITH_BLOCKS = ("prefix_evict", "duplicates", "no_cache", "rollback", "aborts_prefix", "pipeline_tight")


class Item(NamedTuple):
    """One trace to record."""

    kind: str
    async_scheduling: bool
    seed: int

    @property
    def file_name(self) -> str:
        return f"{self.kind}_{'async' if self.async_scheduling else 'sync'}_{self.seed}.json.gz"


def count(recording: Recording) -> dict[str, Any]:
    """The counts of one trace; those that the trace itself does not show come from the probes."""
    trace = recording.trace
    requests = Workload(trace["workload"]).requests
    counts: Counter[str] = Counter(requests=len(requests), iterations=len(trace["iterations"]))
    for entry in trace["iterations"]:
        entries = entry.get("s")
        if entries is not None:
            counts["passes" if entries else "empty_passes"] += 1
            counts["entries"] += len(entries)
            counts["scheduled_tokens"] += sum(tokens for _, tokens, _ in entries)
        counts["delivered_tokens"] += entry.get("ntok", 0)
        counts["preemptions"] += len(entry.get("pre", ()))
        counts["admissions"] += len(entry.get("new", ()))
        counts["resumes"] += len(entry.get("res", ()))
        for key, name in (("new", "hit"), ("res", "hit_on_resume")):
            counts[f"{name}s"] += sum(hit > 0 for _, hit in entry.get(key, ()))
            counts[f"{name}_tokens"] += sum(hit for _, hit in entry.get(key, ()))
        for index, reason, num_outputs in entry.get("fin", ()):
            counts[f"finished_{reason}"] += 1
            counts["max_model_len_stops"] += reason == "length" and num_outputs < requests[index].max_tokens
    return {name: value for name, value in sorted((counts + recording.counts).items())}


def record_all(items: list[Item], with_blocks: tuple[str, ...], directory: Path) -> None:
    """Records the items and writes MANIFEST.json beside them."""
    rows = []
    for item in items:
        document = make_workload(*_order(item))
        recording = record(document, item.kind in with_blocks)
        path = directory / item.file_name
        write_json(recording.trace, path)
        rows.append({"file": item.file_name, **item._asdict(), "bytes": path.stat().st_size, **count(recording)})
    totals: Counter[str] = Counter()
    exercised_by: Counter[str] = Counter()
    for row in rows:
        numbers = {key: value for key, value in row.items() if key not in Item._fields and key != "file"}
        totals.update(numbers)
        exercised_by.update(numbers.keys())
    exercised_by.pop("bytes")
    manifest = {
        "vllm": "0.32.0",
        "made_by": "tests/recorder/record_corpus.py",
        "totals": {"traces": len(rows), **dict(sorted(totals.items()))},
        "traces_in_which_it_happens": dict(sorted(exercised_by.items())),
        "traces": rows,
    }
    (directory / "MANIFEST.json").write_text(_readable(manifest), encoding="utf-8")


def _order(item: Item) -> tuple[str, int, bool]:
    return item.kind, item.seed, item.async_scheduling


def _readable(manifest: dict[str, Any]) -> str:
    """Indented, but one line to a trace."""
    traces = manifest.pop("traces")
    head = json.dumps(manifest, indent=1)
    lines = ",\n  ".join(json.dumps(row) for row in traces)
    return f'{head[:-2]},\n "traces": [\n  {lines}\n ]\n}}\n'


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", metavar="A-B", help="every kind with the seeds A to B")
    parser.add_argument("-o", "--out", type=Path, metavar="DIR", default=KEPT_DIR)
    arguments = parser.parse_args()
    if arguments.seeds:
        first, last = (int(part) for part in arguments.seeds.split("-"))
        seeds = dict.fromkeys(KINDS, tuple(range(first, last + 1)))
        with_blocks: tuple[str, ...] = ()
    else:
        seeds, with_blocks = KEPT_SEEDS, KEPT_WITH_BLOCKS
    items = [Item(kind, mode, seed) for kind in sorted(seeds) for mode in (False, True) for seed in seeds[kind]]
    record_all(items, with_blocks, arguments.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
