"""The workload format: what a request asks for, which tokens it consists of, and how files are kept.

Nothing here needs vLLM. The format is described in `tests/data/traces/README.md`.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

EOS_TOKEN_ID = 2

# A request's own tokens lie in ranges that no other request's tokens reach.
PROMPT_TOKENS_START = 1_000_000_000
OUTPUT_TOKENS_START = 2_000_000_000
TOKENS_PER_REQUEST = 1_000_000

# What an engine setting is when the workload does not give it.
ENGINE_DEFAULTS: dict[str, Any] = {
    "max_num_seqs": 128,
    "max_num_batched_tokens": 2048,
    "block_size": 16,
    "num_gpu_blocks": 1025,
    "max_model_len": 4096,
    "enable_prefix_caching": True,
    "enable_chunked_prefill": True,
    "long_prefill_token_threshold": 0,
    "policy": "fcfs",
    "async_scheduling": False,
    "long_prefill_token_threshold_adaptive": False,
    "max_num_scheduled_tokens": None,
    "max_num_active_seqs": None,
    "watermark": 0.0,
    "scheduler_reserve_full_isl": True,
    "pipeline_parallel_size": 1,
}
# Settings that stay out of the trace unless the workload gives them: they came after its format was fixed.
ENGINE_OPTIONS = ("prefill_schedule_interval",)

# What a workload may say beside its engine and its requests: the model's layers and the drafter.
MODEL_FIELDS = (
    "layers",
    "mamba_mode",
    "mamba_block",
    "disable_hybrid",
    "retention",
    "prefix_match_unit",
    "shared_prefix_checkpoint",
    "speculative",
)
# The KV connector's settings, and for vLLM's own how many passes its transfers take.
CONNECTOR_FIELD = "kv"
TRANSFERS_FIELD = "transfer_passes"


class WorkloadError(ValueError):
    """The workload says something no engine can be asked."""


def own_output_start(index: int) -> int:
    """The first output token of request `index`, unless the request says otherwise."""
    return OUTPUT_TOKENS_START + index * TOKENS_PER_REQUEST


@dataclass(frozen=True)
class RequestSpec:
    """One request of a workload, under its index."""

    index: int
    fields: dict[str, Any]

    @property
    def request_id(self) -> str:
        return self.fields.get("id", f"r{self.index}")

    @property
    def max_tokens(self) -> int:
        return self.fields["max_tokens"]

    @property
    def priority(self) -> int:
        return self.fields.get("priority", 0)

    @property
    def arrival_time(self) -> float:
        return float(self.fields.get("arrival_time", self.index))

    @property
    def cache_salt(self) -> str | None:
        return self.fields.get("cache_salt")

    @property
    def stop_token_ids(self) -> list[int]:
        return list(self.fields.get("stop_token_ids") or ())

    @property
    def heeds_eos(self) -> bool:
        """Only a request that says when it meets the EOS token is ended by it."""
        return self.fields.get("stop_at") is not None

    def num_accepted(self, verification: int, num_drafts: int) -> int:
        """How many of `num_drafts` drafts the model accepts in this verification, counted from 0."""
        return min(_repeated(self.fields.get("accept"), verification, num_drafts), num_drafts)

    def num_proposed(self, proposal: int, most: int) -> int:
        """How many drafts there are after the pass that gave this request tokens for the `proposal`-th time."""
        return min(_repeated(self.fields.get("propose"), proposal, most), most)

    def prompt_token_ids(self) -> list[int]:
        if "prompt_token_ids" in self.fields:
            return list(self.fields["prompt_token_ids"])
        if "prompt" in self.fields:
            return [token for start, count in self.fields["prompt"] for token in range(start, start + count)]
        start = PROMPT_TOKENS_START + self.index * TOKENS_PER_REQUEST
        return list(range(start, start + self.fields["prompt_len"]))

    def output_token_id(self, position: int) -> int:
        """The output token at `position`, counted from 0."""
        if self.fields.get("stop_at") == position + 1:
            return EOS_TOKEN_ID
        given = self.fields.get("output_token_ids") or ()
        if position < len(given):
            return given[position]
        return self.fields.get("out_base", own_output_start(self.index)) + position


def _repeated(numbers: list[int] | None, place: int, otherwise: int) -> int:
    """The number at `place` of a list that starts anew when it ends; `otherwise` if there is no list."""
    return numbers[place % len(numbers)] if numbers else otherwise


class Workload:
    """Requests, the iteration each joins and is aborted at, and the engine they are given to."""

    def __init__(self, document: dict[str, Any]):
        self.document = document
        self.requests = [RequestSpec(index, fields) for index, fields in enumerate(document["requests"])]
        self.index_of = {request.request_id: request.index for request in self.requests}
        self.queries_per_iter: list[int] = document.get("queries_per_iter", [len(self.requests)])
        self._aborts: dict[int, list[str]] = {}
        for iteration, request_id in document.get("aborts", ()):
            self._aborts.setdefault(iteration, []).append(request_id)
        # Iterations before whose additions the prefix cache is emptied.
        self.resets: list[int] = document.get("resets", [])
        self._check()

    @property
    def engine(self) -> dict[str, Any]:
        """Every engine setting, defaults filled in."""
        return {**ENGINE_DEFAULTS, **self.document["engine"]}

    @property
    def layers(self) -> list[dict[str, Any]] | None:
        """Runs of equal layers in model order; None for one layer of full attention."""
        return self.document.get("layers")

    @property
    def speculative(self) -> dict[str, Any] | None:
        """The drafter, if there is one."""
        return self.document.get("speculative")

    @property
    def has_connector(self) -> bool:
        """Whether the engine has a KV connector."""
        return CONNECTOR_FIELD in self.document

    @property
    def has_offloading(self) -> bool:
        """Whether that is vLLM's own, which keeps KV blocks in host memory."""
        return self.document.get(CONNECTOR_FIELD, {}).get("kv_connector") == "OffloadingConnector"

    @property
    def has_tiers(self) -> bool:
        """Whether there are tiers behind that memory."""
        extra = self.document.get(CONNECTOR_FIELD, {}).get("kv_connector_extra_config", {})
        return self.has_offloading and extra.get("spec_name") == "TieringOffloadingSpec"

    def aborts_before(self, iteration: int) -> list[str]:
        return self._aborts.get(iteration, [])

    def arrivals(self) -> Iterator[list[RequestSpec]]:
        """For each iteration in turn, the requests added before it."""
        added = 0
        for count in self.queries_per_iter:
            yield self.requests[added : added + count]
            added += count

    def _check(self) -> None:
        unknown = set(self.document["engine"]) - {*ENGINE_DEFAULTS, *ENGINE_OPTIONS}
        if unknown:
            raise WorkloadError(f"engine: unknown settings {sorted(unknown)}")
        known = {"engine", "requests", "queries_per_iter", "aborts", "resets", CONNECTOR_FIELD, TRANSFERS_FIELD, *MODEL_FIELDS}
        unknown = set(self.document) - known
        if unknown:
            raise WorkloadError(f"unknown fields {sorted(unknown)}")
        if len(self.index_of) != len(self.requests):
            raise WorkloadError("requests: two requests have the same id")
        if sum(self.queries_per_iter) != len(self.requests):
            raise WorkloadError(
                f"queries_per_iter: adds {sum(self.queries_per_iter)} of {len(self.requests)} requests"
            )
        max_model_len = self.engine["max_model_len"]
        for request in self.requests:
            length = len(request.prompt_token_ids())
            # vLLM's front end refuses these, so its scheduler never sees them.
            if not 0 < length < max_model_len:
                raise WorkloadError(
                    f"requests[{request.index}]: prompt of {length} tokens, must be 1 to {max_model_len - 1}"
                )
            if request.max_tokens < 1:
                raise WorkloadError(f"requests[{request.index}]: max_tokens {request.max_tokens} must be at least 1")
        for request_ids in self._aborts.values():
            for request_id in request_ids:
                if request_id not in self.index_of:
                    raise WorkloadError(f"aborts: {request_id!r} is no request of this workload")


def read_json(path: Path) -> Any:
    opener = gzip.open if path.suffix == ".gz" else open
    with opener(path, "rt", encoding="utf-8") as file:
        return json.load(file)


def write_json(document: Any, path: Path) -> None:
    """Writes compact JSON; a `.gz` file carries no name and no time, so equal content gives equal bytes."""
    data = json.dumps(document, separators=(",", ":")).encode()
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".gz":
        with open(path, "wb") as raw, gzip.GzipFile("", "wb", compresslevel=9, fileobj=raw, mtime=0) as file:
            file.write(data)
    else:
        path.write_bytes(data)
