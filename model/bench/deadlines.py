"""What a completion is worth at each deadline: the curve that the default of `inline.deadlineMs` follows.

Each request runs once to its end; after every step the answer is noted as it then stood, so that one run tells all
deadlines. Places are rests of lines in our own sources.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from statistics import fmean, median

from model.bench.requests import Place, places
from model.engine import DiffusionEngine
from model.loading import load_stepped
from model.request import Document, Proposal, Request

DEADLINES = (10, 20, 30, 50, 75, 100, 150, 200, 300, 500, 1000, 2000)
"""Milliseconds."""


@dataclass(frozen=True)
class DeadlineFigures:
    """At `deadline_ms`, of all places: the share whose work was finished, that were offered a suggestion, and mean
    characters of the offered text that are right, from its beginning on; the median time at which the answer was there.
    `is_cold`: the prompt is encoded first."""

    is_cold: bool
    deadline_ms: int
    finished: float
    offered: float
    right_characters: float
    answered_ms: float


def measure_deadlines(model: str | None, backend: str, count: int = 40) -> list[DeadlineFigures]:
    """Cold, and with all but the prompt's last character known, as while typing."""
    engine = load_stepped(model, backend)
    chosen = places(count)
    engine.propose(chosen[0].request)
    return [*_curve(engine, chosen, is_cold=True), *_curve(engine, chosen, is_cold=False)]


def _curve(engine: DiffusionEngine, chosen: Sequence[Place], *, is_cold: bool) -> list[DeadlineFigures]:
    courses = [_course(engine, place, is_cold=is_cold) for place in chosen]
    found: list[DeadlineFigures] = []
    for deadline in DEADLINES:
        at = [_standing(course, deadline) for course in courses]
        right = [_right(each.proposal, place) for each, place in zip(at, chosen, strict=True)]
        found.append(
            DeadlineFigures(
                is_cold,
                deadline,
                round(fmean(each.is_last and each.stepped_ms <= deadline for each in at), 3),
                round(fmean(each.proposal.status == "offered" for each in at), 3),
                round(fmean(right), 2),
                round(median(each.answered_ms for each in at), 1),
            )
        )
    return found


@dataclass(frozen=True)
class Standing:
    """After a step: milliseconds from the beginning to its end and to the answer as it then was, and whether it was the
    last step."""

    stepped_ms: float
    answered_ms: float
    is_last: bool
    proposal: Proposal


def _course(engine: DiffusionEngine, place: Place, *, is_cold: bool) -> list[Standing]:
    engine.store.clear()
    request = place.request
    if not is_cold:
        text, at = request.document.text, place.cursor - 1
        before = Document(text[:at] + text[at + 1 :], "python", request.document.path)
        engine.propose(Request(before, replace(place.task, cursor=at)))
    course: list[Standing] = []
    asking = 0.0
    began = time.perf_counter()
    run = engine.start(request)
    while True:
        more = run.step()
        stepped = time.perf_counter()
        proposal = run.proposal()
        asked = time.perf_counter()
        course.append(
            Standing(1000 * (stepped - began - asking), 1000 * (asked - began - asking), not more, proposal)
        )
        if not more:
            break
        asking += asked - stepped  # a server asks once, at the end
    run.close()
    return course


def _standing(course: Sequence[Standing], deadline: float) -> Standing:
    """How things stood at a deadline, which is looked at after each step: the one that passes it still counts."""
    return next((at for at in course if at.stepped_ms >= deadline), course[-1])


def _right(proposal: Proposal, place: Place) -> int:
    """Characters of what was offered that are those of the file, from the cursor on."""
    if proposal.status != "offered":
        return 0
    new = "".join(edit.new for edit in proposal.edits)
    pairs = zip(new, place.truth, strict=False)
    return next((i for i, (a, b) in enumerate(pairs) if a != b), min(len(new), len(place.truth)))
