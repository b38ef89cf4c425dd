"""`textDocument/inlineCompletion`: grey text at the cursor.

The handler snapshots the document, waits until typing rests, asks the engine and answers; an answer that
comes too late for its version is an empty list, since an error would be shown to the user.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from lsprotocol import types

from lsp_server.documents import Snapshot, UnknownDocumentError
from lsp_server.jobs import Job, NotReadyError, Priority
from lsp_server.settings import InlineSettings
from lsp_server.suggestions import Ahead, Suggestion
from model.editing.edit import Edit
from model.editing.source import Span
from model.editing.trim import should_complete
from model.request import Complete, Cost, Proposal

if TYPE_CHECKING:
    from lsp_server.server import RedraftServer

ACCEPTED = "redraft.server.accepted"

logger = logging.getLogger(__name__)


def register(server: RedraftServer) -> None:
    # Without options pygls does not announce the feature.
    server.feature(types.TEXT_DOCUMENT_INLINE_COMPLETION, types.InlineCompletionOptions())(_inline_completion)


def _inline_completion(
    ls: RedraftServer, params: types.InlineCompletionParams
) -> Coroutine[Any, Any, types.InlineCompletionList] | types.InlineCompletionList:
    """The first half, before anything else can change the document."""
    try:
        snapshot = ls.documents.get(params.text_document.uri)
    except UnknownDocumentError:
        return types.InlineCompletionList([])
    return _answer(ls, snapshot, params)


async def _answer(
    ls: RedraftServer, snapshot: Snapshot, params: types.InlineCompletionParams
) -> types.InlineCompletionList:
    invoked = params.context.trigger_kind == types.InlineCompletionTriggerKind.Invoked
    selected = params.context.selected_completion_info
    cursor = snapshot.offset(params.position)
    task = task_at(snapshot, cursor, selected, ls.settings.inline, asked=invoked)
    offer = await suggest(ls, snapshot, task)
    return types.InlineCompletionList([item(snapshot, offer)] if offer else [])


@dataclass(frozen=True)
class Offer:
    """A suggestion and what it took; nothing where an earlier answer still fits."""

    edit: Edit
    cost: Cost = field(default_factory=Cost)


async def suggest(ls: RedraftServer, snapshot: Snapshot, task: Complete) -> Offer | None:
    """The suggestion for `task`, or None: nothing to say, not wanted here, or overtaken by events."""
    newer = _overtake(ls, snapshot.uri)
    if not is_wanted(snapshot, task, ls.settings.inline) or ls.refuses(snapshot):
        return None
    plain = task.replace is None
    if plain and (rest := ls.suggestions.rest(snapshot.uri, snapshot.text, task.cursor)):
        return Offer(Edit(task.cursor, task.cursor, rest))
    if not task.asked and await _rested(newer, _delay(ls)):
        return None
    if not ls.is_current(snapshot) or ls.worker.status.state not in ("ready", "busy"):
        return None
    if not task.asked and not should_complete(snapshot.text, task.cursor, snapshot.tree):
        return None  # only now: making the tree takes time, and most requests are overtaken while they wait
    try:
        proposal = await ls.result(_ask(ls, snapshot, task))
    except NotReadyError:
        return None
    except Exception:  # grey text that does not come needs no notice
        logger.exception("An inline completion failed.")
        return None
    edit = one_edit(snapshot, task, proposal)
    if edit is None or not ls.is_current(snapshot):
        return None
    if not task.asked and not is_worth_showing(edit, ls.settings.inline):
        return None
    if plain and edit.start == edit.end:
        ls.suggestions.remember(Suggestion(snapshot.uri, snapshot.text, task.cursor, edit.new))
    return Offer(edit, proposal.cost)


def _ask(ls: RedraftServer, snapshot: Snapshot, task: Complete) -> Job:
    """The job for `task`: the one prepared ahead, made urgent, or a new one."""
    deadline_ms = ls.settings.inline.deadline_ms
    ahead = ls.ahead.get(snapshot.uri)
    if ahead is not None and ahead.task == task and _still_holds(ahead.job):
        ahead.job.deadline = time.monotonic() + deadline_ms / 1000
        ahead.job.priority = Priority.INLINE
        return ahead.job
    ls.drop_ahead(snapshot.uri)
    return ls.ask_engine(snapshot, task, Priority.INLINE, deadline_ms)


def _still_holds(job: Job) -> bool:
    """Whether a job is on its way to an answer, or has found one."""
    if job.stopped or not job.future.done():
        return not job.stopped
    found = not job.future.cancelled() and job.future.exception() is None
    return found and job.future.result().status != "stopped"


async def prepare(ls: RedraftServer, snapshot: Snapshot) -> None:
    """After a suggestion was taken: have the next one ready before the editor asks for it."""
    cursor = ls.suggestions.cursor_after(snapshot.uri, snapshot.text)
    settings = ls.settings.inline
    if cursor is None or ls.worker.status.state not in ("ready", "busy"):
        return
    task = Complete(cursor, settings.multiline)
    if not is_wanted(snapshot, task, settings) or ls.refusal(snapshot.about):
        return
    if not should_complete(snapshot.text, cursor, snapshot.tree):
        return
    job = ls.ask_engine(snapshot, task, Priority.AHEAD, settings.deadline_ms)
    ls.ahead[snapshot.uri] = Ahead(task, job)
    try:
        edit = one_edit(snapshot, task, await ls.result(job))
    except Exception as error:  # nobody has asked yet
        logger.info("Preparing the next completion failed: %s", error)
        return
    if edit is not None and edit.start == edit.end and is_worth_showing(edit, settings):
        ls.suggestions.remember(Suggestion(snapshot.uri, snapshot.text, cursor, edit.new))


def is_worth_showing(edit: Edit, settings: InlineSettings) -> bool:
    """Whether a suggestion that nobody asked for says enough to take the eye off the code."""
    return len("".join(edit.new.split())) >= settings.min_length


def _delay(ls: RedraftServer) -> float:
    """Seconds from now until typing has rested: as set, or by the user's rhythm."""
    fixed = ls.settings.inline.delay_ms / 1000
    return ls.rhythm.left(time.monotonic(), fixed or None)


