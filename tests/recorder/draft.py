"""A workload while it is being made up: random choices, requests, and when they join."""

from __future__ import annotations

from random import Random
from typing import Any

from pool_size import estimated_blocks
from workload import ENGINE_DEFAULTS, own_output_start

# Token ranges of the generator. Prompts and outputs that belong to one request start at 1 and 2 billion.
SHARED_START = 500_000_000
SHARED_STRIDE = 100_000
PRIVATE_START = 700_000_000


class Draft:
    """Kinds fill one in. Every choice comes from `rng`, so a seed fixes the workload."""

    def __init__(self, seed: int):
        self.rng = Random(seed)
        self.engine: dict[str, Any] = {}
        # Layers, what goes with them, and the drafter: the fields of `MODEL_FIELDS`.
        self.model: dict[str, Any] = {}
        # Tokens after which blocks of all layers end.
        self.unit = 16
        self.requests: list[dict[str, Any]] = []
        self.aborts: list[list[Any]] = []
        self.queries_per_iter: list[int] = []

    # Choices.

    def between(self, low: int, high: int) -> int:
        return low + int(self.rng.random() * (high - low + 1))

    def skewed(self, low: int, high: int) -> int:
        """Mostly near `low`, now and then near `high`, as lengths are in practice."""
        return low + int((self.rng.random() ** 2.5) * (high - low + 1))

    def chance(self, probability: float) -> bool:
        return self.rng.random() < probability

    def whole_units(self, longest: int) -> int:
        """A length up to about `longest` at which blocks of all layers end."""
        return self.unit * self.between(1, max(1, longest // self.unit))

    def one_of(self, *options: Any) -> Any:
        return options[int(self.rng.random() * len(options))]

    # The engine.

    def set_engine(self, *, usable_blocks: int, **settings: Any) -> None:
        """`usable_blocks` may ask for too few: the pool then just holds one sequence of `max_model_len`.

        With layers it counts blocks of 16 tokens as one layer would need them: the pool is as tight with any layers.
        """
        self.engine |= settings
        longest = self.setting("max_model_len")
        if "layers" in self.model:
            smallest = estimated_blocks(self.model, {**ENGINE_DEFAULTS, **self.engine}, longest)
            usable_blocks = usable_blocks * smallest // -(-longest // 16)
        else:
            smallest = -(-longest // self.setting("block_size"))
        self.engine["num_gpu_blocks"] = max(usable_blocks, smallest) + 1

    def setting(self, name: str) -> Any:
        return self.engine.get(name, ENGINE_DEFAULTS[name])

    @property
    def longest_prompt(self) -> int:
        return self.setting("max_model_len") - 1

    # Requests.

    def add(self, *, max_tokens: int, **fields: Any) -> dict[str, Any]:
        """Adds a request with one of `prompt_len`, `prompt` (runs) and `prompt_token_ids`."""
        if "prompt_len" in fields:
            fields["prompt_len"] = max(1, min(fields["prompt_len"], self.longest_prompt))
        if "prompt" in fields:
            fields["prompt"] = cut_runs(fields["prompt"], self.longest_prompt)
        request = {"id": f"r{len(self.requests)}", **fields, "max_tokens": max_tokens}
        self.requests.append(request)
        return request

    def shared_run(self, which: int, count: int) -> list[int]:
        """The first `count` tokens of shared text number `which`."""
        return [SHARED_START + which * SHARED_STRIDE, count]

    def private_run(self, count: int) -> list[int]:
        """Tokens of the next request only."""
        return [PRIVATE_START + len(self.requests) * SHARED_STRIDE, count]

    def output_run(self, index: int, count: int) -> list[int]:
        """The first `count` tokens that request `index` generates."""
        return [own_output_start(index), count]

    # When they join.

    def all_at_once(self) -> None:
        self.queries_per_iter = [len(self.requests)]

    def spread(self, mean_gap: float) -> None:
        """Each request some iterations after the one before; `mean_gap` below 1 lets several join together."""
        slots: list[int] = []
        at = 0.0
        for _ in self.requests:
            slots += [0] * (int(at) + 1 - len(slots))
            slots[int(at)] += 1
            at += 2.0 * mean_gap * self.rng.random()
        self.queries_per_iter = slots

    def bursts(self, size: int, gap: int) -> None:
        """Up to `size` together, then about `gap` iterations with none."""
        left = len(self.requests)
        while left:
            count = min(left, self.between(1, size))
            self.queries_per_iter += [count] + [0] * self.between(gap // 2, gap + gap // 2)
            left -= count

    def abort(self, iteration: int, index: int) -> None:
        self.aborts.append([iteration, self.requests[index]["id"]])

    def document(self) -> dict[str, Any]:
        document: dict[str, Any] = {
            "engine": self.engine,
            **self.model,
            "requests": self.requests,
            "queries_per_iter": self.queries_per_iter or [len(self.requests)],
        }
        if self.aborts:
            document["aborts"] = sorted(self.aborts, key=lambda abort: abort[0])
        return document


def cut_runs(runs: list[list[int]], limit: int) -> list[list[int]]:
    """The first `limit` tokens of `runs`, without empty runs."""
    kept = []
    for start, count in runs:
        count = min(count, limit)
        if count > 0:
            kept.append([start, count])
            limit -= count
    return kept
