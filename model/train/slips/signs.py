"""Slips of signs and layout that Python's parser reports: colons, brackets, commas, quotes, keywords, columns."""

from __future__ import annotations

import numpy as np

from model.editing.edit import Edit
from model.editing.syntax import SyntaxNode
from model.train.slips.names import misspelt
from model.train.slips.scene import Scene, delete, draw, replace

_OPENING, _CLOSING = "([{", ")]}"
_LISTS = {
    "argument_list", "parameters", "list", "tuple", "dictionary", "set",
    # In other grammars than Python's.
    "arguments", "formal_parameters", "parameter_list", "array", "object", "initializer_list", "array_expression",
    "tuple_expression",
}  # fmt: skip
_CONDITIONS = {"if_statement", "elif_clause", "while_statement"}


def dropped_colon(scene: Scene, rng: np.random.Generator) -> Edit | None:
    """The colon after a block's header is missing."""
    places = [
        n for n in scene.nodes if n.type == ":" and scene.text[n.span.end : n.span.end + 1] in ("\n", " ")
        and n.parent_type.endswith(("_statement", "_definition", "_clause"))
    ]  # fmt: skip
    return delete(draw(places, rng))


def dropped_bracket(scene: Scene, rng: np.random.Generator) -> Edit | None:
    """One bracket of a pair is missing, more often the closing one."""
    return delete(_bracket(scene, _CLOSING if rng.random() < 0.8 else _OPENING, rng))


def wrong_bracket(scene: Scene, rng: np.random.Generator) -> Edit | None:
    """A closing bracket is of another kind than the opening one."""
    node = _bracket(scene, _CLOSING, rng)
    wrong = draw([c for c in _CLOSING if node is None or c != node.type], rng)
    return None if node is None or wrong is None else replace(node, wrong)


def doubled_bracket(scene: Scene, rng: np.random.Generator) -> Edit | None:
    """A closing bracket stands there twice."""
    node = _bracket(scene, _CLOSING, rng)
    return None if node is None else Edit(node.span.end, node.span.end, node.type)


def missing_comma(scene: Scene, rng: np.random.Generator) -> Edit | None:
    """The comma between two elements is missing."""
    return delete(draw([n for n in scene.nodes if n.type == "," and n.parent_type in _LISTS], rng))


def unclosed_string(scene: Scene, rng: np.random.Generator) -> Edit | None:
    """A quote of a string on one line is missing, most often the closing one."""
    wanted = "string_end" if rng.random() < 0.8 else "string_start"
    return delete(draw([n for n in scene.nodes if n.type == wanted and scene.of(n) in ("'", '"')], rng))


def assignment_for_equality(scene: Scene, rng: np.random.Generator) -> Edit | None:
    """A condition says `=` where it compares."""
    places = [
        n for i, n in enumerate(scene.nodes)
        if n.type == "==" and any(scene.nodes[a].type in _CONDITIONS for a in _ancestors(scene, i, 3))
    ]  # fmt: skip
    node = draw(places, rng)
    return None if node is None else replace(node, "=")


def misspelt_keyword(scene: Scene, rng: np.random.Generator) -> Edit | None:
    """A letter of a keyword is dropped, doubled, swapped or hit beside its key."""
    node = draw([n for n in scene.nodes if not n.named and n.type.isalpha() and len(n.type) > 2], rng)
    return None if node is None else replace(node, misspelt(node.type, rng))


def wrong_indentation(scene: Scene, rng: np.random.Generator) -> Edit | None:
    """A line, or up to three statements in a row, stand a few columns too far left or right."""
    places = [
        i for i, n in enumerate(scene.nodes)
        if n.parent_type == "block" and n.named and n.type != "comment" and _column(scene, n) is not None
    ]  # fmt: skip
    at = draw(places, rng)
    if at is None:
        return None
    first = scene.nodes[at]
    end = scene.text.find("\n", first.span.start)
    if rng.random() < 0.35:
        siblings = scene.children[scene.parents[at]]
        place = siblings.index(at)
        end = scene.nodes[siblings[min(len(siblings) - 1, place + int(rng.integers(3)))]].span.end
    indent = _column(scene, first) or 0
    start, end = first.span.start - indent, min(scene.span.end, end if end >= 0 else len(scene.text))
    step = (4, 2, 1, 3)[int(rng.choice(4, p=(0.45, 0.25, 0.25, 0.05)))]
    to_left = rng.random() < 0.5 and indent >= step
    lines = scene.text[start:end].split("\n")
    moved = [_moved(line, -step if to_left else step) for line in lines]
    return Edit(start, end, "\n".join(moved))


def _moved(line: str, columns: int) -> str:
    if not line.strip():
        return line
    return " " * columns + line if columns > 0 else line[min(-columns, len(line) - len(line.lstrip())) :]


def _column(scene: Scene, node: SyntaxNode) -> int | None:
    """Spaces before a node that begins its line inside the region; None where it does not."""
    start = scene.text.rfind("\n", 0, node.span.start) + 1
    before = scene.text[start : node.span.start]
    return len(before) if before and not before.strip(" ") and start > scene.span.start else None


def _bracket(scene: Scene, kinds: str, rng: np.random.Generator) -> SyntaxNode | None:
    return draw([n for n in scene.nodes if n.type in kinds and not n.named and n.type], rng)


def _ancestors(scene: Scene, index: int, most: int) -> list[int]:
    found: list[int] = []
    while len(found) < most and (index := scene.parents[index]) >= 0:
        found.append(index)
    return found
