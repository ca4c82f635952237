#!/usr/bin/env python3
"""Breaks rules of the engine one at a time and counts the recorded schedules, or tests, that notice. See
scripts/mutate-engine.sh."""

from __future__ import annotations

import argparse
import re
import signal
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
# What the replayer is compiled from, and sim-core's tests with the files that they read.
SOURCES = ("Cargo.toml", "Cargo.lock", "sim-core", "profiler/src/verify", "tests/mutations/replay")
READ_BY_TESTS = ("www/models.json", "www/prices.json", "www/profiles/h100-sxm_llama-3.1-8b_bf16_tp1.json")
# Replaying takes seconds; a mutated engine may never come to an end.
REPLAY_TIMEOUT = 120
# By which others end a program: a mutated engine that panics or aborts has others.
FROM_OUTSIDE = (signal.SIGHUP, signal.SIGINT, signal.SIGKILL, signal.SIGTERM)
# The column of sim-core's own tests.
TESTS = "tests"


@dataclass(frozen=True)
class Mutation:
    """A rule broken. `tests` names those of sim-core that are to notice, where no real code was recorded; `unnoticed` says
    why no kept trace notices, where none does."""

    name: str
    file: str
    before: str
    after: str
    tests: str | None
    unnoticed: str | None


class MutationError(Exception):
    """A mutation that cannot be judged."""


def refuse_if_killed(ended: subprocess.CompletedProcess[str] | subprocess.CalledProcessError) -> None:
    """What was ended from outside says nothing about the mutation; cargo tells so of what it runs."""
    of_a_program = re.search(r"\(signal: (\d+), SIG\w+", ended.stderr or "")
    number = -ended.returncode if ended.returncode < 0 else int(of_a_program[1]) if of_a_program else 0
    if number in FROM_OUTSIDE:
        raise MutationError(f"it was ended by signal {number}, and is not judged")


def mutations() -> Iterator[Mutation]:
    for path in sorted(HERE.glob("*.toml")):
        for one in tomllib.loads(path.read_text(encoding="utf-8"))["mutation"]:
            yield Mutation(one["name"], one["file"], one["from"], one["to"], one.get("tests"), one.get("unnoticed"))


def copy_sources(scratch: Path) -> None:
    """Brings the scratch copy up to date; what is the same keeps its time, so that it is not compiled again."""
    listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "--", *SOURCES, *READ_BY_TESTS]
    names = subprocess.run(listed, cwd=ROOT, check=True, capture_output=True, text=True).stdout.split("\n")
    for name in filter(None, names):
        content = (ROOT / name).read_bytes()
        if name == "Cargo.toml":
            content = re.sub(rb"(?m)^members = .*", b'members = ["sim-core"]', content)
            content = re.sub(rb"(?m)^default-members = .*", b"", content)
            # What counts is the time to compile one changed file, as in the replay.
            content = re.sub(rb"(?m)^\[profile\.dev\]\n(?:[^\[\n].*\n)*", b"[profile.dev]\ndebug = false\n", content)
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


def build(arguments: list[str], folder: Path) -> None:
    built = subprocess.run(arguments, cwd=folder, capture_output=True, text=True, check=False)
    if built.returncode != 0:
        refuse_if_killed(built)
        error = next((line for line in built.stderr.splitlines() if line.startswith("error")), built.stderr)
        raise MutationError(f"it does not compile: {error}")


def traces_of(file: str) -> Path:
    """The traces that what is broken in `file` can differ in: one engine knows nothing of fleets, and what is told of the
    cache stands in one folder alone."""
    if file.startswith("fleet/"):
        return TRACES / "fleets"
    return TRACES / "kv_events" if file == "kv_cache/event_log.rs" else TRACES


def differing_traces(scratch: Path, folder: Path) -> list[str]:
    """Names of the traces of a folder that the scratch copy does not reproduce, or that it does not end."""
    target = ["--target-dir", str(scratch / "target")]
    build(["cargo", "build", "--quiet", "--locked", *target], scratch / "tests/mutations/replay")
    try:
        run = [str(scratch / "target/debug/mutation-replay"), str(folder)]
        output = subprocess.run(run, capture_output=True, text=True, check=True, timeout=REPLAY_TIMEOUT).stdout
    except subprocess.TimeoutExpired:
        return ["does not end"]
    except subprocess.CalledProcessError as error:
        refuse_if_killed(error)
        return ["does not end"]
    names = output.splitlines()[:-1]
    return [str((folder / name).relative_to(TRACES)) for name in names]


