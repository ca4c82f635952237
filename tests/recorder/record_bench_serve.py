"""Records what vLLM's own benchmark client draws, for tests/tests/it/workload_golden.rs.

Runs vllm.benchmarks (get_request and the datasets) of an installed vLLM 0.32.0 with a word-level tokenizer made here,
and NumPy's and Python's generators. Nothing is sent anywhere. Needs pandas for two of the datasets. Usage:

    python tests/recorder/record_bench_serve.py tests/data/bench_serve
"""

import asyncio
import json
import math
import pathlib
import random
import sys
import tempfile
from unittest import mock

import numpy as np
from vllm.benchmarks import serve
from vllm.benchmarks.datasets import datasets


class Words:
    """A tokenizer of words t0, t1, …: decoding and encoding give back the same tokens."""

    def __init__(self, vocab_size, num_special_ids=0, num_special_tokens_to_add=0):
        self.vocab_size = vocab_size
        self.all_special_ids = list(range(num_special_ids))
        self.num_added = num_special_tokens_to_add

    def num_special_tokens_to_add(self):
        return self.num_added

    def decode(self, token_ids):
        return " ".join(f"t{token}" for token in token_ids)

    def encode(self, text, add_special_tokens=True):
        special = [0] * self.num_added if add_special_tokens else []
        return special + [int(word[1:]) if word[1:].isdigit() else 1 for word in text.split()]

    def __call__(self, text):
        return mock.Mock(input_ids=self.encode(text))

    def get_vocab(self):
        return {f"t{token}": token for token in range(self.vocab_size)}


def send_times(requests, **options):
    """Seconds after the start at which get_request hands out each request, without waiting for them."""
    options = {"request_rate": math.inf, **options}
    times = []

    async def collect():
        async def sleep(seconds):
            times[-1] = seconds

        times.append(0.0)
        with mock.patch.object(serve.time, "time", lambda: 0.0), mock.patch.object(serve.asyncio, "sleep", sleep):
            async for _ in serve.get_request(requests, **options):
                times.append(0.0)
        times.pop()

    asyncio.run(collect())
    return times


def token_ids(tokenizer, prompt):
    return prompt if isinstance(prompt, list) else tokenizer.encode(prompt, add_special_tokens=False)


def shared_prefixes(tokenizer, requests):
    """[i, j, tokens that requests i < j have in common from the start], where there are any."""
    prompts = [token_ids(tokenizer, request.prompt) for request in requests]
    rows = []
    for j, right in enumerate(prompts):
        for i, left in enumerate(prompts[:j]):
            shared = 0
            for a, b in zip(left, right):
                if a != b:
                    break
                shared += 1
            if shared:
                rows.append([i, j, shared])
    return rows


def sampled(tokenizer, requests):
    return {
        "prompt_lens": [request.prompt_len for request in requests],
        "output_lens": [int(request.expected_output_len) for request in requests],
        "shared_prefixes": shared_prefixes(tokenizer, requests),
    }


def record_rng():
    cases = []
    for seed in (0, 1, 42, 2**32 - 1):
        generator = np.random.default_rng(seed)
        stream = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=tuple(b"input_len")))
        state = np.random.RandomState(seed)
        python = random.Random(seed)
        items = list(range(50))
        python.shuffle(items)
        cases.append(
            {
                "seed": seed,
                "generator_integers": [
                    [low, high, generator.integers(low, high + 1, size=9).tolist()]
                    for low, high in [(0, 9), (3, 3), (100, 4195), (0, 2**31), (0, 2**32 - 2), (0, 2**32 - 1), (5, 6)]
                ],
                "generator_random": generator.random(5).tolist(),
                "stream_random": stream.random(5).tolist(),
                "state_random_sample": state.random_sample(5).tolist(),
                "state_randint": [
                    [high, state.randint(0, high + 1, size=9).tolist()] for high in (0, 1, 9, 50256, 2**31, 2**32 - 1)
                ],
                "state_permutation": state.permutation(40).tolist(),
                "state_standard_exponential": state.standard_exponential(5).tolist(),
                "state_standard_normal": [state.standard_normal() for _ in range(5)],
                "state_gamma": [
                    [shape, [state.gamma(shape, 0.5) for _ in range(40)]] for shape in (0.01, 0.3, 0.99, 1.0, 1.01, 2.5, 70.0)
                ],
                "python_shuffle": items,
                "python_choice": [python.choice(range(count)) for count in (1, 2, 3, 1000, 70000) for _ in range(4)],
                "python_random": [python.random() for _ in range(5)],
            }
        )
    return cases


