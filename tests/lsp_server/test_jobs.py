"""The worker, step by step, with a fake engine whose gate the test opens: no sleeps, no timing."""

from __future__ import annotations

import threading
import time
from itertools import pairwise

import pytest

from lsp_server.job import Job, NotReadyError, Priority, WorkerStatus
from lsp_server.jobs import Worker
from lsp_server.settings import EngineOptions
from model.fake import FakeEngine
from model.request import Complete, Document, Refactor, Request

PATIENCE = 10


def request(text: str = "abc") -> Request:
    return Request(Document(text), Refactor("replace a with b"))


def job(priority: Priority = Priority.REFACTOR, key: object = None, **more: object) -> Job:
    return Job(request(), priority, key if key is not None else object(), **more)


@pytest.fixture
def engine() -> FakeEngine:
    return FakeEngine(steps=5, gated=True)


@pytest.fixture
def worker(engine):
    worker = Worker(lambda options, report: engine)
    worker.load(EngineOptions())
    yield worker
    engine.allow(-1)
    assert worker.close(PATIENCE)


def test_a_job_is_answered(worker, engine):
    engine.allow(-1)
    done = worker.submit(job())
    assert done.future.result(PATIENCE).status == "offered"
    assert done.steps == 5


def test_a_stop_ends_a_running_job_within_one_step(worker, engine):
    running = worker.submit(job())
    assert engine.wait_for(lambda c: c.steps_begun == 1)
    worker.stop(running)
    assert running.future.result(PATIENCE).status == "stopped"  # the client does not wait for the step
    later = worker.submit(job())
    engine.allow(-1)
    later.future.result(PATIENCE)
    assert engine.counts.steps == 1 + 5


def test_a_stop_removes_a_waiting_job_at_once(worker, engine):
    worker.submit(job())
    assert engine.wait_for(lambda c: c.steps_begun == 1)
    waiting = worker.submit(job())
    worker.stop(waiting)
    assert waiting.future.result(0).status == "stopped"
    engine.allow(-1)
    assert engine.wait_for(lambda c: c.steps == 5)
    assert engine.counts.runs == 1


def test_inline_completion_preempts_between_two_steps(worker, engine):
    order: list[str] = []
    slow = job(Priority.REFACTOR, on_progress=lambda p: order.append("refactor"))
    worker.submit(slow)
    assert engine.wait_for(lambda c: c.steps_begun == 1)
    fix = worker.submit(job(Priority.FIX, on_progress=lambda p: order.append("fix")))
    quick = worker.submit(job(Priority.INLINE, on_progress=lambda p: order.append("inline")))
    engine.allow(-1)
    for each in (quick, fix, slow):
        assert each.future.result(PATIENCE).status == "offered"
    assert order == ["refactor", *["inline"] * 5, *["fix"] * 5, *["refactor"] * 4]


def test_a_newer_job_with_the_same_key_supersedes(worker, engine):
    older = worker.submit(job(key="same"))
    other = worker.submit(job(key="other"))
    assert engine.wait_for(lambda c: c.steps_begun == 1)
    newer = worker.submit(job(key="same"))
    assert "newer" in older.future.result(0).message
    engine.allow(-1)
    assert newer.future.result(PATIENCE).status == "offered"
    assert other.future.result(PATIENCE).status == "offered"
    assert older.steps == 1


def test_a_deadline_ends_a_job_after_the_step_that_passes_it(worker, engine):
    late = worker.submit(job(deadline=time.monotonic() + 3600))
    assert engine.wait_for(lambda c: c.steps_begun == 1)
    late.deadline = 0.0
    engine.allow(-1)
    proposal = late.future.result(PATIENCE)
    assert proposal.status == "stopped"
    assert "time" in proposal.message
    assert late.steps == 1


def test_a_job_that_goes_on_is_answered_at_its_deadline_and_finished_behind_it(worker, engine):
    """The least urgent work of all from then on: a fix that comes meanwhile goes first."""
    order: list[str] = []
    note = order.append
    late = job(
        Priority.INLINE, deadline=time.monotonic() + 3600, on_progress=lambda p: note("late"), goes_on=True
    )
    worker.submit(late)
    assert engine.wait_for(lambda c: c.steps_begun == 1)
    late.deadline = 0.0
    fix = worker.submit(job(Priority.FIX, on_progress=lambda p: note("fix")))
    engine.allow(-1)
    assert late.future.result(PATIENCE).status == "stopped"
    assert fix.future.result(PATIENCE).status == "offered"
    assert late.ended.result(PATIENCE).status == "offered"
    assert order == ["late", *["fix"] * 5, *["late"] * 4]


def test_a_job_that_goes_on_may_begin_behind_its_deadline(worker, engine):
    late = worker.submit(job(deadline=0.0, goes_on=True))
    assert late.future.result(PATIENCE).status == "stopped"
    assert not late.ended.done()
    engine.allow(-1)
    assert late.ended.result(PATIENCE).status == "offered"


