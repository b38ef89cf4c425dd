"""Thresholds of refactorings, from scores at each."""

from __future__ import annotations

import pytest

from model.eval.heldout import Score
from model.train.calibrate import kind_threshold

Row = tuple[float, float, float, float]


def chosen(rows: list[Row], cases: int = 20) -> float | None:
    """Rows are (threshold, offered, exact, left alone)."""
    done = {tau: {"super": Score(cases, offered, exact)} for tau, offered, exact, _ in rows}
    alone = {tau: {"super": Score(cases, 1 - left, left)} for tau, _, _, left in rows}
    return kind_threshold("super", done, alone)


def test_the_most_exact_answers_among_thresholds_that_leave_code_alone():
    assert chosen([(0.5, 0.95, 0.95, 0.8), (0.7, 0.9, 0.9, 0.95), (0.9, 0.8, 0.8, 1.0)]) == 0.7


def test_a_wrong_answer_costs_as_much_as_a_right_one_is_worth():
    assert chosen([(0.5, 1.0, 0.92, 1.0), (0.9, 0.86, 0.86, 1.0)]) == 0.9


@pytest.mark.parametrize(
    "rows",
    [
        [(0.5, 0.4, 0.4, 1.0), (0.9, 0.3, 0.3, 1.0)],  # too seldom done
        [(0.5, 0.9, 0.7, 1.0), (0.9, 0.7, 0.5, 1.0)],  # too often done wrongly
        [(0.5, 1.0, 1.0, 0.9), (0.9, 0.2, 0.2, 1.0)],  # right, but others' code is changed too
    ],
)
def test_what_is_never_reliable_has_no_threshold(rows: list[Row]):
    assert chosen(rows) is None


def test_too_few_cases_tell_nothing():
    assert chosen([(0.5, 1.0, 1.0, 1.0)], cases=1) is None
    assert kind_threshold("rename", {0.5: {}}, {0.5: {}}) is None


def test_of_equally_good_thresholds_the_strictest():
    assert chosen([(0.7, 0.9, 0.9, 1.0), (0.9, 0.9, 0.9, 1.0), (0.95, 0.9, 0.9, 1.0)]) == 0.95
