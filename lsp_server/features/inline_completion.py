"""`textDocument/inlineCompletion`: grey text at the cursor.

An answer that comes too late for its version is an empty list, since an error would be shown to the user.
"""

from __future__ import annotations

from collections.abc import Coroutine
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from lsprotocol import types

from lsp_server.documents import Snapshot, UnknownDocumentError
from lsp_server.settings import InlineSettings
from lsp_server.suggest import Offer, suggest
from model.request import Complete, Cost

if TYPE_CHECKING:
    from lsp_server.server import RedraftServer

ACCEPTED = "redraft.server.accepted"


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
    if params.position.line >= snapshot.lines.line_count:
        return types.InlineCompletionList([])
    cursor = snapshot.offset(params.position)
    task = task_at(snapshot, cursor, selected, ls.settings.inline, asked=invoked)
    return types.InlineCompletionList([item(snapshot, offer) for offer in await suggest(ls, snapshot, task)])


def task_at(
    snapshot: Snapshot,
    cursor: int,
    selected: types.SelectedCompletionInfo | None,
    settings: InlineSettings,
    *,
    asked: bool,
) -> Complete:
    """The task at a cursor, with several candidates for who asks; with the suggestion widget open the result must begin
    with its selected text."""
    task = settings.task(cursor, asked=asked)
    if selected is None:
        return task
    return replace(task, replace=snapshot.span(selected.range), start_with=selected.text)


def item(snapshot: Snapshot, offer: Offer) -> types.InlineCompletionItem:
    """An item with an explicit range, and a command: clients do not tell otherwise that it was accepted."""
    edit = offer.edit
    return types.InlineCompletionItem(
        edit.new, range=snapshot.range(edit.start, edit.end), command=accepted(snapshot.uri, offer.cost)
    )


def accepted(uri: str, cost: Cost) -> types.Command:
    """The command of acceptance; its argument also tells a client that shows it what the suggestion took."""
    return types.Command("Suggestion accepted", ACCEPTED, arguments=[{"uri": uri, "cost": cost.as_json()}])
