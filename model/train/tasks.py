"""Training examples: text that an editor really has, cut from a corpus file, for `fill`, `fix` and `refactor`.

An `Example` is clean: prompt, source and target ids. Noise is drawn later (`model/train/rows.py`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from model import prompt
from model.editing.source import Span
from model.noise import random_edits
from model.tokenizer import Tokenizer
from model.train.drawing import RefactoringDrawer
from model.train.messages import diagnostic
from model.train.refactorings.pairs import PlacedPair
from model.train.scenery import Scenery
from model.train.slips import slip

_INTACT, _RANDOM = 0.15, 0.15
"""Shares of `fix` examples that are left as they are, and that get random edits instead of a slip."""
_UNINDENTED = 0.3
"""Share of holes of whole lines that begin before the indentation."""
TaskName = Literal["fill", "fix", "refactor"]


@dataclass(frozen=True)
class Limits:
    """Budgets in tokens: of the context on each side, of a region, of a fill's middle, of other files' text (none: the
    model never reads any)."""

    prefix: int
    suffix: int
    region: int
    middle: int
    sections: int = 0


@dataclass(frozen=True)
class Emphasis:
    """What of the catalogues is taught: a small network that was taught all of it applied none of it (LOG.md).

    `refactorings` names the instructed ones (none: all); instructions for others are taught to change nothing.
    `syntax` multiplies how often slips that break the parse are drawn."""

    refactorings: tuple[str, ...] = ()
    syntax: float = 1.0


EVERYTHING = Emphasis()


@dataclass(frozen=True)
class Example:
    """`prompt` ends where the answer starts; `source` is the region as it stands (None: a fill)."""

    task: TaskName
    kind: str
    prompt: list[int]
    target: list[int]
    source: list[int] | None


@dataclass(frozen=True)
class _Place:
    """A span of a text that becomes a hole or a region, and a neighbouring file's text."""

    text: str
    span: Span
    neighbour: str = ""


