"""The simulated fleet against the emulated one: the same requests, at the same times, through the same router.

    emulate_fleet.py PROFILER [REQUESTS] [RATE]

`profiler simulate --replicas 3 --per-request-csv` says which requests there are; they are sent to three `profiler emulate`
through a router of a few lines, whose rules are those of `round-robin` and `least-loaded`, and, if VLLM_ROUTER names the
program (`pip install vllm-router`), through that one's `round_robin`. What router, connections and client need by
themselves is found by sending the same requests to engines that take no time, and is told beside. That a request comes a
millisecond later can change who shares its passes, or where the next one goes: the simulation is repeated with such delays,
and how far its own percentiles then reach is told, too.

TIME_SCALE=0.1 lets time go so many times as fast, for engines and clients alike: what machine, router and client are late
by is a tenth of what it was beside the engines' own times then. All times that are told are the engines'.
"""

import asyncio
import csv
import json
import os
import random
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

NUM_ENGINES = 3
MODEL = "meta-llama/Llama-3.1-8B"
ENGINE = ["--no-enable-prefix-caching"]
WORKLOAD = ["--dataset-name", "random", "--random-input-len", "2048", "--random-output-len", "64",
            "--random-range-ratio", "0.5", "--seed", "7"]
# Allowed for TTFT, whichever is more: a share of it, or milliseconds.
SHARE, MILLISECONDS = 0.03, 1.0
# Simulations with requests sent later, by up to as much as router and client delay nearly all of them.
NUM_DELAYED = 12
# Requests of which it is found how much that is.
NUM_FLOOR = 300
# Engines that take no time run so many times as fast.
FAST = 1000
TIME_SCALE = float(os.environ.get("TIME_SCALE", "1"))


class Router:
    """Gives each connection, which is one request, to an engine, and copies bytes."""

    def __init__(self, choose: Callable[[int, list[int]], int], ports: list[int]) -> None:
        self.choose, self.ports = choose, ports
        self.num_routed, self.in_flight = 0, [0] * len(ports)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = await reader.readuntil(b"\r\n\r\n")
        engine = self.choose(self.num_routed, self.in_flight)
        self.num_routed += 1
        self.in_flight[engine] += 1
        try:
            answer, out = await asyncio.open_connection("127.0.0.1", self.ports[engine])
            out.write(request)
            out.write(await reader.readexactly(content_length(request)))
            while data := await answer.read(1 << 16):
                writer.write(data)
            out.close()
        finally:
            self.in_flight[engine] -= 1
            writer.close()


ROUTERS: dict[str, Callable[[int, list[int]], int]] = {
    "round-robin": lambda num_routed, in_flight: num_routed % len(in_flight),
    "least-loaded": lambda num_routed, in_flight: in_flight.index(min(in_flight)),
}


def content_length(head: bytes) -> int:
    lines = (line.split(b":", 1) for line in head.lower().split(b"\r\n") if b":" in line)
    return int(next(value for name, value in lines if name == b"content-length"))


async def ask(port: int, at: float, number: int, num_prompt_tokens: int, num_output_tokens: int) -> float:
    """Sends a request at the time `at`; seconds from then until its first token was here."""
    prompt = [(number * 7919 + place) % 100_000 for place in range(num_prompt_tokens)]
    fields = {"model": MODEL, "prompt": prompt, "max_tokens": num_output_tokens, "ignore_eos": True, "stream": True}
    body = json.dumps(fields).encode()
    head = ("POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n")
    message = head.encode() + body
    await asyncio.sleep(max(0.0, at - time.perf_counter()))
    sent = time.perf_counter()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(message)
    answer = b""
    while b"data: " not in answer:
        data = await reader.read(1 << 16)
        assert data, f"request {number}: {answer[:300]!r}"
        answer += data
    first = time.perf_counter()
    while data := await reader.read(1 << 16):
        answer += data
    assert b"data: [DONE]" in answer, f"request {number} did not come to its end"
    writer.close()
    return first - sent


async def send_all(rows: list[dict[str, str]], port: int) -> list[float]:
    """TTFT of all requests in ms of the machine's time, sent to the router at `port`."""
    begin = time.perf_counter() + 1.0
    times = [begin + float(row["send_time_s"]) / TIME_SCALE for row in rows]
    asked = [ask(port, at, number, int(row["prompt_tokens"]), int(row["output_tokens"]))
             for number, (at, row) in enumerate(zip(times, rows))]
    return [1000 * seconds for seconds in await asyncio.gather(*asked)]


async def through_own(rows: list[dict[str, str]], router: Router) -> list[float]:
    server = await asyncio.start_server(router.serve, "127.0.0.1", 0, limit=1 << 20)
    async with server:
        return await send_all(rows, server.sockets[0].getsockname()[1])


def through_vllm_router(rows: list[dict[str, str]], program: str, ports: list[int]) -> list[float]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [program, "--host", "127.0.0.1", "--port", str(port), "--policy", "round_robin", "--worker-urls"]
    command += [f"http://127.0.0.1:{engine}" for engine in ports]
    with tempfile.TemporaryFile() as log:
        router = subprocess.Popen(command, stdout=log, stderr=log)
        try:
            wait_for(f"http://127.0.0.1:{port}/health", router)
            return asyncio.run(send_all(rows, port))
        finally:
            router.terminate()
            router.wait(20)


def wait_for(url: str, process: subprocess.Popen[bytes]) -> None:
    for _ in range(300):
        try:
            urllib.request.urlopen(url, timeout=5)
            return
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            time.sleep(0.1)
        if process.poll() is not None:
            break
    sys.exit("the router does not answer")


