"""Incremental parsing with tree-sitter. Bytes exist here and in `utf8.py` only: everything outside uses `str` offsets.

A `SyntaxTree` is a value: its text never changes, `edited` gives a new tree. Trees may be read from any
thread; a parser is made per call, since tree-sitter's parsers must not be shared. `definitions.py` says what
a definition is, `languages.py` which languages there are. Knows nothing of regions, tokens or LSP.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import tree_sitter

from model.editing.definitions import BLOCKS, Definition, find_definitions, pick_definition
from model.editing.edit import Edit, apply
from model.editing.guess import guess_definition, looks_whole
from model.editing.languages import (
    GRAMMARS,
    UnknownLanguageError,
    available_grammars,
    grammar,
    has_grammar,
    language_of,
)
from model.editing.source import Span
from model.editing.utf8 import Utf8Offsets, encode

__all__ = [
    "GRAMMARS",
    "MAX_PARSED_CHARS",
    "Definition",
    "SyntaxNode",
    "SyntaxProblem",
    "SyntaxTree",
    "UnknownLanguageError",
    "available_grammars",
    "has_grammar",
    "language_of",
    "parse",
    "try_parse",
]

# Parsing takes 0.3 to 1 s per million characters; above this a file is treated like one without a grammar.
MAX_PARSED_CHARS = 2_000_000

_CODE_IN_STRING = {"interpolation", "template_substitution"}


@dataclass(frozen=True, order=True)
class SyntaxProblem:
    """A place the parser could not read (ERROR) or where it had to imagine a token (MISSING; empty span)."""

    span: Span
    kind: Literal["ERROR", "MISSING"]


@dataclass(frozen=True)
class SyntaxNode:
    """A node of the tree in `str` offsets. `depth` is 0 for the root, whose `parent_type` is empty."""

    type: str
    span: Span
    named: bool
    parent_type: str
    depth: int


class SyntaxTree:
    """A parsed text. Make one with `parse`, or from an older one with `edited`."""

    def __init__(
        self, text: str, language: str, offsets: Utf8Offsets, tree: tree_sitter.Tree, *, derived: bool = False
    ) -> None:
        self.text = text
        self.language = language
        self._offsets = offsets
        self._tree = tree
        self._derived = derived

    def edited(self, edits: Sequence[Edit]) -> SyntaxTree:
        """The tree of `apply(edits, self.text)`, reusing what the edits left alone. Where there are errors it
        may cut them differently from a fresh parse: compare numbers of errors on `fresh` trees."""
        if not edits:
            return self
        text = apply(edits, self.text)
        old = self._tree.copy()
        # From the last to the first, so that each edit's offsets still hold when it is applied.
        for edit in sorted(edits, key=lambda e: (e.start, e.end), reverse=True):
            _move(old, self._offsets, edit)
        offsets = Utf8Offsets(text)
        tree = _parser(self.language).parse(offsets.data, old)
        return SyntaxTree(text, self.language, offsets, tree, derived=True)

    def fresh(self) -> SyntaxTree:
        """The tree that depends on nothing but the text: error recovery depends on what was parsed before.
        Without errors that is this one."""
        return self._fresh if self._derived and self.has_errors else self

    @cached_property
    def _fresh(self) -> SyntaxTree:
        return parse(self.text, self.language)

    @property
    def has_errors(self) -> bool:
        """Whether there is any ERROR or MISSING node; cheaper than counting them."""
        return self._tree.root_node.has_error

    def sexp(self) -> str:
        """The tree as an s-expression, for comparisons and tests."""
        return str(self._tree.root_node)

    def errors(self) -> tuple[SyntaxProblem, ...]:
        """Every ERROR and MISSING node, in document order; nested ones count."""
        return self._problems

    def problem_count(self) -> int:
        return len(self._problems)

    @cached_property
    def _problems(self) -> tuple[SyntaxProblem, ...]:
        found: list[SyntaxProblem] = []
        stack = [self._tree.root_node]
        while stack:
            node = stack.pop()
            if node.is_missing:
                found.append(SyntaxProblem(self._span(node), "MISSING"))
            elif node.is_error:
                found.append(SyntaxProblem(self._span(node), "ERROR"))
            if node.has_error:
                stack += reversed(node.children)
        return tuple(sorted(found))

    def definitions(self) -> tuple[Definition, ...]:
        """Functions, methods, classes, namespaces in document order, an outer one before its inner ones."""
        return self._definitions

    @cached_property
    def _definitions(self) -> tuple[Definition, ...]:
        return find_definitions(self._tree.root_node, self.language, self._span)

    def enclosing_definition(self, offset: int) -> Definition | None:
        """The smallest function, method or class at `offset`, decorators included; None at top level.

        Where the code is broken there, the tree may have no such node or a wrong one; indentation and
        keywords then decide.
        """
        found = pick_definition(self.text, self._definitions, offset)
        if not self._problems:
            return found
        guess = guess_definition(self.text, offset, self.language)
        if guess is None:
            return found
        if found is None or self._is_broken_at(found.span) or self._is_broken_at(guess.span):
            return guess
        return found if looks_whole(self.text, found.span, self.language) else guess

    def _is_broken_at(self, span: Span) -> bool:
        return any(
            problem.span.start <= span.end and span.start <= problem.span.end for problem in self._problems
        )

    def top_level(self) -> tuple[Span, ...]:
        """Spans of the file's top-level statements, definitions and comments, in order."""
        return tuple(self._span(node) for node in self._tree.root_node.named_children)

    def top_level_around(self, span: Span) -> Span:
        """From the top-level statement before the one at `span`'s start to the one behind that at its end."""
        nodes = self._tree.root_node.named_children
        start, end = self._offsets.to_byte(span.start), self._offsets.to_byte(span.end)
        before = bisect_left(nodes, start, key=lambda node: node.end_byte) - 1
        behind = bisect_right(nodes, end, key=lambda node: node.start_byte)
        first = self._span(nodes[before]).start if before >= 0 else 0
        return Span(first, self._span(nodes[behind]).end if behind < len(nodes) else len(self.text))

    def statements(self, span: Span) -> tuple[Span, ...]:
        """Spans of the statements directly inside the outermost blocks that lie in `span`, in order: for a
        function its body's, for an `if` those of all its branches, for a class its members."""
        inner: list[Span] = []
        root = self._tree.root_node
        start, end = self._offsets.to_byte(span.start), self._offsets.to_byte(span.end)
        stack = [root.descendant_for_byte_range(start, end) or root]
        while stack:
            node = stack.pop()
            if node.end_byte <= start or node.start_byte >= end:
                continue
            inside = start <= node.start_byte and node.end_byte <= end
            if inside and node.type in BLOCKS and node.named_child_count and node.parent is not None:
                inner += [self._span(child) for child in node.named_children]
            else:
                stack += reversed(node.children)
        return tuple(inner)

    def smallest_node(self, span: Span, named: bool = True) -> SyntaxNode:
        """The smallest node that covers `span`."""
        root = self._tree.root_node
        start, end = self._offsets.to_byte(span.start), self._offsets.to_byte(span.end)
        find = root.named_descendant_for_byte_range if named else root.descendant_for_byte_range
        node = find(start, end) or root
        depth, parent = 0, node.parent
        while parent is not None:
            depth, parent = depth + 1, parent.parent
        return self._plain(node, node.parent.type if node.parent else "", depth)

    def smallest_statement(self, offset: int) -> Span | None:
        """The innermost statement (a named child of a block or of the file) at `offset`."""
        offset = min(max(0, offset), len(self.text))
        if offset and not self.text[offset : offset + 1].strip():
            offset -= 1  # at a line's end: what ends there
        at = self._offsets.to_byte(offset)
        node = self._tree.root_node.descendant_for_byte_range(at, at)
        while node is not None and node.parent is not None:
            if node.is_named and (node.parent.type in BLOCKS or node.parent.parent is None):
                return self._span(node)
            node = node.parent
        return None

    def nodes(self, within: Span | None = None) -> Iterator[SyntaxNode]:
        """All nodes, or those that lie `within` a span: a parent before its children, in document order."""
        cursor = self._tree.walk()
        start = self._offsets.to_byte(within.start) if within else 0
        end = self._offsets.to_byte(within.end) if within else self._tree.root_node.end_byte
        ancestors: list[str] = []
        while True:
            node = cursor.node
            assert node is not None
            apart = node.end_byte < start or node.start_byte > end
            if within is None or (start <= node.start_byte and node.end_byte <= end):
                yield self._plain(node, ancestors[-1] if ancestors else "", len(ancestors))
            if not apart and cursor.goto_first_child():
                ancestors.append(node.type)
                continue
            while not cursor.goto_next_sibling():
                if not cursor.goto_parent():
                    return
                ancestors.pop()

    def in_comment_or_string(self, offset: int) -> bool:
        """Whether text typed at `offset` would belong to a comment or a string literal."""
        if not 0 < offset <= len(self.text):
            return False
        before = self._offsets.to_byte(offset - 1)
        after = self._offsets.to_byte(min(offset + 1, len(self.text)))
        if offset < len(self.text) and self._is_prose(before, after):
            return True
        # At the end of a line comment the next character still belongs to it.
        at = self._offsets.to_byte(offset)
        node = self._tree.root_node.descendant_for_byte_range(before, at)
        while node is not None and "comment" not in node.type:
            node = node.parent
        if node is None or node.end_byte != at or self.text[offset - 1] in "\r\n":
            return False
        return self.text.startswith(("//", "#"), self._span(node).start)

    def _is_prose(self, start: int, end: int) -> bool:
        node = self._tree.root_node.descendant_for_byte_range(start, end)
        while node is not None:
            if node.type in _CODE_IN_STRING:
                return False
            if node.is_named and any(word in node.type for word in ("comment", "string", "char")):
                return not node.type.endswith(("concatenated_string",))
            node = node.parent
        return False

    def _span(self, node: tree_sitter.Node) -> Span:
        return Span(self._offsets.to_char(node.start_byte), self._offsets.to_char(node.end_byte))

    def _plain(self, node: tree_sitter.Node, parent_type: str, depth: int) -> SyntaxNode:
        return SyntaxNode(node.type, self._span(node), node.is_named, parent_type, depth)


def parse(text: str, language: str) -> SyntaxTree:
    """Parse `text`; raises UnknownLanguageError where there is no grammar."""
    offsets = Utf8Offsets(text)
    return SyntaxTree(text, language, offsets, _parser(language).parse(offsets.data))


def try_parse(text: str, language: str | None) -> SyntaxTree | None:
    """`parse`, or None without a grammar or for a text too large to parse while someone waits."""
    if language is None or len(text) > MAX_PARSED_CHARS or not has_grammar(language):
        return None
    return parse(text, language)


def _parser(language: str) -> tree_sitter.Parser:
    return tree_sitter.Parser(grammar(language))


def _move(tree: tree_sitter.Tree, offsets: Utf8Offsets, edit: Edit) -> None:
    """Tell `tree`, whose bytes up to the edit's end are those of `offsets`, of one edit."""
    start, old_end = offsets.to_byte(edit.start), offsets.to_byte(edit.end)
    new = encode(edit.new)
    row, column = offsets.point(start)
    breaks = new.count(b"\n")
    new_point = (row + breaks, len(new) - new.rfind(b"\n") - 1 if breaks else column + len(new))
    tree.edit(start, old_end, start + len(new), (row, column), offsets.point(old_end), new_point)
