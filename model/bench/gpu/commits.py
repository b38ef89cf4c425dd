"""Commit traces: how many tokens each forward of a block commits, replayed whatever the network says.

A constant one by default; `--trace FILE` takes one that was recorded of a trained model, as JSON: a list of blocks,
each the list of what its forwards committed (`[[8, 8, 16], [4, 28]]` for blocks of 32), begun anew at its end.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np

from model.policies import Choice, View


@dataclass(frozen=True)
class Commits:
    """`blocks` says for each block what its forwards commit; all come to `size`, the length of a block."""

    name: str
    size: int
    blocks: tuple[tuple[int, ...], ...]

    @property
    def per_forward(self) -> float:
        """Tokens, in the mean."""
        return self.size * len(self.blocks) / sum(map(len, self.blocks))

    def of(self, block: int) -> tuple[int, ...]:
        return self.blocks[block % len(self.blocks)]


def constant(committed: int, size: int) -> Commits:
    """So many at every forward, the rest of a block at its last."""
    whole, rest = divmod(size, committed)
    return Commits(f"{committed} a forward", size, ((committed,) * whole + (rest,) * bool(rest),))


def read_commits(path: Path) -> Commits:
    """Raises ValueError where the file is none, saying what is wrong."""
    try:
        data: Any = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise ValueError(f"{path} cannot be read as JSON: {error}") from error
    if not isinstance(data, list) or not data or not all(_is_block(block) for block in data):
        raise ValueError(
            f"{path}: a trace is a list of blocks, each a list of numbers above 0: [[8, 8, 16], …]"
        )
    sizes = {sum(block) for block in data}
    if len(sizes) > 1:
        raise ValueError(f"{path}: its blocks have different lengths: {', '.join(map(str, sorted(sizes)))}")
    return Commits(path.name, sizes.pop(), tuple(map(tuple, data)))


def _is_block(block: Any) -> bool:
    return isinstance(block, list) and bool(block) and all(type(n) is int and n > 0 for n in block)


@dataclass(frozen=True)
class Replay:
    """A policy for one answer: the surest masks, as many as the trace says."""

    commits: Commits
    edits_visible: bool = field(default=False, init=False)
    _blocks: count[int] = field(default_factory=count)
    _now: list[int] = field(default_factory=list[int])

    def __call__(self, view: View) -> Choice:
        if view.step == 0:
            self._now[:] = self.commits.of(next(self._blocks))
        masked = np.flatnonzero(view.is_mask)
        order = np.argsort(-view.candidates.confidence[masked], kind="stable")
        chosen = masked[order[: self._now[view.step]]]
        return Choice(view.positions[chosen], view.candidates.best[chosen])


def forwards(commits: Commits, tokens: int) -> Sequence[tuple[int, ...]]:
    """What the forwards of `tokens` tokens commit, block by block."""
    return [commits.of(block) for block in range(-(-tokens // commits.size))]
