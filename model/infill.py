"""Diffusion with full attention (LLaDA, Dream, CoDA, Open-dLLM): prompt, masks and what follows them are one canvas,
and every row sees every other.

Without a cache each step runs all rows. Fast-dLLM's caches (Wu et al. 2025) run them all once for each block of masks
and keep, until the block is done, the keys and values of what stands before it (*prefix*) or of all but the block
(*dual*): the block's own tokens change meanwhile, so these are approximations, refreshed with every block.

Where rows are `shifted`, the one before a position says what stands there. Inside a cached step that row is missing for
a block's first position, which is therefore committed in the full pass, and nothing else there: so the published
sampler does it.
Generators as in `model/decoders.py`.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from model.backends.interface import Candidates
from model.cache import KVCache
from model.canvas import Canvas, before_end
from model.decoders import Decoder, Forward, Job, committed
from model.policies import Policy, begun
from model.tokenizer import EOS, INS_1, MASK

Reuse = Literal["none", "prefix", "dual"]
LENGTHS = (4, 8, 16, 24, 32, 48, 64)
"""Numbers of masks that are tried where the answer's length is not known."""


@dataclass(frozen=True)
class Whole:
    """How a family decodes: masks in blocks of `block` from left to right, which keys and values are kept for a block's
    later steps, whether rows are shifted."""

    block: int = 32
    reuse: Reuse = "none"
    shifted: bool = False


def in_place(job: Job, cache: KVCache, policy: Policy, whole: Whole) -> Decoder:
    """`job.limit` masks between the prompt and what follows, block by block. An answer ends at its first `<eos>`."""
    ids = [*job.prompt, *[MASK] * job.limit, *job.after]
    first, end, logp = len(job.prompt), len(job.prompt) + job.limit, 0.0
    for start in range(first, end, whole.block):
        block = range(start, min(start + whole.block, end))
        ids, logp = yield from _block(ids, first, block, end, logp, cache, begun(policy), whole)
        if EOS in ids[first : block.stop]:
            break
    answer = before_end(ids[first:end])
    return Canvas(tuple(answer), (), logp, is_cut=not job.after and EOS not in ids[first:end])


def _block(
    ids: Sequence[int],
    first: int,
    block: range,
    end: int,
    logp: float,
    cache: KVCache,
    policy: Policy,
    whole: Whole,
) -> Generator[Forward, Candidates, tuple[list[int], float]]:
    """`ids` with one block decided, and the log-probability so far."""
    now, step, seen = tuple(ids), 0, set[tuple[int, ...]]()
    opened = sum(now[i] == MASK for i in block)
    cache.truncate(0)
    while MASK in before_end(now[first : block.stop]) or (policy.edits_visible and now not in seen):
        seen.add(now)
        begin, stop, keep = 0, len(now), list[int]()
        if whole.reuse != "none" and step == 0:
            keep = [
                i for i in range(len(now)) if i < block.start or (whole.reuse == "dual" and i not in block)
            ]
        elif whole.reuse != "none":
            begin, stop = block.start, block.stop if whole.reuse == "dual" else len(now)
        wanted = [i for i in block if policy.edits_visible or now[i] == MASK]
        if (
            whole.shifted and begin
        ):  # the row that says what stands at the block's first position is not there
            wanted = [i for i in wanted if i > begin]
        rows = [max(0, i - whole.shifted - begin) for i in wanted]
        state = Canvas((), tuple(now[first:end]), logp)
        found = yield Forward("denoise", (), now[begin:stop], rows, state, "fill", start=begin, keep=keep)
        if whole.shifted and step == 0 and whole.reuse != "none":
            changed = (*now[: block.start], int(found.best[0]), *now[block.start + 1 :])
            gained = float(found.logp_RK[0, 0])
        else:
            changed, gained = committed(now, wanted, found, policy, opened, step)
        now, logp, step = changed, logp + gained, step + 1
    cache.truncate(0)
    return list(now), logp


def of_unknown_length(job: Job, cache: KVCache, policy: Policy, whole: Whole) -> Decoder:
    """`in_place` with the number of masks, of `LENGTHS` up to `job.limit`, for which the network is surest of its first
    guesses: the highest mean log-probability of the best ids where all is masked. Where a cache is used, what the first
    length made of the prompt serves the others."""
    best, chosen = -np.inf, min(LENGTHS[0], job.limit)
    first = max(0, len(job.prompt) - whole.shifted)  # the first row that is asked
    cache.truncate(0)
    for length in [n for n in LENGTHS if n <= job.limit]:
        ids = (*job.prompt, *[MASK] * length, *job.after)
        begin = cache.length
        rows = [max(0, len(job.prompt) - whole.shifted + i) - begin for i in range(length)]
        keep = range(first) if whole.reuse != "none" and not begin else ()
        state = Canvas((), (MASK,) * length)
        found = yield Forward("denoise", (), ids[begin:], rows, state, "fill", start=begin, keep=keep)
        sure = float(found.logp_RK[:, 0].mean())
        if sure > best:
            best, chosen = sure, length
    return (yield from in_place(replace(job, limit=chosen), cache, policy, whole))


def expanding(job: Job, cache: KVCache, opened: int = 4) -> Decoder:
    """DreamOn (Wu et al. 2025): masks that may double or vanish. Each step decides the one of which the network is
    least in doubt (the lowest entropy): `<ins_1>`, its expand token, makes it two masks; `<eos>` makes it and all masks
    behind it vanish. At most `job.limit` tokens; where no more fit, a mask may not double."""
    ids, logp, budget = [MASK] * min(opened, job.limit), 0.0, job.limit
    while MASK in ids:
        now = (*job.prompt, *ids, *job.after)
        masks = [i for i, token in enumerate(ids) if token == MASK]
        rows = [max(0, len(job.prompt) + i - 1) for i in masks]
        state = Canvas((), tuple(ids), logp)
        allowed = "expand" if len(ids) < job.limit and budget > 0 else "fill"
        found = yield Forward("denoise", (), now, rows, state, allowed, start=0)
        row = int(found.entropy_R.argmin())
        token, at, logp = int(found.best[row]), masks[row], logp + float(found.logp_RK[row, 0])
        if token == INS_1:
            ids[at : at + 1] = [MASK, MASK]
            budget -= 1
        elif token == EOS:
            ids = [t for i, t in enumerate(ids) if i < at or t != MASK]
        else:
            ids[at] = token
    return Canvas(tuple(ids), (), logp)
