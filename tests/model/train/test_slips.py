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
from model.editing.syntax import language_of, parse
from model.train.scenery import Scenery
from model.train.slips import SLIPS, SYNTAX_SLIPS, Scene, is_as_said, slip, slips_of

TEXT = '''import os


def outside(alpha, beta):
    if alpha == beta: return [alpha]


class Cart:
    async def total(self, items, limit=3):
        """Sum of a few."""
        count = 0
        seen = await self.fetch(items)
        if not seen or len(seen) == limit:
            print(item_of(seen, limit))
        for item in range(limit):
            if item is None or item.price < 0:
                continue
            count += item.price * (1 - self.rate)
            values = {"a": [count], "é": limit}
        while count == limit and limit not in values:
            count -= 1
        return count


def after(gamma):
    return {gamma: (gamma + 1)}
'''
START = TEXT.index("    async def total")
REGION = Span(START, TEXT.index("\n\n\ndef after") + 1)


@pytest.fixture(scope="module")
def scene() -> Scene:
    nodes = list(parse(TEXT, "python").nodes())
    return Scene(TEXT, REGION, [n for n in nodes if REGION.covers(n.span)])


def drawn(scene: Scene, kind: str, count: int = 60) -> list[Edit]:
    found = [SLIPS[kind].make(scene, np.random.default_rng(seed)) for seed in range(count)]
    return [edit for edit in found if edit is not None and is_as_said(SLIPS[kind], scene, edit)]


@pytest.mark.parametrize("kind", SLIPS)
def test_each_kind_changes_the_region_and_nothing_else(scene: Scene, kind: str) -> None:
    """It applies, stays inside, breaks the parse or not as its class says, and undoing it restores the text."""
    edits = drawn(scene, kind)
    assert len(edits) > 10
    for edit in edits:
        bad = apply([edit], TEXT)
        assert REGION.covers(edit.span)
        assert bad != TEXT
        back = Edit(edit.start, edit.start + len(edit.new), edit.span.of(TEXT))
        assert apply([back], bad) == TEXT
        if SLIPS[kind].breaks == "layout":
            continue
        try:
            assert ast.dump(ast.parse(bad)) != ast.dump(ast.parse(TEXT))
            assert SLIPS[kind].breaks == "meaning"
        except SyntaxError:
            assert SLIPS[kind].breaks == "syntax"


@pytest.mark.parametrize(
    ("kind", "old", "new"),
    [
        ("missing_await", "await self.fetch(", "self.fetch("),
        ("missing_self", "(self, items, limit=3)", "(items, limit=3)"),
        ("missing_self", "self.rate", "rate"),
        ("missing_not", "if not seen or", "if seen or"),
        ("assignment_for_equality", "count == limit", "count = limit"),
        ("unclosed_string", '"a"', '"a'),
        ("missing_comma", '"a": [count],', '"a": [count] '),
        ("wrong_comparison", "not in values", "in values"),
        ("off_by_one", "range(limit)", "range(limit + 1)"),
        ("off_by_one", "limit=3", "limit=2"),
        ("missing_return", "continue", None),
        ("missing_return", "return count", "count"),
        ("swapped_arguments", "(seen, limit)", "(limit, seen)"),
        ("duplicated_line", "            continue\n", None),
        ("deleted_line", "\n        return count", ""),
    ],
)
def test_slips_as_programmers_make_them(scene: Scene, kind: str, old: str, new: str | None) -> None:
    """Each of these is among the draws; None: it never is."""
    results = {apply([edit], TEXT) for edit in drawn(scene, kind, 400)}
    if new is None:
        assert all(old in bad for bad in results)
    else:
        assert any(
            TEXT.replace(old, new, 1) == bad or TEXT.replace(old, new.rstrip(), 1) == bad for bad in results
        )


def test_colons_of_dictionaries_and_annotations_stay(scene: Scene) -> None:
    for edit in drawn(scene, "dropped_colon", 200):
        line_end = TEXT.index("\n", edit.start)
        assert TEXT[edit.start : line_end] == ":"


