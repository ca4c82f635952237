"""Kinds of workloads for engines with a drafter, with layers of several kinds, or with both.

How a drafter is set up is drawn by `drafter_settings.py`, the layers by `layer_sets.py`; here is what the requests make
of it. `Draft.set_engine` fits the pool to the layers, and `Draft.unit` is the length at which all their blocks end.
"""

from __future__ import annotations

from draft import Draft
from drafter_settings import draft_acceptance, largest_verification


def plain(d: Draft) -> None:
    """Room for everything; acceptance of all shapes."""
    d.set_engine(usable_blocks=300, max_num_seqs=d.between(4, 12), max_num_batched_tokens=512, max_model_len=600)
    for _ in range(d.between(8, 14)):
        d.add(prompt_len=d.skewed(1, 200), max_tokens=d.skewed(1, 60), **draft_acceptance(d))
    d.spread(2.5)


def budget(d: Draft) -> None:
    """Budgets so small that drafts, draft slots and prompts compete for them."""
    verification = largest_verification(d)
    d.set_engine(
        usable_blocks=d.between(60, 200),
        max_num_seqs=d.between(4, 10),
        max_num_batched_tokens=max(d.between(14, 40), verification + 6),
        max_model_len=400,
    )
    if d.chance(0.4):
        d.engine["max_num_scheduled_tokens"] = max(d.between(8, 30), verification + 2)
    for _ in range(d.between(9, 15)):
        d.add(prompt_len=d.skewed(1, 150), max_tokens=d.skewed(3, 40), **draft_acceptance(d))
    d.spread(1.6)


def long_prompts(d: Draft) -> None:
    """Prompts in many chunks beside requests that verify, some under a cap per request."""
    verification = largest_verification(d)
    d.set_engine(
        usable_blocks=d.between(90, 200),
        max_num_seqs=d.between(3, 6),
        max_num_batched_tokens=d.one_of(48, 75, 110),
        max_model_len=800,
        long_prefill_token_threshold=d.one_of(0, max(verification + 1, d.between(12, 30))),
        long_prefill_token_threshold_adaptive=d.chance(0.4),
    )
    for _ in range(d.between(6, 10)):
        d.add(prompt_len=d.skewed(40, 620), max_tokens=d.skewed(1, 30), **draft_acceptance(d))
    d.bursts(2, 10)


