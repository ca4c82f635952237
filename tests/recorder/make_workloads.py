#!/usr/bin/env python3
"""Makes random workloads, each kind built to bring certain scheduling rules into play.

    make_workloads.py --kind KIND --seed N [--async] [-o FILE]
    make_workloads.py --list

The same kind, seed and mode always give the same workload. With and without --async only that setting differs.
"""

from __future__ import annotations

import argparse
import json
import sys
import zlib
from pathlib import Path
from typing import Any

from draft import Draft
from kinds_core import KINDS as CORE_KINDS
from kinds_stress import KINDS as STRESS_KINDS
from workload import Workload, write_json

KINDS = CORE_KINDS | STRESS_KINDS


def make_workload(kind: str, seed: int, async_scheduling: bool) -> dict[str, Any]:
    """The workload document of one kind and seed."""
    # Kinds with the same seed must not share their random numbers. Text hashes differ from run to run; CRCs do not.
    draft = Draft(zlib.crc32(kind.encode()) * 1_000 + seed)
    KINDS[kind](draft)
    draft.engine["async_scheduling"] = async_scheduling
    document = draft.document()
    Workload(document)
    return document


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kind", choices=sorted(KINDS))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--async", dest="async_scheduling", action="store_true")
    parser.add_argument("-o", "--out", type=Path, metavar="FILE", help="default: standard output")
    parser.add_argument("--list", action="store_true", help="print the kinds and what they are for")
    arguments = parser.parse_args()
    if arguments.list:
        for kind, build in sorted(KINDS.items()):
            print(f"{kind:22}{build.__doc__.splitlines()[0]}")
        return 0
    if arguments.kind is None:
        parser.error("--kind is needed")
    document = make_workload(arguments.kind, arguments.seed, arguments.async_scheduling)
    if arguments.out:
        write_json(document, arguments.out)
    else:
        print(json.dumps(document))
    return 0


if __name__ == "__main__":
    sys.exit(main())
