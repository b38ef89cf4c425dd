"""Which edits of a known refactoring do what it does, and no more.

A small network that was asked for `is None` may rewrite a call two lines below as well, lose a name, or turn
`!= None` into `is None`. All of that parses, so the verdict on syntax passes it. A local refactoring therefore has a
contract: a regular expression for the places that it changes, and one for what such a place may become. Changed lines
are kept if they are the old ones but for that. Knows text alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from model.editing.edit import Edit
from model.editing.source import LineIndex, Span, line_index

ARROW = " => "
_VARIABLE = re.compile(r"\b[^\W\d_]\b")
_GROWS = 16
"""Characters that a place may grow by."""


@dataclass(frozen=True)
class Scope:
    """`sign` finds a place; `becomes` matches all of `place => new text` where that is right. Where there are `named`
    places, only those of their text."""

    sign: re.Pattern[str]
    becomes: re.Pattern[str]
    named: frozenset[str] = frozenset()

    def asked(self, instruction: str, code: str) -> Scope:
        """This scope for the places of `code` that an instruction names: "{} instead of dict()" is not about `list()`.
        One that is not there, or has a variable of one letter as in "`x not in y` for `not x in y`", stands for any."""
        named = {
            _plain(place) for place in self.sign.finditer(instruction) if not _VARIABLE.search(place.group())
        }
        return replace(self, named=frozenset(named & {_plain(place) for place in self.sign.finditer(code)}))

    def places(self, code: str) -> list[re.Match[str]]:
        """Where it may change something."""
        return [place for place in self.sign.finditer(code) if not self.named or _plain(place) in self.named]

    def allows(self, old: str, new: str) -> bool:
        """Whether `new` is `old` but for places that became what they may."""
        places = self.places(old)
        ends = [0, *(place.end() for place in places)]
        starts = [*(place.start() for place in places), len(old)]
        first, *others = (old[a:b] for a, b in zip(ends, starts, strict=True))
        # Where in `new` the text before the next place may end. All of these are followed at once: a regular expression
        # for the whole would try them one after the other, and could take forever.
        reached = {len(first)} if places and new.startswith(first) else set[int]()
        for place, kept in zip(places, others, strict=True):
            reached = {
                end + len(kept)
                for start in reached
                for end in range(start, min(len(new), start + len(place.group()) + _GROWS) + 1)
                if new.startswith(kept, end) and self._may_become(place.group(), new[start:end])
            }
        return len(new) in reached

    def _may_become(self, place: str, written: str) -> bool:
        return place == written or self.becomes.fullmatch(place + ARROW + written) is not None

    def within(self, old: str, new: str, edits: Sequence[Edit]) -> tuple[Edit, ...]:
        """Of sorted `edits`, which make `new` of `old`, those on lines that the scope allows."""
        return tuple(
            edit
            for lines in _changed_lines(old, new, edits)
            if self.allows(lines.old.of(old), lines.new.of(new))
            for edit in lines.edits
        )


def _plain(place: re.Match[str]) -> str:
    return "".join(place.group().split())


@dataclass(frozen=True)
class _Lines:
    """Whole lines around neighbouring edits, in the old and the new text."""

    old: Span
    new: Span
    edits: tuple[Edit, ...]


def _changed_lines(old_text: str, new_text: str, edits: Sequence[Edit]) -> Iterator[_Lines]:
    old_index, new_index = line_index(old_text), line_index(new_text)
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
    first, last = lines.line_at(span.start), lines.line_at(span.end)
    return Span(lines.line(first).start, lines.full_line(last).end)
