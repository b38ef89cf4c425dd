"""Trimming an inline completion to what a user wants inserted, and deciding whether to offer one unasked.

A model repeats what already stands behind the cursor, goes on into the next function, or loops; each function
here takes one such habit away. All work on texts with `\\n` line ends. Knows no tokens.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from rapidfuzz.distance import Levenshtein

from model.editing.manners import EVERY, Manners
from model.editing.syntax import SyntaxTree
from model.editing.tabs import indented_like

_CLOSERS = re.compile(r"[\s)\]}>'\"`;:,]*")
_PAIRS = {")": "(", "]": "[", "}": "{"}
_FEW = 3  # characters behind the cursor that do not stand in a completion's way
_TAB = 4
_LONGEST = 2000
"""Characters in which loops are looked for."""
_LOOP = re.compile(r"(?P<unit>\S.{1,40}?)(?P=unit){3,}\Z", re.DOTALL)
_CHAIN = re.compile(r"\b(?P<unit>[^\W\d]\w{0,40})(?:\.(?P=unit)){3,}")
_ATTRIBUTE = re.compile(r"(?:[^\W\d]\w*|[)\]])\.\Z")
_BEGUN = re.compile(r"[^\W\d]\w*(?:\.| *=)\Z")
_MARK = re.compile(r"\W")
_LETTER = re.compile(r"[^\W\d]")


def should_complete(
    text: str, cursor: int, tree: SyntaxTree | None = None, asked: bool = False, manners: Manners = EVERY
) -> bool:
    """Whether to complete at `cursor`. Unasked, only where little but closers follows on the line, not in the
    middle of a word, and in no comment or string, as far as the manners go."""
    if asked:
        return True
    rest = re.match(r"[^\r\n]*", text[cursor : cursor + 1000])
    behind = rest.group() if rest else ""
    if manners.line_ends_only and not _is_line_end(behind):
        return False
    return tree is None or not manners.code_only or not tree.in_comment_or_string(cursor)


def _is_line_end(behind: str) -> bool:
    if behind and (behind[0].isalnum() or behind[0] == "_"):
        return False
    return len(behind.strip()) <= _FEW or _CLOSERS.fullmatch(behind) is not None


@dataclass(frozen=True)
class Around:
    """What stands around a cursor: the lines `above`, its line up to it (`before`) and from it on (`rest`), the lines
    below (`after`)."""

    above: str
    before: str
    rest: str
    after: str


def trim(
    suggestion: str, around: Around, multiline: bool, language: str | None, manners: Manners = EVERY
) -> str:
    """What of `suggestion` to offer; empty for nothing."""
    before, rest, after = around.before, around.rest, around.after
    if manners.trim_overlap and (
        repeats_following(suggestion, after) or repeats_above(before + suggestion, around.above)
    ):
        return ""
    if before.endswith(" ") and before.strip() and re.match(r" [^ #]", suggestion):
        suggestion = suggestion[1:]
    if manners.trim_overlap:
        suggestion = cut_restart(suggestion, before, language)
    if _is_one_line(suggestion, around, multiline, language, manners):
        suggestion = suggestion.partition("\n")[0]
    if manners.stop_repetition:
        suggestion = cut_repetition(suggestion)
    if manners.keep_indentation:
        suggestion = cut_dedent(suggestion, before)
    if manners.trim_overlap:
        suggestion = cut_overlap(suggestion, rest, after)
    if manners.keep_indentation:
        suggestion = indented_like(suggestion, around.above + around.before)
    suggestion = suggestion.rstrip()
    if manners.trim_overlap and _makes_no_word(suggestion, around):
        return ""
    return suggestion if suggestion.strip() else ""


def _is_one_line(
    suggestion: str, around: Around, multiline: bool, language: str | None, manners: Manners
) -> bool:
    """Whether nothing behind the suggestion's first line is wanted."""
    if not multiline:
        return True
    before, first = around.before, suggestion.partition("\n")[0]
    return manners.blocks_only and bool(before.strip()) and not opens_block(before + first, language)


def is_complete(
    suggestion: str, around: Around, multiline: bool, language: str | None, manners: Manners = EVERY
) -> bool:
    """Whether all that might follow `suggestion` would be cut off: its line has ended, or it has left the block. While
    it could still turn out to repeat the lines above or below, which are several, it is not."""
    first, line_break, _ = suggestion.partition("\n")
    if not line_break or (manners.trim_overlap and _may_repeat(first, around)):
        return False
    if _is_one_line(suggestion, around, multiline, language, manners):
        return True
    return manners.keep_indentation and cut_dedent(suggestion, around.before) != suggestion


def _may_repeat(first: str, around: Around) -> bool:
    above = [line.rstrip() for line in around.above[-2000:].split("\n") if line.strip()][-2:]
    below = next((line.strip() for line in around.after.split("\n", 40)[:40] if line.strip()), "")
    return (around.before + first).rstrip() in above[:1] or (bool(first.strip()) and first.strip() == below)


def _makes_no_word(suggestion: str, around: Around) -> bool:
    """Whether the suggestion's end and the rest of the word at the cursor make a word that stands nowhere near."""
    behind = re.match(r"\w+", around.rest)
    end = re.search(r"\w+\Z", around.before + suggestion)
    if behind is None or end is None:
        return False
    word = re.escape(end[0] + behind[0])
    return not any(re.search(rf"\b{word}\b", text) for text in (around.above, around.before, around.after))


