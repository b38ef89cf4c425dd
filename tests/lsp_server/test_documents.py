"""Documents: our own synchronisation, snapshots, trees that follow, and changes for late results."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lsprotocol import types as t

from lsp_server.documents import HISTORY, HISTORY_BYTES, Documents, Snapshot, UnknownDocumentError, path_of
from model.editing.edit import Edit
from model.editing.source import LineIndex
from model.editing.syntax import parse

URI = "file:///a.py"
ENCODINGS = ("utf-8", "utf-16", "utf-32")


def opened(text: str, encoding: str = "utf-16") -> Documents:
    documents = Documents()
    documents.open(t.TextDocumentItem(URI, "python", 1, text), encoding)
    return documents


def change(a: tuple[int, int], b: tuple[int, int], text: str) -> t.TextDocumentContentChangePartial:
    return t.TextDocumentContentChangePartial(t.Range(t.Position(*a), t.Position(*b)), text)


@pytest.mark.parametrize("trap", ["\f", "\v", "\x1c", "\x85", "\u2028", "\u2029"])
def test_only_real_line_ends_count(trap):
    """pygls splits lines here with `str.splitlines`, and then edits the wrong one."""
    documents = opened(f"a{trap}b\nsecond\n")
    assert documents.change(URI, 2, [change((1, 0), (1, 6), "2nd")]).text == f"a{trap}b\n2nd\n"


def test_positions_past_the_end_are_clamped_and_nothing_mutates_them():
    """pygls' helpers mutate their argument, mis-map these and crash on an empty document."""
    documents = opened("")
    at = t.Position(7, 7)
    assert documents.get(URI).offset(at) == 0
    documents.change(URI, 2, [t.TextDocumentContentChangePartial(t.Range(at, at), "ab\ncd")])
    snapshot = documents.get(URI)
    assert (at.line, at.character) == (7, 7)
    assert snapshot.offset(t.Position(0, 99)) == 2
    assert snapshot.span(t.Range(t.Position(1, 9), t.Position(0, 1))).of(snapshot.text) == "b\ncd"


def test_changes_apply_in_order_and_whole_text_replaces():
    documents = opened("abc")
    changes = [
        change((0, 0), (0, 1), "X\n"),
        change((1, 0), (1, 1), ""),
        t.TextDocumentContentChangeWholeDocument("new"),
        change((0, 3), (0, 3), "!"),
    ]
    assert documents.change(URI, 5, changes).text == "new!"
    assert documents.get(URI).version == 5


def test_a_snapshot_never_changes():
    documents = opened("abc")
    before = documents.get(URI)
    documents.change(URI, 2, [change((0, 0), (0, 3), "xyz")])
    assert (before.text, before.version) == ("abc", 1)


@pytest.mark.parametrize("encoding", ENCODINGS)
@given(data=st.data())
def test_every_edit_lands_where_the_client_meant_it(encoding, data):
    pieces = st.sampled_from(["a", "\n", "\r\n", "\r", "\f", "\u2028", "😀", "é", "  "])
    text = "".join(data.draw(st.lists(pieces, max_size=12)))
    documents = opened(text, encoding)
    for version in range(2, 6):
        text = documents.get(URI).text
        ends = sorted(data.draw(st.tuples(st.integers(0, len(text)), st.integers(0, len(text)))))
        start, end = (e - (text[max(0, e - 1) : e + 1] == "\r\n") for e in ends)
        new = "".join(data.draw(st.lists(pieces, max_size=3)))
        snapshot = documents.get(URI)
        where = snapshot.range(start, end)
        after = documents.change(URI, version, [t.TextDocumentContentChangePartial(where, new)])
        assert after.text == text[:start] + new + text[end:]


@given(
    st.lists(st.tuples(st.integers(0, 60), st.integers(0, 9), st.sampled_from(["", "x", "\n", "(", "é:"])))
)
def test_the_tree_follows_lazily_and_equals_a_fresh_one(edits):
    documents = opened("def f(x):\n    return x\n\n\nclass A:\n    pass\n")
    for version, (start, length, new) in enumerate(edits, 2):
        snapshot = documents.get(URI)
        if version % 3 == 0:
            assert snapshot.tree is not None
        start = min(start, len(snapshot.text))
        where = snapshot.range(start, min(start + length, len(snapshot.text)))
        documents.change(URI, version, [t.TextDocumentContentChangePartial(where, new)])
    now = documents.get(URI)
    assert now.tree is not None
    assert now.tree.text == now.text
    assert now.tree.fresh().sexp() == parse(now.text, "python").sexp()


