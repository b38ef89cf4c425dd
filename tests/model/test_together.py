"""Requests that share a forward: who has a part in it, and what one's failure means for the others."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from model.backends.interface import TOP_K, Backend, Candidates, Pass
from model.cache import KVCache
from model.config import ModelConfig
from model.together import step_together

NOTHING = np.zeros((0, TOP_K))


class Counting(Backend):
    """Takes a pass's causal tokens into its cache and fails at a token -1, after those before it were taken."""

    def __init__(self, batch: int = 8) -> None:
        self.config = ModelConfig("none", 8, 8, 1, 1, 1, 8, 8, context=1000, region_limit=64)
        self.batch = batch
        self.forwards: list[int] = []

    def new_cache(self, capacity: int) -> KVCache:
        return KVCache(np.zeros((1, 2, 1, capacity, 8), np.float32))

    def forward(self, passes: Sequence[Pass]) -> list[Candidates]:
        self.forwards.append(len(passes))
        for each in passes:
            if -1 in each.causal:
                raise RuntimeError("out of memory")
            each.cache.append(each.causal, np.zeros((1, 2, 1, len(each.causal), 8)))
        return [Candidates(NOTHING.astype(np.int64), NOTHING, np.zeros(0)) for _ in passes]


class Asking:
    """A request whose sequences all ask for the same rows."""

    def __init__(
        self,
        backend: Backend,
        rows: int = 4,
        count: int = 1,
        token: int = 7,
        broken: str = "",
        is_crowded: bool = False,
    ) -> None:
        self.caches = [backend.new_cache(1000) for _ in range(count)]
        self._tokens = [token] * rows
        self._allowed = np.zeros(8, np.float32)
        self._broken = broken
        self._is_crowded = is_crowded
        self.ended = 0

    @property
    def is_finished(self) -> bool:
        return not self.caches

    def begin(self, more: int | None = None) -> list[Pass]:
        if self._broken == "begin":
            raise ValueError("too long")
        if self._is_crowded and more is not None:
            return []
        return [Pass(cache, self._tokens, (), (), self._allowed) for cache in self.caches]

    def end(self, found: Sequence[Candidates], seconds: float) -> bool:
        if self._broken == "end":
            raise ValueError("no such token")
        self.ended += 1
        return bool(found)

    @property
    def taken(self) -> list[int]:
        return [cache.length for cache in self.caches]


def test_short_stretches_share_a_forward():
    backend = Counting()
    runs = [Asking(backend), Asking(backend, rows=64, count=3), Asking(backend, rows=1)]
    assert step_together(backend, runs) == [True, True, True]
    assert backend.forwards == [5]
    assert [run.taken for run in runs] == [[4], [64, 64, 64], [1]]


def test_a_long_one_waits_and_holds_up_nobody():
    backend = Counting()
    assert step_together(backend, [Asking(backend), Asking(backend, rows=65), Asking(backend)]) == [
        True,
        None,
        True,
    ]
    assert backend.forwards == [2]


def test_a_long_first_one_is_alone():
    backend = Counting()
    others = [Asking(backend, rows=65), Asking(backend)]
    assert step_together(backend, [Asking(backend, rows=65), *others]) == [True, None, None]
    assert backend.forwards == [1]
    assert [run.ended for run in others] == [0, 0]


def test_there_are_no_more_sequences_than_the_back_end_takes():
    backend = Counting(batch=4)
    runs = [Asking(backend, count=n) for n in (2, 3, 2, 1)]
    assert step_together(backend, runs) == [True, None, True, None]
    assert backend.forwards == [4]


def test_the_first_is_stepped_however_many_sequences_it_has():
    backend = Counting(batch=1)
    assert step_together(backend, [Asking(backend, count=3), Asking(backend)]) == [True, None]
    assert backend.forwards == [3]


@pytest.mark.parametrize("where", ["begin", "end"])
def test_one_that_cannot_begin_or_end_fails_alone(where: str):
    backend = Counting()
    first, broken, last = step_together(
        backend, [Asking(backend), Asking(backend, broken=where), Asking(backend)]
    )
    assert isinstance(broken, ValueError)
    assert first is last is True


def test_where_the_first_cannot_begin_the_next_is_stepped():
    backend = Counting()
    broken, next_one = step_together(backend, [Asking(backend, broken="begin"), Asking(backend, rows=100)])
    assert isinstance(broken, ValueError)
    assert next_one is True


def test_a_forward_that_fails_is_tried_for_each_alone_and_nothing_is_taken_twice():
    backend = Counting()
    runs = [Asking(backend), Asking(backend, token=-1), Asking(backend)]
    first, guilty, last = step_together(backend, runs)
    assert isinstance(guilty, RuntimeError)
    assert first is last is True
    assert backend.forwards == [3, 1, 1, 1]
    assert [run.taken for run in runs] == [[4], [0], [4]]


def test_one_alone_that_fails_is_not_tried_again():
    backend = Counting()
    [outcome] = step_together(backend, [Asking(backend, token=-1)])
    assert isinstance(outcome, RuntimeError)
    assert backend.forwards == [1]


def test_a_run_that_has_ended_needs_no_forward():
    backend = Counting()
    assert step_together(backend, [Asking(backend, count=0)]) == [False]
    assert backend.forwards == []


def test_one_that_finds_no_cache_to_spare_waits_and_has_not_ended():
    backend = Counting()
    crowded = Asking(backend, is_crowded=True)
    assert step_together(backend, [Asking(backend), crowded, Asking(backend)]) == [True, None, True]
    assert crowded.ended == 0
    assert step_together(backend, [crowded]) == [True]
