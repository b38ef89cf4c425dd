"""Text edits: the smallest ones between two texts, applying them, and moving them over later changes.

An `Edit` says "replace this span of the old text by that text"; a list of edits refers to one old text, is
sorted and does not overlap. Knows nothing of lines, syntax or LSP.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

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
