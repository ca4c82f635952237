#!/usr/bin/env python3
"""Record how the real vLLM (0.32.0 or 0.33.0) resolves engine arguments and admits requests.

usage: record_config.py OUTPUT_DIR        (with the Python of an environment that has the version, the CPU build or the
                                           Python part will do; tests/data/config is 0.32.0's, .../v0.33 0.33.0's)

Writes
  resolved.json               engine arguments on a device -> resolved values, or which start-up check refused them
  admitted.json               prompt length and max_tokens -> max_tokens that reaches the engine, or which check refused
  human_readable_ints.json    flag text -> integer, or refused

Real: EngineArgs.create_engine_config with all its checks, the platform hooks of CpuPlatform and of the CUDA platform
class, request_memory, get_kv_cache_configs (auto-fit and fit check), resolve_kv_cache_block_sizes, KVCacheManager's
watermark, TokenizeParams, get_max_tokens, SamplingParams, InputProcessor.
Faked: the device. A GPU is the CUDA platform class with name, total memory and compute capability 9.0 put in, and
Triton declared present (it is on every GPU host; it decides that the V2 model runner is the default). KV memory is
requested memory - a given number of other bytes, which is the last line of the worker's own calculation, since no
model is loaded. One KV cache group of full attention.
Refusals are recorded as the name of the check that failed and its numbers, not as text.
The same command writes the same bytes: the grid comes from a fixed seed.
"""

from __future__ import annotations

import json
import logging
import os
import random
import re
import sys
import tempfile
import types
from types import SimpleNamespace

for _name in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE", "VLLM_CPU_KVCACHE_SPACE", "VLLM_USE_V2_MODEL_RUNNER"):
    os.environ.pop(_name, None)
os.environ.update(
    VLLM_ENABLE_V1_MULTIPROCESSING="0", HF_HUB_OFFLINE="1", VLLM_NO_USAGE_STATS="1", VLLM_LOGGING_LEVEL="WARNING"
)

import torch  # noqa: E402
import vllm  # noqa: E402
import vllm.platforms as platforms  # noqa: E402
from pydantic import ValidationError  # noqa: E402
from vllm.engine.arg_utils import EngineArgs  # noqa: E402
from vllm.usage.usage_lib import UsageContext  # noqa: E402

GIB = 1 << 30
VERSIONS = ("0.32.0", "0.33.0")
VERSION = vllm.__version__.split("+")[0]
LAYERS, KV_HEADS, HEAD_SIZE = 8, 8, 128  # of the whole model; a pipeline stage has its share
MODEL = {
    "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 64, "intermediate_size": 128,
    "num_hidden_layers": LAYERS, "num_attention_heads": 8, "num_key_value_heads": 8, "head_dim": HEAD_SIZE,
    "vocab_size": 4096, "max_position_embeddings": 131072, "rms_norm_eps": 1e-5, "torch_dtype": "bfloat16",
    "tie_word_embeddings": False, "hidden_act": "silu", "bos_token_id": 1, "eos_token_id": 2,
}

CONTEXTS = {
    "llm_class": UsageContext.LLM_CLASS,
    "openai_api_server": UsageContext.OPENAI_API_SERVER,
    "engine_context": UsageContext.ENGINE_CONTEXT,
}
GPUS = {
    "NVIDIA B200": 178 * GIB + 12345,
    "160 GiB exactly": 160 * GIB,
    "one byte under 160 GiB": 160 * GIB - 1,
    "NVIDIA H200": 150754820096,
    "NVIDIA H100 80GB HBM3": 85029158912,
    "NVIDIA A100-SXM4-80GB": 85095874560,
    "70 GiB exactly": 70 * GIB,
    "one byte under 70 GiB": 70 * GIB - 1,
    "NVIDIA L4": 23580639232,
}

