"""LLaDA2.2's decoding: blocks in which tokens are also deleted and inserted.

At each position of a block the network may say a token, `<del>` (this position vanishes) or `<ins_1>` (a mask is opened
before this token). The block keeps its length: what is missing at its end becomes masks, what is too much is cut off.
Masks that the block was opened with count as *original* and move with their tokens; while there are any, at least one
of them is decided in every step. A state that was there before is left by another choice at the position in most doubt.
After a budget of steps without original masks, a last one decides all masks and allows tokens only.

After the joint thresholds with insertion and deletion as SGLang serves them; other choices come from the candidates
alone. Generators as in `model/decoders.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from model.backends.interface import Candidates
from model.blockwise import Grid, by_blocks, shown
from model.cache import KVCache
from model.canvas import Canvas
from model.decoders import Decoder, Forward, Job
from model.tokenizer import DEL, INS_1, MASK


@dataclass(frozen=True)
class Joint:
    """Masks are decided at p > tau_mask, tokens replaced at p > tau_edit; `post_edits` is the budget of steps without
    original masks."""

    tau_mask: float = 0.5
    tau_edit: float = 0.0
    post_edits: int = 16


def by_insertion_and_deletion(job: Job, cache: KVCache, joint: Joint, grid: Grid) -> Decoder:
    return (yield from by_blocks(job, cache, partial(_settle, joint=joint), grid))


@dataclass
class _Block:
    """One block at work: its ids, which of its masks are original, and what was tried before."""

    ids: list[int]
    fixed: int
    original: np.ndarray = field(init=False)
    seen: set[tuple[int, ...]] = field(default_factory=set[tuple[int, ...]])
    tried: dict[int, set[int]] = field(default_factory=dict[int, set[int]])
    steps: int = 0
    without_original: int = 0

    def __post_init__(self) -> None:
        self.original = np.array(self.ids) == MASK
        self.original[: self.fixed] = False

    @property
    def masks(self) -> np.ndarray:
        masks = np.array(self.ids) == MASK
        masks[: self.fixed] = False
        return masks

    def write(self, tokens: dict[int, int]) -> None:
        """Tokens at their positions, deletions and insertions applied, at the block's own length."""
        ids, original = list[int](), list[bool]()
        for i, old in enumerate(self.ids):
            new = tokens.get(i, old)
            if i >= self.fixed and new == DEL:
                continue
            if i >= self.fixed and new == INS_1:
                ids, original = [*ids, MASK, old], [*original, False, bool(self.original[i])]
            else:
                ids, original = [*ids, new], [*original, bool(self.original[i])]
        size = len(self.ids)
        missing = max(0, size - len(ids))
        self.ids = [*ids, *[MASK] * missing][:size]
        self.original = np.array([*original, *[False] * missing][:size])


def _settle(canvas: Canvas, begin: int, fixed: int, pending: Sequence[int], joint: Joint) -> Decoder:
    block, logp = _Block(list(canvas.ids), fixed), canvas.logp
    size = len(block.ids)
    while True:
        state = shown(Canvas(canvas.settled, tuple(block.ids), logp), begin)
        rows = [len(pending) + i for i in range(size)]
        found = yield Forward("denoise", pending, block.ids, rows, state, "indel")
        pending = ()
        tokens, gained, is_last = _decided(block, found, joint)
        logp += gained
        block.write(tokens)
        if not tokens or is_last:
            return Canvas(canvas.settled, tuple(block.ids), logp)


def _decided(block: _Block, found: Candidates, joint: Joint) -> tuple[dict[int, int], float, bool]:
    """Positions and their new tokens, the log-probability of those, and whether this was the last step."""
    masks = block.masks
    original = masks & block.original
    block.steps += 1
    block.without_original += not original.any()
    is_last = (
        (block.without_original >= joint.post_edits > 0)
        or (joint.post_edits == 0 and not original.any())
        or block.steps > len(block.ids) + joint.post_edits
    )
    confidence, best = found.confidence, found.best.copy()
    fills = masks.copy()
    if original.any() and not is_last:
        fills = _fills(masks, original, confidence, joint.tau_mask)
        if joint.post_edits == 0 and not (original & ~fills).any():
            is_last, fills = True, masks.copy()
    visible = ~masks
    visible[: block.fixed] = False
    edits = visible & (best != np.array(block.ids)) & (confidence > joint.tau_edit)
    chosen = np.flatnonzero(fills | edits)
    for i in chosen if is_last else ():
        best[i] = _first(found.ids_RK[i], {MASK, DEL, INS_1})
    if not is_last:
        _leave_old_paths(block, chosen, best, found)
    tokens = {int(i): int(best[i]) for i in chosen}
    for i, token in tokens.items():
        block.tried.setdefault(i, set()).add(token)
    logp = sum(float(found.logp_RK[i][found.ids_RK[i] == t].max(initial=-30.0)) for i, t in tokens.items())
    return tokens, logp, is_last


def _fills(masks: np.ndarray, original: np.ndarray, confidence: np.ndarray, tau: float) -> np.ndarray:
    """Masks to decide: the sure ones if they are more than the opened masks, else as many of the surest: so at least
    one original mask is among them."""
    wanted = 1 + int(masks.sum() - original.sum())
    sure = masks & (confidence > tau)
    if sure.sum() >= wanted:
        return sure
    order = np.argsort(-np.where(masks, confidence, -np.inf), kind="stable")[: min(wanted, int(masks.sum()))]
    chosen = np.zeros_like(masks)
    chosen[order] = True
    return chosen


def _leave_old_paths(block: _Block, chosen: np.ndarray, best: np.ndarray, found: Candidates) -> None:
    """In a state that was there before, another choice where the network is in most doubt of those that change."""
    key = tuple(block.ids)
    changing = [int(i) for i in chosen if best[i] != block.ids[i]]
    if key in block.seen and changing:
        at = min(changing, key=lambda i: (found.confidence[i], i))
        best[at] = _first(found.ids_RK[at], block.tried.get(at, set()))
    block.seen.add(key)


def _first(ids: np.ndarray, without: set[int]) -> int:
    """The best id that is not among `without`; the best of all where they all are."""
    return next((int(i) for i in ids if int(i) not in without), int(ids[0]))
