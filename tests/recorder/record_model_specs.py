#!/usr/bin/env python3
"""Record which KV-cache layers, groups and block sizes the real vLLM 0.33.0 plans for real models on an H100.

usage: record_model_specs.py VLLM_DIR MODELS_DIR [NAME ...]

VLLM_DIR    the unpacked CUDA wheel of vLLM 0.33.0 for x86-64, compiled parts included
MODELS_DIR  holds NAME.config.json and cases.json, the settings to record each model with (engine arguments, and
            "env" for environment variables); kv_cache_groups.json is written there. With NAMEs, only those models are
            recorded and the other models' rows are kept.
The Python must have vLLM's dependencies, a CUDA build of torch and flashinfer-python; a C compiler must be there.

Real: EngineArgs.create_engine_config with all its checks and model hooks, the CUDA platform's choice of attention
backends, the model's own classes built layer by layer (and the drafter's), every layer's get_kv_cache_spec, the
platform's block size (update_block_size_for_backend), and EngineCore._initialize_kv_caches: the layout, the groups, the
pool, the scheduler's block sizes. Compiled parts are the wheel's own.
Faked: the device. libcuda is an empty library, so that the compiled parts can be loaded; the platform is the CUDA
platform class with compute capability 9.0 put in; weights are on torch's meta device; a tensor-parallel group is the
group of one process that says it has more; memory for the cache is a fixed number. FlashInfer counts as usable.
Left out: `quantization_config` (quantized weights need a device to be made); what it may say about the cache's number
format is therefore not in these rows.
The same command writes the same bytes; a refusal's text names its check.
"""

from __future__ import annotations

import ctypes
import dataclasses
import itertools
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

Settings = dict[str, Any]
VERSION = "0.33.0"
MEMORY = 1 << 42  # bytes for the cache; far more than a device has, so that every context length fits
RESOLVED = (
    "cache_dtype", "enable_prefix_caching", "mamba_cache_mode", "mamba_ssm_cache_dtype", "mamba_block_size",
    "mamba_page_size_padded",
)
FAKE_CUDA = (
    "cuCtxGetCurrent cuCtxSetCurrent cuDeviceGetAttribute cuDevicePrimaryCtxRetain cuDriverGetVersion cuGetErrorString "
    "cuGetProcAddress_v2 cuMemAddressFree cuMemAddressReserve cuMemCreate cuMemGetAllocationGranularity cuMemMap "
    "cuMemRelease cuMemSetAccess cuMemUnmap cuPointerGetAttribute cuTensorMapEncodeTiled"
).split()


def load_fake_cuda() -> None:
    """Put an empty libcuda into this process: the wheel's libraries ask for it by name."""
    with tempfile.TemporaryDirectory() as folder:
        source, library = Path(folder, "cuda.c"), Path(folder, "libcuda.so.1")
        source.write_text("".join(f"int {name}(void) {{ return 100; }}\n" for name in FAKE_CUDA))
        subprocess.run(["cc", "-shared", "-fPIC", "-Wl,-soname,libcuda.so.1", "-o", library, source], check=True)
        ctypes.CDLL(str(library), mode=ctypes.RTLD_GLOBAL)


def be_an_h100() -> None:
    import torch
    import vllm.platforms as platforms
    import vllm.platforms.cuda as cuda
    from vllm.platforms.interface import DeviceCapability

    answers = {
        "get_device_capability": DeviceCapability(9, 0), "get_device_name": "NVIDIA H100 80GB HBM3",
        "get_device_total_memory": 85029158912, "device_count": 64, "current_device": torch.device("meta"),
        "is_pin_memory_available": False, "is_integrated_gpu": False, "num_compute_units": 132,
    }
    methods = {name: classmethod(lambda cls, *_, answer=answer, **__: answer) for name, answer in answers.items()}
    platforms._current_platform = type("H100", (cuda.NonNvmlCudaPlatform,), methods)()
    # Streams and properties that layers ask for while they are built.
    torch.cuda.Stream = torch.cuda.Event = type("Nothing", (), {"__init__": lambda self, *args, **kwargs: None})
    torch.cuda.current_stream = lambda *args: None  # type: ignore[assignment, return-value]
    properties = SimpleNamespace(multi_processor_count=132, major=9, minor=0, shared_memory_per_block_optin=232448)
    torch.cuda.get_device_properties = lambda *args: properties  # type: ignore[assignment, return-value]
    torch.cuda.get_device_capability = lambda *args: (9, 0)  # type: ignore[assignment]
    torch.cuda.current_device = lambda: 0


