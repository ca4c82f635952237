#!/usr/bin/env python3
"""Runs `profiler sweep` on a Ray cluster: shards are tasks, and a node that dies costs its shards a second try.

    python ray_sweep.py --output-dir DIR [--address auto] [--shards N] [--profiler PATH] -- FLAGS of profiler sweep

Every node needs the same `profiler` (--profiler says where) and the files that the flags name. No shared file system is
needed: a task works in a folder of its own and returns the parts, which this program writes into DIR/parts, whole or not
at all. The plan goes along, so that a node with another program, profile or dataset refuses instead of mixing in.
What is done stays; the same command goes on with the rest. At the end `profiler sweep merge` makes one table of all parts
and finds whatever would be missing or too much.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import ray
from ray.exceptions import RayTaskError

# Of every node's CPUs, so that nodes of different speed end at about the same time.
SHARDS_PER_CPU = 8
# Tasks that wait while others run; more would only be parts kept in memory.
QUEUED_PER_CPU = 2


class SweepError(Exception):
    """What `profiler` says."""


def call(profiler: str, *arguments: str, threads: int | None = None) -> None:
    """Runs the program; its message is the error."""
    environment = os.environ | ({} if threads is None else {"RAYON_NUM_THREADS": str(threads)})
    try:
        done = subprocess.run([profiler, *arguments], env=environment, capture_output=True, text=True, check=False)
    except OSError as error:
        raise SweepError(f"{profiler} cannot be started here: {error}") from error
    if done.returncode != 0:
        raise SweepError(done.stderr.strip() or f"{profiler} ended with {done.returncode}")


def run_shard(profiler: str, plan: bytes, flags: list[str], count: int, index: int, cpus: int) -> dict[str, bytes]:
    """The parts of a shard, by the names of their files."""
    with tempfile.TemporaryDirectory(prefix="sweep-") as folder:
        (Path(folder) / "plan.json").write_bytes(plan)
        shard = ["--shards", str(count), "--shard", str(index)]
        call(profiler, "sweep", "--quiet", "--output-dir", folder, *shard, *flags, threads=cpus)
        return {path.name: path.read_bytes() for path in sorted(Path(folder, "parts").glob("part-*.json"))}


def write_whole(path: Path, contents: bytes) -> None:
    """The file whole, or not at all."""
    descriptor, draft = tempfile.mkstemp(dir=path.parent, prefix=".part-")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(contents)
        os.chmod(draft, 0o644)
        os.replace(draft, path)
    except BaseException:
        Path(draft).unlink(missing_ok=True)
        raise


def num_parts(plan: bytes) -> int:
    facts = json.loads(plan)
    return -(-facts["num_points"] // facts["points_per_part"])


def unfinished(parts: Path, total: int, count: int) -> list[int]:
    """The shards that lack a part. Part P is of shard P modulo `count`."""
    return sorted({part % count for part in range(total) if not (parts / f"part-{part:05}.json").exists()})


def sweep(
    output_dir: Path,
    flags: list[str],
    *,
    profiler: str = "profiler",
    shards: int | None = None,
    cpus: int = 1,
    on_progress: Callable[[int, int], None] = lambda done, of: None,
) -> None:
    """Runs the sweep on the cluster that Ray is connected to, and merges it."""
    call(profiler, "sweep", "--dry-run", "--output-dir", str(output_dir), *flags)
    plan = (output_dir / "plan.json").read_bytes()
    total = num_parts(plan)
    parts = output_dir / "parts"
    parts.mkdir(exist_ok=True)
    cluster_cpus = max(1, int(ray.cluster_resources().get("CPU", 1)) // cpus)
    count = min(shards or cluster_cpus * SHARDS_PER_CPU, total)

    # A node that dies is no fault of the shard's, and is tried again without end; what the program refuses, once.
    task = ray.remote(num_cpus=cpus, max_retries=-1, retry_exceptions=False)(run_shard)
    plan_reference = ray.put(plan)
    waiting = unfinished(parts, total, count)
    done, of = count - len(waiting), count
    running: list[ray.ObjectRef] = []
    try:
        while waiting or running:
            while waiting and len(running) < cluster_cpus * (1 + QUEUED_PER_CPU):
                running.append(task.remote(profiler, plan_reference, flags, count, waiting.pop(0), cpus))
            ready, running = ray.wait(running, num_returns=1)
            for name, contents in ray.get(ready[0]).items():
                write_whole(parts / name, contents)
            done += 1
            on_progress(done, of)
    except RayTaskError as error:
        raise SweepError(str(error.cause)) from error
    finally:
        for reference in running:
            ray.cancel(reference, force=True)
    call(profiler, "sweep", "merge", str(output_dir))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--output-dir", type=Path, required=True, help="folder of the sweep, on this machine")
    parser.add_argument("--address", help="the cluster; without it RAY_ADDRESS, else one of this machine alone")
    parser.add_argument("--profiler", default="profiler", help="the program, on every node")
    parser.add_argument("--shards", type=int, help=f"tasks [default: {SHARDS_PER_CPU} a CPU of the cluster]")
    parser.add_argument("--cpus-per-task", type=int, default=1)
    parser.add_argument("flags", nargs="+", help="after --: flags of `profiler sweep`")
    given = parser.parse_args()
    if given.cpus_per_task < 1 or (given.shards is not None and given.shards < 1):
        parser.error("--shards and --cpus-per-task are whole numbers from 1")
    ray.init(address=given.address, log_to_driver=False)
    try:
        sweep(
            given.output_dir,
            given.flags,
            profiler=given.profiler,
            shards=given.shards,
            cpus=given.cpus_per_task,
            on_progress=lambda done, of: print(f"{done}/{of} shards", file=sys.stderr),
        )
    except SweepError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(f"wrote {given.output_dir / 'results.csv'} and {given.output_dir / 'results.parquet'}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
