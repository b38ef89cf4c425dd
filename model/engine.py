"""The engine: one request, one way through. Read this file first.

    Request -> Reader.regions     which spans may change, and then a prompt for each  model/questions.py
            -> sampler.Run        all regions denoised as one batch, step by step     model/sampler.py
            -> Writer.accepted    text, smallest edits, the syntax tree's verdict     model/answers.py
            -> Proposal            what an EngineRun has of Answering                model/answering.py

`propose` drives a run to its end; the server's worker drives `step` itself, to serve several requests in turn.
Knows NumPy and a back end's interface; neither torch nor LSP.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from model.alternatives import Alternatives
from model.answering import Answering
from model.asking import Native
from model.backends.interface import TOP_K, Backend, Candidates, Pass
from model.cache import PrefixStore
from model.causal import autoregress, look_up, speculate
from model.checkpoint import Decoding, Instruction, ModelError
from model.choices import Mode, style
from model.decoders import edit, fill
from model.editing.scope import Scope
from model.guest import NOT_REUSED, Guest
from model.passes import Passes
from model.policies import InsertDelete, Policy, Threshold
from model.questions import Reader
from model.request import (
    Complete,
    Fix,
    Frame,
    Outcome,
    Proposing,
    Refactor,
    Request,
    Run,
    Task,
    is_fill,
    step_first,
)
from model.sampler import Run as SamplerRun
from model.sampler import Start
from model.together import step_together
from model.tokenizer import EOS, Tokenizer
from model.watch import Watcher

__all__ = ["DiffusionEngine", "EngineRun", "Mode", "ModelError"]

_CAUSAL: dict[Mode, Start] = {
    "autoregressive": autoregress,
    "speculative": speculate,
    "prompt-lookup": look_up,
}


class DiffusionEngine(Proposing):
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
            guest = guest.styled(chosen)
        elif chosen.reuse is not None:
            raise ValueError(f"policy {policy!r}: {NOT_REUSED}")
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

    @property
    def batch(self) -> int:
        """How many requests are worth a common forward: on a GPU a second one costs little beside the first."""
        return self.backend.batch

    def step(self, runs: Sequence[Run]) -> list[Outcome]:
        """One forward for the first run and those others that fit into it."""
        together = {
            id(run): run for run in runs if isinstance(run, EngineRun) and run.backend is self.backend
        }
        if not runs or id(runs[0]) not in together:
            return step_first(runs)
        outcomes = dict(zip(together, step_together(self.backend, list(together.values())), strict=True))
        return [outcomes.get(id(run)) for run in runs]

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


class EngineRun(Answering[SamplerRun]):
    """One request on its way. `step` is one forward; `proposal` the best verified answer so far."""

    def __init__(
        self,
        engine: DiffusionEngine,
        request: Request,
        scope: Scope | None = None,
        banned: frozenset[int] = frozenset(),
    ) -> None:
        decoder, backend = engine.decoder(request.task), engine.backend
        super().__init__(
            engine.reader,
            request,
            scope or engine.scope(request),
            lambda jobs: SamplerRun(
                backend, (replace(j, chunk=backend.chunk) for j in jobs), decoder, engine.store
            ),
            banned,
        )
        self.backend = backend
        self._watcher = Watcher(engine.reader.tokenizer)

    def step(self) -> bool:
        [outcome] = step_together(self.backend, [self])
        if isinstance(outcome, Exception):
            raise outcome
        return bool(outcome)

    @property
    def is_finished(self) -> bool:
        return bool(self._declined) or self._sampler.is_finished

    def begin(self, more: int | None = None) -> list[Pass]:
        """What the next forward must run for this request; nothing at its end."""
        began = time.perf_counter()
        passes = [] if self._declined else self._sampler.begin(more)
        self._worked += time.perf_counter() - began
        return passes

    def end(self, found: Sequence[Candidates], seconds: float) -> bool:
        """What the network said, and its share of the time that took; whether there is more to do."""
        began = time.perf_counter()
        more = bool(found) and self._sampler.end(found)
        self._worked += seconds + time.perf_counter() - began
        return more

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
        return self._as_written(self._watcher.frames(list(zip(regions, self._sampler.lanes, strict=False))))
