"""The wheel against the command line: the same flags are the same run, and the same refusal."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import vllm_simulator as sim

PROFILER = os.environ["PROFILER"]
ROOT = Path(__file__).parents[3]
WORKLOAD: dict[str, object] = {"dataset_name": "random", "num_prompts": 40, "random_output_len": 16, "request_rate": 10}


def command_line(tmp_path: Path, *flags: str, command: str = "simulate") -> subprocess.CompletedProcess[str]:
    return subprocess.run([PROFILER, command, "--quiet", *flags], capture_output=True, text=True, cwd=tmp_path)


def flags_of(flags: dict[str, object]) -> list[str]:
    return [f"--{name.replace('_', '-')}={value}" for name, value in flags.items()]


@pytest.mark.parametrize(
    ("given", "typed"),
    [
        ({}, []),
        ({"max_num_seqs": 4, "seed": 7}, ["--max-num-seqs", "4", "--seed", "7"]),
        ({"enable_prefix_caching": False}, ["--no-enable-prefix-caching"]),
        ({"goodput": {"ttft": 300, "tpot": 20}}, ["--goodput", "ttft:300", "tpot:20"]),
        ({"goodput": ["ttft:300"]}, ["--goodput", "ttft:300"]),
        ({"request_rate": float("inf"), "max_concurrency": None}, ["--request-rate", "inf"]),
        ({"model": "Qwen/Qwen3-8B", "gpu": "h200-sxm", "tensor_parallel_size": 2}, ["--model=Qwen/Qwen3-8B", "--gpu=h200-sxm", "-tp=2"]),
        (
            {"gpu": "h100-sxm", "speculative_config": {"method": "ngram", "num_speculative_tokens": 3}, "spec_acceptance_length": 2},
            ["--gpu", "h100-sxm", "--speculative-config", '{"method":"ngram","num_speculative_tokens":3}', "--spec-acceptance-length", "2"],
        ),
    ],
)
def test_a_run_is_that_of_the_command_line(tmp_path: Path, given: dict[str, object], typed: list[str]) -> None:
    run = sim.simulate(**{**WORKLOAD, **given})
    output = command_line(
        tmp_path, *flags_of(WORKLOAD), *typed, "--save-result", "--result-filename", "run.json", "--per-request-csv", "rows.csv", "--no-range"
    )
    assert output.returncode == 0, output.stderr
    result = json.loads((tmp_path / "run.json").read_text())
    assert run.digest == result["simulation"]["digest"]
    assert list(run) == list(result)
    assert {key: run[key] for key in run if key != "date"} == {key: result[key] for key in result if key != "date"}
    assert str(run) == output.stdout
    rows = (tmp_path / "rows.csv").read_text().splitlines()
    columns = run.columns()
    assert list(columns) == rows[0].split(",")
    assert len(columns["ttft_ms"]) == len(rows) - 1 == 40
    assert all(isinstance(value, float) for value in columns["ttft_ms"])


def test_capacity_is_that_of_the_command_line(tmp_path: Path) -> None:
    flags = {name: value for name, value in WORKLOAD.items() if name != "request_rate"}
    answer = sim.capacity(num_seeds=2, share=0.9, goodput={"ttft": 300}, **flags)
    output = command_line(
        tmp_path, *flags_of(flags), "--goodput=ttft:300", "--num-seeds=2", "--share=0.9", "--output-json=a.json", command="capacity"
    )
    assert output.returncode == 0, output.stderr
    assert answer.to_dict() == json.loads((tmp_path / "a.json").read_text())
    assert answer.value and answer.value > 0
    assert str(answer) == output.stdout
    curve = answer.columns()
    assert len(curve["load"]) == 2 * len(answer["curve"])
    assert sim.capacity(num_seeds=1, by="concurrency", goodput="ttft:2000", **flags).value


# The less is tried, the sooner it is answered.
GRID: dict[str, list[object]] = {"gpu": ["h100-sxm", "l40s"], "max_num_seqs": [32, None], "quantization": [None], "kv_cache_dtype": [None]}


@pytest.mark.parametrize(
    ("objective", "given", "is_any"),
    [
        ("cost", {"request_rate": 20}, True),
        ("throughput", {"num_gpus": 2}, True),
        ("latency", {"request_rate": 20, "num_seeds": 1, "share": 0.9}, True),
        ("cost", {"request_rate": 10_000, "num_gpus": 1}, False),
    ],
)
def test_a_recommendation_is_that_of_the_command_line(tmp_path: Path, objective: str, given: dict[str, object], is_any: bool) -> None:
    flags: dict[str, object] = {"num_prompts": 60, "max_model_len": 4096, "tensor_parallel_size": 1, "goodput": "ttft:500 tpot:60"}
    flags |= {"num_seeds": 2, **given}
    answer = sim.recommend(objective, vary=GRID, **flags)  # type: ignore[arg-type]
    axes = [f"--vary={name}={','.join('default' if value is None else str(value) for value in values)}" for name, values in GRID.items()]
    output = command_line(tmp_path, f"--for={objective}", *axes, *flags_of(flags), "--output-json=a.json", command="recommend")
    assert (output.returncode == 0) == is_any, output.stderr
    assert answer.to_dict() == json.loads((tmp_path / "a.json").read_text())
    assert str(answer) == output.stdout
    columns = answer.columns()
    assert bool(columns) == is_any and (answer.command is not None) == is_any
    if is_any:
        assert columns["command"][0] == answer.command and len(columns["p99_ttft_ms"]) == len(answer["ranked"])


@pytest.mark.parametrize(("goodput", "is_any"), [("ttft:2000 tpot:60", True), ("ttft:0.001", False)])
def test_a_split_of_gpus_is_that_of_the_command_line(tmp_path: Path, goodput: str, is_any: bool) -> None:
    flags: dict[str, object] = {"num_prompts": 40, "random_input_len": 512, "goodput": goodput, "num_seeds": 2, "num_gpus": 3}
    flags["prefill_args"] = "--max-num-seqs 64"
    answer = sim.recommend_split(**flags)  # type: ignore[arg-type]
    output = command_line(tmp_path, "--disaggregated", *flags_of(flags), "--output-json=a.json", command="recommend")
    assert (output.returncode == 0) == is_any, output.stderr
    assert answer.to_dict() == json.loads((tmp_path / "a.json").read_text())
    assert str(answer) == output.stdout
    columns = answer.columns()
    assert columns["replicas"] == [3, None, None] and columns["prefill_replicas"] == [None, 1, 2]
    assert (answer.best is not None) == is_any == (max(load or 0 for load in columns["capacity"]) > 0)
    if answer.best is not None:
        assert sum(answer.best.values()) == 3


def test_prices_decide_what_is_cheapest_and_a_broken_list_is_told(tmp_path: Path) -> None:
    dear = {"num_prompts": 60, "tensor_parallel_size": 1, "max_model_len": 4096, "num_seeds": 1, "goodput": "ttft:500 tpot:60"}
    grid = {**GRID, "max_num_seqs": [32]}
    gpus = {sim.recommend(vary=grid, price=f"h100-sxm={usd}", **dear)["ranked"][0]["gpu"] for usd in (0.01, 1000)}  # type: ignore[arg-type]
    assert gpus == {"h100-sxm", "l40s"}
    (tmp_path / "prices.json").write_text("{")
    with pytest.raises(ValueError, match="prices.json"):
        sim.recommend(vary=grid, prices=tmp_path / "prices.json", **dear)  # type: ignore[arg-type]


def test_a_profile_is_an_object_a_path_a_text_or_a_dict(tmp_path: Path) -> None:
    path = ROOT / "www/profiles/h100-sxm_llama-3.1-8b_bf16_tp1.json"
    text = path.read_text()
    digests = {sim.simulate(profile, **WORKLOAD).digest for profile in [None, path, str(path), text, json.loads(text), sim.Profile(path)]}
    assert len(digests) == 1
    composed = sim.compose(model="Qwen/Qwen3-8B", gpu="h200-sxm")
    assert "h200-sxm" in composed.name and composed.to_dict()["model"]["name"] == "Qwen/Qwen3-8B"
    assert sim.simulate(composed, **WORKLOAD).digest == sim.simulate(model="Qwen/Qwen3-8B", gpu="h200-sxm", **WORKLOAD).digest
    slower = composed.to_dict()
    slower["front_end"]["request_latency"]["per_request"]["time_us"] += 1000.0
    ttfts = [sim.simulate(profile, **WORKLOAD)["mean_ttft_ms"] for profile in (composed, sim.Profile(slower))]
    assert ttfts[1] > ttfts[0]
    composed.save(tmp_path / "p.json")
    assert sim.Profile(tmp_path / "p.json").to_json() == composed.to_json()


@pytest.mark.parametrize(
    "flags",
    [
        {"max_num_sqs": 4},
        {"max_num_seqs": "many"},
        {"max_num_seqs": 99999},
        {"gpu": "nope"},
        {"model": "nobody/knows-this"},
        {"dataset_name": "sharegpt"},
        {"lora_modules": "a"},
        {"goodput": "ttft"},
        {"profile": "no-such-file.json"},
    ],
)
def test_what_the_command_line_refuses_is_a_value_error_in_its_words(tmp_path: Path, flags: dict[str, object]) -> None:
    flags = {**WORKLOAD, **flags}
    with pytest.raises(ValueError) as told:
        sim.simulate(**flags)  # type: ignore[arg-type]
    output = command_line(tmp_path, *flags_of(flags))
    assert output.returncode == 2
    # The parser in front of the command line has a word of its own for what is no flag at all.
    words = str(told.value)
    assert words in output.stderr or "max-num-sqs" in words and "max-num-sqs" in output.stderr, (words, output.stderr)


def test_wrong_arguments_are_told() -> None:
    for wrong in [{"by": "magic"}, {"num_seeds": 0}, {"share": 2.0}, {"by": "concurrency"}]:
        with pytest.raises(ValueError):
            sim.capacity(**wrong)  # type: ignore[arg-type]
    wishes: list[tuple[dict[str, object], str]] = [
        ({"objective": "magic"}, "objective"),
        ({"by": "magic"}, "by"),
        ({"num_gpus": 0}, "num_gpus"),
        ({"num_gpus": 100_001}, "num_gpus"),
        ({"num_seeds": 101}, "num_seeds"),
        ({"share": 0.0}, "share"),
        ({"by": "concurrency"}, "goodput"),
        ({"objective": "latency"}, "request-rate"),
        ({"vary": {"max_num_sqs": [1]}}, "max-num-sqs"),
        ({"dataset_name": "azure"}, "azure"),
    ]
    for wish, word in wishes:
        with pytest.raises(ValueError, match=word):
            sim.recommend(**wish)  # type: ignore[arg-type]
    splits: list[tuple[dict[str, object], str]] = [
        ({"num_gpus": 0}, "num_gpus"),
        ({"num_gpus": 66}, "66 ways|65 ways"),
        ({"by": "concurrency"}, "goodput"),
        ({"replica_fails": "0@1..2"}, "outages"),
    ]
    for wish, word in splits:
        with pytest.raises(ValueError, match=word):
            sim.recommend_split(**wish)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="cannot be read as a profile"):
        sim.Profile("no-such-file.json")


@pytest.mark.parametrize(
    "call",
    [
        "simulate(dataset_name='random', num_prompts=200000, random_output_len=2000, max_concurrency=4)",
        "capacity(dataset_name='random', num_prompts=500, random_output_len=500, num_seeds=100, goodput='e2el:60000')",
        "recommend(dataset_name='random', num_prompts=500, random_output_len=500, num_seeds=100, goodput='e2el:60000')",
        "recommend_split(num_prompts=500, random_output_len=500, num_seeds=100, goodput='e2el:60000')",
    ],
)
def test_ctrl_c_ends_a_run(call: str) -> None:
    code = f"import vllm_simulator as sim\nprint('begins', flush=True)\nsim.{call}"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as running:
        try:
            assert running.stdout is not None and running.stdout.readline() == "begins\n"
            time.sleep(0.5)
            assert running.poll() is None, "it was over before it could be interrupted"
            running.send_signal(signal.SIGINT)
            _, told = running.communicate(timeout=30)
        finally:
            running.kill()
        assert "KeyboardInterrupt" in told, told


def test_others_run_while_one_simulates() -> None:
    ticks = 0
    done = threading.Event()

    def tick() -> None:
        nonlocal ticks
        while not done.wait(0.001):
            ticks += 1

    ticker = threading.Thread(target=tick)
    ticker.start()
    begun = time.monotonic()
    sim.simulate(dataset_name="random", num_prompts=2000, random_output_len=500, max_concurrency=2)
    seconds = time.monotonic() - begun
    done.set()
    ticker.join()
    # With the GIL held there would be none, however long it takes.
    assert ticks > 5, f"{ticks} ticks in {seconds} s"


def test_tables() -> None:
    run = sim.simulate(**{**WORKLOAD, "goodput": "ttft:500"})
    pyarrow = pytest.importorskip("pyarrow")
    table = run.to_arrow()
    assert table.num_rows == 40 and table.schema.field("ttft_ms").type == pyarrow.float64()
    assert table.schema.field("prompt_tokens").type == pyarrow.int64() and table.schema.field("slo_met").type == pyarrow.bool_()
    assert pyarrow.RecordBatchReader.from_stream(run).read_all() == table
    pytest.importorskip("pandas")
    assert list(run.to_pandas().columns) == table.column_names
