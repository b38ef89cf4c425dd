"""Keys and values of clean tokens, and a small store of them keyed by the tokens they encode.

The arrays belong to a back end (NumPy or torch); this file only slices and copies them. Knows no network.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any


class KVCache:
    """Keys and values `[layers, 2, kv_heads, capacity, head_size]`; the first rows of each are those of `tokens`."""

    __slots__ = ("rows", "tokens")

    def __init__(self, rows: Any) -> None:
        self.rows = rows
        self.tokens: list[int] = []

    @property
    def length(self) -> int:
        return len(self.tokens)

    @property
    def capacity(self) -> int:
        return int(self.rows.shape[-2])

    @property
    def filled(self) -> Any:
        """The rows in use, as a view."""
        return self.first(len(self.tokens))

    def first(self, length: int) -> Any:
        return self.rows[..., :length, :]

    def append(self, tokens: Sequence[int], rows: Any) -> None:
        """Add `rows [layers, 2, kv_heads, n, head_size]` for `n` tokens; raises ValueError beyond the capacity."""
        start, end = self.length, self.length + len(tokens)
        if end > self.capacity:
            raise ValueError(f"a cache of {self.capacity} tokens cannot take {end}")
        self.rows[..., start:end, :] = rows
        self.tokens.extend(int(t) for t in tokens)

    def truncate(self, length: int) -> None:
        """Forget all but the first `length` tokens."""
        del self.tokens[length:]

    def close(self) -> None:
        """Nobody uses it any more: where rows are lent, they can be lent again."""
        return


def common_prefix(a: Sequence[int], b: Sequence[int]) -> int:
    """Length of the longest common prefix."""
    shorter = min(len(a), len(b))
    return next((i for i in range(shorter) if a[i] != b[i]), shorter)


class PrefixStore:
    """A few caches of past prompts; a new prompt takes over the longest prefix that one of them shares.

    Entries are evicted least recently used first, above `max_bytes`. Not safe for several threads: the worker
    that runs the network owns it.
    """

    def __init__(
        self, new_cache: Callable[[int], KVCache], max_bytes: int = 64 << 20, grain: int = 1
    ) -> None:
        """Prefixes are shared in multiples of `grain` tokens, those that depend on each other; none where it is 0."""
        self._new_cache = new_cache
        self._max_bytes = max_bytes
        self._grain = grain
        self._entries: list[KVCache] = []
        self.reused_tokens = 0
        self.asked_tokens = 0

    def borrow(self, prompt: Sequence[int], capacity: int) -> KVCache:
        """A fresh cache of `capacity` that already holds the known part of `prompt`."""
        cache = self._new_cache(capacity)
        best = max(self._entries, key=lambda e: common_prefix(e.tokens, prompt), default=None)
        shared = common_prefix(best.tokens, prompt) if best is not None else 0
        # The last prompt token is always run again: its row's candidates are what decoding starts from.
        shared = min(shared, len(prompt) - 1)
        shared = shared // self._grain * self._grain if self._grain else 0
        self.asked_tokens += len(prompt)
        if best is not None and shared > 0:
            cache.append(best.tokens[:shared], best.first(shared))
            self._entries.remove(best)
            self._entries.append(best)
            self.reused_tokens += shared
        return cache

    def keep(self, cache: KVCache, length: int) -> None:
        """Remember the first `length` tokens of a cache that is no longer in use."""
        cache.truncate(length)
        if cache.length < 8 or not self._grain:
            cache.close()
            return
        known = [e for e in self._entries if common_prefix(e.tokens, cache.tokens) == e.length]
        for entry in known:
            self._entries.remove(entry)
            if entry is not cache:
                entry.close()
        self._entries.append(cache)
        while len(self._entries) > 1 and sum(_nbytes(e) for e in self._entries) > self._max_bytes:
            self.give_up()

    @property
    def remembered(self) -> int:
        """How many prompts there are."""
        return len(self._entries)

    def give_up(self) -> bool:
        """Forget the prompt that was used longest ago; whether there was one."""
        if not self._entries:
            return False
        self._entries.pop(0).close()
        return True

    def clear(self) -> None:
        while self.give_up():
            pass


def _nbytes(cache: KVCache) -> int:
    return int(cache.rows.nbytes)
