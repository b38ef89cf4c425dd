"""DiffusionGemma's engine: our questions and our reading of the answers around a network that decodes by itself.

A region is asked about in words and answered by one reply; several regions are answered one after another. Knows
neither torch nor transformers.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from math import exp

from model.answering import Answering
from model.choices import style
from model.decoders import Job
from model.gemma.replies import Network, Replies, Reply
from model.guest import check
from model.questions import Reader
from model.request import Cell, CellState, Frame, Outcome, Proposing, Request, Run, step_first
from model.tokenizer import EOS, Tokenizer


class GemmaEngine(Proposing):
    """A loaded DiffusionGemma. One thread at a time runs it. `weights` is how many it has, `ends` what ends a reply, in
    the network's own numbering."""

    batch = 1
    """Its loop runs one reply at a time."""

    def __init__(
        self, network: Network, reader: Reader, title: str, weights: int, ends: Sequence[int]
    ) -> None:
        self.network = network
        self.reader = reader
        self.title = title
        self.ends = tuple(ends)
        self._weights = weights

    @property
    def description(self) -> str:
        size = f"{self._weights / 1e9:.1f}B" if self._weights >= 1e9 else f"{self._weights / 1e6:.1f}M"
        return f"{self.title}: {self.reader.config.name} ({size} weights), {self.network.description}"

    def refactorings(self, code: str) -> Sequence[str]:
        return self.reader.refactorings(code)

    def start(self, request: Request) -> Run:
        """Begin a request; the network has not run yet. Raises ValueError for every policy but the default."""
        if request.policy:
            chosen = style(request.policy, self.reader.decoding, edits=False)
            check(self.title, request.policy, chosen, is_causal=False, takes_policies=False)
        return GemmaRun(self, request)

    def step(self, runs: Sequence[Run]) -> list[Outcome]:
        return step_first(runs)


class GemmaRun(Answering[Replies]):
    """One request on its way. `step` is one denoising step. A run that is not closed keeps a waiting thread."""

    def __init__(self, engine: GemmaEngine, request: Request) -> None:
        def decode(jobs: Iterator[Job]) -> Replies:
            return Replies(engine.network, jobs, engine.ends)

        super().__init__(engine.reader, request, None, decode)
        self._seen: dict[int, tuple[int, bool]] = {}

    def step(self) -> bool:
        began = time.perf_counter()
        try:
            return not self._declined and self._sampler.step()
        finally:
            self._worked += time.perf_counter() - began

    def frames(self) -> list[Frame]:
        """The replies that have changed since the last call, as words. Their loop does not say which tokens it has
        accepted: `committed` are those first seen, `revised` those that are others than in the draft before."""
        found: list[Frame] = []
        for number, lane in enumerate(self._sampler.lanes):
            state = lane.forwards, lane.is_finished
            if lane.forwards and self._seen.get(number) != state:
                self._seen[number] = state
                cells = tuple(_cells(self._reader.tokenizer, lane))
                span = self._questions[number].shown
                found.append(Frame(number, span, cells, lane.forwards, lane.is_finished))
        return self._as_written(found)


def _cells(tokenizer: Tokenizer, lane: Reply) -> Iterator[Cell]:
    settled = lane.canvas.settled
    ids = [*settled, *(i for i in lane.draft if i != EOS)]
    text, at = tokenizer.decode(ids), 0
    for place, (start, end) in enumerate(tokenizer.spans(ids)):
        piece, at = (
            text[max(start, at) : end],
            max(at, end),
        )  # a character of several tokens is the first one's
        here = place - len(settled)
        if here < 0:
            yield Cell(piece, "kept")
        else:
            sure = exp(lane.sure[here]) if here < len(lane.sure) else None
            yield Cell(piece, _state(lane, here), sure)


def _state(lane: Reply, place: int) -> CellState:
    if place >= len(lane.before) or lane.before[place] == EOS:
        return "committed"
    return "kept" if lane.before[place] == lane.draft[place] else "revised"
