"""The edit stage's labels: how a canvas of code becomes another one, token by token.

A canvas is a region's tokens and a final `<eor>`. Each position gets one label:
its own id (keep), another text id (substitute), `<del>`, or `<ins_n>` (keep me, and open n masks before me).
The alignment of Seed Diffusion (arXiv 2508.02193, section 2.1) after insertions and deletions is left open
there; ours: longest-common-subsequence matches are anchors; in a gap of d canvas and k target tokens the first
min(d, k) are substitutions, surplus canvas tokens are deleted, and surplus target tokens are masks opened by the
anchor that follows. One round may open more masks than needed (n is rounded up): the next deletes them.

Pure functions on lists of ids, without NumPy or torch: training labels with them and decoding applies them.
"""

from __future__ import annotations

from collections.abc import Sequence

from model.tokenizer import DEL, EOR, INS_1, INS_2, INS_4, INS_8, INS_16, INSERTIONS, MASK

_LARGEST_FIRST = ((1, INS_1), (2, INS_2), (4, INS_4), (8, INS_8), (16, INS_16))


def round_labels(canvas: Sequence[int], target: Sequence[int], aligned: bool = True) -> list[int]:
    """One round of labels, one for each token of `canvas` (region tokens and masks, then `<eor>`).

    `target` is the region's wanted tokens, without `<eor>`. Not `aligned`, each place gets the target's token of that
    place, for comparison. Raises ValueError where the canvas has no `<eor>`.
    """
    if not canvas or canvas[-1] != EOR:
        raise ValueError("an edit canvas ends with <eor>")
    labels: list[int] = []
    at = 0
    matches = common_subsequence(canvas[:-1], target) if aligned else []
    anchors = [*matches, (len(canvas) - 1, len(target))]
    for c, t in anchors:
        gap, wanted = c - len(labels), t - at
        shared = min(gap, wanted)
        labels += target[at : at + shared]
        labels += [DEL] * (gap - shared)
        labels.append(_insertion(wanted - shared) if wanted > shared else canvas[c])
        at = t + 1
    return labels


def apply_labels(labels: Sequence[int], canvas: Sequence[int]) -> list[int]:
    """The canvas after one round; a label of `<mask>` on a mask leaves it open."""
    if len(labels) != len(canvas):
        raise ValueError(f"{len(labels)} labels for a canvas of {len(canvas)}")
    result: list[int] = []
    for label, token in zip(labels, canvas, strict=True):
        if label == DEL:
            continue
        if label in INSERTIONS:
            result += [MASK] * INSERTIONS[label] + [token]
        else:
            result.append(label)
    return result


def origins(labels: Sequence[int]) -> list[int | None]:
    """Of each token of `apply_labels(labels, canvas)` its place in `canvas`; None for a mask that a label opened."""
    found: list[int | None] = []
    for place, label in enumerate(labels):
        if label != DEL:
            found += [*[None] * INSERTIONS.get(label, 0), place]
    return found


def labels(source: Sequence[int], target: Sequence[int]) -> tuple[list[int], ...]:
    """All rounds of labels that turn `source` into `target` (both without `<eor>`)."""
    rounds: list[list[int]] = []
    canvas, wanted = [*source, EOR], [*target, EOR]
    while canvas != wanted:
        rounds.append(round_labels(canvas, target))
        canvas = apply_labels(rounds[-1], canvas)
    return tuple(rounds)


def decode(rounds: Sequence[Sequence[int]], source: Sequence[int]) -> list[int]:
    """Apply rounds of labels to `source`; the inverse of `labels`: `decode(labels(a, b), a) == b`."""
    canvas = [*source, EOR]
    for each in rounds:
        canvas = apply_labels(each, canvas)
    return canvas[:-1]


def _insertion(count: int) -> int:
    return next((label for n, label in _LARGEST_FIRST if n >= count), INS_16)


def common_subsequence(a: Sequence[int], b: Sequence[int]) -> list[tuple[int, int]]:
    """Index pairs of a longest common subsequence (Hyyrö's bit-vector algorithm, masks never match)."""
    start = 0
    while start < min(len(a), len(b)) and a[start] == b[start]:
        start += 1
    end = 0
    while end < min(len(a), len(b)) - start and a[len(a) - 1 - end] == b[len(b) - 1 - end]:
        end += 1
    middle = _bit_vector_lcs(a[start : len(a) - end], b[start : len(b) - end])
    return [
        *((i, i) for i in range(start)),
        *((i + start, j + start) for i, j in middle),
        *((len(a) - end + i, len(b) - end + i) for i in range(end)),
    ]


def _bit_vector_lcs(a: Sequence[int], b: Sequence[int]) -> list[tuple[int, int]]:
    where: dict[int, int] = {}
    for i, token in enumerate(a):
        where[token] = where.get(token, 0) | 1 << i
    full = (1 << len(a)) - 1
    row, rows = full, []
    for token in b:
        matched = row & where.get(token, 0)
        row = ((row + matched) | (row - matched)) & full
        rows.append(row)
    pairs: list[tuple[int, int]] = []
    i, j = len(a), len(b)
    while i and j:
        bit = 1 << (i - 1)
        if rows[j - 1] & bit:
            i -= 1
        elif j > 1 and not rows[j - 2] & bit:
            j -= 1
        else:
            i, j = i - 1, j - 1
            pairs.append((i, j))
    return pairs[::-1]
