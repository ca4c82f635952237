#!/usr/bin/env python3
"""Record which flags the real vLLM has and what its parsers make of command lines.

usage: record_flag_grammar.py OUTPUT_DIR [--seed N] [--every N]
       (tests/data/flag_grammar/v0.33; with --every 4 .../v0.32)

Needs no model and no GPU; the Python part of a version will do (scripts/follow-vllm.sh). Writes
  options.json   every option of `vllm serve` and `vllm bench serve`: names, values, choices, default
  lines.json     drawn command lines, and what the program's own parser takes from each, or its error
tests/tests/it/flag_grammar.rs holds ours against both.
"""

import argparse
import json
import os
import random
import shlex
import sys
from pathlib import Path

# flag_parsers gives vLLM another command line.
OWN_ARGUMENTS = sys.argv[1:]
os.environ.setdefault("VLLM_LOGGING_LEVEL", "CRITICAL")
os.environ.setdefault("VLLM_NO_USAGE_STATS", "1")

import flag_lines
import flag_parsers


def write(path, key, cases):
    head = {"vllm": flag_parsers.VERSION, "made_by": "tests/recorder/record_flag_grammar.py"}
    with open(path, "w", encoding="utf-8") as file:
        file.write(json.dumps(head)[:-1] + f', "{key}": [\n')
        file.write(",\n".join(json.dumps(case, separators=(",", ":"), ensure_ascii=False) for case in cases))
        file.write("\n]}\n")
    print(f"{path.name}: {len(cases)}")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("out", type=Path)
    parser.add_argument("--seed", type=int, default=33)
    parser.add_argument("--every", type=int, default=1, help="only each N-th line")
    args = parser.parse_args(OWN_ARGUMENTS)
    args.out.mkdir(parents=True, exist_ok=True)
    programs = {program: flag_parsers.options(program) for program in flag_parsers.PROGRAMS}
    options = [{"program": program, **option} for program, found in programs.items() for option in found]
    write(args.out / "options.json", "options", options)
    seen = {}
    for program, words in flag_lines.Lines(random.Random(args.seed), programs).all():
        seen.setdefault((program, shlex.join(words)), words)
    write(args.out / "lines.json", "lines", [
        [program, line, flag_parsers.taken(program, words)] for (program, line), words in list(seen.items())[:: args.every]
    ])


if __name__ == "__main__":
    main()
