"""Makes up the layers of a model: sets that bring certain rules of grouping, keeping and finding blocks into play."""

from __future__ import annotations

from collections.abc import Callable
from math import lcm
from typing import Any

from draft import Draft
from drafter_settings import WITH_LAYERS
from pool_size import Groups, estimated_groups

Layers = list[dict[str, Any]]


def alternate(d: Draft) -> Layers:
    """As many windows as layers of full attention."""
    n = d.between(1, 3)
    return [{"kind": "full", "n": n}, _window(d, n)]


def one_to_many(d: Draft) -> Layers:
    """Several groups of one window to a group of full attention, in the order of the model."""
    n, ratio = d.between(1, 2), d.one_of(3, 3, 5)
    window = _window(d, ratio)
    return [layers for _ in range(n) for layers in (window, {"kind": "full", "n": 1})]


def padding(d: Draft) -> Layers:
    """Counts that do not divide, or nearly agree, so that groups are filled up."""
    full, windows = d.one_of((2, 5), (3, 7), (3, 4), (5, 7), (4, 5))
    if d.chance(0.3):
        full, windows = windows, full
    return [{"kind": "full", "n": full}, _window(d, windows)]


def windows_only(d: Draft) -> Layers:
    """A single group, of windows."""
    return [_window(d, d.between(1, 3))]


def two_windows(d: Draft) -> Layers:
    """Windows of two lengths, with or without full attention: hits are narrowed down round by round."""
    layers = [_window(d, 2), {**_window(d, 2), "window": d.between(70, 150)}]
    return [{"kind": "full", "n": 2}, *layers] if d.chance(0.6) else layers


def chunked(d: Draft) -> Layers:
    """Attention within chunks beside full attention."""
    n = d.between(1, 2)
    return [{"kind": "chunked", "n": n * d.one_of(1, 3), "chunk": _chunk(d)}, {"kind": "full", "n": n}]


def chunked_windows(d: Draft) -> Layers:
    """Chunks and windows, with or without full attention."""
    layers = [{"kind": "chunked", "n": 2, "chunk": _chunk(d)}, _window(d, 2)]
    return [*layers, {"kind": "full", "n": 2}] if d.chance(0.5) else layers


def mla(d: Draft) -> Layers:
    """MLA alone, or with windows whose pages divide its own."""
    n = d.between(1, 2)
    layers: Layers = [{"kind": "mla", "n": n, "head_size": d.one_of(576, 512, 256)}]
    if d.chance(0.7):
        size = layers[0]["head_size"] // d.one_of(2, 4)
        layers.append({**_window(d, n * d.one_of(1, 2)), "head_size": size})
    return layers


def mla_fallback(d: Draft) -> Layers:
    """MLA and windows whose pages cannot be made equal: windows keep everything."""
    return [{"kind": "mla", "n": 2, "head_size": 576}, {**_window(d, 2), "head_size": 128}]


def pages(d: Draft) -> Layers:
    """Pages of different sizes, made equal by longer blocks or by padding."""
    full, window = d.one_of((2, 1), (4, 1), (4, 2), (1, 2), (3, 2), (2, 3), (1, 4))
    n = d.between(1, 2)
    return [{"kind": "full", "n": n, "kv_heads": full}, {**_window(d, n * d.between(1, 2)), "kv_heads": window}]


def uniform_sizes(d: Draft) -> Layers:
    """Layers of one type and of different sizes: one group."""
    if d.chance(0.5):
        window = _window(d, 1)
        return [window, {**window, "n": 2, "kv_heads": 3}, {**window, "head_size": 32}]
    return [{"kind": "full", "n": 2}, {"kind": "full", "n": 1, "kv_heads": 2}, {"kind": "mla", "n": 1}]


def block_sizes(d: Draft) -> Layers:
    """Layers that ask for blocks of their own length."""
    block = d.engine["block_size"]
    n = d.between(1, 2)
    sizes = d.one_of((block, 2 * block), (2 * block, block), (4 * block, block), (block, 3 * block))
    full: dict[str, Any] = {"kind": "full", "n": n, "block_size": sizes[0]}
    return [full, {**_window(d, n), "block_size": sizes[1]}]


