"""What latency will my vLLM deployment have? Simulated, without a GPU.

    >>> import vllm_simulator as sim
    >>> run = sim.simulate(gpu="h200-sxm", request_rate=8, num_prompts=200, dataset_name="random")
    >>> run["mean_ttft_ms"]
    >>> sim.capacity(gpu="h200-sxm", goodput={"ttft": 500, "tpot": 50}).value

Flags are those of `vllm serve` and `vllm bench serve`, by vLLM's names as keyword arguments. The same flags are the same
run as on the command line, to the digest. What is refused is a `ValueError` that says which flag, why, and what would do.
"""

from __future__ import annotations

from ._native import __version__
from .answers import Capacity, Recommendation, Run, Split
from .ask import capacity, recommend, recommend_split, simulate
from .profile import Profile, compose

__all__ = [
    "Capacity",
    "Profile",
    "Recommendation",
    "Run",
    "Split",
    "__version__",
    "capacity",
    "compose",
    "recommend",
    "recommend_split",
    "simulate",
]
