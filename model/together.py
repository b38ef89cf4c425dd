"""Several requests in one forward, the most urgent of which must not wait for the others.

Short stretches of rows are shared: there a forward's time is that of reading the weights, and a second sequence costs
little. Long ones (prompts, whole texts) are computed alone: the rows of a batch are as many as its longest sequence's.
Who joins begins one sequence in a step, since writing its prompt delays the first; and one that finds no cache to spare
waits. What goes wrong with one request is that one's outcome. Knows a back end's interface, neither prompts nor
policies.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from model.backends.interface import Backend, Candidates, Pass
from model.request import Outcome

_SHORT = 64
"""New rows of a sequence: a block that is committed and the next one."""


class Steps(Protocol):
    """A request between two forwards."""

    @property
    def is_finished(self) -> bool: ...

    def begin(self, more: int | None = None) -> list[Pass]:
        """What the next forward must run, with at most so many sequences more than there are (None: as many as it
        likes). Asked again before `end`, it says the same again."""
        ...

    def end(self, found: Sequence[Candidates], seconds: float) -> bool:
        """What the network said, and this request's share of the time; whether there is more to do."""
        ...


@dataclass(frozen=True)
class _Begun:
    place: int
    run: Steps
    passes: list[Pass]


def step_together(backend: Backend, runs: Sequence[Steps]) -> list[Outcome]:
    """One forward for the first run and for those others that fit into it; what came of each."""
    outcomes: list[Outcome] = [None] * len(runs)
    begun: list[_Begun] = []
    room = backend.batch
    for place, run in enumerate(runs):
        if begun and (room < 1 or not _is_short(begun[0].passes)):
            break
        try:
            passes = run.begin(1 if begun else None)
        except Exception as error:
            outcomes[place] = error
            continue
        if begun and (len(passes) > room or not _is_short(passes) or not (passes or run.is_finished)):
            continue  # it waits
        begun.append(_Begun(place, run, passes))
        room -= len(passes)
    began = time.perf_counter()
    answers = _forward(backend, begun)
    share = (time.perf_counter() - began) / max(1, len(begun))
    for each, found in zip(begun, answers, strict=True):
        outcomes[each.place] = _ended(each.run, found, share)
    return outcomes


def _is_short(passes: Sequence[Pass]) -> bool:
    return all(each.rows <= _SHORT for each in passes)


def _ended(run: Steps, found: list[Candidates] | Exception, seconds: float) -> Outcome:
    if isinstance(found, Exception):
        return found
    try:
        return run.end(found, seconds)
    except Exception as error:
        return error


def _forward(backend: Backend, begun: Sequence[_Begun]) -> list[list[Candidates] | Exception]:
    """What the network says of each; where all together fail, of each by itself, so that only who is to blame fails."""
    passes = [each for one in begun for each in one.passes]
    if not passes:
        return [[] for _ in begun]
    lengths = [each.cache.length for each in passes]
    try:
        found = iter(backend.forward(passes))
    except Exception as error:
        if len(begun) == 1:
            return [error]
        for each, length in zip(passes, lengths, strict=True):
            each.cache.truncate(length)  # some may have taken their tokens before another failed
        return [_forward(backend, [one])[0] for one in begun]
    return [[next(found) for _ in one.passes] for one in begun]
