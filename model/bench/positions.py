"""Completions by the length of the file and the place in it: in a new file, and while typing."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import cycle
from statistics import median, quantiles

from model.bench.requests import Place, sources
from model.editing.syntax import try_parse
from model.engine import DiffusionEngine
from model.loading import load_stepped
from model.request import Request

_LENGTHS = (100, 1_000, 5_000)
_PLACES = {"beginning": 0.02, "middle": 0.5, "end": 0.98}
_LINE = re.compile(r" +\S.{20,}")


@dataclass(frozen=True)
class PositionFigures:
    """Milliseconds of completions near one place of a file of so many lines: cold ones read the file and the whole
    prompt, warm ones come one key later."""

    lines: int
    place: str
    requests: int
    cold_p50_ms: float
    cold_p95_ms: float
    warm_p50_ms: float
    warm_p95_ms: float


def measure_positions(model: str | None, backend: str, count: int = 12) -> list[PositionFigures]:
    engine = load_stepped(model, backend)
    found: list[PositionFigures] = []
    for lines in _LENGTHS:
        text = "\n".join(_long(lines)) + "\n"
        for name, share in _PLACES.items():
            chosen = _near(text, share, count)
            engine.propose(chosen[0].request)
            cold = [_cold(engine, place) for place in chosen]
            warm = [_warm(engine, place) for place in chosen]
            found.append(
                PositionFigures(
                    lines,
                    name,
                    len(chosen),
                    round(median(cold), 1),
                    _p95(cold),
                    round(median(warm), 1),
                    _p95(warm),
                )
            )
    return found


def _long(lines: int) -> list[str]:
    """Our own sources, one after the other and again, up to so many lines; the last one is whole."""
    text: list[str] = []
    for document in cycle(sources()):
        if len(text) >= lines:
            return text
        text += document.text.rstrip("\n").split("\n")
    return text


def _near(text: str, share: float, count: int) -> list[Place]:
    """The `count` lines nearest to a share of the text, each from its middle on to be completed."""
    lines = list(re.finditer(rf"(?m)^{_LINE.pattern}$", text))
    nearest = sorted(lines, key=lambda m: abs(m.start() - share * len(text)))[:count]
    found: list[Place] = []
    for m in nearest:
        cursor = (m.start() + m.end()) // 2
        document = replace(sources()[0], text=text[:cursor] + text[m.end() :])
        found.append(Place(document, cursor, text[cursor : m.end()]))
    return found


def _cold(engine: DiffusionEngine, place: Place) -> float:
    engine.store.clear()
    return _timed(engine, place.request)


def _warm(engine: DiffusionEngine, place: Place) -> float:
    """The last character before the cursor has just been typed; a server has the tree by then."""
    text, at = place.document.text, place.cursor - 1
    before = replace(place.document, text=text[:at] + text[at + 1 :])
    engine.propose(Request(before, replace(place.task, cursor=at)))
    return _timed(engine, Request(replace(place.document, tree=try_parse(text, "python")), place.task))


def _timed(engine: DiffusionEngine, request: Request) -> float:
    began = time.perf_counter()
    engine.propose(request)
    return (time.perf_counter() - began) * 1000


def _p95(values: Sequence[float]) -> float:
    return round(quantiles(values, n=20)[-1] if len(values) > 1 else values[0], 1)
