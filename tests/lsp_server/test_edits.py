"""The engine's edits as LSP edits."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from lsprotocol import types as t

from lsp_server.documents import Documents, Snapshot
from lsp_server.edits import addressable, text_edits, workspace_edit
from model.editing.edit import Edit, apply

TEXT = "a\r\nb😀\rc\n"


@given(st.data())
def test_addressable_edits_have_the_same_effect_and_never_split_a_line_end(data):
    text = "".join(data.draw(st.lists(st.sampled_from(["a", "\r\n", "\r", "\n", "😀"]), max_size=10)))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=6)))
    pairs = zip(cuts[::2], cuts[1::2], strict=False)
    new = st.sampled_from(["", "x", "\n", "\r", "\r\n"])
    edits = [Edit(a, b, data.draw(new)) for a, b in pairs]
    edits = [e for i, e in enumerate(edits) if i == 0 or edits[i - 1].span != e.span]
    safe = addressable(edits, text)
    assert apply(safe, text) == apply(edits, text)
    for edit in safe:
        for at in (edit.start, edit.end):
            assert text[max(0, at - 1) : at + 1] != "\r\n"


@given(st.sampled_from(["utf-8", "utf-16", "utf-32"]), st.integers(0, 9), st.integers(0, 9))
def test_what_a_client_applies_is_what_the_engine_meant(encoding, a, b):
    start, end = sorted((min(a, len(TEXT)), min(b, len(TEXT))))
    edit = Edit(start, end, "new")
    documents = Documents()
    documents.open(t.TextDocumentItem("u", "python", 1, TEXT), encoding)
    [sent] = text_edits(documents.get("u"), [edit])
    change = t.TextDocumentContentChangePartial(sent.range, sent.new_text)
    assert documents.change("u", 2, [change]).text == apply([edit], TEXT)


def client(document_changes: bool | None, annotations: bool) -> t.ClientCapabilities:
    support = t.ChangeAnnotationsSupportOptions() if annotations else None
    edit = t.WorkspaceEditClientCapabilities(document_changes, change_annotation_support=support)
    return t.ClientCapabilities(workspace=t.WorkspaceClientCapabilities(workspace_edit=edit))


SNAPSHOT = Snapshot("u", 7, "abc")
EDITS = [Edit(0, 1, "x")]


def test_versioned_changes_with_annotations_that_may_ask_for_confirmation():
    edit = workspace_edit(SNAPSHOT, EDITS, client(True, True), "Fix", confirm=True)
    [change] = edit.document_changes
    assert change.text_document.version == 7
    [annotation] = edit.change_annotations.values()
    assert (annotation.label, annotation.needs_confirmation) == ("Fix", True)
    assert change.edits[0].annotation_id in edit.change_annotations


def test_no_annotations_where_the_client_has_none():
    edit = workspace_edit(SNAPSHOT, EDITS, client(True, False), "Fix", confirm=True)
    assert edit.change_annotations is None
    assert isinstance(edit.document_changes[0].edits[0], t.TextEdit)


def test_plain_changes_for_old_clients():
    for capabilities in (client(None, True), t.ClientCapabilities()):
        edit = workspace_edit(SNAPSHOT, EDITS, capabilities, "Fix")
        assert edit.document_changes is None
        assert edit.changes["u"][0].new_text == "x"
