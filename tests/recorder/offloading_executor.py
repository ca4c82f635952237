"""Workers of an engine that offloads KV blocks to host memory: its transfers take as many passes as the workload says.

Fake as `connector_executor.py`: nothing is moved. A load may be over with the pass that it begins with; a store begins
with the next one, as `OffloadingConnectorWorker.prepare_store_kv` puts it off; what is to be flushed is over before the
pass runs.
"""

from __future__ import annotations

from typing import Any

from connector_executor import ConnectorExecutor
from vllm.distributed.kv_transfer.kv_connector.v1.offloading.common import OffloadingWorkerMetadata
from vllm.v1.outputs import KVConnectorOutput


class OffloadingExecutor(ConnectorExecutor):
    """Answers passes, and reports the jobs that have ended with them."""

    # Set by the class made for a workload: `load` and `store`, each a list of numbers that jobs use by their number.
    transfer_passes: dict[str, list[int]]

    def _init_executor(self) -> None:
        super()._init_executor()
        # By number of the job: the pass it ends with, and the request it loads for.
        self._jobs: dict[int, tuple[int, str | None]] = {}

    def _report(self, metadata: Any) -> KVConnectorOutput:
        now = self._num_passes
        self._num_passes += 1
        for job_id, job in metadata.load_jobs.items():
            self._jobs[job_id] = (now + self._num_passes_of("load", job_id), job.req_id)
        for job_id in metadata.store_jobs:
            self._jobs[job_id] = (now + 1 + self._num_passes_of("store", job_id), None)
        for job_id in metadata.jobs_to_flush or ():
            if job_id in self._jobs:
                self._jobs[job_id] = (now, self._jobs[job_id][1])
        over = sorted(job_id for job_id, (end, _) in self._jobs.items() if end <= now)
        loaded = [name for job_id in over if (name := self._jobs.pop(job_id)[1]) is not None]
        done = OffloadingWorkerMetadata(completed_jobs=dict.fromkeys(over, 1))
        return KVConnectorOutput(
            finished_recving=loaded or None,
            kv_connector_worker_meta=done if over else None,
        )

    def _num_passes_of(self, kind: str, job_id: int) -> int:
        numbers = self.transfer_passes.get(kind) or [0]
        return numbers[job_id % len(numbers)]
