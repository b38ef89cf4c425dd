"""Refactorings with an exact answer: three codemods, each forwards and backwards, with several phrasings.

`forward` turns old-style code into the wanted style; `backward` makes old-style code from good code, which is
how most pairs are made (good code is what a corpus holds). Knows no tokens.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from model.editing.edit import Edit
from model.train.slips import Scene

Rewrite = Callable[[Scene], list[Edit]]


@dataclass(frozen=True)
class Codemod:
    """`forward(before)` and `backward(after)` list every edit of their kind in a scene."""

    name: str
    phrasings: Sequence[str]
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
    Codemod(
        "compare_none",
        (
            "Use `is None` instead of `== None`",
            "compare with None by identity",
            "Replace == None with is None",
            "use is and is not for None",
        ),
        _compare_none(_NONE_OLD),
        _compare_none(_NONE_NEW),
    ),
    Codemod(
        "empty_literals",
        (
            "Use literals for empty collections",
            "Replace dict() and list() with {} and []",
            "use [] and {} instead of list() and dict()",
            "prefer empty literals",
        ),
        _empty(_EMPTY_OLD, {"call"}),
        _empty(_EMPTY_NEW, {"list", "dictionary", "tuple"}),
    ),
    Codemod(
        "plain_super",
        (
            "Use super() without arguments",
            "Simplify the super calls",
            "modernise super calls",
            "remove the arguments of super()",
        ),
        _super_forward,
        _super_backward,
    ),
)
