"""MANIFEST.json: how often each rule was used, by trace and in total."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

from features import features
from recipe import Recipe
from workload import RequestSpec, Workload

MADE_BY = "tests/recorder/record_corpus.py"
FILE_NAME = "MANIFEST.json"


def count(trace: dict[str, Any], probed: Counter[str]) -> dict[str, int]:
    """The counts of one trace; those that the trace itself does not show come from the probes."""
    requests = Workload(trace["workload"]).requests
    counts: Counter[str] = Counter(requests=len(requests), iterations=len(trace["iterations"]))
    for entry in trace["iterations"]:
        _count_pass(entry, counts)
        _count_results(entry, requests, counts)
    if "speculative" in trace:
        _count_drafts(trace, counts)
    if "groups" in trace:
        block_size = trace["groups"]["scheduler_block_size"]
        hits = [hit for entry in trace["iterations"] for key in ("new", "res") for _, hit in entry.get(key, ())]
        counts["hits_within_blocks"] = sum(hit % block_size > 0 for hit in hits)
    return {name: value for name, value in sorted((counts + probed).items())}


def _count_pass(entry: dict[str, Any], counts: Counter[str]) -> None:
    entries = entry.get("s")
    if entries is not None:
        counts["passes" if entries else "empty_passes"] += 1
        counts["entries"] += len(entries)
        counts["scheduled_tokens"] += sum(tokens for _, tokens, _ in entries)
    counts["preemptions"] += len(entry.get("pre", ()))
    counts["admissions"] += len(entry.get("new", ()))
    counts["resumes"] += len(entry.get("res", ()))
    for key, name in (("new", "hit"), ("res", "hit_on_resume")):
        counts[f"{name}s"] += sum(hit > 0 for _, hit in entry.get(key, ()))
        counts[f"{name}_tokens"] += sum(hit for _, hit in entry.get(key, ()))


def _count_results(entry: dict[str, Any], requests: list[RequestSpec], counts: Counter[str]) -> None:
    counts["delivered_tokens"] += entry.get("ntok", 0)
    for index, reason, num_outputs in entry.get("fin", ()):
        counts[f"finished_{reason}"] += 1
        counts["max_model_len_stops"] += reason == "length" and num_outputs < requests[index].max_tokens


def _count_drafts(trace: dict[str, Any], counts: Counter[str]) -> None:
    most = trace["speculative"]["k"]
    for entry in trace["iterations"]:
        counts["passes_without_drafting"] += entry.get("skip", 0)
        counts["passes_with_fewer_drafts"] += "k" in entry
        admitted = {index for key in ("new", "res") for index, _ in entry.get(key, ())}
        for index, num_drafts in entry.get("spec", ()):
            counts["short_verifications"] += num_drafts < most
            counts["padded_admissions"] += index in admitted
        for _, num_drafts, num_accepted in entry.get("acc", ()):
            counts["verifications"] += 1
            counts["drafts"] += num_drafts
            counts["accepted_drafts"] += num_accepted


def row(recipe: Recipe, file_name: str, num_bytes: int, trace: dict[str, Any], probed: Counter[str]) -> dict[str, Any]:
    """What a manifest says of one trace."""
    head: dict[str, Any] = {"file": file_name, **recipe.parts, "bytes": num_bytes}
    if recipe.says_version:
        head["features"] = features(trace)
    return head | count(trace, probed)


def update_manifest(directory: Path, rows: list[dict[str, Any]], order: list[str]) -> None:
    """Puts `rows` into the directory's manifest, which then has those of the files in `order` and no others.

    Rows of files that were not recorded this time stay: a corpus of two versions is recorded in two runs.
    """
    path = directory / FILE_NAME
    known = json.loads(path.read_text(encoding="utf-8"))["traces"] if path.exists() else []
    by_file = {one["file"]: one for one in [*known, *rows]}
    path.write_text(_readable(_manifest([by_file[name] for name in order if name in by_file])), encoding="utf-8")


def _manifest(rows: list[dict[str, Any]]) -> dict[str, Any]:
    totals: Counter[str] = Counter()
    exercised_by: Counter[str] = Counter()
    having: Counter[str] = Counter()
    for one in rows:
        numbers = {key: value for key, value in one.items() if key not in Recipe._fields and isinstance(value, int)}
        totals.update(numbers)
        exercised_by.update(numbers.keys())
        having.update(one.get("features", ()))
    exercised_by.pop("bytes", None)
    versions = sorted({one.get("vllm", "0.32.0") for one in rows})
    return {
        "vllm": versions[0] if len(versions) == 1 else versions,
        "made_by": MADE_BY,
        "totals": {"traces": len(rows), **dict(sorted(totals.items()))},
        **({"traces_that_have": dict(sorted(having.items()))} if having else {}),
        "traces_in_which_it_happens": dict(sorted(exercised_by.items())),
        "traces": rows,
    }


def _readable(manifest: dict[str, Any]) -> str:
    """Indented, but one line to a trace."""
    traces = manifest.pop("traces")
    head = json.dumps(manifest, indent=1)
    lines = ",\n  ".join(json.dumps(one) for one in traces)
    return f'{head[:-2]},\n "traces": [\n  {lines}\n ]\n}}\n'
