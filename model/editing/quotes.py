"""Strings of a suggestion in the quotes that the file uses. The syntax tree says what is a string."""

from __future__ import annotations

import re

from model.editing.source import Span
from model.editing.syntax import SyntaxTree

# Elsewhere the two kinds mean different things.
_EITHER = ("python", "javascript", "typescript", "tsx")
_STRING = re.compile(r"(?P<quote>['\"])(?P<inside>(?:\\.|(?!(?P=quote))[^\\\n])*)(?P=quote)")
_SPECIAL = re.compile(r"['\"\\{}]")
_PREFIX = 2
"""Characters that a string may have before its quote."""
_FEWEST = 3
"""Strings of one kind that make a habit, if they are three times as many as those of the other."""


def usual_quote(text: str) -> str | None:
    """The quote that begins the strings of `text`; None where it has no habit."""
    quotes = [m["quote"] for m in _STRING.finditer(text) if m["inside"]]
    double, single = quotes.count('"'), quotes.count("'")
    most, least, quote = (double, single, '"') if double >= single else (single, double, "'")
    return quote if most >= _FEWEST and most >= 3 * least else None


def wanted_quote(suggestion: str, around: str, language: str | None) -> str | None:
    """The usual quote of the text `around`, where `suggestion` may have strings in the other one; else None."""
    if language not in _EITHER or ("'" not in suggestion and '"' not in suggestion):
        return None
    quote = usual_quote(around)
    return quote if quote is not None and ("'" if quote == '"' else '"') in suggestion else None


def match_quotes(new: SyntaxTree, written: Span, quote: str) -> str:
    """What was `written` in the text of `new`, its plain strings (no quotes, escapes or braces inside) in `quote`.
    Strings of markup keep theirs, and strings that began before."""

    def rewritten(string: re.Match[str]) -> str:
        inside, at = string["inside"], Span(written.start + string.start(), written.start + string.end())
        is_plain = not _SPECIAL.search(inside) and _is_string(new, at)
        return f"{quote}{inside}{quote}" if is_plain else string[0]

    return _STRING.sub(rewritten, written.of(new.text))


def _is_string(tree: SyntaxTree, span: Span) -> bool:
    node = tree.smallest_node(span)
    begins = span.start - _PREFIX <= node.span.start <= span.start
    is_markup = node.parent_type.startswith("jsx")
    return node.type == "string" and begins and node.span.end == span.end and not is_markup
