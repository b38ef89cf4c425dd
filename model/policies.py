"""Decoding policies: which positions to commit, and to what. Pure functions of what the network said.

Each is a frozen dataclass with the field's name and defaults; calling it maps a `View` to a `Choice`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from model.backends.interface import Candidates
from model.tokenizer import EOR, INSERTIONS, MASK


@dataclass(frozen=True)
class View:
    """What a policy sees: R positions of a canvas of `length`, their current ids, and the network's candidates."""

    positions: np.ndarray
    current: np.ndarray
    candidates: Candidates
    length: int

    @property
    def is_mask(self) -> np.ndarray:
        return self.current == MASK


@dataclass(frozen=True)
class Choice:
    """Positions to commit and their tokens (or, for edits, labels)."""

    positions: np.ndarray
    tokens: np.ndarray


class Policy(Protocol):
    @property
    def edits_visible(self) -> bool:
        """Whether the policy also replaces tokens that are already committed."""
        ...

    def __call__(self, view: View) -> Choice: ...


def _most_confident(view: View, count: int) -> Choice:
    """The `count` most confident masked positions; earlier ones first among equals."""
    masked = np.flatnonzero(view.is_mask)
    order = masked[np.argsort(-view.candidates.confidence[masked], kind="stable")][:count]
    return Choice(view.positions[order], view.candidates.best[order])


@dataclass(frozen=True)
class FixedSteps:
    """The `length / steps` most confident positions per step (LLaDA's low-confidence remasking)."""

    steps: int = 8
    edits_visible: bool = field(default=False, init=False)

    def __call__(self, view: View) -> Choice:
        return _most_confident(view, max(1, -(-view.length // self.steps)))


@dataclass(frozen=True)
class Threshold:
    """All positions with p >= tau, always at least one (Fast-dLLM)."""

    tau: float = 0.9
    edits_visible: bool = field(default=False, init=False)

    def __call__(self, view: View) -> Choice:
        sure = int((view.candidates.confidence[view.is_mask] >= self.tau).sum())
        return _most_confident(view, max(1, sure))


@dataclass(frozen=True)
class Factor:
    """The largest n with `conf_n >= 1 - f / (n + 1)`, at least one (Fast-dLLM)."""

    f: float = 1.0
    edits_visible: bool = field(default=False, init=False)

    def __call__(self, view: View) -> Choice:
        confidence = np.sort(view.candidates.confidence[view.is_mask])[::-1]
        n = np.arange(1, len(confidence) + 1)
        fits = np.flatnonzero(confidence >= 1 - self.f / (n + 1))
        return _most_confident(view, int(fits[-1]) + 1 if len(fits) else 1)


@dataclass(frozen=True)
class EntropyBound:
    """Sorted by entropy, commit while the cumulative entropy without the largest stays under gamma (EB-Sampler)."""

    gamma: float = 0.1
    edits_visible: bool = field(default=False, init=False)

    def __call__(self, view: View) -> Choice:
        masked = np.flatnonzero(view.is_mask)
        entropy = view.candidates.entropy_R[masked]
        order = np.argsort(entropy, kind="stable")
        before = np.cumsum(entropy[order]) - entropy[order]
        count = max(1, int((before <= self.gamma).sum()))
        chosen = masked[order[:count]]
        return Choice(view.positions[chosen], view.candidates.best[chosen])


@dataclass(frozen=True)
class TokenEditing:
    """Masked positions commit at p > tau_mask; committed ones are replaced where the best id differs and
    p > tau_edit (LLaDA2.1). At least one mask commits while there is any."""

    tau_mask: float = 0.5
    tau_edit: float = 0.9
    edits_visible: bool = field(default=True, init=False)

    def __call__(self, view: View) -> Choice:
        confidence, best = view.candidates.confidence, view.candidates.best
        fill = view.is_mask & (confidence > self.tau_mask)
        if view.is_mask.any() and not fill.any():
            fill[np.flatnonzero(view.is_mask)[np.argmax(confidence[view.is_mask])]] = True
        edit = ~view.is_mask & (best != view.current) & (confidence > self.tau_edit)
        chosen = np.flatnonzero(fill | edit)
        return Choice(view.positions[chosen], best[chosen])


@dataclass(frozen=True)
class InsertDelete:
    """Labels of the edit stage (`model/labels.py`): a visible token is kept unless another label has
    p > tau_edit; a mask commits at p > tau_mask, and while nothing else changes the surest one does."""

    tau_mask: float = 0.5
    tau_edit: float = 0.5
    edits_visible: bool = field(default=True, init=False)

    def __call__(self, view: View) -> Choice:
        label, logp = self._legal(view)
        confidence = np.exp(logp)
        changes = ~view.is_mask & (label != view.current) & (confidence > self.tau_edit)
        fills = view.is_mask & (confidence > self.tau_mask)
        if view.is_mask.any() and not (changes | fills).any():
            fills[np.flatnonzero(view.is_mask)[np.argmax(confidence[view.is_mask])]] = True
        chosen = np.flatnonzero(changes | fills)
        return Choice(view.positions[chosen], label[chosen])

    @staticmethod
    def _legal(view: View) -> tuple[np.ndarray, np.ndarray]:
        """Each row's best label that can stand there: masks open no masks, and `<eor>` is only kept or gets
        masks in front of it."""
        ids, logp = view.candidates.ids_RK, view.candidates.logp_RK
        inserts = np.isin(ids, list(INSERTIONS))
        legal = np.where(view.is_mask[:, None], ~inserts & (ids != EOR), ids != EOR)
        at_end = view.current == EOR
        legal[at_end] = (inserts | (ids == EOR))[at_end]
        first = legal.argmax(axis=1)
        rows = np.arange(len(ids))
        found = legal.any(axis=1)
        best = np.where(found, ids[rows, first], view.current)
        return best, np.where(found, logp[rows, first], -np.inf)
