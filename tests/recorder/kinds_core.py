"""Kinds of workloads for single rules: budgets, admission, prefix cache, stops."""

from __future__ import annotations

from draft import Draft


def basic(d: Draft) -> None:
    """Room for everything; requests trickle in."""
    d.set_engine(usable_blocks=300, max_num_seqs=d.between(6, 20), max_num_batched_tokens=1024, max_model_len=700)
    for _ in range(d.between(10, 22)):
        d.add(prompt_len=d.skewed(1, 260), max_tokens=d.skewed(1, 60))
    d.spread(2.5)


def chunked(d: Draft) -> None:
    """A token budget far below the prompts; chunks end anywhere in a block."""
    budget = d.one_of(23, 37, 61, 90)
    d.set_engine(
        usable_blocks=260, max_num_seqs=d.between(5, 12), max_num_batched_tokens=budget, max_model_len=640
    )
    for _ in range(d.between(10, 18)):
        d.add(prompt_len=d.skewed(5, 420), max_tokens=d.skewed(1, 40))
    d.spread(2.0)


def queue(d: Draft) -> None:
    """More requests than seats."""
    d.set_engine(usable_blocks=150, max_num_seqs=d.between(1, 4), max_num_batched_tokens=256, max_model_len=400)
    for _ in range(d.between(14, 22)):
        d.add(prompt_len=d.skewed(1, 150), max_tokens=d.skewed(1, 25))
    d.spread(0.7)


def prefix(d: Draft) -> None:
    """A few shared beginnings of differing lengths, private ends, and room to keep them."""
    d.set_engine(usable_blocks=240, max_num_seqs=8, max_num_batched_tokens=d.one_of(70, 300), max_model_len=600)
    for _ in range(d.between(14, 24)):
        shared = d.shared_run(d.between(0, 2), d.between(10, 200))
        d.add(prompt=[shared, d.private_run(d.skewed(0, 90) if d.chance(0.8) else 0)], max_tokens=d.skewed(1, 30))
    d.spread(1.5)


def prefix_evict(d: Draft) -> None:
    """Shared beginnings in a pool that cannot keep them all."""
    d.set_engine(usable_blocks=d.between(26, 40), max_num_seqs=5, max_num_batched_tokens=160, max_model_len=400)
    for _ in range(d.between(22, 34)):
        shared = d.shared_run(d.skewed(0, 5), d.between(30, 230))
        d.add(prompt=[shared, d.private_run(d.skewed(0, 70))], max_tokens=d.skewed(1, 35))
    d.spread(3.0)


def multiturn(d: Draft) -> None:
    """Conversations: a prompt repeats an earlier prompt and the text generated for it."""
    d.set_engine(usable_blocks=d.between(60, 110), max_num_seqs=6, max_num_batched_tokens=220, max_model_len=900)
    turns: list[list[list[int]]] = [[] for _ in range(d.between(3, 5))]
    for _ in range(d.between(16, 26)):
        which = d.between(0, len(turns) - 1)
        prompt = turns[which] + [d.private_run(d.between(8, 70))]
        max_tokens = d.between(4, 50)
        # Sometimes not all of the answer was kept, or a little more than was ever generated.
        kept = max_tokens if d.chance(0.6) else d.between(1, max_tokens + 5)
        turns[which] = prompt + [d.output_run(len(d.requests), kept)]
        d.add(prompt=prompt, max_tokens=max_tokens)
    d.spread(9.0)


def identical(d: Draft) -> None:
    """The same prompt several times in one pass, and while it is being computed."""
    d.set_engine(usable_blocks=200, max_num_seqs=10, max_num_batched_tokens=d.one_of(48, 130, 512), max_model_len=512)
    for _ in range(d.between(4, 6)):
        which, length = d.between(0, 3), d.between(1, 9) * 16 + d.one_of(0, 0, 1, 15)
        for _ in range(d.between(2, 5)):
            d.add(prompt=[d.shared_run(which, length)], max_tokens=d.skewed(1, 24))
    d.bursts(5, 4)