class Drawer:
    """Draws examples of each task from a scenery; deterministic for a generator's state."""

    def __init__(
        self,
        tokenizer: Tokenizer,
        limits: Limits,
        pairs: Mapping[str, Sequence[PlacedPair]] | None = None,
        emphasis: Emphasis = EVERYTHING,
    ) -> None:
        self._tokenizer = tokenizer
        self._limits = limits
        self._emphasis = emphasis
        self._refactorings = RefactoringDrawer(pairs, emphasis.refactorings)

    def draw(self, task: TaskName, scenery: Scenery, rng: np.random.Generator) -> Example | None:
        """An example, or None where the file has no place for this task."""
        return {"fill": self._fill, "fix": self._fix, "refactor": self._refactor}[task](scenery, rng)

    def _fill(self, scenery: Scenery, rng: np.random.Generator) -> Example | None:
        text = scenery.text
        kind, span = _hole(scenery, rng)
        middle = self._tokenizer.encode(span.of(text))
        if not middle or len(middle) > self._limits.middle:
            return None
        line_end = text.find("\n", span.end)
        line_end = len(text) if line_end < 0 else line_end
        around = self._context(_Place(text, Span(span.start, line_end), scenery.neighbour), rng)
        rest = self._tokenizer.encode(text[span.end : line_end])[:64]
        return Example("fill", kind, prompt.fill_prompt(around, rest), middle, None)

    def _fix(self, scenery: Scenery, rng: np.random.Generator) -> Example | None:
        span = self._region(scenery, rng)
        if span is None:
            return None
        around = _Place(scenery.text, span, scenery.neighbour)
        good = span.of(scenery.text)
        target = self._tokenizer.encode(good)
        chance = rng.random()
        if chance < _INTACT:
            return self._edit("fix", "intact", around, target, target, rng)
        if chance < _INTACT + _RANDOM:
            source = random_edits(target, 0.1 * rng.random(), self._tokenizer.size, rng)
            return self._edit("fix", "random", around, source, target, rng)
        scene = scenery.scene(span)
        found = slip(scene, rng, syntax=self._emphasis.syntax)
        if found is None:
            return None
        kind, edit = found
        reported = diagnostic(scene, edit, rng, scenery.whole) if rng.random() < 0.5 else None
        words = reported.message if reported else ""
        source = self._tokenizer.encode(scene.rewritten([edit]))
        return self._edit("fix", kind, around, source, target, rng, words)

    def _refactor(self, scenery: Scenery, rng: np.random.Generator) -> Example | None:
        found = self._refactorings.draw(scenery, rng, 4 * self._limits.region)
        if found is None:
            return None
        source, target = self._tokenizer.encode_batch([found.before, found.after])
        around = _Place(found.text, found.span)
        return self._edit("refactor", found.kind, around, source, target, rng, found.instruction)

    def _edit(
        self,
        task: TaskName,
        kind: str,
        place: _Place,
        source: list[int],
        target: list[int],
        rng: np.random.Generator,
        words: str = "",
    ) -> Example | None:
        if not target or max(len(source), len(target)) > self._limits.region:
            return None
        around = self._context(place, rng, scale=0.5)
        write = prompt.fix_prompt if task == "fix" else prompt.refactor_prompt
        return Example(task, kind, write(around, source, self._tokenizer.encode(words)), target, source)

    def _region(self, scenery: Scenery, rng: np.random.Generator) -> Span | None:
        most = self._limits.region * 4  # about four characters a token: saves encoding what cannot fit
        fitting = [s for s in scenery.regions if len(s) <= most]
        return fitting[int(rng.integers(len(fitting)))] if fitting else None

    def _context(self, place: _Place, rng: np.random.Generator, scale: float = 1.0) -> prompt.Context:
        """Text before the place from a line start on, and after it from the next line on, of random lengths."""
        text, span, limits = place.text, place.span, self._limits
        before = int(limits.prefix * scale * rng.random() ** 0.5)
        after = int(limits.suffix * scale * rng.random()) if rng.random() < 0.8 else 0
        start = text.find("\n", max(0, span.start - 4 * before)) + 1 if span.start > 4 * before else 0
        start = min(start, text.rfind("\n", 0, span.start) + 1)
        newline = text.find("\n", span.end)
        end = newline + 1 if newline >= 0 else len(text)
        prefix, suffix = self._tokenizer.encode_batch([text[start : span.start], text[end : end + 5 * after]])
        sections = self._sections(place.neighbour, rng)
        return prompt.Context(prefix[-2 * limits.prefix :], suffix[:after], sections)

    def _sections(self, neighbour: str, rng: np.random.Generator) -> tuple[list[int], ...]:
        if not neighbour or not self._limits.sections or rng.random() > 0.1:
            return ()
        start = int(rng.integers(max(1, len(neighbour) - 300)))
        start = neighbour.rfind("\n", 0, start) + 1
        return (self._tokenizer.encode(neighbour[start : start + 300])[: self._limits.sections],)


def _hole(scenery: Scenery, rng: np.random.Generator) -> tuple[str, Span]:
    """Half of the holes are syntax nodes; the others start anywhere, most of them ending with their line."""
    text = scenery.text
    at = int(rng.integers(len(text)))
    chance = rng.random()
    if chance < 0.5:
        node = scenery.tree.smallest_node(Span(at, min(len(text), at + int(rng.integers(1, 60)))))
        return "node", node.span
    line_start = text.rfind("\n", 0, at) + 1
    line_end = text.find("\n", at)
    line_end = len(text) if line_end < 0 else line_end
    if chance < 0.65:
        return "rest_of_line", Span(at, line_end)
    indent = len(text[line_start:line_end]) - len(text[line_start:line_end].lstrip())
    if rng.random() < _UNINDENTED:
        indent = 0  # the cursor stands at the line's start: the indentation is to be written too
    if chance < 0.8:
        return "line", Span(line_start + indent, line_end)
    if chance < 0.9:
        end = line_end
        for _ in range(int(rng.integers(1, 5))):
            following = text.find("\n", end + 1)
            end = following if following > 0 else len(text)
        return "lines", Span(line_start + indent, end)
    return "characters", Span(at, min(len(text), at + int(rng.integers(1, 80))))
