"""One request on its way, whatever network answers it: its regions, a question for each, and the answer as it stands.

What decodes the questions comes from outside, as `Lanes`; whoever has it also steps it. Knows regions, questions and
edits; neither a network nor how it decodes.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Generic, Protocol, TypeVar

from model.answers import Answer, Writer, confidence
from model.decoders import Job
from model.editing.edit import Edit
from model.editing.fence import fenced
from model.editing.region import EditRegion
from model.editing.scope import Scope
from model.editing.syntax import try_parse
from model.editing.tabs import tabbed_pieces
from model.notes import nothing, parts, remaining_errors, unreadable
from model.questions import DeclinedError, Question, Reader
from model.request import Complete, Cost, Frame, Progress, Proposal, Request, Task, is_fill


class Lanes(Protocol):
    """The answers being decoded, in the order of the jobs that have begun, and what they took."""

    @property
    def lanes(self) -> Sequence[Answer]: ...

    @property
    def forwards(self) -> int: ...

    @property
    def prefills(self) -> int: ...

    @property
    def tokens(self) -> int: ...

    @property
    def is_finished(self) -> bool: ...

    def close(self) -> None: ...


Decoding = TypeVar("Decoding", bound=Lanes)


class Answering(Generic[Decoding]):
    """`decode` starts on the jobs, which are written only as it takes them."""

    def __init__(
        self,
        reader: Reader,
        request: Request,
        scope: Scope | None,
        decode: Callable[[Iterator[Job]], Decoding],
        banned: frozenset[int] = frozenset(),
    ) -> None:
        began = time.perf_counter()
        self._declined = ""
        self._reader = reader
        self._request = request
        self._banned = banned
        document = request.document
        self._tree = document.tree or try_parse(document.text, document.language)
        self._writer = Writer(request, self._tree, reader.tokenizer, scope)
        self._is_fill = is_fill(request.task)
        self._minimum = reader.decoding.min_confidence if _must_be_sure(request.task) else 0.0
        self._regions: list[EditRegion] = []
        self._questions: list[Question] = []
        self._too_long = 0
        try:
            self._regions = reader.regions(request, self._tree)
        except DeclinedError as declined:
            self._declined = str(declined)
        self._sampler = decode(self._jobs())
        self._worked = time.perf_counter() - began

    def _jobs(self) -> Iterator[Job]:
        """One job for each region, written only when the sampler has room for it."""
        for region in self._regions:
            question = self._reader.question(self._request, region, self._tree)
            if question is None:
                self._too_long += 1
                continue
            self._questions.append(question)
            writer = self._writer
            inspect, enough = writer.inspector(question), writer.enough(question)
            yield question.job(self._reader.block, inspect, enough, self._banned, self._minimum)

    def close(self) -> None:
        """Stop; what a later request can use of it is kept."""
        self._sampler.close()

    def _as_written(self, frames: Sequence[Frame]) -> list[Frame]:
        """Canvases as the file would have them, whose tabs the model may have been shown as spaces."""
        return [_with_tabs(f) if self._questions[f.number].is_tabbed else f for f in frames]

    @property
    def progress(self) -> Progress:
        done = sum(lane.is_finished for lane in self._sampler.lanes) + self._too_long
        return Progress(done, len(self._regions), f"{done} of {len(self._regions)} regions")

    def cost(self, edits: Sequence[Edit] = ()) -> Cost:
        """What it took so far; time is that of its own steps, not of others' between them. For changes of existing
        code only the tokens that `edits` write count: copied ones would flatter."""
        run = self._sampler
        written = run.tokens if self._is_fill else sum(self._reader.tokenizer.count(e.new) for e in edits)
        return Cost(run.forwards, run.prefills, written, 1000 * self._worked)

    def proposal(self) -> Proposal:
        """The answer as it stands: a fill's prefix before its first mask, and every finished region."""
        began = time.perf_counter()
        found = self._proposal()
        self._worked += time.perf_counter() - began
        return replace(found, cost=replace(found.cost, milliseconds=1000 * self._worked))

    def _proposal(self) -> Proposal:
        if self._declined:
            return Proposal("declined", message=self._declined, cost=self.cost())
        pairs = list(zip(self._questions, self._sampler.lanes, strict=False))
        usable = [(q, lane) for q, lane in pairs if lane.is_finished or self._is_fill]
        sure = confidence(usable)
        if usable and sure < self._minimum and any(lane.tokens for _, lane in usable):
            return Proposal("rejected", message="not confident enough", confidence=sure, cost=self.cost())
        edits, reasons = self._writer.accepted(usable)
        if not edits:
            return self._without_edits(reasons)
        spans = [q.region.span for q, _ in usable]
        changed = tuple(span for span in spans if any(span.covers(e.span) for e in edits))
        unread = len(self._regions) - self._too_long - len(usable)
        note = "; ".join(self._notes(unread, edits))
        return Proposal("offered", tuple(sorted(edits)), note, sure, self.cost(edits), changed)

    def _without_edits(self, reasons: Sequence[str]) -> Proposal:
        if reasons:
            return Proposal("rejected", message="; ".join(dict.fromkeys(reasons)), cost=self.cost())
        if not self._sampler.is_finished:
            return Proposal("stopped", message="out of time", cost=self.cost())
        text = self._request.document.text
        if not self._questions:
            return Proposal(
                "declined", message=unreadable(text, self._regions, self._reader), cost=self.cost()
            )
        notes = [
            nothing(self._is_fill, self._has_code()),
            *remaining_errors(self._request, self._tree, self._regions),
            *self._notes(),
        ]
        return Proposal("unchanged", message="; ".join(notes), cost=self.cost())

    def _has_code(self) -> bool | None:
        """Whether one of the replies holds code; None where the answers are no replies."""
        pairs = zip(self._questions, self._sampler.lanes, strict=False)
        replies = [lane.canvas.tokens for question, lane in pairs if question.asked.is_reply]
        if not replies:
            return None
        return any(fenced(self._reader.tokenizer.decode(tokens)) is not None for tokens in replies)

    def _notes(self, unread: int = 0, edits: Sequence[Edit] = ()) -> list[str]:
        """What a user should know beside the edits."""
        notes = [f"not reached in time: {parts(unread)}"] if unread else []
        if left := self._writer.places_left([question.region.span for question in self._questions], edits):
            notes.append(f"left as they are: {left} place{'s' if left > 1 else ''} that look alike")
        if self._too_long:
            notes.append(f"too long for the model and left alone: {parts(self._too_long)}")
        if self._tree is None:
            notes.append("syntax not checked: no grammar")
        return notes


def _must_be_sure(task: Task) -> bool:
    return isinstance(task, Complete) and not task.asked and task.manners.confident_only


def _with_tabs(frame: Frame) -> Frame:
    texts = tabbed_pieces(cell.text for cell in frame.cells)
    return replace(
        frame,
        cells=tuple(replace(cell, text=text) for cell, text in zip(frame.cells, texts, strict=True)),
    )