# name of the check -> what its message contains; groups are its numbers
CHECKS = {
    "max_num_batched_tokens_below_max_model_len": r"max_num_batched_tokens \((\d+)\) is smaller than max_model_len \((\d+)\)",
    "max_num_batched_tokens_below_max_num_seqs": r"max_num_batched_tokens \((\d+)\) must be greater than or equal to max_num_seqs \((\d+)\)",
    "max_num_active_seqs_above_max_num_seqs": r"max_num_active_seqs \((\d+)\) cannot be greater than max_num_seqs \((\d+)\)",
    "long_prefill_token_threshold_above_max_model_len": r"long_prefill_token_threshold \((\d+)\) cannot be greater than the max_model_len \((\d+)\)",
    "max_model_len_above_model": r"User-specified max_model_len \((\d+)\) is greater than the derived max_model_len \(max_position_embeddings=([\d.]+)",
    "no_kv_cache_memory": r"No available memory for the cache blocks",
    "kv_cache_too_small": r"max seq len \((\d+)\), \(([\d.]+) GiB KV cache is needed, which is larger than the available KV cache memory \(([\d.]+) GiB\)\.(?: Based on the available memory, the estimated maximum model length is (\d+)\.)?",
    "nothing_fits": r"Cannot auto-fit max_model_len",
    "prefix_match_unit": r"Invalid prefix_match_unit=(\d+); with a single KV cache group",
    "async_pipeline_v1": r"Async scheduling is not supported by the V1 model runner with pipeline parallelism",
}
WARNINGS = {
    "max_num_batched_tokens_above_max_num_seqs_times_max_model_len": r"max_num_batched_tokens \(\d+\) exceeds max_num_seqs",
    "chunked_prefill_off": r"does not officially support disabling chunked prefill",
    "block_size_not_multiple_of_32_on_cpu": r"prefers block_size is multiples of 32",
}


class Heard(logging.Handler):
    """Collects the names of the warnings of interest."""

    def __init__(self):
        super().__init__()
        self.names: list[str] = []

    def emit(self, record):
        text = record.getMessage()
        self.names += [name for name, pattern in WARNINGS.items() if re.search(pattern, text)]


def number(text):
    return None if text is None else float(text) if "." in text else int(text)


def refusal(error: Exception) -> dict:
    if isinstance(error, ValidationError):
        ranges = sorted({str(e["loc"][0]) for e in error.errors() if e["type"] != "value_error"})
        if ranges:
            return {"check": "range", "fields": ranges}
    text = str(error)
    for name, pattern in CHECKS.items():
        if found := re.search(pattern, text):
            return {"check": name, "numbers": [number(group) for group in found.groups()]}
    raise error


# --------------------------------------------------------------------------
# the devices
# --------------------------------------------------------------------------
class Devices:
    """Switches every module that looked up `current_platform` between the CPU and a faked GPU."""

    def __init__(self):
        self.cpu = platforms.current_platform
        for name in ("vllm._C_stable_libtorch", "vllm._moe_C_stable_libtorch"):
            sys.modules.setdefault(name, types.ModuleType(name))
        import vllm.platforms.cuda as cuda
        from vllm.platforms.interface import DeviceCapability

        class FakeGpu(cuda.NonNvmlCudaPlatform):
            device_name, total_memory = "", 0
            get_device_capability = classmethod(lambda cls, device_id=0: DeviceCapability(9, 0))
            get_device_name = classmethod(lambda cls, device_id=0: cls.device_name)
            get_device_total_memory = classmethod(lambda cls, device_id=0: cls.total_memory)
            device_count = classmethod(lambda cls: 8)
            is_pin_memory_available = classmethod(lambda cls: False)

        self.gpu_class, self.gpu, self.now = FakeGpu, FakeGpu(), self.cpu

    def use(self, device: dict):
        if "gpu" in device:
            self.gpu_class.device_name = device["gpu"]["name"]
            self.gpu_class.total_memory = device["gpu"]["total_memory_bytes"]
            target = self.gpu
        else:
            target = self.cpu
        import vllm.config.vllm

        vllm.config.vllm.HAS_TRITON = target is self.gpu
        platforms._current_platform = target
        for module in list(sys.modules.values()):
            if getattr(module, "__dict__", {}).get("current_platform") is self.now:
                module.current_platform = target
        self.now = target


# --------------------------------------------------------------------------
# resolved.json
# --------------------------------------------------------------------------
def kv_cache_configs(config, specs: list[dict], available: list[int]) -> list:
    """`get_kv_cache_configs`; since 0.33 the groups are made first, as EngineCore does."""
    try:
        from vllm.v1.core.kv_cache_planning import get_global_kv_cache_groups, get_kv_cache_configs
    except ImportError:
        from vllm.v1.core.kv_cache_utils import get_kv_cache_configs

        return get_kv_cache_configs(config, specs, available)
    return get_kv_cache_configs(config, specs, available, get_global_kv_cache_groups(config, specs))


