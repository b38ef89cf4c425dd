"""The engine: one request, one way through. Read this file first.

    Request -> Reader.regions     which spans may change, and then a prompt for each  model/questions.py
            -> sampler.Run        all regions denoised as one batch, step by step     model/sampler.py
            -> Writer.accepted    text, smallest edits, the syntax tree's verdict     model/answers.py
            -> Proposal

`propose` drives a run to its end; the server's worker drives `step` itself, to serve several requests in turn.
Knows NumPy and a back end's interface; neither torch nor LSP.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from itertools import islice

from model.alternatives import Alternatives
from model.answers import Writer, confidence
from model.asking import Native
from model.backends.interface import TOP_K, Backend, Candidates, Pass
from model.cache import PrefixStore
from model.causal import autoregress, look_up, speculate
from model.checkpoint import Decoding, Instruction, ModelError
from model.choices import Mode, style
from model.decoders import Job, edit, fill
from model.editing.edit import Edit
from model.editing.region import EditRegion
from model.editing.scope import Scope
from model.editing.syntax import try_parse
from model.editing.tabs import tabbed_pieces
from model.guest import Guest
from model.notes import nothing, parts, remaining_errors, unreadable
from model.passes import Passes
from model.policies import InsertDelete, Policy, Threshold
from model.questions import DeclinedError, Question, Reader
from model.request import (
    Complete,
    Cost,
    Fix,
    Frame,
    Progress,
    Proposal,
    Refactor,
    Request,
    Run,
    Task,
    drive,
    is_fill,
)
from model.sampler import Run as SamplerRun
from model.sampler import Start
from model.tokenizer import EOS, Tokenizer
from model.watch import Watcher

__all__ = ["DiffusionEngine", "EngineRun", "Mode", "ModelError"]

_CAUSAL: dict[Mode, Start] = {
    "autoregressive": autoregress,
    "speculative": speculate,
    "prompt-lookup": look_up,
}


class DiffusionEngine:
    """A loaded model. One thread at a time runs it."""

    def __init__(
        self,
        backend: Backend,
        tokenizer: Tokenizer,
        decoding: Decoding,
        mode: Mode = "diffusion",
        fill_policy: Policy | None = None,
        guest: Guest | None = None,
    ) -> None:
        self.backend = backend
        self.guest = guest
        # Short blocks are what suits a checkpoint's own way; others decode in blocks of the trained length.
        own = decoding if mode == "diffusion" and fill_policy is None else replace(decoding, fill_block=0)
        self.reader = Reader(tokenizer, backend.config, own, guest.asking if guest else Native(tokenizer))
        self.store = PrefixStore(backend.new_cache, backend.prompt_bytes, backend.config.clean_block)
        backend.on_pressure(self.store.clear)
        self._fill = fill_policy
        self._mode: Mode = mode

    @property
    def description(self) -> str:
        config = self.backend.config
        family = f"{self.guest.title}: " if self.guest else ""
        return f"{family}{config.name} ({config.parameters / 1e6:.1f}M weights), {self.backend.description}"

    def refactorings(self, code: str) -> Sequence[str]:
        return self.reader.refactorings(code)

    def styled(self, policy: str, edits: bool) -> DiffusionEngine:
        """An engine around the same network that decodes by a named policy (`model/choices.py`), for changes of code
        where `edits`; raises ValueError where there is none. Its cache is its own and empty: runs that are compared
        must not find each other's prompts encoded."""
        reader, guest = self.reader, self.guest
        # Other people's networks write changes as they write anything else.
        chosen = style(policy, reader.decoding, edits and guest is None)
        if guest is not None:
            guest.check(policy, chosen, self.backend.config)
        return DiffusionEngine(
            self.backend, reader.tokenizer, chosen.decoding, chosen.mode, chosen.fill, guest
        )

    def start(self, request: Request) -> Run:
        """Begin a request; the network has not run yet. Raises ValueError where its policy is unknown."""
        if request.policy:
            return self.styled(request.policy, edits=not is_fill(request.task)).start(
                replace(request, policy="")
            )
        if (scope := self.scope(request)) is not None:
            return Passes(partial(EngineRun, self, scope=scope), request)
        task = request.task
        if (
            isinstance(task, Complete)
            and task.candidates > 1
            and self._mode not in _CAUSAL
            and not self.guest
        ):
            count = min(task.candidates, TOP_K)
            return Alternatives(lambda banned: EngineRun(self, request, banned=banned), count, TOP_K)
        return EngineRun(self, request)

    def scope(self, request: Request) -> Scope | None:
        """What alone the refactoring that is asked for may change; None where that is not known."""
        task, known = request.task, self.known(request.task)
        if known is None or not isinstance(task, Refactor):
            return None
        return known.scope_of(task.instruction, request.document.text)

    def propose(
        self,
        request: Request,
        deadline: float | None = None,
        should_stop: Callable[[], bool] = lambda: False,
    ) -> Proposal:
        """Run a request to its end, a stop, or `deadline` (`time.monotonic()` seconds)."""
        return drive(self.start(request), deadline, should_stop)

    @property
    def batch(self) -> int:
        """How many requests are worth a common forward: on a GPU a second one costs little beside the first."""
        return self.backend.batch

    def step(self, runs: Sequence[Run]) -> list[bool]:
        """One forward for all runs that are at one network; whether each has more to do."""
        together = [run for run in runs if isinstance(run, EngineRun) and run.backend is self.backend]
        if len(together) < 2:
            return [run.step() for run in runs]
        more = dict(zip(map(id, together), step_together(self.backend, together), strict=True))
        return [more[id(run)] if id(run) in more else run.step() for run in runs]

    def decoder(self, task: Task) -> Start:
        """How to answer a task in this engine's mode."""
        if self._mode in _CAUSAL:
            return _CAUSAL[self._mode]
        if self.guest is not None:
            return self.guest.decoder(self._fill)
        decoding = self.reader.decoding
        if is_fill(task):
            return partial(fill, policy=self._fill or Threshold(decoding.tau_mask))
        if isinstance(task, Fix):
            tau = decoding.tau_edit
        else:
            known = self.known(task)
            tau = known.tau if known else decoding.tau_refactor
        return partial(edit, policy=InsertDelete(decoding.tau_edit_mask, tau))

    def known(self, task: Task) -> Instruction | None:
        """The refactoring of the checkpoint's list that a task asks for; None for a free instruction."""
        return self.reader.known(task.instruction) if isinstance(task, Refactor) else None


