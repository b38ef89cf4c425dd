"""Edits of a known refactoring that do no more than it does."""

from __future__ import annotations

import ast
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.editing.edit import apply, minimal_edits
from model.editing.scope import within_scope
from model.train.refactorings.signs import SIGNS


def kept(kind: str, old: str, new: str) -> str:
    """`old` with those edits that are within the scope."""
    return apply(within_scope(old, new, minimal_edits(old, new), re.compile(SIGNS[kind])), old)


@pytest.mark.parametrize(
    ("kind", "old", "new"),
    [
        ("compare_none", "if x == None:\n", "if x is None:\n"),
        ("compare_none", "if x != None and y == None:\n", "if x is not None and y is None:\n"),
        ("compare_none", "if not x == None:\n", "if x is not None:\n"),
        ("membership_test", "if not x in y:\n", "if x not in y:\n"),
        ("membership_test", "if not x.a is y:\n", "if x.a is not y:\n"),
        ("empty_literals", "x = dict()\ny = list()\n", "x = {}\ny = []\n"),
        ("empty_literals", "x = dict(a=1)\n", 'x = {"a": 1}\n'),
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
    ],
)
def test_anything_else_is_not(kind: str, old: str, new: str) -> None:
    assert kept(kind, old, new) == old


def test_lines_are_judged_one_by_one() -> None:
    old = "def f(a, b):\n    if a == None:\n        super(A, self).g()\n    return b != None\n"
    new = "def f(a, b):\n    if a is None:\n        super().g()\n    return b is None\n"
    assert kept("compare_none", old, new) == old.replace("a == None", "a is None")


_OPERATORS = ["==", "!=", "is", "is not", "in", "not in"]
_LINES = st.lists(st.tuples(st.sampled_from(_OPERATORS), st.booleans()), min_size=1, max_size=6)


def _written(lines: list[tuple[str, bool]]) -> str:
    return "".join(f"a{i} = {'not ' if no else ''}x{i} {op} y{i}\n" for i, (op, no) in enumerate(lines))


def _is_negated(line: str) -> bool:
    """By Python's own parser: each negation turns the truth once."""
    negative = (ast.Not, ast.NotEq, ast.IsNot, ast.NotIn)
    return sum(isinstance(node, negative) for node in ast.walk(ast.parse(line))) % 2 == 1


@given(_LINES, st.data())
def test_conditions_are_as_true_as_before_by_the_parser(
    lines: list[tuple[str, bool]], data: st.DataObject
) -> None:
    size = len(lines)
    changed = data.draw(
        st.lists(st.tuples(st.sampled_from(_OPERATORS), st.booleans()), min_size=size, max_size=size)
    )
    old, new = _written(lines), _written(changed)
    everywhere = re.compile("=")
    found = apply(within_scope(old, new, minimal_edits(old, new), everywhere), old)
    expected = [
        b if _is_negated(a) == _is_negated(b) else a
        for a, b in zip(old.splitlines(True), new.splitlines(True), strict=True)
    ]
    assert found == "".join(expected)
