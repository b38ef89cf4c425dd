"""The ways to decode, each a generator: it yields the forward it needs and receives the network's candidates.

A generator never calls the network, so `model/sampler.py` can run several as one batch, stop between any two
steps and show every state. `fill` and `edit` are diffusion, `autoregress` is the baseline with the same weights,
and `speculate` drafts by diffusion what the causal pass verifies (Nemotron-Labs-Diffusion, section 3).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Generator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import exp
from typing import Literal

import numpy as np

from model.backends.interface import Candidates
from model.cache import KVCache
from model.canvas import Canvas, before_end
from model.healing import Lead
from model.labels import apply_labels
from model.policies import InsertDelete, Policy, View, begun
from model.tokenizer import EOR, EOS, INS_16, INSERTIONS, MASK

PassKind = Literal["prefill", "denoise", "commit", "verify", "causal"]
Inspect = Callable[[Sequence[int]], Sequence[int]]
"""Answer tokens -> indices of those that break the syntax (none: the answer is fine)."""

Enough = Callable[[Sequence[int]], bool]
"""Whether a fill's tokens so far are all that can be used of it."""


@dataclass(frozen=True)
class Forward:
    """One sequence's wish for the next step. `wanted` indexes rows of causal and canvas tokens together; `only` are
    the ids that can be chosen (none: what `allowed` says); `start` and `keep` are those of a `Pass`."""

    kind: PassKind
    causal: Sequence[int]
    canvas: Sequence[int]
    wanted: Sequence[int]
    state: Canvas
    allowed: Literal["fill", "edit", "causal", "expand", "indel"]
    only: Sequence[int] = ()
    start: int | None = None
    keep: Sequence[int] = ()


Decoder = Generator[Forward, Candidates, Canvas]


@dataclass(frozen=True)
class Job:
    """What to decode after `prompt`. `source` is the region's tokens for edits, None for a fill of at most `limit`
    tokens behind `lead`, with which it begins. An edit's canvas grows by at most `limit` tokens and the masks of one
    label. A fill begins with none of the tokens `banned`, and below the confidence `minimum` it is not mended."""

    prompt: Sequence[int]
    source: Sequence[int] | None = None
    limit: int = 32
    block: int = 32
    chunk: int = 256
    end: int = field(default=EOS)
    inspect: Inspect | None = None
    rounds: int = 8
    lead: Lead | None = None
    enough: Enough | None = None
    banned: frozenset[int] = frozenset()
    minimum: float = 0.0
    after: Sequence[int] = ()
    """What stands behind the hole, for a network that sees it in place."""

    @property
    def longest_canvas(self) -> int:
        """Of an edit: without a bound, rounds that open masks everywhere would grow it seventeenfold each."""
        return len(self.source or ()) + self.limit + INSERTIONS[INS_16] + 1


_NOTHING = Canvas((), ())
_MENDABLE = 64
"""Tokens of a fill's longest canvas for mending: beyond it nothing was trained."""


def prefill(job: Job, cache: KVCache) -> Generator[Forward, Candidates, list[int]]:
    """Encode the prompt in chunks; the last chunk is returned, to go with the first real pass."""
    left = list(job.prompt[cache.length :])
    while len(left) > job.chunk:
        yield Forward("prefill", left[: job.chunk], (), (), _NOTHING, "causal")
        left = left[job.chunk :]
    return left


def begin(job: Job, cache: KVCache) -> Generator[Forward, Candidates, tuple[list[int], Canvas]]:
    """Encode the prompt, then write the answer's lead, token by token from the causal rows; what is not yet in the
    cache, and the answer so far."""
    pending = yield from prefill(job, cache)
    tokens: list[int] = []
    logp = 0.0
    left = job.lead
    while left is not None and left.text and (ids := left.ids):
        state = Canvas(tuple(tokens), (), logp)
        found = yield Forward("causal", pending, (), [len(pending) - 1], state, "causal", ids)
        if not tokens and job.banned:
            found = without(found, [0], {0: job.banned})
        token = int(found.best[0])
        if not left.count([token]):  # how likely what the user wrote is says nothing of the rest
            logp += float(found.logp_RK[0, 0])
        left = left.after(token)
        tokens, pending = [*tokens, token], [token]
    return pending, Canvas(tuple(tokens), (), logp)


