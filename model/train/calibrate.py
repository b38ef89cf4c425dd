"""Thresholds of a trained checkpoint, chosen on held-out files that the report does not use.

Edit thresholds for fixes and for refactorings, each with the most exact edits while code that needs none is left
alone; a fill threshold as low as quality allows; a confidence below which completions are not shown unasked; and
which refactorings are done reliably enough to be offered.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from model.backends.interface import Backend
from model.checkpoint import Decoding, Instruction
from model.engine import DiffusionEngine
from model.eval.cases import (
    Case,
    broken_functions,
    intact_functions,
    needless_refactorings,
    refactorings,
)
from model.eval.heldout import Score, score
from model.eval.holes import completions
from model.tokenizer import Tokenizer
from model.train.corpus import SourceFile
from model.train.refactorings.catalogue import REFACTORINGS
from model.train.refactorings.pairs import Pair
from model.train.refactorings.signs import BECOMES, SIGNS

_EDIT_GRID = (0.3, 0.5, 0.7, 0.8, 0.9, 0.95, 0.98, 0.995)
_MASK_GRID = (0.5, 0.6, 0.7, 0.8, 0.9)
_INTACT, _NEEDLESS = 0.97, 0.95
_RELIABLE, _RIGHT = 0.5, 0.8
"""Share of exact answers from which a refactoring is listed, and of these among all that were offered: who finds a
place left alone does it by hand, who finds it done wrongly asks no second time."""
_JUDGED, _FEWEST = 25, 2
"""Cases a kind by which it is judged, and the fewest where held-out files hold no more."""
_HIDDEN_SHARE = 0.3
"""Share of completions that the confidence threshold keeps back: the least sure ones."""


def calibrate(
    network: Backend,
    tokenizer: Tokenizer,
    decoding: Decoding,
    files: Sequence[SourceFile],
    count: int,
    pairs: Sequence[Pair] = (),
    taught: Sequence[str] = (),
) -> Decoding:
    """`decoding` with the thresholds that suit `network` best; `count` cases for each choice. Of `pairs` those
    count that lie in `files`, of refactorings the `taught` ones (none: all)."""

    def engine(changed: Decoding) -> DiffusionEngine:
        return DiffusionEngine(network, tokenizer, changed)

    broken, intact = broken_functions(files, count, seed=1), intact_functions(files, count, seed=1)
    tau = _threshold(lambda t: engine(replace(decoding, tau_edit=t)), broken, intact, _INTACT)
    decoding = replace(decoding, tau_edit=tau)
    decoding = _refactoring(engine, decoding, files, count, pairs, taught)
    holes = completions(files, count, seed=1)
    decoding = replace(decoding, tau_mask=_mask_threshold(network, tokenizer, decoding, holes))
    shown = engine(replace(decoding, min_confidence=0.0))
    sure = sorted(p.confidence for p in (shown.propose(c.request) for c in holes) if p.status == "offered")
    floor = sure[int(len(sure) * _HIDDEN_SHARE)] if sure else 0.0
    return replace(decoding, min_confidence=round(floor, 3))


def _refactoring(
    engine: Callable[[Decoding], DiffusionEngine],
    decoding: Decoding,
    files: Sequence[SourceFile],
    count: int,
    pairs: Sequence[Pair],
    taught: Sequence[str],
) -> Decoding:
    """Which refactorings are done reliably, each with its own threshold, since who asks for a change wants it made
    and each is told from its opposite with another certainty; and one threshold for all others."""
    names = [name for name, r in REFACTORINGS.items() if r.instructed and name in (taught or REFACTORINGS)]
    several = max(count, min(_JUDGED * len(names), 4 * count))
    judged = refactorings(files, several, seed=2, pairs=pairs, taught=taught)
    needless = needless_refactorings(files, several, seed=1, pairs=pairs, taught=taught)
    done: dict[float, dict[str, Score]] = {}
    alone: dict[float, dict[str, Score]] = {}
    for tau in _EDIT_GRID:
        known = tuple(_instruction(name, tau) for name in names)
        now = engine(replace(decoding, instructions=known))
        done[tau], alone[tau] = score(now, judged), score(now, needless)
    general = max(_EDIT_GRID, key=lambda t: (min(_overall(alone[t]), _NEEDLESS), _overall(done[t])))
    taus = {name: kind_threshold(name, done, alone) for name in names}
    # An empty list would take every instruction: where nothing is reliable all are listed, to be told apart at all.
    reliable = [name for name in names if taus[name] is not None] or names
    known = tuple(_instruction(name, taus[name] or _EDIT_GRID[-1]) for name in reliable)
    return replace(decoding, tau_refactor=general, instructions=known)


def _instruction(name: str, tau: float) -> Instruction:
    return Instruction(REFACTORINGS[name].phrasings, tau, SIGNS.get(name, ""), BECOMES.get(name, ""))


def _overall(scores: Mapping[str, Score]) -> float:
    """The share of exact answers; 0 where held-out files hold no cases."""
    return scores["all"].exact if scores else 0.0


def kind_threshold(
    name: str, done: Mapping[float, Mapping[str, Score]], alone: Mapping[float, Mapping[str, Score]]
) -> float | None:
    """The threshold at which most of a refactoring is done exactly and least is done wrongly, of those at which it is
    reliable and code that holds nothing of it is left alone; None where there is none, or too few cases tell."""
    found: list[tuple[float, float]] = []
    for tau, scores in done.items():
        kind, needless = scores.get(name), alone[tau].get(name)
        if kind is None or kind.cases < _FEWEST:
            continue
        if kind.exact < max(_RELIABLE, _RIGHT * kind.offered):
            continue
        if needless is not None and needless.exact < _NEEDLESS:
            continue
        found.append((2 * kind.exact - kind.offered, tau))
    return max(found)[1] if found else None


def _threshold(
    engine: Callable[[float], DiffusionEngine], wanted: Sequence[Case], unwanted: Sequence[Case], floor: float
) -> float:
    """The threshold with the most exact edits among those that leave code alone often enough where nothing is
    to be done; where none does, the one that leaves it alone most often."""
    found: list[tuple[float, float, float]] = []
    for tau in _EDIT_GRID:
        left_alone = score(engine(tau), unwanted)["all"].exact
        found.append((min(left_alone, floor), score(engine(tau), wanted)["all"].exact, tau))
    return max(found)[2]


def _mask_threshold(
    network: Backend, tokenizer: Tokenizer, decoding: Decoding, holes: Sequence[Case]
) -> float:
    def exact(tau: float) -> float:
        changed = replace(decoding, tau_mask=tau, min_confidence=0.0)
        return score(DiffusionEngine(network, tokenizer, changed), holes)["all"].exact

    reference = exact(1.0)  # one token a step
    return next((tau for tau in _MASK_GRID if exact(tau) >= reference - 0.005), _MASK_GRID[-1])
