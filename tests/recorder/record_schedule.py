#!/usr/bin/env python3
"""Records what a real vLLM schedules for given workloads: 0.32.0 or 0.33.0, whichever this Python has.

    record_schedule.py WORKLOAD.json... [-o DIR] [--blocks] [--events]
    record_schedule.py --check TRACE.json.gz...

Without -o a trace goes beside its workload. --check records the workload inside each trace again and compares.
Formats: tests/data/traces/README.md. Run with the Python that scripts/install-vllm.sh or follow-vllm.sh set up.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from workload import WorkloadError, read_json, write_json


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE", help="workloads, or traces with --check")
    parser.add_argument("-o", "--out", type=Path, metavar="DIR", help="where the traces go")
    parser.add_argument("--blocks", action="store_true", help="also write which block ids were handed out")
    parser.add_argument("--events", action="store_true", help="also write the events of the KV cache")
    parser.add_argument("--check", action="store_true", help="record again and compare; exit status 1 if any differs")
    arguments = parser.parse_args()
    if arguments.check:
        return check(arguments.files)
    from engine import StartRefused
    from schedule_recorder import record

    for path in arguments.files:
        document = read_json(path)
        try:
            trace = record(document.get("workload", document), arguments.blocks, with_events=arguments.events).trace
        except (WorkloadError, StartRefused) as error:
            sys.exit(f"{path}: {error}")
        target = (arguments.out or path.parent) / f"{path.name.split('.')[0]}.json.gz"
        if target == path:
            parser.error(f"{path}: would overwrite its own input; give -o")
        write_json(trace, target)
    return 0


def check(paths: list[Path]) -> int:
    """Compares each trace with a fresh recording of its workload, on the version of vLLM that it is of."""
    from engine import VLLM_VERSION
    from schedule_recorder import record

    differing = 0
    for path in paths:
        kept = read_json(path)
        if kept["vllm"] != VLLM_VERSION:
            sys.exit(f"{path}: of vLLM {kept['vllm']}, this is {VLLM_VERSION}; compare with scripts/follow-vllm.sh")
        with_blocks = any("blocks" in entry for entry in kept["iterations"])
        with_events = any("kv" in entry for entry in kept["iterations"])
        fresh = record(kept["workload"], with_blocks, with_events=with_events).trace
        difference = first_difference(kept, fresh)
        if difference:
            differing += 1
            print(f"{path}: {difference}")
    print(f"{len(paths) - differing} of {len(paths)} traces identical")
    return 1 if differing else 0


def first_difference(kept: dict[str, Any], fresh: dict[str, Any]) -> str | None:
    """Compares as text, so that the order of keys counts too."""
    for key in ("engine", "usable_blocks", "groups", "speculative"):
        if kept.get(key) != fresh.get(key):
            return f"{key}: kept {kept.get(key)}, fresh {fresh.get(key)}"
    kept_entries, fresh_entries = ([_text(e) for e in trace["iterations"]] for trace in (kept, fresh))
    for iteration, (old, new) in enumerate(zip(kept_entries, fresh_entries)):
        if old != new:
            return f"iteration {iteration}:\n  kept  {old}\n  fresh {new}"
    if len(kept_entries) != len(fresh_entries):
        return f"kept {len(kept_entries)} iterations, fresh {len(fresh_entries)}"
    return None


def _text(entry: dict[str, Any]) -> str:
    return json.dumps(entry, separators=(",", ":"))


if __name__ == "__main__":
    sys.exit(main())
