"""What a person sees of denoising: each canvas after each step, token by token.

A step's effect is told by comparing the canvas with the one before; nothing in the decoders knows that it is
watched, and a run that is not watched computes none of this.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher
from math import exp

from model.canvas import Canvas, before_end
from model.editing.source import Span
from model.request import Cell, CellState, Frame
from model.sampler import Lane
from model.tokenizer import FIRST_TEXT_ID, MASK, Tokenizer


class Watcher:
    """Remembers the canvases of one run and gives those that have changed since it was last asked."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._seen: dict[int, tuple[int, list[int]]] = {}

    def frames(self, lanes: Sequence[tuple[Span, Lane]]) -> list[Frame]:
        """A frame for each `(region, lane)` that has taken a step other than a prefill since the last call."""
        found: list[Frame] = []
        for number, (span, lane) in enumerate(lanes):
            steps, old = self._seen.get(number, (-1, _ids(_first(lane))))
            if steps == lane.forwards:
                continue
            new = _ids(lane.canvas)
            self._seen[number] = (lane.forwards, new)
            cells = tuple(self._cells(old, new, _confidences(lane)))
            found.append(Frame(number, span, cells, lane.forwards, lane.is_finished))
        return found

    def _cells(self, old: Sequence[int], new: Sequence[int], sure: dict[int, float]) -> Iterator[Cell]:
        texts = self._texts(new)
        for at, before in _origins(old, new):
            state = _state(None if before is None else old[before], new[at])
            shown = (
                at if before is None and at >= len(old) else before
            )  # what is appended was asked at its place
            yield Cell(texts[at], state, None if shown is None else sure.get(shown))

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


def _first(lane: Lane) -> Canvas:
    """The canvas before the latest step; of a lane that has taken none the one it begins with."""
    return lane.asked.state if lane.asked is not None and lane.forwards == 1 else lane.canvas


def _ids(canvas: Canvas) -> list[int]:
    """What stands on a canvas up to its end, masks among it, controls left out."""
    live = before_end(canvas.ids)
    return [i for i in (*canvas.settled, *live) if i == MASK or i >= FIRST_TEXT_ID]


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


def _origins(old: Sequence[int], new: Sequence[int]) -> Iterator[tuple[int, int | None]]:
    """Each place of `new` and the one of `old` that it came from (None: it was opened in this step)."""
    if len(old) == len(new):
        yield from ((i, i) for i in range(len(new)))
        return
    matched = SequenceMatcher(None, old, new, autojunk=False).get_opcodes()
    for _, a, b, c, d in matched:
        yield from ((j, a + j - c if a + j - c < b else None) for j in range(c, d))


def _state(before: int | None, now: int) -> CellState:
    if now == MASK:
        return "mask" if before in (None, MASK) else "remasked"
    if before is None or before == MASK:
        return "committed"
    return "kept" if before == now else "revised"
