#!/usr/bin/env python3
"""Records what vLLM's scheduler does with the connector that keeps KV blocks in host memory.

    record_offloading.py [-o DIR] [--seeds A-B]

Recording again gives the same bytes. Formats: tests/data/traces/README.md.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from kept import TRACES_DIR
from offloading_workloads import KINDS, offloading_document
from schedule_recorder import NoProgress, record
from workload import write_json

# Seeds of what is kept.
KEPT_SEEDS = (0, 0)
# Far more than these workloads need.
MOST_ITERATIONS = 20_000


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", metavar="A-B", help="others than those that are kept")
    parser.add_argument("-o", "--out", type=Path, metavar="DIR", default=TRACES_DIR / "kv_offloading")
    arguments = parser.parse_args()
    first, last = (int(part) for part in arguments.seeds.split("-")) if arguments.seeds else KEPT_SEEDS
    for kind in KINDS:
        for async_scheduling in (False, True):
            for seed in range(first, last + 1):
                name = f"{kind}_{'async' if async_scheduling else 'sync'}_{seed}"
                document = offloading_document(kind, async_scheduling, seed)
                try:
                    trace = record(document, max_iterations=MOST_ITERATIONS).trace
                except NoProgress as stuck:
                    # Requests that hold blocks for loads can wait for each other's.
                    print(f"{name}: {stuck}", file=sys.stderr)
                    continue
                write_json(trace, arguments.out / f"{name}.json.gz")
    return 0


if __name__ == "__main__":
    sys.exit(main())
