"""Replies written by a network that has a loop of its own: one after another, one denoising step at a time.

The network writes a reply in canvases of a fixed length, tells of every step's draft of the canvas, and goes on with
the next canvas behind a finished one. Only finished canvases are part of the answer: of a draft it cannot be told which
of its tokens the network has settled on. Knows tokens; neither torch nor what a network is.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, Protocol

from model.canvas import Canvas, count_text
from model.decoders import Job
from model.gemma.stepper import Stepper, StoppedError
from model.tokenizer import EOS, FIRST_TEXT_ID, MASK


class Network(Protocol):
    @property
    def description(self) -> str: ...

    def dice(self) -> AbstractContextManager[None]:
        """What is entered around every step of one reply: the random numbers that are drawn inside go on from one fixed
        seed, and disturb nobody else's."""
        ...

    def write(self, prompt: Sequence[int], limit: int, ends: Sequence[int], listener: Listener) -> None:
        """Write a reply of at least `limit` tokens, up to the canvas that holds one of `ends`, in the network's own
        numbering of tokens."""
        ...


@dataclass
class Reply:
    """An answer being written. `before` and `draft` are the canvas at work before and after the latest step, `sure` the
    log-probability of each of the draft's tokens."""

    job: Job
    canvas: Canvas = field(default_factory=lambda: Canvas((), (MASK,)))
    before: tuple[int, ...] = ()
    draft: tuple[int, ...] = ()
    sure: tuple[float, ...] = ()
    is_finished: bool = False
    forwards: int = 0
    prefills: int = 0

    @property
    def tokens(self) -> int:
        """Text tokens of the answer so far."""
        return count_text(self.canvas.tokens)


class Listener:
    """What the network's loop tells its streamer (`transformers`' name for it), written down in a reply. `pause` is
    called after every step."""

    def __init__(self, reply: Reply, ends: Collection[int], pause: Callable[[], None]) -> None:
        self._reply = reply
        self._ends = ends
        self._pause = pause
        self._is_begun = False

    def surely(self, logps: Sequence[float]) -> None:
        """How sure the network is of its best tokens in the step that is being taken."""
        self._reply.sure = tuple(logps)

    def put_draft(self, value: Any) -> None:
        """A step's best tokens, `[1, canvas]`."""
        reply = self._reply
        if not reply.draft:
            reply.prefills += 1  # what stands before a canvas is encoded once for it
        reply.forwards += 1
        reply.before, reply.draft = reply.draft, self._cut(value)
        self._pause()

    def put(self, value: Any) -> None:
        """The prompt, then every finished canvas."""
        if not self._is_begun:
            self._is_begun = True
            return
        reply = self._reply
        found = self._cut(value)
        settled = (*reply.canvas.settled, *(i for i in found if i != EOS))
        logp = reply.canvas.logp + sum(reply.sure[: len(found)])
        is_enough = EOS in found or (reply.job.enough is not None and reply.job.enough(settled))
        reply.canvas = Canvas(settled, () if is_enough else (MASK,), logp)
        reply.before = reply.draft = ()
        if is_enough:
            raise StoppedError

    def end(self) -> None:
        """The loop has come to its end."""

    def _cut(self, value: Any) -> tuple[int, ...]:
        """Tokens in our numbering, up to the first end, which is our `<eos>`."""
        ids = [int(i) for i in value.reshape(-1).tolist()]
        end = next((n for n, i in enumerate(ids) if i in self._ends), None)
        text = [i + FIRST_TEXT_ID for i in ids[:end]]
        return tuple(text) if end is None else (*text, EOS)


class Replies:
    """`ends` are the tokens that end a reply, in the network's own numbering."""

    def __init__(self, network: Network, jobs: Iterator[Job], ends: Sequence[int]) -> None:
        self._network = network
        self._jobs: Iterator[Job] | None = jobs
        self._ends = tuple(ends)
        self._writing: Stepper | None = None
        self.lanes: list[Reply] = []

    @property
    def forwards(self) -> int:
        return sum(lane.forwards for lane in self.lanes)

    @property
    def prefills(self) -> int:
        return sum(lane.prefills for lane in self.lanes)

    @property
    def tokens(self) -> int:
        return sum(lane.tokens for lane in self.lanes)

    @property
    def is_finished(self) -> bool:
        return self._jobs is None and all(lane.is_finished for lane in self.lanes)

    def step(self) -> bool:
        """One denoising step, with the prompt before the first; False where there was none left. What the network
        raises ends everything."""
        try:
            while self._writing is not None or self._begin():
                if self._goes_on():
                    return True
        except BaseException:
            self.close()
            raise
        return False

    def close(self) -> None:
        """Stop here; unfinished replies stay as they are."""
        self._jobs = None
        if self._writing is not None:
            self._writing.close()
            self._writing = None

    def _begin(self) -> bool:
        """Whether there is another reply to be written."""
        job = next(self._jobs, None) if self._jobs is not None else None
        if job is None:
            self._jobs = None
            return False
        reply, network, ends = Reply(job), self._network, self._ends
        prompt = [i - FIRST_TEXT_ID for i in job.prompt]

        def write(pause: Callable[[], None]) -> None:
            network.write(prompt, job.limit, ends, Listener(reply, frozenset(ends), pause))

        self.lanes.append(reply)
        self._writing = Stepper(write, "redraft-gemma")
        self._dice = network.dice()
        return True

    def _goes_on(self) -> bool:
        """Whether the reply at work took a step; else it is finished."""
        assert self._writing is not None
        with self._dice:
            if self._writing.step():
                return True
        reply = self.lanes[-1]
        reply.canvas = Canvas(reply.canvas.settled, (), reply.canvas.logp)
        reply.is_finished, self._writing = True, None
        return False
