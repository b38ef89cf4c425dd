"""Figures as a picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from model.bench.deadlines import DeadlineFigures
from model.bench.replay import Question
from model.bench.requests import RequestFigures


def draw(
    played: Mapping[str, Sequence[Question]],
    requests: Sequence[RequestFigures],
    deadlines: Sequence[DeadlineFigures],
    path: Path,
) -> None:
    """Each request's median and 95th percentile; of the typing sessions when answers came, and what they computed; what
    a completion is worth at each deadline.
    Raises ValueError without matplotlib, OSError where the file cannot be written."""
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ValueError("pictures need matplotlib: install redraft with the extra `train`") from error
    figure = Figure(figsize=(11, 7.5), layout="constrained")
    (left, middle), (right, last) = figure.subplots(2, 2)
    names = [each.name for each in requests]
    left.barh(names, [each.p95_ms for each in requests], color="#c6d4e6", label="p95")
    left.barh(names, [each.p50_ms for each in requests], color="#4a76a8", label="p50")
    left.set(xlabel="ms a request")
    left.invert_yaxis()
    for name, questions in played.items():
        asked = [q for q in questions if q.asked]
        waited = sorted(q.waited_ms for q in asked if q.waited_ms is not None)
        middle.plot(waited, _shares(waited), label=name)
        computed = sorted(q.computed for q in asked)
        right.plot(computed, _shares(computed), label=name)
    middle.set(xlabel="ms from key to answer", ylabel="share of answers", ylim=(0, 1))
    right.set(xlabel="prompt tokens computed", xscale="symlog", ylabel="share of requests", ylim=(0, 1))
    for is_cold in (True, False):
        curve = [each for each in deadlines if each.is_cold == is_cold]
        at = [each.deadline_ms for each in curve]
        last.plot(
            at,
            [each.right_characters for each in curve],
            marker="o",
            label="cold" if is_cold else "while typing",
        )
    last.set(xlabel="deadline, ms", xscale="log", ylabel="characters right")
    for axes in (left, *((middle,) if played else ()), *((last,) if deadlines else ())):
        axes.legend(frameon=False, fontsize="small")
    for axes in (left, middle, right):
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=150)


def _shares(values: Sequence[float]) -> list[float]:
    return [(number + 1) / len(values) for number in range(len(values))]
