"""Asks vLLM's real balancers (`DPLBAsyncMPClient`) for their choices.

Real are the choice, its counts and the handling of ends. The clients have no sockets: what the coordinator tells is
installed as their task for it does.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from types import SimpleNamespace
from typing import Any

from engine import VLLM_VERSION
from vllm.v1.engine.core_client import DPLBAsyncMPClient


def make_client(num_ranks: int, num_clients: int, index: int) -> DPLBAsyncMPClient:
    """A client with the state that `__init__` makes for routing."""
    client = object.__new__(DPLBAsyncMPClient)
    client.client_count = num_clients
    client.client_index = index
    client.core_engines = [rank.to_bytes(2, "little") for rank in range(num_ranks)]
    client.lb_engines = [[0, 0, 0.0] for _ in range(num_ranks)]
    client.reqs_in_flight = {}
    client.engine_inflight = Counter()
    client.streaming_reqs = set()
    client.eng_start_index = num_ranks * index // num_clients
    return client


def record_balancer(document: dict[str, Any]) -> dict[str, Any]:
    """Plays the events of a document, and adds to each request where it went."""
    num_ranks, num_clients = document["ranks"], document["clients"]
    clients = [make_client(num_ranks, num_clients, index) for index in range(num_clients)]
    events = [_play(dict(event), clients) for event in document["events"]]
    return {"vllm": VLLM_VERSION, "kind": "dp-lb", "ranks": num_ranks, "clients": num_clients, "events": events}


def _play(event: dict[str, Any], clients: list[DPLBAsyncMPClient]) -> dict[str, Any]:
    if event["e"] == "snapshot":
        for client in clients:
            client.lb_engines = [list(counts) for counts in event["counts"]]
        return event
    client = clients[event["client"]]
    if event["e"] == "finish":
        ended = SimpleNamespace(finished_requests={event["id"]})
        asyncio.run(DPLBAsyncMPClient.process_engine_outputs(client, ended))
        return event
    request = SimpleNamespace(
        request_id=event["id"],
        data_parallel_rank=event.get("rank"),
        pooling_params=None,
        resumable=False,
    )
    event["choice"] = int.from_bytes(client.get_core_engine_for_request(request), "little")
    event["counts_after"] = [list(counts) for counts in client.lb_engines]
    event["start_after"] = client.eng_start_index
    return event
