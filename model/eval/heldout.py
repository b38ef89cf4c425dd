"""Figures of a checkpoint on held-out projects: infill, fixes, refactorings, and what they cost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

from model.editing.syntax import parse
from model.engine import DiffusionEngine
from model.eval.cases import (
    Case,
    broken_functions,
    intact_functions,
    needless_refactorings,
    refactorings,
    result,
)
from model.eval.holes import completions
from model.request import Proposal
from model.train.corpus import SourceFile


@dataclass(frozen=True)
class Score:
    """Shares of `cases`, and costs. `worse` counts offers with more syntax errors than the input."""

    cases: int
    offered: float
    exact: float
    worse: int
    forwards: float
    tokens_per_forward: float
    milliseconds: float

    def __str__(self) -> str:
        return (
            f"{self.exact:6.1%} exact, {self.offered:6.1%} offered, {self.forwards:5.2f} forwards, "
            f"{self.tokens_per_forward:5.2f} tokens/forward, {self.milliseconds:6.1f} ms (median), n={self.cases}"
        )


def score(engine: DiffusionEngine, cases: Sequence[Case]) -> dict[str, Score]:
    """The score of each kind of case and of `all`."""
    answers = [(case, engine.propose(case.request)) for case in cases]
    kinds = sorted({case.kind for case in cases})
    groups = {"all": answers, **{k: [(c, p) for c, p in answers if c.kind == k] for k in kinds}}
    return {name: _summary(group) for name, group in groups.items() if group}


def _summary(answers: Sequence[tuple[Case, Proposal]]) -> Score:
    offered = [(c, p) for c, p in answers if p.status == "offered"]
    exact = [result(c, p.edits).rstrip() == c.truth.rstrip() for c, p in answers]
    forwards = sum(p.cost.forwards for _, p in answers)
    return Score(
        cases=len(answers),
        offered=round(len(offered) / len(answers), 4),
        exact=round(sum(exact) / len(answers), 4),
        worse=sum(_problems(result(c, p.edits)) > _problems(c.request.document.text) for c, p in offered),
        forwards=round(forwards / len(answers), 3),
        tokens_per_forward=round(sum(p.cost.tokens for _, p in answers) / max(1, forwards), 3),
        milliseconds=round(median(p.cost.milliseconds for _, p in answers), 2),
    )


def _problems(text: str) -> int:
    return parse(text, "python").problem_count()


def evaluate(
    engine: DiffusionEngine, files: Sequence[SourceFile], count: int, seed: int = 7
) -> dict[str, dict[str, Any]]:
    """All figures of one engine: `count` cases a task."""
    tasks = {
        "infill": completions(files, count, seed),
        "fix": broken_functions(files, count, seed),
        "intact": intact_functions(files, count, seed),
        "refactor": refactorings(files, min(count, 200), seed),
        "needless": needless_refactorings(files, min(count, 200), seed),
    }
    return {
        task: {kind: asdict(each) for kind, each in score(engine, cases).items()}
        for task, cases in tasks.items()
    }
