"""The code in a model's reply: what stands between its first code fence and the closing one, at the place's own depth.

Plain text only.
"""

from __future__ import annotations

import re

_OPENING = re.compile(r"(?m)^[ \t]*(```+|~~~+)[^\n`]*\n")
_INDENT = re.compile(r"[ \t]*")


def fenced(reply: str) -> str | None:
    """The first code block's text; None where there is none, or it was not closed: half an answer is none."""
    opening = _OPENING.search(reply)
    if opening is None:
        return None
    closing = re.compile(rf"(?m)^[ \t]*{re.escape(opening[1])}[ \t]*$").search(reply, opening.end())
    return None if closing is None else reply[opening.end() : closing.start()]


def at_depth_of(code: str, original: str) -> str:
    """`code` with all its lines moved by what its first line's indentation lacks of the original's, or has too much;
    with a line's end where the original has one."""
    code = code.strip("\n")
    wanted, found = (_INDENT.match(_first_line(text)) for text in (original, code))
    wanted, found = (m[0] if m else "" for m in (wanted, found))
    lines = code.split("\n")
    if wanted.startswith(found):
        lines = [wanted.removeprefix(found) + line if line.strip() else line for line in lines]
    elif found.startswith(wanted):
        surplus = found.removeprefix(wanted)
        lines = [line.removeprefix(surplus) for line in lines]
    return "\n".join(lines) + original[len(original.rstrip("\n")) :]


def _first_line(text: str) -> str:
    return next((line for line in text.split("\n") if line.strip()), "")
