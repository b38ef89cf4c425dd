"""The quotes of a suggestion's strings, made those of the file around it. Works on text alone; knows no tokens."""

from __future__ import annotations

import re

# Elsewhere the two kinds mean different things.
_EITHER = ("python", "javascript", "typescript", "tsx")
_STRING = r"(?P<quote>['\"])(?P<inside>(?:\\.|(?!(?P=quote))[^\\\n])*)(?P=quote)"
_LONG = r"\"\"\".*?(?:\"\"\"|\Z)|'''.*?(?:'''|\Z)"
_ANY = re.compile(f"{_LONG}|{_STRING}", re.DOTALL)
_SPECIAL = re.compile(r"['\"\\{}]")
_FEWEST = 3
"""Strings of one kind that make a habit, if they are three times as many as those of the other."""


def usual_quote(text: str) -> str | None:
    """The quote that begins the strings of `text`; None where it has no habit."""
    quotes = [
        m["quote"] for m in _ANY.finditer(text)
    ]  # None for long strings, which have a habit of their own
    double, single = quotes.count('"'), quotes.count("'")
    most, least, quote = (double, single, '"') if double >= single else (single, double, "'")
    return quote if most >= _FEWEST and most >= 3 * least else None


def match_quotes(suggestion: str, before: str, around: str, language: str | None) -> str:
    """`suggestion` with the usual quote of the text `around` on its plain strings: those without quotes, escapes and
    braces inside. It stays as it is where a string is open at its beginning (`before` is the line up to it)."""
    if language not in _EITHER or ("'" not in suggestion and '"' not in suggestion):
        return suggestion
    rest = _ANY.sub("", before)
    quote = usual_quote(around)
    if quote is None or "'" in rest or '"' in rest:
        return suggestion

    def rewritten(string: re.Match[str]) -> str:
        inside = string["inside"]
        return string[0] if inside is None or _SPECIAL.search(inside) else f"{quote}{inside}{quote}"

    return _ANY.sub(rewritten, suggestion)
