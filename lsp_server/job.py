"""What the worker's queue holds: a job, how urgent it is, and how the worker is. Only the worker changes a job."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Literal

from model.request import Cost, Frame, Progress, Proposal, Request, Run

logger = logging.getLogger(__name__)


class Priority(IntEnum):
    """Lower runs first."""

    INLINE = 0
    FIX = 1
    REFACTOR = 2
    AHEAD = 3  # prepared before anyone asked


@dataclass(frozen=True)
class WorkerStatus:
    """What the worker is doing. `done` is the loaded fraction; `message` says what is wrong and what to
    do."""

    state: Literal["stopped", "loading", "ready", "busy", "error"]
    message: str = ""
    done: float = 0.0


class NotReadyError(Exception):
    """The engine could not be loaded, or the worker has been closed; the message says which and what to
    do."""


@dataclass(eq=False)
class Job:
    """One request on its way through the worker. `key` names what it supersedes; `deadline` is monotonic
    time; `on_frames` is shown, on the worker's thread, what each step changed and the costs so far.

    `future` is the answer, at the latest with the step that passes the deadline; `ended` is what the work came to. They
    differ only where `goes_on`: such a job is answered at its deadline with what there is and worked on as the least
    urgent one."""

    request: Request
    priority: Priority
    key: object
    deadline: float | None = None
    on_progress: Callable[[Progress], None] | None = None
    on_frames: Callable[[Sequence[Frame], Cost], None] | None = None
    goes_on: bool = False
    future: Future[Proposal] = field(default_factory=lambda: Future[Proposal]())
    ended: Future[Proposal] = field(default_factory=lambda: Future[Proposal]())
    steps: int = 0
    number: int = 0
    stopped: bool = False
    run: Run | None = None

    @property
    def overdue(self) -> bool:
        return self.deadline is not None and time.monotonic() >= self.deadline

    def answer(self, proposal: Proposal) -> None:
        """At the deadline: what there is; from then on it is not urgent."""
        self.deadline, self.priority = None, Priority.AHEAD
        _set(self.future, proposal)

    def finish(self, proposal: Proposal) -> None:
        _set(self.ended, proposal)
        _set(self.future, proposal)

    def expire(self) -> bool:
        """The deadline has passed: answered with what there is. Whether that is its end."""
        run, found = self.run, Proposal("stopped", message="Out of time before the work could begin.")
        try:
            found = found if run is None else run.proposal()
        except Exception as error:
            self.fail(error)
            return True
        (self.answer if self.goes_on else self.finish)(found)
        return not self.goes_on

    def release(self) -> None:
        """End its run: what a later request can use of it is kept, all else is given back."""
        run, self.run = self.run, None
        if run is not None:
            _close(run)

    def fail(self, error: Exception) -> None:
        if self.future.done() and not self.ended.done():
            logger.error("Work behind a deadline failed: %s", error)
        for future in (self.ended, self.future):
            with suppress(InvalidStateError):
                future.set_exception(error)


def _set(future: Future[Proposal], proposal: Proposal) -> None:
    with suppress(InvalidStateError):  # stopped or cancelled in the same moment: the first answer counts
        future.set_result(proposal)


def next_step(jobs: Sequence[Job], most: int) -> list[Job]:
    """The most urgent job, the oldest among equals, and at most `most - 1` that may be stepped with it.

    One that has not begun joins only its equals, one at each step: reading its file delays those at work. What is
    prepared before anyone asks joins nothing more urgent."""
    head, *others = sorted(jobs, key=lambda job: (job.priority, job.number))
    new = next((job for job in others if job.run is None and job.priority == head.priority), None)
    ahead = head.priority == Priority.AHEAD
    begun = (job.run is not None and (ahead or job.priority < Priority.AHEAD) for job in others)
    mates = [job for job, has_begun in zip(others, begun, strict=True) if has_begun or job is new]
    return [head, *mates][:most]


def close_all(runs: list[Run]) -> None:
    """And forget them: whoever remembers one keeps its engine's memory."""
    while runs:
        _close(runs.pop())


def _close(run: Run) -> None:
    """Let a run that nobody waits for any more keep or give back what it holds; an error in that concerns
    nobody."""
    try:
        run.close()
    except Exception:
        logger.exception("Closing a run failed.")
