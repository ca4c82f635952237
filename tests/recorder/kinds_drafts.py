"""Kinds of workloads for rules that only engines with a drafter have."""

from __future__ import annotations

from draft import Draft
from drafter_settings import draft_acceptance
from kinds_model import crowd


def stops(d: Draft) -> None:
    """Requests that end on a token in the midst of accepted drafts, or would have."""
    d.set_engine(usable_blocks=d.between(30, 70), max_num_seqs=6, max_num_batched_tokens=160, max_model_len=300)
    for index in range(d.between(14, 20)):
        max_tokens = d.between(2, 40)
        request = d.add(prompt_len=d.skewed(2, 110), max_tokens=max_tokens, **draft_acceptance(d, generous=True))
        at = d.between(1, max_tokens + 2)
        if d.chance(0.4):
            request["stop_at"] = at
        elif d.chance(0.6):
            request["stop_token_ids"] = [d.output_run(index, 0)[0] + at, 17]
    d.spread(1.6)


def last_token(d: Draft) -> None:
    """Prompts found whole in the cache but for one token: admitted with room for drafts that nobody made."""
    d.set_engine(
        usable_blocks=d.between(26, 60),
        max_num_seqs=d.between(4, 8),
        max_num_batched_tokens=d.one_of(40, 90),
        max_model_len=d.one_of(140, 240),
    )
    for _ in range(d.between(16, 24)):
        length = d.whole_units(130) + 1
        extra = d.one_of(0, 0, 0, d.between(1, 40))
        prompt = [d.shared_run(d.between(0, 1), length), d.private_run(extra)]
        d.add(prompt=prompt, max_tokens=d.skewed(1, 24), **draft_acceptance(d))
    d.spread(1.4)


def unused(d: Draft) -> None:
    """Few requests with short answers: passes after which nobody can use a draft."""
    d.set_engine(
        usable_blocks=d.between(30, 90),
        max_num_seqs=d.between(1, 4),
        max_num_batched_tokens=d.one_of(32, 64),
        max_model_len=400,
    )
    for _ in range(d.between(10, 16)):
        d.add(prompt_len=d.skewed(4, 260), max_tokens=d.one_of(1, 1, 2, 3, 4, 9), **draft_acceptance(d))
    d.bursts(3, 12)


def dynamic(d: Draft) -> None:
    """Fewer drafts the more requests there are in a pass, down to none."""
    drafter = d.model["speculative"]
    if "num_mtp_layers" in drafter:
        # Of a chain of layers vLLM asks for whole rounds.
        drafter["num_mtp_layers"] = 1
    most = drafter["num_speculative_tokens"] = d.between(2, 5)
    seats = d.between(5, 9)
    first = d.between(1, 2)
    second = d.between(first + 1, 4)
    drafter["num_speculative_tokens_per_batch_size"] = [
        [1, first, most],
        [first + 1, second, d.between(1, most)],
        [second + 1, seats, d.between(0, 1)],
    ]
    drafter["proposes_as_scheduled"] = True
    d.set_engine(
        usable_blocks=d.one_of(d.between(20, 30), 120),
        max_num_seqs=seats,
        max_num_batched_tokens=d.one_of(50, 180),
        max_model_len=280,
    )
    crowd(d, d.between(11, 16), 80, 60)
    d.bursts(4, 9)


def rising(d: Draft) -> None:
    """More drafts the more requests there are, with pauses, and prompts found whole in the cache but for one token."""
    drafter = d.model["speculative"]
    if "num_mtp_layers" in drafter:
        drafter["num_mtp_layers"] = 1
    most = drafter["num_speculative_tokens"] = d.between(2, 5)
    drafter["num_speculative_tokens_per_batch_size"] = [[1, 1, most - 1], [2, 8, most]]
    drafter["proposes_as_scheduled"] = True
    d.set_engine(usable_blocks=d.between(40, 90), max_num_seqs=8, max_num_batched_tokens=90, max_model_len=240)
    for _ in range(d.between(14, 20)):
        prompt = [d.shared_run(d.between(0, 1), d.whole_units(130) + 1)]
        d.add(prompt=prompt, max_tokens=d.skewed(1, 20), **draft_acceptance(d))
    d.bursts(3, 16)


def at_limit(d: Draft) -> None:
    """Prompts found whole in the cache but for one token, where max_model_len leaves no room for all drafts."""
    block = d.setting("block_size")
    length = block * d.between(3, 8) + 1
    drafts = d.model["speculative"]["num_speculative_tokens"]
    d.set_engine(
        usable_blocks=d.between(60, 120),
        max_num_seqs=d.between(3, 6),
        max_num_batched_tokens=2 * length,
        max_model_len=length + d.between(1, drafts + 1),
    )
    for _ in range(d.between(12, 18)):
        prompt = [d.shared_run(d.between(0, 1), d.one_of(length, length, length - block))]
        d.add(prompt=prompt, max_tokens=d.skewed(1, 12), **draft_acceptance(d))
    d.spread(1.3)


def held(d: Draft) -> None:
    """Prompts held back for some passes, among them such as are found whole in the cache but for one token."""
    last_token(d)
    d.engine["prefill_schedule_interval"] = d.between(2, 5)


def contended(d: Draft) -> None:
    """Several prompts at once in small parts, which share a budget and too few blocks by priority."""
    d.set_engine(
        usable_blocks=d.between(22, 36),
        max_num_seqs=6,
        max_num_batched_tokens=d.between(44, 60),
        max_model_len=300,
        long_prefill_token_threshold=d.one_of(16, 20, 24),
        policy="priority",
        scheduler_reserve_full_isl=False,
    )
    for _ in range(d.between(14, 20)):
        d.add(prompt_len=d.between(60, 200), max_tokens=d.skewed(2, 30), priority=d.between(0, 3), **draft_acceptance(d))
    d.bursts(3, 6)


KINDS = {
    build.__name__: build
    for build in (stops, last_token, unused, dynamic, rising, at_limit, held, contended)
}
