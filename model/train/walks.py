"""Stage 3: denoising orders of corpus examples, walked with the network and held to the truth.

Constrained-order trajectories after Seed Diffusion (arXiv 2508.02193, section 2.2): of several orders in which the
trained network could uncover an example, those with the highest evidence lower bound are trained on. An order's bound
is the sum of the log-probabilities at which the true tokens (labels, for an edit) were committed; orders differ
by a threshold and by noise on the confidences. NumPy and torch; knows nothing of optimisers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from model.labels import apply_labels, round_labels
from model.tokenizer import EOR, EOS, MASK
from model.train.rows import NoisyBlock, balanced, state_of
from model.train.tasks import Example

_MOST_STEPS = 16
Scores = Callable[[Sequence[tuple[Example, list[NoisyBlock]]]], list[list[np.ndarray]]]
"""(examples with noisy blocks) -> log-probabilities `[tokens, vocabulary]` of each block's positions."""


@dataclass
class Walk:
    """One order: the states on its way, each with its labels, and the bound."""

    example: Example
    offset: int
    target: list[int]
    canvas: list[int]
    threshold: float
    states: list[NoisyBlock] = field(default_factory=list)
    bound: float = 0.0
    committed: int = 0
    is_done: bool = False

    @property
    def is_edit(self) -> bool:
        return self.example.source is not None

    @property
    def mean_bound(self) -> float:
        """Per committed token, so that orders with more or fewer rounds compare."""
        return self.bound / max(1, self.committed)

    def labels(self) -> list[int]:
        return round_labels(self.canvas, self.target) if self.is_edit else self.target

    def state(self) -> NoisyBlock:
        """The canvas as a training state: all open positions count."""
        labels = self.labels()
        if self.is_edit:
            changed = np.array([c != w for c, w in zip(self.canvas, labels, strict=True)])
            return NoisyBlock(0, self.canvas, labels, balanced(changed).tolist(), state_of(self.canvas))
        return fill_state(self.canvas, labels, self.offset)

    def advance(self, logp_NV: np.ndarray, noise: np.ndarray) -> None:
        """Commit the true labels that the network is sure of, at least one; `noise [N]` perturbs the order."""
        labels = self.labels()
        self.states.append(self.state())
        open_ = self._open(labels)
        truth = logp_NV[np.arange(len(labels)), labels]
        sure = [i for i in open_ if truth[i] >= np.log(self.threshold)]
        chosen = sure or [max(open_, key=lambda i: truth[i] + noise[i])]
        self.bound += float(truth[chosen].sum())
        self.committed += len(chosen)
        if self.is_edit:
            kept = [
                w if i in set(chosen) else c for i, (c, w) in enumerate(zip(self.canvas, labels, strict=True))
            ]
            self.canvas = apply_labels(kept, self.canvas)
            self.is_done = self.canvas == [*self.target, EOR]
        else:
            self.canvas = [labels[i] if i in set(chosen) else t for i, t in enumerate(self.canvas)]
            self.is_done = not self._open(labels)
        self.is_done |= len(self.states) >= _MOST_STEPS

    def _open(self, labels: Sequence[int]) -> list[int]:
        if self.is_edit:
            return [i for i, (c, w) in enumerate(zip(self.canvas, labels, strict=True)) if c != w]
        live = labels.index(EOS) + 1 if EOS in labels else len(labels)  # what follows the end cannot matter
        return [i for i in range(live) if self.canvas[i] == MASK]


def fill_state(canvas: Sequence[int], labels: Sequence[int], offset: int) -> NoisyBlock:
    """A partly uncovered block of a fill; surplus `<eos>` count little, as in pre-training."""
    masked = np.array([t == MASK for t in canvas])
    live = list(labels).index(EOS) if EOS in labels else len(labels)
    importance = np.where(np.arange(len(canvas)) > live, 0.1, 1.0)
    weights = np.where(masked, importance * len(canvas) / max(1, masked.sum()), 0.0)
    level = min(3, int(4 * masked.mean()))
    return NoisyBlock(offset, list(canvas), list(labels), weights.tolist(), level)


def begin(example: Example, block: int, rng: np.random.Generator) -> Walk:
    """A walk at its start: a block of masks of a fill, or an edit's source."""
    threshold = float(rng.uniform(0.5, 0.95))
    if example.source is not None:
        walk = Walk(example, 0, example.target, [*example.source, EOR], threshold)
        walk.is_done = example.source == example.target
        return walk
    offset = block * int(rng.integers(len(example.target) // block + 1))
    target = example.target[offset : offset + block]
    target = [*target, *[EOS] * (block - len(target))]
    return Walk(example, offset, target, [MASK] * block, threshold)


def walk(
    scores: Scores, examples: Sequence[Example], walks: int, block: int, rng: np.random.Generator
) -> list[list[Walk]]:
    """`walks` orders of each example, all examples denoised side by side."""
    found = [[begin(e, block, rng) for _ in range(walks)] for e in examples]
    for group in found:
        for each in group[1:]:  # the same block in every order, so that their bounds compare
            each.offset, each.target = group[0].offset, group[0].target
    while any(not w.is_done for group in found for w in group):
        active = [[w for w in group if not w.is_done] for group in found]
        asked = [(group[0].example, [w.state() for w in group]) for group in active if group]
        walking = [group for group in active if group]
        for group, logps in zip(walking, scores(asked), strict=True):
            for each, logp_NV in zip(group, logps, strict=True):
                each.advance(logp_NV, 0.5 * rng.gumbel(size=len(logp_NV)))
    return found


def best_orders(found: Sequence[Sequence[Walk]], kept: int) -> list[Walk]:
    """The `kept` orders of each example with the highest bound that reached the answer."""
    result: list[Walk] = []
    for group in found:
        reached = [w for w in group if w.states and len(w.states) < _MOST_STEPS]
        result += sorted(reached, key=lambda w: -w.mean_bound)[:kept]
    return result
