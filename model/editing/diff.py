"""Which items of two sequences differ, in bounded time.

Items that occur once in both sequences are matched first (Bram Cohen's patience diff); the gaps between them
go to the greedy algorithm of Myers, "An O(ND) Difference Algorithm and Its Variations" (1986). A gap with too
many differences is given up and counts as changed altogether: right, only not minimal. Knows no text.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Hashable, Iterator, Sequence
from typing import NamedTuple

# Cost of Myers grows with the square of the differences; beyond this many a diff helps nobody.
MAX_DIFFERENCES = 300
MAX_STEPS = 400_000


class Change(NamedTuple):
    """`a[a_start:a_end]` became `b[b_start:b_end]`."""

    a_start: int
    a_end: int
    b_start: int
    b_end: int


def changes(a: Sequence[Hashable], b: Sequence[Hashable]) -> list[Change]:
    """The changed runs in order; what lies between them is equal."""
    found: list[Change] = []
    a_at = b_at = 0
    for a_next, b_next in (*_anchors(a, b), (len(a), len(b))):
        for change in _gap(a, b, Change(a_at, a_next, b_at, b_next)):
            _append(found, change)
        a_at, b_at = a_next, b_next
    return found


def _append(found: list[Change], change: Change) -> None:
    last = found[-1] if found else None
    if last is not None and last.a_end == change.a_start and last.b_end == change.b_start:
        found[-1] = Change(last.a_start, change.a_end, last.b_start, change.b_end)
    else:
        found.append(change)


def _anchors(a: Sequence[Hashable], b: Sequence[Hashable]) -> list[tuple[int, int]]:
    """Positions of the items unique in both, in an order that rises in both: the longest such sequence."""
    count_a, count_b = Counter(a), Counter(b)
    where_b = {item: j for j, item in enumerate(b) if count_b[item] == 1}
    pairs = [(i, where_b[item]) for i, item in enumerate(a) if count_a[item] == 1 and item in where_b]
    tails: list[int] = []  # the smallest last j of a rising sequence of each length
    tail_pairs: list[int] = []
    previous: list[int] = []
    for index, (_, j) in enumerate(pairs):
        at = bisect_left(tails, j)
        previous.append(tail_pairs[at - 1] if at else -1)
        if at == len(tails):
            tails.append(j)
            tail_pairs.append(index)
        else:
            tails[at], tail_pairs[at] = j, index
    chain: list[tuple[int, int]] = []
    index = tail_pairs[-1] if tail_pairs else -1
    while index >= 0:
        chain.append(pairs[index])
        index = previous[index]
    return chain[::-1]


def _gap(a: Sequence[Hashable], b: Sequence[Hashable], gap: Change) -> Iterator[Change]:
    a0, a1, b0, b1 = gap
    while a0 < a1 and b0 < b1 and a[a0] == b[b0]:
        a0, b0 = a0 + 1, b0 + 1
    while a0 < a1 and b0 < b1 and a[a1 - 1] == b[b1 - 1]:
        a1, b1 = a1 - 1, b1 - 1
    if a0 == a1 and b0 == b1:
        return
    if a0 == a1 or b0 == b1:
        yield Change(a0, a1, b0, b1)
        return
    matches = _myers(a[a0:a1], b[b0:b1])
    if matches is None:
        yield Change(a0, a1, b0, b1)
        return
    x = y = 0
    for i, j, length in (*matches, (a1 - a0, b1 - b0, 0)):
        if i > x or j > y:
            yield Change(a0 + x, a0 + i, b0 + y, b0 + j)
        x, y = i + length, j + length


def _myers(a: Sequence[Hashable], b: Sequence[Hashable]) -> list[tuple[int, int, int]] | None:
    """Runs `(i, j, length)` that are equal in a shortest edit script, or None where it is too long."""
    furthest = {1: 0}
    history: list[dict[int, int]] = []
    steps = 0
    for d in range(min(len(a) + len(b), MAX_DIFFERENCES) + 1):
        history.append(furthest.copy())
        for k in range(-d, d + 1, 2):
            down = k == -d or (k != d and furthest[k - 1] < furthest[k + 1])
            x = start = furthest[k + 1] if down else furthest[k - 1] + 1
            y = x - k
            while x < len(a) and y < len(b) and a[x] == b[y]:
                x, y = x + 1, y + 1
            furthest[k] = x
            steps += x - start + 1
            if x >= len(a) and y >= len(b):
                return _matches(history, len(a), len(b))
        if steps > MAX_STEPS:
            return None
    return None


def _matches(history: list[dict[int, int]], x: int, y: int) -> list[tuple[int, int, int]]:
    runs: list[tuple[int, int, int]] = []
    for d in range(len(history) - 1, -1, -1):
        furthest, k = history[d], x - y
        down = k == -d or (k != d and furthest[k - 1] < furthest[k + 1])
        before_k = k + 1 if down else k - 1
        before_x = furthest[before_k] if d else 0
        start = before_x if down else before_x + 1
        start = start if d else 0
        if x > start:
            runs.append((start, start - k, x - start))
        x, y = before_x, before_x - before_k
    return runs[::-1]
