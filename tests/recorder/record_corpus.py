#!/usr/bin/env python3
"""Records whole sets of generated workloads, with a manifest of which rules they exercise.

    record_corpus.py                                  what is kept in tests/data/traces of this version of vLLM
    record_corpus.py --corpus groups                  one of the sets kept there
    record_corpus.py --seeds 0-3 -o DIR               every kind with these seeds, synchronous and asynchronous
    record_corpus.py --seeds 0-3 --methods eagle,mtp --layers anything,- --kinds everything -o DIR

The sets that are kept are listed in kept/. A trace that is recorded again gives the same bytes; those of another
version of vLLM stay as they are, so both Pythons are run in turn (scripts/install-vllm.sh, scripts/follow-vllm.sh).
With --seeds a workload that vLLM refuses at its start, fails at or does not finish is reported and left out; - stands
for none.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import schedule_recorder
from drafter_settings import METHODS
from engine import VLLM_VERSION
from kept import FOLDERS, TRACES_DIR, Kept, kept
from layer_sets import LAYER_SETS
from manifest import row, update_manifest
from recipe import Recipe, kinds_for, make_workload
from workload import WorkloadError, write_json

# Enough for any of the kinds: what is not finished by then never is.
MAX_ITERATIONS_OF_A_TRIAL = 30_000


def record_one(one: Kept, directory: Path) -> dict[str, Any]:
    """Writes one trace; returns its row of the manifest."""
    recording = schedule_recorder.record(make_workload(one.recipe), one.with_blocks)
    path = directory / one.file_name
    write_json(recording.trace, path)
    return row(one.recipe, one.file_name, path.stat().st_size, recording.trace, recording.counts)


def record_kept(corpus: str, out: Path) -> None:
    """Records the traces of a corpus that are of this version; the others of its manifest stay."""
    directory = out / FOLDERS[corpus]
    all_of_it = kept(corpus)
    rows = [record_one(one, directory) for one in all_of_it if one.recipe.version == VLLM_VERSION]
    if rows:
        update_manifest(directory, rows, [one.file_name for one in all_of_it])


def record_trials(recipes: Iterator[Recipe], out: Path) -> None:
    """Records what can be recorded and says what cannot."""
    schedule_recorder.MAX_ITERATIONS = MAX_ITERATIONS_OF_A_TRIAL
    rows = []
    for recipe in recipes:
        try:
            rows.append(record_one(Kept(recipe, with_blocks=False), out))
        except WorkloadError:
            # A combination that the recorder does not offer: drafts of synchronous pipeline stages.
            continue
        except (RuntimeError, AssertionError, IndexError, ValueError) as error:
            print(f"{recipe.name}: {type(error).__name__}: {str(error).splitlines()[0]}", flush=True)
    if rows:
        update_manifest(out, rows, [one["file"] for one in rows])
    print(f"{len(rows)} traces recorded into {out}")


def trials(arguments: argparse.Namespace) -> Iterator[Recipe]:
    """All combinations that were asked for."""
    first, last = (int(part) for part in arguments.seeds.split("-"))
    for method in _choices(arguments.methods, METHODS):
        for layers in _choices(arguments.layers, LAYER_SETS):
            kinds = kinds_for(method, layers)
            for kind in arguments.kinds.split(",") if arguments.kinds else sorted(kinds):
                for async_scheduling in (False, True):
                    for seed in range(first, last + 1):
                        yield Recipe(kind, async_scheduling, seed, VLLM_VERSION, method, layers)


def _choices(given: str, known: Any) -> list[str | None]:
    names = list(known) if given == "all" else given.split(",")
    unknown = set(names) - {*known, "-"}
    if unknown:
        sys.exit(f"{', '.join(sorted(unknown))}: unknown; there are {', '.join(known)}")
    return [None if name == "-" else name for name in names]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", choices=FOLDERS, action="append", help="may be repeated; default: all")
    parser.add_argument("--seeds", metavar="A-B", help="not what is kept, but kinds with the seeds A to B")
    parser.add_argument("--methods", metavar="A,B", default="-", help="with --seeds: drafters, or all")
    parser.add_argument("--layers", metavar="A,B", default="-", help="with --seeds: sets of layers, or all")
    parser.add_argument("--kinds", metavar="A,B", help="with --seeds: kinds; default: all")
    parser.add_argument("-o", "--out", type=Path, metavar="DIR", default=TRACES_DIR)
    arguments = parser.parse_args()
    if arguments.seeds:
        if arguments.out == TRACES_DIR:
            parser.error("--seeds: name a directory with -o; what is kept is listed in kept/")
        record_trials(trials(arguments), arguments.out)
        return 0
    for corpus in arguments.corpus or FOLDERS:
        record_kept(corpus, arguments.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
