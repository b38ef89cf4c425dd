"""Which edits of a known refactoring do no more than it does.

A refactoring like `== None` to `is None` changes what its *sign* matches, a regular expression, and nothing else. A
small network that was asked for it may rewrite a call two lines below as well, lose a name, or turn `!= None` into
`is None`. All of that parses, so the verdict on syntax passes it; here it is told line by line. Knows text alone.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from model.editing.edit import Edit
from model.editing.source import LineIndex, Span

_TOKEN = re.compile(r"\w+|[=!]=")
_MARK = re.compile(r"[^\w\s()]")
_COMPARING = {"==", "!=", "is", "not", "in"}
_NEGATIVE = {"!=", "not"}


@dataclass(frozen=True)
class _Lines:
    """Whole lines around neighbouring edits, in the old and the new text."""

    old: Span
    new: Span
    edits: tuple[Edit, ...]


def within_scope(old: str, new: str, edits: Sequence[Edit], sign: re.Pattern[str]) -> tuple[Edit, ...]:
    """Of sorted `edits`, which make `new` of `old`, those on lines where `sign` matches, that lose no word outside
    its matches, bring none in, and leave every condition as true as it was."""
    return tuple(
        edit
        for lines in _changed_lines(old, new, edits)
        if _is_within(lines.old.of(old), lines.new.of(new), sign)
        for edit in lines.edits
    )


def _changed_lines(old_text: str, new_text: str, edits: Sequence[Edit]) -> Iterator[_Lines]:
    old_index, new_index = LineIndex(old_text), LineIndex(new_text)
    shift = 0
    pending: _Lines | None = None
    for edit in edits:
        old = _lines_around(old_index, edit.span)
        new = _lines_around(new_index, Span(edit.start + shift, edit.start + shift + len(edit.new)))
        shift += len(edit.new) - len(edit.span)
        if pending is None:
            pending = _Lines(old, new, (edit,))
        elif old.start < pending.old.end or new.start < pending.new.end:
            together = Span(pending.old.start, old.end), Span(pending.new.start, new.end)
            pending = _Lines(*together, (*pending.edits, edit))
        else:
            yield pending
            pending = _Lines(old, new, (edit,))
    if pending is not None:
        yield pending


def _lines_around(lines: LineIndex, span: Span) -> Span:
    return Span(lines.line(lines.line_at(span.start)).start, lines.full_line(lines.line_at(span.end)).end)


def _is_within(old: str, new: str, sign: re.Pattern[str]) -> bool:
    matched = [match.group() for match in sign.finditer(old)]
    if not matched:
        return False
    outside, inside, after = _words(sign.sub(" ", old)), _words(" ".join(matched)), _words(new)
    brought = Counter(after) - Counter(outside) - Counter(inside)
    if brought or not _is_subsequence(outside, after) or _is_negated(old) != _is_negated(new):
        return False
    # The same words put together otherwise are something else.
    return len(after) < len(outside) + len(inside) or _marks(old) == _marks(new)


def _words(text: str) -> list[str]:
    return [word for word in _TOKEN.findall(text) if word not in _COMPARING]


def _marks(text: str) -> list[str]:
    return _MARK.findall(_TOKEN.sub(" ", text))


def _is_negated(text: str) -> bool:
    return sum(word in _NEGATIVE for word in _TOKEN.findall(text)) % 2 == 1


def _is_subsequence(some: Sequence[str], of: Sequence[str]) -> bool:
    rest = iter(of)
    return all(word in rest for word in some)