def test_a_newer_job_ends_one_that_goes_on(worker, engine):
    late = worker.submit(job(key="same", deadline=0.0, goes_on=True))
    assert engine.wait_for(lambda c: c.steps_begun == 1)
    newer = worker.submit(job(key="same"))
    assert late.ended.result(0).status == "stopped"
    engine.allow(-1)
    assert newer.future.result(PATIENCE).status == "offered"
    assert late.steps == 1


def test_who_asks_again_gets_what_the_work_comes_to(worker, engine):
    late = worker.submit(job(deadline=0.0, goes_on=True))
    assert late.future.result(PATIENCE).status == "stopped"
    worker.renew(late, Priority.INLINE, time.monotonic() + 3600)
    assert not late.future.done()
    engine.allow(-1)
    assert late.future.result(PATIENCE).status == "offered"
    worker.renew(late, Priority.INLINE, 0.0)
    assert late.future.result(0).status == "offered"
    assert engine.counts.runs == 1


def test_an_error_behind_a_deadline_is_logged(caplog):
    engine = FakeEngine(steps=5, gated=True, crash="the wheels came off")
    worker = Worker(lambda options, report: engine)
    worker.load(EngineOptions())
    late = worker.submit(job(deadline=0.0, goes_on=True))
    assert late.future.result(PATIENCE).status == "stopped"
    engine.allow(-1)
    assert isinstance(late.ended.exception(PATIENCE), RuntimeError)
    assert "the wheels came off" in caplog.text
    assert worker.close(PATIENCE)


def test_an_overdue_job_never_begins(worker, engine):
    late = worker.submit(job(deadline=0.0))
    assert late.future.result(PATIENCE).status == "stopped"
    assert engine.counts.steps_begun == 0


def test_an_error_in_a_step_fails_that_job_only(worker, engine):
    engine.allow(-1)
    broken = Job(Request(Document("abc"), object()), Priority.FIX, "broken")  # type: ignore[arg-type]
    worker.submit(broken)
    with pytest.raises(AttributeError):
        broken.future.result(PATIENCE)
    assert worker.submit(job()).future.result(PATIENCE).status == "offered"


def test_a_failed_load_fails_the_jobs_and_can_be_tried_again():
    outcomes = [RuntimeError("truncated file"), FakeEngine()]
    begun = threading.Event()

    def load(options, report):
        begun.wait(PATIENCE)
        outcome = outcomes.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    worker = Worker(load)
    worker.load(EngineOptions())
    early = worker.submit(job())
    begun.set()
    with pytest.raises(NotReadyError, match="truncated file"):
        early.future.result(PATIENCE)
    with pytest.raises(NotReadyError, match="truncated file"):
        worker.submit(job()).future.result(PATIENCE)
    ready = threading.Event()
    worker.listen(lambda status: ready.set() if status.state == "ready" else None)
    worker.load(EngineOptions())
    assert ready.wait(PATIENCE)
    assert worker.submit(job()).future.result(PATIENCE).status == "offered"
    assert worker.close()


def test_a_submit_during_a_failed_load_is_answered():
    """Between emptying the queue and telling the listeners of the error, no job may slip in unseen."""
    late: list[Job] = []

    def load(options, report):
        raise RuntimeError("truncated file")

    class Listening(Worker):
        def _set_status(self, status):
            if status.state == "error":
                late.append(self.submit(job()))
            super()._set_status(status)

    worker = Listening(load)
    worker.listen(lambda s: late.append(worker.submit(job())) if s.state == "error" else None)
    begun = worker.submit(job())
    worker.load(EngineOptions())
    with pytest.raises(NotReadyError):
        begun.future.result(PATIENCE)
    assert worker.close(PATIENCE)
    assert late
    for each in late:
        with pytest.raises(NotReadyError, match="truncated file"):
            each.future.result(0)


class ClosingEngine(FakeEngine):
    """Notes on which thread each run was closed, and after how many steps."""

    def __init__(self, **more):
        super().__init__(**more)
        self.closed: list[tuple[str, int]] = []
        self.news = threading.Condition()

    def start(self, request):
        run = super().start(request)

        def close():
            with self.news:
                self.closed.append((threading.current_thread().name, run.progress.done))
                self.news.notify_all()

        run.close = close
        return run

    def closes(self, number: int) -> list[tuple[str, int]]:
        with self.news:
            assert self.news.wait_for(lambda: len(self.closed) >= number, PATIENCE)
            return list(self.closed)


@pytest.fixture
def closing():
    engine = ClosingEngine(steps=5, gated=True)
    worker = Worker(lambda options, report: engine)
    worker.load(EngineOptions())
    yield worker, engine
    engine.allow(-1)
    assert worker.close(PATIENCE)


