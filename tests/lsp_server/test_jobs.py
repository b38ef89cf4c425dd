"""The worker, step by step, with a fake engine whose gate the test opens: no sleeps, no timing."""

from __future__ import annotations

import threading
import time
from itertools import pairwise

import pytest

from lsp_server.jobs import Job, NotReadyError, Priority, Worker, WorkerStatus
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
