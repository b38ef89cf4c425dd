"""The interface of a back end: a forward pass over cached, clean and noisy tokens, several sequences at once.

One primitive, `forward`, does prefill (clean tokens), denoising (a canvas), committing (clean tokens whose rows
are read) and their fusions. Shape suffixes: R rows whose candidates are wanted, K candidates, V vocabulary.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from model.cache import KVCache
from model.config import ModelConfig
from model.tokenizer import FIRST_TEXT_ID

TOP_K = 8
_NEVER = -1e30
"""Added to the score of a forbidden id: finite, so that int8 graphs and entropies stay free of NaN."""


class BackendError(RuntimeError):
    """A forward cannot be run; the message says why and what to do. The back end can be used again."""


@dataclass(frozen=True)
class Candidates:
    """What the network says of R positions: best ids first, their log-probabilities, the rows' entropies."""

    ids_RK: np.ndarray
    logp_RK: np.ndarray
    entropy_R: np.ndarray

    def __len__(self) -> int:
        return len(self.entropy_R)

    @property
    def best(self) -> np.ndarray:
        return self.ids_RK[:, 0]

    @property
    def confidence(self) -> np.ndarray:
        """Probability of the best id."""
        return np.exp(self.logp_RK[:, 0])

    def rows(self, index: Any) -> Candidates:
        return Candidates(self.ids_RK[index], self.logp_RK[index], self.entropy_R[index])


@dataclass(frozen=True)
class Pass:
    """One sequence's part of a forward: `causal` tokens are appended to the cache, `canvas` tokens follow them,
    bidirectional among themselves; `wanted` indexes rows of both together. `allowed_V` is 0 or a large negative.

    `start` is the position of the first row, where that is not the cache's length: a network with full attention
    caches what stands behind its canvas too. `keep` indexes canvas rows that are appended to the cache as well."""

    cache: KVCache
    causal: Sequence[int]
    canvas: Sequence[int]
    wanted: Sequence[int]
    allowed_V: np.ndarray
    start: int | None = None
    keep: Sequence[int] = ()

    @property
    def first(self) -> int:
        """The position of the first row."""
        return self.cache.length if self.start is None else self.start

    @property
    def rows(self) -> int:
        return len(self.causal) + len(self.canvas)


@dataclass(frozen=True)
class Shape:
    """Of a forward: `rows` of each of `batch` sequences, of all of them `wanted`, and `keys` rows of cache that each
    has at most, the new ones among them."""

    batch: int
    rows: int
    wanted: int
    keys: int


class Backend(ABC):
    """A loaded network. One thread at a time. No position gets one of the ids `forbidden`."""

    config: ModelConfig
    description: str
    forbidden: Sequence[int] = ()
    batch: int = 1
    """How many sequences are worth one forward."""
    chunk: int = 256
    """Rows of a prompt that are encoded at once: between two chunks a more urgent request may come first."""
    prompt_bytes: int = 64 << 20
    """How much may be remembered of earlier prompts."""

    @property
    def spare(self) -> int:
        """How many caches can be had now without giving up more than earlier prompts: beyond it memory may have to be
        found, which is slow or fails."""
        return 1 << 30

    def warm(self, tell: Callable[[float], None], shapes: Sequence[Shape] = ()) -> None:
        """Prepare for the first requests, which will need forwards of `shapes`, the likeliest first; `tell` hears the
        share that is done. Raises BackendError."""
        return

    @abstractmethod
    def new_cache(self, capacity: int) -> KVCache:
        """An empty cache with room for `capacity` tokens."""

    @abstractmethod
    def forward(self, passes: Sequence[Pass]) -> list[Candidates]:
        """Run all passes as one batch; each pass's causal tokens are in its cache afterwards."""

    def on_pressure(self, relieve: Callable[[], None]) -> None:
        """`relieve` is called where memory runs out: it gives up what can be computed again. Only a device with memory
        of its own ever does."""
        return

    def allow(self, ids: Sequence[int]) -> np.ndarray:
        """A bias `[V]` under which only text ids and `ids` can be chosen."""
        bias = np.zeros(self.config.vocab, np.float32)
        bias[:FIRST_TEXT_ID] = _NEVER
        bias[list(self.forbidden)] = _NEVER
        bias[list(ids)] = 0
        return bias

    def only(self, ids: Sequence[int]) -> np.ndarray:
        """A bias `[V]` under which only `ids` can be chosen."""
        bias = np.full(self.config.vocab, _NEVER, np.float32)
        bias[list(ids)] = 0
        return bias


@dataclass(frozen=True)
class Layout:
    """A batch of passes as padded arrays. T new rows, P past rows, S = P + T.

    `sees_BTS` is True where a row attends to a column: every row sees its sequence's cache, a causal row the
    causal rows up to itself (or to the end of its block, see `ModelConfig.clean_block`), a canvas row all causal rows
    and its canvas; padding sees only itself.
    """

    ids_BT: np.ndarray
    positions_BT: np.ndarray
    is_canvas_BT: np.ndarray
    sees_BTS: np.ndarray
    wanted_BR: np.ndarray
    past: int


def lay_out(passes: Sequence[Pass], past_multiple: int = 1, clean_block: int = 1) -> Layout:
    """Pad passes to a common shape; `past_multiple` rounds the past's length up, to meet fewer shapes."""
    batch, rows = len(passes), max(p.rows for p in passes)
    past = -(-max(p.cache.length for p in passes) // past_multiple) * past_multiple
    ids = np.zeros((batch, rows), np.int64)
    positions = np.zeros((batch, rows), np.int64)
    is_canvas = np.zeros((batch, rows), bool)
    sees = np.zeros((batch, rows, past + rows), bool)
    wanted = np.zeros((batch, max(1, *(len(p.wanted) for p in passes)) if passes else 1), np.int64)
    sees[:, np.arange(rows), past + np.arange(rows)] = True
    for b, each in enumerate(passes):
        n, c = each.rows, len(each.causal)
        ids[b, :n] = [*each.causal, *each.canvas]
        positions[b] = each.first + np.arange(rows)
        is_canvas[b, c:n] = True
        sees[b, :n, : each.cache.length] = True
        block = positions[b, :c] // clean_block
        sees[b, :c, past : past + c] |= block[:, None] >= block
        sees[b, c:n, past : past + n] = True
        wanted[b, : len(each.wanted)] = each.wanted
    return Layout(ids, positions, is_canvas, sees, wanted, past)
