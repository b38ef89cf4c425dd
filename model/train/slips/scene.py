"""What the makers of slips and refactorings see of a region: its nodes, with parents and children.

Knows no tokens.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

import numpy as np

from model.editing.edit import Edit, apply
from model.editing.source import Span
from model.editing.syntax import SyntaxNode

T = TypeVar("T")
_WORD = re.compile(r"[^\W\d]\w*")


@dataclass(frozen=True)
class Scene:
    """A region of a file and what a maker needs to know of it; `nodes` as `SyntaxTree.nodes` lists them."""

    text: str
    span: Span
    nodes: Sequence[SyntaxNode]
    language: str = "python"

    def swapped(self, first: int, second: int) -> Edit:
        """Two nodes, by index, in each other's place; what stands between them stays."""
        a, b = self.nodes[first], self.nodes[second]
        between = self.text[a.span.end : b.span.start]
        return Edit(a.span.start, b.span.end, self.of(b) + between + self.of(a))

    def of(self, node: SyntaxNode) -> str:
        return node.span.of(self.text)

    @property
    def region(self) -> str:
        return self.span.of(self.text)

    def rewritten(self, edits: Sequence[Edit]) -> str:
        """The region's text after `edits`, whose offsets are the file's."""
        start = self.span.start
        return apply([Edit(e.start - start, e.end - start, e.new) for e in edits], self.region)

    @cached_property
    def parents(self) -> Sequence[int]:
        """The index of each node's parent in `nodes`; -1 where that is outside the region."""
        result: list[int] = []
        path: list[int] = []
        for i, node in enumerate(self.nodes):
            while path and self.nodes[path[-1]].depth >= node.depth:
                path.pop()
            is_child = path and self.nodes[path[-1]].depth == node.depth - 1
            result.append(path[-1] if is_child else -1)
            path.append(i)
        return result

    @cached_property
    def children(self) -> Sequence[Sequence[int]]:
        """The indices of each node's children, in order."""
        result: list[list[int]] = [[] for _ in self.nodes]
        for i, parent in enumerate(self.parents):
            if parent >= 0:
                result[parent].append(i)
        return result

    @cached_property
    def words(self) -> frozenset[str]:
        """Every word of the file, comments and strings included."""
        return frozenset(_WORD.findall(self.text))

    def child(self, index: int, kind: str) -> SyntaxNode | None:
        """The first child of a type."""
        return next((self.nodes[i] for i in self.children[index] if self.nodes[i].type == kind), None)


def draw(places: Sequence[T], rng: np.random.Generator) -> T | None:
    """One of the places, each equally likely; None where there is none."""
    return places[int(rng.integers(len(places)))] if places else None


def delete(node: SyntaxNode | None) -> Edit | None:
    return None if node is None else Edit(node.span.start, node.span.end, "")


def replace(node: SyntaxNode, new: str) -> Edit:
    return Edit(node.span.start, node.span.end, new)
