"""Records what the real `vllm bench serve` makes of given request timings.

Run:  python tests/recorder/record_bench_table.py
Needs vLLM 0.32.0 (its CPU build will do). Needs no model, no GPU, no server and no network.
Writes tests/data/bench_serve_table/; tests/tests/it/metrics_golden.rs reads it.

How: `main_async` of vllm/benchmarks/serve.py runs as it is, with its own argument parser. Replaced are only its
surroundings: the server (a request function that sleeps for given times), the clock (an event loop whose time jumps to
the next timer, so a run is exact and instant), the date, the dataset and the tokenizer.

Per case:
  <case>.input.json     arguments, the RequestFuncOutput list that the run produced, and what the server said of drafts
  <case>.table.txt      the printed table, byte for byte
  <case>.result.json    the file that --save-result writes, byte for byte
  <case>.detailed.json  the same with --save-detailed
Besides: goodput.json (vLLM's own parser on good and bad --goodput arguments), python_floats.json (repr and '.2f' of
floats), numpy_statistics.json (numpy on generated samples).
"""

import argparse
import asyncio
import contextlib
import io
import json
import random
import selectors
import struct
import tempfile
import types
from dataclasses import asdict
from datetime import datetime
from pathlib import Path

import numpy as np

import vllm
from vllm.benchmarks import serve
from vllm.benchmarks.datasets import SampleRequest
from vllm.benchmarks.lib.endpoint_request_func import ASYNC_REQUEST_FUNCS, RequestFuncOutput
from vllm.utils.argparse_utils import FlexibleArgumentParser

OUT = Path(__file__).resolve().parents[1] / "data" / "bench_serve_table"
VLLM_VERSION = "0.32.0"
# perf_counter has an arbitrary origin; differences of such numbers carry rounding, as in a real run.
CLOCK_ORIGIN_S = 81234.567891


class VirtualClockLoop(asyncio.SelectorEventLoop):
    """An event loop whose clock jumps to the next timer instead of waiting for it."""

    def __init__(self):
        super().__init__(selectors.SelectSelector())
        self.now = 0.0
        select = self._selector.select

        def jump(timeout=None):
            events = select(0)
            if not events and timeout is None:
                return select(None)
            if not events:
                self.now += timeout
            return events

        self._selector.select = jump

    def time(self):
        return self.now


def clock():
    return CLOCK_ORIGIN_S + asyncio.get_running_loop().time()


class Request:
    """What one made-up request does: seconds before each of its tokens, or an error after two of them."""

    def __init__(self, prompt_len, gaps, error=""):
        self.prompt_len, self.gaps, self.error = prompt_len, gaps, error


