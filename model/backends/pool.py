"""One preallocated block of memory for all keys and values, in slots of equal size: kernels write new rows where they
belong, and a CUDA graph finds them at the same address every time.

How many slots there are is decided at the beginning, so that the block need not move, which costs all graphs. Where all
are taken, remembered prompts are given up; only then it grows.

Shapes: N slots, L layers, G key/value heads, S rows of a slot, D head size.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

import torch

from model.backends.device import free_bytes
from model.cache import KVCache
from model.config import ModelConfig
from model.request import BusyError

FEWEST, MOST = 2, 16
"""Slots to begin with: one for a request and one for an earlier prompt at least; at most those of a full batch, of the
prompts that are remembered, and some to spare."""
_LEAST_LEFT = 1 << 30
"""Bytes for activations, graphs and the libraries' own workspaces; a quarter of what is free, where that is more."""


def slots_for(free: int, slot_bytes: int) -> int:
    """How many slots to begin with where `free` bytes are."""
    return max(FEWEST, min(MOST, usable(free) // slot_bytes))


def usable(free: int) -> int:
    return free - max(_LEAST_LEFT, free // 4)


class Pool:
    """`rows_NL2GSD` and which slots are free. `give_up` makes one free again that only remembers something, if there is
    any; `moved` is called when the memory has another address."""

    def __init__(
        self,
        config: ModelConfig,
        size: int,
        dtype: torch.dtype,
        device: torch.device,
        moved: Callable[[], None],
        give_up: Callable[[], bool],
    ) -> None:
        self._shape = (config.layers, 2, config.kv_heads, size, config.head_size)
        self._moved, self._give_up = moved, give_up
        slot_bytes = config.numbers_per_token * size * dtype.itemsize
        # On a CPU no graph is lost by growing, and memory is everybody's.
        count = slots_for(free_bytes(device), slot_bytes) if device.type == "cuda" else FEWEST
        self.rows_NL2GSD = torch.zeros(count, *self._shape, dtype=dtype, device=device)
        self._free = list(range(count))

    @property
    def size(self) -> int:
        """Rows of a slot."""
        return self._shape[3]

    @property
    def count(self) -> int:
        return len(self.rows_NL2GSD)

    @property
    def free(self) -> int:
        """Slots that nobody holds."""
        return len(self._free)

    @property
    def slot_bytes(self) -> int:
        return self.rows_NL2GSD[0].nbytes

    def take(self) -> PooledCache:
        """A free slot as an empty cache. Raises BusyError where all are taken and there is no memory for more, or
        PyTorch's own error where it finds none."""
        while not self._free and self._give_up():
            pass
        if not self._free:
            self._grow()
        return PooledCache(self, self._free.pop())

    def give_back(self, slot: int) -> None:
        self._free.append(slot)

    def _grow(self) -> None:
        """By half, or by one slot. Old and new rows are there at the same time."""
        old = self.rows_NL2GSD
        free = free_bytes(old.device)
        free = usable(free) if old.is_cuda else free
        counts = [len(old) + more for more in (max(1, len(old) // 2), 1)]
        count = next((count for count in counts if count * self.slot_bytes <= free), None)
        if count is None:
            raise BusyError(
                f"all {len(old)} caches that the memory of {old.device} has room for are in use; ask for less at once"
            )
        self.rows_NL2GSD = torch.zeros(count, *self._shape, dtype=old.dtype, device=old.device)
        self.rows_NL2GSD[: len(old)] = old
        self._free.extend(range(len(old), count))  # a cache may have been given back meanwhile
        self._moved()


class PooledCache(KVCache):
    """A slot's rows, the first of them those of `tokens`. The slot is free again when the cache is closed or nobody
    holds it."""

    __slots__ = ("_is_open", "_pool", "slot")

    def __init__(self, pool: Pool, slot: int) -> None:
        self._pool, self.slot, self._is_open = pool, slot, True
        self.tokens: list[int] = []

    @property
    def rows(self) -> torch.Tensor:
        """`[L, 2, G, S, D]`, where the pool has it now. Raises ValueError once it is closed: the slot is another's."""
        if not self._is_open:
            raise ValueError("the cache was closed")
        return self._pool.rows_NL2GSD[self.slot]

    @property
    def nbytes(self) -> int:
        return self._pool.slot_bytes

    def claim(self, tokens: Sequence[int]) -> None:
        """The rows behind the known ones are those of `tokens`: a kernel has written them."""
        self.tokens.extend(int(token) for token in tokens)

    def gather(self, places: Sequence[int], skip: int = 0) -> None:
        """Of the rows written behind the known ones and `skip` more only those at `places`, in this order, moved
        together. Stretches of them are copied as they are, so that no index goes to the device."""
        if list(places) == list(range(len(places))):
            return
        begin, rows = len(self.tokens) + skip, self.rows
        starts = [i for i in range(len(places)) if not i or places[i] != places[i - 1] + 1]
        runs = [(begin + places[a], begin + places[b - 1] + 1) for a, b in pairwise([*starts, len(places)])]
        moved = torch.cat([rows[..., first:stop, :] for first, stop in runs], dim=-2)
        rows[..., begin : begin + len(places), :] = moved

    def close(self) -> None:
        if self._is_open:
            self._is_open = False
            self._pool.give_back(self.slot)

    def __del__(self) -> None:
        self.close()
