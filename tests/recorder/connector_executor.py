"""Workers of an engine with a KV connector: transfers take as many passes as the workload says.

Fake as `scripted_executor.py`, and in one thing more: nothing is moved. What is reported with a pass, and in which
order, is what the scheduler goes by.
"""

from __future__ import annotations

from typing import Any

from scripted_connector import Transfer
from scripted_executor import ScriptedExecutor, _answer
from vllm.v1.outputs import KVConnectorOutput, ModelRunnerOutput


class ConnectorExecutor(ScriptedExecutor):
    """Answers passes, and reports transfers with them."""

    def _init_executor(self) -> None:
        super()._init_executor()
        self._num_passes = 0
        self._under_way: list[tuple[int, Transfer]] = []

    def collective_rpc(self, method: Any, timeout=None, args=(), kwargs=None, non_block=False) -> list[Any]:
        if method == "get_kv_connector_handshake_metadata":
            return []
        return super().collective_rpc(method, timeout, args, kwargs, non_block)

    def execute_model(self, scheduler_output: Any, non_block: bool = False) -> Any:
        report = self._report(scheduler_output.kv_connector_metadata)
        if scheduler_output.total_num_scheduled_tokens == 0:
            nothing = ModelRunnerOutput(
                req_ids=[], req_id_to_index={}, sampled_token_ids=[], kv_connector_output=report
            )
            return _answer(nothing, non_block)
        answer = super().execute_model(scheduler_output, non_block)
        self._sampled.kv_connector_output = report
        return answer

    def _report(self, metadata: Any) -> KVConnectorOutput:
        now = self._num_passes
        self._num_passes += 1
        self._under_way += [(now + transfer.num_passes, transfer) for transfer in metadata.begun]
        over = sorted((one for one in self._under_way if one[0] <= now), key=lambda one: one[0])
        self._under_way = [one for one in self._under_way if one[0] > now]
        of_kind = {kind: [t.request_id for _, t in over if t.kind == kind] for kind in ("receive", "send")}
        # vLLM goes through them in order, and that of a set would be arbitrary.
        report = KVConnectorOutput(
            finished_sending=of_kind["send"] or None,
            finished_recving=of_kind["receive"] or None,
            invalid_block_ids={block for _, transfer in over for block in transfer.invalid_blocks},
        )
        failed = {transfer.request_id for _, transfer in over if transfer.fails}
        if failed:
            report.failed_recving = failed
        return report

    def _run(self, scheduler_output: Any) -> ModelRunnerOutput:
        """Known tokens are those that the scheduler says: after a failed load some results do not count."""
        num_computed = self._computed_tokens(scheduler_output)
        known: dict[str, int] = {}
        for new in scheduler_output.scheduled_new_reqs:
            # The V2 model runner is sent resumed requests as new ones, with all of their tokens.
            tokens = getattr(new, "prefill_token_ids", None)
            known[new.req_id] = len(new.prompt_token_ids if tokens is None else tokens)
        cached = scheduler_output.scheduled_cached_reqs
        for request_id, num_outputs in zip(cached.req_ids, cached.num_output_tokens, strict=True):
            known[request_id] = self._num_prompt_tokens[request_id] + num_outputs
        sampled: list[list[int]] = []
        for request_id, num_tokens in scheduler_output.num_scheduled_tokens.items():
            end = num_computed[request_id] + num_tokens
            position = end - self._num_prompt_tokens[request_id]
            emits = end >= known[request_id]
            sampled.append([self.requests[request_id].output_token_id(position)] if emits else [])
        request_ids = list(scheduler_output.num_scheduled_tokens)
        return ModelRunnerOutput(
            req_ids=request_ids,
            req_id_to_index={request_id: row for row, request_id in enumerate(request_ids)},
            sampled_token_ids=sampled,
        )
