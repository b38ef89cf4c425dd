"""The only decoding loop: `Run.step()` does one forward for all active decoders.

`Engine.propose` drives a run to its end, the server's worker interleaves several, a client may watch `lanes`.
Knows NumPy and a back end's interface; what to commit is decided in `model/policies.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from model.backends.interface import Backend, BackendError, Candidates, Pass
from model.cache import KVCache, PrefixStore
from model.canvas import Canvas, count_text
from model.decoders import Decoder, Forward, Job
from model.tokenizer import DEL, EOR, EOS, INS_1, INSERTIONS

Start = Callable[[Job, KVCache], Decoder]


@dataclass
class Lane:
    """One answer being decoded. `canvas` is its latest state; `forwards` its own passes, prefill apart; `asked` and
    `found` are what the network was asked in the latest pass and what it said."""

    job: Job
    cache: KVCache
    decoder: Decoder
    wish: Forward | None = None
    canvas: Canvas = field(default_factory=lambda: Canvas((), ()))
    is_finished: bool = False
    forwards: int = 0
    prefills: int = 0
    asked: Forward | None = None
    found: Candidates | None = None

    @property
    def tokens(self) -> int:
        """Text tokens of the answer so far, without those that only spell its lead."""
        known = self.job.lead.count(self.canvas.tokens) if self.job.lead is not None else 0
        return count_text(self.canvas.tokens) - known

    def send(self, found: Candidates | None) -> None:
        """Hand over what the network said (None at first) and take the next wish."""
        self.asked, self.found = self.wish, found
        try:
            self.wish = self.decoder.send(found)  # type: ignore[arg-type]  # None starts a generator
            self.canvas = self.wish.state
        except StopIteration as end:
            self.wish, self.canvas, self.is_finished = None, end.value, True


class Run:
    """Decode `jobs`, at most `width` of them at a time; results in `lanes`, in the jobs' order.

    A job is taken from the iterable only when a lane is free for it, so preparing many does not delay the first; and
    beyond the first only while the back end has a cache to spare, which is left for someone else's request.
    """

    def __init__(
        self,
        backend: Backend,
        jobs: Iterable[Job],
        start: Start,
        store: PrefixStore | None = None,
        width: int = 8,
    ) -> None:
        self._backend = backend
        self._start = start
        self._store = store or PrefixStore(backend.new_cache, max_bytes=0)
        self._width = width
        self._waiting: Iterator[Job] | None = iter(jobs)
        self.lanes: list[Lane] = []
        self._active: list[Lane] = []
        self.forwards = self.prefills = 0
        self._allowed = {
            "fill": backend.allow([EOS]),
            "edit": backend.allow([EOR, DEL, *INSERTIONS]),
            "expand": backend.allow([EOS, INS_1]),
            "indel": backend.allow([EOS, DEL, INS_1]),
        }

    @property
    def is_finished(self) -> bool:
        return self._waiting is None and all(lane.is_finished for lane in self.lanes)

    @property
    def tokens(self) -> int:
        """Text tokens of the answers so far."""
        return sum(lane.tokens for lane in self.lanes)

    def step(self) -> bool:
        """One forward; whether there is more to do."""
        passes = self.begin()
        return bool(passes) and self.end(self._backend.forward(passes))

    def begin(self, more: int | None = None) -> list[Pass]:
        """What the next forward must run for this run; nothing where it has come to its end. At most `more` jobs are
        begun, and only with a cache to spare; None is for who needs not wait for others."""
        active = [lane for lane in self.lanes if not lane.is_finished]
        width = self._width if more is None else min(self._width, len(active) + more)
        self._active = self._admit(active, width, may_press=more is None)
        return [self._pass(lane) for lane in self._active]

    def end(self, found: Sequence[Candidates]) -> bool:
        """Take what the network said of the passes begun; whether there is more to do."""
        active, self._active = self._active, []
        wishes = [lane.wish for lane in active if lane.wish is not None]
        if all(w.kind == "prefill" for w in wishes):
            self.prefills += 1
        else:
            self.forwards += 1
        for lane, wish, each in zip(active, wishes, found, strict=True):
            if np.isnan(each.logp_RK).any():
                raise BackendError(
                    "the network's scores are not numbers: its weights are damaged, or too large for their type; fetch "
                    "or convert the model again"
                )
            lane.prefills += wish.kind == "prefill"
            lane.forwards += wish.kind != "prefill"
            lane.send(each)
            if lane.is_finished:
                self._keep(lane)
        return not self.is_finished

    def close(self) -> None:
        """Stop here; what was computed of the prompts is kept for the next request."""
        self._waiting = None
        for lane in self.lanes:
            if not lane.is_finished:
                lane.decoder.close()
                lane.is_finished = True
                self._keep(lane)

    def _keep(self, lane: Lane) -> None:
        self._store.keep(lane.cache, min(len(lane.job.prompt), lane.cache.length))

    def finish(self) -> list[Lane]:
        """Step until the end."""
        while self.step():
            pass
        return self.lanes

    def _admit(self, active: list[Lane], width: int, may_press: bool) -> list[Lane]:
        """The first lane may press others, whose memory or whose prompts go; the rest only take what is to spare."""
        while self._waiting is not None and len(active) < width:
            if not (may_press and not active) and self._backend.spare < 2:
                break
            job = next(self._waiting, None)
            if job is None:
                self._waiting = None
                break
            cache = self._store.borrow(job.prompt, capacity(job))
            lane = Lane(job, cache, self._start(job, cache))
            lane.send(None)
            self.lanes.append(lane)
            if not lane.is_finished:
                active.append(lane)
        return active

    def _pass(self, lane: Lane) -> Pass:
        wish = lane.wish
        assert wish is not None
        if wish.only:
            return Pass(lane.cache, wish.causal, wish.canvas, wish.wanted, self._backend.only(wish.only))
        name = f"causal {lane.job.end}" if wish.allowed == "causal" else wish.allowed
        if name not in self._allowed:
            self._allowed[name] = self._backend.allow([lane.job.end])
        allowed = self._allowed[name]
        return Pass(lane.cache, wish.causal, wish.canvas, wish.wanted, allowed, wish.start, wish.keep)


def capacity(job: Job) -> int:
    """Cache rows that decoding `job` can need: the prompt and every token that is ever committed or drafted."""
    lead = len(job.lead.text) if job.lead is not None else 0  # it may be spelt byte by byte
    return len(job.prompt) + lead + job.limit + 2 * job.block + len(job.source or ()) + len(job.after) + 1
