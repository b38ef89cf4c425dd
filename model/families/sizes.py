"""What a network takes in memory and on disk, for each kind of weights, from its shape alone.

Knows our config and the formats of the kernels (`kernels/pack.py`), neither torch nor files.
"""

from __future__ import annotations

from typing import NamedTuple

from model.config import ModelConfig

KINDS = ("plain", "int8", "fp8", "int4")
"""As `model/backends/products.py` has them; plain is bfloat16."""
_BF16 = 2
_GROUP = 128
"""Inputs that share a scale of four bits."""
_SLOTS = 2
"""Caches that the pool of the fused network begins with at least (`model/backends/pool.py`)."""
_SLACK = 256
"""Rows of a cache besides the context and the longest region (`model/backends/gpu.py`)."""
AROUND = 1024 + 256 + 2 * 256
"""Tokens around a hole or a region at most: the budgets of `model/loading.py`."""
_WORDS = 512
"""Of an instruction, a template, and the words around a reply's code; and canvases behind the answer."""
_KEPT = 128 << 20


def in_size(count: int) -> str:
    """Bytes for people."""
    return f"{count / 2**30:.2f} GiB" if count >= 1 << 30 else f"{count / 2**20:.2f} MiB"


class Matrix(NamedTuple):
    """One that is quantised, of each of the `layers`; with `stack` that many of them lie in one tensor."""

    name: str
    outputs: int
    inputs: int
    layers: range
    stack: int = 0


def matrices(config: ModelConfig) -> list[Matrix]:
    """Those that are quantised, under the names of `model/backends/network.py`."""
    c, d, every = config.width, config.head_size, range(config.layers)
    dense, mixed = every[: config.dense_layers], every[config.dense_layers :]
    found = [
        Matrix("qkv", (config.heads + 2 * config.kv_heads) * d, c, every),
        Matrix("out", c, config.heads * d, every),
        Matrix("gate_up", 2 * config.ff, c, dense),
        Matrix("down", c, config.ff, dense),
    ]
    if e := config.experts:
        found += expert_matrices(config)
        if e.shared_ff:
            found.append(Matrix("mixture.shared_gate_up", 2 * e.shared_ff, c, mixed))
            found.append(Matrix("mixture.shared_down", c, e.shared_ff, mixed))
    return found


def expert_matrices(config: ModelConfig) -> list[Matrix]:
    """Those of which a forward reads only the experts that its rows go to."""
    if (e := config.experts) is None:
        return []
    mixed = range(config.dense_layers, config.layers)
    return [
        Matrix("mixture.gate_up", 2 * e.ff, config.width, mixed, e.count),
        Matrix("mixture.down", config.width, e.ff, mixed, e.count),
    ]


def weight_bytes(config: ModelConfig, kind: str, number: int = _BF16) -> int:
    """Bytes of the weights; what is not quantised has `number` bytes for each number."""
    found = number * config.parameters
    for m in matrices(config):
        count = max(m.stack, 1) * len(m.layers)
        found += count * (_matrix_bytes(m, kind, number) - number * m.outputs * m.inputs)
    return found


def expert_bytes(config: ModelConfig, kind: str, number: int = _BF16) -> int:
    """Of one expert in every layer that has them."""
    return sum(_matrix_bytes(m, kind, number) * len(m.layers) for m in expert_matrices(config))


def parts_of(m: Matrix, kind: str) -> dict[str, tuple[int, ...]]:
    """The shapes of a matrix's parts, as `model/backends/products.py` names them."""
    stack, groups = (m.stack,) if m.stack else (), -(-m.inputs // _GROUP)
    if kind == "plain":
        return {"weight": (*stack, m.outputs, m.inputs)}
    if kind != "int4":
        return {kind: (*stack, m.outputs, m.inputs), "scale": (*stack, m.outputs)}
    return {
        kind: (*stack, m.outputs, groups, _GROUP // 2),
        "scale": (*stack, groups, m.outputs),
        "zero": (*stack, groups, m.outputs),
    }


def _matrix_bytes(m: Matrix, kind: str, number: int) -> int:
    if kind == "plain":
        return number * m.outputs * m.inputs
    if kind != "int4":
        return m.outputs * (m.inputs + 4)  # a float32 scale for each row
    groups = -(-m.inputs // _GROUP)
    return m.outputs * groups * (_GROUP // 2 + 3)  # a scale of two bytes and a zero point of one


def cache_bytes(config: ModelConfig, number: int = _BF16) -> int:
    """Of keys and values, as the fused network takes them when it is loaded."""
    return _SLOTS * slot_rows(config) * config.numbers_per_token * number


def slot_rows(config: ModelConfig) -> int:
    """Rows of cache that a request of an editor can need, of which a long context would make a multiple: the region is
    in the prompt, and once more, with room to grow, in the answer."""
    whole = config.context + config.region_limit + _SLACK
    return -(-min(whole, AROUND + 2 * config.region_limit + _WORDS) // 64) * 64


def largest_step(config: ModelConfig) -> int:
    """Memory that converting takes at once: the largest table, or a layer, what it becomes and the float32 copies of
    its largest matrix, with what allocators keep (measured for LLaDA2-mini: 2.45 GB where this says 2.77)."""
    steps = [2 * _BF16 * config.vocab * config.width]
    for i in range(config.layers):
        own = [m for m in matrices(config) if i in m.layers]
        weights = sum(m.outputs * m.inputs * max(m.stack, 1) for m in own)
        # Unquantised it is not copied, and a stack is quantised one by one.
        steps.append((_BF16 + 1) * weights + 24 * max(m.outputs * m.inputs for m in own))
    return _KEPT + max(steps)
