"""Decoding policies: which positions to commit, and to what. Pure functions of what the network said.

Each is a frozen dataclass with the field's name and defaults; calling it maps a `View` to a `Choice`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from typing import Literal, Protocol

import numpy as np

from model.backends.interface import Candidates
from model.tokenizer import EOR, INSERTIONS, MASK


@dataclass(frozen=True)
class View:
    """What a policy sees: R positions of a canvas, their current ids, and the network's candidates. `opened` masks
    there were when the canvas was begun, `step` times a policy has been asked since."""

    positions: np.ndarray
    current: np.ndarray
    candidates: Candidates
    opened: int
    step: int = 0

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
    return _highest(view, view.candidates.confidence, count)


def _highest(view: View, score_R: np.ndarray, count: int) -> Choice:
    """The `count` masked positions of the highest scores; earlier ones first among equals."""
    masked = np.flatnonzero(view.is_mask)
    order = masked[np.argsort(-score_R[masked], kind="stable")][:count]
    return Choice(view.positions[order], view.candidates.best[order])


@dataclass(frozen=True)
class FixedSteps:
    """The masks shared out evenly among `steps`, the first ones taking one more where they don't come out even; the
    most confident first (LLaDA's low-confidence remasking). SDAR's static rule shares out a block's length, whatever of
    it is masked: that is `of`. (Its code then takes as many where fewer masks are left, and writes over tokens.)"""

    steps: int = 8
    of: int = 0
    edits_visible: bool = field(default=False, init=False)

    def __call__(self, view: View) -> Choice:
        return _most_confident(view, self.count(view))

    def count(self, view: View) -> int:
        base, rest = divmod(self.of or view.opened, self.steps)
        return max(1, base + (view.step < rest))


@dataclass(frozen=True)
class Threshold:
    """All positions with p >= tau, always at least one (Fast-dLLM)."""

    tau: float = 0.9
    edits_visible: bool = field(default=False, init=False)

    def __call__(self, view: View) -> Choice:
        sure = int((view.candidates.confidence[view.is_mask] >= self.tau).sum())
        return _most_confident(view, max(1, sure))


@dataclass(frozen=True)
class Dynamic:
    """All positions with p > tau if they are as many as `FixedSteps` would take, else those (SDAR)."""

    tau: float = 0.85
    steps: int = 1 << 30
    edits_visible: bool = field(default=False, init=False)

    def __call__(self, view: View) -> Choice:
        sure = int((view.candidates.confidence[view.is_mask] > self.tau).sum())
        return _most_confident(view, max(sure, FixedSteps(self.steps).count(view)))


@dataclass(frozen=True)
class Hierarchy:
    """Of each run of masks the most confident one if p > low, all with p > tau, and the surest of all: what is
    committed together then lies apart (dInfer)."""

    tau: float = 0.9
    low: float = 0.4
    edits_visible: bool = field(default=False, init=False)

    def __call__(self, view: View) -> Choice:
        masked = np.flatnonzero(view.is_mask)
        confidence = view.candidates.confidence[masked]
        begins = np.r_[True, np.diff(view.positions[masked]) > 1]
        run = np.cumsum(begins) - 1
        top = np.maximum.reduceat(confidence, np.flatnonzero(begins))[run]
        chosen = ((confidence == top) & (confidence > self.low)) | (confidence > self.tau)
        chosen[np.argmax(confidence)] = True
        return Choice(view.positions[masked[chosen]], view.candidates.best[masked[chosen]])


@dataclass(frozen=True)
class Scheduled:
    """As many masks as the time from 1 to `eps` in `steps` equal stretches frees (0 steps: one at a time), those first
    that are least in doubt by `measure`: the best id's probability, its lead over the second, or the entropy (Dream).
    """

    steps: int = 32
    measure: Literal["confidence", "margin", "entropy"] = "entropy"
    eps: float = 1e-3
    edits_visible: bool = field(default=False, init=False)

    def __call__(self, view: View) -> Choice:
        counts = time_schedule(view.opened, self.steps, self.eps)
        return _highest(view, self._score(view.candidates), counts[min(view.step, len(counts) - 1)])

    def _score(self, found: Candidates) -> np.ndarray:
        if self.measure == "margin":
            p = np.exp(found.logp_RK[:, :2])
            return p[:, 0] - p[:, 1]
        return found.confidence if self.measure == "confidence" else -found.entropy_R


@lru_cache
def time_schedule(masks: int, steps: int, eps: float) -> tuple[int, ...]:
    """How many masks each step frees, where it frees any: from time t to s the share 1 - s / t of those left, rounded
    down, and in the last step all. Steps that would free none are left out, since they change nothing."""
    if steps == 0:
        return (1,) * masks
    time, left, counts = np.linspace(1, eps, steps + 1), masks, list[int]()
    for i in range(steps):
        count = int(left * (1 - time[i + 1] / time[i])) if i < steps - 1 else left
        left -= count
        counts += [count] if count else []
    return tuple(counts) or (1,)


@dataclass(frozen=True)
class Credit:
    """`Threshold` after a bonus for ids that were best before: each step adds p^gamma to the best id's credit at a
    mask, credits fade by beta, and a score rises by alpha log(1 + credit) (dInfer). Of ids beyond the candidates
    nothing is known; their credit is not counted."""

    tau: float = 0.9
    alpha: float = 0.7
    beta: float = 0.8
    gamma: float = 0.2
    edits_visible: bool = field(default=False, init=False)

    def __call__(self, view: View) -> Choice:
        """The first step of a canvas; `begun` remembers."""
        return self.begun()(view)

    def begun(self) -> Policy:
        """The policy for one canvas."""
        return _Credited(self)


class _Credited:
    """A `Credit` at work on one canvas: the credits of its positions."""

    edits_visible = False

    def __init__(self, rule: Credit) -> None:
        self._rule = rule
        self._credits: dict[tuple[int, int], float] = {}

    def __call__(self, view: View) -> Choice:
        rule, found = self._rule, view.candidates
        self._credits = {key: rule.beta * credit for key, credit in self._credits.items()}
        masked = np.flatnonzero(view.is_mask)
        for row in masked:
            key = int(view.positions[row]), int(found.best[row])
            self._credits[key] = self._credits.get(key, 0.0) + float(found.confidence[row]) ** rule.gamma
        best = [self._best(int(view.positions[row]), found.ids_RK[row], found.logp_RK[row]) for row in masked]
        p = np.array([p for _, p in best])
        chosen = p >= min(rule.tau, p.max() - 1e-5)  # so the surest, and what is as sure, always
        tokens = np.array([token for token, _ in best])
        return Choice(view.positions[masked[chosen]], tokens[chosen])

    def _best(self, position: int, ids: np.ndarray, logp: np.ndarray) -> tuple[int, float]:
        """The best id with its credit, and its probability after all credits."""
        credit = np.array([self._credits.get((position, int(i)), 0.0) for i in ids])
        weight = np.exp(logp) * (1 + credit) ** self._rule.alpha
        total = weight.sum() + max(0.0, 1 - np.exp(logp).sum())
        return int(ids[weight.argmax()]), float(weight.max() / total)


def begun(policy: Policy) -> Policy:
    """The policy for a new canvas: one that remembers starts anew."""
    return policy.begun() if isinstance(policy, Credit) else policy


@dataclass(frozen=True)
class Factor:
    """The largest n with `conf_n >= 1 - f / (n + 1)`, at least one (Fast-dLLM, as its paper says; its code takes one
    more where only the last mask fails)."""

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
