#!/usr/bin/env python3
"""How long the real vLLM takes to schedule a closed loop of equal requests, with a worker that computes nothing.

    time_schedule.py NUM_REQUESTS [--prompt 1024] [--output 128] [--concurrency 64] [--blocks 27000]

Prints JSON: seconds of the engine's loop without its start-up, passes, requests. What is timed is vLLM's own engine
core (scheduler, KV cache, asynchronous scheduling) with request preprocessing; there are no workers and no HTTP.
"""

from __future__ import annotations

import argparse
import json
import sys
import time

from engine import VLLM_VERSION, make_engine_core
from schedule_recorder import engine_core_request
from workload import Workload


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("num_requests", type=int)
    parser.add_argument("--prompt", type=int, default=1024)
    parser.add_argument("--output", type=int, default=128)
    parser.add_argument("--concurrency", type=int, default=64)
    parser.add_argument("--blocks", type=int, default=27_000)
    arguments = parser.parse_args()
    engine = {
        "max_num_seqs": 256,
        "max_num_batched_tokens": 8192,
        "max_model_len": arguments.prompt + arguments.output + 1,
        "num_gpu_blocks": arguments.blocks,
        "async_scheduling": True,
    }
    request = {"prompt_len": arguments.prompt, "max_tokens": arguments.output}
    workload = Workload({"engine": engine, "requests": [request] * arguments.num_requests})
    core = make_engine_core(workload)
    waiting = iter(workload.requests)
    num_free, num_finished, num_passes = arguments.concurrency, 0, 0
    start = time.perf_counter()
    while num_finished < arguments.num_requests:
        for _ in range(num_free):
            if (request := next(waiting, None)) is not None:
                core.add_request(*core.preprocess_add_request(engine_core_request(request)))
        outputs, model_executed = core.step_fn()
        core.post_step(model_executed)
        num_passes += bool(model_executed)
        of_clients = (outputs or {}).values()
        num_free = sum(output.finish_reason is not None for client in of_clients for output in client.outputs)
        num_finished += num_free
    seconds = time.perf_counter() - start
    print(json.dumps({"vllm": VLLM_VERSION, "seconds": seconds, "passes": num_passes, "requests": num_finished}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
