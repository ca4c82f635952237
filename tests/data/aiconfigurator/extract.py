#!/usr/bin/env python3
"""Take the rows that the tests need out of an unpacked aiconfigurator-core 0.12.0 (needs pyarrow).

usage: extract.py FOLDER_WITH_aiconfigurator_core
"""

import pathlib
import sys

import pyarrow.compute as pc
import pyarrow.parquet as pq

HERE = pathlib.Path(__file__).parent
SOURCE = pathlib.Path(sys.argv[1])
# (n, k): the shapes of Llama-3.1-8B and Qwen3-30B-A3B on one H100, those of Llama-3.3-70B on four B200, and of each that
# was not measured the nearest four that were.
TARGETS = {
    "h100_sxm": {
        "bfloat16": [
            (6144, 4096), (4096, 4096), (28672, 4096), (4096, 14336), (128256, 4096),
            (5120, 2048), (2048, 4096), (128, 2048), (151936, 2048),
        ],
    },
    "b200_sxm": {
        "fp8": [(2560, 8192), (8192, 2048), (14336, 8192), (8192, 7168)],
        "bfloat16": [(32064, 8192)],
    },
}
HEADS = {"h100_sxm": [(32, 8), (32, 4)], "b200_sxm": [(16, 2)]}


def nearest(sites, target):
    import math

    def distance(site):
        return math.hypot(math.log2(site[0] / target[0]), math.log2(site[1] / target[1]))

    return [target] if target in sites else sorted(sites, key=distance)[:4]


def keep(system, family, version, table, choose):
    path = pathlib.Path("aiconfigurator_core/systems/data") / system / family / "vllm" / version / f"{table}.parquet"
    source = SOURCE / path
    rows = choose(pq.read_table(source))
    target = HERE / path
    target.parent.mkdir(parents=True, exist_ok=True)
    compression = pq.ParquetFile(source).metadata.row_group(0).column(0).compression
    # DICTIONARY and PLAIN pages and the compression, as in the source.
    pq.write_table(rows, target, compression=compression)
    print(f"{target.relative_to(HERE)}: {rows.num_rows} rows, {target.stat().st_size} bytes")


def gemm(system):
    def choose(table):
        mask = None
        for dtype, targets in TARGETS[system].items():
            of_dtype = pc.equal(table["gemm_dtype"], dtype)
            part = table.filter(of_dtype)
            sites = set(zip(part["n"].to_pylist(), part["k"].to_pylist()))
            for n, k in {site for target in targets for site in nearest(sites, target)}:
                this = pc.and_(of_dtype, pc.and_(pc.equal(table["n"], n), pc.equal(table["k"], k)))
                mask = this if mask is None else pc.or_(mask, this)
        return table.filter(mask)

    keep(system, "gemm", "0.24.0", "gemm_perf", choose)


def attention(system, table_name):
    def choose(table):
        mask = None
        for heads, kv_heads in HEADS[system]:
            this = pc.and_(pc.equal(table["num_heads"], heads), pc.equal(table["num_key_value_heads"], kv_heads))
            mask = this if mask is None else pc.or_(mask, this)
        for column, value in [("head_dim", 128), ("window_size", 0), ("kv_cache_dtype", "bfloat16")]:
            mask = pc.and_(mask, pc.equal(table[column], value))
        return table.filter(mask)

    keep(system, "attention", "0.24.0", table_name, choose)


def allreduce(version):
    keep("b200_sxm", "comm", version, "custom_allreduce_perf", lambda t: t.filter(pc.equal(t["num_gpus"], 4)))


def moe():
    def choose(table):
        sizes = {
            "moe_dtype": "bfloat16", "hidden_size": 2048, "inter_size": 768, "topk": 8, "num_experts": 128,
            "moe_tp_size": 1, "moe_ep_size": 1,
        }  # fmt: skip
        for column, value in sizes.items():
            table = table.filter(pc.equal(table[column], value))
        return table

    keep("h100_sxm", "moe", "0.24.0", "moe_perf", choose)


def main():
    for system in TARGETS:
        gemm(system)
        attention(system, "context_attention_perf")
        attention(system, "generation_attention_perf")
    allreduce("0.19.0")
    allreduce("0.24.0")
    moe()
    name = "aiconfigurator_core-0.12.0.dist-info/METADATA"
    (HERE / name).parent.mkdir(exist_ok=True)
    (HERE / name).write_bytes((SOURCE / name).read_bytes())


main()
