#!/usr/bin/env python3
"""Records what is kept in tests/data/traces again, with whatever vLLM this Python has, and says what differs.

    compare_corpus.py -o DIR [TRACE.json.gz ...]

Differences are what one wants to know, so the exit status is 0 whenever it ran to its end. A workload that this vLLM
does not start with, or fails at, is listed as such. Fresh traces of those that differ go to DIR.
scripts/follow-vllm.sh runs this for a release.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from kept import TRACES_DIR
from workload import read_json, write_json

# What the keys of an iteration say, as far as they do not say it themselves.
MEANING = {
    "s": "tokens scheduled",
    "new": "admitted",
    "res": "admitted again",
    "pre": "preempted",
    "spec": "drafts verified",
    "skip": "drafting left out",
    "k": "drafts asked for",
    "free": "free blocks after scheduling",
    "run": "running requests",
    "wait": "waiting requests",
    "done": "pass processed",
    "acc": "drafts accepted",
    "ntok": "tokens delivered",
    "fin": "finished",
    "free_end": "free blocks at the end",
    "blocks": "block ids",
}
OUTCOMES = ("same", "differs", "refused", "fails")


def compare(path: Path, out: Path) -> tuple[str, str]:
    """The outcome for one trace, and what there is to say of it."""
    from engine import StartRefused
    from schedule_recorder import record

    kept = read_json(path)
    try:
        has = {key: any(key in entry for entry in kept["iterations"]) for key in ("blocks", "kv")}
        fresh = record(kept["workload"], has["blocks"], with_events=has["kv"]).trace
    except StartRefused as error:
        return "refused", str(error)
    # Another vLLM may fail in any way, and the next trace is to be tried.
    except Exception as error:
        return "fails", f"{type(error).__name__}: {error}"
    # Written down and read again, so that both have text for keys.
    fresh = json.loads(json.dumps(fresh))
    differences = [text for text in (derived_difference(kept, fresh), first_difference(kept, fresh)) if text]
    if not differences:
        return "same", ""
    write_json(fresh, out / path.relative_to(TRACES_DIR) if path.is_relative_to(TRACES_DIR) else out / path.name)
    return "differs", "; ".join(differences)


def derived_difference(kept: dict[str, Any], fresh: dict[str, Any]) -> str | None:
    """What vLLM derived otherwise before the first pass."""
    for key in ("engine", "usable_blocks", "groups", "speculative"):
        if kept.get(key) != fresh.get(key):
            return _within(key, kept.get(key), fresh.get(key))
    return None


def first_difference(kept: dict[str, Any], fresh: dict[str, Any]) -> str | None:
    """The first iteration that differs, and in which of its keys."""
    for iteration, (old, new) in enumerate(zip(kept["iterations"], fresh["iterations"])):
        for key in [*old, *(key for key in new if key not in old)]:
            if old.get(key) != new.get(key):
                name = f"{key} ({MEANING[key]})" if key in MEANING else key
                return f"iteration {iteration}, {_within(name, old.get(key), new.get(key))}"
    lengths = len(kept["iterations"]), len(fresh["iterations"])
    return None if lengths[0] == lengths[1] else f"expected {lengths[0]} iterations, found {lengths[1]}"


def _within(name: str, old: Any, new: Any) -> str:
    """Goes down to the first part that differs, so that a line stays readable."""
    if isinstance(old, dict) and isinstance(new, dict):
        for key in [*old, *(key for key in new if key not in old)]:
            if old.get(key) != new.get(key):
                return _within(f"{name}.{key}", old.get(key), new.get(key))
    if isinstance(old, list) and isinstance(new, list) and not (name.endswith(")") and _is_flat(old)):
        for place, (one, other) in enumerate(zip(old, new)):
            if one != other:
                return f"{name}[{place}]: expected {one}, found {other}"
        if len(old) != len(new):
            place = min(len(old), len(new))
            longer, verb = (old, "expected") if len(old) > len(new) else (new, "found")
            return f"{name}[{place}]: {verb} {longer[place]}, and no more in the other"
    return f"{name}: expected {old}, found {new}"


def _is_flat(values: list[Any]) -> bool:
    return not any(isinstance(value, (list, dict)) for value in values)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("traces", nargs="*", type=Path, metavar="TRACE", help="default: all of tests/data/traces")
    parser.add_argument("-o", "--out", type=Path, required=True, metavar="DIR", help="where traces that differ go")
    arguments = parser.parse_args()
    os.environ["RECORDER_ANY_VLLM"] = "1"
    from engine import VLLM_VERSION

    outcomes: dict[tuple[str, str], Counter[str]] = {}
    for path in arguments.traces or sorted(TRACES_DIR.rglob("*.json.gz")):
        outcome, text = compare(path.resolve(), arguments.out)
        folder = str(path.resolve().parent.relative_to(TRACES_DIR.parent)) if not arguments.traces else "given"
        outcomes.setdefault((folder, read_json(path)["vllm"]), Counter())[outcome] += 1
        if outcome != "same":
            print(f"{path.name} {outcome}: {text}", flush=True)
    print(f"\nvLLM {VLLM_VERSION} against what is kept:")
    for (folder, version), counts in sorted(outcomes.items()):
        told = ", ".join(f"{counts[outcome]} {outcome}" for outcome in OUTCOMES if counts[outcome])
        print(f"  {folder}, recorded from {version}: {told}")
    total = sum(outcomes.values(), Counter())
    print(f"{total['same']} of {total.total()} traces are the same")
    return 0


if __name__ == "__main__":
    sys.exit(main())
