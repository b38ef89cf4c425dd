"""Unified diffs for people: as `difflib.unified_diff`, without its shortcut that shows equal lines of long,
repetitive files as changed. Knows no files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher


def unified(before: Sequence[str], after: Sequence[str], name: str, context: int = 3) -> Iterator[str]:
    """The lines of a unified diff; nothing where the texts are equal. `before` and `after` are lines with
    their ends."""
    groups = list(SequenceMatcher(None, before, after, autojunk=False).get_grouped_opcodes(context))
    if before == after or not groups:
        return
    yield f"--- a/{name}\n"
    yield f"+++ b/{name}\n"
    for group in groups:
        old, new = _range(group[0][1], group[-1][2]), _range(group[0][3], group[-1][4])
        yield f"@@ -{old} +{new} @@\n"
        for kind, a0, a1, b0, b1 in group:
            if kind == "equal":
                yield from (" " + line for line in before[a0:a1])
                continue
            yield from ("-" + line for line in before[a0:a1])
            yield from ("+" + line for line in after[b0:b1])


def _range(start: int, end: int) -> str:
    """`start,length` counted from 1; the length is left out where it is 1, as `diff -u` does."""
    length = end - start
    first = start + 1 if length else start
    return str(first) if length == 1 else f"{first},{length}"
