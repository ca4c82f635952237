#!/usr/bin/env python3
"""Breaks rules of the engine one at a time and counts the recorded schedules that notice. See scripts/mutate-engine.sh."""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tomllib
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
TRACES = ROOT / "tests/data/traces"
# What the replayer is compiled from.
SOURCES = ("Cargo.toml", "sim-core", "profiler/src/verify", "tests/mutations/replay")
# Replaying takes seconds; a mutated engine may never come to an end.
REPLAY_TIMEOUT = 120


@dataclass(frozen=True)
class Mutation:
    """A rule broken. `unnoticed` says why no kept trace notices, where none does."""

    name: str
    file: str
    before: str
    after: str
    unnoticed: str | None


class MutationError(Exception):
    """A mutation that cannot be judged."""


def mutations() -> Iterator[Mutation]:
    for path in sorted(HERE.glob("*.toml")):
        for one in tomllib.loads(path.read_text(encoding="utf-8"))["mutation"]:
            yield Mutation(one["name"], one["file"], one["from"], one["to"], one.get("unnoticed"))


def copy_sources(scratch: Path) -> None:
    """Brings the scratch copy up to date; what is the same keeps its time, so that it is not compiled again."""
    listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "--", *SOURCES]
    names = subprocess.run(listed, cwd=ROOT, check=True, capture_output=True, text=True).stdout.split("\n")
    for name in filter(None, names):
        content = (ROOT / name).read_bytes()
        if name == "Cargo.toml":
            content = re.sub(rb"(?m)^members = .*", b'members = ["sim-core"]', content)
            content = re.sub(rb"(?m)^default-members = .*", b"", content)
        copy = scratch / name
        if not copy.exists() or copy.read_bytes() != content:
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(content)


@contextmanager
def applied(mutation: Mutation, scratch: Path) -> Iterator[None]:
    path = scratch / "sim-core/src" / mutation.file
    text = path.read_text(encoding="utf-8")
    if text.count(mutation.before) != 1:
        raise MutationError(f"its text occurs {text.count(mutation.before)} times in {mutation.file}")
    path.write_text(text.replace(mutation.before, mutation.after), encoding="utf-8")
    try:
        yield
    finally:
        path.write_text(text, encoding="utf-8")


def noticing(scratch: Path) -> list[str]:
    """Names of the traces that the scratch copy does not reproduce, or of all folders if it does not end."""
    replay = scratch / "tests/mutations/replay"
    build = ["cargo", "build", "--quiet", "--locked", "--target-dir", str(scratch / "target")]
    built = subprocess.run(build, cwd=replay, capture_output=True, text=True, check=False)
    if built.returncode != 0:
        error = next((line for line in built.stderr.splitlines() if line.startswith("error")), built.stderr)
        raise MutationError(f"it does not compile: {error}")
    try:
        run = [str(scratch / "target/debug/mutation-replay"), str(TRACES)]
        output = subprocess.run(run, capture_output=True, text=True, check=True, timeout=REPLAY_TIMEOUT).stdout
    except (subprocess.TimeoutExpired, subprocess.CalledProcessError):
        return ["does not end"]
    return output.splitlines()[:-1]


def judge(mutation: Mutation, scratch: Path) -> tuple[Counter[str], str | None]:
    """How many traces notice in each folder, and what is wrong with that, if anything."""
    try:
        with applied(mutation, scratch):
            names = noticing(scratch)
    except MutationError as error:
        return Counter(), str(error)
    counts = Counter(str(Path(name).parent) if "/" in name else "." for name in names)
    if mutation.unnoticed is None:
        return counts, None if names else "no trace notices"
    return counts, "it is said to be unnoticed, and traces notice" if names else None


def write_results(path: Path, rows: list[tuple[Mutation, Counter[str]]]) -> None:
    folders = [".", *sorted(folder.name for folder in TRACES.iterdir() if folder.is_dir())]
    lines = [
        "# Which recorded schedules notice a broken rule",
        "",
        "Made by `scripts/mutate-engine.sh --write`: number of traces in each folder of `tests/data/traces` that the engine",
        "does not reproduce with the mutation. `.` has one layer of full attention and no drafter.",
        "",
        "| mutation | " + " | ".join(folders) + " |",
        "|---|" + "---|" * len(folders),
    ]
    for mutation, counts in rows:
        cells = [str(counts[folder] or "") for folder in folders]
        lines.append(f"| `{mutation.name}` | " + " | ".join(cells) + " |")
    unnoticed = [mutation for mutation, _ in rows if mutation.unnoticed]
    if unnoticed:
        lines += ["", "No trace notices, and why:"]
        lines += [f"- `{mutation.name}`: {mutation.unnoticed}" for mutation in unnoticed]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", metavar="REGEX", default="", help="mutations whose names match")
    parser.add_argument("--scratch", type=Path, required=True, metavar="DIR", help="where the copy is")
    parser.add_argument("--write", action="store_true", help="write tests/mutations/RESULTS.md")
    arguments = parser.parse_args()
    scratch = arguments.scratch.resolve()
    copy_sources(scratch)
    unbroken = noticing(scratch)
    if unbroken:
        sys.exit("without a mutation these differ already: " + ", ".join(unbroken))
    rows, failures = [], 0
    for mutation in mutations():
        if not re.search(arguments.only, mutation.name):
            continue
        counts, wrong = judge(mutation, scratch)
        told = ", ".join(f"{folder} {count}" for folder, count in sorted(counts.items())) or "none"
        print(f"{mutation.name}: {told}" + (f"  <- {wrong}" if wrong else ""), flush=True)
        rows.append((mutation, counts))
        failures += wrong is not None
    print(f"{len(rows)} mutations, {failures} that are not as they should be")
    if arguments.write and not arguments.only:
        write_results(HERE / "RESULTS.md", rows)
    return int(failures > 0 or not rows)


if __name__ == "__main__":
    sys.exit(main())
