"""An engine without a network, for tests of the server and of clients.

It answers deterministically: `Complete` inserts a configured text, `Fix` adds missing colons, and `Refactor`
obeys one instruction, "replace A with B". Each run takes a fixed number of steps, which can be slowed down or
held at a gate, or fail, and everything is counted, so that a test can say how much work a cancel saved.
`load("steps=5,gate")` builds one from a script. Knows no LSP, no tokens and no network.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from model.editing.edit import Edit
from model.editing.source import Span
from model.request import (
    Complete,
    Cost,
    Fill,
    Fix,
    Frame,
    Outcome,
    Progress,
    Proposal,
    Proposing,
    Refactor,
    Request,
    Run,
    stepped,
)

_NEEDS_COLON = re.compile(
    r"^[ \t]*(?:async[ \t]+)?(?:def|class|if|elif|else|for|while|try|except|finally|with)\b"
    r"[^\r\n#]*?(?=[ \t]*(?:\r|$))",
    re.MULTILINE,
)
_REPLACE = re.compile(r"replace (?P<old>.+) with (?P<new>.*)", re.IGNORECASE | re.DOTALL)


@dataclass(frozen=True)
class Counts:
    """What an engine has done so far: runs started, steps begun, steps ended."""

    runs: int = 0
    steps_begun: int = 0
    steps: int = 0


class FakeEngine(Proposing):
    """Answers by rule. `gated` holds every step until `allow` lets it pass; `delay` is seconds per step."""

    def __init__(
        self,
        *,
        completion: str = "pass",
        others: tuple[str, ...] = (),
        steps: int = 3,
        delay: float = 0.0,
        gated: bool = False,
        crash: str = "",
        batch: int = 1,
    ) -> None:
        if steps < 1:
            raise ValueError(f"a run takes at least one step, got {steps}")
        self.completion = completion
        self.others = others
        self.steps_per_run = steps
        self.delay = delay
        self.crash = crash
        self.batch = batch
        self.stepped: list[int] = []
        """How many runs each step had."""
        self.requests: list[Request] = []
        self._gated = gated
        self._allowed = 0
        self._counts = Counts()
        self._changed = threading.Condition()

    @property
    def description(self) -> str:
        return "fake engine (for tests)"

    @property
    def counts(self) -> Counts:
        with self._changed:
            return self._counts

    def refactorings(self, code: str) -> tuple[str, ...]:
        return ("replace old with new",) if "old" in code else ()

    def allow(self, steps: int) -> None:
        """Let `steps` more steps through the gate; a negative number opens it for good."""
        with self._changed:
            self._gated = self._gated and steps >= 0
            self._allowed += max(0, steps)
            self._changed.notify_all()

    def wait_for(self, reached: Callable[[Counts], bool], timeout: float = 10.0) -> bool:
        """Block until the counts satisfy `reached`; False if that takes longer than `timeout` seconds."""
        with self._changed:
            return self._changed.wait_for(lambda: reached(self._counts), timeout)

    def step(self, runs: Sequence[Run]) -> list[Outcome]:
        self.stepped.append(len(runs))
        return [stepped(run) for run in runs]

    def start(self, request: Request) -> FakeRun:
        with self._changed:
            self.requests.append(request)
            self._count(runs=1)
        return FakeRun(self, request)

    def pass_gate(self) -> None:
        """Count a step in, hold it at the gate, and count it out."""
        with self._changed:
            self._count(begun=1)
            self._changed.wait_for(lambda: not self._gated or self._allowed > 0)
            self._allowed = max(0, self._allowed - 1)
        if self.delay:
            time.sleep(self.delay)
        with self._changed:
            self._count(steps=1)

    def _count(self, runs: int = 0, begun: int = 0, steps: int = 0) -> None:
        now = self._counts
        self._counts = Counts(now.runs + runs, now.steps_begun + begun, now.steps + steps)
        self._changed.notify_all()


class FakeRun:
    """One request of a `FakeEngine`: nothing to offer before its last step."""

    def __init__(self, engine: FakeEngine, request: Request) -> None:
        self._engine = engine
        self._request = request
        self._done = 0

    def step(self) -> bool:
        self._engine.pass_gate()
        if self._engine.crash:
            raise RuntimeError(self._engine.crash)
        self._done += 1
        return self._done < self._engine.steps_per_run

    def close(self) -> None:
        """Nothing to keep."""

    def cost(self) -> Cost:
        return Cost(forwards=self._done, tokens=self._done)

    def frames(self) -> tuple[Frame, ...]:
        """There is no canvas to watch."""
        return ()

    def proposal(self) -> Proposal:
        cost = self.cost()
        if self._done < self._engine.steps_per_run:
            return Proposal("stopped", message="Out of time, and nothing to show yet.", cost=cost)
        edits = answer(self._request, self._engine.completion)
        if isinstance(edits, str):
            return Proposal("declined", message=edits, cost=cost)
        if not edits:
            return Proposal("unchanged", message="Nothing to change.", cost=cost)
        regions = depends_on(self._request, edits)
        task = self._request.task
        others = self._engine.others[: task.candidates - 1] if isinstance(task, Complete) else ()
        more = tuple(e for e in (answer(self._request, other) for other in others) if not isinstance(e, str))
        return Proposal("offered", edits, confidence=1.0, cost=cost, regions=regions, alternatives=more)

    @property
    def progress(self) -> Progress:
        return Progress(self._done, self._engine.steps_per_run, f"step {self._done}")


def answer(request: Request, completion: str) -> tuple[Edit, ...] | str:
    """The edits for `request`, or the reason why it is declined."""
    text, task = request.document.text, request.task
    if isinstance(task, Fill):
        return tuple(Edit(s.start, s.end, completion) for s in task.spans)
    if isinstance(task, Complete):
        new = completion if task.multiline else completion.splitlines()[0] if completion else ""
        where = task.replace or Span(task.cursor, task.cursor)
        return (Edit(where.start, where.end, task.start_with + new),) if new else ()
    if isinstance(task, Fix):
        return _add_colons(text, _lines_around(text, task.span))
    return _replace(text, task)


def depends_on(request: Request, edits: tuple[Edit, ...]) -> tuple[Span, ...]:
    """What the answer was made from: the asked-for span, or the blocks of lines that the edits are in."""
    text, task = request.document.text, request.task
    if isinstance(task, Fill):
        return task.spans
    if isinstance(task, Complete):
        return (task.replace or Span(task.cursor, task.cursor),)
    if task.span is not None:
        return (task.span,) if isinstance(task, Refactor) else (_lines_around(text, task.span),)
    return tuple(sorted({_lines_around(text, edit.span) for edit in edits}))


def _lines_around(text: str, span: Span) -> Span:
    """The block of non-blank lines that holds `span`."""
    start = max(text.rfind("\n\n", 0, span.start) + 2, 0) if "\n\n" in text[: span.start] else 0
    end = text.find("\n\n", span.end)
    return Span(start, len(text) if end < 0 else end)


def _add_colons(text: str, span: Span) -> tuple[Edit, ...]:
    ends = (m.end() for m in _NEEDS_COLON.finditer(text, span.start, span.end) if m.group())
    return tuple(Edit(at, at, ":") for at in ends if text[at - 1 : at] != ":")


def _replace(text: str, task: Refactor) -> tuple[Edit, ...] | str:
    said = _REPLACE.fullmatch(task.instruction.strip())
    if said is None:
        return "The fake engine understands only: replace A with B."
    old, new, span = said["old"], said["new"], task.span or Span(0, len(text))
    found = (m.start() for m in re.finditer(re.escape(old), text[span.start : span.end]))
    return tuple(Edit(span.start + at, span.start + at + len(old), new) for at in found if old != new)


def load(script: str = "") -> FakeEngine:
    """A `FakeEngine` from a script: `steps=5`, `delay=0.01`, `completion=x`, `others=y|z`, `gate`, `fail=why`
    (to load), `crash=why` (in every step), by commas.

    Raises ValueError on an unknown word and RuntimeError for `fail`, the way a broken checkpoint does.
    """
    options = {name: value for name, _, value in (w.partition("=") for w in script.split(",") if w)}
    unknown = options.keys() - {"steps", "delay", "completion", "others", "gate", "fail", "crash"}
    if unknown:
        raise ValueError(f"the fake engine has no option {', '.join(sorted(unknown))}")
    if "fail" in options:
        raise RuntimeError(options["fail"] or "The model file is broken.")
    return FakeEngine(
        completion=options.get("completion", "pass").encode().decode("unicode_escape"),
        others=tuple(options["others"].split("|")) if "others" in options else (),
        steps=int(options.get("steps", "3")),
        delay=float(options.get("delay", "0")),
        gated="gate" in options,
        crash=options.get("crash", ""),
    )