def test_wrong_indentation_moves_lines_in_a_row(scene: Scene) -> None:
    for edit in drawn(scene, "wrong_indentation"):
        before, after = TEXT.split("\n"), apply([edit], TEXT).split("\n")
        changed = [(a, b) for a, b in zip(before, after, strict=True) if a != b]
        assert changed
        assert all(a.strip() == b.strip() for a, b in changed)
        assert len({len(a) - len(b) for a, b in changed}) == 1


def test_a_misused_variable_is_another_name_of_the_region(scene: Scene) -> None:
    names = {TEXT[n.span.start : n.span.end] for n in scene.nodes if n.type == "identifier"}
    for edit in drawn(scene, "misused_variable"):
        assert edit.new in names
        assert edit.start > TEXT.index("total")


def test_a_misspelt_name_keeps_its_letters(scene: Scene) -> None:
    for edit in drawn(scene, "misspelt_name"):
        old = edit.span.of(TEXT)
        assert abs(len(edit.new) - len(old)) <= 1
        assert len(set(edit.new) - set(old)) <= 1
        assert edit.new[0] == old[0]


def test_a_draw_depends_on_the_generator_alone(scene: Scene) -> None:
    draws = [[slip(scene, np.random.default_rng(seed)) for seed in range(20)] for _ in range(2)]
    assert draws[0] == draws[1]
    assert len({found[0] for found in draws[0] if found}) >= 4


def test_only_the_kinds_that_are_asked_for(scene: Scene) -> None:
    kinds = {slip(scene, np.random.default_rng(s), SYNTAX_SLIPS)[0] for s in range(40)}
    assert kinds == set(SYNTAX_SLIPS)


def test_slips_of_syntax_may_be_drawn_more_often(scene: Scene) -> None:
    def share(syntax: float) -> float:
        found = [slip(scene, np.random.default_rng(seed), syntax=syntax) for seed in range(150)]
        return sum(each is not None and each[0] in SYNTAX_SLIPS for each in found) / len(found)

    assert share(1.0) + 0.1 < share(4.0) < 1.0


def test_a_region_without_a_place_has_no_slip() -> None:
    scene = Scenery("x\n").scene(Span(0, 1))
    assert slip(scene, np.random.default_rng(0)) is None


SAMPLES = sorted((Path(__file__).parents[1] / "editing" / "samples").iterdir())


@pytest.mark.parametrize("path", [p for p in SAMPLES if p.suffix != ".py"], ids=lambda p: p.name)
def test_slips_of_other_languages(path: Path) -> None:
    """Each kind breaks its language's syntax or not, as its class says; most kinds have a place in each sample."""
    language = language_of(path.name)
    assert language is not None
    scenery = Scenery(path.read_text("utf-8"), language=language)
    kinds = set()
    for seed in range(60):
        rng = np.random.default_rng(seed)
        scene = scenery.scene(scenery.regions[int(rng.integers(len(scenery.regions)))])
        found = slip(scene, rng)
        if found is not None:
            kind, edit = found
            kinds.add(kind)
            broken = parse(apply([edit], scenery.text), language).has_errors
            assert broken is (slips_of(language)[kind].breaks == "syntax")
            assert scene.span.covers(edit.span)
    assert len(kinds) >= 7
    assert ("dropped_semicolon" in kinds) is (language in ("c", "cpp", "java", "rust"))


def test_a_language_without_a_catalogue_is_refused() -> None:
    with pytest.raises(ValueError, match="cobol"):
        slips_of("cobol")


FILES = [
    Path(__file__).parents[3] / "model" / name
    for name in ("engine.py", "labels.py", "sampler.py", "cache.py")
]


@settings(max_examples=40)
@given(st.integers(0, 2**32))
def test_slips_of_real_files_stay_inside_their_function(seed: int) -> None:
    rng = np.random.default_rng(seed)
    scenery = Scenery(FILES[seed % len(FILES)].read_text("utf-8")[:8000].rpartition("\n")[0] + "\n")
    span = scenery.regions[int(rng.integers(len(scenery.regions)))]
    found = slip(scenery.scene(span), rng)
    if found is not None:
        _, edit = found
        assert span.covers(edit.span)
        assert apply([edit], scenery.text) != scenery.text
