"""What stands in for the workers: an executor that computes nothing and answers from the workload.

It is fake in three things. It says which layers the model has, without a model. It gives the tokens that the workload
prescribes. With a drafter it proposes and accepts as many drafts as the workload says, all of them the same token. None
of that is looked at when a pass is made up: vLLM's scheduler and KV cache go by counts of tokens, and by token ids only
of prompts and of what was generated (block hashes, stops), which the workload fixes either way.
"""

from __future__ import annotations

from collections import Counter
from concurrent.futures import Future
from typing import Any

from vllm.v1.executor.abstract import Executor
from vllm.v1.outputs import EMPTY_MODEL_RUNNER_OUTPUT, DraftTokenIds, ModelRunnerOutput
from workload import RequestSpec

# Nothing reads a draft's value: where it counts, the workload says whether it was accepted.
DRAFT_TOKEN_ID = 7


class ScriptedExecutor(Executor):
    """Answers passes from the workload's script instead of running a model.

    Like a model runner it knows a request only by what scheduler outputs told it, and samples for a request exactly
    when the pass reaches the last token known of it, those included that it sampled itself a moment ago.
    """

    # Set by the class made for a workload.
    requests: dict[str, RequestSpec]
    kv_cache_spec: dict[str, Any]
    # Whether the drafter makes as many drafts as the pass asks for, and not always as many as it can.
    proposes_as_scheduled: bool

    def _init_executor(self) -> None:
        self._num_prompt_tokens: dict[str, int] = {}
        self._num_sampled: Counter[str] = Counter()
        self._num_verifications: Counter[str] = Counter()
        self._num_proposals: Counter[str] = Counter()
        self._sampled: ModelRunnerOutput | None = None
        self._drafts: DraftTokenIds | None = None

    # Everything asked of workers at start-up. How much memory there is does not matter: the block count is overridden.
    def collective_rpc(self, method: Any, timeout=None, args=(), kwargs=None, non_block=False) -> list[Any]:
        answers: dict[Any, Any] = {
            "get_kv_cache_spec": dict(self.kv_cache_spec),
            "determine_available_memory": 1 << 34,
            "get_supported_kv_cache_layouts": ["LBNHC"],
            "get_supported_tasks": ("generate",),
        }
        return [answers.get(method)]

    def compile_or_warm_up_model(self) -> None:
        pass

    def check_health(self) -> None:
        pass

    def shutdown(self) -> None:
        pass

    @classmethod
    def supports_async_scheduling(cls) -> bool:
        return True

    def execute_model(self, scheduler_output: Any, non_block: bool = False) -> Any:
        self._drafts = None
        if scheduler_output.total_num_scheduled_tokens == 0:
            return _answer(EMPTY_MODEL_RUNNER_OUTPUT, non_block)
        self._sampled = self._run(scheduler_output)
        return _answer(None, non_block)

    def sample_tokens(self, grammar_output: Any, non_block: bool = False) -> Any:
        sampled, self._sampled = self._sampled, None
        return _answer(sampled, non_block)

    def take_draft_token_ids(self) -> DraftTokenIds | None:
        """Asked for after each pass, except under asynchronous scheduling: there drafts stay with the workers."""
        drafts, self._drafts = self._drafts, None
        return drafts

    def _run(self, scheduler_output: Any) -> ModelRunnerOutput:
        num_computed = self._computed_tokens(scheduler_output)
        request_ids = list(scheduler_output.num_scheduled_tokens)
        most_drafts = self._most_drafts(scheduler_output)
        sampled: list[list[int]] = []
        drafts: list[list[int]] = []
        for request_id, num_tokens in scheduler_output.num_scheduled_tokens.items():
            num_drafts = len(scheduler_output.scheduled_spec_decode_tokens.get(request_id, ()))
            num_new = self._num_new_tokens(request_id, num_computed[request_id] + num_tokens, num_drafts)
            start = self._num_sampled[request_id]
            sampled.append([self.requests[request_id].output_token_id(start + place) for place in range(num_new)])
            self._num_sampled[request_id] += num_new
            num_proposed = most_drafts
            if num_new:
                num_proposed = self.requests[request_id].num_proposed(self._num_proposals[request_id], most_drafts)
                self._num_proposals[request_id] += 1
            drafts.append([DRAFT_TOKEN_ID] * num_proposed)
        self._drafts = DraftTokenIds(request_ids, drafts) if most_drafts else None
        return ModelRunnerOutput(
            req_ids=request_ids,
            req_id_to_index={request_id: row for row, request_id in enumerate(request_ids)},
            sampled_token_ids=sampled,
        )

    def _num_new_tokens(self, request_id: str, end: int, num_drafts: int) -> int:
        """Tokens the pass gives a request that it takes up to position `end`."""
        if num_drafts:
            verification = self._num_verifications[request_id]
            self._num_verifications[request_id] += 1
            return self.requests[request_id].num_accepted(verification, num_drafts) + 1
        num_known = self._num_prompt_tokens[request_id] + self._num_sampled[request_id]
        return 1 if end >= num_known else 0

    def _computed_tokens(self, scheduler_output: Any) -> dict[str, int]:
        """By request, the tokens that the scheduler takes for computed before the pass."""
        num_computed: dict[str, int] = {}
        for new in scheduler_output.scheduled_new_reqs:
            # The V2 model runner is sent resumed requests as new ones, too.
            self._num_prompt_tokens[new.req_id] = len(new.prompt_token_ids)
            num_computed[new.req_id] = new.num_computed_tokens
        cached = scheduler_output.scheduled_cached_reqs
        return num_computed | dict(zip(cached.req_ids, cached.num_computed_tokens, strict=True))

    def _most_drafts(self, scheduler_output: Any) -> int:
        drafter = self.vllm_config.speculative_config
        if drafter is None:
            return 0
        if self.proposes_as_scheduled:
            return scheduler_output.num_spec_tokens_to_schedule
        return drafter.num_speculative_tokens


def _answer(value: Any, non_block: bool) -> Any:
    if not non_block:
        return value
    future: Future = Future()
    future.set_result(value)
    return future
