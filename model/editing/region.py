"""Edit regions: which spans of a document a request may change, and why.

Regions of more than a piece of a line cover whole lines: the first line's indentation belongs to them, the
last line's terminator does not. Sizes come from a counter that is passed in. Knows no tokens and no LSP.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from model.editing.definitions import Definition
from model.editing.guess import guess_definition
from model.editing.source import LineIndex, Span, line_index
from model.editing.split import Counter, Piece, split_lines, split_text
from model.editing.syntax import SyntaxProblem, SyntaxTree

RegionKind = Literal["hole", "definition", "selection", "error", "diagnostic", "statements", "file"]

# A syntax error is repaired together with its statement, unless that is most of the file.
_MAX_STATEMENT_LINES = 12


@dataclass(frozen=True)
class EditRegion:
    """A span that may change. A `hole` is empty and gets new text; the others start from their own text."""

    span: Span
    kind: RegionKind
    name: str = ""


def hole(text: str, cursor: int) -> EditRegion:
    """The place of a completion; a cursor outside the text goes to its nearer end."""
    at = min(max(0, cursor), len(text))
    return EditRegion(Span(at, at), "hole")


def definition_at(tree: SyntaxTree | None, text: str, offset: int) -> EditRegion | None:
    """The smallest function, method or class at `offset`, broken or not; None outside all. Without a tree,
    indentation and common keywords decide."""
    found = guess_definition(text, offset, "") if tree is None else tree.enclosing_definition(offset)
    return None if found is None else _region_of(text, found)


def _region_of(text: str, definition: Definition) -> EditRegion:
    return EditRegion(own_lines(text, definition.span), "definition", definition.name)


def own_lines(text: str, span: Span) -> Span:
    """`span` grown to the ends of its lines where only white space, or a `;` or `,` behind, is there."""
    lines = line_index(text)
    first, last = lines.line(lines.line_at(span.start)), lines.line(lines.line_at(span.end))
    start = span.start if text[first.start : span.start].strip() else first.start
    end = span.end if text[span.end : last.end].strip(" \t;,") else last.end
    return Span(start, max(start, end))


def selection(text: str, span: Span) -> EditRegion:
    """What the user selected, without white space around it; several lines become whole lines. A selection
    without any code is its first line."""
    lines = line_index(text)
    chosen = span.of(text)
    end = min(span.end, len(text))
    start = min(end, span.start + len(chosen) - len(chosen.lstrip()))
    end = max(start, end - (len(chosen) - len(chosen.rstrip())))
    if not chosen.strip():
        return EditRegion(lines.line(lines.line_at(span.start)), "selection")
    first, last = lines.line_at(start), lines.line_at(end)
    if first != last:
        start, end = lines.line(first).start, lines.line(last).end
    return EditRegion(Span(start, end), "selection")


def error_regions(tree: SyntaxTree) -> tuple[EditRegion, ...]:
    """The statements, or else the lines, that hold syntax errors: in order, never overlapping."""
    lines = line_index(tree.text)
    merged: list[Span] = []
    for span in sorted(_error_span(tree, lines, problem) for problem in tree.errors()):
        if merged and span.start <= merged[-1].end:
            merged[-1] = Span(merged[-1].start, max(merged[-1].end, span.end))
        else:
            merged.append(span)
    return tuple(EditRegion(span, "error") for span in merged)


def _error_span(tree: SyntaxTree, lines: LineIndex, problem: SyntaxProblem) -> Span:
    bad = problem.span
    code = bad.of(tree.text)
    bad = Span(bad.start, bad.end - (len(code) - len(code.rstrip())))  # errors often swallow the line's end
    statement = tree.smallest_statement(bad.start)
    if statement is not None:
        whole = Span(min(statement.start, bad.start), max(statement.end, bad.end))
        count = lines.line_at(whole.end) - lines.line_at(whole.start) + 1
        bad = whole if count <= _MAX_STATEMENT_LINES else bad
    start, end = lines.line(lines.line_at(bad.start)).start, lines.line(lines.line_at(bad.end)).end
    return Span(start, max(start, end))


def diagnostic_region(
    tree: SyntaxTree | None, text: str, span: Span, size: Counter, limit: int
) -> EditRegion | None:
    """What to change for a diagnostic at `span`: the smallest definition if `size` is within `limit`,
    otherwise the statements around; None where nothing within the limit holds the diagnostic's start."""
    start = min(span.start, len(text))
    definition = definition_at(tree, text, start)
    if definition is not None and size(definition.span.of(text)) <= limit:
        return EditRegion(definition.span, "diagnostic", definition.name)
    pieces = (
        split_file(tree, text, size, limit)
        if definition is None
        else split(tree, text, definition.span, size, limit)
    )
    around = [p for p in pieces if p.span.touches(start) and size(p.span.of(text)) <= limit]
    if not around:
        return None
    return EditRegion(around[0].span, "diagnostic", definition.name if definition else "")


def split(
    tree: SyntaxTree | None, text: str, span: Span, size: Counter, limit: int
) -> tuple[EditRegion, ...]:
    """A large region cut at its statements, packed within `limit`: in order, never overlapping."""
    if tree is None:
        return _regions(split_text(text, span, size, limit))
    return _regions(split_lines(tree, span, size, limit))


def split_file(tree: SyntaxTree | None, text: str, size: Counter, limit: int) -> tuple[EditRegion, ...]:
    """The whole file: each top-level definition on its own, what lies between packed within `limit`, and
    definitions above it cut at their statements. Without a tree: cut at blank lines. In order, never
    overlapping; only blank lines are in no region. What cannot be cut stays above the limit."""
    return split(tree, text, Span(0, len(text)), size, limit)


def _regions(pieces: list[Piece]) -> tuple[EditRegion, ...]:
    return tuple(
        EditRegion(piece.span, "definition" if piece.whole else "statements", piece.name) for piece in pieces
    )
