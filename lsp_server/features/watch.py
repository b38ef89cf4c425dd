"""`redraft/watch`: a request that streams every step of its denoising as `redraft/denoise` notifications.

For clients that draw what happens: the page of `redraft play`, a preview in an editor. Nothing is applied; the
response carries the edits. Cancelled like any request.
"""

from __future__ import annotations

import time
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any, cast

from lsp_server import edits
from lsp_server.arguments import WatchArguments
from lsp_server.documents import Snapshot
from lsp_server.features import denoise, status
from lsp_server.features.command import asked_about
from lsp_server.job import Job, NotReadyError, Priority
from lsp_server.protocol import RequestFailedError
from model.request import Fill, Fix, Proposal, Refactor, Request, Task

if TYPE_CHECKING:
    from lsp_server.server import RedraftServer

METHOD = "redraft/watch"


def register(server: RedraftServer) -> None:
    server.feature(METHOD)(_watch)


def _watch(ls: RedraftServer, params: Any) -> Coroutine[Any, Any, dict[str, Any]]:
    """`{token, uri, version?, task: "fill" | "fix" | "refactor", ranges?, range?, position?, message?, instruction?,
    policy?}`; `token` names the stream and replaces an older one of that name, `policy` is one of `redraft eval
    --policy`. A model that is loaded anew meanwhile begins anew: the forwards then start at 1 again."""
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
    token = arguments.token
    name = f"watch {token}"
    for older in [j for j in ls.jobs if cast("tuple[Any, ...]", j.key)[1] == name]:
        ls.worker.stop(older)  # in whichever document
    job = Job(
        Request(snapshot.document, task_of(arguments, snapshot), ls.snippets(snapshot.uri), arguments.policy),
        Priority.REFACTOR,
        key=(id(ls), name, snapshot.uri),
        deadline=time.monotonic() + ls.settings.refactor.deadline_ms / 1000,
        on_frames=denoise.stream(ls, snapshot, token, lambda: job.stopped),
    )
    ls.submit(job)
    try:
        proposal = await ls.result(job)
    except NotReadyError as error:
        raise RequestFailedError(status.failure(str(error))) from None
    except ValueError as error:  # the policy's name is not known before there is an engine
        raise RequestFailedError(str(error)) from None
    finally:
        ls.worker.stop(job)
    return {"token": token, **answer(snapshot, proposal)}


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
