"""What a person sees of denoising: each canvas after each step, token by token.

A step's effect is told by comparing the canvas with the one that the network was shown. The confidence is the
network's in its best choice there, before anything was banned.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import exp

from model.canvas import Canvas, before_end
from model.editing.source import Span
from model.labels import origins
from model.request import Cell, CellState, Frame
from model.sampler import Lane
from model.tokenizer import MASK, Tokenizer


class Watcher:
    """Gives the canvases of one run that have changed since it was last asked; to be asked after every step."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._seen: dict[int, int] = {}

    def frames(self, lanes: Sequence[tuple[Span, Lane]]) -> list[Frame]:
        """A frame for each `(region, lane)` that has taken a step other than a prefill since the last call."""
        found: list[Frame] = []
        for number, (span, lane) in enumerate(lanes):
            if lane.asked is None or lane.forwards == self._seen.get(number, 0):
                continue
            self._seen[number] = lane.forwards
            cells = tuple(self._cells(_ids(lane.asked.state), lane.canvas, _confidences(lane)))
            found.append(Frame(number, span, cells, lane.forwards, lane.is_finished))
        return found

    def _cells(self, old: Sequence[int], canvas: Canvas, sure: dict[int, float]) -> Iterator[Cell]:
        new = _ids(canvas)
        came_from = None if canvas.labels is None else origins(canvas.labels)
        for place, (token, text) in enumerate(zip(new, self._texts(new), strict=True)):
            origin = place if came_from is None else came_from[place]
            before = old[origin] if origin is not None and origin < len(old) else None
            yield Cell(text, _state(before, token), None if origin is None else sure.get(origin))

    def _texts(self, ids: Sequence[int]) -> list[str]:
        """Of each id; a character of several tokens is the first one's. Masks have none, and part the text."""
        found: list[str] = []
        start = 0
        for end in [*(i for i, token in enumerate(ids) if token == MASK), len(ids)]:
            part = ids[start:end]
            text, at = self._tokenizer.decode(part), 0
            for a, b in self._tokenizer.spans(part):
                found.append(text[max(a, at) : b])
                at = max(at, b)
            if end < len(ids):
                found.append("")
            start = end + 1
        return found


def _ids(canvas: Canvas) -> list[int]:
    """What stands on a canvas up to its end: text and masks."""
    return [*canvas.settled, *before_end(canvas.ids)]


def _confidences(lane: Lane) -> dict[int, float]:
    """How sure the network was in the latest pass, by place in the canvas that it was shown."""
    asked, found = lane.asked, lane.found
    if asked is None or found is None or asked.kind not in ("denoise", "causal"):
        return {}
    settled, clean = len(asked.state.settled), len(asked.causal)
    if asked.kind == "causal":  # the last clean row predicts what comes next
        return {settled: exp(float(found.logp_RK[-1, 0]))} if len(found.logp_RK) else {}
    rows = ((row, place - clean) for row, place in enumerate(asked.wanted))
    return {settled + i: exp(float(found.logp_RK[row, 0])) for row, i in rows if i >= 0}


def _state(before: int | None, now: int) -> CellState:
    if now == MASK:
        return "mask" if before in (None, MASK) else "remasked"
    if before is None or before == MASK:
        return "committed"
    return "kept" if before == now else "revised"
