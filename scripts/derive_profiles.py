#!/usr/bin/env python3
"""Turn operator tables into profile files (kind "derived").

usage: derive_profiles.py TABLES.json [--out www/profiles] [--date YYYY-MM-DD]

TABLES.json holds operator tables derived from aiconfigurator-core 0.12.0: a list of cells, one per (model, system,
tensor parallel size, number format), times in microseconds for one whole pass:
  tokens, nonattn_us            everything but attention, over the tokens of the pass; the logits of one row included
  rows, lm_head_extra_us        what more rows of logits add to that
  decode_batch, decode_kv, decode_attn_us     attention of decodes: [batch][tokens attended to]
  chunk, prefix, prefill_attn_us              attention of one prompt part: [new tokens][earlier tokens]
  decode_ops_b8_us              a decode pass of 8 requests, operator by operator

What happens to them: the logits leave the first table for the second; where the source's formula for a prompt part
with earlier tokens gives less than a lower bound that must hold, the bound is taken; what is left of noise is made
monotone. Each change is recorded in the file. Standard library only; equal input gives equal bytes.
"""

import argparse
import datetime
import json
import math
import pathlib

VERSION = "1"
GIB = 1 << 30

SOURCE = {
    "name": "aiconfigurator-core",
    "version": "0.12.0",
    "licence": "Apache-2.0",
    "url": "https://pypi.org/project/aiconfigurator-core/0.12.0/",
}

# What to write: cell of the tables, file name, facts that the tables do not hold.
PROFILES = [
    {
        "cell": {"model": "meta-llama/Meta-Llama-3.1-8B", "system": "h100_sxm", "tp": 1, "gemm": "bfloat16"},
        "file": "h100-sxm_llama-3.1-8b_bf16_tp1.json",
        "model": {
            "name": "meta-llama/Llama-3.1-8B",
            "num_hidden_layers": 32,
            "hidden_size": 4096,
            "intermediate_size": 14336,
            "num_attention_heads": 32,
            "num_key_value_heads": 8,
            "head_dim": 128,
            "vocab_size": 128256,
            "dtype": "bfloat16",
            "max_position_embeddings": 131072,
        },
        "num_parameters": 8_030_261_248,
        "hardware": {
            "name": "NVIDIA H100 80GB HBM3",
            "total_memory": (
                round(79.22 * GIB),
                "vLLM on such a device logs a total of 79.22 GiB (vllm-project/vllm pull request 10511); drivers differ "
                "between 79.1 and 79.6 GiB.",
            ),
            "compute_capability": "9.0",
        },
        # vLLM's defaults for a server on this device.
        "limits": {"max_num_seqs": 1024, "max_num_batched_tokens": 8192},
        "activation_peak": (
            round(1.26 * GIB),
            "vLLM logged 1.26 GiB for Llama-3-8B, the same shapes, on an 80 GB device (vllm-project/vllm pull request "
            "10511).",
        ),
    },
]