def failing_tests(scratch: Path, tests: str) -> list[str]:
    """Those of sim-core below the module `tests` that fail, or all of them if they do not end."""
    test = ["cargo", "test", "--quiet", "--lib", "--package", "sim-core", "--target-dir", str(scratch / "target")]
    build([*test, "--no-run"], scratch)
    run = [*test, "--", tests, "--test-threads", "2"]
    try:
        ended = subprocess.run(run, cwd=scratch, capture_output=True, text=True, check=False, timeout=REPLAY_TIMEOUT)
    except subprocess.TimeoutExpired:
        return [f"{TESTS}/do not end"]
    refuse_if_killed(ended)
    if not re.search(r"(?m)^running [1-9]", ended.stdout):
        raise MutationError(f"no test of sim-core is called {tests}")
    names = sorted(set(re.findall(r"(?m)^---- (\S+) stdout ----", ended.stdout)))
    return [f"{TESTS}/{name}" for name in names] or [f"{TESTS}/broke off"] * (ended.returncode != 0)


def noticing(mutation: Mutation, scratch: Path) -> list[str]:
    if mutation.tests is not None:
        return failing_tests(scratch, mutation.tests)
    return differing_traces(scratch, traces_of(mutation.file))


def judge(mutation: Mutation, scratch: Path) -> tuple[Counter[str] | None, str | None]:
    """How many traces notice in each folder, or `None` if that is not known, and what is wrong with it, if anything."""
    try:
        with applied(mutation, scratch):
            names = noticing(mutation, scratch)
    except MutationError as error:
        return None, str(error)
    counts = Counter(str(Path(name).parent) if "/" in name else "." for name in names)
    if mutation.unnoticed is None:
        return counts, None if names else "no trace notices" if mutation.tests is None else "no test notices"
    return counts, "it is said to be unnoticed, and traces notice" if names else None


def results_before(path: Path) -> dict[str, dict[str, str]]:
    """The cells of an earlier RESULTS.md, by mutation and folder."""
    rows: dict[str, dict[str, str]] = {}
    folders: list[str] = []
    for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else []:
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("| mutation |"):
            folders = cells[1:]
        elif line.startswith("| `"):
            rows[cells[0].strip("`")] = dict(zip(folders, cells[1:]))
    return rows


def write_results(path: Path, found: dict[str, Counter[str]]) -> None:
    """Rows of what was not tried now stay as they were, with a dash for folders that are younger."""
    known, rows = list(mutations()), results_before(path)
    folders = [".", *sorted(folder.name for folder in TRACES.iterdir() if folder.is_dir())]
    for mutation in known:
        if (counts := found.get(mutation.name)) is not None:
            folder = traces_of(mutation.file)
            tried = [TESTS] if mutation.tests else folders if folder == TRACES else [folder.name]
            rows[mutation.name] = {folder: str(counts[folder] or "") for folder in tried}
    folders.append(TESTS)
    lines = [
        "# Which recorded schedules notice a broken rule",
        "",
        "Made by `scripts/mutate-engine.sh --write`: number of traces in each folder of `tests/data/traces` that the engine",
        "does not reproduce with the mutation; `.` has one layer of full attention and no drafter. Under `tests` it is the",
        "number of sim-core's own tests that fail, where the rule is one of which no real code was recorded. A dash: not tried.",
        "",
        "| mutation | " + " | ".join(folders) + " |",
        "|---|" + "---|" * len(folders),
    ]
    for mutation in known:
        if mutation.name in rows:
            cells = [rows[mutation.name].get(folder, "–") for folder in folders]
            lines.append(f"| `{mutation.name}` | " + " | ".join(cells) + " |")
    unnoticed = [mutation for mutation in known if mutation.unnoticed]
    if unnoticed:
        lines += ["", "No trace notices, and why:"]
        lines += [f"- `{mutation.name}`: {mutation.unnoticed}" for mutation in unnoticed]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", metavar="REGEX", default="", help="mutations whose names match")
    parser.add_argument("--scratch", type=Path, required=True, metavar="DIR", help="where the copy is")
    parser.add_argument("--write", action="store_true", help="write their rows of tests/mutations/RESULTS.md")
    arguments = parser.parse_args()
    scratch = arguments.scratch.resolve()
    copy_sources(scratch)
    chosen = [mutation for mutation in mutations() if re.search(arguments.only, mutation.name)]
    unbroken = []
    for folder in sorted({traces_of(mutation.file) for mutation in chosen if mutation.tests is None}):
        unbroken += differing_traces(scratch, folder)
    for tests in sorted({mutation.tests for mutation in chosen if mutation.tests}):
        unbroken += failing_tests(scratch, tests)
    if unbroken:
        sys.exit("without a mutation these differ already: " + ", ".join(unbroken))
    failures = 0
    for mutation in chosen:
        counts, wrong = judge(mutation, scratch)
        told = ", ".join(f"{folder} {count}" for folder, count in sorted((counts or {}).items()))
        told = told or ("none" if counts is not None else "not judged")
        print(f"{mutation.name}: {told}" + (f"  <- {wrong}" if wrong else ""), flush=True)
        failures += wrong is not None
        # At once: what a run that is ended early has found stays. What is not known says nothing over what was.
        if arguments.write and counts is not None:
            write_results(HERE / "RESULTS.md", {mutation.name: counts})
    print(f"{len(chosen)} mutations, {failures} that are not as they should be")
    return int(failures > 0 or not chosen)


if __name__ == "__main__":
    sys.exit(main())
