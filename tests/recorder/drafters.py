"""The drafter of a workload, as vLLM's `SpeculativeConfig` takes it.

The configuration is real: vLLM reads the drafter's `config.json`, resolves the method and derives from both how many
slots, look-ahead tokens and blocks drafting costs. No weights are loaded, so a drafter is a folder with a tiny
`config.json`, written to a temporary place. It says nothing but which kind of drafter it is.
"""

from __future__ import annotations

import atexit
import functools
import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

from drafter_settings import METHODS
from workload import Workload, WorkloadError

MODEL_CONFIG = Path(__file__).parent / "model" / "config.json"

# What the drafter's configuration says beside what it shares with the model's. A draft model and the heads of EAGLE
# may be of the model's own architecture.
CONFIG_BY_METHOD: dict[str, dict[str, Any]] = {
    "draft_model": {},
    "eagle": {},
    "eagle3": {},
    "mtp": {"architectures": ["Glm4MoeForCausalLM"], "model_type": "glm4_moe"},
    "dflash": {"architectures": ["DFlashDraftModel"], "model_type": "qwen3"},
    "dspark": {"architectures": ["Qwen3DSparkModel"], "model_type": "qwen3"},
}
# Fields of a workload's drafter that are its `config.json`'s, and the names they have there.
CONFIG_FIELDS = {"num_mtp_layers": "num_nextn_predict_layers", "sample_from_anchor": "sample_from_anchor"}
# Fields that are not vLLM's: which model runner there is, and how the fake workers draft.
RECORDER_FIELDS = ("v2_runner", "proposes_as_scheduled")


def speculative_arguments(workload: Workload) -> dict[str, Any] | None:
    """`EngineArgs.speculative_config`; None without a drafter."""
    if workload.speculative is None:
        return None
    arguments = {name: value for name, value in workload.speculative.items() if name not in RECORDER_FIELDS}
    method = arguments.get("method")
    if method not in METHODS:
        raise WorkloadError(f"speculative.method: {method!r} is none of {', '.join(METHODS)}")
    given = {CONFIG_FIELDS[name]: arguments.pop(name) for name in CONFIG_FIELDS if name in arguments}
    if method == "ngram":
        return arguments
    config = CONFIG_BY_METHOD[method] | given
    if method == "mtp":
        config = {"num_nextn_predict_layers": 1, **config}
    return {"model": _drafter_dir(json.dumps(config, sort_keys=True)), **arguments}


@functools.cache
def _drafter_dir(config: str) -> str:
    """One folder for equal drafters: vLLM looks at an architecture once for each, and that takes seconds."""
    directory = Path(tempfile.mkdtemp(prefix="drafter-"))
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    model = json.loads(MODEL_CONFIG.read_text(encoding="utf-8"))
    (directory / "config.json").write_text(json.dumps(model | json.loads(config)), encoding="utf-8")
    return str(directory)
