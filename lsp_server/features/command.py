"""`workspace/executeCommand`: fixes and refactorings, from the question to the applied edit.

The engine works on a snapshot. When it answers, the document may have moved on: the edits are moved along
where nothing near them changed, and refused otherwise. The worker is free again before the client is asked to
apply.
"""

from __future__ import annotations

import logging
from collections.abc import Coroutine
from functools import partial
from typing import TYPE_CHECKING, Any

from lsprotocol import types

from lsp_server import edits
from lsp_server.arguments import Arguments
from lsp_server.documents import Snapshot, UnknownDocumentError
from lsp_server.features import denoise, status
from lsp_server.features.inline_completion import ACCEPTED
from lsp_server.job import NotReadyError, Priority
from lsp_server.progress import ProgressBar
from lsp_server.protocol import RequestFailedError
from lsp_server.suggest import prepare
from model.editing.edit import rebase
from model.request import Fix, Progress, Proposal, Refactor, Task

if TYPE_CHECKING:
    from lsp_server.server import RedraftServer

logger = logging.getLogger(__name__)

# VS Code's client registers every announced command under its name: `redraft.*` alone is the clients' own.
FIX = "redraft.server.fix"
REFACTOR_FILE = "redraft.server.refactorFile"
REFACTOR_SELECTION = "redraft.server.refactorSelection"
CANCEL = "redraft.server.cancel"
ATTEMPTS = 3  # an edit is offered again when the document changed while the client looked at it

Outcome = dict[str, Any]


def register(server: RedraftServer) -> None:
    server.command(FIX)(_fix)
    server.command(REFACTOR_FILE)(_refactor_file)
    server.command(REFACTOR_SELECTION)(_refactor_selection)
    server.command(ACCEPTED)(_accepted)
    server.command(CANCEL)(_cancel)


def _fix(ls: RedraftServer, params: types.ExecuteCommandParams) -> Coroutine[Any, Any, Outcome]:
    """`{uri, range, message?, version?, token?}`: repair the definition at the range, or a diagnostic's
    statements."""
    arguments = Arguments.read(params)
    snapshot = _snapshot(ls, arguments)
    task = Fix(arguments.span(snapshot), arguments.message)
    return _work(ls, snapshot, task, "Redraft: fix", params.work_done_token, arguments.token)


def _refactor_file(ls: RedraftServer, params: types.ExecuteCommandParams) -> Coroutine[Any, Any, Outcome]:
    """`{uri, instruction, version?, token?}`: rewrite the file."""
    arguments = Arguments.read(params)
    snapshot = _snapshot(ls, arguments)
    task = Refactor(arguments.instruction_given())
    return _work(ls, snapshot, task, f"Redraft: {task.instruction}", params.work_done_token, arguments.token)


def _refactor_selection(
    ls: RedraftServer, params: types.ExecuteCommandParams
) -> Coroutine[Any, Any, Outcome]:
    """`{uri, range, instruction, version?, token?}`: rewrite the range."""
    arguments = Arguments.read(params)
    snapshot = _snapshot(ls, arguments)
    task = Refactor(arguments.instruction_given(), arguments.span(snapshot))
    return _work(ls, snapshot, task, f"Redraft: {task.instruction}", params.work_done_token, arguments.token)


def _accepted(ls: RedraftServer, params: types.ExecuteCommandParams) -> None:
    """`{uri}`: the user took a suggestion. The next one is prepared meanwhile."""
    ls.accepted += 1
    try:
        snapshot = ls.documents.get(Arguments.read(params).uri)
    except UnknownDocumentError:
        return
    prepare(ls, snapshot)


def _cancel(ls: RedraftServer, params: types.ExecuteCommandParams) -> Outcome:
    """`{uri?}`: stop what is being worked on, in one document or everywhere."""
    return {"stopped": ls.stop_jobs(Arguments.read(params).uri or None)}


