"""Offsets between a `str` and its UTF-8 bytes, which is what tree-sitter counts in."""

from __future__ import annotations

from bisect import bisect_right
from functools import cached_property
from itertools import accumulate


def encode(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")  # a lone surrogate must not make a file unreadable


class Utf8Offsets:
    """The UTF-8 bytes of a text, and offsets to and from them: free for ASCII, else by checkpoints."""

    _STEP = 2048
    _CONTINUATION = bytes(range(0x80, 0xC0))

    def __init__(self, text: str) -> None:
        self.data = encode(text)
        self._text = text
        self._ascii = len(self.data) == len(text)

    @cached_property
    def _checkpoints(self) -> list[int]:
        """The byte offset of every `_STEP`-th character."""
        step = self._STEP
        sizes = (len(encode(self._text[i : i + step])) for i in range(0, len(self._text), step))
        return list(accumulate(sizes, initial=0))

    def to_byte(self, offset: int) -> int:
        if self._ascii:
            return offset
        chunk = offset // self._STEP
        return self._checkpoints[chunk] + len(encode(self._text[chunk * self._STEP : offset]))

    def to_char(self, byte: int) -> int:
        """The offset of `byte`; inside a character, that of the character's end."""
        if self._ascii:
            return byte
        chunk = bisect_right(self._checkpoints, byte) - 1
        piece = self.data[self._checkpoints[chunk] : byte]
        return min(len(self._text), chunk * self._STEP + len(piece.translate(None, self._CONTINUATION)))

    def point(self, byte: int) -> tuple[int, int]:
        """Row and column as tree-sitter counts them: rows end at `\\n` only, columns are bytes."""
        return self.data.count(b"\n", 0, byte), byte - (self.data.rfind(b"\n", 0, byte) + 1)
