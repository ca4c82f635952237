"""Kinds of workloads in which rules meet: preemption, priorities, aborts, passes that overlap."""

from __future__ import annotations

from draft import Draft


def _crowd(d: Draft, count: int, longest_prompt: int, longest_output: int) -> None:
    """Requests that together need much more than the pool while they generate."""
    for _ in range(count):
        prompt = [d.shared_run(d.between(0, 2), d.skewed(0, longest_prompt)), d.private_run(d.between(2, 40))]
        d.add(prompt=prompt, max_tokens=d.between(longest_output // 6 + 1, longest_output))


def _prioritise(d: Draft, levels: int) -> None:
    d.engine["policy"] = "priority"
    for request in d.requests:
        request["priority"] = d.between(0, levels - 1) - levels // 3


def tight_fcfs(d: Draft) -> None:
    """A pool that the running requests outgrow, first come first served."""
    d.set_engine(
        usable_blocks=d.between(18, 30),
        block_size=d.one_of(16, 16, 32),
        max_num_seqs=7,
        max_num_batched_tokens=d.one_of(64, 200),
        max_model_len=280,
    )
    _crowd(d, d.between(12, 20), 90, 110)
    d.spread(2.5)


def tight_priority(d: Draft) -> None:
    """The same with priorities and arrival times that contradict the order of joining."""
    tight_fcfs(d)
    _prioritise(d, 5)
    for request in d.requests:
        if d.chance(0.5):
            request["arrival_time"] = d.between(0, 40) / 4


def priority_ties(d: Draft) -> None:
    """Equal priorities and arrival times: ids compare as text."""
    tight_fcfs(d)
    _prioritise(d, 2)
    names = ["r10", "r2", "R2", "r02", "0", "Ω", "ä", "z", "a b", "é", "𝛼", "～", "r1", "r", "chat-9", "chat-10", "-1"]
    for index, request in enumerate(d.requests):
        request["id"] = names.pop(d.between(0, len(names) - 1)) if names else f"x{index}"
        request["arrival_time"] = d.one_of(7.0, 7.0, 7.25, -3.5)
    d.queries_per_iter = []
    d.bursts(9, 6)


def priority_ignored(d: Draft) -> None:
    """Priorities under first come first served have no effect."""
    tight_fcfs(d)
    for request in d.requests:
        request["priority"] = d.between(-3, 3)


def thrash(d: Draft) -> None:
    """A pool for little more than one sequence: requests push each other out again and again."""
    d.set_engine(
        usable_blocks=d.between(12, 14), max_num_seqs=d.between(3, 5), max_num_batched_tokens=96, max_model_len=190
    )
    _crowd(d, d.between(7, 10), 50, 90)
    d.spread(1.5)


def thrash_priority(d: Draft) -> None:
    """The same under priorities."""
    thrash(d)
    _prioritise(d, 4)


def rollback(d: Draft) -> None:
    """Priority victims that already have tokens of the pass, while the budget is nearly spent."""
    d.set_engine(
        usable_blocks=d.between(16, 24),
        max_num_seqs=6,
        max_num_batched_tokens=d.one_of(24, 40),
        max_model_len=240,
        scheduler_reserve_full_isl=d.chance(0.5),
    )
    _crowd(d, d.between(10, 15), 110, 80)
    _prioritise(d, 6)
    # The least important first, so that they sit at the front of the running list.
    order = sorted(range(len(d.requests)), key=lambda i: -d.requests[i]["priority"] + d.between(0, 3))
    d.requests = [{**d.requests[i], "id": f"r{place}"} for place, i in enumerate(order)]
    d.spread(1.4)


def rollback_budget(d: Draft) -> None:
    """Tokens given back by a victim go to a prefill further on in the same pass."""
    d.set_engine(
        usable_blocks=d.between(20, 23),
        max_num_seqs=8,
        max_num_batched_tokens=d.between(20, 24),
        max_model_len=320,
        long_prefill_token_threshold=d.between(9, 12),
        scheduler_reserve_full_isl=False,
    )
    d.engine["policy"] = "priority"
    for _ in range(d.between(3, 4)):
        # Unimportant requests generate at the front of the list while two important prompts are computed behind.
        for _ in range(d.between(4, 5)):
            d.add(prompt_len=d.between(3, 30), max_tokens=d.between(40, 70), priority=d.between(4, 6))
        for _ in range(2):
            d.add(prompt_len=d.between(150, 300), max_tokens=d.between(2, 20), priority=d.between(0, 2))
    d.spread(4.0)


def stale_finish(d: Draft) -> None:
    """Requests preempted just before the token that ends them arrives."""
    d.set_engine(usable_blocks=d.between(12, 18), max_num_seqs=8, max_num_batched_tokens=160, max_model_len=180)
    for _ in range(d.between(22, 30)):
        # Short, with lengths such that many finish where they also need a block.
        prompt_len = 16 * d.between(1, 3) + d.one_of(-1, 0, 0, 1)
        request = d.add(prompt_len=prompt_len, max_tokens=16 * d.between(0, 2) + d.one_of(1, 2, 2, 3))
        if d.chance(0.3):
            request["stop_at"] = d.between(1, request["max_tokens"])
    d.spread(0.8)


def stale_finish_priority(d: Draft) -> None:
    """The same under priorities."""
    stale_finish(d)
    _prioritise(d, 3)


def aborts(d: Draft) -> None:
    """Aborts of waiting, running, preempted, finished and not yet added requests."""
    tight_fcfs(d)
    if d.chance(0.4):
        _prioritise(d, 3)
    joined, iteration = 0, 0
    for iteration, count in enumerate(d.queries_per_iter):
        joined += count
        if joined and d.chance(0.35):
            d.abort(iteration, d.between(max(0, joined - 7), joined - 1))
    for _ in range(4):
        d.abort(iteration + d.between(1, 60), d.between(0, len(d.requests) - 1))
    # Not there yet; several in one iteration; twice the same.
    d.abort(0, len(d.requests) - 1)
    late = d.between(len(d.queries_per_iter) // 2, len(d.queries_per_iter) + 10)
    for index in (d.between(0, joined - 1) for _ in range(3)):
        d.abort(late, index)
        d.abort(late + 1, index)


def abort_all(d: Draft) -> None:
    """Everything is aborted while passes are under way, then more requests come."""
    d.set_engine(usable_blocks=40, max_num_seqs=5, max_num_batched_tokens=64, max_model_len=300)
    for _ in range(8):
        d.add(prompt=[d.shared_run(0, d.between(20, 150))], max_tokens=d.between(10, 60))
    d.queries_per_iter = [3, 2] + [0] * 9 + [1] + [0] * 7 + [2]
    at = d.between(4, 9)
    for index in range(5):
        d.abort(at, index)


def aborts_prefix(d: Draft) -> None:
    """Aborted requests leave blocks behind that later ones find or take, in the order they were freed."""
    d.set_engine(usable_blocks=d.between(24, 30), max_num_seqs=4, max_num_batched_tokens=180, max_model_len=380)
    for index in range(d.between(22, 30)):
        d.add(prompt=[d.shared_run(d.between(0, 4), d.between(60, 300))], max_tokens=d.between(2, 40))
        d.queries_per_iter += [1] + [0] * d.between(0, 9)
        if d.chance(0.5):
            d.abort(max(0, len(d.queries_per_iter) - d.between(0, 3)), index)


def pipeline(d: Draft) -> None:
    """Pipeline stages, with room for everything."""
    d.set_engine(
        usable_blocks=160,
        max_num_seqs=d.between(4, 10),
        max_num_batched_tokens=d.one_of(40, 128),
        max_model_len=400,
        pipeline_parallel_size=d.between(2, 4),
    )
    _crowd(d, d.between(8, 12), 120, 24)
    for request in d.requests:
        if d.chance(0.3):
            request["stop_at"] = d.between(1, request["max_tokens"])
    d.spread(2.0)


def pipeline_tight(d: Draft) -> None:
    """Pipeline stages in a tight pool: victims wait for results that are still under way."""
    d.set_engine(
        usable_blocks=d.between(13, 18),
        max_num_seqs=d.between(5, 8),
        max_num_batched_tokens=d.one_of(48, 120),
        max_model_len=190,
        pipeline_parallel_size=d.between(2, 4),
    )
    for _ in range(d.between(14, 20)):
        prompt = [d.shared_run(d.between(0, 2), d.skewed(0, 60)), d.private_run(d.between(1, 30))]
        request = d.add(prompt=prompt, max_tokens=d.between(1, 45))
        if d.chance(0.25):
            request["stop_at"] = d.between(1, request["max_tokens"])
    d.spread(1.2)


def pipeline_priority(d: Draft) -> None:
    """The same under priorities."""
    pipeline_tight(d)
    _prioritise(d, 4)
    for request in d.requests:
        if d.chance(0.4):
            request["arrival_time"] = d.between(0, 12) / 2


def pipeline_aborts(d: Draft) -> None:
    """The same with aborts of requests whose results are under way."""
    pipeline_tight(d)
    for _ in range(10):
        d.abort(d.between(1, len(d.queries_per_iter) + 50), d.between(0, len(d.requests) - 1))


def pipeline_victims(d: Draft) -> None:
    """Requests in step that all need a block in the same pass: several victims at once wait for their results."""
    d.set_engine(
        usable_blocks=d.between(14, 17),
        max_num_seqs=8,
        max_num_batched_tokens=256,
        max_model_len=200,
        pipeline_parallel_size=d.between(3, 4),
        long_prefill_token_threshold=d.one_of(0, 16),
    )
    for _ in range(d.between(4, 5)):
        length = 16 * d.between(1, 2) - d.between(0, 3)
        for _ in range(d.between(4, 6)):
            d.add(prompt_len=length, max_tokens=d.between(6, 40))
    d.bursts(6, 8)


def pipeline_abort_all(d: Draft) -> None:
    """Everything is aborted while the pipeline is not yet full."""
    d.set_engine(
        usable_blocks=30,
        max_num_seqs=6,
        max_num_batched_tokens=64,
        max_model_len=200,
        pipeline_parallel_size=d.between(2, 4),
    )
    for _ in range(d.between(4, 6)):
        at, first = len(d.queries_per_iter), len(d.requests)
        for _ in range(d.between(1, 2)):
            d.add(prompt_len=d.between(5, 40), max_tokens=d.between(1, 9))
        d.queries_per_iter += [len(d.requests) - first] + [0] * d.between(12, 30)
        for index in range(first, len(d.requests)):
            d.abort(at + d.between(1, 4), index)


def everything(d: Draft) -> None:
    """All settings drawn at random, except pipeline stages."""
    block_size = d.one_of(16, 16, 32, 128)
    max_model_len = d.between(4, 12) * block_size + d.between(0, block_size - 1)
    chunked = d.chance(0.8)
    d.set_engine(
        usable_blocks=-(-max_model_len // block_size) + d.skewed(0, 40),
        block_size=block_size,
        max_model_len=max_model_len,
        max_num_seqs=d.between(2, 12),
        max_num_batched_tokens=d.between(20, 3 * block_size + 200) if chunked else max_model_len + d.between(0, 100),
        enable_chunked_prefill=chunked,
        enable_prefix_caching=d.chance(0.85),
        scheduler_reserve_full_isl=d.chance(0.6),
        long_prefill_token_threshold=d.one_of(0, 0, d.between(5, min(max_model_len, 90))),
        long_prefill_token_threshold_adaptive=d.chance(0.4),
        watermark=d.one_of(0.0, 0.0, 0.02, 0.11),
        max_num_active_seqs=d.one_of(None, None, 2),
    )
    if chunked and d.chance(0.3):
        d.engine["max_num_scheduled_tokens"] = d.between(15, 200)
    _crowd(d, d.between(14, 24), max_model_len // 2, max_model_len // 3)
    for request in d.requests:
        if d.chance(0.2):
            request["stop_at"] = d.between(1, request["max_tokens"])
        if d.chance(0.1):
            request["cache_salt"] = d.one_of("s", "t")
    if d.chance(0.5):
        _prioritise(d, d.between(1, 5))
    d.bursts(d.between(1, 8), d.between(1, 10))
    for _ in range(d.one_of(0, 0, 5)):
        d.abort(d.between(1, 120), d.between(0, len(d.requests) - 1))


def everything_pipeline(d: Draft) -> None:
    """All settings drawn at random, pipeline stages too."""
    everything(d)
    d.engine["pipeline_parallel_size"] = d.between(2, 4)


KINDS = {
    build.__name__: build
    for build in (
        tight_fcfs, tight_priority, priority_ties, priority_ignored, thrash, thrash_priority, rollback,
        rollback_budget, stale_finish, stale_finish_priority, aborts, abort_all, aborts_prefix, pipeline,
        pipeline_tight, pipeline_priority, pipeline_aborts, pipeline_victims, pipeline_abort_all, everything,
        everything_pipeline,
    )
}  # fmt: skip