def has_enough(job: Job, tokens: Sequence[int]) -> bool:
    return job.enough is not None and job.enough(tokens)


def fill(job: Job, cache: KVCache, policy: Policy) -> Decoder:
    """Blocks of masks after the prompt, each denoised and then committed with the next block's first pass."""
    pending, lead = yield from begin(job, cache)
    settled, logp = list(lead.settled), lead.logp
    limit = job.limit + len(settled)
    banned = {0: job.banned} if job.banned and not settled else None
    while True:
        size = min(job.block, limit - len(settled))
        canvas = yield from _denoise(Canvas(tuple(settled), (MASK,) * size, logp), pending, policy, banned)
        logp, banned = canvas.logp, None
        settled, pending = [*settled, *before_end(canvas.ids)], list(canvas.ids)
        if EOS in canvas.ids or len(settled) >= limit or has_enough(job, settled):
            break
    return (yield from _mend_fill(job, cache, Canvas(tuple(settled), (), logp), policy, len(lead.settled)))


def _denoise(
    canvas: Canvas,
    pending: Sequence[int],
    policy: Policy,
    banned: Mapping[int, Collection[int]] | None = None,
    fixed: int = 0,
) -> Decoder:
    """Steps until no mask is left before the first `<eos>`; `pending` clean tokens go with the first. The `fixed`
    first tokens of the canvas are not changed; `banned` are ids that a position of it does not get."""
    seen = {canvas.ids}
    policy, opened = begun(policy), canvas.ids.count(MASK)
    while policy.edits_visible or not canvas.is_finished:
        live = min(len(before_end(canvas.ids)) + 1, len(canvas.ids))  # what follows the end cannot matter
        positions = [i for i in range(fixed, live) if policy.edits_visible or canvas.ids[i] == MASK]
        found = yield Forward(
            "denoise", pending, canvas.ids, [len(pending) + i for i in positions], canvas, "fill"
        )
        pending = ()
        found = without(found, positions, banned)
        worth = _up_to_predicted_end(canvas.ids, positions, found)
        at = opened, len(seen) - 1
        ids, logp = committed(canvas.ids, positions[:worth], found.rows(slice(worth)), policy, *at)
        canvas = Canvas(canvas.settled, ids, canvas.logp + logp)
        repeats = canvas.ids in seen  # nothing changed, or a cycle
        if canvas.is_finished and (repeats or len(seen) > 2 * len(canvas.ids)):
            break
        seen.add(canvas.ids)
    return canvas


def _up_to_predicted_end(ids: Sequence[int], positions: Sequence[int], found: Candidates) -> int:
    """How many rows are worth deciding: those up to the first mask that would become `<eos>`.

    Masks behind it are dropped if it does; committing them, the surest of all, one by one from the canvas's
    end would cost a forward each.
    """
    ends = (row for row, i in enumerate(positions) if ids[i] == MASK and found.best[row] == EOS)
    return next(ends, len(positions) - 1) + 1


def committed(
    ids: Sequence[int],
    positions: Sequence[int],
    found: Candidates,
    policy: Policy,
    opened: int,
    step: int = 0,
) -> tuple[tuple[int, ...], float]:
    """`ids` with the policy's choice written in (tokens for a fill, labels for an edit), and the choice's
    log-probability. `opened` and `step` are those of a `View`."""
    current = np.array(ids)[list(positions)]
    choice = policy(View(np.array(positions), current, found, opened, step))
    result = list(ids)
    row_of = {position: row for row, position in enumerate(positions)}
    logp = 0.0
    for position, token in zip(choice.positions.tolist(), choice.tokens.tolist(), strict=True):
        result[position] = int(token)
        row = row_of[position]
        logp += float(found.logp_RK[row][found.ids_RK[row] == token].max(initial=-30.0))
    return tuple(result), logp


