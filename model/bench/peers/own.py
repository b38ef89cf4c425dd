"""Our own back ends as contenders: denoising, and the same weights autoregressively."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from model.backends.interface import Backend, Pass
from model.bench.peers.contender import CACHED, COMPLETED, ROOM, Contender, Setting, text_ids
from model.cache import KVCache
from model.tokenizer import EOS, MASK

_CHUNK = 256
"""Tokens of a prompt that the decoders have read at once."""


class Own(Contender):
    """A back end of ours. `load` gives the one with so many threads."""

    def __init__(self, name: str, load: Callable[[int], Backend], threads: Sequence[int]) -> None:
        self.name, self.settings = name, [Setting(count) for count in threads]
        self._load = load
        self._caches: dict[Setting, KVCache] = {}
        self.use(self.settings[0])

    def use(self, setting: Setting) -> None:
        self._backend = self._load(setting.threads)
        self._allowed = self._backend.allow([EOS])
        self._text = text_ids(self._backend.config.vocab, ROOM)
        if setting not in self._caches:
            self._caches[setting] = self._backend.new_cache(ROOM)
        self._cache = self._caches[setting]

    def prefill(self, tokens: int) -> None:
        self._cache.truncate(0)
        for start in range(0, tokens, _CHUNK):
            chunk = self._text[start : min(start + _CHUNK, tokens)]
            is_last = start + _CHUNK >= tokens
            self._forward(chunk, (), [len(chunk) - 1] if is_last else [])

    def block(self, rows: int) -> None:
        self._forward((), [MASK] * rows, range(rows))

    def complete(self) -> list[int]:
        token, answer = self._text[CACHED], list[int]()
        for _ in range(COMPLETED):
            token = self._forward([token], (), [0])
            answer.append(token)
        self._cache.truncate(CACHED)
        return answer

    def denoise(self, block: int, tokens_per_forward: float) -> None:
        """A completion of `COMPLETED` tokens by as many forwards as that takes: see `schedule`."""
        pending = [self._text[CACHED]]
        for size, steps in schedule(block, tokens_per_forward):
            for masks in steps:
                known = size - masks
                wanted = range(len(pending) + known, len(pending) + size)
                self._forward(pending, self._text[:known] + [MASK] * masks, wanted)
                pending = []
            pending = self._text[:size]
        self._cache.truncate(CACHED)

    def _forward(self, causal: Sequence[int], canvas: Sequence[int], wanted: Sequence[int]) -> int:
        """The best id of the first wanted row."""
        (found,) = self._backend.forward([Pass(self._cache, causal, canvas, wanted, self._allowed)])
        return int(found.best[0]) if len(wanted) else -1


def schedule(block: int, tokens_per_forward: float) -> Iterator[tuple[int, list[int]]]:
    """The blocks of a completion that gets so many tokens a forward: each one's length, and the masks that are left at
    each of its forwards, uncovered evenly. Raises ValueError for more tokens a forward than a block has."""
    if not 0 < tokens_per_forward <= block:
        raise ValueError(f"blocks of {block} tokens cannot give {tokens_per_forward:g} tokens a forward")
    sizes = [min(block, COMPLETED - start) for start in range(0, COMPLETED, block)]
    forwards = max(len(sizes), round(COMPLETED / tokens_per_forward))
    done = 0
    for number, size in enumerate(sizes, 1):
        steps = forwards * number // len(sizes) - done
        yield size, [size - size * step // steps for step in range(steps)]
        done += steps