def duplicates(d: Draft) -> None:
    """Requests that generate the same text side by side, so that several blocks hold one key."""
    d.set_engine(usable_blocks=d.between(40, 60), max_num_seqs=6, max_num_batched_tokens=200, max_model_len=400)
    for _ in range(d.between(16, 24)):
        # The prompts meet at one position and the outputs go on alike from there.
        split = d.between(2, 30)
        base = d.between(0, 2)
        prompt = [d.shared_run(base, 40 + split)]
        out = d.shared_run(base, 0)[0] + 40 + split
        d.add(prompt=prompt, out_base=out, max_tokens=d.between(10, 70))
    d.spread(3.0)


def salt(d: Draft) -> None:
    """Cache salts keep equal prompts apart."""
    d.set_engine(usable_blocks=90, max_num_seqs=6, max_num_batched_tokens=256, max_model_len=400)
    for _ in range(d.between(16, 24)):
        salt_fields = d.one_of({}, {}, {"cache_salt": "red"}, {"cache_salt": "blue"})
        prompt = [d.shared_run(d.between(0, 1), d.between(40, 150)), d.private_run(d.skewed(0, 40))]
        d.add(prompt=prompt, max_tokens=d.skewed(1, 20), **salt_fields)
    d.spread(3.0)


def no_cache(d: Draft) -> None:
    """Prefix caching off, in a tight pool."""
    d.set_engine(
        usable_blocks=d.between(26, 34),
        max_num_seqs=6,
        max_num_batched_tokens=150,
        max_model_len=380,
        enable_prefix_caching=False,
    )
    for _ in range(d.between(14, 22)):
        d.add(prompt=[d.shared_run(d.between(0, 1), d.between(20, 120))], max_tokens=d.between(5, 80))
    d.spread(2.0)


def no_chunk(d: Draft) -> None:
    """Chunked prefill off: a prompt that exceeds what is left of the budget stops admission."""
    d.set_engine(
        usable_blocks=d.between(40, 120),
        max_num_seqs=6,
        max_num_batched_tokens=d.one_of(300, 340),
        max_model_len=300,
        enable_chunked_prefill=False,
    )
    threshold = d.one_of(0, 0, 45)
    if threshold:
        d.engine["long_prefill_token_threshold"] = threshold
    for _ in range(d.between(16, 24)):
        prompt = [d.shared_run(0, d.skewed(0, 90)), d.private_run(d.between(10, 200))]
        d.add(prompt=prompt, max_tokens=d.skewed(1, 30))
    d.bursts(6, 5)


def no_chunk_stuck(d: Draft) -> None:
    """Chunked prefill off and a token budget below a prompt: it blocks the queue until it is aborted."""
    d.set_engine(
        usable_blocks=100,
        max_num_seqs=4,
        max_num_batched_tokens=300,
        max_num_scheduled_tokens=d.between(60, 90),
        max_model_len=300,
        enable_chunked_prefill=False,
    )
    for length in (30, 50, d.between(120, 250), 20, 40, 25):
        d.add(prompt_len=length, max_tokens=d.between(3, 12))
    d.queries_per_iter = [2, 1, 0, 2] + [0] * 20 + [1]
    d.abort(d.between(24, 34), 2)


def long_prefill(d: Draft) -> None:
    """A cap on one request's share of a pass, lifted while it is alone."""
    threshold = d.one_of(9, 20, 33, 64)
    d.set_engine(
        usable_blocks=d.between(50, 140),
        max_num_seqs=5,
        max_num_batched_tokens=d.one_of(100, 180),
        max_model_len=500,
        long_prefill_token_threshold=threshold,
    )
    for _ in range(d.between(9, 14)):
        d.add(prompt_len=d.skewed(3, 330), max_tokens=d.skewed(1, 30))
    d.bursts(2, 12)


def long_prefill_adaptive(d: Draft) -> None:
    """The same cap, raised to a fair share of the budget."""
    long_prefill(d)
    d.engine["long_prefill_token_threshold_adaptive"] = True
    d.engine["long_prefill_token_threshold"] = d.one_of(7, 16, 40)
    if d.chance(0.5):
        d.engine["max_num_scheduled_tokens"] = d.between(50, 80)


