"""Refactorings that good code rarely needs: three codemods, each forwards and backwards.

`forward` turns old-style code into the wanted style; `backward` makes old-style code from good code, which is
how most pairs are made (good code is what a corpus holds). Knows no tokens.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from model.editing.edit import Edit
from model.train.refactorings.refactoring import Maker, Rewriting
from model.train.slips.scene import Scene

Rewrite = Callable[[Scene], list[Edit]]


@dataclass(frozen=True)
class Codemod:
    """`forward(before)` and `backward(after)` list every edit of their kind in a scene."""

    name: str
    forward: Rewrite
    backward: Rewrite


_NONE_OLD = {"==": "is", "!=": "is not"}
_NONE_NEW = {"is": "==", "is not": "!="}
_EMPTY_OLD = {"list()": "[]", "dict()": "{}", "tuple()": "()"}
_EMPTY_NEW = {v: k for k, v in _EMPTY_OLD.items()}
_SUPER_OLD = re.compile(r"super\(\w+, (?:self|cls)\)")
_CLASS = re.compile(r"(?m)^([ \t]*)class[ \t]+(\w+)")


def _compare_none(table: dict[str, str]) -> Rewrite:
    def rewrite(scene: Scene) -> list[Edit]:
        return [
            Edit(n.span.start, n.span.end, table[n.type])
            for n in scene.nodes
            if n.type in table
            and n.parent_type == "comparison_operator"
            and re.match(r" None\b", scene.text[n.span.end : n.span.end + 6])
        ]

    return rewrite


def _empty(table: dict[str, str], types: set[str]) -> Rewrite:
    def rewrite(scene: Scene) -> list[Edit]:
        return [
            Edit(n.span.start, n.span.end, table[scene.of(n)])
            for n in scene.nodes
            if n.type in types and n.parent_type != "type" and scene.of(n) in table
        ]

    return rewrite


def _super_forward(scene: Scene) -> list[Edit]:
    return [
        Edit(n.span.start, n.span.end, "super()")
        for n in scene.nodes
        if n.type == "call" and _SUPER_OLD.fullmatch(scene.of(n))
    ]


def _super_backward(scene: Scene) -> list[Edit]:
    edits: list[Edit] = []
    for node in scene.nodes:
        if node.type == "call" and scene.of(node) == "super()":
            above = list(_CLASS.finditer(scene.text, 0, node.span.start))
            if above:
                name = above[-1].group(2)
                edits.append(Edit(node.span.start, node.span.end, f"super({name}, self)"))
    return edits


CODEMODS = (
    Codemod("compare_none", _compare_none(_NONE_OLD), _compare_none(_NONE_NEW)),
    Codemod(
        "empty_literals", _empty(_EMPTY_OLD, {"call"}), _empty(_EMPTY_NEW, {"list", "dictionary", "tuple"})
    ),
    Codemod("plain_super", _super_forward, _super_backward),
)


def made_by(codemod: Codemod) -> Maker:
    """Pairs by a codemod: forwards where the region holds old-style code, otherwise made backwards."""

    def make(scene: Scene, rng: np.random.Generator) -> Rewriting | None:
        if forward := codemod.forward(scene):
            return Rewriting(scene.region, scene.rewritten(forward))
        if backward := codemod.backward(scene):
            return Rewriting(scene.rewritten(backward), scene.region)
        return None

    return make
