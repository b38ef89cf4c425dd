"""The catalogue of slips: each kind changes the code, in its own way, and only inside the region."""

from __future__ import annotations

import ast
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.editing.edit import Edit, apply
from model.editing.source import Span
from model.editing.syntax import parse
from model.train.slips import SLIPS, SYNTAX_SLIPS, Scene, slip
from model.train.tasks import survey

TEXT = '''import os


def outside(alpha, beta):
    if alpha == beta: return [alpha]


class Cart:
    def total(self, items, limit=3):
        """Sum of a few."""
        count = 0
        for item in items:
            if item is None or item.price < 0:
                continue
            count += item.price * (1 - self.rate)
            values = {"a": [count], "é": limit}
        while count >= limit and limit not in values:
            count -= 1
        return count


def after(gamma):
    return {gamma: (gamma + 1)}
'''
START = TEXT.index("    def total")
REGION = Span(START, TEXT.index("\n\n\ndef after") + 1)


@pytest.fixture(scope="module")
def scene() -> Scene:
    nodes = list(parse(TEXT, "python").nodes())
    return Scene(TEXT, REGION, [n for n in nodes if REGION.covers(n.span)])


def drawn(scene: Scene, kind: str, count: int = 60) -> list[Edit]:
    found = [SLIPS[kind](scene, np.random.default_rng(seed)) for seed in range(count)]
    return [edit for edit in found if edit is not None]


@pytest.mark.parametrize("kind", SLIPS)
def test_each_kind_changes_the_region_and_nothing_else(scene: Scene, kind: str) -> None:
    edits = drawn(scene, kind)
    assert len(edits) > 30
    assert len({(e.start, e.new) for e in edits}) > 3
    for edit in edits:
        assert REGION.covers(edit.span)
        assert edit.new != edit.span.of(TEXT)
        assert abs(len(edit.new) - (edit.end - edit.start)) <= 8 or kind == "misused_variable"


@pytest.mark.parametrize("kind", ["dropped_colon", "dropped_bracket"])
def test_dropped_signs_break_the_syntax(scene: Scene, kind: str) -> None:
    for edit in drawn(scene, kind):
        assert edit.new == ""
        assert edit.span.of(TEXT) in {"dropped_colon": ":", "dropped_bracket": "()[]{}"}[kind]
        with pytest.raises(SyntaxError):
            ast.parse(apply([edit], TEXT))


def test_colons_of_dictionaries_and_annotations_stay(scene: Scene) -> None:
    for edit in drawn(scene, "dropped_colon", 200):
        line_end = TEXT.index("\n", edit.start)
        assert TEXT[edit.start : line_end] == ":"


def test_wrong_indentation_moves_one_line(scene: Scene) -> None:
    for edit in drawn(scene, "wrong_indentation"):
        before, after = TEXT.split("\n"), apply([edit], TEXT).split("\n")
        changed = [(a, b) for a, b in zip(before, after, strict=True) if a != b]
        assert len(changed) == 1
        assert changed[0][0].strip() == changed[0][1].strip()


@pytest.mark.parametrize("kind", ["wrong_operator", "misused_variable"])
def test_slips_of_meaning_still_parse(scene: Scene, kind: str) -> None:
    for edit in drawn(scene, kind):
        assert ast.dump(ast.parse(apply([edit], TEXT))) != ast.dump(ast.parse(TEXT))


def test_a_misused_variable_is_another_name_of_the_region(scene: Scene) -> None:
    names = {TEXT[n.span.start : n.span.end] for n in scene.nodes if n.type == "identifier"}
    for edit in drawn(scene, "misused_variable"):
        assert edit.new in names
        assert edit.start > TEXT.index("total")


def test_a_misspelt_name_keeps_its_letters(scene: Scene) -> None:
    for edit in drawn(scene, "misspelt_name"):
        old = edit.span.of(TEXT)
        assert abs(len(edit.new) - len(old)) <= 1
        assert set(edit.new) <= set(old)
        assert edit.new[0] == old[0]


def test_a_draw_depends_on_the_generator_alone(scene: Scene) -> None:
    draws = [[slip(scene, np.random.default_rng(seed)) for seed in range(20)] for _ in range(2)]
    assert draws[0] == draws[1]
    assert len({found[0] for found in draws[0] if found}) >= 4


def test_only_the_kinds_that_are_asked_for(scene: Scene) -> None:
    kinds = {slip(scene, np.random.default_rng(s), SYNTAX_SLIPS)[0] for s in range(40)}
    assert kinds == set(SYNTAX_SLIPS)


def test_a_region_without_a_place_has_no_slip() -> None:
    scenery = survey("1\n")
    scene = Scene("1\n", Span(0, 1), [n for n in scenery.nodes if Span(0, 1).covers(n.span)])
    assert slip(scene, np.random.default_rng(0)) is None


FILES = [
    Path(__file__).parents[3] / "model" / name
    for name in ("engine.py", "labels.py", "sampler.py", "cache.py")
]


@settings(max_examples=40)
@given(st.integers(0, 2**32))
def test_slips_of_real_files_stay_inside_their_function(seed: int) -> None:
    rng = np.random.default_rng(seed)
    scenery = survey(FILES[seed % len(FILES)].read_text("utf-8")[:8000].rpartition("\n")[0] + "\n")
    span = scenery.regions[int(rng.integers(len(scenery.regions)))]
    found = slip(Scene(scenery.text, span, [n for n in scenery.nodes if span.covers(n.span)]), rng)
    if found is not None:
        _, edit = found
        assert span.covers(edit.span)
        assert apply([edit], scenery.text) != scenery.text