def record_arrivals():
    cases = []
    rates = [
        {"request_rate": rate, "burstiness": burstiness}
        for rate in (0.37, 1.0, 8.0, 1000.0)
        for burstiness in (0.05, 0.5, 1.0, 1.7, 30.0, math.inf)
    ]
    rates.append({"request_rate": math.inf})
    rates += [
        {"ramp_up_strategy": strategy, "ramp_up_start_rps": start, "ramp_up_end_rps": end, "burstiness": burstiness}
        for strategy in ("linear", "exponential")
        for start, end in ((1, 10), (3, 3), (2, 117))
        for burstiness in (0.5, 1.0, math.inf)
    ]
    for options in rates:
        for seed, count in ((0, 40), (7, 1), (2**32 - 1, 25)):
            np.random.seed(seed)
            times = send_times([None] * count, **options)
            shown = {key: "inf" if value == math.inf else value for key, value in options.items()}
            cases.append({"seed": seed, "options": shown, "send_times": times})
    return cases


def record_random():
    cases = []
    for seed, count, vocab, special_ids, added, options in [
        (0, 40, 50257, 0, 0, {}),
        (0, 60, 50257, 1, 1, {"range_ratio": 0.5, "input_len": 100, "output_len": 20}),
        (1, 60, 97, 2, 2, {"range_ratio": {"input": 0.25, "output": 0.9}, "input_len": 200, "output_len": 33}),
        (42, 60, 31, 0, 1, {"range_ratio": 0.99, "input_len": 50, "output_len": 1, "prefix_len": 17}),
        (5, 30, 1, 0, 0, {"input_len": 3, "output_len": 0, "prefix_len": 1}),
        (9, 30, 128000, 0, 1, {"input_len": 1, "output_len": 7, "prefix_len": 5, "range_ratio": 0.3}),
        (2**32 - 1, 50, 151643, 0, 0, {"range_ratio": 0.123, "input_len": 777, "output_len": 999}),
    ]:
        tokenizer = Words(vocab, special_ids, added)
        np.random.seed(seed)
        requests = datasets.RandomDataset(random_seed=seed).sample(tokenizer, count, **options)
        cases.append(
            {
                "seed": seed,
                "num_prompts": count,
                "tokenizer": [vocab, special_ids, added],
                "options": options,
                **sampled(tokenizer, requests),
                "send_times": send_times(requests, request_rate=5.0),
            }
        )
    return cases


def record_prefix_repetition():
    cases = []
    for seed, count, shuffle, added, options in [
        (0, 40, True, 0, {"prefix_len": 16, "suffix_len": 5, "num_prefixes": 4, "output_len": 9}),
        (3, 47, True, 1, {"prefix_len": 7, "suffix_len": 3, "num_prefixes": 5, "output_len": 1}),
        (3, 23, False, 0, {"prefix_len": 0, "suffix_len": 8, "num_prefixes": 2, "output_len": 4}),
        (11, 12, True, 2, {"prefix_len": 9, "suffix_len": 0, "num_prefixes": 3, "output_len": 4}),
    ]:
        tokenizer = Words(50257, 0, added)
        random.seed(seed)
        np.random.seed(seed)
        requests = datasets.PrefixRepetitionRandomDataset(random_seed=seed, disable_shuffle=not shuffle).sample(
            tokenizer, count, **options
        )
        cases.append(
            {
                "seed": seed,
                "num_prompts": count,
                "disable_shuffle": not shuffle,
                "tokenizer": [tokenizer.vocab_size, 0, added],
                "options": options,
                **sampled(tokenizer, requests),
                "send_times": send_times(requests, request_rate=5.0, burstiness=0.8),
            }
        )
    return cases


def words(rng, count):
    return " ".join(f"t{rng.randrange(10, 50000)}" for _ in range(count))


def record_texts(folder):
    """ShareGPT and custom files of invented words, and what vLLM makes of them."""
    rng = random.Random(2)
    sharegpt = []
    for index in range(30):
        turns = [
            {"from": "human" if turn % 2 == 0 else "gpt", "value": words(rng, rng.choice([0, 2, 3, 4, 7, 15, 40]))}
            for turn in range(rng.choice([0, 1, 2, 2, 2, 3, 4]))
        ]
        entry = {"id": f"c{index}", "conversations": turns}
        sharegpt.append(entry if index % 9 else {"id": f"c{index}", "text": "no turns"})
    sharegpt.append({"conversations": [{"value": words(rng, 1025)}, {"value": words(rng, 9)}]})
    sharegpt.append({"conversations": [{"value": words(rng, 1024)}, {"value": words(rng, 1024)}]})
    sharegpt.append({"conversations": [{"value": words(rng, 1000)}, {"value": words(rng, 1049)}]})
    sharegpt_path = pathlib.Path(folder, "sharegpt.json")
    sharegpt_path.write_text(json.dumps(sharegpt))
    custom = [{"prompt": words(rng, rng.randrange(1, 30)), "output_tokens": rng.randrange(1, 500)} for _ in range(17)]
    custom_path = pathlib.Path(folder, "custom.jsonl")
    custom_path.write_text("".join(json.dumps(entry) + "\n" for entry in custom))

    cases = []
    for name, dataset, path in (
        ("sharegpt", datasets.ShareGPTDataset, sharegpt_path),
        ("custom", datasets.CustomDataset, custom_path),
    ):
        for seed, count, shuffle, oversample, added, output_len in [
            (0, 10, True, True, 0, None),
            (1, 60, True, True, 1, None),
            (1, 60, True, False, 0, 12),
            (5, 33, False, True, 0, 2),
        ]:
            tokenizer = Words(50257, 0, added)
            options = {"skip_chat_template": True} if name == "custom" else {}
            requests = dataset(dataset_path=str(path), random_seed=seed, disable_shuffle=not shuffle).sample(
                tokenizer, count, no_oversample=not oversample, output_len=output_len, **options
            )
            np.random.seed(seed)
            cases.append(
                {
                    "dataset": name,
                    "seed": seed,
                    "num_prompts": count,
                    "disable_shuffle": not shuffle,
                    "no_oversample": not oversample,
                    "tokenizer": [tokenizer.vocab_size, 0, added],
                    "output_len": output_len,
                    **sampled(tokenizer, requests),
                    "send_times": send_times(requests, request_rate=5.0),
                }
            )
    return cases