def odd_blocks(d: Draft) -> Layers:
    """Blocks of which none divides the other: a hash covers a part that divides both."""
    block = d.engine["block_size"]
    n = d.between(1, 2)
    full: dict[str, Any] = {"kind": "full", "n": n, "block_size": 2 * block, "kv_heads": 3}
    window = {**_window(d, n), "block_size": 3 * block, "kv_heads": 2}
    return [full, window] if d.chance(0.5) else [window, full]


def disabled(d: Draft) -> Layers:
    """The hybrid manager switched off: windows and chunks keep everything."""
    d.model["disable_hybrid"] = True
    n = d.between(1, 3)
    other = _window(d, n) if d.chance(0.6) else {"kind": "chunked", "n": n, "chunk": _chunk(d)}
    return [{"kind": "full", "n": d.between(1, 3)}, other]


def linear(d: Draft) -> Layers:
    """Mamba states beside full attention, saved where blocks end."""
    n = d.between(1, 2)
    return [_mamba(d, n * d.one_of(1, 3)), {"kind": "full", "n": n}]


def linear_parts(d: Draft) -> Layers:
    """The same with keys for parts of a block, so that a hit may end within one."""
    d.engine["block_size"] = d.one_of(32, 48, 64)
    d.model["prefix_match_unit"] = d.one_of(8, 16)
    if d.chance(0.4):
        d.model["shared_prefix_checkpoint"] = True
    return linear(d)


def linear_checkpoint(d: Draft) -> Layers:
    """The same with states saved in the midst of a pass."""
    layers = linear_parts(d)
    if d.chance(0.4):
        del d.model["prefix_match_unit"]
    for one in layers:
        if one["kind"] == "mamba":
            one["checkpoint_alignment"] = d.one_of(1, 8, 16, 32)
    return layers


def linear_wide(d: Draft) -> Layers:
    """States for more tokens than an attention block has."""
    d.model["mamba_block"] = d.engine["block_size"] * d.one_of(2, 3, 4)
    return linear(d)


