#!/usr/bin/env python3
"""Makes random workloads, each kind built to bring certain scheduling rules into play.

    make_workloads.py --kind KIND --seed N [--async] [--method METHOD] [--layers SET] [-o FILE]
    make_workloads.py --list

The same choices always give the same workload. With and without --async only that setting differs. Kinds of engines
with a drafter (--method) or with layers of several kinds (--layers) are others than those of plain engines.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from drafter_settings import METHODS
from layer_sets import LAYER_SETS
from recipe import FIRST_VERSION, PLAIN_KINDS, Recipe, kinds_for, make_workload
from workload import write_json


def print_kinds(with_models: bool) -> None:
    """The kinds of plain engines; with the others the drafters and the sets of layers, too."""
    titled = [("", PLAIN_KINDS)]
    if with_models:
        model_kinds = kinds_for("eagle", "alternate")
        titled = [*titled, ("\nwith a drafter or layers:", model_kinds), ("\nsets of layers:", LAYER_SETS)]
    for title, entries in titled:
        if title:
            print(title)
        for name, make in sorted(entries.items()):
            print(f"{name:22}{make.__doc__.splitlines()[0]}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kind")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--async", dest="async_scheduling", action="store_true")
    parser.add_argument("--method", choices=METHODS, help="with a drafter")
    parser.add_argument("--layers", choices=LAYER_SETS, help="with layers of several kinds")
    parser.add_argument("--vllm", metavar="VERSION", default=FIRST_VERSION, help="whose settings there may be")
    parser.add_argument("-o", "--out", type=Path, metavar="FILE", help="default: standard output")
    parser.add_argument("--list", action="store_true", help="print the kinds of plain engines and what they are for")
    parser.add_argument("--list-all", action="store_true", help="print all kinds, and the sets of layers")
    arguments = parser.parse_args()
    if arguments.list or arguments.list_all:
        print_kinds(arguments.list_all)
        return 0
    kinds = kinds_for(arguments.method, arguments.layers)
    if arguments.kind not in kinds:
        parser.error(f"--kind is needed, one of {', '.join(sorted(kinds))}")
    recipe = Recipe(
        arguments.kind,
        arguments.async_scheduling,
        arguments.seed,
        arguments.vllm,
        arguments.method,
        arguments.layers,
    )
    document = make_workload(recipe)
    if arguments.out:
        write_json(document, arguments.out)
    else:
        print(json.dumps(document))
    return 0


if __name__ == "__main__":
    sys.exit(main())
