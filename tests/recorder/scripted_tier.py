"""A tier behind host memory that plays a script: its transfers and look-ups take as many passes as the workload says.

vLLM's `TieringOffloadingManager` loads it as it loads any tier from outside (`module_path`). Nothing is moved. Like the
tier of files it keeps for ever what was written, and looks up beside the scheduler: `AsyncLookupManager` is vLLM's own, but
for its thread, whose work is done when the script says it.
"""

from __future__ import annotations

import queue
from collections.abc import Iterable
from typing import Any, ClassVar

from vllm.v1.kv_offload.base import LookupResult, Medium, OffloadKey, ReqContext, RequestOffloadingContext
from vllm.v1.kv_offload.tiering import backpressure
from vllm.v1.kv_offload.tiering.async_lookup import AsyncLookupManager
from vllm.v1.kv_offload.tiering.base import JobResult, SecondaryTierManager, TransferJob


class ScriptedClock:
    """What a tier that does not keep up is judged by: so many nanoseconds a pass, counted as it begins."""

    def __init__(self, pass_ns: int):
        self._pass_ns = pass_ns
        self.num_passes = 0

    def monotonic(self) -> float:
        return self.num_passes * self._pass_ns / 1e9


def _num_passes(numbers: list[int], number: int) -> int:
    return numbers[number % len(numbers)] if numbers else 0


class ScriptedLookups(AsyncLookupManager):
    """Answers a batch once so many passes have begun since it was asked, and none before the one asked earlier."""

    def __init__(self, tier: ScriptedTier, passes: list[int]):
        self._tier = tier
        self._passes = passes
        self._num_batches = 0
        # Batches that were asked, each with the pass by whose start it is answered.
        self._asked: list[tuple[int, Any]] = []
        # Requests and keys of the batches asked since the last pass.
        self.told: list[tuple[int, int]] = []
        super().__init__(tier_type="scripted")

    def _worker(self) -> None:
        """The thread has nothing to do: see `answer`."""

    def flush(self) -> None:
        super().flush()
        while not self._lookup_queue.empty():
            batch = self._lookup_queue.get_nowait()
            due = self._tier.num_begun + _num_passes(self._passes, self._num_batches)
            self._num_batches += 1
            self._asked.append((max(due, self._asked[-1][0] if self._asked else 0), batch))
            self.told.append((len({context.req_id for _, context, _ in batch}), len(batch)))

    def answer(self, number: int) -> None:
        """A pass begins: what is due is answered, by the code of vLLM's thread."""
        while self._asked and self._asked[0][0] <= number:
            _, batch = self._asked.pop(0)
            asked, self._lookup_queue = self._lookup_queue, queue.SimpleQueue()
            self._lookup_queue.put(batch)
            self._lookup_queue.put(None)
            super()._worker()
            self._lookup_queue = asked

    def batch_lookup(self, keys: list[OffloadKey], req_context: ReqContext) -> Iterable[bool]:
        return [key in self._tier.files for key in keys]


class ScriptedTier(SecondaryTierManager):
    """`read`, `write` and `lookup` are numbers of passes, used by number of the job or batch, again and again."""

    medium: ClassVar[Medium] = Medium.STORAGE

    def __init__(
        self,
        offloading_spec: Any,
        primary_kv_view: memoryview,
        tier_type: str,
        read: list[int],
        write: list[int],
        lookup: list[int],
        backpressure_detector: Any = None,
    ):
        super().__init__(offloading_spec, primary_kv_view, tier_type, backpressure_detector)
        self._passes = {True: read, False: write}
        self.files: set[OffloadKey] = set()
        self.num_begun = 0
        self._under_way: list[tuple[int, TransferJob]] = []
        self._over: list[TransferJob] = []
        # What was asked for, and what the manager was told of, since the last pass.
        self.submitted: list[TransferJob] = []
        self.polled: list[int] = []
        self.lookups = ScriptedLookups(self, lookup)

    def begin_pass(self) -> None:
        """A pass is going to be decided: what is due has happened."""
        number = self.num_begun
        self.num_begun += 1
        for job in self.submitted:
            # Between the results of a pass and the next one this clock stands still.
            job.submit_time = backpressure.time.monotonic()
        due = [job for pass_number, job in self._under_way if pass_number <= number]
        self._under_way = [one for one in self._under_way if one[0] > number]
        for job in due:
            if not job.is_promotion:
                self.files.update(job.keys)
        self._over += due
        self.lookups.answer(number)

    def _submit(self, job: TransferJob) -> None:
        if job.is_promotion:
            assert self.files.issuperset(job.keys), "what is read was written"
        passes = _num_passes(self._passes[job.is_promotion], job.job_id)
        self._under_way.append((self.num_begun + passes, job))
        self.submitted.append(job)

    def submit_store(self, job_metadata: TransferJob) -> None:
        self._submit(job_metadata)

    def submit_load(self, job_metadata: TransferJob) -> None:
        self._submit(job_metadata)

    def get_finished_jobs(self) -> Iterable[JobResult]:
        over, self._over = self._over, []
        self.polled += [job.job_id for job in over]
        return [JobResult(job_id=job.job_id, success=True) for job in over]

    def lookup(self, key: OffloadKey, req_context: ReqContext) -> LookupResult:
        result = self.lookups.lookup(key, req_context)
        if result is None:
            return LookupResult.RETRY
        return LookupResult.HIT if result else LookupResult.MISS

    def on_new_request(self, req_context: ReqContext) -> RequestOffloadingContext:
        return RequestOffloadingContext()

    def on_request_finished(self, req_context: ReqContext) -> None:
        self.lookups.cleanup(req_context.req_id)

    def on_schedule_end(self, context: Any) -> None:
        self.lookups.flush()

    def drain_jobs(self) -> None:
        """No workload empties the tiers."""
        raise NotImplementedError
