"""Code indented by tabs, written with spaces for a model that has seen little of it, and back. Plain text only."""

from __future__ import annotations

import re

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