def made_up(seed, num_requests, max_output_len, min_output_len=1, error_every=0, errors=("Service Unavailable",)):
    rng = random.Random(seed)
    requests = []
    for i in range(num_requests):
        n = rng.randint(min_output_len, max_output_len)
        gaps = [rng.uniform(0.02, 0.9)] + [rng.lognormvariate(-4.0, 0.5) for _ in range(n - 1)]
        failed = error_every and i % error_every == error_every - 1
        error = errors[(i // error_every) % len(errors)] if failed else ""
        requests.append(Request(rng.randint(1, 2048), gaps, error))
    return requests


def request_func_for(script):
    async def simulated(request_func_input, session, pbar=None):
        request = script[int(request_func_input.request_id)]
        output = RequestFuncOutput(prompt_len=request_func_input.prompt_len)
        st = clock()
        output.start_time = st
        most_recent = st
        # A connection that breaks after two tokens leaves their times behind, as in vLLM's own request functions.
        for i, gap in enumerate(request.gaps[:2] if request.error else request.gaps):
            await asyncio.sleep(gap)
            now = clock()
            if i == 0:
                output.ttft = now - st
            else:
                output.itl.append(now - most_recent)
            most_recent = now
        if request.error:
            output.error = request.error
            return output
        output.latency = most_recent - st
        output.output_tokens = len(request.gaps)
        output.success = True
        return output

    return simulated


class FixedDate(datetime):
    @classmethod
    def now(cls, tz=None):
        return cls(2026, 1, 2, 3, 4, 5, 678901)


async def no_server_metrics(base_url, session):
    return None


def drafts_verified(totals):
    """What a server that speculates says of its drafts before and after the run."""
    before = serve.SpecDecodeMetrics(
        num_drafts=7, num_draft_tokens=21, num_accepted_tokens=9, accepted_per_pos={0: 6, 1: 2, 2: 1}
    )
    after = serve.SpecDecodeMetrics(
        num_drafts=before.num_drafts + totals["num_drafts"],
        num_draft_tokens=before.num_draft_tokens + totals["num_draft_tokens"],
        num_accepted_tokens=before.num_accepted_tokens + sum(totals["accepted_per_pos"]),
        accepted_per_pos={p: before.accepted_per_pos[p] + n for p, n in enumerate(totals["accepted_per_pos"])},
    )
    told = iter((before, after))

    async def server_metrics(base_url, session):
        return next(told)

    return server_metrics


def replace_surroundings(script, captured, drafts):
    ASYNC_REQUEST_FUNCS["simulated"] = request_func_for(script)
    serve.time = types.SimpleNamespace(perf_counter=clock, time=clock)
    serve.datetime = FixedDate
    serve.fetch_spec_decode_metrics = drafts_verified(drafts) if drafts else no_server_metrics
    serve.fetch_diffusion_metrics = no_server_metrics
    serve.get_tokenizer = lambda *args, **kwargs: object()
    serve.get_samples = lambda args, tokenizer: [
        SampleRequest(prompt="", prompt_len=r.prompt_len, expected_output_len=len(r.gaps), request_id=str(i))
        for i, r in enumerate(script)
    ]
    real = captured.setdefault("calculate_metrics", serve.calculate_metrics)

    def calculate_metrics(**kwargs):
        captured["outputs"], captured["duration"] = kwargs["outputs"], kwargs["dur_s"]
        return real(**kwargs)

    serve.calculate_metrics = calculate_metrics


def bench(argv, script, captured, drafts):
    """Runs `vllm bench serve` with `argv`; returns its arguments, its table and its result file."""
    replace_surroundings(script, captured, drafts)
    parser = FlexibleArgumentParser()
    serve.add_cli_args(parser)
    with tempfile.TemporaryDirectory() as folder:
        args = parser.parse_args(
            ["--backend", "simulated", "--dataset-name", "sharegpt", "--num-prompts", str(len(script))]
            + ["--ready-check-timeout-sec", "0", "--disable-tqdm", "--save-result", "--result-dir", folder]
            + argv
        )
        loop = VirtualClockLoop()
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            loop.run_until_complete(serve.main_async(args))
        loop.close()
        (file,) = Path(folder).iterdir()
        result, file_name = file.read_text("utf-8"), file.name
    lines = printed.getvalue().split("\n")
    first = next(i for i, line in enumerate(lines) if "Serving Benchmark Result" in line)
    last = lines.index("=" * 50)
    return args, "\n".join(lines[first : last + 1]) + "\n", result, file_name


def record_case(name, argv, script, drafts=None):
    argv = ["--model", "meta-llama/Llama-3.1-8B-Instruct", *argv]
    captured = {}
    args, table, result, file_name = bench(argv, script, captured, drafts)
    _, table_again, detailed, _ = bench([*argv, "--save-detailed"], script, captured, drafts)
    assert table == table_again, name
    options = {
        key: getattr(args, key)
        for key in (
            "backend label model tokenizer skip_tokenizer_init num_prompts metadata max_concurrency "
            "ramp_up_strategy ramp_up_start_rps ramp_up_end_rps percentile_metrics metric_percentiles goodput"
        ).split()
    }
    # As texts: infinite numbers are not JSON.
    options |= {key: str(getattr(args, key)) for key in ("request_rate", "burstiness")}
    outputs = [asdict(output) for output in captured["outputs"]]
    keep = "success prompt_len output_tokens ttft itl latency start_time client_queue_time error".split()
    document = {
        "made_by": f"record_bench_table.py, vLLM {VLLM_VERSION}, numpy {np.__version__}",
        "argv": argv,
        "options": options,
        "file_name": file_name,
        "duration": captured["duration"],
    }
    if drafts:
        document["drafts"] = drafts
    head = json.dumps(document, indent=1)[:-2]
    rows = ",\n  ".join(json.dumps({key: output[key] for key in keep}) for output in outputs)
    (OUT / f"{name}.input.json").write_text(f'{head},\n "outputs": [\n  {rows}\n ]\n}}\n', "utf-8")
    (OUT / f"{name}.table.txt").write_text(table, "utf-8")
    (OUT / f"{name}.result.json").write_text(result, "utf-8")
    (OUT / f"{name}.detailed.json").write_text(detailed, "utf-8")


def record_cases():
    everything = "ttft,tpot,itl,e2el,client_queue_time,e2el_including_client_queue"
    record_case("defaults", [], made_up(1, 40, 24))
    record_case(
        "everything",
        ["--request-rate", "10", "--max-concurrency", "4", "--percentile-metrics", everything]
        + ["--metric-percentiles", "25,50,90,99,99.9,0,100", "--goodput", "ttft:700", "tpot:21.5", "e2el:1e3"],
        made_up(2, 40, 24),
    )
    record_case(
        "concurrency_at_infinite_rate",
        ["--max-concurrency", "3", "--percentile-metrics", everything, "--label", "simulated-h100"]
        + ["--metadata", "gpu=H100 SXM", "note = räkna ✓ 🚀 \"x\"\\y", "burstiness=overridden later"],
        made_up(3, 25, 20),
    )
    errors = ("Service Unavailable", 'räkna "x"\n\t\\ ✓ 🚀 \x7f\x01/')
    record_case(
        "failures",
        ["--request-rate", "3.5", "--burstiness", "0.3", "--goodput", "tpot:18", "--max-concurrency", "8"],
        made_up(4, 30, 16, error_every=4, errors=errors),
    )
    record_case("all_failed", ["--goodput", "ttft:500"], made_up(5, 3, 5, error_every=1))
    record_case(
        "single_tokens",
        ["--request-rate", "200", "--goodput", "tpot:0", "ttft:450", "--percentile-metrics", "e2el,tpot,itl"],
        made_up(6, 12, 1),
    )
    record_case(
        "ramp_up",
        ["--ramp-up-strategy", "linear", "--ramp-up-start-rps", "2", "--ramp-up-end-rps", "5"]
        + ["--burstiness", "inf", "--percentile-metrics", "e2el", "--metric-percentiles", "50,95"],
        made_up(7, 20, 12),
    )
    record_case(
        "no_tokenizer",
        ["--skip-tokenizer-init", "--percentile-metrics", "ttft,e2el", "--goodput", "e2el:900"],
        made_up(8, 15, 10),
    )
    record_case("long_run", ["--request-rate", "0.004", "--tokenizer", "some/other"], made_up(9, 12, 30))
    record_case(
        "speculation",
        ["--request-rate", "5"],
        made_up(11, 20, 16),
        {"num_drafts": 61, "num_draft_tokens": 177, "accepted_per_pos": [44, 23, 7]},
    )
    none_accepted = {"num_drafts": 3, "num_draft_tokens": 9, "accepted_per_pos": [0, 0, 0]}
    record_case("speculation_in_vain", [], made_up(12, 6, 8), none_accepted)


def record_goodput():
    cases = [
        ["ttft:500"], ["ttft:500", "tpot:50", "e2el:1000"], ["e2el: 2_000.5 "], ["tpot:1e2", "tpot:7"], ["ttft:inf"],
        ["ttft:0"], ["ttft:-0.0"], ["ttft:.5"], ["tpot:5."], ["ttft:+5"], ["ttft:nan"], ["ttft:infinity"],
        ["ttft"], ["ttft:5:6"], ["ttft:"], ["ttft:5ms"], ["itl:5"], ["ttft:5", "itl:7.25"], ["tpot:-1"],
        ["itl:-1", "ttft:x"], ["TTFT:5"], [" ttft:5"], [":5"], ["ttft:1__0"], ["ttft:_10"], ["ttft:10_"], ["ttft:0x10"],
        ["ttft:1e400"], ["e2el:-1e-7"], ["x:1e16"], ["ttft:5 tpot:50"], [],
    ]  # fmt: skip
    rows = []
    for case in cases:
        try:
            parsed = serve.check_goodput_args(argparse.Namespace(goodput=case))
            rows.append({"arguments": case, "parsed": {key: repr(value) for key, value in parsed.items()}})
        except (ValueError, argparse.ArgumentTypeError) as error:
            rows.append({"arguments": case, "error": str(error)})
    write_rows("goodput.json", rows)


def record_python_floats():
    values = [0.0, -0.0, 1.0, -1.0, 0.1, 0.125, 0.375, 1.005, 2.675, 10.015, 0.005, 0.015, 1e-4, 9.999e-5, 1e-5, 1.5e-7]
    values += [1e15, 9999999999999998.0, 1e16, 1.2345e16, 1e17, 1e22, 1e23, 5e-324, 1.7976931348623157e308, 1e100, 1e-100]
    values += [float("inf"), float("-inf"), float("nan"), 2.0**53, 2.0**-1074, 123456789.123456789, 0.3, 1 / 3, 100.0]
    rng = random.Random(10)
    values += [struct.unpack("<d", rng.randbytes(8))[0] for _ in range(300)]
    values += [rng.uniform(0, 1e4) for _ in range(100)] + [rng.randint(0, 10**6) / 8 for _ in range(100)]
    write_rows(
        "python_floats.json",
        [{"bits": f"{struct.unpack('<Q', struct.pack('<d', v))[0]:016x}", "repr": repr(v), "fixed": f"{v:.2f}"} for v in values],
    )


def generated_samples(seed, n):
    """A linear congruential generator's upper 53 bits, cubed: skewed samples in [0, 1)."""
    state, samples = seed, []
    for _ in range(n):
        state = (state * 6364136223846793005 + 1442695040888963407) % 2**64
        u = (state >> 11) / 2**53
        samples.append(u * u * u)
    return samples


def record_numpy_statistics():
    rows = []
    percentiles = [0, 1, 12.5, 25, 50, 75, 90, 95, 99, 99.9, 99.99, 100]
    for n in [1, 2, 3, 7, 8, 9, 15, 16, 17, 127, 128, 129, 130, 136, 137, 255, 257, 1000, 8191, 8193, 20001, 100003]:
        x = generated_samples(n, n)
        # Whole nanoseconds with many repetitions, for the weighted samples.
        nanos = [int(v * 300) * 1_000_003 for v in x]
        y = [v / 1e9 for v in nanos]
        rows.append(
            {"n": n, "plain": statistics(x, percentiles), "weighted": statistics(y, percentiles), "percentiles": percentiles}
        )
    write_rows("numpy_statistics.json", rows)


def statistics(x, percentiles):
    numbers = [np.mean(x), np.std(x), np.median(x), min(x), max(x)] + [np.percentile(x, p) for p in percentiles]
    return [f"{struct.unpack('<Q', struct.pack('<d', v))[0]:016x}" for v in numbers]


def write_rows(name, rows):
    body = ",\n  ".join(json.dumps(row) for row in rows)
    head = f'"made_by": "record_bench_table.py, vLLM {VLLM_VERSION}, numpy {np.__version__}"'
    (OUT / name).write_text(f'{{\n {head},\n "rows": [\n  {body}\n ]\n}}\n', "utf-8")


if __name__ == "__main__":
    assert vllm.__version__.startswith(VLLM_VERSION), f"vLLM {VLLM_VERSION} is needed, this is {vllm.__version__}"
    OUT.mkdir(parents=True, exist_ok=True)
    record_cases()
    record_goodput()
    record_python_floats()
    record_numpy_statistics()
