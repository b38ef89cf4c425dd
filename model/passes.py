"""Asking again: a refactoring whose places can be told is repeated on its own outcome while places are left.

Where many places stand close together a network changes some of them in one reading and more when it sees those done.
Only for refactorings with a contract (`model/editing/scope.py`): what one reading wrote holds no place for the next.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from model.editing.edit import apply, compose, origin
from model.editing.source import Span
from model.request import Cost, Frame, Progress, Proposal, Refactor, Request, Run

_MOST = 6
"""Readings of one text. Where fifty places stood close together they found 33, 10, 3, 2 and 2."""


class Passes:
    """One run after the other, each on the outcome of those before it; a `Run` of the text that they began with."""

    def __init__(self, start: Callable[[Request], Run], request: Request) -> None:
        self._start = start
        self._request = self._now = request
        self._run = start(request)
        self._progress = self._run.progress
        self._count = 1
        self._ended = Proposal("unchanged")
        self._numbers: dict[Span, int] = {}
        self._last: list[Frame] = []

    def step(self) -> bool:
        return self._run.step() or (self._count < _MOST and self._begin_again() and self._run.step())

    def _begin_again(self) -> bool:
        found = self._run.proposal()
        if found.status != "offered":
            return False
        self._last += self._frames()
        self._ended, self._progress = self._joined(found), self.progress
        self._now = _applied(found, self._now)
        self._run.close()
        self._run = self._start(self._now)
        self._count += 1
        return True

    def proposal(self) -> Proposal:
        return self._joined(self._run.proposal())

    def _joined(self, latest: Proposal) -> Proposal:
        """The latest answer and those before it as one answer, in terms of the text that they began with."""
        before, cost = self._ended, self._ended.cost + latest.cost
        if not before.edits:
            return replace(latest, cost=cost)
        if not latest.edits:
            return replace(before, cost=cost)
        return replace(
            latest,
            edits=compose(before.edits, latest.edits, self._request.document.text),
            confidence=min(before.confidence, latest.confidence),
            cost=cost,
            regions=tuple(sorted({*before.regions, *(origin(r, before.edits) for r in latest.regions)})),
        )

    def frames(self) -> Sequence[Frame]:
        """A region keeps its number, so that a later reading is shown in the place of an earlier one."""
        found, self._last = [*self._last, *self._frames()], []
        return found

    def _frames(self) -> list[Frame]:
        found = [replace(frame, span=origin(frame.span, self._ended.edits)) for frame in self._run.frames()]
        return [replace(f, number=self._numbers.setdefault(f.span, len(self._numbers))) for f in found]

    def cost(self) -> Cost:
        return self._ended.cost + self._run.cost()

    def close(self) -> None:
        self._run.close()

    @property
    def progress(self) -> Progress:
        """That of the first reading, which is most of the work."""
        return self._run.progress if self._count == 1 else self._progress


def _applied(found: Proposal, request: Request) -> Request:
    """The request for the text that an answer makes."""
    task, document = request.task, request.document
    if isinstance(task, Refactor) and task.span is not None:
        # The regions may reach beyond what was selected, to whole lines.
        start = min(task.span.start, *(region.start for region in found.regions))
        end = max(task.span.end, *(region.end for region in found.regions))
        grown = sum(len(edit.new) - len(edit.span) for edit in found.edits)
        task = replace(task, span=Span(start, end + grown))
    text = apply(found.edits, document.text)
    return replace(request, task=task, document=replace(document, text=text, tree=None))
