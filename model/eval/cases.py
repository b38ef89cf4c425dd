"""Evaluation cases from held-out projects: broken and intact functions, refactorings. `holes.py` has the fills."""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from model.editing.edit import Edit, apply
from model.editing.source import Span
from model.editing.syntax import parse
from model.request import Document, Fix, Refactor, Request
from model.train.corpus import SourceFile
from model.train.drawing import Instructed, RefactoringDrawer
from model.train.messages import diagnostic
from model.train.refactorings.pairs import Pair, place
from model.train.scenery import Scenery
from model.train.slips import Scene, slip

_PIECE = 12_000
_MISSES = 40
"""Draws in a row without a case after which a refactoring is given up: the files hold none."""
_TOP_LEVEL = re.compile(r"(?m)^(?=[A-Za-z_@])")


@dataclass(frozen=True)
class Case:
    """A request and the text that the whole document should have afterwards."""

    kind: str
    request: Request
    truth: str


def broken_functions(
    files: Sequence[SourceFile], count: int, seed: int, size: int = 600, with_message: bool = False
) -> list[Case]:
    """Functions of at most `size` characters with one slip each; `with_message` only those that a tool reports,
    with its message and place."""

    def draw(scenery: Scenery, rng: np.random.Generator) -> Case | None:
        scene = _scene(scenery, rng, size)
        found = slip(scene, rng) if scene else None
        if scene is None or found is None:
            return None
        kind, edit = found
        broken = Document(apply([edit], scenery.text), "python")
        if not with_message:
            # The cursor is where a programmer just was: at the slip.
            return Case(kind, Request(broken, Fix(Span(edit.start, edit.start))), scenery.text)
        reported = diagnostic(scene, edit, rng, scenery.whole)
        if reported is None:
            return None
        at = scene.span.start + reported.offset
        return Case(kind, Request(broken, Fix(Span(at, at), reported.message)), scenery.text)

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


def needless_refactorings(
    files: Sequence[SourceFile],
    count: int,
    seed: int,
    size: int = 600,
    pairs: Sequence[Pair] = (),
    taught: Sequence[str] = (),
) -> list[Case]:
    """Functions in which there is nothing of what the instruction names: the right answer is to leave them alone.
    In half of the cases there would be something else to refactor. A case's kind is what is named; only `taught`
    ones are, since a checkpoint declines others before its network runs."""
    drawer = RefactoringDrawer(place(pairs, files), taught, names_others=False)

    def draw(scenery: Scenery, rng: np.random.Generator) -> Case | None:
        if rng.random() < 0.5:
            found = drawer.draw(scenery, rng, size)
            declined = None if found is None else drawer.declined(found, rng)
            return (
                _instructed(declined.declined, declined) if declined and declined.kind == "intact" else None
            )
        scene = _scene(scenery, rng, size)
        found = None if scene is None else drawer.needless(scenery.text, scene.span, rng)
        return None if found is None else _instructed(found.declined, found)

    return drawn(files, count, seed, draw)


def refactorings(
    files: Sequence[SourceFile],
    count: int,
    seed: int,
    size: int = 600,
    pairs: Sequence[Pair] = (),
    taught: Sequence[str] = (),
) -> list[Case]:
    """One function with something to refactor, the function selected: every kind in turn (`taught`: only of these),
    as far as `pairs` and what can be made of `files` go. What no text determines is left out; see `restorations`."""
    drawer = RefactoringDrawer(place(pairs, files), taught)
    return _refactorings(files, count, seed, size, drawer, instructed=True)


def restorations(
    files: Sequence[SourceFile], count: int, seed: int, size: int = 600, pairs: Sequence[Pair] = ()
) -> list[Case]:
    """Docstrings and type hints to be written again: counted apart, since no instruction determines them."""
    return _refactorings(files, count, seed, size, RefactoringDrawer(place(pairs, files)), instructed=False)


def _refactorings(
    files: Sequence[SourceFile],
    count: int,
    seed: int,
    size: int,
    drawer: RefactoringDrawer,
    instructed: bool,
) -> list[Case]:
    kinds = [r for r in drawer.kinds if r.instructed is instructed]
    turn = itertools.count()
    misses = Counter[str]()
    seen: set[str] = set()

    def draw(scenery: Scenery, rng: np.random.Generator) -> Case | None:
        refactoring = kinds[next(turn) % len(kinds)]
        if misses[refactoring.name] >= _MISSES:
            return None
        found = drawer.of_kind(refactoring, scenery, rng, size)
        # A rare one is drawn again and again, and would count as often.
        case = None if found is None or found.after in seen else _instructed(found.kind, found)
        if found is not None:
            seen.add(found.after)
        misses[refactoring.name] = 0 if case else misses[refactoring.name] + 1
        return case

    return drawn(files, count, seed, draw)


def _instructed(kind: str, found: Instructed) -> Case | None:
    """The case in a piece of the file around the region; None where that cannot be cut out cleanly."""
    text, span = found.text, found.span
    if len(text) > _PIECE:
        starts = [m.start() for m in _TOP_LEVEL.finditer(text)]
        first = max((s for s in starts if s <= max(0, span.start - _PIECE // 3)), default=0)
        last = min((s for s in starts if s >= span.end + _PIECE // 3), default=len(text))
        text, span = text[first:last], Span(span.start - first, span.end - first)
    old = text[: span.start] + found.before + text[span.end :]
    new = text[: span.start] + found.after + text[span.end :]
    if parse(new, "python").has_errors:
        return None
    chosen = Span(span.start, span.start + len(found.before))
    return Case(kind, Request(Document(old, "python"), Refactor(found.instruction, chosen)), new)


def result(case: Case, edits: Sequence[Edit]) -> str:
    """The document with the proposal applied."""
    return apply(edits, case.request.document.text)


def _scene(scenery: Scenery, rng: np.random.Generator, size: int) -> Scene | None:
    fitting = [s for s in scenery.regions if 40 <= len(s) <= size]
    if not fitting:
        return None
    return scenery.scene(fitting[int(rng.integers(len(fitting)))])


def drawn(
    files: Sequence[SourceFile],
    count: int,
    seed: int,
    draw: Callable[[Scenery, np.random.Generator], Case | None],
    tries: int = 50,
) -> list[Case]:
    """`count` cases from random files, fewer where `tries` times as many draws do not give them."""
    rng = np.random.default_rng(seed)

    @lru_cache(maxsize=256)
    def scenery(index: int) -> Scenery:
        text = files[index].text
        return Scenery(text if len(text) <= _PIECE else text[: text.rfind("\n", 0, _PIECE) + 1], whole=text)

    def endless() -> Iterator[Case]:
        for _ in range(tries * count):
            drawn = scenery(int(rng.integers(len(files))))
            if drawn.text and not drawn.tree.has_errors and (case := draw(drawn, rng)) is not None:
                yield case

    return [case for case, _ in zip(endless(), range(count), strict=False)]