def _overtake(ls: RedraftServer, uri: str) -> asyncio.Event:
    """End the delay of an older request for the document; the event that a newer one will set."""
    older = ls.waiting.get(uri)
    if older is not None:
        older.set()
    ls.waiting[uri] = asyncio.Event()
    return ls.waiting[uri]


async def _rested(newer: asyncio.Event, seconds: float) -> bool:
    """Wait until typing rests; True if a newer request came meanwhile. A cancel ends it like any wait."""
    try:
        await asyncio.wait_for(newer.wait(), seconds)
    except TimeoutError:
        return False
    return True


def task_at(
    snapshot: Snapshot,
    cursor: int,
    selected: types.SelectedCompletionInfo | None,
    settings: InlineSettings,
    *,
    asked: bool,
) -> Complete:
    """The task at a cursor; with the suggestion widget open the result must begin with its selected text."""
    if selected is None:
        return Complete(cursor, settings.multiline, asked)
    span = snapshot.span(selected.range)
    return Complete(cursor, settings.multiline, asked, replace=span, start_with=selected.text)


def is_wanted(snapshot: Snapshot, task: Complete, settings: InlineSettings) -> bool:
    """Whether to suggest here, as far as the text tells: unasked only after `min_prefix` characters, and
    where `should_complete` says so."""
    if not settings.enable:
        return False
    if task.asked:
        return True
    cursor = task.cursor
    line = snapshot.lines.line(snapshot.lines.line_at(cursor))
    prefix = snapshot.text[line.start : cursor].strip()
    return len(prefix) >= settings.min_prefix and should_complete(snapshot.text, cursor)


def one_edit(snapshot: Snapshot, task: Complete, proposal: Proposal) -> Edit | None:
    """The proposal as one edit on one line that covers the cursor (and the widget's range), or None.

    Editors show nothing else: VS Code hides an item that does not extend the widget's text, and a range over
    several lines is not allowed.
    """
    if proposal.status != "offered" or not proposal.edits:
        return None
    where = task.replace or Span(task.cursor, task.cursor)
    edit = cover(snapshot.text, proposal.edits, where)
    lines = snapshot.lines
    line = lines.line(lines.line_at(task.cursor))
    if not line.covers(edit.span) or not edit.new.startswith(task.start_with):
        return None
    return None if edit.new == edit.span.of(snapshot.text) else edit


def cover(text: str, edits: Sequence[Edit], where: Span) -> Edit:
    """One edit with the effect of `edits` whose span covers `where`."""
    ordered = sorted(edits)
    start = min(where.start, ordered[0].start)
    end = max(where.end, ordered[-1].end)
    parts: list[str] = []
    at = start
    for edit in ordered:
        parts += (text[at : edit.start], edit.new)
        at = edit.end
    return Edit(start, end, "".join((*parts, text[at:end])))


def item(snapshot: Snapshot, offer: Offer) -> types.InlineCompletionItem:
    """An item with an explicit range, and a command: clients do not tell otherwise that it was accepted."""
    edit = offer.edit
    return types.InlineCompletionItem(
        edit.new, range=snapshot.range(edit.start, edit.end), command=accepted(snapshot.uri, offer.cost)
    )


def accepted(uri: str, cost: Cost) -> types.Command:
    """The command of acceptance; its argument also tells a client that shows it what the suggestion took."""
    return types.Command("Suggestion accepted", ACCEPTED, arguments=[{"uri": uri, "cost": cost.as_json()}])
