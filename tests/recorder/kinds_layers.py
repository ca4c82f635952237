"""Kinds of workloads for rules that only engines with layers of several kinds have."""

from __future__ import annotations

from draft import Draft
from drafter_settings import draft_acceptance, largest_verification


def windows(d: Draft) -> None:
    """Texts much longer than windows and chunks: blocks fall out behind, in prompts and in answers."""
    d.set_engine(
        usable_blocks=d.between(60, 110),
        max_num_seqs=d.between(3, 6),
        max_num_batched_tokens=d.one_of(40, 100, 230),
        max_model_len=700,
        scheduler_reserve_full_isl=d.chance(0.7),
    )
    for _ in range(d.between(8, 12)):
        prompt = [d.shared_run(d.between(0, 1), d.skewed(0, 300)), d.private_run(d.between(5, 180))]
        d.add(prompt=prompt, max_tokens=d.between(10, 120), **draft_acceptance(d))
    d.spread(6.0)


def junction(d: Draft) -> None:
    """Texts that part at a place where no state or window was kept; the next to come finds one there."""
    d.set_engine(
        usable_blocks=d.between(90, 160),
        max_num_seqs=5,
        max_num_batched_tokens=d.one_of(70, 160, 400),
        max_model_len=600,
    )
    for family in range(d.between(2, 3)):
        # Each text goes on from one of the earlier ones, from somewhere within it.
        texts: list[list[list[int]]] = [[d.shared_run(family, d.between(150, 330))]]
        for _ in range(d.between(5, 7)):
            d.add(prompt=list(d.one_of(*texts)), max_tokens=d.skewed(1, 16), **draft_acceptance(d))
            start = d.shared_run(family, d.whole_units(150) + d.one_of(0, 0, 1, 7))
            texts.append([start, d.private_run(d.between(1, 130))])
            d.add(prompt=texts[-1], max_tokens=d.skewed(1, 16), **draft_acceptance(d))
    d.spread(5.0)


def resend(d: Draft) -> None:
    """The same prompt again and a little longer, with lengths around block ends."""
    d.set_engine(
        usable_blocks=d.between(70, 140),
        max_num_seqs=5,
        max_num_batched_tokens=d.one_of(50, 130, 300),
        max_model_len=450,
    )
    for which in range(d.between(4, 6)):
        length = d.whole_units(220) + d.one_of(-1, 0, 0, 1, 5, 11)
        for _ in range(d.between(2, 5)):
            prompt = [d.shared_run(which, length), d.private_run(d.one_of(0, 0, 1, d.between(2, 60)))]
            d.add(prompt=prompt, max_tokens=d.skewed(1, 20), **draft_acceptance(d))
    d.spread(4.0)


def same_pass(d: Draft) -> None:
    """Equal prompts together: a state made in a pass is not there for others in that pass."""
    d.set_engine(
        usable_blocks=d.between(60, 130),
        max_num_seqs=8,
        max_num_batched_tokens=d.one_of(90, 260, 500),
        max_model_len=400,
    )
    for _ in range(d.between(4, 6)):
        which, length = d.between(0, 3), d.whole_units(180) + d.one_of(0, 1, 9)
        for _ in range(d.between(2, 4)):
            prompt = [d.shared_run(which, length), d.private_run(d.one_of(0, d.between(1, 70)))]
            d.add(prompt=prompt, max_tokens=d.skewed(1, 24), **draft_acceptance(d))
    d.bursts(4, 6)


def parts(d: Draft) -> None:
    """Common beginnings of any length and answers that are asked about again: hits that end within a block."""
    d.set_engine(
        usable_blocks=d.between(60, 130),
        max_num_seqs=5,
        max_num_batched_tokens=d.one_of(64, 150, 350),
        max_model_len=500,
    )
    turns: list[list[list[int]]] = []
    for _ in range(d.between(16, 22)):
        if turns and d.chance(0.4):
            prompt = [*d.one_of(*turns), d.private_run(d.between(1, 40))]
        else:
            length = 8 * d.between(2, 26) + d.one_of(0, 0, 1, 3)
            prompt = [d.shared_run(d.between(0, 1), length), d.private_run(d.one_of(0, 0, d.between(1, 60)))]
        max_tokens = d.skewed(1, 40)
        turns.append([*prompt, d.output_run(len(d.requests), max_tokens)])
        d.add(prompt=prompt, max_tokens=max_tokens, **draft_acceptance(d))
    d.spread(4.5)


def stuck(d: Draft) -> None:
    """A budget that holds no whole block of states beside a drafter's slots: nothing moves until all is aborted."""
    verification = largest_verification(d)
    d.set_engine(
        usable_blocks=120,
        max_num_seqs=4,
        max_num_batched_tokens=max(d.unit, verification + 1),
        max_model_len=300,
    )
    for length in (20, 90, d.between(120, 250), 10, 200, 40):
        d.add(prompt_len=length, max_tokens=d.between(3, 12), **draft_acceptance(d))
    d.queries_per_iter = [2, 0, 1, 2] + [0] * 20 + [1]
    at = d.between(70, 90)
    for index in range(len(d.requests)):
        d.abort(at, index)


KINDS = {build.__name__: build for build in (windows, junction, resend, same_pass, parts, stuck)}
