"""Training examples: text that an editor really has, cut from a corpus file, for `fill`, `fix` and `refactor`.

An `Example` is clean: prompt, source and target ids. Noise is drawn later (`model/train/rows.py`).
"""

from __future__ import annotations

import ast
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np

from model import prompt
from model.editing.edit import Edit, apply
from model.editing.source import Span
from model.editing.syntax import SyntaxNode, SyntaxTree, parse
from model.noise import random_edits
from model.tokenizer import Tokenizer
from model.train.codemods import CODEMODS, Codemod
from model.train.slips import Scene, slip

TaskName = Literal["fill", "fix", "refactor"]


@dataclass(frozen=True)
class Limits:
    """Budgets in tokens: of the context on each side, of a region, of a fill's middle."""

    prefix: int
    suffix: int
    region: int
    middle: int


@dataclass(frozen=True)
class Example:
    """`prompt` ends where the answer starts; `source` is the region as it stands (None: a fill)."""

    task: TaskName
    kind: str
    prompt: list[int]
    target: list[int]
    source: list[int] | None


@dataclass(frozen=True)
class Scenery:
    """A corpus file, parsed once for all examples drawn from it; `neighbour` is another of its project."""

    text: str
    tree: SyntaxTree
    neighbour: str = ""

    @cached_property
    def nodes(self) -> Sequence[SyntaxNode]:
        return list(self.tree.nodes())

    @cached_property
    def regions(self) -> Sequence[Span]:
        """Definitions, each with its whole first line."""
        spans = (d.span for d in self.tree.definitions())
        return [Span(self.text.rfind("\n", 0, s.start) + 1, s.end) for s in spans]


def survey(text: str, neighbour: str = "") -> Scenery:
    return Scenery(text, parse(text, "python"), neighbour)


class Drawer:
    """Draws examples of each task from a scenery; deterministic for a generator's state."""

    def __init__(self, tokenizer: Tokenizer, limits: Limits) -> None:
        self._tokenizer = tokenizer
        self._limits = limits

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
        around = self._context(scenery, Span(span.start, line_end), rng)
        rest = self._tokenizer.encode(text[span.end : line_end])[:64]
        return Example("fill", kind, prompt.fill_prompt(around, rest), middle, None)

    def _fix(self, scenery: Scenery, rng: np.random.Generator) -> Example | None:
        span = self._region(scenery, rng)
        if span is None:
            return None
        good = span.of(scenery.text)
        target = self._tokenizer.encode(good)
        chance = rng.random()
        if chance < 0.15:
            return self._edit("fix", "intact", scenery, span, target, target, rng)
        if chance < 0.3:
            source = random_edits(target, 0.1 * rng.random(), self._tokenizer.size, rng)
            return self._edit("fix", "random", scenery, span, source, target, rng)
        found = slip(_scene(scenery, span), rng)
        if found is None:
            return None
        kind, edit = found
        bad = apply([Edit(edit.start - span.start, edit.end - span.start, edit.new)], good)
        message = syntax_message(bad) if rng.random() < 0.4 else ""
        return self._edit("fix", kind, scenery, span, self._tokenizer.encode(bad), target, rng, message)

    def _refactor(self, scenery: Scenery, rng: np.random.Generator) -> Example | None:
        span = self._region(scenery, rng)
        if span is None:
            return None
        scene = _scene(scenery, span)
        for i in rng.permutation(len(CODEMODS)):
            pair = refactoring_pair(CODEMODS[i], scene)
            if pair is not None:
                break
        else:
            if rng.random() > 0.2:
                return None
            i, pair = rng.integers(len(CODEMODS)), (span.of(scenery.text),) * 2  # nothing to do: keep all
        codemod = CODEMODS[i]
        instruction = codemod.phrasings[int(rng.integers(len(codemod.phrasings)))]
        source, target = self._tokenizer.encode_batch(pair)
        kind = codemod.name if pair[0] != pair[1] else "intact"
        return self._edit("refactor", kind, scenery, span, source, target, rng, instruction)

    def _edit(
        self,
        task: TaskName,
        kind: str,
        scenery: Scenery,
        span: Span,
        source: list[int],
        target: list[int],
        rng: np.random.Generator,
        words: str = "",
    ) -> Example | None:
        if not target or max(len(source), len(target)) > self._limits.region:
            return None
        around = self._context(scenery, span, rng, scale=0.5)
        write = prompt.fix_prompt if task == "fix" else prompt.refactor_prompt
        return Example(task, kind, write(around, source, self._tokenizer.encode(words)), target, source)

    def _region(self, scenery: Scenery, rng: np.random.Generator) -> Span | None:
        most = self._limits.region * 4  # about four characters a token: saves encoding what cannot fit
        fitting = [s for s in scenery.regions if len(s) <= most]
        return fitting[int(rng.integers(len(fitting)))] if fitting else None

    def _context(
        self, scenery: Scenery, span: Span, rng: np.random.Generator, scale: float = 1.0
    ) -> prompt.Context:
        """Text before `span` from a line start on, and after it from the next line on, of random lengths."""
        text, limits = scenery.text, self._limits
        before = int(limits.prefix * scale * rng.random() ** 0.5)
        after = int(limits.suffix * scale * rng.random()) if rng.random() < 0.8 else 0
        start = text.find("\n", max(0, span.start - 4 * before)) + 1 if span.start > 4 * before else 0
        start = min(start, text.rfind("\n", 0, span.start) + 1)
        newline = text.find("\n", span.end)
        end = newline + 1 if newline >= 0 else len(text)
        prefix, suffix = self._tokenizer.encode_batch([text[start : span.start], text[end : end + 5 * after]])
        sections = self._sections(scenery, rng)
        return prompt.Context(prefix[-2 * limits.prefix :], suffix[:after], sections)

    def _sections(self, scenery: Scenery, rng: np.random.Generator) -> tuple[list[int], ...]:
        if not scenery.neighbour or rng.random() > 0.1:
            return ()
        start = int(rng.integers(max(1, len(scenery.neighbour) - 300)))
        start = scenery.neighbour.rfind("\n", 0, start) + 1
        return (self._tokenizer.encode(scenery.neighbour[start : start + 300])[:80],)


def refactoring_pair(codemod: Codemod, scene: Scene) -> tuple[str, str] | None:
    """`(before, after)` of a region: forwards where it holds old-style code, otherwise made backwards."""
    text, span = scene.span.of(scene.text), scene.span

    def rewrite(edits: list[Edit]) -> str:
        return apply([Edit(e.start - span.start, e.end - span.start, e.new) for e in edits], text)

    if forward := codemod.forward(scene):
        return text, rewrite(forward)
    if backward := codemod.backward(scene):
        return rewrite(backward), text
    return None


def syntax_message(code: str) -> str:
    """What Python says of a broken definition; empty where it parses."""
    try:
        ast.parse(textwrap.dedent(code))
    except SyntaxError as error:
        return f"SyntaxError: {error.msg}"
    except (ValueError, RecursionError, MemoryError):
        pass
    return ""


def _scene(scenery: Scenery, span: Span) -> Scene:
    return Scene(scenery.text, span, [n for n in scenery.nodes if span.covers(n.span)])


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
    if chance < 0.8:
        return "line", Span(line_start + indent, line_end)
    if chance < 0.9:
        end = line_end
        for _ in range(int(rng.integers(1, 5))):
            following = text.find("\n", end + 1)
            end = following if following > 0 else len(text)
        return "lines", Span(line_start + indent, end)
    return "characters", Span(at, min(len(text), at + int(rng.integers(1, 80))))
