"""Figures on held-out projects: holes filled, slips repaired, intact code left alone, refactorings applied.

Nothing is run: an answer is right where the file is again what it was. Cases come from `holes.py` and `cases.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

from model.editing.syntax import parse
from model.engine import DiffusionEngine
from model.eval import metrics
from model.eval.answers import answered
from model.eval.benchmark import LONG, Result
from model.eval.cases import (
    Case,
    broken_functions,
    intact_functions,
    needless_refactorings,
    refactorings,
    restorations,
)
from model.eval.holes import completions, several_lines, syntax_nodes
from model.request import Complete
from model.train.corpus import SourceFile
from model.train.refactorings.pairs import Pair
from model.train.slips import SYNTAX_SLIPS

Draw = Callable[[Sequence[SourceFile], int, int], list[Case]]
HOLES: dict[str, Draw] = {"fill": completions, "fill lines": several_lines, "fill node": syntax_nodes}


def changes(pairs: Sequence[Pair], taught: Sequence[str] = ()) -> dict[str, Draw]:
    """The tasks that change code; `pairs` are refactorings of held-out projects. With `taught`, those that a network
    was taught are counted apart too."""
    own = {"refactor taught": partial(refactorings, pairs=pairs, taught=taught)} if taught else {}
    return {
        "fix": broken_functions,
        "fix with a message": partial(broken_functions, with_message=True),
        "intact": intact_functions,
        "refactor": partial(refactorings, pairs=pairs),
        "needless": partial(needless_refactorings, pairs=pairs, taught=taught),
        "restore": partial(restorations, pairs=pairs),
        **own,
    }


def cases(
    files: Sequence[SourceFile], count: int, seed: int, draws: dict[str, Draw]
) -> list[tuple[str, Case]]:
    """`count` cases of each task, as a user asks: a completion is then shown however unsure."""
    return [(task, _asked(case)) for task, draw in draws.items() for case in draw(files, count, seed)]


def _asked(case: Case) -> Case:
    task = case.request.task
    if not isinstance(task, Complete):
        return case
    return replace(case, request=replace(case.request, task=replace(task, asked=True)))


def solve(engine: DiffusionEngine, task: str, case: Case) -> Result:
    """One case answered; `exact` for code that needs nothing means that it was left alone."""
    request = case.request
    found = answered(engine.propose(request), request)
    before, is_fill = request.document.text, isinstance(request.task, Complete)
    wanted, got, empty = case.truth, found.text, before
    if isinstance(request.task, Complete):
        at = request.task.cursor
        wanted, got, empty = case.truth[at : at + len(case.truth) - len(before)], found.written, ""
    elif before != case.truth:
        wanted, got, empty = metrics.differing([case.truth, found.text, before])
    longest = max(engine.reader.tokenizer.count(wanted), found.cost.tokens) if is_fill else 0
    return Result(
        name=request.document.path,
        kind=task if case.kind == task else f"{task}: {case.kind}",
        answer=found,
        passed=None,
        empty_passed=None,
        exact=found.text.rstrip() == case.truth.rstrip(),
        similarity=metrics.edit_similarity(wanted, got),
        empty_similarity=metrics.edit_similarity(wanted, empty),
        valid=metrics.is_valid(found.text),
        is_fill=is_fill,
        is_long=longest >= LONG,
        is_worse=found.is_offered and _problems(found.text) > _problems(before),
    )


def _problems(text: str) -> int:
    return parse(text, "python").problem_count()


def groups(results: Sequence[Result]) -> dict[str, list[Result]]:
    """The results by task and by kind; slips that break the syntax and those that do not also as one each."""
    found: dict[str, list[Result]] = {}
    for result in results:
        task, _, kind = result.kind.partition(": ")
        family = "fill" if task.startswith("fill") else task
        found.setdefault(family, []).append(result)
        if task == "fix":
            breaks = "syntax slips" if kind in SYNTAX_SLIPS else "semantic slips"
            found.setdefault(f"fix: {breaks}", []).append(result)
        if kind:
            found.setdefault(f"{family}: {kind}", []).append(result)
    return found
