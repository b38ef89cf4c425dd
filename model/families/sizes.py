"""What a network takes in memory and on disk, for each kind of weights, from its shape alone.

Knows our config and the formats of the kernels (`kernels/pack.py`), neither torch nor files.
"""

from __future__ import annotations

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


def matrices(config: ModelConfig) -> list[tuple[int, int, int]]:
    """Those that are quantised, as `(outputs, inputs, how many)`; experts are not among them."""
    c, d, layers = config.width, config.head_size, config.layers
    return [
        ((config.heads + 2 * config.kv_heads) * d, c, layers),
        (c, config.heads * d, layers),
        (2 * config.ff, c, config.dense_layers),
        (c, config.ff, config.dense_layers),
    ]


def weight_bytes(config: ModelConfig, kind: str, number: int = _BF16) -> int:
    """Bytes of the weights; what is not quantised has `number` bytes for each number."""
    if kind == "plain":
        return number * config.parameters
    small = sum(o * i * count for o, i, count in matrices(config))
    kept = sum(_matrix_bytes(o, i, kind) * count for o, i, count in matrices(config))
    return number * (config.parameters - small) + kept


def parts_of(outputs: int, inputs: int, kind: str) -> dict[str, tuple[int, ...]]:
    """The shapes of a matrix's parts, as `model/backends/products.py` names them."""
    if kind == "plain":
        return {"weight": (outputs, inputs)}
    if kind != "int4":
        return {kind: (outputs, inputs), "scale": (outputs,)}
    groups = -(-inputs // _GROUP)
    return {
        kind: (outputs, groups, _GROUP // 2),
        "scale": (groups, outputs),
        "zero": (groups, outputs),
    }


def _matrix_bytes(outputs: int, inputs: int, kind: str) -> int:
    if kind != "int4":
        return outputs * (inputs + 4)  # a float32 scale for each row
    groups = -(-inputs // _GROUP)
    return outputs * groups * (_GROUP // 2 + 3)  # a scale of two bytes and a zero point of one


def cache_bytes(config: ModelConfig, number: int = _BF16) -> int:
    """Of keys and values, as the fused network takes them when it is loaded."""
    return _SLOTS * slot_rows(config) * config.numbers_per_token * number


def slot_rows(config: ModelConfig) -> int:
    """Rows of cache that a request of an editor can need, of which a long context would make a multiple: the region is
    in the prompt, and once more, with room to grow, in the answer."""
    whole = config.context + config.region_limit + _SLACK
    return -(-min(whole, AROUND + 2 * config.region_limit + _WORDS) // 64) * 64


def largest_step(config: ModelConfig) -> int:
    """Memory that converting takes at once: the largest table, or a layer and the float32 copies of its largest
    matrix, with what allocators keep (measured: 0.48 GB where this says 0.58)."""
    c, e = config.width, config.experts
    layer = sum(o * i for o, i, _ in matrices(config))
    if e is not None:
        layer = max(layer, c * e.count + 3 * c * (e.count * e.ff + e.shared_ff) + 4 * c * c)
    copies = 24 * max(o * i for o, i, _ in matrices(config))
    return _KEPT + max(2 * _BF16 * config.vocab * c, 2 * _BF16 * layer + copies)