# No public source measures these for vLLM 0.32.0 on such a machine. The orders of magnitude were checked against a
# public run of vLLM 0.19 (Llama-3.1-8B, RTX PRO 6000, 128 requests running), whose passes took 1.3 to 2.4 ms longer than
# the tables of that device; they were not fitted to it.
HOST = {
    "schedule": {
        "per_pass": (
            400.0,
            "Judged: building and copying the inputs and launching a pass take a few tenths of a millisecond; vLLM "
            "0.32.0's schedule() itself has a fixed part of only 0.01 ms.",
        ),
        "per_request": (
            8.5,
            "vLLM 0.32.0's schedule() took 7.8 to 9.2 microseconds per decoding request on one core of an AMD EPYC server "
            "without a GPU (16-token blocks, 8 to 256 requests); another processor differs.",
        ),
    },
    "update": {
        "per_pass": (
            150.0,
            "Judged: copying the sampled tokens to the host and sending the outputs take a tenth or two of a "
            "millisecond; vLLM 0.32.0's update_from_output() itself has a fixed part below 0.01 ms.",
        ),
        "per_request": (
            4.0,
            "vLLM 0.32.0's update_from_output() took 3.3 to 5.0 microseconds per decoding request on one core of an AMD "
            "EPYC server without a GPU; another processor differs.",
        ),
    },
}
FRONT_END = {
    "request_latency": {
        "per_request": (
            2000.0,
            "Judged: an HTTP request through the API server, its checks, and the message to the engine core take one to "
            "four milliseconds on an idle server.",
        ),
        "per_prompt_token": (
            2.0,
            "Judged: fast tokenizers do about half a million tokens a second on one core.",
        ),
    },
    "output_latency": {
        "per_pass": (
            400.0,
            "Judged: the message from the engine core, the wake-up of the API server and of the client take 0.3 to 1 ms.",
        ),
        "per_token": (
            12.0,
            "Judged: detokenizing and streaming a token take about 25 microseconds of one core, and the mean request "
            "of a pass waits for half of the others.",
        ),
    },
}


# Monotone smoothing -------------------------------------------------------------------------------------------------


def isotonic(values):
    """The nearest non-decreasing sequence in least squares (pool adjacent violators)."""
    pools = []
    for value in values:
        pools.append([value, 1])
        while len(pools) > 1 and pools[-2][0] > pools[-1][0]:
            mean, count = pools.pop()
            pools[-1][0] = (pools[-1][0] * pools[-1][1] + mean * count) / (pools[-1][1] + count)
            pools[-1][1] += count
    return [mean for mean, count in pools for _ in range(count)]


def transposed(table):
    return [list(column) for column in zip(*table)]


def isotonic_grid(table, passes=500):
    """The nearest table that decreases along neither axis (Dykstra's projections, rows and columns in turn)."""
    rows_off = [[0.0] * len(table[0]) for _ in table]
    columns_off = [[0.0] * len(table[0]) for _ in table]

    def project(table, off, solve):
        shifted = [[v + o for v, o in zip(row, offs)] for row, offs in zip(table, off)]
        solved = solve(shifted)
        return solved, [[a - b for a, b in zip(left, right)] for left, right in zip(shifted, solved)]

    for _ in range(passes):
        table, rows_off = project(table, rows_off, lambda t: [isotonic(row) for row in t])
        table, columns_off = project(
            table, columns_off, lambda t: transposed([isotonic(column) for column in transposed(t)])
        )
    return table


def smoothed(table):
    """The table, monotone along both axes, nearest in relative terms; hundredths of a microsecond."""
    logs = isotonic_grid([[math.log(value) for value in row] for row in table])
    result = [[round(math.exp(value), 2) for value in row] for row in logs]
    # The projections converge from outside; the last hair's breadth and the rounding are settled here.
    for r, row in enumerate(result):
        for c in range(len(row)):
            above = result[r - 1][c] if r else 0.0
            before = row[c - 1] if c else 0.0
            row[c] = max(row[c], above, before)
    return result


def record(table, method, before, after):
    """What a change did to a table (a list of rows)."""
    pairs = [(a, b) for left, right in zip(before, after) for a, b in zip(left, right)]
    changes = [abs(b / a - 1) for a, b in pairs]
    changed = [change for change in changes if change > 1e-5]
    return {
        "table": table,
        "method": method,
        "num_changed": len(changed),
        "max_relative_change": round(max(changes), 6),
        "mean_relative_change": round(sum(changes) / len(changes), 6),
    }


ISOTONIC = (
    "Made non-decreasing along every axis, as more work cannot take less: isotonic regression of the logarithm (pool "
    "adjacent violators, Dykstra's projections for two axes)."
)


# Tables ---------------------------------------------------------------------------------------------------------------


def interpolate(axis, values, x):
    i = max(0, min(len(axis) - 2, sum(1 for start in axis if start <= x) - 1))
    weight = (x - axis[i]) / (axis[i + 1] - axis[i])
    return values[i] + (values[i + 1] - values[i]) * weight


