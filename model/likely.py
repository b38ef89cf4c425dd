"""The forwards that the first requests will need, by how a network decodes, the likeliest first: what a GPU prepares
while the model is loaded.

A prompt of an editor has a few hundred tokens to two thousand (`model/loading.py`), which is what the caches are.
Two sequences are two suggestions for one place, or two requests at once. Knows no weights.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import product

from model.backends.interface import Shape
from model.config import ModelConfig
from model.infill import LENGTHS, Whole

_CACHES = (1024, 2048, 512)
_OWN = (512, 1024)
"""Our own networks are shown less."""
_FULL = 512
"""Rows of a text up to which a pass of all of it is likely to be replayed, not launched kernel by kernel."""


def of_own(config: ModelConfig, block: int = 0) -> tuple[Shape, ...]:
    """Of a tri-mode network: blocks of `block` (0: its own), and regions, of which every row is asked."""
    size = min(block or config.block, config.block)
    rows = [1 << n for n in range(5, 10) if 1 << n < 2 * config.region_limit]
    edits = [Shape(1, n, n, keys) for keys, n in product(_OWN[::-1], rows) if n < keys]
    return (*_blocks((size, 2 * size), size, _OWN), *edits, *_pairs((size, 2 * size), size, _OWN))


def of_blocks(size: int, fuses: bool = True) -> tuple[Shape, ...]:
    """A block's canvas, and, where the same forward commits the block before it, both."""
    rows = (size, 2 * size) if fuses else (size,)
    return _blocks(rows, size, _CACHES) + _pairs(rows, size, _CACHES[:2])


def of_drafts(size: int) -> tuple[Shape, ...]:
    """Of self-speculation: a draft behind the token that corrects the last one, and what verifies it."""
    steps = ((size + 1, size + 1), (size, size))
    return tuple(Shape(1, rows, wanted, keys) for keys, (rows, wanted) in product(_CACHES, steps))


def of_texts(whole: Whole, limit: int = max(LENGTHS)) -> tuple[Shape, ...]:
    """Of full attention: a block's step over what is kept of the text, and the lengths that are tried for a hole, which
    come with what stands behind it; the hole is a block itself where it is short. Where nothing is kept, all is run
    each time: short texts."""
    wanted = (min(LENGTHS), limit)
    texts = tuple(Shape(1, rows, n, rows) for rows, n in product((_FULL, _FULL // 2), wanted))
    if whole.reuse == "none":
        return texts
    longer = _CACHES[:2]
    trials = tuple(Shape(1, _FULL, n, keys) for keys, n in product(longer, wanted))
    if whole.reuse == "prefix":  # a block's steps come with the rest of the text too
        shorter = tuple(Shape(1, _FULL // 2, n, keys) for keys, n in product(longer, wanted))
        return trials + shorter + texts
    size = min(whole.block, limit)
    trials += tuple(Shape(1, _FULL // 2, wanted[0], keys) for keys in longer)
    short = tuple(Shape(1, n, n, keys) for keys, n in product(longer, LENGTHS) if n < size)
    return _blocks((size,), size, _CACHES) + trials + short + _pairs((size,), size, longer) + texts


def _blocks(rows: Iterable[int], size: int, caches: Iterable[int]) -> tuple[Shape, ...]:
    return tuple(Shape(1, n, size, keys) for keys, n in product(caches, rows))


def _pairs(rows: Iterable[int], size: int, caches: Iterable[int]) -> tuple[Shape, ...]:
    """Two sequences: as many rows are asked of them at first as both have, later no more than one has."""
    return tuple(Shape(2, n, wanted, keys) for n, keys, wanted in product(rows, caches, (2 * size, size)))