def resolve(model: str, heard: Heard, platform: dict, args: dict) -> dict:
    from vllm.v1.core.kv_cache_manager import KVCacheManager
    from vllm.v1.core.kv_cache_utils import generate_scheduler_kv_cache_config, resolve_kv_cache_block_sizes

    from vllm.v1.kv_cache_interface import FullAttentionSpec
    from vllm.v1.worker.utils import request_memory

    heard.names.clear()
    vllm.logger._print_warning_once.cache_clear()
    device, stages = platform["device"], platform["pipeline_parallel_size"]
    try:
        config = EngineArgs(
            model=model, load_format="dummy", skip_tokenizer_init=True, enforce_eager=True,
            hf_overrides={"max_position_embeddings": platform["model_max_len"]},
            tensor_parallel_size=platform["tensor_parallel_size"], pipeline_parallel_size=stages, **args,
        ).create_engine_config(CONTEXTS[platform["usage_context"]])
        cache, scheduler = config.cache_config, config.scheduler_config
        total = next(iter(device.values()))["total_memory_bytes"]
        snapshot = SimpleNamespace(total_memory=total, free_memory=total, device_="fake")
        given = cache.kv_cache_memory_bytes
        if given if "gpu" in device else given is not None:
            available = given
        else:
            available = request_memory(snapshot, cache) - platform["kv_cache"]["non_kv_cache_bytes"]
        cache.kv_cache_layout = "LBNHC"
        if "cpu" in device and not cache.user_specified_block_size:
            # Since 0.33 the CPU's default is set once the layers' attention backend is known
            # (CpuPlatform.update_block_size_for_backend), and there are no layers here.
            cache.block_size = 128
        layer = FullAttentionSpec(
            block_size=cache.block_size, num_kv_heads=KV_HEADS, head_size=HEAD_SIZE, dtype=torch.bfloat16
        )
        specs = [
            {f"layer.{stage * LAYERS + i}": layer for i in range(LAYERS // stages)} for stage in range(stages)
        ]
        assert platform["kv_cache"]["bytes_per_token"] == LAYERS // stages * layer.page_size_bytes // cache.block_size
        kv = generate_scheduler_kv_cache_config(kv_cache_configs(config, specs, [available] * stages))
        block_size, hash_block_size = resolve_kv_cache_block_sizes(kv, config)
        manager = KVCacheManager(
            kv_cache_config=kv, max_model_len=config.model_config.max_model_len, scheduler_block_size=block_size,
            hash_block_size=hash_block_size, max_in_flight_tokens=config.max_in_flight_tokens,
            watermark=scheduler.watermark, enable_caching=cache.enable_prefix_caching,
        )
    except (ValueError, ValidationError) as error:
        return {"refused": refusal(error)}
    return {
        "config": {
            "max_num_seqs": scheduler.max_num_seqs,
            # As Scheduler.__init__ reads these two.
            "max_num_active_seqs": scheduler.max_num_active_seqs or scheduler.max_num_seqs,
            "max_num_batched_tokens": scheduler.max_num_batched_tokens,
            "max_num_scheduled_tokens": scheduler.max_num_scheduled_tokens or scheduler.max_num_batched_tokens,
            "max_model_len": config.model_config.max_model_len,
            "block_size": block_size,
            "num_gpu_blocks": kv.num_blocks,
            "enable_prefix_caching": cache.enable_prefix_caching,
            "enable_chunked_prefill": scheduler.enable_chunked_prefill,
            "long_prefill_token_threshold": scheduler.long_prefill_token_threshold,
            "long_prefill_token_threshold_adaptive": scheduler.long_prefill_token_threshold_adaptive,
            "policy": scheduler.policy,
            "scheduler_reserve_full_isl": scheduler.scheduler_reserve_full_isl,
            "watermark_blocks": manager.watermark_blocks,
            "async_scheduling": scheduler.async_scheduling,
            "pipeline_parallel_size": config.parallel_config.pipeline_parallel_size,
        },
        "warnings": sorted(set(heard.names)),
    }


def platform_of(gpu: str | None, context: str, model_max_len=131072, tp=1, pp=1, non_kv=4 * GIB, total=None) -> dict:
    total = total or (GPUS[gpu] if gpu else 64 * GIB)
    device = {"gpu": {"name": gpu, "total_memory_bytes": total}} if gpu else {"cpu": {"total_memory_bytes": total}}
    return {
        "device": device, "usage_context": context, "model_max_len": model_max_len, "tensor_parallel_size": tp,
        "pipeline_parallel_size": pp,
        "kv_cache": {"non_kv_cache_bytes": non_kv, "bytes_per_token": LAYERS // pp * 2 * KV_HEADS * HEAD_SIZE * 2},
    }


ARGS = {
    "max_num_seqs": [1, 2, 16, 64, 256, 1024, 2048],
    "max_num_active_seqs": [1, 8, 64, 300],
    "max_num_batched_tokens": [1, 64, 512, 2048, 8192, 65536, 200000],
    "max_num_scheduled_tokens": [1, 256, 4096, 100000],
    "max_model_len": [-1, 16, 500, 2048, 4096, 32768, 131072],
    "block_size": [16, 32, 48, 128],
    "gpu_memory_utilization": [0.1, 0.5, 0.9, 0.95, 1.0],
    "kv_cache_memory_bytes": [GIB, 3 * GIB + 7, 40 * GIB],
    "num_gpu_blocks_override": [64, 257, 4096, 20000],
    "enable_prefix_caching": [True, False],
    "enable_chunked_prefill": [True, False, False],
    "long_prefill_token_threshold": [0, 128, 2048, 40000],
    "long_prefill_token_threshold_adaptive": [True, False],
    "scheduling_policy": ["fcfs", "priority"],
    "scheduler_reserve_full_isl": [True, False],
    "watermark": [0.0, 0.01, 0.1, 0.333, 0.99],
    "async_scheduling": [True, False],
    "performance_mode": ["balanced", "throughput"],
    "prefix_match_unit": [16, 32, 128],
}


def chosen_cases():
    """Every default of every device, and each refusal once and at its edge."""
    for context in CONTEXTS:
        for gpu in [*GPUS, None]:
            for args in ({}, {"performance_mode": "throughput"}, {"enable_chunked_prefill": False}, {"max_num_seqs": 3}):
                yield platform_of(gpu, context, model_max_len=8192), args
        for tp, pp in ((2, 1), (1, 2), (2, 2), (4, 1)):
            for gpu in ("NVIDIA L4", None):
                yield platform_of(gpu, context, 8192, tp, pp), {}
    h100 = platform_of("NVIDIA H100 80GB HBM3", "openai_api_server")
    cpu = platform_of(None, "llm_class", 8192)
    for args in (
        {"max_num_seqs": 0}, {"max_num_seqs": -3}, {"max_num_batched_tokens": 0}, {"max_num_batched_tokens": -1},
        {"max_num_scheduled_tokens": 0}, {"max_num_active_seqs": 0}, {"long_prefill_token_threshold": -1},
        {"watermark": 1.0}, {"watermark": -0.01}, {"watermark": 0.999}, {"block_size": 0}, {"block_size": -16},
        {"gpu_memory_utilization": 0.0}, {"gpu_memory_utilization": 1.01}, {"gpu_memory_utilization": -0.5},
        {"prefix_match_unit": 0}, {"prefix_match_unit": 32}, {"prefix_match_unit": 16},
        {"prefix_match_unit": 32, "enable_prefix_caching": False}, {"max_model_len": -2}, {"max_model_len": 1},
        {"max_model_len": 131073}, {"max_model_len": 131072}, {"max_model_len": 16, "long_prefill_token_threshold": 17},
        {"max_model_len": 16, "long_prefill_token_threshold": 16},
        {"max_num_seqs": 8, "max_num_active_seqs": 9}, {"max_num_seqs": 8, "max_num_active_seqs": 8},
        {"max_num_seqs": 8, "max_num_batched_tokens": 7}, {"max_num_seqs": 8, "max_num_batched_tokens": 8},
        {"max_num_batched_tokens": 131071, "enable_chunked_prefill": False},
        {"max_num_batched_tokens": 131072, "enable_chunked_prefill": False},
        {"max_num_batched_tokens": 100, "max_num_seqs": 4, "max_model_len": 25},
        {"max_num_batched_tokens": 101, "max_num_seqs": 4, "max_model_len": 25},
        {"num_gpu_blocks_override": 0}, {"num_gpu_blocks_override": 1}, {"num_gpu_blocks_override": -4},
        {"num_gpu_blocks_override": 2}, {"num_gpu_blocks_override": 8192}, {"num_gpu_blocks_override": 8193},
        {"num_gpu_blocks_override": 8194}, {"num_gpu_blocks_override": 1, "max_model_len": -1},
        {"num_gpu_blocks_override": 2, "max_model_len": -1}, {"num_gpu_blocks_override": 3, "max_model_len": 33},
        {"num_gpu_blocks_override": 3, "max_model_len": 32}, {"kv_cache_memory_bytes": 0},
        {"kv_cache_memory_bytes": -5}, {"kv_cache_memory_bytes": 100000},
        {"kv_cache_memory_bytes": 524288}, {"kv_cache_memory_bytes": 524289}, {"kv_cache_memory_bytes": 1048575},
        {"kv_cache_memory_bytes": 1048576, "max_model_len": 16}, {"async_scheduling": True}, {"async_scheduling": False},
    ):
        yield h100, args
        if args.get("max_model_len", 0) < 8192:
            yield cpu, args
    for non_kv in (70 * GIB, 72 * GIB + 900 * (1 << 20), 78 * GIB, 90 * GIB):
        yield platform_of("NVIDIA H100 80GB HBM3", "openai_api_server", non_kv=non_kv), {}
        yield platform_of("NVIDIA H100 80GB HBM3", "openai_api_server", non_kv=non_kv), {"max_model_len": -1}
    for tp, pp in ((1, 2), (2, 2)):
        for args in ({}, {"async_scheduling": False}, {"async_scheduling": True}, {"max_model_len": -1}):
            yield platform_of("NVIDIA H100 80GB HBM3", "llm_class", 131072, tp, pp), args


def random_cases(count: int):
    rng = random.Random(32)
    for _ in range(count):
        gpu = rng.choice([*GPUS, None, None])
        tp, pp = rng.choice([(1, 1)] * 6 + [(2, 1), (4, 1), (1, 2)])
        platform = platform_of(
            gpu, rng.choice(["llm_class", "openai_api_server"]), rng.choice([2048, 8192, 40960, 131072]), tp, pp,
            rng.choice([GIB, 4 * GIB, 16 * GIB]),
        )
        share = rng.choice([0.1, 0.25, 0.5])
        yield platform, {name: rng.choice(values) for name, values in ARGS.items() if rng.random() < share}


def record_resolved(model: str) -> list[dict]:
    heard = Heard()
    logging.getLogger("vllm").addHandler(heard)
    devices = Devices()
    cases = [*chosen_cases(), *random_cases(600)]
    # The model's description is read on the CPU first; it is remembered from then on.
    resolve(model, heard, platform_of(None, "llm_class", 8192), {})
    out = []
    for platform, args in cases:
        devices.use(platform["device"])
        out.append({"platform": platform, "args": args, **resolve(model, heard, platform, args)})
    devices.use({"cpu": {}})
    return out


# --------------------------------------------------------------------------
# admitted.json
# --------------------------------------------------------------------------
ADMIT_CHECKS = {
    "empty_prompt": r"prompt cannot be empty",
    "prompt_above_max_model_len": r"maximum context length is|longer than the maximum model length of|Input length \(",
    "prompt_fills_max_model_len": r"at least 1\) is longer than the maximum",
    "max_tokens_above_max_model_len": r"max_tokens=\d+ cannot be greater than max_model_len",
    "max_tokens_below_one": r"max_tokens must be at least 1",
}


def admit_refusal(error: Exception) -> str:
    names = [name for name, pattern in ADMIT_CHECKS.items() if re.search(pattern, str(error))]
    # The message for P = L also contains the words of P > L.
    return "prompt_fills_max_model_len" if "prompt_fills_max_model_len" in names else names[0]


def record_admitted(model: str) -> list[dict]:
    from vllm.entrypoints.openai.chat_completion.protocol import ChatCompletionRequest
    from vllm.entrypoints.openai.completion.protocol import CompletionRequest
    from vllm.entrypoints.serve.utils.api_utils import get_max_tokens
    from vllm.exceptions import VLLMValidationError
    from vllm.inputs import tokens_input
    from vllm.sampling_params import SamplingParams
    from vllm.v1.engine.input_processor import InputProcessor

    length = 64
    config = EngineArgs(
        model=model, load_format="dummy", skip_tokenizer_init=True, enforce_eager=True, max_model_len=length
    ).create_engine_config(UsageContext.LLM_CLASS)
    processor = InputProcessor(config)
    defaults = config.model_config.get_diff_sampling_param()

    def engine(tokens: list[int], params: SamplingParams) -> int:
        request = processor.process_inputs("r", tokens_input(tokens), params, ("generate",))
        return request.sampling_params.max_tokens

    def llm(tokens, max_tokens):
        return engine(tokens, SamplingParams() if max_tokens is None else SamplingParams(max_tokens=max_tokens))

    def completions(tokens, max_tokens):
        request = CompletionRequest(prompt=tokens, max_tokens=max_tokens)
        request.build_tok_params(config.model_config)._token_len_check(None, tokens)
        granted = get_max_tokens(length, request.max_tokens, len(tokens), defaults)
        return engine(tokens, request.to_sampling_params(granted, defaults))

    def chat(tokens, max_tokens):
        request = ChatCompletionRequest(messages=[], max_tokens=max_tokens)
        request.build_tok_params(config.model_config)._token_len_check(None, tokens)
        granted = get_max_tokens(length, request.max_tokens, len(tokens), defaults)
        return engine(tokens, request.to_sampling_params(granted, defaults))

    out = []
    for door, ask in (("llm_class", llm), ("completions", completions), ("chat", chat)):
        for prompt in (0, 1, 40, 62, 63, 64, 65, 66, 500):
            for max_tokens in (None, 0, 1, 2, 16, 24, 25, 63, 64, 65, 1000):
                case = {"door": door, "max_model_len": length, "num_prompt_tokens": prompt, "max_tokens": max_tokens}
                try:
                    case["granted"] = ask([5] * prompt, max_tokens)
                except (ValueError, VLLMValidationError) as error:
                    case["refused"] = admit_refusal(error)
                out.append(case)
    return out


# --------------------------------------------------------------------------
# human_readable_ints.json
# --------------------------------------------------------------------------
def record_ints() -> list[dict]:
    from argparse import ArgumentTypeError

    from vllm.utils.argparse_utils import human_readable_int, human_readable_int_or_auto

    texts = [
        "0", "1", "256", "-1", "-5", "+7", " 12 ", "1k", "1K", "2m", "2M", "3g", "3G", "1t", "1T", "25.6k", "0.5m",
        "1.5K", "1.0K", "1.2345k", "0.0001k", "4.35k", "1.1g", "auto", "AUTO", "Auto", " auto ", "1_000", "1__0", "_1",
        "1_", "1_000k", "k", "", " ", "1 k", "1e3", "1.5", "0x10", "-1k", "1kk", "k1", ".5k", "5.k", "007", "1\t",
        "9223372036854775807", "--1", "+-1", "- 1", "+1k", "16K\n",
    ]
    out = []
    for text in texts:
        case = {"text": text}
        for name, parse in (("int", human_readable_int), ("int_or_auto", human_readable_int_or_auto)):
            try:
                case[name] = parse(text)
            except (ValueError, ArgumentTypeError):
                case[name] = None
        out.append(case)
    return out


def main(out: str) -> None:
    assert VERSION in VERSIONS, vllm.__version__
    with tempfile.TemporaryDirectory() as model:
        with open(os.path.join(model, "config.json"), "w") as file:
            json.dump(MODEL, file)
        tables = {
            "human_readable_ints.json": record_ints(),
            "admitted.json": record_admitted(model),
            "resolved.json": record_resolved(model),
        }
    for name, cases in tables.items():
        head = {"vllm": VERSION, "made_by": "tests/recorder/record_config.py"}
        with open(os.path.join(out, name), "w") as file:
            file.write('{"vllm":"%(vllm)s","made_by":"%(made_by)s","cases":[\n' % head)
            file.write(",\n".join(json.dumps(case, separators=(",", ":")) for case in cases))
            file.write("\n]}\n")
        print(f"{name}: {len(cases)} cases", file=sys.stderr)


if __name__ == "__main__":
    main(sys.argv[1])
