"""Holes in held-out files with their truth: whole lines, rests of lines, several lines, syntax nodes.

A case's document is the file without the hole, its cursor stands there, its truth is the file as it was.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from model.editing.source import Span
from model.editing.syntax import SyntaxNode
from model.eval.cases import Case, drawn
from model.request import Complete, Document, Request
from model.train.corpus import SourceFile
from model.train.scenery import Scenery

_LEAST = 5
"""Characters of code in a hole."""
_MOST_LINES, _MOST_CHARACTERS = 8, 600

Draw = Callable[[Scenery, np.random.Generator], Case | None]


def completions(files: Sequence[SourceFile], count: int, seed: int) -> list[Case]:
    """Whole lines, and rests of lines from a random cursor, of lines with at least five characters of code."""
    return drawn(files, count, seed, _line)


def several_lines(files: Sequence[SourceFile], count: int, seed: int) -> list[Case]:
    """Two to eight whole lines that begin and end on the same level of one block or nested ones in it."""
    return drawn(files, count, seed, _lines)


def syntax_nodes(files: Sequence[SourceFile], count: int, seed: int) -> list[Case]:
    """Expressions, arguments, statements: named nodes of at least five characters, of any size up to 600."""
    return drawn(files, count, seed, _node)


def _line(scenery: Scenery, rng: np.random.Generator) -> Case | None:
    text = scenery.text
    at = int(rng.integers(len(text)))
    start, end = text.rfind("\n", 0, at) + 1, text.find("\n", at)
    line = text[start:end] if end > 0 else ""
    indent = _indent(line)
    if len(line.strip()) < _LEAST or _is_prose(scenery, line, at):
        return None
    whole = rng.random() < 0.5
    cursor = start + indent if whole else max(at, start + indent + 1)
    return _case("line" if whole else "rest_of_line", text, Span(cursor, end), multiline=False)


def _lines(scenery: Scenery, rng: np.random.Generator) -> Case | None:
    text = scenery.text
    at = int(rng.integers(len(text)))
    start = text.rfind("\n", 0, at) + 1
    wanted = int(rng.integers(2, _MOST_LINES + 1))
    following = text[start : start + _MOST_CHARACTERS].split("\n")[:-1]
    if not following or len(following[0].strip()) < _LEAST or _is_prose(scenery, following[0], at):
        return None
    indent, count = _indent(following[0]), 0
    for number, line in enumerate(following[:wanted], 1):
        if line.strip() and _indent(line) < indent:
            break
        count = number if line.strip() else count  # no blank lines at the end
    if count < 2:
        return None
    end = start + len("\n".join(following[:count]))
    return _case("lines", text, Span(start + indent, end), multiline=True)


def _node(scenery: Scenery, rng: np.random.Generator) -> Case | None:
    fitting = [n for n in scenery.tree.nodes() if _is_code(n)]
    if not fitting:
        return None
    node = fitting[int(rng.integers(len(fitting)))]
    return _case("node", scenery.text, node.span, multiline=True)


def _is_code(node: SyntaxNode) -> bool:
    if not node.named or not _LEAST <= len(node.span) <= _MOST_CHARACTERS:
        return False
    return "string" not in node.type + node.parent_type and "comment" not in node.type


def _case(kind: str, text: str, hole: Span, multiline: bool) -> Case:
    broken = text[: hole.start] + text[hole.end :]
    request = Request(Document(broken, "python"), Complete(hole.start, multiline=multiline))
    return Case(kind, request, text)


def _is_prose(scenery: Scenery, line: str, at: int) -> bool:
    return line.lstrip().startswith("#") or scenery.tree.in_comment_or_string(at)


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())
