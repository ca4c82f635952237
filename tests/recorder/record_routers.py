#!/usr/bin/env python3
"""Asks production-stack's real routers where they would send requests.

    PYTHONPATH=production-stack/src record_routers.py SOURCE -o DIR [--seeds 0-11]

SOURCE names the commit, for the traces. Real are the router and its trie of hashed text. A token stands for a word of
four letters, so that a piece of 128 characters is one of 32 tokens. Which of several equal replicas is drawn is not
compared, but among which: `candidates`. Formats: tests/data/traces/README.md.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
import zlib
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

from draft import Draft
from kept import TRACES_DIR
from vllm_router.routers import routing_logic
from workload import write_json

LETTERS_PER_TOKEN = 4
KINDS = ("shared", "conversations", "coming_and_going")


def word(token: int) -> str:
    """Four letters that stand for a token below 26 ** 4."""
    letters = ""
    for _ in range(LETTERS_PER_TOKEN):
        token, letter = divmod(token, 26)
        letters += chr(ord("a") + letter)
    return letters


def text(prompt: list[list[int]]) -> str:
    return "".join(word(token) for start, count in prompt for token in range(start, start + count))


def requests(kind: str, seed: int) -> tuple[int, list[dict[str, Any]]]:
    """Number of replicas, and the prompts with the replicas that are there."""
    draft = Draft(zlib.crc32(f"router {kind}".encode()) * 1_000 + seed)
    num_replicas = draft.between(2, 8)
    beginnings = [[number * 4_000, draft.between(1, 400)] for number in range(draft.between(2, 5))]
    prompts: list[list[list[int]]] = []
    events = []
    for number in range(draft.between(30, 70)):
        own = [100_000 + number * 1_000, draft.skewed(1, 300)]
        if kind == "conversations" and prompts and draft.chance(0.6):
            # What was said before, and more; or once more the same.
            prompt = [*draft.one_of(*prompts)] + ([own] if draft.chance(0.8) else [])
        else:
            start, longest = draft.one_of(*beginnings)
            prompt = [[start, draft.between(1, longest)], own]
        prompts.append(prompt)
        available = list(range(num_replicas))
        if kind == "coming_and_going":
            available = [one for one in available if draft.chance(0.7)] or [draft.between(0, num_replicas - 1)]
        events.append({"prompt": prompt, "available": available})
    return num_replicas, events


def record(kind: str, seed: int, source: str) -> dict[str, Any]:
    num_replicas, events = requests(kind, seed)
    endpoints = [SimpleNamespace(url=f"http://engine-{index}:8000") for index in range(num_replicas)]
    index_of = {endpoint.url: index for index, endpoint in enumerate(endpoints)}
    routing_logic.cleanup_routing_logic()
    router = routing_logic.initialize_routing_logic(routing_logic.RoutingLogic.PREFIXAWARE)
    rng, asked = random.Random(seed), []

    def choice(urls: list[str]) -> str:
        # A set has no order; the choice must not depend on one.
        asked.append(sorted(urls, key=index_of.__getitem__))
        return rng.choice(asked[-1])

    with patch.object(routing_logic.random, "choice", choice):
        for event in events:
            available = [endpoints[index] for index in event["available"]]
            body = {"prompt": text(event["prompt"])}
            chosen = asyncio.run(router.route_request(available, {}, {}, None, body))
            event["candidates"] = [index_of[url] for url in asked[-1]]
            event["choice"] = index_of[chosen]
    return {"kind": "router-prefix-aware", "source": source, "replicas": num_replicas, "events": events}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", metavar="SOURCE", help="commit of production-stack")
    parser.add_argument("--seeds", metavar="A-B", default="0-11")
    parser.add_argument("-o", "--out", type=Path, metavar="DIR", default=TRACES_DIR / "fleets")
    arguments = parser.parse_args()
    first, last = (int(part) for part in arguments.seeds.split("-"))
    for seed in range(first, last + 1):
        for kind in KINDS:
            write_json(record(kind, seed, arguments.source), arguments.out / f"router_{kind}_{seed}.json.gz")
    return 0


if __name__ == "__main__":
    sys.exit(main())
