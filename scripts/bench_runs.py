#!/usr/bin/env python3
"""Whole runs of `profiler simulate` as processes: median time, instructions, peak memory, and the digest of each run.

    bench_runs.py PROGRAM [--json FILE]

Start, profile, workload, simulation and table are all inside: it is what a user waits for. Two versions compare by
instructions, which hardly vary; times need a quiet machine. If a digest changed, the runs are other work.
Settings: see scripts/bench.sh.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
from pathlib import Path
from typing import Any

from bench_process import Failed, instructions, timed

# Above this valgrind would take minutes for one count.
MOST_COUNTED_SECONDS = 2.0

LOOP = ["--dataset-name", "random", "--max-concurrency", "64"]
WORKLOADS: dict[str, list[str]] = {
    "10k requests, 1,024 in, 128 out, 64 at once": [*LOOP, "--num-prompts", "10000"],
    "the same, 1,280 out": [*LOOP, "--num-prompts", "10000", "--random-output-len", "1280"],
    "the same, 20 a second": ["--dataset-name", "random", "--num-prompts", "10000", "--request-rate", "20"],
    "1M requests, 64 at once": [*LOOP, "--num-prompts", "1000000"],
    "1M requests, 512 in, 250 out, 24 a second": [
        *["--dataset-name", "random", "--random-input-len", "512", "--random-output-len", "250"],
        *["--request-rate", "24", "--num-prompts", "1000000"],
    ],
    "2,000 requests, 64 at once": [*LOOP, "--num-prompts", "2000"],
    "Azure conversation trace, first 1,000": [],
}
TRACES = {
    "Azure conversation trace": "AZURE_TRACE",
    "Mooncake conversation trace": "MOONCAKE_TRACE",
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    repeats = int(os.environ.get("REPEATS", "5"))
    with_instructions = os.environ.get("INSTRUCTIONS", "1") != "0"
    workloads = dict(WORKLOADS)
    left_out = []
    for name, variable in TRACES.items():
        if path := os.environ.get(variable):
            workloads[name] = ["--dataset-path", path]
        else:
            left_out.append(f"{name}: {variable} is not set")
    print(f"\n{'':<44}{'median':>9}{'CPU':>9}{'memory':>10}{'instructions':>16}  digest")
    rows = []
    for name, flags in workloads.items():
        command = [arguments.program, "simulate", *flags]
        try:
            row = measured(name, command, repeats, with_instructions)
        except Failed as failure:
            left_out.append(f"{name}: {failure}")
            continue
        rows.append(row)
        count = "not counted" if row["instructions"] is None else f"{row['instructions'] / 1e6:,.1f} M"
        times = f"{1e3 * row['wall_s']:>6.0f} ms{1e3 * row['cpu_s']:>6.0f} ms{row['peak_mib']:>6.0f} MiB"
        print(f"{name:<44}{times}{count:>16}  {row['digest']}", flush=True)
    for line in left_out:
        print(f"not measured: {line}")
    if arguments.json:
        load = os.getloadavg()[0]
        arguments.json.write_text(json.dumps({"load": load, "runs": rows, "not_measured": left_out}, indent=1) + "\n")
    return 0


def measured(name: str, command: list[str], repeats: int, with_instructions: bool) -> dict[str, Any]:
    run = timed(command, repeats)
    digest = re.search(r"Digest of the run:\s+(\S+)", run.stdout)
    if digest is None:
        raise Failed("it printed no digest")
    count = instructions(command) if with_instructions and run.cpu_s < MOST_COUNTED_SECONDS else None
    return {
        "name": name,
        "flags": command[2:],
        "wall_s": run.wall_s,
        "cpu_s": run.cpu_s,
        "peak_mib": run.peak_mib,
        "instructions": count,
        "digest": digest[1],
    }


if __name__ == "__main__":
    sys.exit(main())
