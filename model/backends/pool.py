"""One preallocated block of memory for all keys and values, in slots of equal size: kernels write new rows where they
belong, and a CUDA graph finds them at the same address every time.

Shapes: N slots, L layers, G key/value heads, S rows of a slot, D head size.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

from model.cache import KVCache
from model.config import ModelConfig

FEWEST = 4
"""Slots to begin with; more are made when they are needed."""


class Pool:
    """`rows_NL2GSD` and which slots are free. `moved` is called when the memory has another address."""

    def __init__(
        self,
        config: ModelConfig,
        size: int,
        dtype: torch.dtype,
        device: torch.device,
        moved: Callable[[], None],
    ) -> None:
        self._shape = (config.layers, 2, config.kv_heads, size, config.head_size)
        self._moved = moved
        self.rows_NL2GSD = torch.zeros(FEWEST, *self._shape, dtype=dtype, device=device)
        self._free = list(range(FEWEST))

    @property
    def size(self) -> int:
        """Rows of a slot."""
        return self._shape[3]

    @property
    def slot_bytes(self) -> int:
        return self.rows_NL2GSD[0].nbytes

    def take(self) -> PooledCache:
        """A free slot as an empty cache; the pool grows by half where there is none. Raises torch.OutOfMemoryError."""
        if not self._free:
            old = self.rows_NL2GSD
            count = len(old) + max(1, len(old) // 2)
            self.rows_NL2GSD = torch.zeros(count, *self._shape, dtype=old.dtype, device=old.device)
            self.rows_NL2GSD[: len(old)] = old
            self._free = list(range(len(old), count))
            self._moved()
        return PooledCache(self, self._free.pop())

    def give_back(self, slot: int) -> None:
        self._free.append(slot)


class PooledCache(KVCache):
    """A slot's rows, the first of them those of `tokens`. The slot is free again when nobody holds the cache."""

    __slots__ = ("_pool", "slot")

    def __init__(self, pool: Pool, slot: int) -> None:
        self._pool, self.slot = pool, slot
        self.tokens: list[int] = []

    @property
    def rows(self) -> torch.Tensor:
        """`[L, 2, G, S, D]`, where the pool has it now."""
        return self._pool.rows_NL2GSD[self.slot]

    def claim(self, tokens: Sequence[int]) -> None:
        """The rows behind the known ones are those of `tokens`: a kernel has written them."""
        self.tokens.extend(int(token) for token in tokens)

    def keep(self, places: Sequence[int]) -> None:
        """Of the rows written behind the known ones only those at `places`, in this order, moved together."""
        if list(places) == list(range(len(places))):
            return
        begin = len(self.tokens)
        source = torch.tensor([begin + place for place in places], device=self.rows.device)
        self.rows[..., begin : begin + len(places), :] = self.rows.index_select(-2, source)

    def __del__(self) -> None:
        self._pool.give_back(self.slot)
