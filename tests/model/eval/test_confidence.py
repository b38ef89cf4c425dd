"""How sure against how right."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.eval.cases import Case
from model.eval.confidence import Outcome, draw, outcomes, reliability
from model.loading import load_engine
from model.request import Complete, Document, Request

MADE = st.builds(Outcome, st.floats(0, 1), st.booleans(), st.booleans())


@given(st.lists(MADE, min_size=1, max_size=60), st.floats(0, 1))
def test_every_suggestion_is_on_one_side_and_in_one_bin(found: list[Outcome], threshold: float) -> None:
    figures = reliability(found, len(found), threshold)
    assert figures.shown + figures.hidden == len(found)
    assert sum(b.suggestions for b in figures.bins) == len(found)
    assert len(figures.bins) <= 10
    assert [b.confidence for b in figures.bins] == sorted(b.confidence for b in figures.bins)
    assert 0 <= figures.calibration_error <= 1
    exact = figures.shown * figures.shown_exact + figures.hidden * figures.hidden_exact
    assert exact == pytest.approx(sum(o.is_exact for o in found), abs=0.01)


def test_a_model_that_is_as_sure_as_right_has_no_error() -> None:
    found = [Outcome(0.5, number % 2 == 0, True) for number in range(100)]
    assert reliability(found, 100, 0.3).calibration_error == 0
    assert reliability([Outcome(1.0, False, False)] * 10, 10, 0.3).calibration_error == 1


def test_nothing_suggested_is_said() -> None:
    with pytest.raises(ValueError, match="nothing at all"):
        reliability([], 3, 0.5)


def test_the_embedded_models_suggestions_are_judged_hidden_ones_too(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    truth = (
        "def f(values):\n    total = 0\n    for value in values:\n        total += value\n    return total\n"
    )
    cases = []
    for cursor in range(truth.index("total = "), len(truth) - 8, 7):
        end = truth.index("\n", cursor)
        broken = Document(truth[:cursor] + truth[end:], "python")
        cases.append(Case("rest", Request(broken, Complete(cursor, multiline=False)), truth))
    engine = load_engine()
    found = outcomes(engine, cases)
    shown = [engine.propose(case.request).status == "offered" for case in cases]
    assert len(found) >= sum(shown) > 0
    assert any(each.is_usable for each in found)
    assert all(each.is_usable for each in found if each.is_exact)
    figures = reliability(found, len(cases), engine.reader.decoding.min_confidence)
    draw(figures, tmp_path / "c.png")
    assert (tmp_path / "c.png").read_bytes().startswith(b"\x89PNG")
