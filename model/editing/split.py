"""Cutting a span of a file into pieces of whole lines within a size limit, at syntax or at blank lines.

A piece ends before its last line's terminator; blank lines between pieces are in none. Knows no tokens: sizes
come from a counter.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from model.editing.source import LineIndex, Span, line_index
from model.editing.syntax import SyntaxTree

Counter = Callable[[str], int]

# A comment, decorator or attribute right above a statement belongs to it.
_LEAD = re.compile(r"\s*(?://|/\*|#|@)")


@dataclass(frozen=True)
class Piece:
    """Lines of a file. `whole` says that they are exactly one definition, called `name`."""

    span: Span
    whole: bool = False
    name: str = ""


def split_lines(tree: SyntaxTree, span: Span, size: Counter, limit: int) -> list[Piece]:
    """The lines of `span`, cut before statements; see `region.split_file`."""
    return _Splitter(tree, size, limit).split(span, tree.top_level() if len(span) == len(tree.text) else None)


def split_text(text: str, span: Span, size: Counter, limit: int) -> list[Piece]:
    """The lines of `span`, cut at blank lines, neighbours packed together within `limit`."""
    lines = line_index(text)
    first, last = lines.line_at(span.start), lines.line_at(span.end)
    cuts = [first]
    for number in range(first + 1, last + 1):
        blank = not lines.line(number - 1).of(text).strip()
        if blank and lines.line(number).of(text).strip():
            cuts.append(number)
    pieces = [_trimmed(lines, a, b) for a, b in zip(cuts, [*cuts[1:], last + 1], strict=True)]
    return _pack([Piece(p) for p in pieces if p is not None], text, size, limit)


class _Splitter:
    """One splitting of one tree: its line index and where its definitions start."""

    def __init__(self, tree: SyntaxTree, size: Counter, limit: int) -> None:
        self._tree, self._size, self._limit = tree, size, limit
        self._lines = line_index(tree.text)
        self._starts: dict[int, tuple[str, int]] = {}
        for definition in tree.definitions():
            if definition.kind in ("function", "method", "class"):
                line = self._lines.line_at(definition.span.start)
                self._starts.setdefault(line, (definition.name, self._lines.line_at(definition.span.end)))

    def split(self, span: Span, statements: Sequence[Span] | None = None) -> list[Piece]:
        inner = self._tree.statements(span) if statements is None else statements
        first, last = self._lines.line_at(span.start), self._lines.line_at(span.end)
        cuts = [first, *self._cuts(first, inner)]
        pieces: list[Piece] = []
        for a, b in zip(cuts, [*cuts[1:], last + 1], strict=True):
            piece = self._piece(a, b)
            if piece is None:
                continue
            # With a single cut nothing got smaller, and going on would not end.
            if len(cuts) > 1 and self._size(piece.span.of(self._tree.text)) > self._limit:
                pieces += self.split(piece.span)
            else:
                pieces.append(piece)
        return _pack(pieces, self._tree.text, self._size, self._limit)

    def _cuts(self, first: int, statements: Sequence[Span]) -> list[int]:
        """The lines before which to cut: where a statement, with the comments above it, starts its line."""
        text, cuts, lead_end, busy_to = self._tree.text, [], -1, -1
        found: list[int] = cuts
        for span in statements:
            line, end = self._lines.line_at(span.start), self._lines.line_at(span.end)
            before = text[self._lines.line(line).start : span.start]
            if line > first and line > busy_to and not before.strip() and line != lead_end + 1:
                found.append(line)
            # The terminator may belong to the node, as in Rust's doc comments.
            end -= end > line and span.end == self._lines.line(end).start
            lead_end = end if _LEAD.match(span.of(text)) else -1
            busy_to = max(busy_to, end)
        return found

    def _piece(self, first: int, end: int) -> Piece | None:
        span = _trimmed(self._lines, first, end)
        if span is None:
            return None
        last = self._lines.line_at(span.end)
        for line in range(self._lines.line_at(span.start), last + 1):
            if line in self._starts:
                name, end_line = self._starts[line]
                return Piece(span, end_line == last, name)
            if not _LEAD.match(self._lines.line(line).of(self._tree.text)):
                break
        return Piece(span)


def _trimmed(lines: LineIndex, first: int, end: int) -> Span | None:
    """The span of lines `first` to `end - 1` without the blank ones around."""
    while first < end and not lines.line(first).of(lines.text).strip():
        first += 1
    while end > first and not lines.line(end - 1).of(lines.text).strip():
        end -= 1
    return Span(lines.line(first).start, lines.line(end - 1).end) if first < end else None


def _pack(pieces: Sequence[Piece], text: str, size: Counter, limit: int) -> list[Piece]:
    """Join neighbours that are no definitions while they stay within the limit."""
    packed: list[Piece] = []
    for piece in pieces:
        if packed and not (packed[-1].name or piece.name):
            joined = Span(packed[-1].span.start, piece.span.end)
            if size(joined.of(text)) <= limit:
                packed[-1] = Piece(joined)
                continue
        packed.append(piece)
    return packed