def linear_padding(d: Draft) -> Layers:
    """States of a size that is padded to the attention's page, or the attention's to theirs."""
    layers = linear(d)
    page = d.engine["block_size"] * 256
    small = {"state": page // 8}
    layers[0] |= d.one_of(small, {**small, "page": page}, {"state": page // 2}, {"state": page // 3})
    return layers


def linear_plain(d: Draft) -> Layers:
    """States without a prefix cache: one block for a request."""
    d.engine["enable_prefix_caching"] = False
    if d.chance(0.3):
        d.model["mamba_mode"] = "align"
    return linear(d)


def linear_short(d: Draft) -> Layers:
    """The same in blocks shorter than an attention block: the states of drafts are no room for tokens."""
    d.engine["enable_prefix_caching"] = False
    d.model["mamba_block"] = d.engine["block_size"] // d.one_of(2, 4)
    return linear(d)


def only_linear(d: Draft) -> Layers:
    """Mamba states alone."""
    return [_mamba(d, d.between(1, 3))]


def mla_linear(d: Draft) -> Layers:
    """Mamba states beside MLA."""
    return [_mamba(d, d.one_of(1, 3)), {"kind": "mla", "n": 1, "head_size": 128}]


def window_linear(d: Draft) -> Layers:
    """Mamba states and windows, and no full attention that would bound a hit from the start."""
    return [_mamba(d, 1), _window(d, d.between(1, 2))]


def three_kinds(d: Draft) -> Layers:
    """Full attention, windows and Mamba states."""
    n = d.between(1, 2)
    return [{"kind": "full", "n": n}, _window(d, n * d.between(1, 2)), _mamba(d, n)]


def four_kinds(d: Draft) -> Layers:
    """Full attention, windows, chunks and Mamba states."""
    return [
        {"kind": "full", "n": 1},
        _window(d, d.between(1, 2)),
        {"kind": "chunked", "n": 1, "chunk": _chunk(d)},
        _mamba(d, 1),
    ]


def anything(d: Draft) -> Layers:
    """Layers of one to four kinds with sizes drawn at random, in an order drawn at random."""
    block = d.engine["block_size"]
    layers: Layers = []
    for _ in range(d.between(1, 4)):
        kind = d.one_of("full", "full", "window", "window", "chunked", "mla", "mamba")
        one: dict[str, Any] = {"kind": kind, "n": d.one_of(1, 1, 2, 3, d.between(1, 7))}
        if kind == "mamba":
            one["state"] = block * d.one_of(64, 64, 16, d.between(5, 200))
        elif kind == "mla":
            one["head_size"] = d.one_of(576, 128, 256)
        else:
            one["kv_heads"] = d.one_of(1, 1, 1, 2, 4, d.between(1, 6))
        if kind == "window":
            one["window"] = d.one_of(1, 2, d.between(2, block), block + 1, d.between(3, 130), 5000)
        if kind == "chunked":
            one["chunk"] = d.one_of(block, d.between(1, block), d.between(5, 130), 5000)
        if kind != "mamba" and d.chance(0.15):
            one["block_size"] = block * d.between(1, 4)
        layers.append(one)
    if d.chance(0.1):
        d.model["disable_hybrid"] = True
    if d.chance(0.25):
        d.model["mamba_block"] = block * d.between(1, 3)
    if d.chance(0.25):
        d.model["prefix_match_unit"] = d.one_of(4, 8, 16)
    if d.chance(0.3):
        d.model["shared_prefix_checkpoint"] = True
    if d.chance(0.3):
        alignment = d.one_of(1, 4, 16, 24)
        layers = [{**one, "checkpoint_alignment": alignment} if one["kind"] == "mamba" else one for one in layers]
    return layers


def _window(d: Draft, n: int) -> dict[str, Any]:
    return {"kind": "window", "n": n, "window": d.one_of(d.between(5, 40), d.between(20, 90), 64)}


def _chunk(d: Draft) -> int:
    return d.one_of(32, 64, 96, d.between(30, 100))


def _mamba(d: Draft, n: int) -> dict[str, Any]:
    """Of the page size of one attention head unless said otherwise."""
    return {"kind": "mamba", "n": n, "state": d.engine["block_size"] * 64}


LAYER_SETS: dict[str, Callable[[Draft], Layers]] = {
    make.__name__: make
    for make in (
        alternate, one_to_many, padding, windows_only, two_windows, chunked, chunked_windows, mla, mla_fallback, pages,
        uniform_sizes, block_sizes, odd_blocks, disabled, linear, linear_parts, linear_checkpoint, linear_wide,
        linear_padding, linear_plain, linear_short, only_linear, mla_linear, window_linear, three_kinds, four_kinds, anything,
    )
}  # fmt: skip


def draw_layers(d: Draft, name: str) -> None:
    """Sets the workload's layers, with the drafter's behind the model's, and how long their blocks are kept."""
    d.engine["block_size"] = d.one_of(16, 16, 32)
    if name == "anything":
        d.engine["block_size"] = d.one_of(4, 8, 16, 16, 32, 48)
    layers = LAYER_SETS[name](d)
    drafter = d.model.get("speculative")
    if drafter is not None and drafter["method"] in WITH_LAYERS:
        layers = layers + _drafter_layers(d, layers, drafter)
    d.model["layers"] = layers
    groups = estimated_groups(d.model, d.engine)
    d.unit = lcm(*(group.block_size for group in groups))
    # Where windows keep everything anyway, vLLM refuses the setting.
    if name not in ("disabled", "mla_fallback") and any(one["kind"] in ("window", "mamba") for one in layers):
        _draw_retention(d, groups)


def _drafter_layers(d: Draft, layers: Layers, drafter: dict[str, Any]) -> Layers:
    """Attention like the model's own, or of its own kind."""
    attention = [one for one in layers if one["kind"] != "mamba"] or [{"kind": "full", "n": 1}]
    like = {key: value for key, value in d.one_of(*attention).items() if key != "block_size"}
    if d.chance(0.25) and like["kind"] != "mla":
        like = {"kind": "full", "n": 1}
    num_layers = min(drafter.get("num_mtp_layers", 1), drafter["num_speculative_tokens"])
    if drafter["method"] == "dflash":
        num_layers = d.between(1, 2)
    return [{**like, "n": num_layers, "draft": True}]


def _draw_retention(d: Draft, groups: Groups) -> None:
    """Which blocks of windows and states stay to be found: by default those of likely resumption, else all, or some."""
    form = d.between(0, 3)
    if form == 0:
        d.model["retention"] = None
    elif form == 1:
        d.model["retention"] = d.unit * d.between(1, 4)
