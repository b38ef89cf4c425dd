"""Diffusion over a grid of blocks, as networks with block-causal attention do it (SDAR, Stable-DiffCoder, LLaDA2,
Fast-dLLM v2, BD3-LM): a block sees itself and what stands before it, and the grid begins at the prompt's start.

The prompt's last, unfinished block is completed on the canvas. A finished block goes into the cache together with the
next one's first step, which the papers do in a pass of its own; both come to the same numbers. Nothing is decided
behind a committed end, since it would be dropped. Generators as in `model/decoders.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from functools import partial

from model.backends.interface import Candidates
from model.cache import KVCache
from model.canvas import Canvas, before_end
from model.decoders import Decoder, Forward, Job, committed, has_enough
from model.policies import Policy, begun
from model.tokenizer import EOS, MASK


@dataclass(frozen=True)
class Grid:
    """How a family decodes: blocks of `size`, parts of `part` positions after one another (0: all at once). Where rows
    are `shifted`, the one before a position says what stands there. An editing policy looks at a block without masks
    at most `post_edits` times more (LLaDA2.1)."""

    size: int
    part: int = 0
    shifted: bool = False
    post_edits: int = 16


Settle = Callable[[Canvas, int, int, Sequence[int]], Decoder]
"""(block, where its answer begins, how many of its first tokens stay, what goes into the cache with its first step) ->
the block without masks."""


def blockwise(job: Job, cache: KVCache, policy: Policy, grid: Grid) -> Decoder:
    """Blocks until one has an end, the job has enough, or `job.limit` tokens are there."""
    return (yield from by_blocks(job, cache, partial(_settle, policy=policy, grid=grid), grid))


def by_blocks(job: Job, cache: KVCache, settle: Settle, grid: Grid) -> Decoder:
    """The blocks of an answer, each by `settle`."""
    pending = yield from prefill_blocks(job, cache, grid.size)
    known = list(job.prompt[len(job.prompt) // grid.size * grid.size :])
    begin, answer, logp = len(known), list[int](), 0.0

    def is_done(new: Sequence[int]) -> bool:
        tokens = [*answer, *new]
        return EOS in tokens or len(tokens) >= job.limit or has_enough(job, tokens)

    while True:
        if grid.shifted and not known:
            # The row before the block is that of a clean token, and so comes when the last block is committed.
            state = Canvas(tuple(answer), (), logp)
            found = yield Forward("commit", pending, (), [len(pending) - 1], state, "fill")
            known, pending, logp = [int(found.best[0])], [], logp + float(found.logp_RK[0, 0])
        new = known[begin:]
        if not is_done(new):
            ids = (*known, *[MASK] * (grid.size - len(known)))
            block = yield from settle(Canvas(tuple(answer), ids, logp), begin, len(known), pending)
            new, logp, pending = block.ids[begin:], block.logp, list(block.ids)
        if is_done(new):
            tokens = before_end([*answer, *new])[: job.limit]
            return Canvas(tuple(tokens), (), logp, is_cut=EOS not in new)
        answer, known, begin = [*answer, *new], [], 0


def prefill_blocks(job: Job, cache: KVCache, size: int) -> Generator[Forward, Candidates, list[int]]:
    """Encode the prompt's whole blocks; the last chunk of them is returned, to go with the first real pass."""
    left = list(job.prompt[cache.length : len(job.prompt) // size * size])
    chunk = max(size, job.chunk // size * size)
    while len(left) > chunk:
        yield Forward("prefill", left[:chunk], (), (), Canvas((), ()), "causal")
        left = left[chunk:]
    return left


def _settle(
    canvas: Canvas, begin: int, fixed: int, pending: Sequence[int], policy: Policy, grid: Grid
) -> Decoder:
    """A block by a policy."""
    size = grid.part or grid.size
    for start in range(0, grid.size, size):
        places = range(max(start, fixed), start + size)
        canvas, pending = yield from _part(canvas, places, begin, pending, begun(policy), grid)
    return canvas


def _part(
    canvas: Canvas, places: Sequence[int], begin: int, pending: Sequence[int], policy: Policy, grid: Grid
) -> Generator[Forward, Candidates, tuple[Canvas, Sequence[int]]]:
    """Steps until `places` have no masks and an editing policy changes nothing more; what is still pending."""
    opened = sum(canvas.ids[i] == MASK for i in places)
    step, more = 0, grid.post_edits
    while True:
        masks = [i for i in places if canvas.ids[i] == MASK]
        if not policy.edits_visible and (not masks or MASK not in before_end(canvas.ids[begin:])):
            break
        if not masks:
            more -= 1
            if more < 0:
                break
        wanted = list(places) if policy.edits_visible else masks
        rows = [len(pending) + i - grid.shifted for i in wanted]
        found = yield Forward("denoise", pending, canvas.ids, rows, shown(canvas, begin), "fill")
        pending = ()
        ids, logp = committed(canvas.ids, wanted, found, policy, opened, step)
        if not masks and ids == canvas.ids:
            break
        canvas, step = Canvas(canvas.settled, ids, canvas.logp + logp), step + 1
    return canvas, pending


def shown(canvas: Canvas, begin: int) -> Canvas:
    """The canvas without what belongs to the prompt: the state of the answer."""
    return Canvas(canvas.settled, canvas.ids[begin:], canvas.logp)
