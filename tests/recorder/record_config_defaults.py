#!/usr/bin/env python3
"""Records what the libraries' configuration classes have where a `config.json` says nothing.

Run with a Python that has vLLM. For each class of `sim-core/src/models/architectures.rs` it makes the configuration of
an empty file, as vLLM would (transformers' class of the model's type, or vLLM's own), and keeps the fields that
`sim-core/src/models` names. Written are `sim-core/src/models/library_defaults.txt`, what each class has for what is
absent, and `tests/data/models/library_defaults.json`, the whole configurations, against which ours are held.
"""

import dataclasses
import inspect
import json
import re
from pathlib import Path

import transformers
import vllm
from transformers.models.auto import modeling_auto
from transformers.models.auto.configuration_auto import CONFIG_MAPPING
from vllm.transformers_utils.config import _CONFIG_REGISTRY

ROOT = Path(__file__).parents[2]
MODELS = ROOT / "sim-core/src/models"
RECORD = ROOT / "tests/data/models/library_defaults.json"
# `max_seq_len`: vLLM 0.33 takes 262144 tokens of a Step 3.5 file without it (kv_cache_groups.json), not its class's 4096.
SKIPPED = {"is_encoder_decoder", "max_seq_len"}
# Defaults that are texts and say something of layers.
TEXTS = ("hybrid_override_pattern", "topk_method")

# Classes that vLLM has under the model type of another's file, or that transformers does not map.
MODEL_TYPES = {
    "Gemma3ForConditionalGeneration": "gemma3",
    "Llama4ForCausalLM": "llama4_text",
    "Qwen3_5ForCausalLM": "qwen3_5_text",
    "Qwen3_5MoeForCausalLM": "qwen3_5_moe_text",
    "Step3p5ForCausalLM": "step3p5",
    "KimiK3ForConditionalGeneration": "kimi_k3",
    "KimiK25ForConditionalGeneration": "kimi_k25",
}


def architectures():
    source = (MODELS / "architectures.rs").read_text()
    return re.findall(r'Architecture::new\(\s*"(\w+)"', source)


def fields():
    """Every text in the readers that can be a field's name."""
    found = set()
    for file in MODELS.rglob("*.rs"):
        if "catalogue" not in file.parts and not file.name.endswith("_tests.rs"):
            found.update(re.findall(r'"([a-z][a-zA-Z0-9_]+)"', file.read_text()))
    return found


def model_types():
    types = {}
    for name in dir(modeling_auto):
        if name.endswith("_MAPPING_NAMES"):
            for model_type, classes in getattr(modeling_auto, name).items():
                for class_name in [classes] if isinstance(classes, str) else classes:
                    types.setdefault(class_name, model_type)
    return types | MODEL_TYPES


def config_class(model_type):
    if model_type in _CONFIG_REGISTRY:
        return _CONFIG_REGISTRY[model_type]
    return CONFIG_MAPPING[model_type] if model_type in CONFIG_MAPPING else None


def written_out(config, names):
    """All that an empty file's configuration says, for the test that ours says the same."""
    nested = ("text_config", "rope_parameters", "linear_attn_config")
    return {
        key: written_out(value, names) if key in nested and value else value
        for key, value in sorted(config.items())
        if key in names and key not in ("vision_config", "architectures")
    }


def defaults(cls, names):
    """What the class itself has for a field that is absent, before anything is computed of it."""
    own_init = inspect.unwrap(cls.__dict__.get("__init__", cls.__init__))
    found = {name: parameter.default for name, parameter in inspect.signature(own_init).parameters.items()}
    if dataclasses.is_dataclass(cls):
        found = {field.name: field.default for field in dataclasses.fields(cls)} | found
    wanted = names - SKIPPED
    scalars = {key: value for key, value in found.items() if key in wanted and isinstance(value, (bool, int)) and value >= 0}
    return scalars | {key: found[key] for key in TEXTS if isinstance(found.get(key), str)}


def line(model_type, cls, names):
    words = [f"{key}={json.dumps(value).strip(chr(34))}" for key, value in sorted(defaults(cls, names).items())]
    renamed = sorted((getattr(cls, "attribute_map", None) or {}).items())
    words += [f"{old}<{new}" for old, new in renamed if old in names and old != "num_hidden_layers"]
    return " ".join([model_type, *words])


def main():
    names, types = fields(), model_types()
    lines, classes, seen, absent = [], {}, {}, []
    for architecture in architectures():
        model_type = types.get(architecture)
        cls = config_class(model_type) if model_type else None
        if cls is None:
            absent.append(architecture)
            continue
        config = cls()
        text = config.get_text_config()
        if text is not config:
            # Of a file that has a `text_config`, however empty.
            text = config.text_config = type(text)()
        text_type = model_type if text is config else text.model_type
        seen.setdefault(text_type, type(text))
        lines.append(f"{architecture} {model_type} {text_type}")
        classes[architecture] = {"model_type": model_type, "config": written_out(config.to_dict(), names)}
    lines += [line(model_type, cls, names) for model_type, cls in sorted(seen.items())]
    (MODELS / "library_defaults.txt").write_text("\n".join(lines) + "\n")
    told = {"transformers": transformers.__version__, "vllm": vllm.__version__, "no_class": absent}
    entries = [f"{json.dumps(name)}: {json.dumps(entry, separators=(',', ':'))}" for name, entry in classes.items()]
    head = "".join(f"{json.dumps(key)}: {json.dumps(value)},\n" for key, value in told.items())
    RECORD.write_text("{\n" + head + '"classes": {\n' + ",\n".join(entries) + "\n}}\n")


if __name__ == "__main__":
    main()
