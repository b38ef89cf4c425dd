"""Near-duplicate and benchmark-overlap filters for source files. Pure; knows no files."""

from __future__ import annotations

import re
import zlib
from collections import defaultdict
from collections.abc import Iterable

import numpy as np

_WORD = re.compile(r"\w+")
_BANDS, _ROWS = 16, 4
_MIX = np.uint64(0x9E3779B97F4A7C15)


class NearDuplicates:
    """MinHash with banded locality-sensitive hashing over 5-grams of words (Broder 1997).

    64 hashes in 16 bands of 4: a pair of Jaccard similarity 0.8 becomes a candidate with probability 0.9998.
    """

    def __init__(self, threshold: float = 0.7, seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        self._odd = rng.integers(0, 1 << 63, _BANDS * _ROWS, dtype=np.uint64) | np.uint64(1)
        self._threshold = threshold
        self._bands: list[dict[bytes, list[int]]] = [defaultdict(list) for _ in range(_BANDS)]
        self._signatures: list[np.ndarray] = []

    def seen(self, text: str) -> bool:
        """Whether a text like this one came before; if not, remember it."""
        signature = self._signature(text)
        keys = [signature[i * _ROWS : (i + 1) * _ROWS].tobytes() for i in range(_BANDS)]
        rivals = {r for band, key in zip(self._bands, keys, strict=True) for r in band.get(key, ())}
        if any((self._signatures[r] == signature).mean() >= self._threshold for r in rivals):
            return True
        for band, key in zip(self._bands, keys, strict=True):
            band[key].append(len(self._signatures))
        self._signatures.append(signature)
        return False

    def _signature(self, text: str) -> np.ndarray:
        grams = np.unique(ngram_hashes(text, 5))
        if not len(grams):
            grams = np.array([zlib.crc32(text.encode())], dtype=np.uint64)
        # Multiply-shift hashing: the high half of an odd multiple is close to uniform.
        return np.stack([(grams * odd >> np.uint64(32)).min() for odd in self._odd])


class Benchmarks:
    """Word 13-grams of benchmark problems (as GPT-3 filtered); a file that shares one is not trained on."""

    size = 13

    def __init__(self, texts: Iterable[str]) -> None:
        self._grams: set[int] = set()
        for text in texts:
            self._grams.update(ngram_hashes(text, self.size).tolist())

    def __bool__(self) -> bool:
        return bool(self._grams)

    def overlaps(self, text: str) -> bool:
        return not self._grams.isdisjoint(ngram_hashes(text, self.size).tolist())


def ngram_hashes(text: str, n: int) -> np.ndarray:
    """64-bit hashes of the consecutive n-tuples of words; equal in every process."""
    words = np.array([zlib.crc32(w.encode("utf-8", "replace")) for w in _WORD.findall(text)], dtype=np.uint64)
    if len(words) < n:
        return np.empty(0, dtype=np.uint64)
    total = np.zeros(len(words) - n + 1, dtype=np.uint64)
    for i in range(n):
        total = (total ^ words[i : len(words) - n + 1 + i]) * _MIX
        total ^= total >> np.uint64(29)
    return total
