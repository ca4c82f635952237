"""Runs ranks in lockstep on vLLM's real `DPEngineCoreProc.run_busy_loop`, and writes down every step of each.

Real are the loop, each rank's engine core and scheduler, waves, dummy steps, and what is told to the coordinator. Fake
are the workers (`scripted_executor.py`), the processes (a thread for each rank), the all-reduce (an exchange between the
threads), and the coordinator, which is a perfect one: when a request reaches a paused rank the others are told within the
same tick. Ranks never run apart for longer than a tick, as the all-to-alls of a real pass do not let them either.
"""

from __future__ import annotations

import queue
import threading
from typing import Any

from engine import VLLM_VERSION, make_engine_core, resolved_settings
from schedule_recorder import engine_core_request
from vllm.config import ParallelConfig
from vllm.v1.engine import EngineCoreRequestType
from vllm.v1.engine.core import DPEngineCoreProc, EngineShutdownState
from workload import Workload

# Ranks that wait longer for each other are stuck.
EXCHANGE_TIMEOUT_S = 120
# `ParallelConfig.dp_sync_interval`.
DEFAULT_DP_SYNC_INTERVAL = 16


class Exchange:
    """Where the threads of all ranks meet: each brings a value and leaves with those of all."""

    def __init__(self, num_ranks: int):
        self._barrier = threading.Barrier(num_ranks, timeout=EXCHANGE_TIMEOUT_S)
        self._values: list[Any] = [None] * num_ranks

    def values(self, rank: int, value: Any) -> list[Any]:
        self._values[rank] = value
        self._barrier.wait()
        values = list(self._values)
        self._barrier.wait()
        return values

    def break_up(self) -> None:
        self._barrier.abort()


class Rank(DPEngineCoreProc):
    """One rank whose messages come from the workload."""

    # `make_engine_core` builds an EngineCore, and `become_rank` adds what a rank of a group has beside it.
    rank_exchange: Exchange
    rank_entries: list[dict[str, Any]]
    rank_arrivals: dict[int, list[Any]]
    rank_last_tick: int

    def _process_input_queue(self) -> None:
        entry: dict[str, Any] = {}
        self.rank_entries.append(entry)
        woken_in_wave = None
        for request in self.rank_arrivals.get(len(self.rank_entries) - 1, ()):
            if not self.engines_running:
                woken_in_wave = self.current_wave
            prepared, _ = self.preprocess_add_request(engine_core_request(request))
            self.add_request(prepared, self.current_wave)
            entry.setdefault("add", []).append(request.index)
        for other, wave in enumerate(self.rank_exchange.values(self.dp_rank, woken_in_wave)):
            if wave is not None and other != self.dp_rank:
                self._handle_client_request(EngineCoreRequestType.START_DP_WAVE, (wave, other))

    def _handle_shutdown(self) -> bool:
        is_busy = self.engines_running or self.scheduler.has_requests() or bool(self.batch_queue)
        any_busy = any(self.rank_exchange.values(self.dp_rank, is_busy))
        return any_busy or len(self.rank_entries) <= self.rank_last_tick

    def execute_dummy_batch(self) -> None:
        self.rank_entries[-1]["dummy"] = 1

    def watch_schedule(self, index_of: dict[str, int]) -> None:
        """From now on what is scheduled is written down."""
        schedule = self.scheduler.schedule

        def watched(throttle_prefills: bool = False) -> Any:
            output = schedule(throttle_prefills)
            computed = {new.req_id: new.num_computed_tokens for new in output.scheduled_new_reqs}
            cached = output.scheduled_cached_reqs
            computed |= dict(zip(cached.req_ids, cached.num_computed_tokens, strict=True))
            entry = self.rank_entries[-1]
            entry["s"] = [[index_of[name], n, computed[name]] for name, n in output.num_scheduled_tokens.items()]
            if throttle_prefills:
                entry["throttle"] = 1
            entry["run"], entry["wait"] = self.scheduler.get_request_counts()
            return output

        self.scheduler.schedule = watched

    def told(self) -> list[list[Any]]:
        """What the loop sent to the coordinator, in order."""
        messages: list[list[Any]] = []
        while not self.output_queue.empty():
            client, outputs = self.output_queue.get()
            stats = outputs.scheduler_stats
            if client != -1:
                continue
            if stats is not None:
                counts = [stats.num_waiting_reqs, stats.num_running_reqs]
                messages.append(["stats", *counts, stats.step_counter, stats.current_wave])
            elif outputs.wave_complete is not None:
                messages.append(["wave_complete", outputs.wave_complete])
            elif outputs.start_wave is not None:
                messages.append(["start_wave", outputs.start_wave])
        return messages


