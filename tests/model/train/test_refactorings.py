"""Refactorings with an exact answer: forwards undoes backwards."""

from __future__ import annotations

import ast
from pathlib import Path

import numpy as np
import pytest

from model.editing.edit import apply
from model.editing.source import Span
from model.train.refactorings.catalogue import REFACTORINGS
from model.train.refactorings.codemods import CODEMODS, Codemod, made_by
from model.train.refactorings.refactoring import Rewriting
from model.train.scenery import Scenery
from model.train.slips import Scene

GOOD = """class Base:
    def __init__(self, a=None, b=()):
        super().__init__()
        self.items = []
        self.table = {} if a is None else {"k": [], "j": {}}

    def get(self, x):
        if x is not None and self.items is None:
            return super().get(x) or []
        return [x for y in [] if y is None]


class Other(Base):
    def f(self) -> list:
        return (), [], super().f()
"""
ODD = [
    "def f(x):\n    return x is None\n",
    "def f(x):\n    return None is x, x == 1, x is y\n",
    "def f(x):\n    # x is None\n    return 'x is None []'\n",
    "def f(x: list = []):\n    return x  is None\n",
    "def f():\n    return [1], {2: 3}, (4,)\n",
    "x = super()\n",
    "",
]


def scene(text: str) -> Scene:
    return Scenery(text).scene(Span(0, len(text)))


def forward(codemod: Codemod, text: str) -> str:
    return apply(codemod.forward(scene(text)), text)


def backward(codemod: Codemod, text: str) -> str:
    return apply(codemod.backward(scene(text)), text)


@pytest.mark.parametrize("codemod", CODEMODS, ids=lambda c: c.name)
@pytest.mark.parametrize("text", [GOOD, *ODD])
def test_forward_undoes_backward(codemod: Codemod, text: str) -> None:
    old = backward(codemod, text)
    ast.parse(old)
    assert forward(codemod, old) == forward(codemod, text)
    if not codemod.forward(scene(text)):
        assert forward(codemod, old) == text


@pytest.mark.parametrize("codemod", CODEMODS, ids=lambda c: c.name)
def test_forward_undoes_backward_on_real_files(codemod: Codemod) -> None:
    changed = 0
    for path in sorted((Path(__file__).parents[3] / "model").rglob("*.py")):
        text = path.read_text("utf-8")
        if codemod.forward(scene(text)):
            continue
        old = backward(codemod, text)
        changed += old != text
        ast.parse(old)
        assert forward(codemod, old) == text, path
    assert changed


def test_each_codemod_does_what_it_says() -> None:
    none, empty, plain = CODEMODS
    assert forward(none, "a == None\nb != None\nc == 1\n") == "a is None\nb is not None\nc == 1\n"
    assert backward(none, "a is None\nb is not None\n") == "a == None\nb != None\n"
    assert forward(empty, "x = list()\ny = dict()\nz = list(x)\n") == "x = []\ny = {}\nz = list(x)\n"
    assert forward(empty, "z = tuple()\n") == "z = ()\n"
    assert forward(plain, "class A(B):\n    def f(self):\n        super(A, self).f()\n").endswith(
        "super().f()\n"
    )
    assert "super(Other, self).f()" in backward(plain, GOOD)
    assert backward(plain, "x = super()\n") == "x = super()\n"


@pytest.mark.parametrize("codemod", CODEMODS, ids=lambda c: c.name)
def test_a_pair_goes_from_old_style_to_new(codemod: Codemod) -> None:
    old = backward(codemod, GOOD)
    for text in (GOOD, old):
        made = made_by(codemod)(scene(text), np.random.default_rng(0))
        assert made == Rewriting(old, GOOD)
    assert made_by(codemod)(scene("x = 1\n"), np.random.default_rng(0)) is None


def test_phrasings_are_many_and_belong_to_one_refactoring() -> None:
    phrasings = [p.lower() for r in REFACTORINGS.values() for p in r.phrasings]
    assert len(set(phrasings)) == len(phrasings)
    assert all(4 <= len(r.phrasings) <= 8 for r in REFACTORINGS.values())
