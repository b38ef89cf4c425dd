"""Lines of a reply at the depth of their place in the file. What stands inside a string is not layout: its value stays.

Plain text and syntax trees.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from model.editing.diff import changes
from model.editing.source import line_index
from model.editing.syntax import try_parse

_INDENT = re.compile(r"[ \t]*")


@dataclass(frozen=True)
class Shift:
    """Moves a line by what the indentation `found` lacks of the one `wanted`, or has too much. Nothing moves where
    neither begins with the other: tabs and spaces."""

    found: str
    wanted: str

    def __call__(self, line: str) -> str:
        if not line.strip():
            return line
        if self.wanted.startswith(self.found):
            return self.wanted.removeprefix(self.found) + line
        if self.found.startswith(self.wanted):
            return line.removeprefix(self.found.removeprefix(self.wanted))
        return line


def indent(line: str) -> str:
    found = _INDENT.match(line)
    return found[0] if found else ""


def at_depth_of(code: str, original: str, language: str | None = None) -> str:
    """`code` with its lines moved as its first line must be, to stand where the original's does; with a line's end
    where the original has one."""
    code = code.strip("\n")
    shift = Shift(indent(_first_line(code)), indent(_first_line(original)))
    return moved(code, shift, language, original) + original[len(original.rstrip("\n")) :]


def moved(code: str, shift: Shift, language: str | None, original: str = "") -> str:
    """`code` with all its lines moved, those inside a string excepted: they stand as in the original, where they come
    from there, or as near them as in `code`. In a string without such lines they stay, unless it is a docstring."""
    if shift.found == shift.wanted:
        return code
    lines = code.split("\n")
    found = [shift(line) for line in lines]
    strings = _strings(code, language)
    if strings:
        old = original.split("\n")
        pairs = _pairs(old, lines)
        for inside, is_docstring in strings:
            for number in inside:
                found[number] = _in_string(number, inside, lines, old, pairs, shift if is_docstring else None)
    return "\n".join(found)


def _in_string(
    number: int,
    inside: range,
    lines: Sequence[str],
    old: Sequence[str],
    pairs: Mapping[int, int],
    otherwise: Shift | None,
) -> str:
    line = lines[number]
    known = [n for n in inside if n in pairs and lines[n].strip()]
    if number in pairs and (known or otherwise is None):
        there = old[pairs[number]]
        return indent(there) + line.lstrip(" \t")
    if known:
        nearest = min(known, key=lambda n: (abs(n - number), n))
        return Shift(indent(lines[nearest]), indent(old[pairs[nearest]]))(line)
    return line if otherwise is None else otherwise(line)


def _pairs(old: Sequence[str], new: Sequence[str]) -> dict[int, int]:
    """Which line of `old` a line of `new` is, whatever its indentation."""
    a, b = ([line.lstrip(" \t") for line in lines] for lines in (old, new))
    found: dict[int, int] = {}
    i = j = 0
    for change in (*changes(a, b), None):
        end = change.b_start if change else len(b)
        found |= {j + n: i + n for n in range(end - j)}
        if change:
            i, j = change.a_end, change.b_end
    return found


def _strings(code: str, language: str | None) -> list[tuple[range, bool]]:
    """The lines that begin inside a string, for each string of several lines; whether it is a docstring."""
    tree = try_parse(code, language)
    if tree is None:
        return []
    found: list[tuple[range, bool]] = []
    index, end = line_index(code), 0
    for node in tree.nodes():
        if (
            not node.named
            or "string" not in node.type
            or "concatenated" in node.type
            or node.span.start < end
        ):
            continue
        end = node.span.end
        if inside := range(index.line_at(node.span.start) + 1, index.line_at(end) + 1):
            found.append((inside, node.parent_type == "expression_statement"))
    return found


def _first_line(text: str) -> str:
    return next((line for line in text.split("\n") if line.strip()), "")
