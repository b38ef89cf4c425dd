"""`redraft/denoise`: the notifications that stream every step of a run to a client that wants to draw it.

A client names the stream by a token: in `redraft/watch`, or in the argument of a command. Nothing is applied by them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from lsp_server.documents import Snapshot
from lsp_server.loops import call_in
from model.request import Cost, Frame

if TYPE_CHECKING:
    from lsp_server.server import RedraftServer

METHOD = "redraft/denoise"
OnFrames = Callable[[Sequence[Frame], Cost], None]


def stream(ls: RedraftServer, snapshot: Snapshot, token: str, is_over: Callable[[], bool]) -> OnFrames:
    """What a job calls on the worker's thread with each step; the client hears of it until `is_over`."""
    loop = asyncio.get_running_loop()

    def tell(news: tuple[Sequence[Frame], Cost]) -> None:
        if not ls.gone and not is_over():
            ls.protocol.notify(METHOD, {"token": token, **step(snapshot, *news)})

    def hear(frames: Sequence[Frame], cost: Cost) -> None:
        call_in(loop, tell, (frames, cost))

    return hear


def step(snapshot: Snapshot, frames: Sequence[Frame], cost: Cost) -> dict[str, Any]:
    """The notification's parameters but for its token. A cell is `[text, state, confidence or null]`."""
    return {
        "cost": cost.as_json(),
        "frames": [
            {
                "region": frame.number,
                "range": snapshot.range(frame.span.start, frame.span.end),
                "forwards": frame.forwards,
                "finished": frame.is_finished,
                "cells": [
                    [cell.text, cell.state, None if cell.confidence is None else round(cell.confidence, 3)]
                    for cell in frame.cells
                ],
            }
            for frame in frames
        ],
    }
