"""Conditions that an edit turns into their opposite: `x != None` that became `x is None`.

Such code parses, so no grammar objects; and a small network tells `is` from `is not` less surely than a name from a
bracket. Compares changed lines of which only the comparisons differ. Knows edits and text alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher

from model.editing.edit import Edit
from model.editing.source import LineIndex, Span

_TOKEN = re.compile(r"\w+|[=!]=|\S")
_COMPARING = {"==", "!=", "is", "not", "in"}
_NEGATIVE = {"!=", "not"}


def turned_conditions(old_text: str, new_text: str, edits: Sequence[Edit]) -> tuple[Span, ...]:
    """Lines of `new_text`, which is `old_text` after sorted `edits`, that are as they were but for their
    comparisons, of which an odd number was negated. Lines that changed in other ways are not judged."""
    return tuple(
        Span(new.start + turned.start, new.start + turned.end)
        for old, new in _changed_lines(old_text, new_text, edits)
        for turned in _turned(old.of(old_text), new.of(new_text))
    )


def _changed_lines(old_text: str, new_text: str, edits: Sequence[Edit]) -> Iterator[tuple[Span, Span]]:
    """Whole lines around neighbouring edits, in both texts."""
    old_lines, new_lines = LineIndex(old_text), LineIndex(new_text)
    shift = 0
    pending: tuple[Span, Span] | None = None
    for edit in edits:
        old = _lines_around(old_lines, edit.span)
        new = _lines_around(new_lines, Span(edit.start + shift, edit.start + shift + len(edit.new)))
        shift += len(edit.new) - len(edit.span)
        if pending is not None and (old.start < pending[0].end or new.start < pending[1].end):
            pending = Span(pending[0].start, old.end), Span(pending[1].start, new.end)
            continue
        if pending is not None:
            yield pending
        pending = old, new
    if pending is not None:
        yield pending


def _lines_around(lines: LineIndex, span: Span) -> Span:
    first, last = lines.line_at(span.start), lines.line_at(span.end)
    return Span(lines.line(first).start, lines.full_line(last).end)


def _turned(old: str, new: str) -> Iterator[Span]:
    (before, _), (after, starts) = _lines(old), _lines(new)
    # Lines are matched by what is left of them without comparisons: these alone may have changed.
    matcher = SequenceMatcher(None, [rest for rest, _ in before], [rest for rest, _ in after], autojunk=False)
    for a, b, size in matcher.get_matching_blocks():
        for i in range(size):
            if before[a + i][1] != after[b + i][1]:
                yield Span(starts[b + i], starts[b + i + 1])


def _lines(text: str) -> tuple[list[tuple[tuple[str, ...], bool]], list[int]]:
    """What each line has besides comparisons and whether these are negated, and where the lines start."""
    found: list[tuple[tuple[str, ...], bool]] = []
    starts = [0]
    for line in text.splitlines(keepends=True):
        tokens: list[str] = _TOKEN.findall(line)
        rest = tuple(token for token in tokens if token not in _COMPARING)
        found.append((rest, sum(token in _NEGATIVE for token in tokens) % 2 == 1))
        starts.append(starts[-1] + len(line))
    return found, starts