def active_seqs(d: Draft) -> None:
    """Fewer seats in the running list than the worker has."""
    queue(d)
    d.engine |= {"max_num_seqs": 16, "max_num_active_seqs": d.between(2, 5)}


def scheduled_tokens(d: Draft) -> None:
    """Both budgets of a pass given; the smaller one rules."""
    batched, scheduled = d.one_of((200, 53), (90, 88), (75, 400))
    d.set_engine(
        usable_blocks=120,
        max_num_seqs=6,
        max_num_batched_tokens=batched,
        max_num_scheduled_tokens=scheduled,
        max_model_len=400,
    )
    for _ in range(d.between(10, 16)):
        d.add(prompt_len=d.skewed(4, 240), max_tokens=d.skewed(1, 25))
    d.spread(1.5)


def watermark(d: Draft) -> None:
    """Blocks kept free at admission, unless nothing runs; a prompt that only then fits."""
    # With these sizes the share of all blocks is a whole number and the share of the usable ones is just below it.
    d.set_engine(
        usable_blocks=d.one_of(29, 39),
        max_num_seqs=8,
        max_num_batched_tokens=d.one_of(80, 250),
        max_model_len=450,
        watermark=d.one_of(0.1, 0.2, 0.3),
    )
    for _ in range(d.between(4, 6)):
        prompt = [d.shared_run(d.between(0, 2), d.skewed(0, 120)), d.private_run(d.between(5, 130))]
        d.add(prompt=prompt, max_tokens=d.skewed(2, 60))
        d.add(prompt_len=d.between(340, 440), max_tokens=d.between(2, 9))
        # Alike, so that both are on their last token together.
        length, max_tokens = d.between(20, 60), d.between(2, 6)
        for _ in range(2):
            d.add(prompt_len=length, max_tokens=max_tokens)
    d.bursts(5, 3)


def no_reserve(d: Draft) -> None:
    """Admission looks at the first chunk only, and prompts being computed run out of blocks."""
    d.set_engine(
        usable_blocks=d.between(26, 44),
        max_num_seqs=8,
        max_num_batched_tokens=d.one_of(48, 72),
        max_model_len=400,
        scheduler_reserve_full_isl=False,
        watermark=d.one_of(0.0, 0.0, 0.1),
    )
    for _ in range(d.between(10, 16)):
        prompt = [d.shared_run(d.between(0, 3), d.skewed(0, 100)), d.private_run(d.between(30, 220))]
        d.add(prompt=prompt, max_tokens=d.skewed(1, 40))
    d.spread(1.0)


def model_len(d: Draft) -> None:
    """Requests that end at max_model_len, prompts one token below it."""
    length = d.one_of(96, 131, 160)
    d.set_engine(usable_blocks=d.between(14, 50), max_num_seqs=5, max_num_batched_tokens=128, max_model_len=length)
    for _ in range(d.between(12, 18)):
        prompt_len = length - d.one_of(1, 1, 2, 3, 16, 17, 40)
        d.add(prompt_len=prompt_len, max_tokens=d.one_of(1, 2, 20, 500))
    d.spread(2.0)


def boundaries(d: Draft) -> None:
    """Prompts that end exactly at block and budget boundaries, single output tokens, repeats of all of them."""
    block = d.one_of(16, 32)
    d.set_engine(
        usable_blocks=d.between(30, 60),
        block_size=block,
        max_num_seqs=6,
        max_num_batched_tokens=block * d.between(2, 4),
        max_model_len=block * 12,
    )
    for _ in range(d.between(16, 24)):
        length = block * d.between(1, 9) + d.one_of(-1, 0, 0, 0, 1)
        d.add(prompt=[d.shared_run(d.between(0, 2), length)], max_tokens=d.one_of(1, 1, 2, block, block + 1))
    d.spread(1.6)


