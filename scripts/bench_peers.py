#!/usr/bin/env python3
"""This simulator beside others, and beside vLLM's own scheduler, on an equal workload, in one run.

    bench_peers.py PROGRAM --folder target/peers [--json FILE] [--only REGEX]

The workload: PEER_REQUESTS (2,000) requests of 1,024 prompt and 128 output tokens that share nothing, 64 at once, on Llama-3.1-8B in
bf16 on one H100; 256 sequences and 8,192 tokens a pass. Programs are installed from their registries into the folder,
once; what cannot be installed or run is named. Each has step times of its own, so that its passes and latencies are its own,
too: what is compared is the time to simulate so many requests. vLLM's row is its real engine core with a worker that
computes nothing: what its scheduler alone takes, without a clock.
Settings: REPEATS, PEER_REQUESTS, PEER_TIMEOUT (seconds for an installation, 900).
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import venv
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench_process import Failed, Timed, timed

NUM_REQUESTS = int(os.environ.get("PEER_REQUESTS", "2000"))
PROMPT, OUTPUT, CONCURRENCY = 1_024, 128, 64
ROOT = Path(__file__).resolve().parents[1]

INFERENCE_LAB = "1.0.0"
INFERENCE_LAB_MODEL = """model = "llama-3.1-8b-instruct"
[scheduler]
max_num_batched_tokens = 8192
max_num_seqs = 256
policy = "fcfs"
enable_chunked_prefill = true
block_size = 16
[hardware.h100]
tp = 1
"""
INFERENCE_LAB_WORKLOAD = f"""arrival_pattern = "closed_loop"
num_concurrent_users = {CONCURRENCY}
num_requests = {NUM_REQUESTS}
seed = 0
[input_len_dist]
type = "fixed"
value = {PROMPT}
[output_len_dist]
type = "fixed"
value = {OUTPUT}
"""

# The last whole wheel on PyPI: what is called 0.13.0 there fetches another one from an index of NVIDIA's.
AISIMULATE = "0.13.0.dev202610270000000085"
# What `aisimulate predict` loads. The package asks for jax and more, of which its search alone makes use.
AISIMULATE_NEEDS = [
    "numpy>=2.1,<3",
    "pydantic>=2.5",
    "psutil>=7,<8",
    "ijson>=3.4,<4",
    "pyyaml",
    "packaging",
    "jinja2",
    "tqdm",
    "munch",
    "prettytable",
    "pandas",
    "scipy",
    "pyarrow",
]
AISIMULATE_PREDICTION = f"""traffic:
  source: {{type: synthetic, input_tokens: {PROMPT}, output_tokens: {OUTPUT}}}
  load: {{type: concurrency, concurrency: {CONCURRENCY}}}
  stop: {{requests: {NUM_REQUESTS}}}
engine:
  mode: aggregated
  model: meta-llama/Meta-Llama-3.1-8B
  hardware: h100_sxm
  backend: vllm
  workers:
    aggregated: {{}}
