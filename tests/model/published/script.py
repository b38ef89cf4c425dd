"""A network by rote: scores that are a fixed, arbitrary function of what a row sees, with many ties.

The decoders ask it through the back end's interface, the plain implementations of the published algorithms call it
directly; both note each canvas that it was asked about.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from model.backends.interface import Backend, Candidates, Pass
from model.cache import KVCache
from model.config import ModelConfig
from model.tokenizer import EOS

CONFIG = ModelConfig("script", 64, 8, 1, 1, 1, 2, 8, context=256, region_limit=64)
VECTORS = Path(__file__).parent / "vectors.json"
"""What `record.py` has written."""
THRESHOLD, STATIC_STEPS = 0.5, 3
LEVELS = np.array([0.0, 0.0, 0.5, 1.0, 2.0, 3.0, 4.5])


@dataclass
class Script:
    """`ids` are all that it can say. `seed` chooses the function, in which nothing ties where there is a `spread`;
    `calls` are the canvases with their start."""

    ids: Sequence[int] = (EOS, 24, 25, 26, 27, 28, 29)
    seed: int = 0
    end_bias: float = 0.0
    spread: float = 0.0
    calls: list[tuple[int, tuple[int, ...]]] = field(default_factory=list)

    def scores(self, cached: Sequence[int], canvas: Sequence[int], row: int) -> np.ndarray:
        """Log-probabilities of `ids` at a row of the canvas."""
        key = [self.seed, row, 99, *cached, 98, *canvas]
        rng = np.random.default_rng([int(k) for k in key])
        scores = rng.choice(LEVELS, len(self.ids)) + self.end_bias * (np.array(self.ids) == EOS)
        if self.spread:
            scores += self.spread * rng.random(len(self.ids))
        return scores - np.log(np.exp(scores).sum())

    def ask(self, cached: Sequence[int], canvas: Sequence[int], start: int) -> np.ndarray:
        """Log-probabilities `[rows, ids]` of a whole canvas; for the plain implementations."""
        self.calls.append((start, tuple(canvas)))
        return np.stack([self.scores(cached, canvas, row) for row in range(len(canvas))])

    def best(self, logp: np.ndarray) -> int:
        """Of equals the first in `ids`."""
        return int(self.ids[int(logp.argmax())])


class ScriptBackend(Backend):
    """The script as a back end. Clean rows see their own block alone and what stands before it."""

    def __init__(self, script: Script, clean_block: int = 1) -> None:
        self.script, self.config, self._block = script, CONFIG, clean_block

    def new_cache(self, capacity: int) -> KVCache:
        return KVCache(np.zeros((1, 2, 1, capacity, 2), np.float32))

    def allow(self, ids: Sequence[int]) -> np.ndarray:
        return np.array([i in ids or i >= 24 for i in range(CONFIG.vocab)])

    def only(self, ids: Sequence[int]) -> np.ndarray:
        return np.array([i in ids for i in range(CONFIG.vocab)])

    def forward(self, passes: Sequence[Pass]) -> list[Candidates]:
        return [self._one(each) for each in passes]

    def _one(self, each: Pass) -> Candidates:
        before = list(each.cache.tokens)
        c = len(each.causal)
        if each.canvas:
            start = each.first + c
            self.script.calls.append((start, tuple(each.canvas)))
        rows = [self._row(before, each, row, c) for row in each.wanted]
        each.cache.append(each.causal, np.zeros((1, 2, 1, c, 2), np.float32))
        kept = [each.canvas[i] for i in each.keep]
        each.cache.append(kept, np.zeros((1, 2, 1, len(kept), 2), np.float32))
        return _candidates(self.script.ids, rows, each.allowed_V)

    def _row(self, before: list[int], each: Pass, row: int, c: int) -> np.ndarray:
        if row >= c:
            return self.script.scores([*before, *each.causal], each.canvas, row - c)
        begin = (len(before) + row) // self._block * self._block - len(before)
        block = each.causal[begin : begin + self._block]
        return self.script.scores([*before, *each.causal[:begin]], block, row - begin)


def _candidates(ids: Sequence[int], rows: Sequence[np.ndarray], allowed: np.ndarray) -> Candidates:
    """All ids, the best first and of equals the first in `ids`, the forbidden ones last."""
    fits = allowed[np.array(ids)]
    found_ids, found_logp, entropy = [], [], []
    for logp in rows:
        if not fits.all():
            logp = np.where(fits, logp, -1e30)
            logp = logp - np.log(np.exp(logp).sum())
        order = np.argsort(-logp, kind="stable")
        found_ids.append(np.array(ids)[order])
        found_logp.append(logp[order])
        entropy.append(-(np.exp(logp) * np.maximum(logp, -1e4)).sum())
    shape = (0, len(ids))
    return Candidates(
        np.array(found_ids) if rows else np.zeros(shape, int),
        np.array(found_logp) if rows else np.zeros(shape),
        np.array(entropy),
    )
