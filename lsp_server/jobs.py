"""The worker: one thread that owns the engine and picks the next run at every step.

Inline completion outranks fixes, fixes outrank refactorings; a more urgent job pre-empts a running one
between two steps. Where the engine says that several runs are worth one step, the most urgent ones are stepped
together. A newer job with the same key supersedes the older one. A stop or a deadline is read between steps. Idle,
the thread sleeps on a condition. Knows nothing of LSP; the engine is whatever `load` returns.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from itertools import count

from lsp_server.job import Job, NotReadyError, Priority, WorkerStatus, close_all, next_step
from lsp_server.settings import EngineOptions
from model.request import BusyError, Engine, Outcome, Proposal, Run

logger = logging.getLogger(__name__)

Report = Callable[[str, float], None]
Load = Callable[[EngineOptions, Report], Engine]


class Worker:
    """Owns the engine on one thread. Every public method may be called from any thread and never blocks on
    it."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self._engine: Engine | None = None
        self._wanted: EngineOptions | None = None
        self._loaded: EngineOptions | None = None
        self._status = WorkerStatus("stopped")
        self._listeners: list[Callable[[WorkerStatus], None]] = []
        self._jobs: list[Job] = []
        self._current: list[Job] = []
        self._ended: list[Run] = []  # of stopped jobs, to be closed on the worker's thread
        self._numbers = count()
        self._closed = False
        self.worked = 0.0
        """Seconds of all work so far, for benchmarks."""
        self._wake = threading.Condition()
        self._thread = threading.Thread(target=self._work, name="redraft-worker", daemon=True)

    @property
    def status(self) -> WorkerStatus:
        return self._status

    @property
    def engine(self) -> Engine | None:
        return self._engine

    @property
    def pending(self) -> int:
        """Jobs that are not finished."""
        with self._wake:
            return len(self._jobs)

    @property
    def options(self) -> EngineOptions | None:
        """The options of the engine that is loaded or being loaded."""
        return self._wanted or self._loaded

    def listen(self, listener: Callable[[WorkerStatus], None]) -> Callable[[], None]:
        """Call `listener` at every change of status, on the worker's thread; the result ends that."""
        with self._wake:
            self._listeners.append(listener)

        def forget() -> None:
            with self._wake:
                if listener in self._listeners:
                    self._listeners.remove(listener)

        return forget

    def load(self, options: EngineOptions) -> None:
        """Load the engine, or another one; the same options again change nothing, unless loading had
        failed."""
        with self._wake:
            if self._closed or (options == self.options and self._status.state != "error"):
                return
            self._wanted = options
            if not self._thread.is_alive():
                self._status = WorkerStatus("loading", "Loading the model.")
                self._thread.start()
            self._wake.notify_all()

    def submit(self, job: Job) -> Job:
        """Queue a job; an unfinished one with the same key is stopped. The result arrives in `job.future`."""
        with self._wake:
            for older in [j for j in self._jobs if j.key == job.key]:
                self._stop(older, "Superseded by a newer request.")
            job.number = next(self._numbers)
            if self._closed or self._status.state == "error":
                job.fail(NotReadyError(self._status.message or "The worker has stopped."))
                return job
            self._jobs.append(job)
            self._wake.notify_all()
        return job

    def stop(self, job: Job) -> None:
        """End a job: at once if it waits, after the step that is running if it runs."""
        with self._wake:
            self._stop(job, "Cancelled.")

    def renew(self, job: Job, priority: Priority, deadline: float) -> None:
        """Ask for a job's answer once more, or more urgently: what it came to, if it has ended, else by `deadline`."""
        with self._wake:
            if job.ended.done():
                job.future = job.ended
                return
            if job.future.done():
                job.future = Future()
            job.priority, job.deadline = priority, deadline

    def close(self, timeout: float = 2.0) -> bool:
        """Stop everything and end the thread; False if its step does not end within `timeout` seconds."""
        with self._wake:
            self._closed = True
            for job in list(self._jobs):
                self._stop(job, "The server is shutting down.")
            self._wake.notify_all()
        if self._thread.is_alive():
            self._thread.join(timeout)
        return not self._thread.is_alive()

    def _stop(self, job: Job, why: str) -> None:
        """Mark and answer a job. Called with the lock held; the one being stepped leaves the list after
        its step."""
        job.stopped = True
        if job not in self._current and job in self._jobs:
            self._jobs.remove(job)
            if job.run is not None:
                self._ended.append(job.run)
                job.run = None
                self._wake.notify_all()
        job.finish(Proposal("stopped", message=why))

    def _work(self) -> None:
        while True:
            with self._wake:
                self._wake.wait_for(lambda: self._closed or self._wanted or self._ended or self._runnable())
                ended, self._ended = self._ended, []
                wanted, is_closed = self._wanted, self._closed
                jobs = self._pick() if wanted is None and self._runnable() and not is_closed else []
            close_all(ended)
            if is_closed:
                return
            if wanted is not None:
                self._load_engine(wanted)
            elif jobs:
                self._advance(jobs)

    def _runnable(self) -> bool:
        return self._engine is not None and bool(self._jobs)

    def _pick(self) -> list[Job]:
        """What to step next. Called with the lock held."""
        assert self._engine is not None
        self._current = next_step(self._jobs, self._engine.batch)
        return self._current

    def _advance(self, jobs: Sequence[Job]) -> None:
        """One step of each job, and the answers of those that it was the last of."""
        self._set_status(WorkerStatus("busy"))
        began = time.perf_counter()
        done = self._step(jobs)
        self.worked += time.perf_counter() - began
        with self._wake:
            late = [job for job in self._jobs if job not in jobs and job.overdue]
        expired = [job for job in late if job.expire()]
        with self._wake:
            self._current = []
            ended = [job for job, is_done in zip(jobs, done, strict=True) if is_done or job.stopped] + expired
            self._jobs = [job for job in self._jobs if job not in ended]
            idle = not self._jobs
        for job in ended:
            job.release()
        if idle:
            self._set_status(WorkerStatus("ready", self._engine.description if self._engine else "", 1.0))

    def _step(self, jobs: Sequence[Job]) -> list[bool]:
        """One forward for the first job and those that fit into it; whether each has been answered. Of those that
        have not begun the first does so before it, the others when its outcome is told."""
        head = jobs[0]
        ready = [job for job in jobs if job.run is not None or (job is head and self._begin(job))]
        outcomes = dict(zip(map(id, ready), self._outcomes(ready), strict=True))
        done = {id(job): self._take(job, outcomes[id(job)]) for job in ready}
        return [done[id(job)] if id(job) in done else not self._begin(job) for job in jobs]

    def _outcomes(self, jobs: Sequence[Job]) -> Sequence[Outcome]:
        assert self._engine is not None
        runs = [job.run for job in jobs if job.run is not None]
        try:
            return self._engine.step(runs) if runs else []
        except Exception as error:
            return [error for _ in runs]

    def _begin(self, job: Job) -> bool:
        """Whether there is a run to be stepped; else the job has been answered."""
        assert self._engine is not None
        if job.run is not None:
            return True
        try:
            if job.overdue and job.expire():
                return False
            job.run = self._engine.start(job.request)
        except Exception as error:
            job.fail(error)
        return job.run is not None

    def _make_room(self, job: Job) -> bool:
        """Let the least urgent other run give up what it holds; it begins anew. False where there is none."""
        with self._wake:
            others = [each for each in self._jobs if each is not job and each.run is not None]
        if not others:
            return False
        max(others, key=lambda each: (each.priority, each.number)).release()
        job.release()
        return True

    def _take(self, job: Job, outcome: Outcome) -> bool:
        """What a step came to; True when the job has been answered."""
        try:
            if job.run is None or (isinstance(outcome, BusyError) and self._make_room(job)):
                return job.stopped  # else it begins anew
            if isinstance(outcome, Exception):
                raise outcome
            return self._taken(job, outcome)
        except Exception as error:
            job.fail(error)
            return True

    def _taken(self, job: Job, more: bool | None) -> bool:
        assert job.run is not None
        job.steps += more is not None
        if job.stopped:
            return True
        if more is not None:
            self._tell(job, job.run)
        if more is False:
            job.finish(job.run.proposal())
            return True
        return job.overdue and job.expire()

    def _tell(self, job: Job, run: Run) -> None:
        if job.on_progress is not None:
            job.on_progress(run.progress)
        if job.on_frames is not None and (frames := run.frames()):
            job.on_frames(frames, run.cost())

    def _load_engine(self, options: EngineOptions) -> None:
        """Replace the engine. Running jobs begin anew with it; if it cannot be loaded, all jobs fail with
        the reason."""
        self._engine = None
        with self._wake:
            begun, self._ended = [*self._ended, *(job.run for job in self._jobs if job.run is not None)], []
            for job in self._jobs:
                job.run = None
        close_all(begun)  # before the other engine takes memory, since a run holds the old one's
        self._set_status(WorkerStatus("loading", "Loading the model."))
        try:
            engine = self._load(
                options, lambda what, done: self._set_status(WorkerStatus("loading", what, done))
            )
        except Exception as error:
            self._fail(options, str(error) or type(error).__name__)
            return
        with self._wake:
            self._engine, self._loaded = engine, options
            if self._wanted == options:
                self._wanted = None
        self._set_status(WorkerStatus("ready", engine.description, 1.0))

    def _fail(self, options: EngineOptions, why: str) -> None:
        with self._wake:
            self._loaded = options
            if self._wanted == options:
                self._wanted = None
            failed, self._jobs = self._jobs, []
            self._status = status = WorkerStatus("error", why)  # from here on `submit` refuses
            listeners = tuple(self._listeners)
        for job in failed:
            job.fail(NotReadyError(why))
        for listener in listeners:
            listener(status)

    def _set_status(self, status: WorkerStatus) -> None:
        with self._wake:
            if status == self._status:
                return
            self._status = status
            listeners = tuple(self._listeners)
        for listener in listeners:
            listener(status)
