"""Windows that stay while one types, and sections from elsewhere."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.editing.context import Budgets, Counter, Notice, Section, Surroundings, Window, sections, window
from model.editing.source import Span
from model.editing.syntax import parse


def words(text: str) -> int:
    return len(re.findall(r"\w+|[^\w\s]|\n\s*", text))


def thirds(text: str) -> int:
    return -(-len(text) // 3)


counters = st.sampled_from([words, len, thirds])
texts = st.text("ab1 \n\r\t():é\u2028", max_size=600)
LONG = "".join(f"def f{i}(x):\n    y = x + {i}\n    return y * {i}\n\n\n" for i in range(400))


@settings(deadline=None)
@given(texts, st.data(), counters, st.integers(0, 40), st.integers(0, 40))
def test_windows_keep_their_budgets_and_places(
    text: str, data: st.DataObject, count, before: int, after: int
) -> None:  # type: ignore[no-untyped-def]
    start = data.draw(st.integers(0, len(text)))
    span = Span(start, data.draw(st.integers(start, len(text))))
    view = window(text, span, count, before, after)
    assert view.prefix.end == span.start
    assert view.rest.start == span.end
    assert view.rest.end <= view.suffix.start
    assert not re.search(r"[\r\n]", view.rest.of(text))
    assert view.suffix.start == len(text) or text[view.suffix.start - 1] in "\r\n"
    assert count(view.prefix.of(text)) <= before
    assert count(view.rest.of(text)) + count(view.suffix.of(text)) <= after


def starts_while_typing(head: str, typed: str, tail: str, count: Counter, budget: int) -> list[int]:
    starts: list[int] = []
    for length in range(len(typed) + 1):
        at = len(head) + length
        view = window(head + typed[:length] + tail, Span(at, at), count, budget, 20)
        if not starts or starts[-1] != view.prefix.start:
            starts.append(view.prefix.start)
    return starts


@settings(deadline=None, max_examples=30)
@given(
    st.integers(0, len(LONG)),
    st.text("ab (),\n=", min_size=200, max_size=400),
    st.sampled_from([60, 100, 200]),
)
def test_typing_moves_the_start_once_in_a_stride(at: int, typed: str, budget: int) -> None:
    starts = starts_while_typing(LONG[:at], typed, ")\n", thirds, budget)
    stride = budget * 3 // 2  # characters
    assert starts == sorted(starts)
    assert len(starts) - 1 <= len(typed) // (stride // 2) + 1


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 4000), st.integers(80, 300))
def test_many_tokens_to_a_character_move_the_start_seldom_too(at: int, budget: int) -> None:
    starts = starts_while_typing(LONG[:at], "x = [1, 2]\n" * 20, "", len, budget)
    assert len(starts) - 1 <= 220 * 8 // budget + 2


def test_a_window_uses_a_good_part_of_its_budget() -> None:
    view = window(LONG, Span(12_000, 12_000), thirds, 300, 300)
    assert 150 <= thirds(view.prefix.of(LONG)) <= 300
    assert 200 <= thirds(view.suffix.of(LONG)) <= 300
    assert view.prefix.of(LONG).startswith("def f")
    assert LONG[view.suffix.end - 1] == "\n"


def test_a_short_text_is_shown_whole() -> None:
    text = "import a\nx = f(\ny = 2\n"
    at = text.index("(") + 1
    assert window(text, Span(at, at), words, 100, 100) == Window(
        Span(at + 1, len(text)), Span(0, at), Span(at, at)
    )


def test_one_endless_line_is_cut_too() -> None:
    text = "x" * 200_000
    view = window(text, Span(100_000, 100_000), thirds, 60, 60)
    assert 30 <= thirds(view.prefix.of(text)) <= 60
    assert 30 <= thirds(view.rest.of(text)) <= 60


def test_the_counter_is_called_seldom_and_on_short_pieces() -> None:
    calls: list[int] = []

    def count(text: str) -> int:
        calls.append(len(text))
        return thirds(text)

    text = LONG * 50
    window(text, Span(len(text) // 2, len(text) // 2), count, 500, 200)
    assert len(calls) <= 20
    assert max(calls) <= 500 * 17


CODE = "import os\nfrom a import (\n    b,\n    c,\n)\n\n" + LONG


def sections_of(
    snippets: list[tuple[str, str]], notices: list[Notice], budgets: Budgets | None = None
) -> tuple[Section, ...]:
    view = window(CODE, Span(9000, 9000), words, 100, 50)
    around = Surroundings("m.py", snippets, notices)
    return sections(CODE, view, words, around, parse(CODE, "python"), budgets)


def test_imports_outside_the_window_are_shown() -> None:
    assert sections_of([], []) == (
        Section("imports", "m.py", "import os\nfrom a import (\n    b,\n    c,\n)"),
    )
    view = window(CODE, Span(60, 60), words, 100, 50)
    assert sections(CODE, view, words, Surroundings("m.py"), parse(CODE, "python")) == ()


@pytest.mark.parametrize(
    ("language", "first", "expected"),
    [
        ("javascript", 'import a from "a";\nconst b = require("b");\nlet c = 1;\n', 2),
        ("go", 'package a\n\nimport (\n\t"b"\n)\n', 4),
        ("rust", "use std::fmt;\npub use a::b;\nstatic X: u8 = 1;\n", 2),
        ("java", "package a;\nimport b.C;\n", 2),
        ("cpp", "#include <a>\nusing namespace b;\nint c;\n", 2),
    ],
)
def test_imports_of_other_languages_are_shown(language: str, first: str, expected: int) -> None:
    text = first + "\n" * 300
    view = window(text, Span(len(text), len(text)), len, 60, 10)
    (found,) = sections(text, view, words, Surroundings(), parse(text, language))
    assert len(found.text.strip().split("\n")) == expected


def test_what_does_not_fit_is_dropped_whole() -> None:
    budgets = Budgets(imports=3, snippets=10, diagnostics=4)
    snippets = [("a.py", "x = 1"), ("b.py", "y = " + "1 + " * 50), ("c.py", "  "), ("d.py", "z = 2")]
    near, far = Span(9000, 9001), Span(0, 1)
    notices = [Notice(far, "far away"), Notice(near, "no such name"), Notice(near, "a " * 30)]
    assert sections_of(snippets, notices, budgets) == (
        Section("snippet", "a.py", "x = 1"),
        Section("snippet", "d.py", "z = 2"),
        Section("diagnostic", "m.py", "no such name"),
    )
