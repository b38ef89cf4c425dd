"""Evaluation cases from held-out projects: broken and intact functions, refactorings. `holes.py` has the fills."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from model.editing.edit import Edit, apply
from model.editing.source import Span
from model.request import Document, Fix, Refactor, Request
from model.train.codemods import CODEMODS
from model.train.corpus import SourceFile
from model.train.slips import Scene, slip
from model.train.tasks import Scenery, refactoring_pair, survey

_PIECE = 12_000


@dataclass(frozen=True)
class Case:
    """A request and the text that the whole document should have afterwards."""

    kind: str
    request: Request
    truth: str


def broken_functions(files: Sequence[SourceFile], count: int, seed: int, size: int = 600) -> list[Case]:
    """Functions of at most `size` characters with one slip each."""

    def draw(scenery: Scenery, rng: np.random.Generator) -> Case | None:
        scene = _scene(scenery, rng, size)
        found = slip(scene, rng) if scene else None
        if scene is None or found is None:
            return None
        kind, edit = found
        broken = apply([edit], scenery.text)
        # The cursor is where a programmer just was: at the slip.
        request = Request(Document(broken, "python"), Fix(Span(edit.start, edit.start)))
        return Case(kind, request, scenery.text)

    return drawn(files, count, seed, draw)


def intact_functions(files: Sequence[SourceFile], count: int, seed: int, size: int = 600) -> list[Case]:
    """Functions that need no fix: the right answer is to leave them alone."""

    def draw(scenery: Scenery, rng: np.random.Generator) -> Case | None:
        scene = _scene(scenery, rng, size)
        if scene is None:
            return None
        at = (scene.span.start + scene.span.end) // 2
        return Case("intact", Request(Document(scenery.text, "python"), Fix(Span(at, at))), scenery.text)

    return drawn(files, count, seed, draw)


def needless_refactorings(files: Sequence[SourceFile], count: int, seed: int, size: int = 600) -> list[Case]:
    """Functions with nothing to refactor: the right answer is to leave them alone."""

    def draw(scenery: Scenery, rng: np.random.Generator) -> Case | None:
        scene = _scene(scenery, rng, size)
        codemod = CODEMODS[int(rng.integers(len(CODEMODS)))]
        if scene is None or codemod.forward(scene):
            return None
        words = codemod.phrasings[int(rng.integers(len(codemod.phrasings)))]
        request = Request(Document(scenery.text, "python"), Refactor(words, scene.span))
        return Case("needless", request, scenery.text)

    return drawn(files, count, seed, draw)


def refactorings(files: Sequence[SourceFile], count: int, seed: int, size: int = 600) -> list[Case]:
    """One function with something to refactor, the function selected."""

    def draw(scenery: Scenery, rng: np.random.Generator) -> Case | None:
        scene = _scene(scenery, rng, size)
        if scene is None:
            return None
        codemod = CODEMODS[int(rng.integers(len(CODEMODS)))]
        pair = refactoring_pair(codemod, scene)
        if pair is None:
            return None
        before, after = pair
        span = scene.span
        old = scenery.text[: span.start] + before + scenery.text[span.end :]
        new = scenery.text[: span.start] + after + scenery.text[span.end :]
        words = codemod.phrasings[int(rng.integers(len(codemod.phrasings)))]
        chosen = Span(span.start, span.start + len(before))
        return Case(codemod.name, Request(Document(old, "python"), Refactor(words, chosen)), new)

    return drawn(files, count, seed, draw)


def result(case: Case, edits: Sequence[Edit]) -> str:
    """The document with the proposal applied."""
    return apply(edits, case.request.document.text)


def _scene(scenery: Scenery, rng: np.random.Generator, size: int) -> Scene | None:
    fitting = [s for s in scenery.regions if 40 <= len(s) <= size]
    if not fitting:
        return None
    span = fitting[int(rng.integers(len(fitting)))]
    return Scene(scenery.text, span, [n for n in scenery.nodes if span.covers(n.span)])


def drawn(
    files: Sequence[SourceFile],
    count: int,
    seed: int,
    draw: Callable[[Scenery, np.random.Generator], Case | None],
) -> list[Case]:
    """At most `count` cases that `draw` finds in random files without syntax errors."""
    rng = np.random.default_rng(seed)

    def endless() -> Iterator[Case]:
        for _ in range(50 * count):
            text = files[int(rng.integers(len(files)))].text
            scenery = survey(text if len(text) <= _PIECE else text[: text.rfind("\n", 0, _PIECE) + 1])
            if scenery.tree.problem_count() == 0 and (case := draw(scenery, rng)) is not None:
                yield case

    return [case for case, _ in zip(endless(), range(count), strict=False)]
