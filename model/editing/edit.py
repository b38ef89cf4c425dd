"""Text edits: the smallest ones between two texts, applying them, and moving them over later changes.

An `Edit` says "replace this span of the old text by that text"; a list of edits refers to one old text, is
sorted and does not overlap. Knows nothing of syntax or LSP.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from model.editing.diff import changes
from model.editing.source import Span


@dataclass(frozen=True, order=True)
class Edit:
    """Replace `text[start:end]` by `new`; `start == end` is an insertion. Offsets are `str` offsets."""

    start: int
    end: int
    new: str

    @property
    def span(self) -> Span:
        return Span(self.start, self.end)


def apply(edits: Iterable[Edit], text: str) -> str:
    """`text` with `edits` applied at once; raises ValueError where they overlap or lie outside the text."""
    parts: list[str] = []
    at = 0
    for edit in sorted(edits, key=lambda e: (e.start, e.end)):
        if edit.start < at or edit.end < edit.start or edit.end > len(text):
            raise ValueError(f"edit {edit.start}..{edit.end} overlaps another or lies outside 0..{len(text)}")
        parts += (text[at : edit.start], edit.new)
        at = edit.end
    return "".join((*parts, text[at:]))


_LINE = re.compile(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+")
_TOKEN = re.compile(r"\w+|\r\n|[^\S\r\n]+|.", re.DOTALL)


def minimal_edits(old: str, new: str) -> tuple[Edit, ...]:
    """The smallest edits that turn `old` into `new`: lines are compared first, then the tokens of changed
    lines, then the characters at both ends of a changed token. No edit divides a `\\r\\n`, a character from
    its combining marks, or a surrogate pair."""
    start, old_end, new_end = _trim(old, new, 0, len(old), 0, len(new))
    if start == old_end == new_end:
        return ()
    front, back = _to_whole_lines(old, start, old_end)
    return tuple(_token_edits(old, new, (start - front, old_end + back, start - front, new_end + back)))


_MAX_WIDENING = 2000  # characters; a longer line is data, and comparing it whole costs time


def changed_part(old: str, new: str) -> Edit:
    """The one edit that makes `new` of `old`, without what they begin and end with in common; empty where
    they are equal."""
    start, end, new_end = _trim(old, new, 0, len(old), 0, len(new))
    return Edit(start, end, new[start:new_end])


def _to_whole_lines(old: str, start: int, end: int) -> tuple[int, int]:
    """How far to widen a changed span so that it holds whole lines: half lines are compared badly."""
    line_start = max(old.rfind("\n", 0, start), old.rfind("\r", 0, start)) + 1
    match = re.compile(r"\r\n|\r|\n").search(old, end)
    line_end = match.end() if match else len(old)
    if start - line_start > _MAX_WIDENING or line_end - end > _MAX_WIDENING:
        return 0, 0
    return start - line_start, line_end - end


_Box = tuple[int, int, int, int]  # old start, old end, new start, new end


def _token_edits(old: str, new: str, box: _Box) -> Iterator[Edit]:
    for lines in _refine(old, new, box, _LINE):
        for a0, a1, b0, b1 in _refine(old, new, lines, _TOKEN):
            front, a1, b1 = _trim(old, new, a0, a1, b0, b1)
            yield Edit(front, a1, new[b0 + front - a0 : b1])


def _refine(old: str, new: str, box: _Box, unit: re.Pattern[str]) -> Iterator[_Box]:
    """The changed parts of `box` when its two texts are compared unit by unit."""
    a0, a1, b0, b1 = box
    if a0 == a1 or b0 == b1:
        yield box
        return
    a, b = _cuts(old, a0, a1, unit), _cuts(new, b0, b1, unit)
    pieces_a = [old[s:e] for s, e in pairwise(a)]
    pieces_b = [new[s:e] for s, e in pairwise(b)]
    for change in changes(pieces_a, pieces_b):
        yield a[change.a_start], a[change.a_end], b[change.b_start], b[change.b_end]


def _cuts(text: str, start: int, end: int, unit: re.Pattern[str]) -> list[int]:
    """The boundaries of the units of `text[start:end]`, both ends included, where the text may be divided."""
    inner = (match.start() for match in unit.finditer(text, start, end))
    return [start, *(at for at in inner if at > start and _may_divide(text, at)), end]


def _may_divide(text: str, at: int) -> bool:
    if not 0 < at < len(text):
        return True
    left, right = text[at - 1], text[at]
    if right < "\x80":
        return not (left == "\r" and right == "\n")
    if left in "\r\n":
        return True
    if "\udc00" <= right <= "\udfff":
        return not "\ud800" <= left <= "\udbff"
    # Combining marks, variation selectors and zero-width joiners belong to what they follow.
    return unicodedata.category(right) not in ("Mn", "Me", "Mc") and "\u200d" not in (left, right)


def _trim(old: str, new: str, a0: int, a1: int, b0: int, b1: int) -> tuple[int, int, int]:
    """Cut the common start and end off two spans: the new start in `old`, and both new ends. The start in
    `new` moves by as much as the one in `old`."""
    front = _common(old, new, a0, b0, min(a1 - a0, b1 - b0))
    while front and not (_may_divide(old, a0 + front) and _may_divide(new, b0 + front)):
        front -= 1
    back = _common_end(old, new, a1, b1, min(a1 - a0, b1 - b0) - front)
    while back and not (_may_divide(old, a1 - back) and _may_divide(new, b1 - back)):
        back -= 1
    return a0 + front, a1 - back, b1 - back


def _common(a: str, b: str, i: int, j: int, limit: int) -> int:
    """How many characters from `a[i]` and `b[j]` are equal, by halving: slices compare at memory speed."""
    low = 0
    while low < limit:
        step = (limit - low + 1) // 2
        if a[i + low : i + low + step] == b[j + low : j + low + step]:
            low += step
        else:
            limit = low + step - 1
    return low


def _common_end(a: str, b: str, i: int, j: int, limit: int) -> int:
    """The same for the characters before `a[i]` and `b[j]`."""
    low = 0
    while low < limit:
        step = (limit - low + 1) // 2
        if a[i - low - step : i - low] == b[j - low - step : j - low]:
            low += step
        else:
            limit = low + step - 1
    return low


def compose(first: Sequence[Edit], second: Sequence[Edit], text: str) -> tuple[Edit, ...]:
    """Edits of `text` that do at once what the sorted `first` and then `second`, which refers to the outcome, do.
    Edits of both that meet become one."""
    between = apply(first, text)
    found: list[Edit] = []
    for whole in _merged([*_written(first), *(edit.span for edit in second)]):
        inside = [
            Edit(e.start - whole.start, e.end - whole.start, e.new) for e in second if whole.covers(e.span)
        ]
        old, new = origin(whole, first), apply(inside, whole.of(between))
        if new != old.of(text):
            found.append(Edit(old.start, old.end, new))
    return tuple(found)


def origin(span: Span, edits: Sequence[Edit]) -> Span:
    """What `span` of the outcome of sorted `edits` was before them; an edit that it touches is in it as a whole."""
    start, end, shift = span.start, span.end, 0
    touched: list[Edit] = []
    for edit, new in zip(edits, _written(edits), strict=True):
        grown = len(new) - len(edit.span)
        if new.end < span.start:
            start -= grown
        if new.start <= span.end:
            shift += grown
            if span.start <= new.end:
                touched.append(edit)
    end -= shift
    return Span(min([start, *(e.start for e in touched)]), max([end, *(e.end for e in touched)]))


def _written(edits: Sequence[Edit]) -> list[Span]:
    """Where the texts of sorted `edits` stand in their outcome."""
    found: list[Span] = []
    shift = 0
    for edit in edits:
        found.append(Span(edit.start + shift, edit.start + shift + len(edit.new)))
        shift += len(edit.new) - len(edit.span)
    return found


def _merged(spans: Iterable[Span]) -> list[Span]:
    """Spans that touch or overlap made one."""
    found: list[Span] = []
    for span in sorted(spans, key=lambda s: (s.start, s.end)):
        if found and span.start <= found[-1].end:
            found[-1] = Span(found[-1].start, max(found[-1].end, span.end))
        else:
            found.append(span)
    return found


def rebase(
    edits: Sequence[Edit], changes: Iterable[Sequence[Edit]], regions: Sequence[Span] = ()
) -> tuple[Edit, ...] | None:
    """`edits` moved over `changes`, sets of edits that were applied to the text one after the other. None
    where a change altered the text of an edit or of a region, or inserted at its ends: the edit's reason is
    gone then."""
    guarded = [*regions, *(edit.span for edit in edits)]
    for change_set in changes:
        if any(_disturbs(change, span) for change in change_set for span in guarded):
            return None
        guarded = [_moved(span, change_set) for span in guarded]
    spans = guarded[len(regions) :]
    return tuple(Edit(span.start, span.end, edit.new) for span, edit in zip(spans, edits, strict=True))


def _disturbs(change: Edit, span: Span) -> bool:
    if change.start == change.end or not len(span):
        return change.start <= span.end and span.start <= change.end
    return change.start < span.end and span.start < change.end


def _moved(span: Span, change_set: Sequence[Edit]) -> Span:
    shift = sum(len(c.new) - (c.end - c.start) for c in change_set if c.end <= span.start)
    return Span(span.start + shift, span.end + shift)
