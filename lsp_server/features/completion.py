"""`textDocument/completion`: the suggestion as a completion item, for clients without inline completion."""

from __future__ import annotations

import re
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any

from lsprotocol import types

from lsp_server.documents import Snapshot, UnknownDocumentError
from lsp_server.features.inline_completion import accepted
from lsp_server.suggest import Offer, suggest

if TYPE_CHECKING:
    from lsp_server.server import RedraftServer

_WORD_BEFORE = re.compile(r"\w*\Z")
LABEL = 60  # characters of the suggestion's first line


def register(server: RedraftServer) -> None:
    server.feature(types.TEXT_DOCUMENT_COMPLETION, types.CompletionOptions())(_completion)


def _completion(
    ls: RedraftServer, params: types.CompletionParams
) -> Coroutine[Any, Any, types.CompletionList] | types.CompletionList:
    try:
        snapshot = ls.documents.get(params.text_document.uri)
    except UnknownDocumentError:
        return types.CompletionList(False, [])
    return _answer(ls, snapshot, params)


async def _answer(
    ls: RedraftServer, snapshot: Snapshot, params: types.CompletionParams
) -> types.CompletionList:
    cursor = snapshot.offset(params.position)
    context = params.context
    invoked = context is None or context.trigger_kind == types.CompletionTriggerKind.Invoked
    offers = await suggest(ls, snapshot, ls.settings.inline.task(cursor, asked=invoked))
    items = [item(snapshot, cursor, offer, rank) for rank, offer in enumerate(offers)]
    return types.CompletionList(is_incomplete=True, items=items)


def item(snapshot: Snapshot, cursor: int, offer: Offer, rank: int = 0) -> types.CompletionItem:
    """The item replaces the word before the cursor by itself and more, since clients filter by that word."""
    edit = offer.edit
    line = snapshot.lines.line(snapshot.lines.line_at(cursor))
    word = _WORD_BEFORE.search(snapshot.text[line.start : edit.start])
    begun = word.group() if word else ""
    new = begun + edit.new
    shown = new.strip().splitlines()[0] if new.strip() else "(white space)"
    return types.CompletionItem(
        label=shown if len(shown) <= LABEL else shown[: LABEL - 1] + "…",
        kind=types.CompletionItemKind.Text,
        detail="Redraft",
        documentation=types.MarkupContent(types.MarkupKind.PlainText, new),
        filter_text=new,
        sort_text=f"~redraft{rank}",
        text_edit=types.TextEdit(snapshot.range(edit.start - len(begun), edit.end), new),
        insert_text_mode=types.InsertTextMode.AsIs,
        command=accepted(snapshot.uri, offer.cost),
    )
