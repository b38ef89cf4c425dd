"""One line index for every coordinate system.

Everything in Redraft addresses text by `str` offsets; this file alone turns them into lines and columns and
back, in any of LSP's three position encodings. Lines end at `\\n`, `\\r\\n` and `\\r` only: `str.splitlines`
also splits at form feeds and U+2028, which editors do not. Knows nothing of bytes, syntax or LSP types.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate
from typing import Literal

Encoding = Literal["utf-8", "utf-16", "utf-32"]

_LINE_END = re.compile(r"\r\n|\n|\r")


@dataclass(frozen=True, order=True)
class Span:
    """A half-open range of `str` offsets, `start <= end`."""

    start: int
    end: int

    def __post_init__(self) -> None:
        if not 0 <= self.start <= self.end:
            raise ValueError(f"a span needs 0 <= start <= end, got {self.start}..{self.end}")

    def __len__(self) -> int:
        return self.end - self.start

    def __bool__(self) -> bool:
        return True  # an empty span is still a place

    def of(self, text: str) -> str:
        return text[self.start : self.end]

    def touches(self, offset: int) -> bool:
        """Whether a cursor at `offset` is in the span or at one of its ends."""
        return self.start <= offset <= self.end

    def covers(self, other: Span) -> bool:
        return self.start <= other.start and other.end <= self.end

    def overlaps(self, other: Span) -> bool:
        """Whether the two share a character, or one is an empty span strictly inside the other."""
        return self.start < other.end and other.start < self.end


class LineIndex:
    """Immutable line starts of one text, and conversions between offsets and (line, column).

    The starts from line `_moved` on are those of `_starts` plus `_shift`: typing in one line of however long a text
    shares the list."""

    __slots__ = ("_moved", "_shift", "_starts", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        self._starts = _line_starts(text)
        self._moved, self._shift = len(self._starts), 0

    def edited(self, start: int, end: int, text: str) -> LineIndex:
        """The index of `text`, which differs from this one's in what replaced `start..end` only. Only the
        lines around that are looked at; the later ones move."""
        shift = len(text) - len(self.text)
        # One more character on each side is read again: it may have become a half of \r\n, or ceased to be.
        last = end + 2 + shift
        found = _LINE_END.finditer(text, max(0, start - 1), last + 1)
        breaks = [at for at in (match.end() for match in found) if start <= at <= last]
        before, behind = max(1, self._first_from(start)), max(1, self._first_from(end + 3))
        new = LineIndex.__new__(LineIndex)
        new.text = text
        has_same_lines = breaks == [self._start(line) + shift for line in range(before, behind)]
        if has_same_lines and (self._moved == before or not self._shift):
            new._starts, new._moved, new._shift = self._starts, before, self._shift + shift
            return new
        own = self._all()
        new._starts = own[:before]
        new._starts += breaks
        new._starts += [at + shift for at in own[behind:]] if shift else own[behind:]
        new._moved, new._shift = len(new._starts), 0
        return new

    def _all(self) -> list[int]:
        """Every line's start; not to be changed."""
        if not self._shift:
            return self._starts
        return self._starts[: self._moved] + [at + self._shift for at in self._starts[self._moved :]]

    def _start(self, line: int) -> int:
        return self._starts[line] + (self._shift if line >= self._moved else 0)

    def _first_from(self, offset: int) -> int:
        """The first line that starts at `offset` or behind it."""
        found = bisect_left(self._starts, offset, hi=self._moved)
        return (
            found if found < self._moved else bisect_left(self._starts, offset - self._shift, lo=self._moved)
        )

    @property
    def line_count(self) -> int:
        """Number of lines; a text that ends with a line terminator has an empty last line."""
        return len(self._starts)

    def line_at(self, offset: int) -> int:
        """The line that holds `offset` (clamped into the text)."""
        return self._first_from(max(0, offset) + 1) - 1

    def line(self, line: int) -> Span:
        """The span of `line` without its terminator; raises IndexError outside `0..line_count-1`."""
        if not 0 <= line < len(self._starts):
            raise IndexError(f"line {line} of {len(self._starts)}")
        start = self._start(line)
        if line + 1 == len(self._starts):
            return Span(start, len(self.text))
        end = self._start(line + 1) - 1
        return Span(start, end - 1 if end > start and self.text[end - 1 : end + 1] == "\r\n" else end)

    def full_line(self, line: int) -> Span:
        """The span of `line` with its terminator."""
        start = self.line(line).start
        return Span(start, self._start(line + 1) if line + 1 < len(self._starts) else len(self.text))

    def position(self, offset: int, encoding: Encoding = "utf-32") -> tuple[int, int]:
        """`(line, column)` of `offset`; the column is in the encoding's code units. Clamps into the text.

        An offset between `\\r` and `\\n` maps to the end of the line before the pair.
        """
        offset = min(max(0, offset), len(self.text))
        line = self.line_at(offset)
        span = self.line(line)
        return line, width(self.text[span.start : min(offset, span.end)], encoding)

    def offset(self, line: int, column: int, encoding: Encoding = "utf-32") -> int:
        """The offset of `(line, column)`, clamped: LSP says a column past the end means the line's end.

        A column inside a surrogate pair or a multi-byte character goes to that character's start.
        """
        if line < 0:
            return 0
        if line >= self.line_count:
            return len(self.text)
        span = self.line(line)
        return span.start + _columns_to_chars(span.of(self.text), max(0, column), encoding)


def _line_starts(text: str) -> list[int]:
    breaks, returns = text.count("\n"), text.count("\r")
    if returns == 0 or returns == breaks == text.count("\r\n"):  # four times as fast as the expression
        end = "\r\n" if returns else "\n"
        lengths = accumulate(map(len, text.split(end)[:-1]), initial=0)
        return [start + number * len(end) for number, start in enumerate(lengths)]
    return [0, *(match.end() for match in _LINE_END.finditer(text))]


@lru_cache(maxsize=8)
def line_index(text: str) -> LineIndex:
    """The index of `text`, made once for all who ask while it is among the last few."""
    return LineIndex(text)


def width(text: str, encoding: Encoding) -> int:
    """Length of `text` in code units of `encoding`. Lone surrogates count as one UTF-16 unit, three bytes."""
    if encoding == "utf-32" or text.isascii():
        return len(text)
    if encoding == "utf-16":
        return len(text) + sum(ch > "\uffff" for ch in text)
    return len(text.encode("utf-8", "surrogatepass"))


def _columns_to_chars(line: str, column: int, encoding: Encoding) -> int:
    if encoding == "utf-32" or line.isascii():
        return min(column, len(line))
    for index, ch in enumerate(line):
        column -= width(ch, encoding)
        if column < 0:
            return index
    return len(line)
