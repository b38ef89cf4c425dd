"""Edits of a known refactoring that do no more than it does."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.editing.edit import apply, minimal_edits
from model.editing.scope import Scope
from model.train.refactorings.signs import BECOMES, SIGNS


def kept(kind: str, old: str, new: str) -> str:
    """`old` with those edits that are within the scope."""
    scope = Scope(re.compile(SIGNS[kind]), re.compile(BECOMES[kind], re.DOTALL))
    return apply(scope.within(old, new, minimal_edits(old, new)), old)


@pytest.mark.parametrize(
    ("kind", "old", "new"),
    [
        ("compare_none", "if x == None:\n", "if x is None:\n"),
        ("compare_none", "if x != None and y == None:\n", "if x is not None and y is None:\n"),
        ("membership_test", "if not x in y:\n", "if x not in y:\n"),
        ("membership_test", "if not x.a is y:\n", "if x.a is not y:\n"),
        ("empty_literals", "x = dict()\ny = list()\n", "x = {}\ny = []\n"),
        ("plain_super", "    super(A, self).__init__(b)\n", "    super().__init__(b)\n"),
        ("range_start", "for i in range(0, n):\n", "for i in range(n):\n"),
        ("no_object_base", "class A(object):\n", "class A:\n"),
        ("no_object_base", "class A(B, object):\n", "class A(B):\n"),
    ],
)
def test_what_was_asked_for_is_kept(kind: str, old: str, new: str) -> None:
    assert kept(kind, old, new) == new


@pytest.mark.parametrize(
    ("kind", "old", "new"),
    [
        ("compare_none", "if x == None:\n", "if x is not None:\n"),
        ("compare_none", "if x != None:\n", "if x is None:\n"),
        ("compare_none", "if x == None:\n", "if y is None:\n"),
        ("compare_none", "    super(A, self).b()\n", "    super().b()\n"),
        ("membership_test", "if not x in y:\n", "if x in y:\n"),
        ("plain_super", "    super(A, self).__init__()\n", "    super().A, self.__init__()\n    b()\n"),
        ("range_start", "for i in range(0, n):\n", "for i in range(0):\n"),
        ("no_object_base", "class A(object):\n", "class B:\n"),
        ("compare_none", "if a == None and b != None:\n", "if a is not None and b is None:\n"),
        ("compare_none", "if (a or b) == None:\n", "if a or b is None:\n"),
        ("compare_none", "if a == None and b == 1:\n", "if a is None and b is 1:\n"),
        ("membership_test", "if not a in b and c:\n", "if a in b and not c:\n"),
        ("membership_test", "if not a or b in c:\n", "if a or b not in c:\n"),
        ("membership_test", "if not (a in b or c):\n", "if a not in b or c:\n"),
        ("plain_super", "x = super(A, self).f(a - b)\n", "x = super().f(a + b)\n"),
        ("plain_super", "x = super(A, self).f(a)[b]\n", "x = super().f(a, b)\n"),
        ("range_start", "for i in range(0, n, 2):\n", "for i in range(n, 2):\n"),
        ("range_start", "for i in range(0, n - 1):\n", "for i in range(n + 1):\n"),
        ("range_start", "for i in range(0.5, n):\n", "for i in range(n):\n"),
        ("empty_literals", "x = dict()\n", "x = []\n"),
        ("empty_literals", "x = list(y)\n", "x = [y]\n"),
        ("empty_literals", "x = a.list()\n", "x = a.[]\n"),
    ],
)
def test_anything_else_is_not(kind: str, old: str, new: str) -> None:
    assert kept(kind, old, new) == old


def test_lines_are_judged_one_by_one() -> None:
    old = "def f(a, b):\n    if a == None:\n        super(A, self).g()\n    return b != None\n"
    new = "def f(a, b):\n    if a is None:\n        super().g()\n    return b is None\n"
    assert kept("compare_none", old, new) == old.replace("a == None", "a is None")


def test_many_places_that_could_be_matched_in_many_ways_take_no_time() -> None:
    old = "a == None " * 60 + "\n"
    assert kept("compare_none", old, old.replace("==", "is")) == old.replace("==", "is")
    assert kept("compare_none", old, "a " * 400 + "\n") == old


_CONDITIONS = ["a == None", "b != None", "c == 1", "not d in e", "f is None"]


@given(st.lists(st.sampled_from(_CONDITIONS), min_size=1, max_size=4), st.data())
def test_of_any_rewriting_only_right_comparisons_remain(parts: list[str], data: st.DataObject) -> None:
    """Each part becomes anything; kept is a line all of whose parts are as they were or rightly rewritten."""
    right = {"a == None": "a is None", "b != None": "b is not None"}
    other = ["a is None", "b is None", "b is not None", "c is 1", "d not in e", "f == None", "a is not None"]
    changed = [data.draw(st.sampled_from([part, right.get(part, part), *other])) for part in parts]
    old, new = (f"if {' and '.join(each)}:\n" for each in (parts, changed))
    fine = all(b in (a, right.get(a)) for a, b in zip(parts, changed, strict=True))
    assert kept("compare_none", old, new) == (new if fine else old)


@pytest.mark.parametrize(
    ("kind", "asked", "code", "found"),
    [
        ("empty_literals", "use {} instead of dict()", "x = dict()\ny = list()\n", ["dict()"]),
        ("empty_literals", "prefer empty literals", "x = dict()\ny = list()\n", ["dict()", "list()"]),
        (
            "membership_test",
            "replace `not x in y` with `x not in y`",
            "not x in a, not key in b",
            ["not x in", "not key in"],
        ),
    ],
)
def test_an_instruction_names_its_places_or_none(kind: str, asked: str, code: str, found: list[str]) -> None:
    scope = Scope(re.compile(SIGNS[kind]), re.compile(BECOMES[kind], re.DOTALL)).asked(asked, code)
    assert [place.group() for place in scope.places(code)] == found
