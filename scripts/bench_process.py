"""A program run as a process: how long it takes, what memory it takes, how many instructions."""

from __future__ import annotations

import os
import re
import shutil
import statistics
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path


class Failed(RuntimeError):
    """The program did not end well; what it said last."""


@dataclass(frozen=True)
class Timed:
    """The median of several runs."""

    wall_s: float
    cpu_s: float
    peak_mib: float
    stdout: str


def timed(command: list[str], repeats: int) -> Timed:
    """Runs `command` so often, and keeps what the first run printed."""
    runs = [_run(command) for _ in range(repeats)]
    return Timed(
        statistics.median(run.wall_s for run in runs),
        statistics.median(run.cpu_s for run in runs),
        max(run.peak_mib for run in runs),
        runs[0].stdout,
    )


def _run(command: list[str]) -> Timed:
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        start = time.perf_counter()
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=err)
        _, status, usage = os.wait4(process.pid, 0)
        wall_s = time.perf_counter() - start
        # Told here, so that Popen does not wait for a process that is gone.
        process.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        err.seek(0)
        if process.returncode != 0:
            last = (err.read().decode(errors="replace").strip().splitlines() or ["nothing on stderr"])[-1]
            raise Failed(f"exit status {process.returncode}: {last}")
        stdout = out.read().decode(errors="replace")
    return Timed(wall_s, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, stdout)


def instructions(command: list[str]) -> int | None:
    """Instructions that the process executes, all of them, its start included; None without valgrind."""
    valgrind = shutil.which("valgrind")
    if valgrind is None:
        return None
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log"
        tool = [valgrind, "--tool=cachegrind", "--cache-sim=no", f"--log-file={log}"]
        tool.append(f"--cachegrind-out-file={folder}/out")
        done = subprocess.run([*tool, *command], stdin=subprocess.DEVNULL, capture_output=True, check=False)
        found = re.search(r"I\s+refs:\s+([\d,]+)", log.read_text())
    if done.returncode != 0 or found is None:
        raise Failed(f"valgrind: exit status {done.returncode}")
    return int(found[1].replace(",", ""))
