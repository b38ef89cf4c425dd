"""What counts as just deleted."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lsp_server.documents import Snapshot
from model.editing.edit import Edit


def after(text: str, *edits: Edit) -> Snapshot:
    snapshot = Snapshot("u", 0, text)
    for number, edit in enumerate(edits, 1):
        snapshot = snapshot.changed(edit, number)
    return snapshot


def undone(snapshot: Snapshot, insert: str, cursor: int) -> bool:
    return snapshot.deletion is not None and snapshot.deletion.is_undone_by(insert, cursor)


@given(st.text("abc(", min_size=2, max_size=12), st.integers(0, 10))
def test_backspaces_are_one_deletion(word: str, more: int) -> None:
    """However a word goes, key by key or at once, it does not come back; another one may."""
    text = "x = " + word
    keys = [Edit(at - 1, at, "") for at in range(len(text), 4, -1)]
    for snapshot in (after(text, *keys), after(text, Edit(4, len(text), ""))):
        assert snapshot.text == "x = "
        assert undone(snapshot, word + " y" * more, 4)
        assert not undone(snapshot, "z" + word, 4)
        assert not undone(snapshot, word, 3)


def test_a_longer_word_is_another_one() -> None:
    snapshot = after("return", Edit(2, 6, ""), Edit(0, 2, ""))
    assert undone(snapshot, "return total", 0)
    begun = after("re", Edit(1, 2, ""), Edit(0, 1, ""))
    assert undone(begun, "re + 1", 0)
    assert not undone(begun, "return total", 0)
    part = after("self.x", Edit(0, 6, ""))
    assert undone(part, "self", 0)
    assert not undone(part, "sel", 0)


def test_forward_deletions_are_one_deletion() -> None:
    snapshot = after("f(abc)", *[Edit(2, 3, "")] * 3)
    assert undone(snapshot, "abc", 2)


def test_what_is_typed_behind_a_deletion_is_a_beginning_of_it_or_ends_it() -> None:
    start = after("x = value", Edit(4, 9, ""))
    begun = start.changed(Edit(4, 4, "v"), 2)
    assert undone(begun, "alue + 1", 5)
    assert not undone(begun, "ector", 5)
    assert undone(begun.changed(Edit(4, 5, ""), 3), "value", 4)
    other = start.changed(Edit(4, 4, "w"), 2)
    assert not undone(other, "alue", 5)
    assert other.deletion is None
    again = start.changed(Edit(4, 4, "value"), 2)
    assert again.deletion is None


def test_a_selection_that_is_typed_over_counts() -> None:
    assert undone(after("x = value", Edit(4, 9, "va")), "lue", 6)
    assert not undone(after("x = value", Edit(4, 9, "w")), "orld", 5)


@pytest.mark.parametrize("removed", [" ", "x", "\n    "])
def test_a_slip_of_the_finger_is_no_decision(removed: str) -> None:
    assert not undone(after(removed, Edit(0, len(removed), "")), removed + "y", 0)


def test_a_change_elsewhere_ends_it() -> None:
    snapshot = after("x = value\ny = 1", Edit(4, 9, ""), Edit(10, 10, "2"))
    assert snapshot.deletion is None


def test_a_huge_deletion_is_not_kept() -> None:
    assert after("a" * 5000, Edit(0, 5000, "")).deletion is None
