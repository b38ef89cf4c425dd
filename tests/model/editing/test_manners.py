"""The manners of suggestions: what each does, and that its switch ends it."""

from __future__ import annotations

import random
from pathlib import Path

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

import model.editing
from model.editing.brackets import cut_surplus, open_brackets
from model.editing.manners import EVERY, Manners
from model.editing.quotes import usual_quote
from model.editing.source import Span
from model.editing.style import Place, in_style
from model.editing.syntax import parse
from model.editing.tabs import indented_like
from model.editing.trim import Around, cut_restart, should_complete, trim

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


def styled(
    before: str, suggestion: str, behind: str = "", language: str | None = "python", manners: Manners = EVERY
) -> str:
    """`suggestion` between two texts, in the style of their file."""
    text, at = before + behind, len(before)
    start, end = before.rfind("\n") + 1, at + (behind + "\n").index("\n")
    around = Around(text[:start], text[start:at], text[at:end], text[end + 1 :])
    tree = parse(text, language) if language else None
    return in_style(suggestion, Place(Span(at, at), "", around, tree, is_all=True), manners)


@pytest.mark.parametrize(
    ("name", "before", "suggestion", "behind", "expected"),
    [
        ("match_quotes", SINGLE + "d = ", 'g("five")', "\n", "g('five')"),
        ("balance_brackets", "x = print(", "a, b)) + 1", "\n", "a, b)"),
        ("balance_brackets", "x = print(", "a, b)", ")\n", "a, b"),
    ],
)
def test_each_manner_of_style_has_a_switch(
    name: str, before: str, suggestion: str, behind: str, expected: str
) -> None:
    assert styled(before, suggestion, behind) == expected
    assert styled(before, suggestion, behind, manners=only(name)) == expected
    assert styled(before, suggestion, behind, manners=attrs.evolve(EVERY, **{name: False})) == suggestion


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
    assert styled(SINGLE + "x = ", suggestion) == expected


DOUBLE = 'a = "one";\nb = "two";\nc = f("three", "four");\n'


@pytest.mark.parametrize(
    ("language", "before", "suggestion", "behind"),
    [
        ("python", DOUBLE, "x = 1  # don't say won't", "\n"),
        ("python", DOUBLE + '"""\nselect x where x = ', "'abc' and y", '\n"""\n'),
        ("python", DOUBLE + 'x = "a', "b' + 'c", '"\n'),
        ("javascript", DOUBLE + "q = ", "`SELECT 'a' FROM ${t}`", "\n"),
        ("javascript", DOUBLE + "q = ", "/'foo'/.test(x)", "\n"),
        ("tsx", DOUBLE + "q = (\n  ", "<p>It's here, that's new</p>", "\n)\n"),
        ("tsx", DOUBLE + "q = (\n  ", "<p className='a'>b</p>", "\n)\n"),
        ("c", DOUBLE + "char q = ", "'a'", ";\n"),
    ],
)
def test_what_is_no_string_keeps_its_quotes(language: str, before: str, suggestion: str, behind: str) -> None:
    assert styled(before, suggestion, behind, language) == suggestion


@pytest.mark.parametrize(
    ("language", "before", "suggestion", "behind"),
    [
        ("python", 'print(f"{', 'name}: {value!r}", file=file)', "\n"),
        ("python", "items = [\n    foo(a // 2),\n", "]", "\n"),
        ("rust", "fn longest<'a>(x: &'a str, y: &'a str", ") -> &'a str {", "\n    x\n}\n"),
        ("javascript", "class A {\n  f() {\n    g(this.#a);\n  ", "}", "\n}\n"),
        ("c", "", "#if defined(_WIN32) && defined(A)", "\n#endif\n"),
    ],
)
def test_brackets_that_close_something_stay_where_the_text_alone_is_unclear(
    language: str, before: str, suggestion: str, behind: str
) -> None:
    assert styled(before, suggestion, behind, language) == suggestion


def test_code_as_it_was_written_is_in_style() -> None:
    """The true rest of a line, and the true next two lines, at places all over our own sources."""
    chance = random.Random(7)
    for path in sorted(Path(model.editing.__file__).parent.glob("*.py")):
        text = path.read_text("utf-8")
        for _ in range(6):
            at = chance.randrange(len(text))
            end = text.find("\n", at)
            end = text.find("\n", end + 1) if chance.random() < 0.5 else end
            if at < end and not parse(text, "python").in_comment_or_string(at):
                written = text[at:end]
                assert styled(text[:at], written, text[end:]) == written, path.name


@given(st.text("ab'\" =\n", max_size=30), st.text("ab'\" =\n", max_size=60))
def test_quotes_never_change_the_length(suggestion: str, around: str) -> None:
    assert len(styled(around + "\nx = ", suggestion, manners=only("match_quotes"))) == len(suggestion)


@pytest.mark.parametrize(
    ("before", "suggestion"),
    [("    1.0, ", "1.0, 2.0]"), ("    None, ", "None, None)"), ("x == ", "x == y"), ("f(", "f(x))")],
)
def test_a_list_that_repeats_its_beginning_is_no_restart(before: str, suggestion: str) -> None:
    assert cut_restart(suggestion, before, "python") == suggestion


def test_a_range_is_no_second_dot() -> None:
    assert cut_restart(".b", "for i in a.", "rust") == ".b"
    assert cut_restart(".b", "x = a.", "python") == "b"


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
