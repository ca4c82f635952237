"""A KV connector that has of each prompt what the workload says; vLLM loads it by this module's name.

Only the scheduler's half does something: `connector_executor.py` plays the workers' half. What it may say is in
`tests/data/traces/README.md`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from vllm.distributed.kv_transfer.kv_connector.v1.base import KVConnectorBase_V1, KVConnectorMetadata
from vllm.v1.request import RequestStatus
from workload import RequestSpec

# Ends after which somebody fetches the blocks.
FETCHED_AFTER = (RequestStatus.FINISHED_LENGTH_CAPPED, RequestStatus.FINISHED_STOPPED)


@dataclass(frozen=True)
class Transfer:
    """What workers are told to move: `kind` is `receive`, `load` (within the pass) or `send`."""

    kind: str
    request_id: str
    num_passes: int = 0
    invalid_blocks: tuple[int, ...] = ()
    fails: bool = False


@dataclass
class Transfers(KVConnectorMetadata):
    """The transfers that begin with a pass, loads first."""

    begun: list[Transfer] = field(default_factory=list)


@dataclass
class Script:
    """The workload's requests, and what was asked of the connector in the pass being decided; one run at a time."""

    requests: dict[str, RequestSpec] = field(default_factory=dict)
    async_loads: list[tuple[str, int]] = field(default_factory=list)
    sync_loads: list[tuple[str, int]] = field(default_factory=list)


SCRIPT = Script()


class ScriptedConnector(KVConnectorBase_V1):
    """See the module."""

    def __init__(self, vllm_config: Any, role: Any, kv_cache_config: Any):
        super().__init__(vllm_config, role, kv_cache_config)
        self._loads: list[Transfer] = []
        self._sends: list[Transfer] = []
        self._times_asked: dict[str, int] = {}
        self._loaded: set[str] = set()

    def get_num_new_matched_tokens(self, request: Any, num_computed_tokens: int) -> tuple[int | None, bool]:
        fields, name = SCRIPT.requests[request.request_id].fields, request.request_id
        if "ext" not in fields or (name in self._loaded and not fields.get("sticky")):
            return 0, False
        asked = self._times_asked.get(name, 0)
        if asked < fields.get("not_yet", 0):
            self._times_asked[name] = asked + 1
            return None, False
        # A pass that loads everything would have nothing to compute.
        most = request.num_prompt_tokens - (0 if "load_passes" in fields else 1)
        num_external = most if fields["ext"] == "prompt" else min(fields["ext"], most)
        num_new = max(0, num_external - num_computed_tokens)
        return num_new, "load_passes" in fields and num_new > 0

    def update_state_after_alloc(self, request: Any, blocks: Any, num_external_tokens: int) -> None:
        if num_external_tokens == 0:
            return
        name = request.request_id
        fields = SCRIPT.requests[name].fields
        self._loaded.add(name)
        table, fail = blocks.get_block_ids()[0], fields.get("fail")
        invalid = (table[fail],) if isinstance(fail, int) and fail < len(table) else ()
        if "load_passes" in fields:
            SCRIPT.async_loads.append((name, num_external_tokens))
            self._loads.append(Transfer("receive", name, fields["load_passes"], invalid, fail == "request"))
        else:
            SCRIPT.sync_loads.append((name, num_external_tokens))
            if invalid:
                self._loads.append(Transfer("load", name, 0, invalid))

    def build_connector_meta(self, scheduler_output: Any) -> Transfers:
        begun, self._loads, self._sends = self._loads + self._sends, [], []
        return Transfers(begun)

    def request_finished(self, request: Any, block_ids: list[int]) -> tuple[bool, dict[str, Any] | None]:
        num_passes = SCRIPT.requests[request.request_id].fields.get("send_passes")
        if num_passes is None or not block_ids or request.status not in FETCHED_AFTER:
            return False, None
        self._sends.append(Transfer("send", request.request_id, num_passes))
        return True, None

    def start_load_kv(self, forward_context: Any, **kwargs: Any) -> None:
        """Workers are played elsewhere, as in the next three."""

    def wait_for_layer_load(self, layer_name: str) -> None:
        """Not called."""

    def save_kv_layer(self, *args: Any, **kwargs: Any) -> None:
        """Not called."""

    def wait_for_save(self) -> None:
        """Not called."""