def opens_block(line: str, language: str | None) -> bool:
    """Whether what follows `line` belongs to it: a block, or the inside of an open bracket."""
    code = line.rstrip()
    if code.endswith(("{", "(", "[", "=>", "\\")) or _unclosed(code) > 0:
        return True
    return (
        code.endswith((":", "do", "then"))
        if language is None
        else language == "python" and code.endswith(":")
    )


def _unclosed(code: str) -> int:
    """How many brackets `code` leaves open, less those it closes without opening."""
    return sum(ch in "([{" for ch in code) - sum(ch in ")]}" for ch in code)


def cut_dedent(suggestion: str, before: str) -> str:
    """End at the first line that is indented less than the cursor's line: it leaves the enclosing block."""
    base = _indent(before)
    lines = suggestion.split("\n")
    for number, line in enumerate(lines[1:], 1):
        if line.strip() and _indent(line) < base:
            return "\n".join(lines[:number]).rstrip()
    return suggestion


def _indent(line: str) -> int:
    lead = line[: len(line) - len(line.lstrip(" \t"))]
    return sum(_TAB if ch == "\t" else 1 for ch in lead)


def cut_repetition(suggestion: str) -> str:
    """Keep the first round of a loop: of lines that come three times at the end, of text four times at the end, of an
    attribute of itself four times anywhere."""
    lines = suggestion.rstrip().split("\n")
    for length in range(1, len(lines) // 3 + 1):
        unit = lines[-length:]
        rounds = 1
        while lines[-length * (rounds + 1) : -length * rounds] == unit:
            rounds += 1
        if rounds >= 3 and any(re.search(r"\w", line) for line in unit):
            return "\n".join(lines[: len(lines) - length * (rounds - 1)])
    if chain := _CHAIN.search(suggestion[:_LONGEST]):
        return suggestion[: chain.end("unit")]
    match = _LOOP.search(suggestion, max(0, len(suggestion) - 400))
    if match and _LETTER.search(match["unit"]) and _MARK.search(match["unit"]):  # 0xFFFFFFFF is data
        return suggestion[: match.start()] + match["unit"]
    return suggestion


def cut_restart(suggestion: str, before: str, language: str | None) -> str:
    """Without a beginning that writes the cursor's line once more (`self.`, `x = `), or its last dot."""
    if (
        suggestion.startswith(".") and _ATTRIBUTE.search(before) and language != "rust"
    ):  # a..b is a range there
        suggestion = suggestion[1:]
    line = before.strip()
    return (
        suggestion[len(line) :].lstrip(" ")
        if _BEGUN.search(line) and suggestion.startswith(line)
        else suggestion
    )


def cut_overlap(suggestion: str, rest: str, after: str) -> str:
    """Without the end that already stands behind the cursor, on its line (`rest`) or below (`after`)."""
    behind = rest.strip()
    if behind:
        for length in range(min(len(behind), len(suggestion)), 0, -1):
            if suggestion.endswith(behind[:length]) and _is_duplicate(suggestion, behind, length):
                return suggestion[:-length].rstrip(" \t") if length == len(behind) else suggestion[:-length]
        return suggestion
    lines = suggestion.rstrip().split("\n")
    below = [line.strip() for line in after.split("\n", 40)[:40] if line.strip()]
    for length in range(min(len(lines), len(below)), 0, -1):
        tail = lines[-length:]
        if [line.strip() for line in tail] == below[:length] and _is_duplicate_block(lines, length):
            return "\n".join(lines[:-length])
    return suggestion


def _is_duplicate(suggestion: str, behind: str, length: int) -> bool:
    """Whether the last `length` characters are those behind the cursor, not brackets of the suggestion."""
    common = behind[:length]
    if _CLOSERS.fullmatch(common):
        if any(ch in "\"'`" for ch in common):
            return any(suggestion.count(ch) % 2 for ch in "\"'`" if ch in common)
        brackets = [ch for ch in common if ch in _PAIRS]
        if brackets:
            return all(suggestion.count(ch) > suggestion.count(_PAIRS[ch]) for ch in brackets)
    return length == len(behind) or length >= _FEW


def _is_duplicate_block(lines: list[str], length: int) -> bool:
    """Whether the last lines are those below, and not the end of a block that the suggestion opens."""
    tail = "\n".join(lines[-length:])
    return not _CLOSERS.fullmatch(tail) or _unclosed("\n".join(lines)) < 0


def repeats_following(suggestion: str, after: str) -> bool:
    """Whether the suggestion is what comes next anyway: its first three lines against the next three that are
    not blank, with at most 5 % of edit distance."""
    new = [line.strip() for line in suggestion.split("\n") if line.strip()][:3]
    old = [line.strip() for line in after.split("\n", 40)[:40] if line.strip()][: len(new)]
    if 2 <= len(old) < len(new):  # all that follows is there once more
        new = new[: len(old)]
    a, b = "\n".join(new)[:1000], "\n".join(old)[:1000]
    if not new or len(old) < len(new) or _CLOSERS.fullmatch(a):
        return False
    most = int(0.05 * max(len(a), len(b)))
    return Levenshtein.distance(a, b, score_cutoff=most) <= most


def repeats_above(lines: str, above: str) -> bool:
    """Whether the first two lines, the cursor's own included, are the last two above it once more."""
    new = [line.rstrip() for line in lines.split("\n") if line.strip()][:2]
    old = [line.rstrip() for line in above[-2000:].split("\n") if line.strip()][-2:]
    return len(new) == 2 and new == old and any(_LETTER.search(line) for line in new)


def without_last_line(text: str) -> str:
    """`text` up to its last line break; all of it where there is none, or nothing before."""
    head, line_break, _ = text.rpartition("\n")
    return head if line_break and head.strip() else text
