"""Brackets of a suggestion against those around it, by the text alone: strings and comments are left out as far as a
pattern can tell. What it finds is a guess, which `style.py` puts to the syntax tree."""

from __future__ import annotations

import re

_PAIRS = {")": "(", "]": "[", "}": "{"}
_SILENT = re.compile(
    r"\"\"\".*?(?:\"\"\"|\Z)|'''.*?(?:'''|\Z)"
    r"|\"(?:\\.|[^\"\\\n])*(?:\"|$)|'(?:\\.|[^'\\\n])*'"
    r"|#[^\n]*|//[^\n]*|/\*.*?(?:\*/|\Z)",
    re.DOTALL | re.MULTILINE,
)
"""Strings and comments of most languages; in some `//`, `#` or `'` are code, and then the guess may be wrong."""


def open_brackets(text: str) -> list[str]:
    """The brackets that `text` opens and does not close, in order; one that closes nothing is passed over."""
    found: list[str] = []
    for ch in re.findall(r"[()\[\]{}]", _SILENT.sub("", text)):
        if ch in "([{":
            found.append(ch)
        elif found and found[-1] == _PAIRS[ch]:
            found.pop()
    return found


def cut_surplus(suggestion: str, above: str, before: str, behind: str) -> str:
    """`suggestion` up to its first bracket that closes nothing: nothing of its own, nothing of the lines `above` and of
    its line up to the cursor (`before`) that the rest of that line (`behind`) does not close."""
    if not any(ch in suggestion for ch in _PAIRS):
        return suggestion
    left = open_brackets(above + before)
    taken = _taken(left, len(open_brackets(above)), _closing(behind))
    hidden = [m.span() for m in _SILENT.finditer(suggestion)]
    for at, ch in enumerate(suggestion):
        if any(start <= at < end for start, end in hidden):
            continue
        if ch in "([{":
            left.append(ch)
        elif ch in _PAIRS:
            if len(left) <= taken or left[-1] != _PAIRS[ch]:
                return suggestion[:at].rstrip()
            left.pop()
    return suggestion


def _taken(left: list[str], outer: int, closing: list[str]) -> int:
    """How many of the open brackets belong to the first of `closing` and what is around it. Of the line's own brackets,
    which are those behind the `outer` ones, it is the first that fits; of the outer ones the last."""
    if not closing:
        return 0
    own = range(min(outer, len(left)), len(left))
    fits = (i for i in (*own, *reversed(range(own.start))) if left[i] == _PAIRS[closing[0]])
    return next(fits, -1) + 1


def _closing(text: str) -> list[str]:
    """The brackets that `text` closes and has not opened."""
    found: list[str] = []
    depth: list[str] = []
    for ch in re.findall(r"[()\[\]{}]", _SILENT.sub("", text)):
        if ch in "([{":
            depth.append(ch)
        elif depth and depth[-1] == _PAIRS[ch]:
            depth.pop()
        else:
            found.append(ch)
    return found
