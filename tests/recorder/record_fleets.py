#!/usr/bin/env python3
"""Records what vLLM's code for several engines does: the balancer's choices, ranks in lockstep.

    record_fleets.py -o DIR [--seeds 0-3]

Recording again gives the same bytes. Formats: tests/data/traces/README.md.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from balancer_recorder import record_balancer
from fleet_workloads import BALANCER_KINDS, LOCKSTEP_KINDS, balancer_document, lockstep_document
from kept import TRACES_DIR
from lockstep_recorder import record_lockstep
from workload import write_json

# Seeds of what is kept.
KEPT_SEEDS = (0, 11)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", metavar="A-B", help="others than those that are kept")
    parser.add_argument("-o", "--out", type=Path, metavar="DIR", default=TRACES_DIR / "fleets")
    arguments = parser.parse_args()
    first, last = (int(part) for part in arguments.seeds.split("-")) if arguments.seeds else KEPT_SEEDS
    for seed in range(first, last + 1):
        for kind in BALANCER_KINDS:
            write_json(record_balancer(balancer_document(kind, seed)), arguments.out / f"lb_{kind}_{seed}.json.gz")
        for kind in LOCKSTEP_KINDS:
            # Odd seeds are asynchronous; both modes of each would say little more.
            trace = record_lockstep(lockstep_document(kind, seed % 2 == 1, seed))
            write_json(trace, arguments.out / f"dp_{kind}_{seed}.json.gz")
    return 0


if __name__ == "__main__":
    sys.exit(main())