def become_rank(core: Any, rank: int, document: dict[str, Any], exchange: Exchange) -> Rank:
    """Gives an engine core what `DPEngineCoreProc.__init__` would, but for sockets and process groups."""
    core.__class__ = Rank
    core.scheduler.finished_req_ids_dict = None
    state = {
        "dp_rank": rank,
        "dp_size": document["ranks"],
        "dp_group": None,
        "engine_index": rank,
        "has_coordinator": True,
        "publish_dp_lb_stats": True,
        "last_counts": (0, 0),
        "engines_running": False,
        "current_wave": 0,
        "step_counter": 0,
        "pending_pause": False,
        "ignore_start_dp_wave": False,
        "eep_scaling_state": None,
        "process_input_queue_block": True,
        "shutdown_state": EngineShutdownState.RUNNING,
        "input_queue": queue.Queue(),
        "output_queue": queue.Queue(),
        "prefill_schedule_interval": document.get("prefill_schedule_interval", 1),
        "dp_sync_interval": document.get("dp_sync_interval", DEFAULT_DP_SYNC_INTERVAL),
        "rank_exchange": exchange,
        "rank_entries": [],
        "rank_last_tick": max(request["tick"] for request in document["requests"]),
    }
    for name, value in state.items():
        setattr(core, name, value)
    return core


def record_lockstep(document: dict[str, Any]) -> dict[str, Any]:
    """Runs a workload document of ranks to its end."""
    workload = Workload({"engine": document["engine"], "requests": document["requests"]})
    exchange = Exchange(document["ranks"])
    ranks = [become_rank(make_engine_core(workload), rank, document, exchange) for rank in range(document["ranks"])]
    settings = resolved_settings(ranks[0], workload)
    for rank in ranks:
        mine = [request for request in workload.requests if request.fields["rank"] == rank.dp_rank]
        rank.rank_arrivals = {}
        for request in mine:
            rank.rank_arrivals.setdefault(request.fields["tick"], []).append(request)
        rank.watch_schedule(workload.index_of)
    _run(ranks, exchange)
    return {
        "vllm": VLLM_VERSION,
        "kind": "dp-lockstep",
        "workload": document,
        "engine": settings,
        "ticks": [list(entries) for entries in zip(*(rank.rank_entries for rank in ranks), strict=True)],
        "to_coordinator": [rank.told() for rank in ranks],
    }


def _run(ranks: list[Rank], exchange: Exchange) -> None:
    of_thread = threading.local()
    failures: list[BaseException] = []

    def sync_dp_state(_group: Any, has_unfinished: bool, pending_pause: bool) -> tuple[bool, bool]:
        states = exchange.values(of_thread.rank, (has_unfinished, pending_pause))
        return any(unfinished for unfinished, _ in states), all(pause for _, pause in states)

    ParallelConfig.sync_dp_state = staticmethod(sync_dp_state)

    def run(rank: Rank) -> None:
        of_thread.rank = rank.dp_rank
        loop = DPEngineCoreProc.run_busy_loop
        try:
            getattr(loop, "__wrapped__", loop)(rank)
        except SystemExit:
            pass
        except BaseException as error:
            failures.append(error)
            exchange.break_up()

    threads = [threading.Thread(target=run, args=(rank,)) for rank in ranks]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
