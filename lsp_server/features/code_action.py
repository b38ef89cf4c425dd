"""`textDocument/codeAction`: "Fix this function", a fix for a diagnostic, preset refactorings.

Listing never asks the model. Every action carries a command, which does the work with progress and a
version check: editors check versions on `workspace/applyEdit` only.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from lsprotocol import types

from lsp_server.documents import Snapshot, UnknownDocumentError
from lsp_server.features.command import FIX, REFACTOR_SELECTION
from lsp_server.settings import Settings
from model.editing.source import Span
from model.request import Engine

if TYPE_CHECKING:
    from lsp_server.server import RedraftServer

QUICK_FIX = types.CodeActionKind.QuickFix
REWRITE = types.CodeActionKind.RefactorRewrite
DIAGNOSTICS = 3  # fixes listed for diagnostics at one place


def register(server: RedraftServer) -> None:
    options = types.CodeActionOptions(code_action_kinds=[QUICK_FIX, REWRITE], resolve_provider=False)
    server.feature(types.TEXT_DOCUMENT_CODE_ACTION, options)(_code_action)


def _code_action(
    ls: RedraftServer, params: types.CodeActionParams
) -> Sequence[types.CodeAction | types.Command]:
    try:
        snapshot = ls.documents.get(params.text_document.uri)
    except UnknownDocumentError:
        return []
    if ls.refuses(snapshot):
        return []
    actions = list_actions(snapshot, params.range, params.context, ls.settings, ls.worker.engine)
    text = ls.client_capabilities.text_document
    literals = text and text.code_action and text.code_action.code_action_literal_support
    return actions if literals else [a.command for a in actions if a.command is not None]


def list_actions(
    snapshot: Snapshot,
    range_: types.Range,
    context: types.CodeActionContext,
    settings: Settings,
    engine: Engine | None,
) -> list[types.CodeAction]:
    """What can be done at `range_`, of the kinds that the client asks for; what `engine` knows, once there is one."""
    wanted = [kind for kind in (QUICK_FIX, REWRITE) if is_wanted(kind, context.only)]
    actions: list[types.CodeAction] = []
    if settings.fix.enable and QUICK_FIX in wanted:
        actions += [_fix_diagnostic(snapshot, d) for d in context.diagnostics[:DIAGNOSTICS]]
    span = snapshot.span(range_)
    definition = _definition_at(snapshot, span.start)
    if settings.fix.enable and wanted and definition is not None:
        broken = bool(context.diagnostics) or _has_errors(snapshot, definition)
        # A quick fix makes the editor show a light bulb: on sound code it is a rewrite, unless asked for
        # by kind.
        kind = QUICK_FIX if QUICK_FIX in wanted and (broken or REWRITE not in wanted) else REWRITE
        if kind in wanted:
            actions.append(_action("Fix this function", kind, FIX, _at(snapshot, span)))
    region = definition if _is_cursor(snapshot, span) else span
    if settings.refactor.enable and REWRITE in wanted and region is not None:
        where = _at(snapshot, region)
        known = engine.refactorings(region.of(snapshot.text)) if engine is not None else ()
        actions += [
            _action(preset, REWRITE, REFACTOR_SELECTION, {**where, "instruction": preset})
            for preset in settings.refactor.presets or known
        ]
    return actions


def is_wanted(kind: str, only: Iterable[str] | None) -> bool:
    """Whether a client that asks for the kinds `only` wants `kind`: kinds are hierarchical, no list means
    all."""
    return only is None or any(
        str(o) in ("", kind) or kind.startswith(f"{_value(o)}.") for o in map(_value, only)
    )


def _value(kind: Any) -> str:
    return str(getattr(kind, "value", kind))


def _is_cursor(snapshot: Snapshot, span: Span) -> bool:
    """Whether `span` is not a selection: modal editors always have one, of the character under the cursor."""
    return len(span) <= 1 or snapshot.text[span.start : span.end] == "\r\n"


def _definition_at(snapshot: Snapshot, offset: int) -> Span | None:
    definition = snapshot.tree.enclosing_definition(offset) if snapshot.tree else None
    return definition.span if definition else None


def _has_errors(snapshot: Snapshot, span: Span) -> bool:
    problems = snapshot.tree.errors() if snapshot.tree else ()
    return any(span.touches(p.span.start) or span.touches(p.span.end) for p in problems)


def _fix_diagnostic(snapshot: Snapshot, diagnostic: types.Diagnostic) -> types.CodeAction:
    message = str(getattr(diagnostic.message, "value", diagnostic.message))
    short = message.splitlines()[0] if message.strip() else "this problem"
    where = {**_at(snapshot, snapshot.span(diagnostic.range)), "message": message}
    title = f"Fix with Redraft: {short if len(short) <= 60 else short[:59] + '…'}"
    return _action(title, QUICK_FIX, FIX, where, [diagnostic])


def _at(snapshot: Snapshot, span: Span) -> dict[str, Any]:
    """A command's argument. Plain JSON: clients send it back as it is."""
    start, end = snapshot.position(span.start), snapshot.position(span.end)
    return {
        "uri": snapshot.uri,
        "version": snapshot.version,
        "range": {
            "start": {"line": start.line, "character": start.character},
            "end": {"line": end.line, "character": end.character},
        },
    }


def _action(
    title: str,
    kind: types.CodeActionKind,
    command: str,
    argument: dict[str, Any],
    diagnostics: Sequence[types.Diagnostic] | None = None,
) -> types.CodeAction:
    return types.CodeAction(
        title, kind, diagnostics=diagnostics, command=types.Command(title, command, arguments=[argument])
    )
