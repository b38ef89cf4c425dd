"""A reply that says what is missing as the text to insert: nothing of the file said again, and at the cursor's depth.

Models that follow instructions repeat the cursor's line, the definition it stands in, or what follows, and write their
code flush left. All work on texts with `\\n` line ends. Knows no tokens.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from model.editing.depth import NO_SHIFT, Shift, indent, moved, stands
from model.editing.tabs import indented_like
from model.editing.trim import Around, opens_block

_MOST = 60
"""Lines above the cursor that a reply is held against."""
_NAME = re.compile(r"(?<!\w)[^\W\d]\w*")
_WORD = re.compile(r"\w+")
_ITEM = re.compile(r"\w+\s*,\s*")
"""Of a list, where the same may come again."""


@dataclass(frozen=True)
class _Begun:
    """A reply from the cursor on: the rest of its line `first`, the lines `behind`, and how far to move those."""

    first: str
    behind: list[str]
    shift: Shift


def as_completion(code: str, around: Around, language: str | None) -> str:
    """What of a reply's code to insert at the cursor."""
    code = _without_following(code.removesuffix("\n"), around)
    _, _, code = indented_like(f"\n{code}", around.above + around.before).partition("\n")
    begun = _begun(code.split("\n"), around.above, around.before, language)
    line = around.before.lstrip(" \t") + begun.first  # the whole line tells what is a string
    _, line_break, behind = moved("\n".join((line, *begun.behind)), begun.shift, language).partition("\n")
    return begun.first + line_break + behind


def _begun(lines: list[str], above: str, before: str, language: str | None) -> _Begun:
    """Without the longest end of the text above and before the cursor that the reply begins with, whatever blanks its
    lines begin with."""
    own = before.lstrip(" \t")
    shown = [line for line in above.split("\n") if line.strip()][-_MOST:]
    written = [n for n, line in enumerate(lines) if line.strip()]
    for length in range(min(len(shown), len(written)), 0, -1):
        same = shown[-length:]
        if _are_same(lines, written[:length], same) and (own or _says_much(same)):
            last = written[length - 1]
            at = _cursor_line(lines, last + 1, above, own)
            if own and at < len(lines) and lines[at].lstrip(" \t").startswith(own):
                return _behind_own(lines[at:], own, before, language)
            if not own:
                shift = _unless_placed(
                    Shift(indent(lines[last]), indent(same[-1])), lines[at:], same[-1], language
                )
                first = shift(lines[at]) if at < len(lines) else ""
                return _Begun(_from(first, before), lines[at + 1 :], shift)
    return _on_its_line(lines, before, language)


def _are_same(lines: list[str], numbers: list[int], shown: list[str]) -> bool:
    return all(lines[n].strip() == line.strip() for n, line in zip(numbers, shown, strict=True))


def _says_much(lines: list[str]) -> bool:
    """Whether these are hardly lines that may just come again: `}`, `end`, `else:`."""
    return len(_WORD.findall(" ".join(lines))) > 1


def _cursor_line(lines: list[str], at: int, above: str, own: str) -> int:
    """The number of the cursor's line in a reply, behind as many blank lines as stand above it in the file; behind all
    of them where it is not blank itself."""
    blank = len(above) - len(above.rstrip("\n")) - 1
    while at < len(lines) and not lines[at].strip() and (own or blank > 0):
        at, blank = at + 1, blank - 1
    return at


def _on_its_line(lines: list[str], before: str, language: str | None) -> _Begun:
    """Where nothing above the cursor's line is said again: without what is of that line."""
    own, line = before.lstrip(" \t"), lines[0]
    if not own:
        shift = NO_SHIFT if line.startswith(before) else Shift(indent(line), before)
        shift = _unless_placed(shift, lines[1:], before + line, language)
        return _Begun(_from(line, before), lines[1:], shift)
    text = line.lstrip(" \t")
    for said in (own, *(own[name.start() :] for name in _NAME.finditer(own))):
        if text.startswith(said) and _WORD.search(said) and not _ITEM.fullmatch(said):
            return _behind_own(lines, said, before, language)
    if opens_block(before, language) and len(indent(line)) > len(indent(before)):
        return _Begun("", lines, NO_SHIFT)  # the reply begins on the next line
    first = text if len(indent(line)) > 1 else line
    return _behind_own([first, *lines[1:]], "", before, language)


def _behind_own(lines: list[str], said: str, before: str, language: str | None) -> _Begun:
    """Behind what is `said` of the cursor's line at the beginning of the first."""
    line = lines[0]
    first = line.lstrip(" \t").removeprefix(said) if said else line
    shift = Shift(indent(line) if said else "", indent(before))
    return _Begun(first, lines[1:], _unless_placed(shift, lines[1:], before + first, language))


def _from(line: str, before: str) -> str:
    """What of a whole line stands behind its indentation `before`."""
    return line.removeprefix(before) if line.startswith(before) else line.lstrip(" \t")


def _unless_placed(shift: Shift, behind: list[str], line: str, language: str | None) -> Shift:
    """No shift where the lines `behind` a line stand where they should already: a reply may lack the indentation of its
    first line alone."""
    second = next((each for each in behind if each.strip()), None)
    if second is None or shift.found:
        return shift
    return NO_SHIFT if stands(second, line, language) else shift


def _without_following(code: str, around: Around) -> str:
    """Without an end that says the rest of the cursor's line and the lines below it again."""
    lines = code.split("\n")
    below = [line.strip() for line in around.after.split("\n")[:_MOST] if line.strip()]
    written = [n for n, line in enumerate(lines) if line.strip()]
    rest = around.rest.strip()
    for length in range(min(len(below), len(written) - 1), 0, -1):
        tail = written[-length:]
        if [lines[n].strip() for n in tail] != below[:length] or not _WORD.search(" ".join(below[:length])):
            continue
        kept = "\n".join(lines[: written[-length - 1] + 1])
        if kept.rstrip().endswith(rest):
            return kept.rstrip().removesuffix(rest) if rest else kept
    return code
