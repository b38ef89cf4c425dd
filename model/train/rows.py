"""Rows of the two-stream batch: packed documents, each its clean tokens followed by noisy copies of its answer.

Every position carries what the attention mask and the loss need: `document`, `position` (rotary), `block`
(-1 for clean rows), `start` (the position where a noisy block begins), `label` and `weight`. Noisy rows take the
positions they will have at inference, consecutive from the answer's start. NumPy only; deterministic for
(seed, row number).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from model.labels import apply_labels, round_labels
from model.noise import BLOCK_SIZES, mask_blocks
from model.tokenizer import DEL, EOR, EOS, FIRST_TEXT_ID, INSERTIONS, MASK
from model.train.tasks import Example

LEVELS = 4
"""Noise levels in reports: quarters of the mask rate for `fill`; for edits corrupted, opened, partly filled."""


@dataclass(frozen=True)
class NoisyBlock:
    """A canvas as the network sees it in training. `offset` is its distance from the answer's start."""

    offset: int
    ids: list[int]
    labels: list[int]
    weights: list[float]
    level: int


@dataclass
class Row:
    """One packed row of at most `length` positions; the arrays are filled from the left."""

    length: int
    used: int = 0
    documents: int = 0
    blocks: int = 0
    ids: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        n = self.length
        self.ids = np.zeros(n, np.int64)
        self.document = np.full(n, -1, np.int32)
        self.position = np.zeros(n, np.int64)
        self.block = np.full(n, -1, np.int32)
        self.start = np.zeros(n, np.int32)
        self.label = np.full(n, -1, np.int64)
        self.weight = np.zeros(n, np.float32)
        self.group = np.zeros(n, np.int8)

    def add(self, example: Example, noisy: Sequence[NoisyBlock]) -> bool:
        """Append a document; False (and no change) where it does not fit."""
        end = EOS if example.source is None else EOR
        clean = [*example.prompt, *example.target, end]
        size = len(clean) + sum(len(b.ids) for b in noisy)
        if self.used + size > self.length:
            return False
        at, n = self.used, len(clean)
        self.ids[at : at + n] = clean
        self.document[at : at + size] = self.documents
        self.position[at : at + n] = np.arange(n)
        self.label[at : at + n - 1] = clean[1:]
        self.weight[at : at + n - 1] = 1.0
        # No question begins with a guess at its own controls: only text and the answer's end are learned.
        asked = slice(at, at + len(example.prompt) - 1)
        self.weight[asked] = np.where(self.label[asked] < FIRST_TEXT_ID, 0.0, 1.0)
        at += n
        for each in noisy:
            self._add_block(at, len(example.prompt), each, TASK_GROUP[example.task] + each.level)
            at += len(each.ids)
        self.used, self.documents = at, self.documents + 1
        return True

    def _add_block(self, at: int, answer: int, noisy: NoisyBlock, group: int) -> None:
        n = len(noisy.ids)
        place = slice(at, at + n)
        self.ids[place] = noisy.ids
        self.position[place] = answer + noisy.offset + np.arange(n)
        self.block[place] = self.blocks
        self.start[place] = answer + noisy.offset
        self.label[place] = noisy.labels
        self.weight[place] = noisy.weights
        self.group[place] = group
        self.blocks += 1


TASK_GROUP = {"fill": 1, "fix": 1 + LEVELS, "refactor": 1 + 2 * LEVELS}
GROUPS = ("clean", *(f"{task}/{level}" for task in TASK_GROUP for level in range(LEVELS)))


def noisy_blocks(
    example: Example,
    copies: int,
    rng: np.random.Generator,
    u_max: float = 1.0,
    sizes: Sequence[int] = BLOCK_SIZES,
    aligned: bool = True,
) -> list[NoisyBlock]:
    """`copies` independent noisings of the example's answer."""
    blocks: list[NoisyBlock] = []
    for copy in range(copies):
        if example.source is None:
            blocks += _fill_blocks(example.target, rng, u_max, sizes)
        else:
            blocks.append(_edit_block(example.source, example.target, copy, rng, aligned))
    return blocks


