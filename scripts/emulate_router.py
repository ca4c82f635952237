"""production-stack's router in front of three emulated engines: conversations through it, and what the engines found.

    emulate_router.py PROFILER PYTHON

PYTHON has the router: its folder `src` on PYTHONPATH, as PyPI's `vllm-router` is another one. The same conversations are sent with every routing logic, to engines
that have seen nothing yet.
"""

import json
import re
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from typing import BinaryIO

NUM_ENGINES = 3
NUM_SESSIONS = 40
NUM_TURNS = 5
NUM_CLIENTS = 8
MODEL = "meta-llama/Llama-3.1-8B"
LOGICS = ("roundrobin", "prefixaware", "session")


def post(url: str, body: dict, headers: dict[str, str]) -> dict:
    headers = {"Content-Type": "application/json", **headers}
    request = urllib.request.Request(f"{url}/v1/chat/completions", json.dumps(body).encode(), headers)
    return json.load(urllib.request.urlopen(request, timeout=60))


def converse(url: str, session: int, failures: list[str]) -> None:
    """Every turn repeats what was said before, as chats do."""
    messages = [{"role": "system", "content": f"Rules of client {session}: " + f"rule {session} " * 80}]
    for turn in range(NUM_TURNS):
        messages.append({"role": "user", "content": f"question {turn} of {session} " * 10})
        try:
            answer = post(url, {"model": MODEL, "messages": messages, "max_tokens": 64}, {"x-user-id": str(session)})
        except (urllib.error.URLError, TimeoutError) as error:
            failures.append(f"session {session}, turn {turn}: {error}")
            return
        messages.append(answer["choices"][0]["message"])


def metric(url: str, name: str) -> float:
    text = urllib.request.urlopen(f"{url}/metrics").read().decode()
    return sum(float(value) for value in re.findall(rf"^{name}\{{[^}}]*\}} (\S+)$", text, re.MULTILINE))


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def run(logic: str, profiler: str, python: str, failures: list[str]) -> float:
    """The share of prompt tokens that engines found in their caches."""
    processes = []
    # A file, as a pipe that nobody reads would stop the router when it is full.
    complaints = tempfile.TemporaryFile()
    try:
        engines = []
        for _ in range(NUM_ENGINES):
            command = [profiler, "emulate", "--port", "0", "--time-scale", "5", "--served-model-name", MODEL]
            processes.append(subprocess.Popen(command, stdout=subprocess.PIPE, text=True))
            engines.append(processes[-1].stdout.readline().strip())
        port = free_port()
        command = [python, "-m", "vllm_router.app", "--host", "127.0.0.1", "--port", str(port), "--log-level", "warning"]
        command += ["--service-discovery", "static", "--static-backends", ",".join(engines)]
        command += ["--static-models", ",".join([MODEL] * NUM_ENGINES), "--routing-logic", logic]
        command += ["--session-key", "x-user-id"] if logic == "session" else []
        processes.append(subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=complaints))
        url = f"http://127.0.0.1:{port}"
        wait_for(f"{url}/health", processes[-1], complaints)
        sessions = iter(range(NUM_SESSIONS))
        lock = threading.Lock()

        def client() -> None:
            while True:
                with lock:
                    session = next(sessions, None)
                if session is None:
                    return
                converse(url, session, failures)

        clients = [threading.Thread(target=client) for _ in range(NUM_CLIENTS)]
        for thread in clients:
            thread.start()
        for thread in clients:
            thread.join()
        served = [metric(engine, "vllm:request_success_total") for engine in engines]
        queries = sum(metric(engine, "vllm:prefix_cache_queries_total") for engine in engines)
        hits = sum(metric(engine, "vllm:prefix_cache_hits_total") for engine in engines)
        counts = " + ".join(f"{count:.0f}" for count in served)
        share = hits / queries if queries > 0 else 0.0
        print(f"{logic}: {counts} requests, {100 * share:.1f} % of prompt tokens found", flush=True)
        if sum(served) != NUM_SESSIONS * NUM_TURNS:
            failures.append(f"{logic}: {sum(served):.0f} of {NUM_SESSIONS * NUM_TURNS} requests were served")
        return share
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                # The router's server waits for connections of its clients, which are no subject here.
                process.kill()
        complaints.close()


def wait_for(url: str, process: subprocess.Popen, complaints: BinaryIO) -> None:
    for _ in range(300):
        if process.poll() is not None:
            complaints.seek(0)
            sys.exit(complaints.read().decode()[-2000:])
        try:
            urllib.request.urlopen(url, timeout=5)
            return
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            time.sleep(0.1)
    sys.exit("the router does not answer")


def main() -> int:
    failures: list[str] = []
    share = {logic: run(logic, sys.argv[1], sys.argv[2], failures) for logic in LOGICS}
    for logic in ("prefixaware", "session"):
        # A conversation goes on where it began, and finds all that was said.
        if share[logic] < share["roundrobin"] + 0.1:
            failures.append(f"{logic} finds hardly more than roundrobin")
    print("\n".join(failures[:20]) or "none failed")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