def emulated(profiler: str, name: str, rows: list[dict[str, str]], flags: list[str]) -> tuple[list[float], list[int]]:
    """TTFT of all requests in ms of the machine's time, and how many each engine had."""
    engines: list[subprocess.Popen[str]] = []
    try:
        for _ in range(NUM_ENGINES):
            command = [profiler, "emulate", "--port", "0", "--served-model-name", MODEL, *ENGINE, *flags]
            engines.append(subprocess.Popen(command, stdout=subprocess.PIPE, text=True))
        ports = [int(engine.stdout.readline().strip().rsplit(":", 1)[1]) for engine in engines if engine.stdout]
        if name in ROUTERS:
            times = asyncio.run(through_own(rows, Router(ROUTERS[name], ports)))
        else:
            times = through_vllm_router(rows, name, ports)
        return times, [num_served(port) for port in ports]
    finally:
        for engine in engines:
            engine.terminate()
        for engine in engines:
            engine.wait(20)


def num_served(port: int) -> int:
    text = urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics").read().decode()
    lines = (line for line in text.splitlines() if line.startswith("vllm:request_success_total"))
    return sum(round(float(line.rsplit(" ", 1)[1])) for line in lines)


def percentile(values: list[float], percent: float) -> float:
    """As numpy does it: between the two nearest."""
    ordered = sorted(values)
    place = percent / 100 * (len(ordered) - 1)
    low = int(place)
    return ordered[low] + (place - low) * (ordered[min(low + 1, len(ordered) - 1)] - ordered[low])


def simulated(profiler: str, rule: str, workload: list[str], folder: str) -> list[dict[str, str]]:
    table = Path(folder) / "simulated.csv"
    command = [profiler, "simulate", *ENGINE, *workload, "--replicas", str(NUM_ENGINES), "--router", rule,
               "--per-request-csv", str(table), "--quiet"]
    subprocess.run(command, check=True, capture_output=True)
    return list(csv.DictReader(table.open(encoding="utf-8")))


def delayed(profiler: str, rule: str, rows: list[dict[str, str]], longest: float, folder: str) -> list[list[float]]:
    """TTFT in ms of the same requests, each sent up to `longest` ms later, in some simulations."""
    found = []
    for seed in range(NUM_DELAYED):
        draw = random.Random(seed)
        times = sorted((float(row["send_time_s"]) + draw.uniform(0.0, longest / 1000), row) for row in rows)
        lines = [f"{at:.9f},{row['prompt_tokens']},{row['output_tokens']}" for at, row in times]
        requests = Path(folder) / "requests.csv"
        requests.write_text("\n".join(["time,prompt,output", *lines]) + "\n", encoding="utf-8")
        workload = ["--dataset-name", "table", "--dataset-path", str(requests), "--time-unit", "s",
                    "--columns", "time=time,prompt=prompt,output=output"]
        found.append([float(row["ttft_ms"]) for row in simulated(profiler, rule, workload, folder)])
    return found


def compare(profiler: str, name: str, num_requests: str, rate: str, failures: list[str]) -> None:
    rule = name if name in ROUTERS else "round-robin"
    with tempfile.TemporaryDirectory() as folder:
        rows = simulated(profiler, rule, [*WORKLOAD, "--num-prompts", num_requests, "--request-rate", rate], folder)
        expected = [float(row["ttft_ms"]) for row in rows]
        found, counts = emulated(profiler, name, rows, ["--time-scale", str(TIME_SCALE)])
        floors, _ = emulated(profiler, name, rows[:NUM_FLOOR], ["--time-scale", str(FAST)])
        floors = [TIME_SCALE * (milliseconds - percentile(expected, 50) / FAST) for milliseconds in floors]
        found = [TIME_SCALE * milliseconds for milliseconds in found]
        floor = percentile(floors, 50)
        repeats = delayed(profiler, rule, rows, percentile(floors, 99), folder)
    name = name if name in ROUTERS else "vllm-router's round_robin"
    print(f"{name}: {' + '.join(map(str, counts))} requests; router and client need {floor:.2f} ms of each TTFT (P50; "
          f"P99 {percentile(floors, 99):.2f} ms)")
    for percent in (50, 99):
        expect, raw = percentile(expected, percent), percentile(found, percent)
        own = raw - floor
        spread = [percentile(times, percent) for times in repeats]
        print(f"{name}: P{percent} of TTFT {raw:.2f} ms, without router and client {own:.2f} ms, simulated {expect:.2f} "
              f"ms: {100 * (raw / expect - 1):+.1f} %, without them {100 * (own / expect - 1):+.1f} %; simulated with "
              f"delays {min(spread):.2f} to {max(spread):.2f} ms")
        is_close = abs(own - expect) <= max(SHARE * expect, MILLISECONDS)
        if not is_close and not min(spread) <= own <= max(spread):
            failures.append(f"{name}: P{percent} of TTFT is off by more than 3 %, 1 ms and what delays do to it")
    off = sorted(abs(one - floor - other) / other for one, other in zip(found, expected))
    print(f"{name}: request by request {100 * percentile(off, 50):.1f} % off in the middle, "
          f"P90 {100 * percentile(off, 90):.1f} %", flush=True)


def main() -> int:
    profiler, num_requests, rate = (sys.argv[1:] + ["600", "33"][len(sys.argv) - 2 :])[:3]
    failures: list[str] = []
    for name in [*ROUTERS, *filter(None, [os.environ.get("VLLM_ROUTER")])]:
        compare(profiler, name, num_requests, rate, failures)
    print("\n".join(failures) or "all within 3 %, 1 ms or what delays do to it")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
