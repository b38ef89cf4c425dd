"""The engine's edits as LSP edits: positions, versions, annotations.

Pure functions from a snapshot and `Edit`s to lsprotocol values. Knows no server and no worker.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from lsprotocol import types

from lsp_server.documents import Snapshot
from model.editing.edit import Edit

ANNOTATION = "redraft"


def addressable(edits: Iterable[Edit], text: str) -> tuple[Edit, ...]:
    """The same change with no edit that begins or ends between `\\r` and `\\n`, a place that LSP cannot
    name."""
    merged: list[Edit] = []
    for edit in sorted(edits, key=lambda e: (e.start, e.end)):
        if merged and merged[-1].end == edit.start:
            merged[-1] = Edit(merged[-1].start, edit.end, merged[-1].new + edit.new)
        else:
            merged.append(edit)
    return tuple(_widen(edit, text) for edit in merged)


def _widen(edit: Edit, text: str) -> Edit:
    start, end, new = edit.start, edit.end, edit.new
    if text[max(0, start - 1) : start + 1] == "\r\n":
        start, new = start - 1, "\r" + new
    if text[max(0, end - 1) : end + 1] == "\r\n":
        end, new = end + 1, new + "\n"
    return Edit(start, end, new)


def text_edits(snapshot: Snapshot, edits: Iterable[Edit]) -> list[types.TextEdit]:
    return [types.TextEdit(snapshot.range(e.start, e.end), e.new) for e in addressable(edits, snapshot.text)]


def workspace_edit(
    snapshot: Snapshot,
    edits: Iterable[Edit],
    capabilities: types.ClientCapabilities,
    label: str,
    *,
    confirm: bool = False,
) -> types.WorkspaceEdit:
    """An edit of one document, tied to the snapshot's version where the client can; `confirm` asks for a
    preview (only clients with change annotations have one)."""
    plain = text_edits(snapshot, edits)
    can = capabilities.workspace and capabilities.workspace.workspace_edit
    if not can or not can.document_changes:
        return types.WorkspaceEdit(changes={snapshot.uri: plain})
    changes: Sequence[types.TextEdit | types.AnnotatedTextEdit] = plain
    annotations: dict[str, types.ChangeAnnotation] | None = None
    if can.change_annotation_support is not None:
        changes = [types.AnnotatedTextEdit(ANNOTATION, e.range, e.new_text) for e in plain]
        annotations = {
            ANNOTATION: types.ChangeAnnotation(label, needs_confirmation=confirm, description="Redraft")
        }
    where = types.OptionalVersionedTextDocumentIdentifier(snapshot.uri, snapshot.version)
    return types.WorkspaceEdit(
        document_changes=[types.TextDocumentEdit(where, changes)], change_annotations=annotations
    )