def crowd(d: Draft, count: int, longest_prompt: int, longest_output: int) -> None:
    """Requests with shared beginnings that together outgrow the pool."""
    for _ in range(count):
        prompt = [d.shared_run(d.between(0, 2), d.skewed(0, longest_prompt)), d.private_run(d.between(2, 40))]
        max_tokens = d.between(longest_output // 5 + 1, longest_output)
        d.add(prompt=prompt, max_tokens=max_tokens, **draft_acceptance(d))


def tight(d: Draft) -> None:
    """A pool that the running requests outgrow: victims lose drafts and results under way."""
    d.set_engine(
        usable_blocks=d.between(17, 26),
        max_num_seqs=d.between(4, 7),
        max_num_batched_tokens=d.one_of(64, 180),
        max_model_len=260,
        watermark=d.one_of(0.0, 0.0, 0.06),
        scheduler_reserve_full_isl=d.chance(0.7),
    )
    crowd(d, d.between(11, 17), 100, 90)
    d.spread(2.0)


def tight_priority(d: Draft) -> None:
    """The same under priorities: victims may have drafts in the very pass."""
    tight(d)
    d.engine["policy"] = "priority"
    for request in d.requests:
        request["priority"] = d.between(0, 4)
        if d.chance(0.4):
            request["arrival_time"] = d.between(0, 20) / 2


def prefix(d: Draft) -> None:
    """Prompts that share beginnings up to, at and just past block ends: what a hit may reach with a drafter."""
    d.set_engine(
        usable_blocks=d.between(60, 160),
        max_num_seqs=6,
        max_num_batched_tokens=d.one_of(60, 200),
        max_model_len=500,
    )
    for _ in range(d.between(14, 20)):
        length = d.whole_units(200) + d.one_of(-1, 0, 0, 1, 2, 5)
        prompt = [d.shared_run(d.between(0, 2), length), d.private_run(d.one_of(0, 0, 1, d.between(1, 50)))]
        d.add(prompt=prompt, max_tokens=d.skewed(1, 30), **draft_acceptance(d))
    d.spread(2.5)


def evict(d: Draft) -> None:
    """Shared beginnings in a pool that cannot keep them, so that keys come and go."""
    d.set_engine(usable_blocks=d.between(26, 38), max_num_seqs=5, max_num_batched_tokens=150, max_model_len=380)
    for _ in range(d.between(18, 26)):
        prompt = [d.shared_run(d.skewed(0, 4), d.between(30, 230)), d.private_run(d.skewed(0, 60))]
        d.add(prompt=prompt, max_tokens=d.skewed(1, 35), **draft_acceptance(d))
    d.spread(3.0)


def churn(d: Draft) -> None:
    """Many requests and a pool too small for them and for what they share: blocks change hands all the time."""
    d.set_engine(
        usable_blocks=d.between(20, 28),
        max_num_seqs=d.between(5, 9),
        max_num_batched_tokens=d.one_of(70, 140, 260),
        max_model_len=300,
        policy=d.one_of("fcfs", "priority"),
        scheduler_reserve_full_isl=d.chance(0.6),
        watermark=d.one_of(0.0, 0.0, 0.04),
    )
    for _ in range(d.between(50, 70)):
        shared = d.shared_run(d.skewed(0, 6), d.whole_units(130) + d.one_of(0, 0, 1, 9))
        prompt = [shared, d.private_run(d.skewed(0, 60))]
        request = d.add(prompt=prompt, max_tokens=d.skewed(2, 70), **draft_acceptance(d))
        if d.setting("policy") == "priority":
            request["priority"] = d.between(0, 3)
    d.spread(3.0)


def multiturn(d: Draft) -> None:
    """Conversations: a prompt goes on from an earlier prompt and the text generated for it."""
    d.set_engine(usable_blocks=d.between(45, 100), max_num_seqs=5, max_num_batched_tokens=200, max_model_len=800)
    turns: list[list[list[int]]] = [[] for _ in range(d.between(3, 4))]
    for _ in range(d.between(14, 20)):
        which = d.between(0, len(turns) - 1)
        prompt = turns[which] + [d.private_run(d.between(5, 60))]
        max_tokens = d.between(4, 50)
        kept = max_tokens if d.chance(0.6) else d.between(1, max_tokens + 5)
        turns[which] = prompt + [d.output_run(len(d.requests), kept)]
        d.add(prompt=prompt, max_tokens=max_tokens, **draft_acceptance(d))
    d.spread(6.0)


def model_len(d: Draft) -> None:
    """Verifications that max_model_len cuts short, prompts just below it, limits it takes precedence of."""
    length = d.one_of(96, 113, 131)
    d.set_engine(usable_blocks=d.between(12, 36), max_num_seqs=5, max_num_batched_tokens=128, max_model_len=length)
    for _ in range(d.between(11, 16)):
        prompt_len = length - d.one_of(1, 2, 3, 5, 8, 16, 17, 40)
        shared = d.chance(0.4)
        prompt = [d.shared_run(0, prompt_len)] if shared else [d.private_run(prompt_len)]
        d.add(prompt=prompt, max_tokens=d.one_of(1, 2, 12, 500), **draft_acceptance(d))
    d.spread(2.0)


def aborts(d: Draft) -> None:
    """Requests aborted while drafts of theirs are verified, waiting or preempted."""
    tight(d)
    if d.chance(0.4):
        d.engine["policy"] = "priority"
        for request in d.requests:
            request["priority"] = d.between(0, 2)
    joined = 0
    for iteration, count in enumerate(d.queries_per_iter):
        joined += count
        if joined and d.chance(0.3):
            d.abort(iteration, d.between(max(0, joined - 6), joined - 1))
    for _ in range(5):
        d.abort(len(d.queries_per_iter) + d.between(1, 50), d.between(0, len(d.requests) - 1))


def no_cache(d: Draft) -> None:
    """Prefix caching off, in a tight pool."""
    tight(d)
    d.engine["enable_prefix_caching"] = False


def no_chunk(d: Draft) -> None:
    """Chunked prefill off: prompts that exceed what drafts left of the budget stop admission."""
    d.set_engine(
        usable_blocks=d.between(40, 90),
        max_num_seqs=6,
        max_num_batched_tokens=d.one_of(250, 280),
        max_model_len=250,
        enable_chunked_prefill=False,
    )
    for _ in range(d.between(12, 18)):
        prompt = [d.shared_run(0, d.skewed(0, 70)), d.private_run(d.between(10, 160))]
        d.add(prompt=prompt, max_tokens=d.skewed(2, 30), **draft_acceptance(d))
    d.bursts(6, 5)


def seats(d: Draft) -> None:
    """More requests than seats; some drafters lower the number of seats themselves."""
    d.set_engine(
        usable_blocks=d.between(60, 120),
        max_num_seqs=16,
        max_num_batched_tokens=max(d.between(24, 48), 2 * largest_verification(d) + 4),
        max_model_len=300,
        max_num_active_seqs=d.one_of(None, None, 3, 5),
        watermark=d.one_of(0.0, 0.05, 0.15),
    )
    for _ in range(d.between(14, 20)):
        d.add(prompt_len=d.skewed(1, 90), max_tokens=d.skewed(2, 25), **draft_acceptance(d))
    d.spread(0.6)


def salt(d: Draft) -> None:
    """Cache salts keep equal prompts apart; block keys that look ahead are salted, too."""
    d.set_engine(usable_blocks=80, max_num_seqs=5, max_num_batched_tokens=200, max_model_len=400)
    for _ in range(d.between(14, 18)):
        fields = d.one_of({}, {}, {"cache_salt": "red"}, {"cache_salt": "blue"})
        prompt = [d.shared_run(0, d.whole_units(130) + d.one_of(0, 1, 3)), d.private_run(d.skewed(0, 40))]
        d.add(prompt=prompt, max_tokens=d.skewed(1, 20), **fields, **draft_acceptance(d))
    d.spread(3.0)


def pipeline(d: Draft) -> None:
    """Pipeline stages: several passes under way, each with drafts."""
    d.set_engine(
        usable_blocks=d.one_of(d.between(18, 26), 90),
        max_num_seqs=d.between(4, 8),
        max_num_batched_tokens=d.one_of(60, 150),
        max_model_len=250,
        pipeline_parallel_size=d.between(2, 3),
    )
    drafter = d.model.get("speculative")
    if drafter is not None:
        drafter["v2_runner"] = True
        # Not with the V2 runner.
        drafter.pop("parallel_drafting", None)
    crowd(d, d.between(11, 16), 80, 70)
    if d.chance(0.5):
        d.engine["policy"] = "priority"
        for request in d.requests:
            request["priority"] = d.between(0, 3)
    for request in d.requests:
        if d.chance(0.25):
            request["stop_at"] = d.between(1, request["max_tokens"])
    d.spread(1.3)
    for _ in range(d.one_of(0, 5)):
        d.abort(d.between(1, 90), d.between(0, len(d.requests) - 1))


def cadence(d: Draft) -> None:
    """Prompt parts held back until enough passes have gone by (`prefill_schedule_interval`, vLLM 0.33)."""
    d.set_engine(
        usable_blocks=d.between(30, 90),
        max_num_seqs=d.between(3, 8),
        max_num_batched_tokens=d.one_of(48, 120),
        max_model_len=320,
        prefill_schedule_interval=d.between(2, 7),
    )
    for _ in range(d.between(12, 18)):
        prompt = [d.shared_run(d.between(0, 1), d.skewed(0, 100)), d.private_run(d.between(1, 90))]
        d.add(prompt=prompt, max_tokens=d.skewed(2, 40), **draft_acceptance(d))
    d.spread(2.2)


def cadence_stages(d: Draft) -> None:
    """The same with pipeline stages and few seats: passes without tokens, which do not count."""
    pipeline(d)
    d.engine |= {"prefill_schedule_interval": d.between(3, 7), "max_num_seqs": d.between(2, 3)}


def cadence_tight(d: Draft) -> None:
    """The same with few blocks and requests: one that was preempted waits for its passes, and nobody else waits."""
    cadence_stages(d)
    d.requests.clear()
    d.aborts.clear()
    d.set_engine(usable_blocks=d.between(10, 14), max_model_len=150, scheduler_reserve_full_isl=False)
    d.engine |= {"prefill_schedule_interval": d.between(20, 40), "max_num_seqs": 5}
    for _ in range(d.between(10, 14)):
        d.add(prompt_len=d.skewed(4, 40), max_tokens=d.between(30, 100), **draft_acceptance(d))
    d.spread(9.0)


def everything(d: Draft) -> None:
    """All settings drawn at random."""
    verification = largest_verification(d)
    longest = d.between(100, 420)
    chunked = d.chance(0.8)
    d.set_engine(
        usable_blocks=-(-longest // 16) + d.skewed(0, 60),
        max_model_len=longest,
        max_num_seqs=d.between(2, 10),
        max_num_batched_tokens=verification + d.between(8, 240) if chunked else longest + d.between(verification, 100),
        enable_chunked_prefill=chunked,
        scheduler_reserve_full_isl=d.chance(0.6),
        long_prefill_token_threshold=d.one_of(0, 0, verification + d.between(1, 80)),
        long_prefill_token_threshold_adaptive=d.chance(0.4),
        watermark=d.one_of(0.0, 0.0, 0.03, 0.12),
        max_num_active_seqs=d.one_of(None, None, 2),
        prefill_schedule_interval=d.one_of(1, 1, 3, 6),
    )
    if d.chance(0.15):
        d.engine["enable_prefix_caching"] = False
    if chunked and d.chance(0.3):
        d.engine["max_num_scheduled_tokens"] = verification + d.between(4, 160)
    crowd(d, d.between(13, 22), longest // 2, longest // 3)
    for request in d.requests:
        if d.chance(0.2):
            request["stop_at"] = d.between(1, request["max_tokens"])
        if d.chance(0.1):
            request["cache_salt"] = d.one_of("s", "t")
    if d.chance(0.5):
        d.engine["policy"] = "priority"
        for request in d.requests:
            request["priority"] = d.between(0, 3)
    d.bursts(d.between(1, 6), d.between(1, 10))
    for _ in range(d.one_of(0, 0, 5)):
        d.abort(d.between(1, 120), d.between(0, len(d.requests) - 1))


KINDS = {
    build.__name__: build
    for build in (
        plain, budget, long_prompts, tight, tight_priority, prefix, evict, churn, multiturn, model_len, aborts,
        no_cache, no_chunk, seats, salt, pipeline, cadence, cadence_stages,
        cadence_tight, everything,
    )
}  # fmt: skip