def test_a_run_is_closed_when_its_job_is_done(closing):
    worker, engine = closing
    engine.allow(-1)
    worker.submit(job())
    assert engine.closes(1) == [("redraft-worker", 5)]


def test_a_stopped_and_a_superseded_run_are_closed(closing):
    worker, engine = closing
    running = worker.submit(job())
    assert engine.wait_for(lambda c: c.steps_begun == 1)
    worker.stop(running)
    engine.allow(1)
    assert engine.closes(1) == [("redraft-worker", 1)]
    worker.submit(job(key="same"))
    assert engine.wait_for(lambda c: c.steps_begun == 2)
    worker.submit(job(key="same"))
    engine.allow(1)
    assert engine.closes(2)[1] == ("redraft-worker", 1)


def test_an_overdue_run_is_closed(closing):
    worker, engine = closing
    late = worker.submit(job(deadline=time.monotonic() + 3600))
    assert engine.wait_for(lambda c: c.steps_begun == 1)
    late.deadline = 0.0
    engine.allow(1)
    assert engine.closes(1) == [("redraft-worker", 1)]


def test_a_preempted_run_that_is_stopped_is_closed_on_the_workers_thread(closing):
    worker, engine = closing
    slow = worker.submit(job(Priority.REFACTOR))
    assert engine.wait_for(lambda c: c.steps_begun == 1)
    worker.submit(job(Priority.INLINE))
    engine.allow(1)
    assert engine.wait_for(lambda c: c.steps_begun == 2)  # the inline job is being stepped
    worker.stop(slow)
    assert engine.closed == []
    engine.allow(1)
    assert engine.closes(1) == [("redraft-worker", 1)]


def test_runs_of_an_engine_that_is_replaced_are_closed_before_the_other_is_loaded():
    first, second = ClosingEngine(steps=5, gated=True), FakeEngine(steps=5)
    closed: list[int] = []

    def load(options, report):
        closed.append(len(first.closed))
        return second if options.model else first

    worker = Worker(load)
    worker.load(EngineOptions())
    slow = worker.submit(job())
    assert first.wait_for(lambda c: c.steps_begun == 1)
    worker.load(EngineOptions(model="other"))
    first.allow(1)
    assert slow.future.result(PATIENCE).status == "offered"
    assert first.closes(1) == [("redraft-worker", 1)]
    assert closed == [0, 1]
    assert worker.close(PATIENCE)


def test_closing_the_worker_closes_runs_that_were_preempted():
    engine = ClosingEngine(steps=5, gated=True)
    worker = Worker(lambda options, report: engine)
    worker.load(EngineOptions())
    worker.submit(job(Priority.REFACTOR))
    assert engine.wait_for(lambda c: c.steps_begun == 1)
    worker.submit(job(Priority.INLINE))
    engine.allow(1)
    assert engine.wait_for(lambda c: c.steps_begun == 2)
    assert not worker.close(0)
    engine.allow(-1)
    assert worker.close(PATIENCE)
    assert sorted(engine.closed) == [("redraft-worker", 1), ("redraft-worker", 1)]


def test_statuses_come_in_order_and_only_when_they_change():
    seen: list[WorkerStatus] = []
    idle = threading.Event()

    def listen(status: WorkerStatus) -> None:
        seen.append(status)
        if status.state == "ready" and [s.state for s in seen].count("ready") == 2:
            idle.set()

    def load(options, report):
        report("half", 0.5)
        return FakeEngine()

    worker = Worker(load)
    worker.listen(listen)
    worker.load(EngineOptions())
    worker.submit(job()).future.result(PATIENCE)
    assert idle.wait(PATIENCE)
    assert [s.state for s in seen if s.state != "loading"] == ["ready", "busy", "ready"]
    assert WorkerStatus("loading", "half", 0.5) in seen
    assert all(a != b for a, b in pairwise(seen))
    assert worker.close()


def test_other_options_load_another_engine_and_the_same_do_not():
    loaded: list[str] = []
    engines = {"a": FakeEngine(completion="a"), "b": FakeEngine(completion="b")}

    def load(options, report):
        loaded.append(options.model)
        return engines[options.model]

    worker = Worker(load)
    for model in ("a", "a", "b"):
        worker.load(EngineOptions(model=model))
        ask = Job(Request(Document(""), Complete(0)), Priority.INLINE, object())
        assert worker.submit(ask).future.result(PATIENCE).edits[0].new == model
    assert loaded == ["a", "b"]
    assert worker.close()


def test_closing_stops_everything(worker, engine):
    running, waiting = worker.submit(job()), worker.submit(job())
    assert engine.wait_for(lambda c: c.steps_begun == 1)
    assert not worker.close(0)  # the step is still held
    assert {j.future.result(0).status for j in (running, waiting)} == {"stopped"}
    with pytest.raises(NotReadyError):
        worker.submit(job()).future.result(0)