def eos(d: Draft) -> None:
    """EOS ends requests, also in the very first token and in the last allowed one."""
    d.set_engine(usable_blocks=d.between(36, 80), max_num_seqs=6, max_num_batched_tokens=200, max_model_len=300)
    for _ in range(d.between(14, 22)):
        max_tokens = d.between(2, 50)
        stop_at = d.one_of(1, 2, max_tokens - 1, max_tokens, max_tokens + 1, d.between(1, max_tokens))
        request = d.add(prompt_len=d.skewed(2, 140), max_tokens=max_tokens)
        if d.chance(0.8) and stop_at > 0:
            request["stop_at"] = stop_at
    d.spread(1.8)


def stop_ids(d: Draft) -> None:
    """Stop token ids, alone and together with EOS, and an EOS that a request is told to ignore."""
    d.set_engine(usable_blocks=60, max_num_seqs=5, max_num_batched_tokens=160, max_model_len=300)
    for index in range(d.between(14, 20)):
        max_tokens = d.between(3, 40)
        request = d.add(prompt_len=d.skewed(2, 120), max_tokens=max_tokens)
        at = d.between(0, max_tokens + 2)
        form = d.between(0, 3)
        if form == 0:
            request["stop_token_ids"] = [d.output_run(index, 0)[0] + at, 17]
        elif form == 1:
            request |= {"output_token_ids": [40 + i for i in range(max_tokens)], "stop_token_ids": [40 + at, 90]}
        elif form == 2:
            request |= {"stop_at": at + 1, "stop_token_ids": [d.output_run(index, 0)[0] + d.between(0, max_tokens)]}
        else:
            request["output_token_ids"] = [2] * max_tokens
    d.spread(1.5)


def explicit(d: Draft) -> None:
    """Prompts and outputs written out, and runs that reach into what other requests generate."""
    d.set_engine(usable_blocks=d.between(30, 50), max_num_seqs=6, max_num_batched_tokens=120, max_model_len=320)
    text = [3 + (i * i) % 97 for i in range(260)]
    for index in range(d.between(14, 20)):
        form, max_tokens = d.between(0, 3), d.between(4, 60)
        cut = d.between(10, 150)
        if form == 0:
            d.add(prompt_token_ids=text[:cut], output_token_ids=text[cut : cut + max_tokens], max_tokens=max_tokens)
        elif form == 1:
            d.add(prompt_token_ids=text[:cut], output_token_ids=text[cut : cut + 5], max_tokens=max_tokens)
        elif index and form == 2:
            d.add(prompt=[d.output_run(d.between(0, index - 1), cut)], max_tokens=max_tokens)
        else:
            d.add(prompt=[[3, cut // 2], d.output_run(index, cut // 2)], out_base=3 + cut // 2, max_tokens=max_tokens)
    d.spread(3.5)


def idle(d: Draft) -> None:
    """Long pauses between requests."""
    d.set_engine(usable_blocks=60, max_num_seqs=4, max_num_batched_tokens=128, max_model_len=260)
    for _ in range(d.between(8, 12)):
        d.add(prompt=[d.shared_run(0, d.between(1, 150))], max_tokens=d.skewed(1, 12))
    d.bursts(2, 24)


def blocks_128(d: Draft) -> None:
    """Blocks of 128 tokens in a tight pool."""
    d.set_engine(
        usable_blocks=d.between(9, 13), block_size=128, max_num_seqs=5, max_num_batched_tokens=700, max_model_len=900
    )
    for _ in range(d.between(9, 14)):
        prompt = [d.shared_run(d.between(0, 1), d.between(0, 500)), d.private_run(d.between(1, 200))]
        d.add(prompt=prompt, max_tokens=d.skewed(5, 150))
    d.spread(12.0)


KINDS = {
    build.__name__: build
    for build in (
        basic, chunked, queue, prefix, prefix_evict, multiturn, identical, duplicates, salt, no_cache, no_chunk,
        no_chunk_stuck, long_prefill, long_prefill_adaptive, active_seqs, scheduled_tokens, watermark, no_reserve,
        model_len, boundaries, eos, stop_ids, explicit, idle, blocks_128,
    )
}  # fmt: skip
