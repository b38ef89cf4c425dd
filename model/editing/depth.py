"""Lines of a reply at the depth of their place in the file. What stands inside a string is not layout: its value stays.

Plain text and syntax trees.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from model.editing.diff import changes
from model.editing.source import line_index
from model.editing.syntax import try_parse
from model.editing.trim import opens_block

_INDENT = re.compile(r"[ \t]*")
_CLOSES = re.compile(r"\s*[)\]}]")


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

    @property
    def step(self) -> Shift:
        """The same move without what both begin with."""
        if self.wanted.startswith(self.found):
            return Shift("", self.wanted.removeprefix(self.found))
        if self.found.startswith(self.wanted):
            return Shift(self.found.removeprefix(self.wanted), "")
        return self


NO_SHIFT = Shift("", "")


def indent(line: str) -> str:
    found = _INDENT.match(line)
    return found[0] if found else ""


def at_depth_of(code: str, original: str, language: str | None = None) -> str:
    """`code` with its lines moved as its first line must be, to stand where the original's does; the first line alone
    where those behind it stand there already. With a line's end where the original has one."""
    code = code.strip("\n")
    shift = Shift(indent(_first_line(code)), indent(_first_line(original)))
    if _lacks_first_alone(code, shift, language, original):
        first = code.find(_first_line(code))
        code = code[:first] + shift(code[first:])
    else:
        code = moved(code, shift, language, original)
    return code + original[len(original.rstrip("\n")) :]


def stands(second: str, line: str, language: str | None) -> bool:
    """Whether the line `second` stands where it should behind `line`: below it where that opens a block."""
    depth, base = len(indent(second)), len(indent(line))
    is_inside = opens_block(line, language) and not _CLOSES.match(second)
    return depth > base if is_inside else depth >= base


def _lacks_first_alone(code: str, shift: Shift, language: str | None, original: str) -> bool:
    """Whether only the first line is too far left. The lines that come from the original tell by how most of them
    moved, where the first is the original's, or new: in a reply that takes a block's head away its lines move alone."""
    if shift.found == shift.wanted or not shift.wanted.startswith(shift.found):
        return False
    old, lines = original.split("\n"), code.split("\n")
    in_string = {number for inside, _ in _strings(code, language) for number in inside}
    written = [n for n, line in enumerate(lines) if line.strip() and n not in in_string]
    if len(written) < 2:
        return False
    first, *behind = written
    old_first, *old_behind = (n for n, line in enumerate(old) if line.strip())
    depths = [len(indent(lines[n])) for n in behind]
    if min(depths) < min(len(indent(old[n])) for n in (old_first, *old_behind)):
        return False
    pairs = _pairs(old, lines)
    # A `case` may stand no deeper than its `switch`.
    is_next = old_behind and pairs.get(behind[0]) == old_behind[0]
    has_place = stands(lines[behind[0]], shift(lines[first]), language)
    if not has_place and not (is_next and pairs.get(first) == old_first):
        return False
    if pairs.get(first, old_first) == old_first:
        steps = Counter(
            Shift(indent(lines[n]), indent(old[pairs[n]])).step for n in behind if n in pairs
        ).most_common(2)
        if steps and steps[0][0] in (NO_SHIFT, shift.step) and (len(steps) == 1 or steps[0][1] > steps[1][1]):
            return steps[0][0] == NO_SHIFT
    return not shift.found and min(depths) >= len(shift.wanted)


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
