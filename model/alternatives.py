"""Several answers to one completion: one run after the other, each begun with another first token.

The prompt is encoded once, since each run leaves it to the next (`model/cache.py`); the first answer is the one that a
request for a single one gets.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Protocol

from model.request import Cost, Frame, Progress, Proposal, Run


class Beginning(Run, Protocol):
    """A run that can tell what its answer begins with."""

    @property
    def first_token(self) -> int | None: ...


class Alternatives:
    """Runs until `count` different answers may be offered, at most twice as many or `most`; `start` begins one whose
    first token is none of those that it is given."""

    def __init__(self, start: Callable[[frozenset[int]], Beginning], count: int, most: int) -> None:
        self._start = start
        self._count = count
        self._most = min(2 * count, most)
        self._first: frozenset[int] = frozenset()
        self._runs = [start(self._first)]
        self._ended: list[Proposal] = []

    def step(self) -> bool:
        run = self._runs[-1]
        if run.step():
            return True
        self._ended.append(run.proposal())
        run.close()
        first = run.first_token
        if first is None or len(self._runs) == self._most or len(_different(self._ended)) == self._count:
            return False
        self._first |= {first}
        self._runs.append(self._start(self._first))
        return True

    def proposal(self) -> Proposal:
        """The first answer that may be offered, with the others as alternatives, the surest first."""
        running = [] if len(self._ended) == len(self._runs) else [self._runs[-1].proposal()]
        found = [*self._ended, *running]
        offered = _different(found)
        if not offered:
            return replace(found[0], cost=self.cost())
        best, *others = offered[: self._count]
        others.sort(key=lambda each: -each.confidence)
        return replace(best, alternatives=tuple(each.edits for each in others), cost=self.cost())

    def frames(self) -> Sequence[Frame]:
        """Those of the first answer."""
        return self._runs[0].frames()

    def cost(self) -> Cost:
        return sum((run.cost() for run in self._runs[1:]), self._runs[0].cost())

    def close(self) -> None:
        self._runs[-1].close()

    @property
    def progress(self) -> Progress:
        done = len(_different(self._ended))
        return Progress(done, self._count, f"{done} of {self._count} suggestions")


def _different(found: Sequence[Proposal]) -> list[Proposal]:
    """Those that may be offered, without the later ones of equals."""
    offered = {each.edits: each for each in reversed(found) if each.status == "offered"}
    return [each for each in found if offered.get(each.edits) is each]
