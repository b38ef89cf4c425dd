"""Shares of exact answers, without intervals and costs: what calibration chooses thresholds by."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from model.engine import DiffusionEngine
from model.eval.cases import Case, result
from model.request import Proposal


@dataclass(frozen=True)
class Score:
    """Shares of `cases`: offered anything, and made the text what it should be."""

    cases: int
    offered: float
    exact: float


def score(engine: DiffusionEngine, cases: Sequence[Case]) -> dict[str, Score]:
    """The score of each kind of case and of `all`."""
    answers = [(case, engine.propose(case.request)) for case in cases]
    kinds = sorted({case.kind for case in cases})
    groups = {"all": answers, **{k: [(c, p) for c, p in answers if c.kind == k] for k in kinds}}
    return {name: _summary(group) for name, group in groups.items() if group}


def _summary(answers: Sequence[tuple[Case, Proposal]]) -> Score:
    exact = [result(c, p.edits).rstrip() == c.truth.rstrip() for c, p in answers]
    offered = [p.status == "offered" for _, p in answers]
    return Score(len(answers), round(sum(offered) / len(answers), 4), round(sum(exact) / len(answers), 4))