def step_time(cell):
    """The step_time object and the smoothing records."""
    operators = dict(cell["decode_ops_b8_us"])
    # The pass of 8 requests is the one whose operators are known; its rows cost no more than one row.
    assert cell["lm_head_extra_us"][cell["rows"].index(8)] == 0
    logits = operators["generation_logits_gemm"]
    body = [time - logits for time in cell["nonattn_us"]]
    head = [logits + extra for extra in cell["lm_head_extra_us"]]
    smooth_body, smooth_head = smoothed([body])[0], smoothed([head])[0]
    decode = smoothed(cell["decode_attn_us"])
    lifted = []
    for chunk, row in zip(cell["chunk"], cell["prefill_attn_us"]):
        # A part reads the keys and values of all earlier tokens, as one decode with that context does.
        decodes = [interpolate(cell["decode_kv"], decode[0], chunk + prefix) for prefix in cell["prefix"]]
        lifted.append([row[0]] + [max(time, row[0], bound) for time, bound in zip(row[1:], decodes[1:])])
    prefill = smoothed(lifted)
    unknown = {"num_samples": None, "spread_us": None}
    tables = {
        "non_attention": {"num_tokens": cell["tokens"], "time_us": smooth_body, **unknown},
        "head": {"num_seqs": cell["rows"], "time_us": smooth_head, **unknown},
        "decode_attention": {
            "num_seqs": cell["decode_batch"],
            "context_tokens": cell["decode_kv"],
            "time_us": decode,
            **unknown,
        },
        "prefill_attention": {
            "chunk_tokens": cell["chunk"],
            "prefix_tokens": cell["prefix"],
            "time_us": prefill,
            **unknown,
        },
        "mixed_batch": None,
    }
    bound = (
        "Raised to a lower bound where the source's formula for earlier tokens is below it: the measured time without "
        "earlier tokens, and the attention of one decode over as many tokens."
    )
    records = [
        record("non_attention", ISOTONIC, [body], [smooth_body]),
        record("head", ISOTONIC, [head], [smooth_head]),
        record("decode_attention", ISOTONIC, cell["decode_attn_us"], decode),
        record("prefill_attention", bound, cell["prefill_attn_us"], lifted),
        record("prefill_attention", ISOTONIC, lifted, prefill),
    ]
    return tables, records


# The file -------------------------------------------------------------------------------------------------------------


def amount(number, basis, reason):
    return {"bytes": number, "basis": basis, "reason": reason}


def costs(costs_of):
    return {
        group: {
            name: {"time_us": time_us, "basis": "estimate", "reason": reason}
            for name, (time_us, reason) in entries.items()
        }
        for group, entries in costs_of.items()
    }


def memory(spec, kv_bytes):
    return {
        "weights": amount(
            spec["num_parameters"] * 2, "derived", f"{spec['num_parameters']} parameters of 2 bytes each."
        ),
        "other_resident": amount(
            GIB // 2, "estimate", "CUDA context and library workspaces, judged from start-up logs of similar engines."
        ),
        "activation_peak": amount(spec["activation_peak"][0], "estimate", spec["activation_peak"][1]),
        "cuda_graphs": amount(
            round(0.6 * GIB), "estimate", "Start-up logs of 8B models with default capture sizes name 0.4 to 0.7 GiB."
        ),
        "kv_cache_per_token": amount(
            kv_bytes, "derived", "Keys and values × layers × KV heads × head size × 2 bytes."
        ),
        "reported": None,
    }


