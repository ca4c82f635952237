"""ray_sweep.py on a Ray cluster of several nodes on this machine, of which some are killed while it runs.

    python test_ray_sweep.py PROFILER [--points 400] [--prompts 200] [--kill-every SECONDS]

scripts/test-ray.sh calls it. What comes out must be, to the byte, what one machine alone makes.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from concurrent.futures import Future, ThreadPoolExecutor, wait
from pathlib import Path

import ray
import ray_sweep
from ray.cluster_utils import Cluster

OBJECT_STORE_BYTES = 100 << 20
NUM_NODES = 2


def start_cluster() -> Cluster:
    """A head that runs nothing, and nodes of one CPU each."""
    cluster = Cluster(
        initialize_head=True, head_node_args={"num_cpus": 0, "object_store_memory": OBJECT_STORE_BYTES}
    )
    for _ in range(NUM_NODES):
        cluster.add_node(num_cpus=1, object_store_memory=OBJECT_STORE_BYTES)
    cluster.wait_for_nodes()
    ray.init(address=cluster.address, log_to_driver=False)
    return cluster


def kill_while(running: Future[None], cluster: Cluster, parts: Path, seconds: float | None) -> int:
    """Ends a node, without warning, and puts another in its place: when the first parts are there, or every so often. The
    number of nodes that it ended. In the main thread, as Ray wants it of whoever starts a node."""
    num_killed = 0
    while not running.done():
        wait([running], timeout=0.05 if seconds is None else seconds)
        is_time = not running.done() and any(parts.glob("part-*.json"))
        if is_time and (seconds is not None or num_killed == 0):
            cluster.remove_node(next(iter(cluster.worker_nodes)), allow_graceful=False)
            num_killed += 1
            cluster.add_node(num_cpus=1, object_store_memory=OBJECT_STORE_BYTES)
    return num_killed


def check_killed_nodes(profiler: str, folder: Path, points: int, prompts: int, seconds: float | None) -> None:
    flags = ["--dataset-name", "random", "--num-prompts", str(prompts), "--random-output-len", "64"]
    # One in five is refused.
    flags += ["--grid", f"seed=1..{points // 10}", "max-num-seqs=8,16,32,64,99999", "request-rate=20,inf"]
    alone, shared = folder / "alone", folder / "shared"
    begun = time.monotonic()
    ray_sweep.call(profiler, "sweep", "--quiet", "--output-dir", str(alone), *flags, threads=2)
    print(f"one machine, two threads: {time.monotonic() - begun:.1f} s", flush=True)

    cluster = start_cluster()
    seen: list[tuple[int, int]] = []
    begun = time.monotonic()
    with ThreadPoolExecutor(max_workers=1) as threads:
        running = threads.submit(
            ray_sweep.sweep,
            shared,
            flags,
            profiler=profiler,
            shards=max(40, points // 25),
            on_progress=lambda *done: seen.append(done),
        )
        num_killed = kill_while(running, cluster, shared / "parts", seconds)
        running.result()
    print(f"Ray, {NUM_NODES} nodes of one CPU: {time.monotonic() - begun:.1f} s, {num_killed} killed", flush=True)

    assert num_killed > 0, "no node was killed: the sweep was over too soon"
    assert seen[-1][0] == seen[-1][1], f"told {seen[-1]} at the end"
    for name in ["results.csv", "results.parquet"]:
        one, many = (alone / name).read_bytes(), (shared / name).read_bytes()
        assert one == many, f"{name}: {len(one)} bytes alone, {len(many)} on Ray, and not the same"
    rows = (shared / "results.csv").read_text().count("\n") - 1
    assert rows == points, f"{rows} rows of {points} points"
    print(f"{rows} rows, nothing lost or doubled; CSV and Parquet are those of one machine, to the byte", flush=True)

    # What is there is not done again, and what is refused is told in the program's words.
    seen.clear()
    ray_sweep.sweep(shared, flags, profiler=profiler, shards=50, on_progress=lambda *done: seen.append(done))
    assert not seen, f"shards ran again: {seen}"
    try:
        ray_sweep.sweep(shared, [*flags, "--seed", "3"], profiler=profiler)
    except ray_sweep.SweepError as error:
        assert "is of another sweep" in str(error), error
    else:
        raise AssertionError("another sweep went into the same folder")
    ray.shutdown()
    cluster.shutdown()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("profiler")
    parser.add_argument("--points", type=int, default=400)
    parser.add_argument("--prompts", type=int, default=200)
    parser.add_argument("--kill-every", type=float, metavar="SECONDS", help="instead of once")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        check_killed_nodes(given.profiler, Path(folder), given.points, given.prompts, given.kill_every)


if __name__ == "__main__":
    main()
