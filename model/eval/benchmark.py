"""Running a benchmark: each problem's reference, its empty answer and the engine's answer, tested and measured.

Knows problems, the engine and a `Grade` that runs programs; nothing of files or printing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, partial

from model.engine import DiffusionEngine
from model.eval import metrics, sandbox
from model.eval.answers import Answer, answer
from model.eval.metrics import Metric
from model.eval.problems import Problem

LONG = 32
"""Tokens from which a fill counts as long."""
Grade = Callable[[str], sandbox.Outcome]


@dataclass(frozen=True)
class Result:
    """One problem, answered. `passed` is None where nothing was run; `empty` is the score of the text as it was
    asked about: nothing filled in, or nothing changed."""

    name: str
    kind: str
    answer: Answer
    passed: bool | None
    empty_passed: bool | None
    exact: bool
    similarity: float
    empty_similarity: float
    valid: bool
    is_fill: bool
    is_long: bool
    is_worse: bool = False
    """Offered, and with more syntax errors than before: the verdict's promise, counted."""
    ending: str = ""
    output: str = ""


Scores = dict[str, Metric]
"""Figures by name; those that a task has none of are left out."""


def grader(limits: sandbox.Limits) -> Grade:
    """Runs programs, equal ones once."""
    return cache(partial(sandbox.run, limits=limits))


def sound(problems: Sequence[Problem], grade: Grade) -> tuple[list[Problem], list[str]]:
    """The problems whose own reference passes, and the names of the others: those measure nothing."""
    good: list[Problem] = []
    bad: list[str] = []
    for each in problems:
        if grade(each.reference + each.test).passed:
            good.append(each)
        else:
            bad.append(each.name)
    return good, bad


def solve(engine: DiffusionEngine, problem: Problem, grade: Grade) -> Result:
    """One answer, tested and compared with the reference."""
    found = answer(engine, problem)
    outcome = grade(found.text + problem.test)
    is_fill = problem.hole is not None
    wanted, got, empty = problem.reference, found.text, problem.text
    if problem.hole is not None:
        wanted, got, empty = problem.hole.strip("\n"), found.written.strip("\n"), ""
        got = problem.indent + got if got else ""
    same = metrics.is_same_text(wanted, got) if is_fill else metrics.is_same_code(wanted, got)
    if not is_fill:
        wanted, got, empty = metrics.differing([wanted, got, empty])
    longest = max(engine.reader.tokenizer.count(wanted), found.cost.tokens) if is_fill else 0
    return Result(
        name=problem.name,
        kind=problem.kind,
        answer=found,
        passed=outcome.passed,
        empty_passed=grade(problem.text + problem.test).passed,
        exact=same,
        similarity=metrics.edit_similarity(wanted, got),
        empty_similarity=metrics.edit_similarity(wanted, empty),
        valid=metrics.is_valid(found.text),
        is_fill=is_fill,
        is_long=longest >= LONG,
        ending=outcome.ending,
        output=outcome.output,
    )


def scores(results: Sequence[Result], seed: int = 0) -> Scores:
    """All figures of some results. Validity is that of offered answers; costs are over the problems that reached the
    network."""
    ran = [r.answer.cost for r in results if r.answer.cost.forwards]
    fills = [r for r in results if r.is_fill and r.answer.cost.forwards]
    edits = [r.answer.cost.forwards for r in results if not r.is_fill and r.answer.cost.forwards]
    tested = [r for r in results if r.passed is not None]
    share = partial(metrics.mean, seed=seed)
    figures = {
        "pass@1": share([bool(r.passed) for r in tested]),
        "pass@1 of an empty answer": share([bool(r.empty_passed) for r in tested]),
        "exact match": share([r.exact for r in results]),
        "edit similarity": share([r.similarity for r in results]),
        "edit similarity of an empty answer": share([r.empty_similarity for r in results]),
        "syntax validity": share([r.valid for r in results if r.answer.is_offered]),
        "more syntax errors than before": share([r.is_worse for r in results if r.answer.is_offered]),
        "offered": share([r.answer.is_offered for r in results]),
        "declined": share([r.answer.status == "declined" for r in results]),
        "tokens per forward": _per_forward(fills, seed),
        f"tokens per forward, fills of {LONG} tokens and more": _per_forward([r for r in fills if r.is_long], seed),
        "forwards per fill, median": metrics.percentile([r.answer.cost.forwards for r in fills], 50, seed),
        "forwards per edit, median": metrics.percentile(edits, 50, seed),
        "forwards per edit, mean": share(edits),
        "milliseconds, p50": metrics.percentile([c.milliseconds for c in ran], 50, seed),
        "milliseconds, p95": metrics.percentile([c.milliseconds for c in ran], 95, seed),
        "tokens per second": metrics.ratio([c.tokens for c in ran], [c.milliseconds / 1000 for c in ran], seed),
    }  # fmt: skip
    return {name: metric for name, metric in figures.items() if metric is not None}


def _per_forward(results: Sequence[Result], seed: int) -> Metric | None:
    """Emitted tokens over forwards, each summed over the problems."""
    costs = [r.answer.cost for r in results]
    return metrics.ratio([c.tokens for c in costs], [c.forwards for c in costs], seed)


def by_kind(results: Sequence[Result], seed: int = 0) -> dict[str, Scores]:
    """The scores of `all` and, where there are several, of each kind."""
    kinds = list(dict.fromkeys(r.kind for r in results))
    groups = {"all": list(results)}
    if len(kinds) > 1:
        groups |= {kind: [r for r in results if r.kind == kind] for kind in kinds}
    return {name: scores(group, seed) for name, group in groups.items() if group}
