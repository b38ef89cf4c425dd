"""Real slips of programmers, made with the syntax tree: six kinds, each a small edit that breaks a function.

A maker gets the nodes inside a region and proposes places; one is drawn. Knows no tokens.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from model.editing.edit import Edit
from model.editing.source import Span
from model.editing.syntax import SyntaxNode

_SWAPS = {
    "==": "!=", "!=": "==", "<": "<=", "<=": "<", ">": ">=", ">=": ">", "+": "-", "-": "+",
    "and": "or", "or": "and", "+=": "-=", "-=": "+=", "is": "is not", "is not": "is", "in": "not in", "not in": "in",
}  # fmt: skip
_OPERATOR_PARENTS = {"comparison_operator", "boolean_operator", "binary_operator", "augmented_assignment"}
T = TypeVar("T")
_NAME = re.compile(r"[A-Za-z_]\w{2,}")


@dataclass(frozen=True)
class Scene:
    """A region of a file and what the slips need to know of it."""

    text: str
    span: Span
    nodes: Sequence[SyntaxNode]

    def of(self, node: SyntaxNode) -> str:
        return node.span.of(self.text)


Maker = Callable[[Scene, np.random.Generator], Edit | None]


def dropped_colon(scene: Scene, rng: np.random.Generator) -> Edit | None:
    """The colon after a block's header is missing."""
    places = [
        n for n in scene.nodes if n.type == ":" and scene.text[n.span.end : n.span.end + 1] in ("\n", " ")
        and n.parent_type.endswith(("_statement", "_definition", "_clause"))
    ]  # fmt: skip
    return _delete(_draw(places, rng))


def dropped_bracket(scene: Scene, rng: np.random.Generator) -> Edit | None:
    """One bracket of a pair is missing, more often the closing one."""
    kinds = ")]}" if rng.random() < 0.8 else "([{"
    return _delete(_draw([n for n in scene.nodes if n.type in kinds and not n.named], rng))


def wrong_operator(scene: Scene, rng: np.random.Generator) -> Edit | None:
    """A comparison, arithmetic or boolean operator is swapped with its neighbour (off-by-one among them)."""
    places = [n for n in scene.nodes if n.type in _SWAPS and n.parent_type in _OPERATOR_PARENTS]
    node = _draw(places, rng)
    return None if node is None else Edit(node.span.start, node.span.end, _SWAPS[node.type])


def misused_variable(scene: Scene, rng: np.random.Generator) -> Edit | None:
    """A name is used where another name of the same function belongs."""
    names = [n for n in scene.nodes if n.type == "identifier" and n.parent_type != "keyword_argument"]
    others = sorted({scene.of(n) for n in names})
    node = _draw(names[1:], rng)  # not the definition's own name
    if node is None or len(others) < 2:
        return None
    wrong = _draw([name for name in others if name != scene.of(node)], rng)
    return None if wrong is None else Edit(node.span.start, node.span.end, wrong)


def wrong_indentation(scene: Scene, rng: np.random.Generator) -> Edit | None:
    """One line is a few columns too far left or right."""
    lines = [m for m in re.finditer(r"(?m)^( +)(?=\S)", scene.span.of(scene.text)) if m.start() > 0]
    line = _draw(lines, rng)
    if line is None:
        return None
    at = scene.span.start + line.start()
    step = (4, 2, 1)[int(rng.integers(3))]
    if rng.random() < 0.5 and len(line.group(1)) >= step:
        return Edit(at, at + step, "")
    return Edit(at, at, " " * step)


def misspelt_name(scene: Scene, rng: np.random.Generator) -> Edit | None:
    """A letter of a name or keyword is dropped, doubled or swapped with its neighbour."""
    places = [
        n for n in scene.nodes
        if (n.type == "identifier" or (not n.named and n.type.isalpha())) and _NAME.fullmatch(scene.of(n))
    ]  # fmt: skip
    node = _draw(places, rng)
    if node is None:
        return None
    name = scene.of(node)
    i = int(rng.integers(1, len(name) - 1))
    kind = rng.integers(3)
    wrong = (
        name[:i] + name[i + 1 :],
        name[:i] + name[i] + name[i:],
        name[:i] + name[i + 1] + name[i] + name[i + 2 :],
    )[int(kind)]
    return None if wrong == name else Edit(node.span.start, node.span.end, wrong)


SLIPS: dict[str, Maker] = {
    "dropped_colon": dropped_colon,
    "dropped_bracket": dropped_bracket,
    "wrong_indentation": wrong_indentation,
    "wrong_operator": wrong_operator,
    "misused_variable": misused_variable,
    "misspelt_name": misspelt_name,
}
SYNTAX_SLIPS = ("dropped_colon", "dropped_bracket", "wrong_indentation")


def slip(
    scene: Scene, rng: np.random.Generator, kinds: Sequence[str] = tuple(SLIPS)
) -> tuple[str, Edit] | None:
    """One random slip of the given kinds, as `(kind, edit)`; None where the region offers no place."""
    for kind in rng.permutation(list(kinds)):
        edit = SLIPS[str(kind)](scene, rng)
        if edit is not None:
            return str(kind), edit
    return None


def _draw(places: Sequence[T], rng: np.random.Generator) -> T | None:
    return places[int(rng.integers(len(places)))] if places else None


def _delete(node: SyntaxNode | None) -> Edit | None:
    return None if node is None else Edit(node.span.start, node.span.end, "")
