"""Code indented by tabs, written with spaces for a model that has seen little of it, and back. Plain text only."""

from __future__ import annotations

import re
from collections.abc import Iterable

_WIDTH = 4
_INDENT = re.compile(r"(?m)^[ \t]+")


def is_tabbed(text: str) -> bool:
    """Whether tabs indent `text`, and nothing else does: only then the way back is clear."""
    indents = _INDENT.findall(text)
    return bool(indents) and all(set(indent) == {"\t"} for indent in indents)


def spaced(text: str) -> str:
    """With four spaces for each tab of the indentation."""
    return _INDENT.sub(lambda indent: indent[0].replace("\t", " " * _WIDTH), text)


def tabbed(text: str) -> str:
    """With a tab for four spaces of the indentation each; what is left over stays."""

    def with_tabs(indent: re.Match[str]) -> str:
        columns = len(indent[0].replace("\t", " " * _WIDTH))
        return "\t" * (columns // _WIDTH) + " " * (columns % _WIDTH)

    return _INDENT.sub(with_tabs, text)


def indented_like(suggestion: str, around: str) -> str:
    """`suggestion` with the lines behind its first indented by what indents the text `around`: tabs alone, or spaces
    alone."""
    if "\n" not in suggestion:
        return suggestion
    first, line_break, more = suggestion.partition("\n")
    indents = _INDENT.findall(around)
    if is_tabbed(around):
        return first + line_break + tabbed(more)
    return first + line_break + spaced(more) if indents and "\t" not in "".join(indents) else suggestion


def tabbed_pieces(pieces: Iterable[str]) -> list[str]:
    """As `tabbed`, of a text in pieces, each by itself: what a piece leaves over of an indentation stays."""
    found: list[str] = []
    is_indent = True
    for piece in pieces:
        found.append(tabbed(piece) if is_indent else tabbed("\0" + piece)[1:])
        _, line_break, tail = piece.rpartition("\n")
        is_indent = (is_indent or bool(line_break)) and not tail.strip(" \t")
    return found