def know_nemotron_nas() -> None:
    """The configuration class of this model comes with its weights; the layers read only these fields of it."""
    from transformers import AutoConfig, LlamaConfig

    class Fields(dict):
        def __getattr__(self, name: str) -> Any:
            if name not in self:
                raise AttributeError(name)
            return self[name]

    class NemotronNas(LlamaConfig):
        model_type = "nemotron-nas"

        def __init__(self, block_configs: Iterable[dict[str, Any]] = (), **kwargs: Any) -> None:
            super().__init__(**{key: value for key, value in kwargs.items() if value is not None})
            self.block_configs = [
                Fields({part: Fields(block[part]) for part in ("attention", "ffn")}) for block in block_configs
            ]

    AutoConfig.register("nemotron-nas", NemotronNas)


def on_meta():
    """Every tensor that is made goes to the meta device, also where a device is named."""
    import torch
    from torch.overrides import TorchFunctionMode

    class Meta(TorchFunctionMode):
        def __torch_function__(self, func, types, args=(), kwargs=None):
            kwargs = dict(kwargs or {})
            if str(kwargs.get("device") or "").startswith("cuda"):
                kwargs["device"] = "meta"
            if getattr(func, "__name__", "") in ("item", "__bool__", "tolist", "cpu"):
                return func(torch.zeros(args[0].shape, dtype=args[0].dtype, device="cpu"), *args[1:], **kwargs)
            return func(*args, **kwargs)

    return Meta()


def build(model: str, settings: Settings):
    """The configuration after the model and its drafter have been built and the platform has set the block size."""
    import torch
    import vllm.distributed.parallel_state as parallel
    from vllm.compilation.backends import set_model_tag
    from vllm.config import get_layers_from_vllm_config, replace, set_current_vllm_config
    from vllm.engine.arg_utils import EngineArgs
    from vllm.model_executor.layers.attention_layer_base import AttentionLayerBase
    from vllm.model_executor.model_loader.utils import initialize_model
    from vllm.platforms import current_platform
    from vllm.usage.usage_lib import UsageContext
    from vllm.utils.torch_utils import set_default_torch_dtype
    from vllm.v1.worker.workspace import init_workspace_manager

    folder = os.environ["MODELS"] + "/{}"
    args = dict(settings)
    os.environ.update(args.pop("env", {}))
    if spec := args.get("speculative_config"):
        args["speculative_config"] = spec | ({"model": folder.format(spec["model"])} if "model" in spec else {})
    config = EngineArgs(
        model=folder.format(model), load_format="dummy", skip_tokenizer_init=True, **args
    ).create_engine_config(UsageContext.OPENAI_API_SERVER)
    with set_current_vllm_config(config):
        parallel.init_distributed_environment(1, 0, f"file://{tempfile.mktemp()}", 0, "gloo")
        parallel.initialize_model_parallel(1, 1, backend="gloo")
    parallel.get_tp_group().world_size = config.parallel_config.tensor_parallel_size
    init_workspace_manager(torch.device("meta"))

    layers = partial(get_layers_from_vllm_config, config, AttentionLayerBase)
    with set_default_torch_dtype(config.model_config.dtype), torch.device("meta"), on_meta():
        initialize_model(vllm_config=config)
    target = set(layers())
    speculative = config.speculative_config
    if speculative is not None and speculative.uses_draft_kv_cache():
        drafting, seen, prefix = speculative.draft_model_config, speculative.apply_draft_overrides(config), ""
        if speculative.uses_draft_model():  # as StandaloneARSpeculator.load_draft_model does
            parts = replace(speculative.draft_parallel_config, rank=0)
            seen = replace(config, model_config=drafting, quant_config=None, parallel_config=parts)
            prefix = "draft_model"
        with set_default_torch_dtype(drafting.dtype), torch.device("meta"), on_meta(), set_model_tag("eagle_head"):
            initialize_model(vllm_config=seen, model_config=drafting, prefix=prefix)
        for name, layer in layers().items():
            layer.is_draft_layer = name not in target
    current_platform.update_block_size_for_backend(config)
    return config, layers()