def _fill_blocks(
    target: list[int], rng: np.random.Generator, u_max: float, sizes: Sequence[int]
) -> list[NoisyBlock]:
    """Masked blocks over the middle, its `<eos>` and more of them up to the block's end."""
    size = int(sizes[int(rng.integers(len(sizes)))])
    first = int(rng.integers(1, size + 1)) if rng.random() < 0.3 else size
    length = len(target) + 1
    padded = first if length <= first else first + -(-(length - first) // size) * size
    tokens = np.array([*target, *[EOS] * (padded - len(target))])
    result: list[NoisyBlock] = []
    for begin, end in zip([0, *range(first, padded, size)], [*range(first, padded + 1, size)], strict=True):
        (block,) = mask_blocks(tokens[begin:end], end - begin, rng, u_max)
        importance = np.where(np.arange(begin, end) > len(target), 0.1, 1.0)  # surplus <eos> count little
        weights = np.where(block.noisy == MASK, importance * block.weight, 0.0)
        level = min(LEVELS - 1, int(block.rate * LEVELS))
        clean = tokens[begin:end].tolist()
        result.append(NoisyBlock(begin, block.noisy.tolist(), clean, weights.tolist(), level))
    return result


def _edit_block(
    source: list[int], target: list[int], copy: int, rng: np.random.Generator, aligned: bool
) -> NoisyBlock:
    """One of the three kinds of state: corrupted, structure applied with masks, partly filled."""
    state = 0 if copy == 0 else int(rng.integers(1, 3))
    canvas = [*source, EOR]
    if state:
        canvas = _opened(canvas, target, rng, aligned)
    if state == 2:
        share = rng.random()
        wanted = round_labels(canvas, target, aligned)
        canvas = [
            w if c == MASK and w != DEL and rng.random() < share else c
            for c, w in zip(canvas, wanted, strict=True)
        ]
    labels = round_labels(canvas, target, aligned)
    changed = np.array([c != w for c, w in zip(canvas, labels, strict=True)])
    return NoisyBlock(0, canvas, labels, balanced(changed).tolist(), state)


def state_of(canvas: Sequence[int]) -> int:
    """Which of the three kinds of state an edit's canvas is, for reports: corrupted, or with masks."""
    return 2 if MASK in canvas else 0


def pack(
    documents: Iterable[tuple[Example, Sequence[NoisyBlock]]], length: int
) -> tuple[list[Row], list[tuple[int, int]]]:
    """Documents in rows, in order; and of each the row and its first block there, (-1, -1) where it is too long."""
    rows, places = [Row(length)], list[tuple[int, int]]()
    for example, blocks in documents:
        first = rows[-1].blocks
        if not rows[-1].add(example, blocks):
            rows.append(Row(length))
            first = 0
            if not rows[-1].add(example, blocks):
                rows.pop()
                places.append((-1, -1))
                continue
        places.append((len(rows) - 1, first))
    return rows, places


def _opened(canvas: list[int], target: list[int], rng: np.random.Generator, aligned: bool) -> list[int]:
    """The canvas after a first round that decided the structure and left every substitution masked; now and
    then kept tokens are masked too, as syntax-guided remasking does."""
    structure = [
        label if label in (token, DEL) or label in INSERTIONS else MASK
        for label, token in zip(round_labels(canvas, target, aligned), canvas, strict=True)
    ]
    opened = apply_labels(structure, canvas)
    if rng.random() < 0.5:
        rate = 0.3 * rng.random() ** 2
        opened = [MASK if t != EOR and rng.random() < rate else t for t in opened]
    return opened


def balanced(changed: np.ndarray) -> np.ndarray:
    """Half the loss on changed and masked positions, half on kept ones, so that *keep* does not swamp."""
    weights = np.zeros(len(changed), np.float32)
    for part in (changed, ~changed):
        if part.any():
            weights[part] = 0.5 / part.sum()
    return weights * 12  # about what a fill's blocks sum to, so that one denominator serves all tasks