def asked_about(ls: RedraftServer, arguments: Arguments) -> Snapshot:
    """The document that a request is about, as it was when asked. Raises RequestFailedError."""
    try:
        snapshot = ls.documents.get(arguments.uri_given())
    except UnknownDocumentError as error:
        raise RequestFailedError(str(error)) from None
    if arguments.version is not None and arguments.version != snapshot.version:
        raise RequestFailedError(f"The document has changed since version {arguments.version}; ask again.")
    return snapshot


def _snapshot(ls: RedraftServer, arguments: Arguments) -> Snapshot:
    """The document that a command is about, if the model may work on it; the user is told why not. Raises
    RequestFailedError."""
    snapshot = asked_about(ls, arguments)
    if why := ls.refusal(snapshot.about):
        ls.say(why, types.MessageType.Warning)
        raise RequestFailedError(why)
    return snapshot


async def _work(
    ls: RedraftServer,
    snapshot: Snapshot,
    task: Task,
    title: str,
    work_done: types.ProgressToken | None,
    token: str,
) -> Outcome:
    """Ask the engine with a progress bar, then have the client apply the answer. A `token` names the stream in which
    the client hears of every step."""
    fix = isinstance(task, Fix)
    deadline = ls.settings.fix.deadline_ms if fix else ls.settings.refactor.deadline_ms

    def report(progress: Progress) -> None:
        bar.report(progress.message, progress.done / progress.total if progress.total else 0.0)

    priority = Priority.FIX if fix else Priority.REFACTOR
    frames = denoise.stream(ls, snapshot, token, lambda: job.stopped) if token else None
    job = ls.ask_engine(snapshot, task, priority, deadline, report, frames)
    bar = ProgressBar(
        ls, work_done, cancel=partial(ls.worker.stop, job)
    )  # before any report: those come by the loop
    try:
        await bar.begin(title)
        proposal = await ls.result(job)
    except NotReadyError as error:
        why = status.failure(str(error))
        ls.say(why, types.MessageType.Error)
        raise RequestFailedError(why) from None
    finally:
        ls.worker.stop(job)
        bar.end()
    if proposal.status != "offered":
        return _tell(ls, proposal)
    return await _apply(ls, snapshot, task, proposal, title)


def _tell(ls: RedraftServer, proposal: Proposal) -> Outcome:
    """Say why there is no edit; a user who cancelled knows."""
    if proposal.status != "stopped" or "out of time" in proposal.message.lower():
        ls.say(f"Redraft: {proposal.message or 'nothing to change.'}")
    return outcome(proposal, applied=False)


async def _apply(
    ls: RedraftServer, snapshot: Snapshot, task: Task, proposal: Proposal, label: str
) -> Outcome:
    reason = ""
    for _ in range(ATTEMPTS):
        try:
            now = ls.documents.get(snapshot.uri)
        except UnknownDocumentError:
            reason = "the document was closed meanwhile."
            break
        changes = ls.documents.changes_since(snapshot)
        moved = None if changes is None else rebase(proposal.edits, ([c] for c in changes), proposal.regions)
        if moved is None:
            reason = "the code was changed meanwhile, so the result no longer fits; ask again."
            break
        confirm = isinstance(task, Refactor) and ls.settings.refactor.needs_confirmation
        edit = edits.workspace_edit(now, moved, ls.client_capabilities, label, confirm=confirm)
        answer = await ls.ask(types.WORKSPACE_APPLY_EDIT, types.ApplyWorkspaceEditParams(edit, label))
        if answer.applied:
            return outcome(proposal, applied=True)
        reason = answer.failure_reason or "the editor did not apply the edit."
        if ls.is_current(now):
            if confirm and not answer.failure_reason:  # the user looked at the preview and left it
                return outcome(proposal, applied=False, message=reason)
            break
    ls.say(f"Redraft: {reason}", types.MessageType.Warning)
    return outcome(proposal, applied=False, message=reason)


def outcome(proposal: Proposal, *, applied: bool, message: str = "") -> Outcome:
    """The command's result, as plain JSON."""
    return {
        "status": proposal.status,
        "applied": applied,
        "message": message or proposal.message,
        "edits": len(proposal.edits),
        "cost": proposal.cost.as_json(),
    }
