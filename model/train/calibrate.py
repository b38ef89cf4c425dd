"""Thresholds of a trained checkpoint, chosen on held-out files that the report does not use.

One edit threshold for all tasks, the largest share of exact fixes while intact functions stay intact; a fill
threshold as low as quality allows; and a confidence below which completions are not shown.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from model.backends.interface import Backend
from model.checkpoint import Decoding
from model.engine import DiffusionEngine
from model.eval.cases import (
    Case,
    broken_functions,
    completions,
    intact_functions,
    needless_refactorings,
    refactorings,
)
from model.eval.heldout import score
from model.tokenizer import Tokenizer
from model.train.corpus import SourceFile

_EDIT_GRID = (0.3, 0.5, 0.7, 0.8, 0.9, 0.95, 0.98, 0.995)
_MASK_GRID = (0.5, 0.6, 0.7, 0.8, 0.9)
_INTACT = 0.97
_HIDDEN_SHARE = 0.3
"""Share of completions that the confidence threshold keeps back: the least sure ones."""


def calibrate(
    network: Backend, tokenizer: Tokenizer, decoding: Decoding, files: Sequence[SourceFile], count: int
) -> Decoding:
    """`decoding` with the thresholds that suit `network` best; `count` cases for each choice."""
    broken = [*broken_functions(files, count, seed=1), *refactorings(files, count // 2, seed=1)]
    intact = [*intact_functions(files, count, seed=1), *needless_refactorings(files, count, seed=1)]
    decoding = replace(decoding, tau_edit=_edit_threshold(network, tokenizer, decoding, broken, intact))
    holes = completions(files, count, seed=1)
    decoding = replace(decoding, tau_mask=_mask_threshold(network, tokenizer, decoding, holes))
    engine = DiffusionEngine(network, tokenizer, replace(decoding, min_confidence=0.0))
    sure = sorted(p.confidence for p in (engine.propose(c.request) for c in holes) if p.status == "offered")
    floor = sure[int(len(sure) * _HIDDEN_SHARE)] if sure else 0.0
    return replace(decoding, min_confidence=round(floor, 3))


def _edit_threshold(
    network: Backend, tokenizer: Tokenizer, decoding: Decoding, broken: Sequence[Case], intact: Sequence[Case]
) -> float:
    """The threshold with the most exact edits among those that leave intact code alone often enough; where
    none does, the one that leaves it alone most often."""
    found: list[tuple[float, float, float]] = []
    for tau in _EDIT_GRID:
        engine = DiffusionEngine(network, tokenizer, replace(decoding, tau_edit=tau))
        left_alone = score(engine, intact)["all"].exact
        found.append((min(left_alone, _INTACT), score(engine, broken)["all"].exact, tau))
    return max(found)[2]


def _mask_threshold(
    network: Backend, tokenizer: Tokenizer, decoding: Decoding, holes: Sequence[Case]
) -> float:
    def exact(tau: float) -> float:
        changed = replace(decoding, tau_mask=tau, min_confidence=0.0)
        return score(DiffusionEngine(network, tokenizer, changed), holes)["all"].exact

    reference = exact(1.0)  # one token a step
    return next((tau for tau in _MASK_GRID if exact(tau) >= reference - 0.005), _MASK_GRID[-1])
