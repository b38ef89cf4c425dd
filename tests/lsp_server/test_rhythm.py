"""How long to wait until the user rests."""

from __future__ import annotations

from itertools import accumulate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lsp_server.rhythm import LEAST, MOST, Rhythm
from lsp_server.settings import InlineSettings
from lsp_server.suggest import is_worth_showing
from model.editing.edit import Edit


def typed(*gaps: float) -> Rhythm:
    rhythm = Rhythm()
    for now in accumulate(gaps, initial=100.0):
        rhythm.key(now)
    return rhythm


@given(st.lists(st.floats(0, 1e4)))
def test_the_delay_stays_in_bounds(gaps):
    assert LEAST <= typed(*gaps).delay <= MOST
    assert (LEAST, MOST) == (0.1, 0.4)


def test_a_slow_typist_is_given_more_time():
    assert typed(*[0.05] * 20).delay == LEAST
    assert typed(*[0.2] * 20).delay == pytest.approx(0.3)
    assert typed(*[0.9] * 20).delay == MOST


def test_a_pause_says_nothing_about_the_rhythm():
    assert typed(*[0.2] * 20, 60.0).delay == typed(*[0.2] * 20).delay


def test_what_has_passed_since_the_last_key_counts():
    """Some clients wait themselves before they ask."""
    rhythm = typed(*[0.2] * 20)
    last = 100.0 + 20 * 0.2
    assert rhythm.left(last + 0.1) == pytest.approx(0.2)
    assert rhythm.left(last + 5) == 0
    assert rhythm.left(last + 0.1, 0.15) == pytest.approx(0.05)
    assert Rhythm().left(0.0) == LEAST


@pytest.mark.parametrize(("new", "worth"), [(")", False), ("  \n x", False), ("()", True), ("a b", True)])
def test_a_suggestion_needs_two_characters(new, worth):
    assert is_worth_showing(Edit(0, 0, new), InlineSettings()) is worth