def spec_row(spec: Any) -> dict[str, Any]:
    """The fields of a specification that are set, and what follows from them."""
    from vllm.v1.kv_cache_interface import MambaSpec

    state = isinstance(spec, MambaSpec)
    left_out = {"dcp_sharded", "block_stride_alignment", "kv_cache_specs", "topk_buffer_width"}
    left_out |= {"num_heads", "tokens_per_state"} if state else set()
    row: dict[str, Any] = {"class": type(spec).__name__}
    for field in dataclasses.fields(spec):
        value = getattr(spec, field.name)
        if field.name in left_out or value in (None, False, 0) or (field.name, value) == ("tokens_per_state", 1):
            continue
        if field.name in ("dtype", "dtypes"):
            value = [str(kind)[6:] for kind in value] if state else str(value)[6:]
        elif hasattr(value, "name"):
            value = value.name
        elif hasattr(value, "numerator"):
            value = value if isinstance(value, int) else [value.numerator, value.denominator]
        row[field.name] = value
    if state:
        row["state_bytes"] = spec.state_content_size_bytes
    if (alignment := spec.get_block_stride_alignment()) != 1:
        row["block_stride_alignment_bytes"] = alignment
    return row | {"page_size_bytes": spec.page_size_bytes}


def run_lengths(numbers: Iterable[int]) -> list[list[int]]:
    """Numbers as [count, number] pieces."""
    return [[len(list(run)), number] for number, run in itertools.groupby(numbers)]


def steps(numbers: list[int]) -> list[list[int]]:
    """Numbers as [first, count, step] pieces."""
    out: list[list[int]] = []
    for number in numbers:
        if out and out[-1][1] == 1:
            out[-1][1:] = [2, number - out[-1][0]]
        elif out and number == out[-1][0] + out[-1][1] * out[-1][2]:
            out[-1][1] += 1
        else:
            out.append([number, 1, 1])
    return out


def record(model: str, settings: Settings) -> dict[str, Any]:
    from vllm.distributed.kv_transfer.kv_connector.utils import get_current_attn_backends
    from vllm.utils.math_utils import cdiv
    from vllm.v1.attention.backends.utils import get_supported_kv_cache_layouts
    from vllm.v1.core.kv_cache_planning import _max_memory_usage_bytes_from_groups
    from vllm.v1.core.kv_cache_config_builder import get_kv_cache_config_builder
    from vllm.v1.core.kv_cache_utils import resolve_kv_cache_block_sizes
    from vllm.v1.engine.core import EngineCore
    from vllm.v1.kv_cache_interface import iter_layer_specs
    from vllm.v1.worker.gpu.attn_utils import get_kv_cache_spec

    config, layers = build(model, settings)
    cache = config.cache_config
    resolved = {
        "model_runner": "V2" if config.use_v2_model_runner else "V1",
        "block_size_of_attention_layers": cache.block_size,
        **{name: getattr(cache, name) for name in RESOLVED},
        "disable_hybrid_kv_cache_manager": config.scheduler_config.disable_hybrid_kv_cache_manager,
        "max_model_len": config.model_config.max_model_len,
        "max_num_batched_tokens": config.scheduler_config.max_num_batched_tokens,
        "max_in_flight_tokens": config.max_in_flight_tokens,
    }
    specs = get_kv_cache_spec(config)
    order = {name: number for number, name in enumerate(specs)}
    backends = [layers[name].get_attn_backend() for name in specs]
    distinct = get_current_attn_backends(config)
    executor = SimpleNamespace(
        get_kv_cache_specs=lambda: [dict(specs)],
        get_supported_kv_cache_layouts=lambda: [[layout.name for layout in get_supported_kv_cache_layouts(distinct)]],
        set_kv_cache_layout=lambda *args: None,
        determine_available_memory=lambda: [MEMORY],
        initialize_from_config=lambda configs: worker.extend(configs),
        compile_or_warm_up_model=lambda: None,
    )
    worker: list[Any] = []
    core = SimpleNamespace(model_executor=executor, available_gpu_memory_for_kv_cache=-1)
    plan = EngineCore._initialize_kv_caches(core, config)  # type: ignore[arg-type]
    groups, builder = worker[0].kv_cache_groups, get_kv_cache_config_builder(config)
    scheduler_block_size, hash_block_size = resolve_kv_cache_block_sizes(plan, config)
    bytes_per_block = worker[0].kv_cache_tensors[0].size // worker[0].num_blocks
    kinds: dict[str, int] = {}
    rows = []
    for (name, spec), attention in zip(specs.items(), backends, strict=True):
        row = spec_row(spec) | {"backend": attention.get_name()} | ({"is_draft": True} if spec.is_draft else {})
        rows.append(kinds.setdefault(json.dumps(row), len(kinds)))
    return {
        "model": model,
        "settings": settings,
        "how": "instantiated",
        "resolved": resolved,
        "kinds_of_layers": [json.loads(kind) for kind in kinds],
        "layers": run_lengths(rows),
        "layers_without_a_cache_of_their_own": len(layers) - len(specs),
        "kv_cache_layout": cache.kv_cache_layout,
        "groups": [
            spec_row(spec) | {
                "layers_of": sorted({type(one).__name__ for one in iter_layer_specs(spec)}),
                "is_eagle_group": group.is_eagle_group,
                "num_layers": len(group.layer_names),
                "layers": steps([order[name] for name in group.layer_names]),
                "blocks_of_one_request": cdiv(spec.max_memory_usage_bytes(config), spec.page_size_bytes),
            }
            for group in groups
            for spec in [group.kv_cache_spec]
        ],
        "bytes_per_block": bytes_per_block,
        "num_blocks": [MEMORY, worker[0].num_blocks],
        "blocks_of_one_request": _max_memory_usage_bytes_from_groups(builder, config, groups) // bytes_per_block,
        "scheduler_block_size": scheduler_block_size,
        "hash_block_size": hash_block_size,
        "cache_hit_alignment_tokens": plan.cache_hit_alignment_tokens,
        "cache_config_block_size": cache.block_size,
    }