class EngineRun:
    """One request on its way. `step` is one forward; `proposal` the best verified answer so far."""

    def __init__(
        self,
        engine: DiffusionEngine,
        request: Request,
        scope: Scope | None = None,
        banned: frozenset[int] = frozenset(),
    ) -> None:
        began = time.perf_counter()
        self._worked = 0.0
        self._declined = ""
        self._reader = engine.reader
        self._request = request
        self._banned = banned
        document = request.document
        self._tree = document.tree or try_parse(document.text, document.language)
        self._writer = Writer(request, self._tree, engine.reader.tokenizer, scope or engine.scope(request))
        self._is_fill = is_fill(request.task)
        self._minimum = engine.reader.decoding.min_confidence if _must_be_sure(request.task) else 0.0
        self._regions: list[EditRegion] = []
        self._questions: list[Question] = []
        self._too_long = 0
        try:
            self._regions = engine.reader.regions(request, self._tree)
        except DeclinedError as declined:
            self._declined = str(declined)
        self.backend = engine.backend
        decoder = engine.decoder(request.task)
        self._sampler = SamplerRun(engine.backend, self._jobs(), decoder, engine.store)
        self._watcher = Watcher(engine.reader.tokenizer)
        self._worked += time.perf_counter() - began

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

    def step(self) -> bool:
        [more] = step_together(self.backend, [self])
        return more

    def begin(self) -> list[Pass]:
        """What the next forward must run for this request; nothing at its end."""
        began = time.perf_counter()
        passes = [] if self._declined else self._sampler.begin()
        self._worked += time.perf_counter() - began
        return passes

    def end(self, found: Sequence[Candidates], seconds: float) -> bool:
        """What the network said, and its share of the time that took; whether there is more to do."""
        began = time.perf_counter()
        more = bool(found) and self._sampler.end(found)
        self._worked += seconds + time.perf_counter() - began
        return more

    def close(self) -> None:
        """Stop; what was computed of the prompts is kept for the next request."""
        self._sampler.close()

    @property
    def first_token(self) -> int | None:
        """What a fill's answer begins with; None before it has any."""
        lane = next(iter(self._sampler.lanes), None)
        if lane is None or not lane.is_finished:
            return None
        return next(iter(lane.canvas.tokens), EOS)

    @property
    def sampler(self) -> SamplerRun:
        """The decoding loop."""
        return self._sampler

    def frames(self) -> list[Frame]:
        """What has changed on the canvases since the last call, for clients that watch."""
        regions = [question.shown for question in self._questions]
        found = self._watcher.frames(list(zip(regions, self._sampler.lanes, strict=False)))
        return [_with_tabs(f) if self._questions[f.number].is_tabbed else f for f in found]

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
        reply = any(question.asked.is_reply for question in self._questions)
        notes = [
            nothing(self._is_fill, reply),
            *remaining_errors(self._request, self._tree, self._regions),
            *self._notes(),
        ]
        return Proposal("unchanged", message="; ".join(notes), cost=self.cost())

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


def step_together(backend: Backend, runs: Sequence[EngineRun]) -> list[bool]:
    """One forward for all runs; whether each has more to do."""
    passes = [run.begin() for run in runs]
    began = time.perf_counter()
    found = iter(backend.forward([each for group in passes for each in group]) if any(passes) else ())
    share = (time.perf_counter() - began) / len(runs)
    return [run.end(list(islice(found, len(group))), share) for run, group in zip(runs, passes, strict=True)]


def _must_be_sure(task: Task) -> bool:
    return isinstance(task, Complete) and not task.asked and task.manners.confident_only


def _with_tabs(frame: Frame) -> Frame:
    """A canvas as the file would have it, whose tabs the model was shown as spaces."""
    texts = tabbed_pieces(cell.text for cell in frame.cells)
    return replace(
        frame,
        cells=tuple(replace(cell, text=text) for cell, text in zip(frame.cells, texts, strict=True)),
    )