def notes(cell):
    return [
        "No whole pass was measured: times are sums of operators measured one by one, without the gaps between kernels, "
        "without sustained-load throttling, and without sampling.",
        f"The operators were measured under vLLM {cell['perf_db_version']}; scheduling follows vLLM 0.32.0.",
        "Norms, activations and the embedding are the source's formula, not measurements, and so is attention over "
        "earlier tokens. The MLP's and the logits' matrix shapes were not measured either; the source's rule transfers "
        "them from measured shapes.",
        "Attention of a prompt part holds the source's constant of 0.42 ms for rotary embedding and cache writes, whatever "
        "the number of tokens; without it a prompt of 512 tokens would take 11.56 ms instead of 12.02 ms.",
        "A pass with decodes and prompt parts is counted as the sum of both attentions. Where somebody measured such "
        "passes (LLMServingSim, RTX PRO 6000, vLLM 0.19), their attention took 22 % more than the sum at the median.",
        "Host and front-end costs and part of the memory are estimates, labelled as such.",
    ]


def profile(spec, cell, date):
    model = spec["model"]
    total, total_reason = spec["hardware"]["total_memory"]
    kv_bytes = 2 * model["num_hidden_layers"] * (model["num_key_value_heads"] // cell["tp"]) * model["head_dim"] * 2
    tables, smoothing = step_time(cell)
    return {
        "version": 1,
        "provenance": {
            "kind": "derived",
            "tool": "scripts/derive_profiles.py",
            "tool_version": VERSION,
            "date": date,
            "sources": [SOURCE],
            "host": None,
            "notes": notes(cell),
        },
        "model": model,
        "hardware": {
            "device_type": "cuda",
            "name": spec["hardware"]["name"],
            "num_devices": cell["tp"],
            "total_memory": amount(total, "estimate", total_reason),
            "compute_capability": spec["hardware"]["compute_capability"],
        },
        "engine": {
            "vllm_version": cell["perf_db_version"],
            "dtype": cell["gemm"],
            "quantization": None,
            "kv_cache_dtype": "auto" if cell["kv"] == cell["gemm"] else cell["kv"],
            "attention_backend": "FLASH_ATTN",
            "tensor_parallel_size": cell["tp"],
            "pipeline_parallel_size": 1,
            "block_size": 16,
            "enforce_eager": False,
            "max_model_len": model["max_position_embeddings"],
            "gpu_memory_utilization": 0.92,
            **spec["limits"],
        },
        "memory": memory(spec, kv_bytes),
        "step_time": tables,
        "host": costs(HOST),
        "front_end": costs(FRONT_END),
        "validation": {"steps": [], "runs": []},
        "smoothing": smoothing,
    }


def lay_out(value, depth=0):
    """JSON with an array of numbers on one line, as the profiler writes it."""
    inner, outer = "\n" + " " * (depth + 1), "\n" + " " * depth
    if isinstance(value, dict) and value:
        items = [f"{json.dumps(key)}: {lay_out(item, depth + 1)}" for key, item in value.items()]
        return "{" + inner + ("," + inner).join(items) + outer + "}"
    if isinstance(value, list) and any(isinstance(item, (dict, list, str)) for item in value):
        return "[" + inner + ("," + inner).join(lay_out(item, depth + 1) for item in value) + outer + "]"
    return json.dumps(value, ensure_ascii=False)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("tables", type=pathlib.Path, help="operator tables (JSON)")
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path("www/profiles"))
    parser.add_argument("--date", default=datetime.date.today().isoformat())
    args = parser.parse_args()
    cells = json.loads(args.tables.read_text())
    for spec in PROFILES:
        matching = [cell for cell in cells if all(cell[key] == value for key, value in spec["cell"].items())]
        if len(matching) != 1:
            parser.error(f"{args.tables}: {len(matching)} cells match {spec['cell']}; must be 1")
        path = args.out / spec["file"]
        result = profile(spec, matching[0], args.date)
        path.write_text(lay_out(result) + "\n", encoding="utf-8")
        print(f"{path}: {path.stat().st_size} bytes")
        for entry in result["smoothing"]:
            print(
                f"  {entry['table']}: {entry['num_changed']} points changed, at most "
                f"{100 * entry['max_relative_change']:.1f} %, {100 * entry['mean_relative_change']:.2f} % on average"
            )


if __name__ == "__main__":
    main()