def in_a_child(model: str, settings: Settings) -> dict[str, Any]:
    """A case in a process of its own: nothing a case leaves behind reaches the next one."""
    reader, writer = os.pipe()
    if (child := os.fork()) == 0:
        os.close(reader)
        with os.fdopen(writer, "w") as out:
            try:
                result = record(model, settings)
            except Exception as error:  # a refusal of vLLM's is a result
                text = f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
                result = {"model": model, "settings": settings, "refused": text}
            json.dump(result, out)
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as source:
        text = source.read()
    os.waitpid(child, 0)
    return json.loads(text) if text else {"model": model, "settings": settings, "refused": "the process died"}


def main() -> None:
    vllm_dir, models_dir, *names = sys.argv[1:]
    sys.path.insert(0, vllm_dir)
    os.environ.update(
        VLLM_ENABLE_V1_MULTIPROCESSING="0", HF_HUB_OFFLINE="1", VLLM_NO_USAGE_STATS="1", VLLM_LOGGING_LEVEL="ERROR",
        CUDA_VISIBLE_DEVICES="", VLLM_HAS_FLASHINFER_CUBIN="1",
    )
    load_fake_cuda()
    be_an_h100()
    know_nemotron_nas()
    import vllm
    import vllm.model_executor.models.registry as registry
    import vllm.v1.engine.core
    import vllm.v1.worker.gpu.attn_utils  # noqa: F401

    registry._run_in_subprocess = lambda inspect: inspect()  # what a model can do, asked in this process
    assert vllm.__version__ == VERSION, vllm.__version__
    out = Path(models_dir, "kv_cache_groups.json")
    before = json.loads(out.read_text()) if names and out.exists() else []
    with tempfile.TemporaryDirectory() as folder:
        os.environ["MODELS"] = os.environ["VLLM_CACHE_ROOT"] = folder
        for file in Path(models_dir).glob("*.config.json"):
            text = json.loads(file.read_text())
            text = {key: value for key, value in text.items() if key not in ("quantization_config", "auto_map")}
            model_dir = Path(folder, file.name.removesuffix(".config.json"))
            model_dir.mkdir()
            (model_dir / "config.json").write_text(json.dumps(text))
        rows = []
        for model, cases in json.loads(Path(models_dir, "cases.json").read_text()).items():
            if names and model not in names:
                rows += [row for row in before if row["model"] == model]
                continue
            for settings in cases:
                rows.append(in_a_child(model, settings))
                print(model, settings, rows[-1].get("refused", "ok"), flush=True)
    out.write_text("[\n" + ",\n".join(json.dumps(row) for row in rows) + "\n]\n")


if __name__ == "__main__":
    main()
