"""Instructed refactorings: what is named decides, what is not named stays, and a draw depends on its seed alone."""

from __future__ import annotations

import zlib
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.editing.source import Span
from model.train.corpus import SourceFile
from model.train.drawing import Instructed, RefactoringDrawer, without_examples
from model.train.refactorings.catalogue import MAKERS, REFACTORINGS
from model.train.refactorings.pairs import Pair, PlacedPair, place
from model.train.scenery import Scenery
from model.train.slips import syntax_error

TEXT = '''import os


class Cart(Base):
    """A cart."""

    limit: int = 3

    def total(self, items: list[str], limit: int = 3) -> int:
        """Sum of a few."""
        count: int = 0
        if items is not None and limit:
            names = [item.name for item in items if item]
            return super().total(names, limit=limit)
        elif limit not in items:
            raise ValueError
        with open(self.path) as limits:
            text = limits.read()
        self.limit = limit
        return {"limit": limit, f"{text!r}": [], "count": count}
'''
TOTAL = Span(TEXT.index("    def total"), len(TEXT) - 1)


def made(name: str, seed: int = 0):
    return MAKERS[name](Scenery(TEXT).scene(TOTAL), np.random.default_rng(seed))


def changed(name: str, seed: int = 0) -> tuple[list[str], list[str]]:
    """Lines only before and lines only after."""
    found = made(name, seed)
    before, after = found.before.split("\n"), found.after.split("\n")
    return [x.strip() for x in before if x not in after], [x.strip() for x in after if x not in before]


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("docstring_removed", ['"""Sum of a few."""'], []),
        (
            "hints_removed",
            ["def total(self, items: list[str], limit: int = 3) -> int:", "count: int = 0"],
            ["def total(self, items, limit=3):", "count = 0"],
        ),
        (
            "membership_test",
            ["if not items is None and limit:", "elif not limit in items:"],
            ["if items is not None and limit:", "elif limit not in items:"],
        ),
        ("raise_without_call", ["raise ValueError()"], ["raise ValueError"]),
        (
            "comprehensions",
            ["names = []", "for item in items:", "if item:", "names.append(item.name)"],
            ["names = [item.name for item in items if item]"],
        ),
        ("conversion_flags", None, ['return {"limit": limit, f"{text!r}": [], "count": count}']),
        ("plain_super", ["return super(Cart, self).total(names, limit=limit)"], None),
    ],
)
def test_makers_do_what_they_are_called(name: str, old: list[str] | None, new: list[str] | None) -> None:
    before, after = changed(name)
    assert old is None or before == old
    assert new is None or after == new


@pytest.mark.parametrize("name", MAKERS)
def test_both_sides_parse_and_differ(name: str) -> None:
    for seed in range(10):
        found = made(name, seed)
        if found is not None:
            assert found.before != found.after
            assert syntax_error(found.before) is syntax_error(found.after) is None


def test_a_rename_leaves_attributes_keywords_and_strings() -> None:
    found = next(m for m in (made("rename", seed) for seed in range(99)) if m and m.words["old"] == "limit")
    new = found.words["new"]
    assert f"def total(self, items: list[str], {new}: int = 3)" in found.after
    assert f"limit={new})" in found.after
    assert f"self.limit = {new}" in found.after
    assert f'"limit": {new}' in found.after
    assert new not in TEXT
    assert "limits.read()" in found.after


def test_a_file_is_closed_by_a_with_statement() -> None:
    forms = {made("context_manager", seed).before for seed in range(20)}
    assert len(forms) == 2
    assert all("limits = open(self.path)" in form and "limits.close()" in form for form in forms)


@pytest.fixture(scope="module")
def drawer() -> RefactoringDrawer:
    text = "def f(x):\n    y = 1\n    if x == None:\n        return '%s' % x\n    else:\n        return x\n"
    after = text.replace("    else:\n        return x", "    return x").rstrip()
    check = zlib.crc32(text.rstrip().encode())
    pair = Pair("early_return", "p", "a.py", 0, len(text) - 1, check, after, ("compare_none", "f_strings"))
    return RefactoringDrawer(place([pair], [SourceFile("p", "a.py", text)]))