"""

Peer = Callable[[Path, int], dict[str, Any]]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program", type=Path)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--only", metavar="REGEX", default="", help="programs whose names match")
    arguments = parser.parse_args()
    folder = arguments.folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    program = arguments.program.resolve()
    repeats = int(os.environ.get("REPEATS", "5"))
    peers: dict[str, Peer] = {
        "profiler simulate": lambda _folder, repeats: ours(program, repeats),
        f"inference-lab {INFERENCE_LAB}": inference_lab,
        f"AISimulate {AISIMULATE[:10]}, predict": aisimulate,
        "vLLM's scheduler, fake worker": vllm,
    }
    print(f"\n{NUM_REQUESTS:,} requests, {PROMPT:,} in, {OUTPUT} out, {CONCURRENCY} at once")
    print(f"{'':<34}{'median':>10}{'CPU':>10}{'of that':>12}{'memory':>10}  what it says")
    rows, left_out = [], []
    for name, peer in peers.items():
        if not re.search(arguments.only, name):
            continue
        try:
            row = {"name": name, **peer(folder, repeats)}
        except (Failed, OSError, subprocess.SubprocessError) as failure:
            left_out.append(f"{name}: {failure}")
            continue
        rows.append(row)
        inner = "" if row["inner_s"] is None else f"{1e3 * row['inner_s']:,.0f} ms"
        times = f"{1e3 * row['wall_s']:>7,.0f} ms{1e3 * row['cpu_s']:>7,.0f} ms"
        process = f"{times}{inner:>12}{row['peak_mib']:>6.0f} MiB"
        print(f"{name:<34}{process}  {row['says']}", flush=True)
    print("of that: the simulation alone, by the clock, where the program times it itself.")
    for line in left_out:
        print(f"not compared: {line}")
    if arguments.json:
        load = os.getloadavg()[0]
        arguments.json.write_text(json.dumps({"load": load, "peers": rows, "not_compared": left_out}, indent=1) + "\n")
    return 0


def row(run: Timed, inner_s: float | None, says: str) -> dict[str, Any]:
    return {"wall_s": run.wall_s, "cpu_s": run.cpu_s, "peak_mib": run.peak_mib, "inner_s": inner_s, "says": says}


def ours(program: Path, repeats: int) -> dict[str, Any]:
    flags = ["--dataset-name", "random", "--max-concurrency", str(CONCURRENCY), "--num-prompts", str(NUM_REQUESTS)]
    flags += ["--random-input-len", str(PROMPT), "--random-output-len", str(OUTPUT)]
    flags += ["--max-num-seqs", "256", "--max-num-batched-tokens", "8192"]
    run = timed([str(program), "simulate", *flags], repeats)
    facts = [found(pattern, run.stdout) for pattern in (r"Forward passes:\s+(\S+)", r"Mean TPOT \(ms\):\s+(\S+)")]
    digest = found(r"Digest of the run:\s+(\S+)", run.stdout)
    return row(run, None, f"{facts[0]} passes, mean TPOT {facts[1]} ms, digest {digest}")


def inference_lab(folder: Path, repeats: int) -> dict[str, Any]:
    root = folder / f"inference-lab-{INFERENCE_LAB}"
    program = root / "bin" / "inference-lab"
    if not program.exists():
        environment = os.environ | {"CARGO_TARGET_DIR": str(folder / "build")}
        cargo = ["cargo", "install", "--quiet", "--locked", "--root", str(root)]
        install([*cargo, f"inference-lab@{INFERENCE_LAB}"], environment)
        shutil.rmtree(folder / "build", ignore_errors=True)
    model, workload = root / "model.toml", root / "workload.toml"
    model.write_text(INFERENCE_LAB_MODEL)
    workload.write_text(INFERENCE_LAB_WORKLOAD)
    run = timed([str(program), "--config", str(model), "--workload", str(workload), "--quiet"], repeats)
    num_completed = found(r"Total Requests: (\d+) completed", run.stdout)
    if num_completed != str(NUM_REQUESTS):
        raise Failed(f"it completed {num_completed} requests")
    tpot = found(r"Per-Token Latency \(ms\)\s*\S\s*\S+\s*\S\s*(\S+)", run.stdout)
    return row(run, float(found(r"([\d.]+)s real", run.stdout)), f"mean TPOT {tpot} ms")


def aisimulate(folder: Path, repeats: int) -> dict[str, Any]:
    root = folder / f"aisimulate-{AISIMULATE}"
    program = root / "bin" / "aisimulate"
    if not program.exists():
        venv.create(root, with_pip=True)
        pip = [str(root / "bin" / "python"), "-m", "pip", "--quiet", "--disable-pip-version-check", "install"]
        install([*pip, *AISIMULATE_NEEDS])
        install([*pip, "--no-deps", f"aisimulate=={AISIMULATE}"])
    prediction = root / "prediction.yaml"
    prediction.write_text(AISIMULATE_PREDICTION)
    flags = ["--output-dir", str(root / "out"), "--overwrite", "--format", "json"]
    run = timed([str(program), "predict", "--config", str(prediction), *flags], repeats)
    told = json.loads(run.stdout)
    if told["completed_requests"] != NUM_REQUESTS:
        raise Failed(f"it completed {told['completed_requests']} requests")
    return row(run, told["wall_time_ms"] / 1e3, f"mean TPOT {told['mean_tpot_ms']:.2f} ms")


def vllm(_folder: Path, repeats: int) -> dict[str, Any]:
    python = ROOT / ".venv-vllm" / "bin" / "python"
    if not python.exists():
        install([str(ROOT / "scripts" / "install-vllm.sh")])
    lengths = ["--prompt", str(PROMPT), "--output", str(OUTPUT), "--concurrency", str(CONCURRENCY)]
    script = ROOT / "tests" / "recorder" / "time_schedule.py"
    run = timed([str(python), str(script), str(NUM_REQUESTS), *lengths], min(repeats, 3))
    told = json.loads(run.stdout.strip().splitlines()[-1])
    return row(run, told["seconds"], f"vLLM {told['vllm']}, {told['passes']} passes")


def found(pattern: str, text: str) -> str:
    match = re.search(pattern, text)
    if match is None:
        raise Failed(f"its output has no {pattern}")
    return match[1]


def install(command: list[str], environment: dict[str, str] | None = None) -> None:
    limit = int(os.environ.get("PEER_TIMEOUT", "900"))
    print(f"installing: {' '.join(command)}", file=sys.stderr, flush=True)
    try:
        quiet: dict[str, Any] = {"stdin": subprocess.DEVNULL, "capture_output": True}
        done = subprocess.run(command, env=environment, timeout=limit, check=False, **quiet)
    except subprocess.TimeoutExpired:
        raise Failed(f"not installed within {limit} s (PEER_TIMEOUT)") from None
    if done.returncode != 0:
        lines = done.stderr.decode(errors="replace").strip().splitlines() or ["nothing on stderr"]
        errors = [line for line in lines if line.strip().startswith("error")]
        raise Failed(f"not installed: {(errors or lines)[-1].strip()}")


if __name__ == "__main__":
    sys.exit(main())
