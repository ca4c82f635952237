"""A precise prefix router's view of `profiler emulate`: KV events over ZeroMQ, read by libzmq and vLLM's own classes.

    emulate_kv_events.py PROFILER

From events alone it keeps an index of what the engine's cache holds, and says before each request how many of its tokens
will be found. The engine must say the same afterwards (`prompt_tokens_details`). Blocks are few, so many are evicted.
"""

import json
import random
import re
import subprocess
import sys
import urllib.request
from collections import Counter

import msgspec
import zmq
from vllm.distributed.kv_events import AllBlocksCleared, BlockRemoved, BlockStored, KVEventBatch

NUM_REQUESTS = 120
BLOCK_SIZE = 16
# An event that takes longer is lost.
PATIENCE_MS = 5000
END = (-1).to_bytes(8, "big", signed=True)


class Index:
    """Which sequences of blocks can be found, as told."""

    def __init__(self) -> None:
        self.tokens_to: dict[int, tuple[int, ...]] = {}
        self.present: Counter[int] = Counter()
        self.num_events: Counter[str] = Counter()

    def take(self, events: list) -> None:
        for event in events:
            self.num_events[type(event).__name__] += 1
            match event:
                case BlockStored():
                    before = () if event.parent_block_hash is None else self.tokens_to[event.parent_block_hash]
                    for place, block_hash in enumerate(event.block_hashes):
                        end = (place + 1) * event.block_size
                        self.tokens_to[block_hash] = before + tuple(event.token_ids[:end])
                        self.present[block_hash] += 1
                case BlockRemoved():
                    for block_hash in event.block_hashes:
                        self.present[block_hash] -= 1
                case AllBlocksCleared():
                    self.present.clear()

    def num_cached_tokens(self, tokens: list[int]) -> int:
        """All tokens but the last may be found, in whole blocks."""
        found = {self.tokens_to[block_hash] for block_hash, count in self.present.items() if count > 0}
        num_blocks = 0
        while (num_blocks + 1) * BLOCK_SIZE < len(tokens) and tuple(tokens[: (num_blocks + 1) * BLOCK_SIZE]) in found:
            num_blocks += 1
        return num_blocks * BLOCK_SIZE


def main() -> int:
    events = {"enable_kv_cache_events": True, "publisher": "zmq", "endpoint": "tcp://*:0", "topic": "kv@emulated"}
    events["replay_endpoint"] = "tcp://*:0"
    flags = ["--time-scale", "50", "--num-gpu-blocks-override", "150", "--max-model-len", "1024"]
    flags += ["--enable-prompt-tokens-details", "--kv-events-config", json.dumps(events)]
    server = subprocess.Popen([sys.argv[1], "emulate", "--port", "0", *flags], stdout=subprocess.PIPE, text=True)
    try:
        url = server.stdout.readline().strip()
        server.stdout.readline()
        endpoints = re.findall(r"tcp://[0-9.:]+", server.stdout.readline())
        return check(url, *endpoints)
    finally:
        server.terminate()
        server.wait()


def check(url: str, endpoint: str, replay_endpoint: str) -> int:
    def post(path: str, body: dict) -> dict:
        request = urllib.request.Request(url + path, json.dumps(body).encode(), {"Content-Type": "application/json"})
        return json.load(urllib.request.urlopen(request))

    listener = zmq.Context.instance().socket(zmq.SUB)
    listener.connect(endpoint)
    listener.setsockopt_string(zmq.SUBSCRIBE, "kv@")
    # A subscription is on its way; the first batch would be missed.
    listener.poll(1000)
    replays = zmq.Context.instance().socket(zmq.DEALER)
    replays.connect(replay_endpoint)

    def published(first: int) -> list[bytes]:
        """All batches from `first` on: an answer is given after what it changed was published."""
        replays.send_multipart((b"", first.to_bytes(8, "big")))
        batches = []
        while replays.poll(PATIENCE_MS):
            _, _, batch_number, payload = replays.recv_multipart()
            if batch_number == END:
                return batches
            batches.append(payload)
        sys.exit("a replay has no end")

    decoder = msgspec.msgpack.Decoder(KVEventBatch)
    index, next_number = Index(), 0
    draw = random.Random(1)
    texts = ["".join(f"t{draw.randrange(10**6)} " for _ in range(60)) for _ in range(6)]
    failures = []
    hits = 0
    for number in range(NUM_REQUESTS):
        begin = draw.choice(texts)
        prompt = begin[: draw.randrange(50, len(begin))] + f" and {draw.randrange(30)} " * draw.randrange(1, 20)
        tokens = [token & 0xFFFF_FFFF for token in post("/tokenize", {"prompt": prompt})["tokens"]]
        expected = index.num_cached_tokens(tokens)
        body = {"prompt": prompt, "max_tokens": draw.randrange(1, 60)}
        found = post("/v1/completions", body)["usage"]["prompt_tokens_details"]["cached_tokens"]
        hits += found
        if found != expected:
            failures.append(f"request {number}: {found} tokens were cached, events said {expected}")
        if number == NUM_REQUESTS // 2:
            assert post("/reset_prefix_cache", {})["success"]
            # As vLLM's, that is told with the next pass.
            index.present.clear()
        for replayed in published(next_number):
            if not listener.poll(PATIENCE_MS):
                sys.exit(f"batch {next_number} did not come")
            message = listener.recv_multipart()
            if message != [b"kv@emulated", next_number.to_bytes(8, "big"), replayed]:
                failures.append(f"batch {next_number} is not as replayed: {message[:2]}")
            next_number += 1
            index.take(decoder.decode(replayed).events)
    counts = ", ".join(f"{count} {name}" for name, count in index.num_events.items())
    print(f"{NUM_REQUESTS} requests, {hits} cached tokens, {next_number} batches: {counts}")
    if set(index.num_events) != {"BlockStored", "BlockRemoved", "AllBlocksCleared"} or not hits:
        failures.append("not all kinds of events came, or nothing was found")
    print("\n".join(failures) or "what events say is what the engine finds")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