def draws(drawer: RefactoringDrawer, count: int) -> list[Instructed]:
    scenery = Scenery(TEXT)
    found = [drawer.draw(scenery, np.random.default_rng(seed), 2000) for seed in range(count)]
    return [each for each in found if each is not None]


@settings(max_examples=15)
@given(st.integers(0, 2**32))
def test_a_draw_depends_on_the_generator_alone(drawer: RefactoringDrawer, seed: int) -> None:
    first, second = (drawer.draw(Scenery(TEXT), np.random.default_rng(seed), 2000) for _ in range(2))
    assert first == second
    if first is not None:
        assert len(first.before) <= 4000
        assert (first.before == first.after) is (first.kind == "intact") is bool(first.declined)


def test_many_kinds_are_drawn_and_some_are_declined(drawer: RefactoringDrawer) -> None:
    found = draws(drawer, 150)
    kinds = Counter(each.kind for each in found)
    assert 0.08 < kinds["intact"] / len(found) < 0.35
    assert len(kinds) > 15
    assert kinds["rename"] < 0.25 * len(found)
    for each in found:
        named = each.declined or each.kind
        if named != "rename":
            assert each.instruction in REFACTORINGS[named].phrasings
        else:
            assert "{" not in each.instruction


def test_only_what_is_taught_is_done() -> None:
    """Instructions for the rest are named in vain, whatever the code holds; placeholders are filled or not drawn."""
    taught = ("compare_none", "f_strings", "rename")
    found = draws(RefactoringDrawer(taught=taught), 150)
    done = {each.kind for each in found if not each.declined}
    assert done == {"compare_none", "rename"}, "f-strings come from a linter's pairs, of which there are none"
    vain = {each.declined for each in found if each.declined}
    assert vain - {*taught}
    assert all(each.before == each.after for each in found if each.declined)
    assert not any("{" in each.instruction for each in found)


def test_a_refactoring_that_does_not_exist_cannot_be_taught() -> None:
    with pytest.raises(ValueError, match="there are no refactorings levitation"):
        RefactoringDrawer(taught=("levitation",))


def test_what_is_not_named_stays(drawer: RefactoringDrawer) -> None:
    pairs = [each for each in draws(drawer, 150) if each.kind == "early_return"]
    assert pairs
    assert all("x == None" in each.after and "'%s' % x" in each.after for each in pairs)


def test_a_pair_may_get_further_old_style_code_on_both_sides() -> None:
    text = "def f(x):\n    if x is None:\n        return 1\n    else:\n        return []\n"
    after = text.replace("    else:\n        return []", "    return []").rstrip()
    placed = PlacedPair(Pair("early_return", "p", "a.py", 0, len(text) - 1, 0, after), text)
    drawer = RefactoringDrawer({"early_return": [placed]})
    found = [
        drawer.of_kind(REFACTORINGS["early_return"], Scenery("x\n"), np.random.default_rng(seed), 500)
        for seed in range(80)
    ]
    injected = {(each.before, each.after) for each in found if each and each.before != text.rstrip()}
    assert injected
    for before, later in injected:
        assert ("== None" in before) is ("== None" in later)
        assert ("list()" in before) is ("list()" in later)
        assert "else" in before
        assert "else" not in later


def test_refactorings_that_nothing_can_be_drawn_of_are_named():
    """Pairs come from a linter; a corpus without them cannot teach what has no maker."""
    taught = ("compare_none", "early_return", "f_strings")
    assert without_examples(set(), taught) == ["early_return", "f_strings"]
    assert without_examples({"f_strings"}, taught) == ["early_return"]
    assert "early_return" in without_examples(set(), ())
