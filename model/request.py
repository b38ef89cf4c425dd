"""The engine's nouns: what is asked (`Request`), what is answered (`Proposal`), and what it cost (`Cost`).

All are frozen; a request carries its own snapshot of the document, so nothing mutable is shared between the
server and the worker. Knows no LSP types, no tokens and no network.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Literal, Protocol

from model.editing.edit import Edit
from model.editing.manners import EVERY, Manners
from model.editing.source import Span
from model.editing.syntax import SyntaxTree


@dataclass(frozen=True)
class Document:
    """A snapshot of a file. `language` is a grammar's name (`syntax.language_of`), None without one."""

    text: str
    language: str | None = None
    path: str = ""
    tree: SyntaxTree | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True)
class Snippet:
    """Text of another place, offered as context: a recently edited or visible file's lines."""

    path: str
    text: str


@dataclass(frozen=True)
class Complete:
    """Insert text at `cursor`. `asked` says that the user asked for it: then even an unsure answer is shown.
    `start_with` is what the result must begin with (the completion widget's
    selected item replaces `replace` and must be extended); both are empty without a widget. Of `candidates` above 1
    the others are the proposal's alternatives."""

    cursor: int
    multiline: bool = True
    asked: bool = False
    replace: Span | None = None
    start_with: str = ""
    manners: Manners = EVERY
    candidates: int = 1


@dataclass(frozen=True)
class Fill:
    """Write new text in place of each of `spans`, which do not overlap; all at once."""

    spans: tuple[Span, ...]


@dataclass(frozen=True)
class Fix:
    """Repair the code at `span` (a cursor is an empty span): the smallest definition around it, or the
    statements of a diagnostic. `message` is the diagnostic's text, if any."""

    span: Span
    message: str = ""


@dataclass(frozen=True)
class Refactor:
    """Rewrite `span` (None: the whole file) as the instruction says."""

    instruction: str
    span: Span | None = None


Task = Complete | Fill | Fix | Refactor


def is_fill(task: Task) -> bool:
    """Whether the task writes into holes, and so starts from masks; the others start from the user's code."""
    return isinstance(task, Complete | Fill)


def completion_at(task: Task, span: Span) -> Complete | None:
    """What a fill asks for at one of its holes: a completion that replaces the hole's text."""
    if isinstance(task, Fill):
        return Complete(span.start, asked=True, replace=span)
    return task if isinstance(task, Complete) else None


@dataclass(frozen=True)
class Request:
    """One question to the engine, with everything it needs to be answered. `policy` names another way to decode than
    the checkpoint's own (`model/choices.py`)."""

    document: Document
    task: Task
    snippets: tuple[Snippet, ...] = ()
    policy: str = ""


Status = Literal["offered", "unchanged", "rejected", "declined", "stopped"]


@dataclass(frozen=True)
class Cost:
    """What an answer took. `forwards` counts denoise, commit and verify passes, prefill apart; `tokens`
    counts emitted tokens without `<eos>` (for edits: changed tokens); `milliseconds` are those of its own work,
    without waiting for others."""

    forwards: int = 0
    prefills: int = 0
    tokens: int = 0
    milliseconds: float = 0.0

    def __add__(self, other: Cost) -> Cost:
        return Cost(
            self.forwards + other.forwards,
            self.prefills + other.prefills,
            self.tokens + other.tokens,
            self.milliseconds + other.milliseconds,
        )

    @property
    def tokens_per_forward(self) -> float:
        return self.tokens / self.forwards if self.forwards else 0.0

    def as_json(self) -> dict[str, float]:
        per_forward = round(self.tokens_per_forward, 3)
        return {
            **asdict(self),
            "milliseconds": round(self.milliseconds, 1),
            "tokensPerForward": per_forward,
        }


@dataclass(frozen=True)
class Proposal:
    """The answer. Only `offered` has edits; the other statuses say in `message` why there are none:
    `unchanged` (the model would keep the text), `rejected` (the verdict failed), `declined` (not attempted:
    too large, nothing there), `stopped` (cancelled or out of time with nothing to show)."""

    status: Status
    edits: tuple[Edit, ...] = ()
    message: str = ""
    confidence: float = 0.0
    cost: Cost = field(default_factory=Cost)
    regions: tuple[Span, ...] = ()
    """Spans of the old text that the edits depend on: a later change inside one makes them stale."""
    alternatives: tuple[tuple[Edit, ...], ...] = ()
    """Other answers, each instead of `edits`, the surest first."""


