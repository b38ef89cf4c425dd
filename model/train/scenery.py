"""A corpus file, or a piece of one, from which examples are drawn; read only as far as they need it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from model.editing.source import Span
from model.editing.syntax import SyntaxTree, parse
from model.train.slips.scene import Scene


@dataclass(frozen=True)
class Scenery:
    """`text` is what examples are cut from; `neighbour` is another file of its project, `whole` the file that
    `text` is a piece of (empty: it is the whole file)."""

    text: str
    neighbour: str = ""
    whole: str = ""
    language: str = "python"

    @cached_property
    def tree(self) -> SyntaxTree:
        return parse(self.text, self.language)

    @cached_property
    def regions(self) -> Sequence[Span]:
        """Definitions, each with its whole first line."""
        spans = (d.span for d in self.tree.definitions())
        return [Span(self.text.rfind("\n", 0, s.start) + 1, s.end) for s in spans]

    def scene(self, span: Span) -> Scene:
        """What makers of slips and refactorings see of a region."""
        return Scene(self.text, span, list(self.tree.nodes(span)), self.language)
