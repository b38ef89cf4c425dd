"""Regions: what a request may change."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.editing.region import (
    EditRegion,
    definition_at,
    diagnostic_region,
    error_regions,
    hole,
    selection,
    split,
    split_file,
)
from model.editing.source import Span
from model.editing.syntax import language_of, parse, try_parse

SAMPLES = sorted((Path(__file__).parent / "samples").iterdir())
PYTHON = (Path(__file__).parent / "samples" / "inventory.py").read_text(encoding="utf-8")


def words(text: str) -> int:
    return len(text.split())


def test_a_hole_is_empty_and_inside_the_text() -> None:
    assert hole("abc", 2) == EditRegion(Span(2, 2), "hole")
    assert hole("abc", 99).span == Span(3, 3)
    assert hole("abc", -1).span == Span(0, 0)


def test_a_definition_region_covers_whole_lines_without_the_last_terminator() -> None:
    text = PYTHON.replace("\n", "\r\n")
    region = definition_at(parse(text, "python"), text, text.index("self.price * self"))
    assert region is not None
    assert (region.kind, region.name) == ("definition", "value")
    assert region.span.of(text).startswith("    @property\r\n    def value")
    assert region.span.of(text).endswith("self.price * self.count")


def test_a_definition_on_a_shared_line_takes_no_neighbour() -> None:
    text = "function a() { return 1 } function b() { return 2 }\n"
    region = definition_at(parse(text, "javascript"), text, text.index("2"))
    assert region is not None
    assert region.span.of(text) == "function b() { return 2 }"


def test_without_a_grammar_keywords_and_indentation_find_the_function() -> None:
    text = "class Shop\n  def total(items)\n    items.sum\n  end\n\n  def name\n    'x'\n  end\nend\nputs 1\n"
    region = definition_at(None, text, text.index("sum"))
    assert region is not None
    assert region.span.of(text) == "  def total(items)\n    items.sum\n  end"
    assert region.name == "total"
    assert definition_at(None, text, text.index("puts")) is None


@pytest.mark.parametrize(
    ("text", "start", "end", "expected"),
    [
        ("  ab = cd  \n", 0, 11, "ab = cd"),
        ("  ab\n  cd\nef", 3, 8, "  ab\n  cd"),
        ("  ab\n  cd\nef", 3, 10, "  ab\n  cd"),
        ("a\n\nb", 2, 2, ""),
        ("ab cd\n", 4, 4, "ab cd"),
        ("ab", 0, 99, "ab"),
        ("ab\r\ncd\r\n", 1, 8, "ab\r\ncd"),
    ],
)
def test_a_selection_loses_white_space_and_gains_lines(
    text: str, start: int, end: int, expected: str
) -> None:
    region = selection(text, Span(start, end))
    assert region.kind == "selection"
    assert region.span.of(text) == expected


def test_error_regions_are_the_broken_statements() -> None:
    text = "a = 1\nb = (2\n\ndef f(x):\n    y = x +\n    return y\n"
    regions = error_regions(parse(text, "python"))
    found = "\n".join(region.span.of(text) for region in regions)
    assert "b = (2" in found
    assert not any("a = 1" in region.span.of(text) for region in regions)
    assert all(a.span.end < b.span.start for a, b in pairwise(regions))
    assert error_regions(parse("a = 1\n", "python")) == ()


def test_a_missing_token_is_in_the_region_of_its_statement() -> None:
    text = "int f(int a) {\n    int c = 0;\n    return a\n}\n"
    (region,) = error_regions(parse(text, "c"))
    assert region.span.of(text) == "    return a"


@settings(deadline=None)
@given(st.text('ab(){}:;=\n \t\r"é', max_size=80))
def test_error_regions_lie_in_any_text_and_hold_every_error(text: str) -> None:
    tree = parse(text, "javascript")
    regions = error_regions(tree)
    for problem in tree.errors():
        assert any(region.span.touches(problem.span.start) for region in regions)
    assert all(region.span.end <= len(text) for region in regions)


def test_a_diagnostic_takes_the_definition_or_the_statements_around() -> None:
    tree = parse(PYTHON, "python")
    at = PYTHON.index("lines.append")
    whole = diagnostic_region(tree, PYTHON, Span(at, at + 3), words, 100)
    assert whole is not None
    assert (whole.kind, whole.name) == ("diagnostic", "report")
    assert whole.span.of(PYTHON).startswith("def report")
    part = diagnostic_region(tree, PYTHON, Span(at, at + 3), words, 12)
    assert part is not None
    assert words(part.span.of(PYTHON)) <= 12
    assert part.span.touches(at)
    assert diagnostic_region(tree, PYTHON, Span(at, at + 3), words, 0) is None
    top = diagnostic_region(tree, PYTHON, Span(PYTHON.index("LIMIT"), PYTHON.index("LIMIT") + 5), words, 100)
    assert top is not None
    assert "LIMIT = 100" in top.span.of(PYTHON)


def check_split(text: str, regions: tuple[EditRegion, ...]) -> None:
    at = 0
    for region in regions:
        assert not text[at : region.span.start].strip()
        assert region.span.start == 0 or text[region.span.start - 1] in "\r\n"
        assert region.span.end == len(text) or text[region.span.end] in "\r\n"
        assert region.span.of(text).strip()
        at = region.span.end
    assert not text[at:].strip()


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: path.name)
@pytest.mark.parametrize("limit", [0, 8, 40, 10_000])
def test_a_split_file_is_complete_ordered_and_within_the_limit(path: Path, limit: int) -> None:
    text = path.read_text(encoding="utf-8")
    tree = try_parse(text, language_of(path.name))
    assert tree is not None
    regions = split_file(tree, text, words, limit)
    check_split(text, regions)
    if limit >= 40:
        assert all(words(region.span.of(text)) <= limit for region in regions)
    if limit == 10_000:
        tops = [d for d in tree.definitions() if d.kind != "namespace" and d.span in tree.top_level()]
        assert all(any(r.kind == "definition" and r.name == d.name for r in regions) for d in tops)


def test_small_definitions_are_kept_apart_and_statements_together() -> None:
    text = "import a\nimport b\n\n# about f\ndef f():\n    pass\ndef g():\n    pass\n\nx = 1\ny = 2\n"
    regions = split_file(parse(text, "python"), text, words, 100)
    assert [(region.span.of(text), region.kind, region.name) for region in regions] == [
        ("import a\nimport b", "statements", ""),
        ("# about f\ndef f():\n    pass", "definition", "f"),
        ("def g():\n    pass", "definition", "g"),
        ("x = 1\ny = 2", "statements", ""),
    ]


def test_a_large_class_is_cut_at_its_methods() -> None:
    tree = parse(PYTHON, "python")
    regions = split_file(tree, PYTHON, words, 34)
    assert [r.name for r in regions if r.kind == "definition"] == [
        *("value", "take", "__init__", "from_json", "refill"),
        *("best_price", "report"),
    ]


@settings(deadline=None)
@given(st.text("ab \n\r\t(){}:=é#", max_size=120), st.integers(0, 6), st.sampled_from(["python", "c", None]))
def test_any_text_is_split_completely(text: str, limit: int, language: str | None) -> None:
    check_split(text, split_file(try_parse(text, language), text, words, limit))


def test_without_a_grammar_blank_lines_divide() -> None:
    text = "a b\nc\n\nd e\n\n\nf\n"
    assert [r.span.of(text) for r in split_file(None, text, words, 3)] == ["a b\nc", "d e\n\n\nf"]
    assert [r.span.of(text) for r in split_file(None, text, words, 2)] == ["a b\nc", "d e", "f"]
    assert split_file(None, " \n\n", words, 5) == ()


def test_a_region_is_split_without_its_surroundings() -> None:
    tree = parse(PYTHON, "python")
    region = definition_at(tree, PYTHON, PYTHON.index("lines = []"))
    assert region is not None
    parts = split(tree, PYTHON, region.span, words, 12)
    assert parts[0].span.start == region.span.start
    assert parts[-1].span.end == region.span.end
    assert len(parts) >= 2
