"""Line ends: models read and write `\\n` alone, documents keep theirs.

`normalise` goes one way; `restore` goes back and leaves every line that did not change as it was, in files of
mixed line ends too. Knows nothing of edits or syntax.
"""

from __future__ import annotations

import re

from model.editing.diff import changes

_END = re.compile(r"\r\n|\r|\n")
_LINE = re.compile(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+")


def normalise(text: str) -> str:
    """`text` with every line end as `\\n`."""
    return _END.sub("\n", text) if "\r" in text else text


def line_end_of(text: str) -> str | None:
    """The most frequent line end of `text`, the first of equals; None in a text of one line."""
    counts: dict[str, int] = {}
    for match in _END.finditer(text):
        counts[match.group()] = counts.get(match.group(), 0) + 1
    return max(counts, key=lambda end: counts[end]) if counts else None


def restore(new: str, original: str, document: str = "") -> str:
    """`new`, a changed version of `normalise(original)`, with the line ends of `original` (or `document`, the
    text around it). A missing or present final line end stays so. `restore(normalise(x), x) == x`."""
    new = normalise(new)
    plain = normalise(original)
    if original:
        new = _like_at_end(new, plain)
    if "\r" not in original and "\r" not in document:
        return new
    end = line_end_of(original) or line_end_of(document) or "\n"
    old_lines = _LINE.findall(original)
    new_lines = _LINE.findall(new)
    result = [line[:-1] + end if line.endswith("\n") else line for line in new_lines]
    kept_from = (0, 0)
    differences = changes([normalise(line) for line in old_lines], new_lines)
    for old_start, old_end, new_start, new_end in (*differences, (len(old_lines), 0, len(new_lines), 0)):
        result[kept_from[1] : new_start] = old_lines[kept_from[0] : old_start]
        kept_from = (old_end, new_end)
    return "".join(result)


def _like_at_end(new: str, plain: str) -> str:
    if plain.endswith("\n"):
        return new if new.endswith("\n") or not new else new + "\n"
    return new.rstrip("\n")
