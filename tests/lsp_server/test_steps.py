"""Jobs that are stepped together: who joins whose step, and what one's failure means for the others."""

from __future__ import annotations

import weakref
from collections.abc import Callable

import pytest

from lsp_server.job import Job, Priority, next_step
from lsp_server.jobs import Worker
from lsp_server.settings import EngineOptions
from model.fake import FakeEngine
from model.request import BusyError, Document, Outcome, Refactor, Request, Run

PATIENCE = 10


def job(priority: Priority = Priority.REFACTOR, run: Run | None = None, number: int = 0) -> Job:
    request = Request(Document("abc"), Refactor("replace a with b"))
    return Job(request, priority, object(), run=run, number=number)


def begun(priority: Priority, number: int) -> Job:
    return job(priority, FakeEngine().start(Request(Document(""), Refactor(""))), number)


def test_who_has_begun_joins_a_more_urgent_one_and_who_has_not_waits():
    head = job(Priority.INLINE, number=5)
    going, waiting = begun(Priority.REFACTOR, 1), job(Priority.FIX, number=2)
    assert next_step([going, waiting, head], 8) == [head, going]


def test_of_equals_one_begins_at_each_step():
    head, *others = [job(number=n) for n in range(4)]
    assert next_step([*others, head], 8) == [head, others[0]]


def test_what_is_prepared_ahead_joins_nothing_more_urgent():
    ahead, later = begun(Priority.AHEAD, 0), begun(Priority.AHEAD, 1)
    assert next_step([ahead, begun(Priority.REFACTOR, 2)], 8)[1:] == []
    assert next_step([ahead, later], 8) == [ahead, later]


def test_a_step_has_as_many_as_the_engine_takes():
    jobs = [begun(Priority.FIX, n) for n in range(4)]
    assert next_step(jobs, 3) == jobs[:3]
    assert next_step(jobs, 1) == jobs[:1]


def test_jobs_are_stepped_together_and_one_that_is_stopped_leaves_the_others_to_go_on():
    engine = FakeEngine(steps=3, gated=True, batch=3)
    worker = Worker(lambda options, report: engine)
    worker.load(EngineOptions())
    first = worker.submit(job())
    assert engine.wait_for(lambda c: c.steps_begun == 1)
    urgent, second, third, last = [
        worker.submit(job(priority))
        for priority in (Priority.INLINE, Priority.REFACTOR, Priority.REFACTOR, Priority.REFACTOR)
    ]
    worker.stop(third)
    engine.allow(-1)
    for each in (first, urgent, second, last):
        assert each.future.result(PATIENCE).status == "offered"
    assert third.future.result(PATIENCE).status == "stopped"
    # The first alone, then with the urgent one, which ends it; the others begin one by one.
    assert engine.stepped == [1, 2, 2, 1, 1, 2, 2, 1]
    assert urgent.steps == first.steps == second.steps == last.steps == 3
    assert worker.close(PATIENCE)


def together(change: Callable[[list[Outcome]], list[Outcome]], steps: int = 3) -> tuple[Job, Job]:
    """Two jobs that have been stepped together once, the outcomes of which were changed."""
    engine = FakeEngine(steps=steps, gated=True, batch=2)
    worker = Worker(lambda options, report: engine)
    worker.load(EngineOptions())
    first = worker.submit(job())
    assert engine.wait_for(lambda c: c.steps_begun == 1)
    second = worker.submit(job())
    step = engine.step

    def changed(runs):
        if len(runs) < 2:
            return step(runs)
        engine.step = step  # type: ignore[method-assign]
        return change(step(runs))

    engine.step = changed  # type: ignore[method-assign]
    engine.allow(-1)
    for each in (first, second):
        each.ended.exception(PATIENCE)
    assert worker.submit(job()).future.result(PATIENCE).status == "offered"
    assert worker.close(PATIENCE)
    return first, second


def test_one_that_fails_fails_alone():
    def fails(outcomes: list[Outcome]) -> list[Outcome]:
        return [outcomes[0], RuntimeError("out of memory")]

    first, second = together(fails)
    assert first.future.result().status == "offered"
    with pytest.raises(RuntimeError, match="out of memory"):
        second.future.result()


def test_one_that_had_no_part_in_a_step_has_not_been_stepped():
    first, second = together(lambda outcomes: [outcomes[0], None])
    assert (first.steps, second.steps) == (3, 2)


def test_an_engine_that_fails_as_a_whole_fails_all_of_the_step():
    def fails(outcomes: list[Outcome]) -> list[Outcome]:
        raise RuntimeError("the device has fallen off the bus")

    for each in together(fails):
        with pytest.raises(RuntimeError, match="fallen off"):
            each.future.result()


def test_one_without_room_gets_that_of_the_least_urgent_which_begins_anew():
    busy = [BusyError("all 2 caches are in use")]
    first, second = together(lambda outcomes: [outcomes[0], *busy], steps=5)
    assert first.future.result().status == second.future.result().status == "offered"
    assert (first.steps, second.steps) == (3 + 5, 5)  # of the first's steps three were in vain


def test_one_without_room_fails_where_nobody_else_has_any():
    engine = FakeEngine(steps=3)
    engine.step = lambda runs: [BusyError("all 2 caches are in use")]  # type: ignore[method-assign]
    worker = Worker(lambda options, report: engine)
    worker.load(EngineOptions())
    with pytest.raises(BusyError, match="all 2 caches"):
        worker.submit(job()).future.result(PATIENCE)
    assert worker.close(PATIENCE)


@pytest.mark.parametrize("goes_on", [False, True])
def test_one_that_waits_is_answered_at_its_deadline(goes_on: bool):
    engine = FakeEngine(steps=3, gated=True)
    worker = Worker(lambda options, report: engine)
    worker.load(EngineOptions())
    running = worker.submit(job(Priority.INLINE))
    assert engine.wait_for(lambda c: c.steps_begun == 1)
    waiting = job()
    waiting.goes_on = goes_on
    worker.submit(waiting)
    waiting.deadline = 0.0
    engine.allow(1)
    assert engine.wait_for(lambda c: c.steps_begun == 2)
    assert waiting.future.result(0).status == "stopped"
    assert waiting.ended.done() is not goes_on
    engine.allow(-1)
    assert running.future.result(PATIENCE).status == "offered"
    assert not goes_on or waiting.ended.result(PATIENCE).status == "offered"
    assert worker.close(PATIENCE)


def test_nothing_of_an_engine_is_held_while_another_is_loaded():
    runs: list[weakref.ref[Run]] = []
    alive: list[list[bool]] = []

    class Watched(FakeEngine):
        def start(self, request):
            run = super().start(request)
            runs.append(weakref.ref(run))
            return run

    first = Watched(steps=5, gated=True)

    def load(options, report):
        alive.append([run() is not None for run in runs])
        return FakeEngine() if options.model else first

    worker = Worker(load)
    worker.load(EngineOptions())
    stopped, running = worker.submit(job()), worker.submit(job(Priority.INLINE))
    assert first.wait_for(lambda c: c.steps_begun == 1)
    worker.stop(stopped)
    worker.load(EngineOptions(model="other"))
    first.allow(-1)
    assert running.future.result(PATIENCE).status == "offered"
    assert stopped.run is None
    assert not any(alive[1])
    assert worker.close(PATIENCE)