def record_burstgpt(folder):
    rng = random.Random(3)
    rows = ["Timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type"]
    for index in range(40):
        request, response = rng.randrange(1, 900), rng.choice([0, 1, 20, 300])
        model = rng.choice(["GPT-4", "ChatGPT"])
        rows.append(f"{5 + 3 * index},{model},{request},{response},{request + response},Conversation log")
    path = pathlib.Path(folder, "burstgpt.csv")
    path.write_text("\n".join(rows) + "\n")
    cases = []
    for seed, count, added in ((0, 5, 0), (1, 14, 1), (2, 100, 0)):
        tokenizer = Words(2000, 0, added)
        np.random.seed(seed)
        requests = datasets.BurstGPTDataset(dataset_path=str(path), random_seed=seed).sample(tokenizer, count)
        cases.append(
            {
                "seed": seed,
                "num_prompts": count,
                "tokenizer": [tokenizer.vocab_size, 0, added],
                **sampled(tokenizer, requests),
                "send_times": send_times(requests, request_rate=5.0),
            }
        )
    return cases


def record_timed_trace(folder):
    rng = random.Random(4)
    cases = []
    for name, chunk, multiplier, labels in (
        ("mooncake", 512, 0.001, {}),
        ("bailian", 16, 1.0, {}),
        ("renamed", 32, 0.25, {"timestamp": "t", "input_length": "in", "output_length": "out", "hash_ids": "h"}),
    ):
        lines, clock, next_hash, earlier = [], 0.0, 0, [[]]
        for _ in range(30):
            kept = rng.choice(earlier)
            kept = kept[: rng.randrange(len(kept) + 1)]
            fresh = rng.randrange(1, 6)
            hashes = kept + list(range(next_hash, next_hash + fresh))
            next_hash += fresh
            earlier.append(hashes)
            # A last chunk that is full, short, or missing (vLLM then cuts the prompt).
            length = len(hashes) * chunk - rng.choice([0, 1, chunk // 2, -chunk])
            clock = max(0.0, clock + rng.choice([0, 0.25, 1.5, -0.5]) / multiplier)
            entry = {"timestamp": clock, "input_length": length, "output_length": rng.randrange(1, 900), "hash_ids": hashes}
            lines.append(json.dumps({labels.get(key, key): value for key, value in entry.items()} | {"type": "text"}))
        path = pathlib.Path(folder, f"timed_trace_{name}.jsonl")
        path.write_text("\n".join(lines) + "\n")
        options = {"timed_trace_chunk_hash_size": chunk, "timed_trace_sec_multiplier": multiplier}
        for key in ("timestamp", "input_length", "output_length", "hash_ids"):
            options[f"timed_trace_label_{key}"] = labels.get(key, key)
        for count in (30, 11):
            tokenizer = Words(50257, 3, 1)
            # As main does: seed, then build the dataset from all arguments (which do not name random_seed).
            np.random.seed(99)
            requests = datasets.TimedTrace(dataset_path=str(path), **options).sample(tokenizer, count)
            untimed = send_times(requests, request_rate=5.0)
            cases.append(
                {
                    "file": path.name,
                    "seed": 99,
                    "num_prompts": count,
                    "tokenizer": [tokenizer.vocab_size, 3, 1],
                    "options": options,
                    **sampled(tokenizer, requests),
                    "timestamps": [request.timestamp for request in requests],
                    "send_times": untimed,
                }
            )
    return cases


def main(folder):
    folder = pathlib.Path(folder)
    recordings = {
        "rng": record_rng(),
        "arrivals": record_arrivals(),
        "random": record_random(),
        "prefix_repetition": record_prefix_repetition(),
        "texts": record_texts(folder),
        "burstgpt": record_burstgpt(folder),
        "timed_trace": record_timed_trace(folder),
    }
    for name, cases in recordings.items():
        text = ",\n".join(json.dumps(case, separators=(",", ":")) for case in cases)
        (folder / f"{name}.golden.json").write_text(f"[\n{text}\n]\n")


if __name__ == "__main__":
    main(sys.argv[1])
