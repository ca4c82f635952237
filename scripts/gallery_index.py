#!/usr/bin/env python3
"""Write www/profiles/index.json: what the page's picker shows of each profile, as the profile itself says it.

usage: gallery_index.py < FILE NAMES

Files are listed in the order of standard input, one name a line; those of the folder that are not named follow. A profile
that the old index has keeps its line of text unless it is derived, whose line is made here. Standard library only.
"""

import json
import pathlib
import statistics
import sys

FOLDER = pathlib.Path(__file__).resolve().parent.parent / "www" / "profiles"
INDEX = FOLDER / "index.json"


def line_of(profile, weights, old):
    if profile["provenance"]["kind"] != "derived":
        return old
    count, device = profile["hardware"]["num_devices"], profile["hardware"]["name"].removeprefix("NVIDIA ")
    name = profile["model"]["name"].rsplit("/", 1)[-1]
    rest = tried(profile["validation"]["runs"])
    return f"{name} in {weights} on {count} × {device}: summed from published operator times{rest}."


def tried(runs):
    errors = [abs(run["predicted"] / run["measured"] - 1) for run in runs]
    if not errors:
        return "; not compared with a running engine"
    return f"; {100 * statistics.median(errors):.1f} % off {len(errors)} measured figures (median)"


def entry(name, old):
    profile = json.loads((FOLDER / name).read_text(encoding="utf-8"))
    weights = profile["engine"]["quantization"] or profile["engine"]["dtype"]
    line = line_of(profile, weights, old.get(name, {}).get("line"))
    if not line:
        sys.exit(f"{INDEX}: a {profile['provenance']['kind']} profile needs a line written by hand: {name}")
    return {
        "file": name,
        "model": profile["model"]["name"],
        "hardware": profile["hardware"]["name"],
        "num_devices": profile["hardware"]["num_devices"],
        "weights": weights,
        "kind": profile["provenance"]["kind"],
        "line": line,
    }


def main():
    old = {entry["file"]: entry for entry in json.loads(INDEX.read_text(encoding="utf-8"))}
    there = sorted(path.name for path in FOLDER.glob("*.json") if path != INDEX)
    named = [name for name in sys.stdin.read().split() if name in there]
    order = named + [name for name in there if name not in named]
    entries = [entry(name, old) for name in order]
    INDEX.write_text(json.dumps(entries, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
