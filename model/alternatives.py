"""Several answers to one completion: one run after the other, each begun with another first token.

The prompt is encoded once, since each run leaves it to the next (`model/cache.py`); the first answer is the one that a
request for a single one gets.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from model.request import Cost, Frame, Progress, Proposal, Run


class Alternatives:
    """At most `count` runs; `start` begins the one whose first token is the network's choice of that rank."""

    def __init__(self, start: Callable[[int], Run], count: int) -> None:
        self._start = start
        self._count = count
        self._runs = [start(0)]

    def step(self) -> bool:
        if self._runs[-1].step():
            return True
        self._runs[-1].close()
        if len(self._runs) == self._count or self._runs[0].proposal().status == "declined":
            return False
        self._runs.append(self._start(len(self._runs)))
        return True

    def proposal(self) -> Proposal:
        """The first answer that may be offered, with the others as alternatives, the surest first."""
        first, *others = [run.proposal() for run in self._runs]
        offered = [each for each in (first, *others) if each.status == "offered"]
        if not offered:
            return replace(first, cost=self.cost())
        best = offered[0]
        more = sorted(offered[1:], key=lambda each: -each.confidence)
        distinct = dict.fromkeys(each.edits for each in more if each.edits != best.edits)
        return replace(best, alternatives=tuple(distinct), cost=self.cost())

    def frames(self) -> Sequence[Frame]:
        """Those of the first answer."""
        return self._runs[0].frames()

    def cost(self) -> Cost:
        return sum((run.cost() for run in self._runs[1:]), self._runs[0].cost())

    def close(self) -> None:
        self._runs[-1].close()

    @property
    def progress(self) -> Progress:
        done = len(self._runs) - 1
        return Progress(done, self._count, f"{done} of {self._count} suggestions")
