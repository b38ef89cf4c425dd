"""`redraft/watch`: a request that streams every step of its denoising as `redraft/denoise` notifications.

For clients that draw what happens: the page of `redraft play`, a preview in an editor. Nothing is applied; the
response carries the edits. Cancelled like any request, or by its progress bar.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from lsp_server import edits
from lsp_server.arguments import WatchArguments
from lsp_server.documents import Snapshot
from lsp_server.features import status
from lsp_server.features.command import asked_about
from lsp_server.jobs import Job, NotReadyError, Priority
from lsp_server.loops import call_in
from lsp_server.progress import ProgressBar
from lsp_server.protocol import RequestFailedError
from model.request import Cost, Fill, Fix, Frame, Progress, Proposal, Refactor, Request, Task

if TYPE_CHECKING:
    from lsp_server.server import RedraftServer

METHOD = "redraft/watch"
NEWS = "redraft/denoise"


def register(server: RedraftServer) -> None:
    server.feature(METHOD)(_watch)


def _watch(ls: RedraftServer, params: Any) -> Coroutine[Any, Any, dict[str, Any]]:
    """`{token, uri, version?, task: "fill" | "fix" | "refactor", ranges?, range?, position?, message?, instruction?,
    policy?, workDoneToken?}`; `token` names the stream and replaces an older one of that name, `policy` is one of
    `redraft eval --policy`. A progress bar is shown where the client brings a token for it. A model that is loaded
    anew meanwhile begins anew: the forwards then start at 1 again."""
    arguments = WatchArguments.of(METHOD, params)
    snapshot = asked_about(ls, arguments)
    if why := ls.refusal(snapshot.about):
        raise RequestFailedError(why)
    return _stream(ls, snapshot, arguments)


def task_of(arguments: WatchArguments, snapshot: Snapshot) -> Task:
    """What is to be done; raises RequestFailedError where something that the task needs is missing."""
    if arguments.task == "fix":
        return Fix(arguments.span(snapshot), arguments.message)
    if arguments.task == "refactor":
        chosen = None if arguments.range is None else snapshot.span(arguments.range)
        return Refactor(arguments.instruction_given(), chosen)
    if not arguments.ranges:
        raise RequestFailedError("A fill needs `ranges`, at least one.")
    return Fill(tuple(snapshot.span(each) for each in arguments.ranges))


async def _stream(ls: RedraftServer, snapshot: Snapshot, arguments: WatchArguments) -> dict[str, Any]:
    token, loop = arguments.token, asyncio.get_running_loop()

    def tell(news: tuple[Sequence[Frame], Cost]) -> None:
        if not ls.gone and not job.stopped:
            ls.protocol.notify(NEWS, {"token": token, **step(snapshot, *news)})

    def watch(frames: Sequence[Frame], cost: Cost) -> None:
        call_in(loop, tell, (frames, cost))

    def report(progress: Progress) -> None:
        if bar is not None:
            bar.report(progress.message, progress.done / progress.total if progress.total else 0.0)

    name = f"watch {token}"
    for older in [j for j in ls.jobs if cast("tuple[Any, ...]", j.key)[1] == name]:
        ls.worker.stop(older)  # in whichever document
    job = Job(
        Request(snapshot.document, task_of(arguments, snapshot), ls.snippets(snapshot.uri), arguments.policy),
        Priority.REFACTOR,
        key=(id(ls), name, snapshot.uri),
        deadline=time.monotonic() + ls.settings.refactor.deadline_ms / 1000,
        on_progress=partial(call_in, loop, report),
        on_frames=watch,
    )
    bar = _bar(ls, arguments, job)
    ls.submit(job)
    try:
        if bar is not None:
            await bar.begin(f"Redraft: {arguments.instruction or arguments.task}")
        proposal = await ls.result(job)
    except NotReadyError as error:
        raise RequestFailedError(status.failure(str(error))) from None
    except ValueError as error:  # the policy's name is not known before there is an engine
        raise RequestFailedError(str(error)) from None
    finally:
        ls.worker.stop(job)
        if bar is not None:
            bar.end()
    return {"token": token, **answer(snapshot, proposal)}


def _bar(ls: RedraftServer, arguments: WatchArguments, job: Job) -> ProgressBar | None:
    if arguments.work_done_token is None:
        return None
    return ProgressBar(ls, arguments.work_done_token, cancel=partial(ls.worker.stop, job))


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


def answer(snapshot: Snapshot, proposal: Proposal) -> dict[str, Any]:
    """The response but for its token."""
    return {
        "status": proposal.status,
        "message": proposal.message,
        "confidence": round(proposal.confidence, 3),
        "cost": proposal.cost.as_json(),
        "version": snapshot.version,
        "edits": edits.text_edits(snapshot, proposal.edits),
    }
