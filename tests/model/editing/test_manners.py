"""The manners of suggestions: what each does, and that its switch ends it."""

from __future__ import annotations

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.editing.brackets import cut_surplus, open_brackets
from model.editing.manners import EVERY, Manners
from model.editing.quotes import match_quotes, usual_quote
from model.editing.syntax import parse
from model.editing.tabs import indented_like
from model.editing.trim import Around, should_complete, trim

NONE = Manners(*[False] * len(attrs.fields(Manners)))
SINGLE = "a = 'one'\nb = 'two'\nc = f('three', 'four')\n"


def only(name: str) -> Manners:
    return attrs.evolve(NONE, **{name: True})


@pytest.mark.parametrize(
    ("name", "suggestion", "around", "shaped"),
    [
        ("trim_overlap", "x + total", Around("", "y = ", " total", ""), "x +"),
        ("trim_overlap", "return x", Around("", "    ", "", "    return x\n"), ""),
        ("trim_overlap", "if x:\n    f()", Around("if x:\n    f()\n", "", "", ""), ""),
        ("trim_overlap", "self.name = name", Around("", "    self.", "", ""), "name = name"),
        ("trim_overlap", ".x = x", Around("", "    self.", "", ""), "x = x"),
        ("keep_indentation", "x = 1\nz = 3", Around("", "    ", "", ""), "x = 1"),
        ("keep_indentation", "if x:\n    f()", Around("\tif y:\n\t\tg()\n", "\t", "", ""), "if x:\n\tf()"),
        ("match_quotes", 'g("five")', Around(SINGLE, "d = ", "", ""), "g('five')"),
        ("balance_brackets", "a, b)) + 1", Around("", "x = print(", "", ""), "a, b)"),
        ("stop_repetition", "x = foo, foo, foo, foo, foo, ", Around("", "", "", ""), "x = foo,"),
        ("blocks_only", "1\n    y = 2", Around("", "    x = ", "", ""), "1"),
    ],
)
def test_each_manner_shapes_a_suggestion_and_has_a_switch(
    name: str, suggestion: str, around: Around, shaped: str
) -> None:
    assert trim(suggestion, around, True, "python", only(name)) == shaped
    assert trim(suggestion, around, True, "python", EVERY) == shaped
    assert trim(suggestion, around, True, "python", attrs.evolve(EVERY, **{name: False})) != shaped
    assert trim(suggestion, around, True, "python", NONE) == suggestion.rstrip()


@pytest.mark.parametrize(
    ("name", "marked"),
    [("line_ends_only", "x = |value + 1\n"), ("code_only", "# what |\n"), ("code_only", "x = 'in |'\n")],
)
def test_each_place_that_is_left_alone_has_a_switch(name: str, marked: str) -> None:
    cursor = marked.index("|")
    text = marked.replace("|", "")
    tree = parse(text, "python")
    assert not should_complete(text, cursor, tree)
    assert not should_complete(text, cursor, tree, manners=only(name))
    assert should_complete(text, cursor, tree, manners=attrs.evolve(EVERY, **{name: False}))
    assert should_complete(text, cursor, tree, asked=True)


@pytest.mark.parametrize(
    ("text", "quote"),
    [
        (SINGLE, "'"),
        (SINGLE.replace("'", '"'), '"'),
        ("a = 'x'\nb = \"y\"\nc = 'z'\nd = \"w\"\n", None),
        ("a = 'x'\nb = 'y'\n", None),
        ('def f():\n    """It\'s, isn\'t, won\'t, can\'t."""\n', None),
    ],
)
def test_the_usual_quote_needs_a_habit(text: str, quote: str | None) -> None:
    assert usual_quote(text) == quote


@pytest.mark.parametrize(
    ("suggestion", "expected"),
    [
        ('"a", \'b\', r"c"', "'a', 'b', r'c'"),
        ('"it\'s"', '"it\'s"'),
        ('"a\\n"', '"a\\n"'),
        ('f"{d["k"]}"', 'f"{d["k"]}"'),
        ('"""text"""', '"""text"""'),
    ],
)
def test_only_plain_strings_change_their_quotes(suggestion: str, expected: str) -> None:
    assert match_quotes(suggestion, "x = ", SINGLE, "python") == expected


def test_quotes_are_left_alone_where_they_could_mean_something_else() -> None:
    assert match_quotes('"a"', "x = ", SINGLE, "c") == '"a"'
    assert match_quotes('b" + "c', 'x = "a', SINGLE, "python") == 'b" + "c'


@given(st.text("ab'\" =\n", max_size=30), st.text("ab'\" =\n", max_size=60))
def test_quotes_never_change_the_length(suggestion: str, around: str) -> None:
    assert len(match_quotes(suggestion, "x = ", around, "python")) == len(suggestion)


def test_brackets_in_strings_and_comments_do_not_count() -> None:
    assert open_brackets("f('(', # (\n  [1, 2") == ["(", "["]
    assert cut_surplus("')', x)", "", "f(", "") == "')', x)"
    assert cut_surplus("x)  # :)", "", "f(", "") == "x)  # :)"


def test_a_bracket_of_another_kind_closes_nothing() -> None:
    assert cut_surplus("a] + b", "", "f(", "") == "a"


@pytest.mark.parametrize(
    ("suggestion", "above", "before", "behind", "kept"),
    [
        ("a, b)", "", "print(", ")", "a, b"),
        ("a)", "", "f(g(", ")", "a)"),
        ("a))", "", "f(g(", ")", "a)"),
        ("a) + b]", "", "x = [f(", "]", "a) + b"),
        ("a)", "f(\n", "    g(", "", "a)"),
        ("a)\n)", "f(\n", "    g(", "", "a)\n)"),
        ("a,\n)", "f(\n", "    ", ")", "a,"),
    ],
)
def test_the_rest_of_the_line_closes_the_lines_first_bracket(
    suggestion: str, above: str, before: str, behind: str, kept: str
) -> None:
    assert cut_surplus(suggestion, above, before, behind) == kept


@given(st.text("ab()[]{}", max_size=20), st.text("a([{", max_size=6))
def test_what_is_left_of_a_suggestion_closes_only_what_is_open(suggestion: str, before: str) -> None:
    kept = cut_surplus(suggestion, "", before, "")
    assert suggestion.startswith(kept)
    depth = open_brackets(before)
    for ch in kept:
        if ch in "([{":
            depth.append(ch)
        elif ch in ")]}":
            assert depth.pop() == {")": "(", "]": "[", "}": "{"}[ch]


def test_indentation_follows_the_file() -> None:
    assert indented_like("if x:\n\tf()", "def g():\n    y()\n") == "if x:\n    f()"
    assert indented_like("if x:\n    f()", "def g():\n\ty()\n") == "if x:\n\tf()"
    assert indented_like("if x:\n    f()", "no indentation") == "if x:\n    f()"
    assert indented_like("if x:\n    f()", "def g():\n\ty()\n        z()\n") == "if x:\n    f()"