def test_changes_since_a_snapshot_are_known_until_there_were_too_many():
    documents = opened("abc")
    first = documents.get(URI)
    documents.change(URI, 2, [change((0, 0), (0, 0), "x")])
    documents.change(URI, 3, [change((0, 4), (0, 4), "y")])
    assert [(e.start, e.new) for e in documents.changes_since(first)] == [(0, "x"), (4, "y")]
    assert documents.changes_since(documents.get(URI)) == ()
    for version in range(4, HISTORY + 10):
        documents.change(URI, version, [change((0, 0), (0, 0), "z")])
    assert documents.changes_since(first) is None


def test_a_whole_text_is_read_as_the_change_it_makes():
    """Clients that send whole texts would otherwise make every late result stale, and keep 200 copies."""
    documents = opened("abc\r\ndef\r\n")
    first = documents.get(URI)
    documents.change(URI, 2, [t.TextDocumentContentChangeWholeDocument("abc\r\ndXf\r\n")])
    assert documents.changes_since(first) == (Edit(6, 7, "X"),)
    same = documents.get(URI)
    assert same.lines is same.lines
    again = documents.change(URI, 3, [t.TextDocumentContentChangeWholeDocument(same.text)])
    assert (again.version, again.text) == (3, same.text)
    assert again.lines is same.lines
    assert documents.changes_since(same) == ()


def test_the_history_is_bounded_in_bytes_too():
    documents = opened("")
    first = documents.get(URI)
    half = HISTORY_BYTES // 2
    for version in (2, 3, 4):
        documents.change(URI, version, [change((0, 0), (0, 0), "x" * half)])
        documents.change(URI, version, [change((0, 0), (0, half), "")])
    assert documents.changes_since(first) is None
    assert documents.changes_since(documents.get(URI)) == ()
    kept = documents._open[URI].changes
    assert sum(len(edit.new) for _, edit in kept) <= HISTORY_BYTES


def test_many_changes_at_once_read_the_text_once(monkeypatch):
    """A line index per change took 4 s for 100 changes of a large file."""
    made: list[int] = []
    make = LineIndex.__init__

    def count(self, text):
        made.append(len(text))
        make(self, text)

    monkeypatch.setattr(LineIndex, "__init__", count)
    documents = opened("line\n" * 1000)
    changes = [change((n, 0), (n, 0), "#") for n in range(100)]
    assert documents.change(URI, 2, changes).text == "#line\n" * 100 + "line\n" * 900
    assert len(made) == 1


def test_two_thousand_random_changes_land_where_an_editor_puts_them():
    chance = random.Random(7)
    documents, text, version = opened("a\r\nb\n"), "a\r\nb\n", 1
    for _ in range(500):
        changes = []
        for _ in range(4):
            ends = sorted((chance.randint(0, len(text)), chance.randint(0, len(text))))
            start, end = (e - (text[max(0, e - 1) : e + 1] == "\r\n") for e in ends)
            end = end if chance.random() < 0.1 else start
            new = "".join(chance.choices(["x", "\r", "\n", "\r\n", "\u2028", "😀", ""], k=2))
            where = Snapshot(URI, 0, text).range(start, end)
            text = text[:start] + new + text[end:]
            whole = chance.random() < 0.05
            kind = t.TextDocumentContentChangeWholeDocument
            changes.append(kind(text) if whole else t.TextDocumentContentChangePartial(where, new))
        version += 1
        assert documents.change(URI, version, changes).text == text


def test_a_closed_or_reopened_document_is_another_one():
    documents = opened("abc")
    first = documents.get(URI)
    documents.close(URI)
    assert documents.changes_since(first) is None
    with pytest.raises(UnknownDocumentError, match="not open"):
        documents.get(URI)
    documents.open(t.TextDocumentItem(URI, "python", 1, "other"), "utf-16")
    assert documents.changes_since(first) is None


def test_recently_edited_places_are_remembered_for_other_documents():
    documents = opened("\n".join(f"line {n}" for n in range(100)))
    documents.open(t.TextDocumentItem("file:///b.py", "python", 1, ""), "utf-16")
    documents.change(URI, 2, [change((50, 0), (50, 0), "here ")])
    [snippet] = documents.snippets("file:///b.py")
    assert "here line 50" in snippet.text
    assert "line 10\n" not in snippet.text
    assert documents.snippets(URI) == ()


@pytest.mark.parametrize(
    ("uri", "path"),
    [
        ("file:///a%20b.py", "/a b.py"),
        ("file:///c%3A/x.py", "c:/x.py"),
        ("file:///%FF.py", "/\ufffd.py"),
        ("untitled:Untitled-1", "Untitled-1"),
        ("not a ] uri [", "not a ] uri ["),
        ("", ""),
    ],
)
def test_paths_of_uris(uri, path):
    assert path_of(uri) == path