@dataclass(frozen=True)
class Progress:
    """How far a run is: `done` of `total` regions, and a line for people."""

    done: int
    total: int
    message: str = ""


CellState = Literal["mask", "remasked", "kept", "committed", "revised"]


@dataclass(frozen=True)
class Cell:
    """A place of a canvas after a step: its text (empty for a mask), what the step did to it, and how sure the
    network was of its best choice there (None: it was not asked)."""

    text: str
    state: CellState
    confidence: float | None = None


@dataclass(frozen=True)
class Frame:
    """One region's canvas after a step. `span` is the region in the request's text; `number` tells regions apart."""

    number: int
    span: Span
    cells: tuple[Cell, ...]
    forwards: int
    is_finished: bool


class Run(Protocol):
    """One request being worked on. `step` does one forward and says whether there is more to do;
    `proposal` may be asked at any time and gives the best verified state so far."""

    def step(self) -> bool: ...

    def proposal(self) -> Proposal: ...

    def frames(self) -> Sequence[Frame]:
        """The canvases that have changed since the last call; none where there is nothing to watch."""
        ...

    def cost(self) -> Cost:
        """What it took so far."""
        ...

    def close(self) -> None:
        """Stop; state that a later request can use is kept. May be called more than once."""
        ...

    @property
    def progress(self) -> Progress: ...


def drive(run: Run, deadline: float | None, should_stop: Callable[[], bool]) -> Proposal:
    """Step a run to its end, a stop, or `deadline` (`time.monotonic()` seconds), and close it."""
    try:
        while run.step():
            if should_stop():
                return Proposal("stopped", message="Cancelled.", cost=run.cost())
            if deadline is not None and time.monotonic() >= deadline:
                break
        return run.proposal()
    finally:
        run.close()


class BusyError(Exception):
    """There is no room for a request's state while others keep theirs; the message says what to do."""


Outcome = bool | Exception | None
"""Of a step: whether there is more to do; what went wrong; None for a run that had no part in it."""


def stepped(run: Run) -> Outcome:
    """What comes of a run's step."""
    try:
        return run.step()
    except Exception as error:
        return error


def step_first(runs: Sequence[Run]) -> list[Outcome]:
    """A step of the first run; the others wait."""
    return [stepped(run) if place == 0 else None for place, run in enumerate(runs)]


class Proposing(ABC):
    """An engine as far as a request's way from its start to its end is the same for all."""

    @abstractmethod
    def start(self, request: Request) -> Run: ...

    def propose(
        self,
        request: Request,
        deadline: float | None = None,
        should_stop: Callable[[], bool] = lambda: False,
    ) -> Proposal:
        """Run a request to its end, a stop, or `deadline` (`time.monotonic()` seconds)."""
        return drive(self.start(request), deadline, should_stop)


class Engine(Protocol):
    """What the server's worker drives: the real engine (`model.engine`) or the fake one (`model.fake`)."""

    @property
    def description(self) -> str:
        """One line for people: model, size, back end, device."""
        ...

    def refactorings(self, code: str) -> Sequence[str]:
        """Instructions that it is known to follow, those for which there could be something to do in `code`. None
        where nothing is known of what it can."""
        ...

    @property
    def batch(self) -> int:
        """How many runs are worth one common step."""
        ...

    def step(self, runs: Sequence[Run]) -> list[Outcome]:
        """One step of the first, the most urgent, and of those others that it does not have to wait for."""
        ...

    def start(self, request: Request) -> Run:
        """Begin a request without running the network; cheap errors become a declined proposal. Raises ValueError
        where its policy is unknown, naming those that there are."""
        ...

    def propose(
        self,
        request: Request,
        deadline: float | None = None,
        should_stop: Callable[[], bool] = lambda: False,
    ) -> Proposal:
        """Run a request to its end. `deadline` is in `time.monotonic()` seconds."""
        ...
