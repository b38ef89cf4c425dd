"""Conditions that an edit turns into their opposite."""

from __future__ import annotations

import ast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.editing.edit import apply, minimal_edits
from model.editing.meaning import turned_conditions
from model.editing.source import Span


def turned(old: str, new: str) -> list[str]:
    return [span.of(new) for span in turned_conditions(old, new, minimal_edits(old, new))]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("if x == None:\n", "if x is None:\n"),
        ("if x != None:\n", "if x is not None:\n"),
        ("if not x in y:\n", "if x not in y:\n"),
        ("if not x == None:\n", "if x is not None:\n"),
        ("if not x != None:\n", "if x is None:\n"),
        ("assert a != None and b != None\n", "assert a is not None and b is not None\n"),
        ("x = dict()\n", "x = {}\n"),
    ],
)
def test_equal_conditions_are_none(old: str, new: str) -> None:
    assert turned(old, new) == []


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("if x == None:\n", "if x is not None:\n"),
        ("if x != None:\n", "if x is None:\n"),
        ("if not x in y:\n", "if x in y:\n"),
        ("if x in y:\n", "if not x in y:\n"),
    ],
)
def test_opposite_conditions_are_found(old: str, new: str) -> None:
    assert turned(old, new) == [new]


def test_only_the_turned_line_of_several_is_named() -> None:
    old = "def f(a, b):\n    if a == None:\n        pass\n    return b != None\n"
    new = "def f(a, b):\n    if a is None:\n        pass\n    return b is None\n"
    assert turned(old, new) == ["    return b is None\n"]


def test_lines_that_changed_otherwise_are_not_judged() -> None:
    """Returning early turns a condition rightly."""
    old = "def f(a):\n    if a:\n        work(a)\n        more(a)\n"
    new = "def f(a):\n    if not a:\n        return\n    work(a)\n    more(a)\n"
    assert turned(old, new) == ["    if not a:\n"], (
        "which is why only what keeps its conditions is asked about"
    )
    assert turned("    if a == None: return 1\n", "    if a is not None: return 2\n") == []


def test_lines_are_found_although_others_come_and_go() -> None:
    old = "x = 1\nif a != None:\n    y()\n"
    new = "import os\n\nx = 1\nif a is None:\n    y()\n"
    assert turned(old, new) == ["if a is None:\n"]


_OPERATORS = ["==", "!=", "is", "is not", "in", "not in"]
_LINES = st.lists(st.tuples(st.sampled_from(_OPERATORS), st.booleans()), min_size=1, max_size=6)


def _written(lines: list[tuple[str, bool]]) -> str:
    return "".join(f"a{i} = {'not ' if no else ''}x{i} {op} y{i}\n" for i, (op, no) in enumerate(lines))


def _is_negated(line: str) -> bool:
    """By Python's own parser: each negation turns the truth once."""
    negative = (ast.Not, ast.NotEq, ast.IsNot, ast.NotIn)
    return sum(isinstance(node, negative) for node in ast.walk(ast.parse(line))) % 2 == 1


@given(_LINES, st.data())
def test_agrees_with_the_parsed_conditions(lines: list[tuple[str, bool]], data: st.DataObject) -> None:
    size = len(lines)
    changed = data.draw(
        st.lists(st.tuples(st.sampled_from(_OPERATORS), st.booleans()), min_size=size, max_size=size)
    )
    old, new = _written(lines), _written(changed)
    edits = minimal_edits(old, new)
    assert apply(edits, old) == new
    expected = [
        b
        for a, b in zip(old.splitlines(True), new.splitlines(True), strict=True)
        if _is_negated(a) != _is_negated(b)
    ]
    found = turned_conditions(old, new, edits)
    assert [span.of(new) for span in found] == expected
    assert all(isinstance(span, Span) for span in found)