def without(
    found: Candidates, positions: Sequence[int], banned: Mapping[int, Collection[int]] | None
) -> Candidates:
    """Candidates with the banned ids moved behind the others of their row."""
    if not banned:
        return found
    ids, logp = found.ids_RK.copy(), found.logp_RK.copy()
    for row, position in enumerate(positions):
        bad = np.isin(ids[row], list(banned.get(position, ())))
        order = np.argsort(bad, kind="stable")
        ids[row], logp[row] = ids[row][order], logp[row][order]
    return Candidates(ids, logp, found.entropy_R)


def _mend_fill(job: Job, cache: KVCache, done: Canvas, policy: Policy, lead: int) -> Decoder:
    """Syntax-guided remasking: tokens that break the file are masked again and denoised with the rest fixed; the
    first `lead` ones stay."""
    banned = {0: set(job.banned)} if job.banned and not lead else dict[int, set[int]]()
    for _ in range(2):
        tokens = done.tokens
        if exp(done.logp / max(1, len(tokens) - lead)) < job.minimum:
            break
        bad = {i for i in job.inspect(tokens) if i >= lead} if job.inspect and tokens else set[int]()
        if not bad or len(tokens) > _MENDABLE:
            break
        cache.truncate(len(job.prompt))
        for i in bad:
            banned.setdefault(i, set()).add(tokens[i])
        ids = (*(MASK if i in bad else t for i, t in enumerate(tokens)), EOS)
        canvas = yield from _denoise(Canvas((), ids, done.logp), (), policy, banned, lead)
        done = Canvas(tuple(before_end(canvas.ids)), (), canvas.logp)
    return done


def edit(job: Job, cache: KVCache, policy: InsertDelete) -> Decoder:
    """Rounds of labels over a copy of the region, until a fixpoint without masks, a repeated state, or 8 rounds."""
    pending = yield from prefill(job, cache)
    canvas = Canvas((), (*(job.source or ()), EOR))
    canvas = yield from _edit_rounds(job, canvas, pending, policy)
    for _ in range(2):
        bad = set(job.inspect(canvas.tokens)) if job.inspect else set()
        if not bad:
            break
        ids = tuple(MASK if i in bad else t for i, t in enumerate(canvas.ids))
        banned = {i: {canvas.ids[i]} for i in bad}
        canvas = yield from _edit_rounds(job, replace(canvas, ids=ids), (), policy, banned)
    return canvas


def _edit_rounds(
    job: Job,
    canvas: Canvas,
    pending: Sequence[int],
    policy: InsertDelete,
    banned: dict[int, set[int]] | None = None,
) -> Decoder:
    seen = {canvas.ids}
    for round_number in range(1, job.rounds + 1):
        positions = range(len(canvas.ids))
        found = yield Forward(
            "denoise", pending, canvas.ids, [len(pending) + i for i in positions], canvas, "edit"
        )
        pending = ()
        # In the last round whatever is still masked is decided by its best label.
        now = policy if round_number < job.rounds else InsertDelete(tau_mask=0.0, tau_edit=1.0)
        first = banned if round_number == 1 else None  # later rounds may have moved the positions
        found = without(found, positions, first)
        labels, logp = committed(canvas.ids, positions, found, now, canvas.ids.count(MASK))
        ids = tuple(apply_labels(labels, canvas.ids))
        if len(ids) > job.longest_canvas:
            break  # the last state that was bearable is the answer
        canvas = Canvas((), ids, canvas.logp + logp, labels=labels)
        if ids in seen:
            break
        seen.add(canvas.ids)
    if MASK in canvas.ids:
        canvas = replace(canvas, is_cut=True)  # a cycle or a canvas beyond its bound, with tokens missing
    return canvas
