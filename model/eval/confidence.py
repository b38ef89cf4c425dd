"""How sure a model is of its completions against how often they are right: the drawing behind `min_confidence`.

A completion counts as right where it is the whole truth, and as usable where its first word is: that can be taken.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import fmean
from typing import Any

import attrs

from model.engine import DiffusionEngine
from model.eval.cases import Case
from model.request import Complete

_BINS = 10
_WORD = re.compile(r"\W*\w+|\W+")


@dataclass(frozen=True)
class Outcome:
    """One suggestion: how sure the model was of it, and what came of it."""

    confidence: float
    is_exact: bool
    is_usable: bool


@dataclass(frozen=True)
class Bin:
    """A tenth of the suggestions, those next to each other in confidence."""

    suggestions: int
    confidence: float
    exact: float
    usable: float


@dataclass(frozen=True)
class Reliability:
    """Shares of `shown` and `hidden` suggestions that are right or usable, on the two sides of `threshold`;
    `calibration_error` is the mean distance of confidence and share of right ones over the bins (ECE, Guo et al.
    2017)."""

    cases: int
    threshold: float
    shown: int
    hidden: int
    shown_exact: float
    hidden_exact: float
    shown_usable: float
    hidden_usable: float
    calibration_error: float
    bins: tuple[Bin, ...]

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    def as_table(self) -> str:
        lines = [
            f"{self.cases} places, {self.shown + self.hidden} suggestions, calibration error "
            f"{self.calibration_error:.3f}",
            f"from confidence {self.threshold:.3f} on: {self.shown} shown, {self.shown_exact:.1%} exact, "
            f"{self.shown_usable:.1%} with a right first word",
            f"below: {self.hidden} hidden, {self.hidden_exact:.1%} exact, {self.hidden_usable:.1%} with a right first "
            "word",
            "confidence  exact  first word",
        ]
        lines += [f"{b.confidence:10.3f} {b.exact:6.1%} {b.usable:11.1%}" for b in self.bins]
        return "\n".join(lines)


def outcomes(engine: DiffusionEngine, cases: Sequence[Case]) -> list[Outcome]:
    """What becomes of each completion that is offered when none is hidden."""
    found: list[Outcome] = []
    for case in cases:
        task = case.request.task
        assert isinstance(task, Complete)
        shown = replace(task, manners=attrs.evolve(task.manners, confident_only=False))
        proposal = engine.propose(replace(case.request, task=shown))
        if proposal.status != "offered":
            continue
        broken, truth = case.request.document.text, case.truth
        wanted = truth[task.cursor : len(truth) - (len(broken) - task.cursor)]
        new = "".join(edit.new for edit in proposal.edits)
        found.append(Outcome(proposal.confidence, new.rstrip() == wanted.rstrip(), _usable(new, wanted)))
    return found


def _usable(new: str, wanted: str) -> bool:
    first = _WORD.match(new.lstrip())
    return first is not None and re.match(re.escape(first[0]) + r"(?!\w)", wanted.lstrip()) is not None


def reliability(found: Sequence[Outcome], cases: int, threshold: float) -> Reliability:
    """The figures of `found`; raises ValueError where there are none."""
    if not found:
        raise ValueError("the model suggested nothing at all")
    ordered = sorted(found, key=lambda each: each.confidence)
    size = max(1, -(-len(ordered) // _BINS))
    bins = tuple(_bin(ordered[at : at + size]) for at in range(0, len(ordered), size))
    shown = [each for each in found if each.confidence >= threshold]
    hidden = [each for each in found if each.confidence < threshold]
    error = sum(b.suggestions * abs(b.confidence - b.exact) for b in bins) / len(found)
    return Reliability(
        cases=cases,
        threshold=threshold,
        shown=len(shown),
        hidden=len(hidden),
        shown_exact=_share([each.is_exact for each in shown]),
        hidden_exact=_share([each.is_exact for each in hidden]),
        shown_usable=_share([each.is_usable for each in shown]),
        hidden_usable=_share([each.is_usable for each in hidden]),
        calibration_error=round(error, 4),
        bins=bins,
    )


def _bin(each: Sequence[Outcome]) -> Bin:
    return Bin(
        len(each),
        round(fmean(o.confidence for o in each), 4),
        _share([o.is_exact for o in each]),
        _share([o.is_usable for o in each]),
    )


def _share(values: Sequence[bool]) -> float:
    return round(sum(values) / len(values), 4) if values else 0.0


def draw(found: Reliability, out: Path) -> None:
    """The reliability diagram. Raises ValueError without matplotlib, OSError where it cannot be written."""
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ValueError("drawing needs matplotlib: install redraft with the extra `train`") from error
    figure = Figure(figsize=(6, 4.5), layout="constrained")
    axes = figure.subplots()
    sure = [b.confidence for b in found.bins]
    axes.plot([0, 1], [0, 1], color="0.7", linestyle=":", label="as sure as right")
    axes.plot(sure, [b.usable for b in found.bins], marker="o", label="first word right")
    axes.plot(sure, [b.exact for b in found.bins], marker="o", label="exact")
    axes.axvline(found.threshold, color="0.4", linestyle="--", label=f"shown from {found.threshold:.3f}")
    axes.set(xlabel="confidence", ylabel="share of suggestions", xlim=(0, 1), ylim=(0, 1))
    axes.legend(frameon=False)
    figure.savefig(out, dpi=160)
