"""Batches of packed rows from a corpus: a map-style data set keyed by (row number, progress).

A row's content depends on the recipe's seed, its number and the progress of the run alone, so any number of
loader processes gives the same batches, and a resumed run continues with the rows it would have seen.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset, Sampler

from model.losses import RowBatch
from model.tokenizer import Tokenizer
from model.train.corpus import SourceFile
from model.train.recipes import Pretraining, Recipe, Shares
from model.train.refactorings.pairs import Pair, place
from model.train.rows import Row, noisy_blocks
from model.train.scenery import Scenery
from model.train.tasks import Drawer, Example, TaskName
from model.train.world import ALONE, World

_FIELDS = ("ids", "document", "position", "block", "start", "label", "weight", "group")
_MISSES = 6
"""Draws in a row that do not fit before a row counts as full."""
_PIECE = 8_000
_TOP_LEVEL = re.compile(r"(?m)^(?=[A-Za-z_@])")

Key = tuple[int, float]


class PackedRows(Dataset[dict[str, np.ndarray]]):
    """`rows[(number, progress)]` packs examples until the row is full."""

    def __init__(
        self,
        files: list[SourceFile],
        tokenizer: Tokenizer,
        recipe: Recipe,
        stage: Pretraining,
        pairs: Sequence[Pair] = (),
    ) -> None:
        self._stage = stage
        self._files = files
        self._ends = np.cumsum([len(f.text) for f in files])
        self._drawer = Drawer(tokenizer, recipe.limits, place(pairs, files), recipe.emphasis)
        self._recipe = recipe

    def __getitem__(self, key: Key) -> dict[str, np.ndarray]:
        number, progress = key
        rng = np.random.default_rng((self._recipe.seed, number))
        row, misses = Row(self._recipe.row_length), 0
        phase = self._stage.phase(progress)
        u_max = max(1e-3, min(1.0, progress / self._recipe.mask_warmup))
        examples = self.examples(phase.shares, rng)
        while misses < (_MISSES if row.documents else 10 * _MISSES):  # an empty row teaches nothing
            example = next(examples)
            blocks = noisy_blocks(
                example, phase.copies, rng, u_max, self._recipe.block_sizes, self._recipe.aligned
            )
            misses = 0 if row.add(example, blocks) else misses + 1
        return as_arrays(row)

    def examples(self, shares: Shares, rng: np.random.Generator) -> Iterator[Example]:
        """Endless examples of the tasks; two of a piece of a file on average, since parsing it is the dear part."""
        tasks, weights = zip(*shares, strict=True)
        scenery = self._scenery(rng)
        while True:
            task: TaskName = tasks[int(rng.choice(len(tasks), p=weights))]
            example = self._drawer.draw(task, scenery, rng)
            if example is not None:
                yield example
            if example is None or rng.random() < 0.5:
                scenery = self._scenery(rng)  # a piece without a place for any task would go on forever

    def _scenery(self, rng: np.random.Generator) -> Scenery:
        """A piece of a file, drawn by its share of the corpus's characters, with a file of the same project."""
        place = int(rng.integers(self._ends[-1]))
        at = int(np.searchsorted(self._ends, place, side="right"))
        piece = top_level_piece(
            self._files[at].text, place - (int(self._ends[at]) - len(self._files[at].text))
        )
        beside = at + 1 if at + 1 < len(self._files) else at - 1
        related = beside >= 0 and self._files[beside].project == self._files[at].project
        neighbour = self._files[beside].text if related else ""
        return Scenery(piece, neighbour, whole=self._files[at].text)


def top_level_piece(text: str, offset: int, size: int = _PIECE) -> str:
    """About `size` characters of whole lines from the top-level statement at `offset` on: parsing whole files
    for two examples would take longer than training on them."""
    start = 0
    for match in _TOP_LEVEL.finditer(text, 0, offset + 1):
        start = match.start()
    end = text.rfind("\n", start, start + size) + 1 if start + size < len(text) else len(text)
    return text[start:end] if end > start else text[start : start + size]


class _Keys(Sampler[list[Key]]):
    def __init__(
        self, first_step: int, rows_per_step: int, progress: Callable[[int], float], world: World
    ) -> None:
        self._first, self._rows, self._progress, self._world = first_step, rows_per_step, progress, world

    def __iter__(self) -> Iterator[list[Key]]:
        step = self._first
        while True:
            now = self._progress(step)
            yield self._world.share([(step * self._rows + i, now) for i in range(self._rows)])
            step += 1


def batches(
    data: PackedRows,
    first_step: int,
    rows_per_step: int,
    progress: Callable[[int], float],
    workers: int,
    world: World = ALONE,
) -> Iterator[RowBatch]:
    """Endless batches from step `first_step` on; `progress(step)` in [0, 1] is asked as each is prepared."""
    loader = DataLoader(
        data,
        batch_sampler=_Keys(first_step, rows_per_step, progress, world),
        num_workers=workers,
        collate_fn=stack,
        prefetch_factor=4 if workers else None,
    )
    return iter(loader)


def as_arrays(row: Row) -> dict[str, np.ndarray]:
    return {name: getattr(row, name) for name in _FIELDS}


def stack_rows(rows: Sequence[Row]) -> RowBatch:
    return stack([as_arrays(row) for row in rows])


def stack(rows: list[dict[str, np.ndarray]]) -> RowBatch:
    return RowBatch(**{k: torch.from_numpy(np.stack([r[k] for r in rows])) for k in _FIELDS})
