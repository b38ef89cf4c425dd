"""Evaluation cases: each can be solved, and a perfect or a silent engine gets the figures it should."""

from __future__ import annotations

from pathlib import Path

import pytest

from model.editing.edit import minimal_edits
from model.editing.syntax import parse
from model.eval import cases, holes
from model.eval.corpus import solve
from model.eval.heldout import score
from model.request import Cost, Proposal, Request
from model.train.corpus import SourceFile
from model.train.slips import SLIPS
from tests.library import library_files

ROOT = Path(__file__).parents[3]
KINDS = {
    "completions": holes.completions,
    "broken": cases.broken_functions,
    "intact": cases.intact_functions,
    "refactorings": cases.refactorings,
}


@pytest.fixture(scope="module")
def drawn() -> dict[str, list[cases.Case]]:
    files = [SourceFile("library", p.name, p.read_text("utf-8")) for p in library_files()]
    return {name: draw(files, 12, seed=3) for name, draw in KINDS.items()}


class Scripted:
    """Answers every request with the edits that lead to a text."""

    def __init__(self, answers: dict[int, str]) -> None:
        self._answers = answers

    def propose(self, request: Request) -> Proposal:
        old = request.document.text
        edits = minimal_edits(old, self._answers[id(request)])
        return Proposal("offered" if edits else "unchanged", edits, cost=Cost(2, 1, 6, 1.0))


@pytest.mark.parametrize("name", KINDS)
def test_cases_can_be_solved(drawn, name: str) -> None:
    """The truth parses; it differs from the request's text unless nothing is to be done."""
    assert len(drawn[name]) == 12
    for case in drawn[name]:
        text = case.request.document.text
        assert (text == case.truth) is (name == "intact")
        assert parse(case.truth, "python").problem_count() == 0
        assert cases.result(case, minimal_edits(text, case.truth)) == case.truth


def test_broken_functions_hold_one_slip_at_the_cursor(drawn) -> None:
    for case in drawn["broken"]:
        assert case.kind in SLIPS
        edits = minimal_edits(case.request.document.text, case.truth)
        # A doubled line may as well be the one above: a line is 120 characters at most.
        assert all(abs(e.start - case.request.task.span.start) < 130 for e in edits)


def test_the_same_seed_draws_the_same_cases(drawn) -> None:
    files = [SourceFile("model", "labels.py", (ROOT / "model/labels.py").read_text("utf-8"))]
    for draw in KINDS.values():
        assert draw(files, 4, seed=1) == draw(files, 4, seed=1)


@pytest.mark.parametrize("name", KINDS)
def test_a_perfect_engine_scores_one(drawn, name: str) -> None:
    engine = Scripted({id(c.request): c.truth for c in drawn[name]})
    figures = score(engine, drawn[name])["all"]
    assert (figures.cases, figures.exact) == (12, 1.0)
    assert figures.offered == (0.0 if name == "intact" else 1.0)
    if name != "completions":  # a fill needs a tokenizer to be measured
        assert not any(solve(engine, name, each).is_worse for each in drawn[name])


def test_a_silent_engine_leaves_intact_code_alone_and_solves_nothing_else(drawn) -> None:
    for name, each in drawn.items():
        figures = score(Scripted({id(c.request): c.request.document.text for c in each}), each)["all"]
        assert figures.exact == (1.0 if name == "intact" else 0.0)
        assert figures.offered == 0


def test_an_engine_that_breaks_code_is_found_out(drawn) -> None:
    each = drawn["intact"]
    engine = Scripted({id(c.request): c.truth + "def (:\n" for c in each})
    assert score(engine, each)["all"].exact == 0
    assert all(solve(engine, "intact", case).is_worse for case in each)
