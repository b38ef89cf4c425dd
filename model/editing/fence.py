"""The code in a model's reply: what stands between its first code fence and the closing one.

Plain text only.
"""

from __future__ import annotations

import re

_OPENING = re.compile(r"(?m)^[ \t]*(```+|~~~+)[^\n`]*\n")


def fenced(reply: str) -> str | None:
    """The first code block's text; None where there is none, or it was not closed: half an answer is none."""
    opening = _OPENING.search(reply)
    if opening is None:
        return None
    closing = re.compile(rf"(?m)^[ \t]*{re.escape(opening[1])}[ \t]*$").search(reply, opening.end())
    return None if closing is None else reply[opening.end() : closing.start()]
