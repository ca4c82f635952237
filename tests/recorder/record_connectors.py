#!/usr/bin/env python3
"""Records what vLLM's scheduler does with a KV connector.

    record_connectors.py [-o DIR] [--seeds A-B]

Recording again gives the same bytes. Formats: tests/data/traces/README.md.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from connector_workloads import KINDS, connector_document
from kept import TRACES_DIR
from schedule_recorder import NoProgress, record
from workload import write_json

# Far more than these workloads need.
MOST_ITERATIONS = 20_000


def record_kinds(
    description: str,
    folder: str,
    kept_seeds: tuple[int, int],
    kinds: list[str],
    document_of: Callable[[str, bool, int], dict],
    beside: Sequence[tuple[str, bool, int]] = (),
) -> int:
    """Records workloads of all kinds, synchronous and not, as the command line says: by default those that are kept, and
    single ones `beside` them, each with its kind, whether it is asynchronous, and its seed."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", metavar="A-B", help="others than those that are kept")
    parser.add_argument("-o", "--out", type=Path, metavar="DIR", default=TRACES_DIR / folder)
    arguments = parser.parse_args()
    first, last = (int(part) for part in arguments.seeds.split("-")) if arguments.seeds else kept_seeds
    wanted = [(kind, is_async, seed) for kind in kinds for is_async in (False, True) for seed in range(first, last + 1)]
    for kind, async_scheduling, seed in wanted if arguments.seeds else [*wanted, *beside]:
        name = f"{kind}_{'async' if async_scheduling else 'sync'}_{seed}"
        document = document_of(kind, async_scheduling, seed)
        try:
            trace = record(document, max_iterations=MOST_ITERATIONS).trace
        except NoProgress as stuck:
            # Requests that hold blocks for loads can wait for each other's.
            print(f"{name}: {stuck}", file=sys.stderr)
            continue
        write_json(trace, arguments.out / f"{name}.json.gz")
    return 0


if __name__ == "__main__":
    sys.exit(record_kinds(__doc__, "kv_connector", (0, 4), list(KINDS), connector_document))
