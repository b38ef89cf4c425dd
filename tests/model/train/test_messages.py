"""Messages are what a tool would say: Python's parser, and names that nothing binds."""

from __future__ import annotations

import numpy as np
import pytest

from model.editing.edit import Edit
from model.editing.source import Span
from model.train.messages import Diagnostic, diagnostic
from model.train.scenery import Scenery

TEXT = """import os


class Cart:
    def total(self, items):
        count = 0
        for item in items:
            count += item.price * self.rate
            print(count, os.sep, key=count)
        return count
"""
REGION = Span(TEXT.index("    def"), len(TEXT) - 1)


def said(old: str, new: str, count: int = 40, text: str = TEXT, whole: str = "") -> set[str]:
    scene = Scenery(text).scene(REGION)
    at = text.index(old)
    found = [
        diagnostic(scene, Edit(at, at + len(old), new), np.random.default_rng(i), whole) for i in range(count)
    ]
    return {each.message if each else "" for each in found}


def test_syntax_errors_in_the_words_of_several_tools() -> None:
    assert said("in items:", "in items") == {
        "SyntaxError: expected ':'",
        "expected ':'",
        'Expected ":"',
        "Syntax error",
    }
    assert "IndentationError: unexpected indent" in said("        return", "          return") | said(
        "            print", "              print"
    )


@pytest.mark.parametrize(
    ("old", "new", "name"),
    [("item.price", "itme.price", "itme"), ("self.rate", "rate", "rate"), ("(self, items)", "(items)", None)],
)
def test_names_that_nothing_binds(old: str, new: str, name: str | None) -> None:
    wordings = {f"Undefined name `{name}`", f'"{name}" is not defined', f"undefined name '{name}'"}
    assert said(old, new) == ({""} if name is None else wordings | {f"name '{name}' is not defined"})


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("item.price", "item.pirce"),  # attributes are not looked up
        ("item.price", "count.price"),
        ("count += item", "cuont += item"),  # tools disagree on what is read and written
        ("key=count", "kye=count"),
        ("+= item", "-= item"),
        ("return count", "count"),
    ],
)  # fmt: skip
def test_what_no_tool_reports_has_no_message(old: str, new: str) -> None:
    assert said(old, new) == {""}


def test_names_bound_elsewhere_in_the_whole_file_are_bound() -> None:
    assert said("self.rate", "rate", whole="rate = 3\n") == {""}
    assert said("self.rate", "rate", whole="from prices import *\n") == {""}
    assert said("self.rate", "rate", whole="x.rate\n") != {""}


def test_the_place_is_that_of_the_report() -> None:
    scene = Scenery(TEXT).scene(REGION)
    at = TEXT.index("item.price")
    found = diagnostic(scene, Edit(at, at + 4, "itme"), np.random.default_rng(0))
    assert found is not None
    assert found.offset == at - REGION.start
    at = TEXT.index("in items:") + len("in items")
    found = diagnostic(scene, Edit(at, at + 1, ""), np.random.default_rng(0))
    assert isinstance(found, Diagnostic)
    assert scene.region[: found.offset].endswith("in items")
