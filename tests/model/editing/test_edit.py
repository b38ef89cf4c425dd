"""Smallest edits, applying and rebasing them, and line ends."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.editing.edit import Edit, apply, compose, minimal_edits, origin, rebase
from model.editing.line_ends import line_end_of, normalise, restore
from model.editing.source import Span

ODD = "ab \t\n\r(){}=:\f\u2028\0é\u0301\U0001f600\u200d\ud83d\ude00"
texts = st.text(st.sampled_from(ODD), max_size=60) | st.text(max_size=60)


@st.composite
def versions(draw: st.DrawFn) -> tuple[str, str]:
    """A text and a version of it with a few pieces replaced."""
    old = draw(texts)
    new = old
    for _ in range(draw(st.integers(0, 4))):
        start = draw(st.integers(0, len(new)))
        end = draw(st.integers(start, min(len(new), start + 6)))
        new = new[:start] + draw(st.text(st.sampled_from(ODD), max_size=6)) + new[end:]
    return old, new


@given(texts, texts)
def test_minimal_edits_give_the_new_text(old: str, new: str) -> None:
    assert apply(minimal_edits(old, new), old) == new


@given(versions())
def test_minimal_edits_are_sorted_apart_and_change_something(pair: tuple[str, str]) -> None:
    old, new = pair
    edits = minimal_edits(old, new)
    assert apply(edits, old) == new
    assert all(edit.span.of(old) != edit.new for edit in edits)
    assert all(a.end < b.start for a, b in pairwise(edits))


@given(versions())
def test_no_edit_divides_a_line_end_or_a_surrogate_pair(pair: tuple[str, str]) -> None:
    old, new = pair
    for edit in minimal_edits(old, new):
        for at in (edit.start, edit.end):
            assert old[at - 1 : at + 1] not in ("\r\n", "\ud83d\ude00") or at == 0
            assert not (0 < at < len(old) and old[at] == "\u0301" and old[at - 1] not in "\r\n")


def test_three_places_give_three_small_edits() -> None:
    old = "def f(a, b):\n    total = a + b\n    print(total)\n    return total\n"
    new = "def f(a, c):\n    total = a - c\n    print(total)\n    return tot\n"
    edits = minimal_edits(old, new)
    assert [(edit.span.of(old), edit.new) for edit in edits] == [
        ("b", "c"),
        ("+", "-"),
        ("b", "c"),
        ("al", ""),
    ]


def test_a_change_of_indentation_touches_indentation_only() -> None:
    old = "if x:\n  a()\n  b()\n"
    new = "if x:\n    a()\n    b()\n"
    assert [(edit.span.of(old), edit.new) for edit in minimal_edits(old, new)] == [("", "  "), ("", "  ")]


def test_blank_lines_between_two_changes_stay() -> None:
    old = "    return a + 1\n\ndef g(b):\n"
    new = "    return a + 11\n\ndef g(b:\n"
    assert [(edit.span.of(old), edit.new) for edit in minimal_edits(old, new)] == [("", "1"), (")", "")]


def test_equal_texts_give_no_edit() -> None:
    assert minimal_edits("a\r\n", "a\r\n") == ()


def test_changing_one_line_end_replaces_the_pair_or_nothing_of_it() -> None:
    (edit,) = minimal_edits("a\r\nb", "a\nb")
    assert edit == Edit(1, 3, "\n")


@pytest.mark.parametrize("unit", ["x\n", "(", "a b ", "x = 1\n"])
def test_large_repetitive_texts_are_answered(unit: str) -> None:
    old = unit * 100_000
    new = unit * 40_000 + "changed" + unit * 59_000 + "\nend"
    assert apply(minimal_edits(old, new), old) == new


def test_many_scattered_changes_in_a_large_text_stay_small() -> None:
    old_lines = [f"value_{i} = compute({i})\n" for i in range(20_000)]
    new_lines = [
        line.replace("compute", "derive") if i % 20 == 0 else line for i, line in enumerate(old_lines)
    ]
    edits = minimal_edits("".join(old_lines), "".join(new_lines))
    assert apply(edits, "".join(old_lines)) == "".join(new_lines)
    assert len(edits) >= 1000
    assert max(edit.end - edit.start for edit in edits) <= len("compute")


def test_apply_refuses_overlaps_and_places_outside() -> None:
    with pytest.raises(ValueError, match="overlaps"):
        apply([Edit(0, 2, ""), Edit(1, 3, "")], "abc")
    with pytest.raises(ValueError, match="outside"):
        apply([Edit(2, 9, "")], "abc")
    with pytest.raises(ValueError, match="outside"):
        apply([Edit(2, 1, "")], "abc")


@st.composite
def edit_sets(draw: st.DrawFn, text: str) -> list[Edit]:
    cuts = sorted(draw(st.lists(st.integers(0, len(text)), max_size=6)))
    return [
        Edit(a, b, draw(st.text("xy\n", max_size=3))) for a, b in zip(cuts[::2], cuts[1::2], strict=False)
    ]


@given(st.data())
def test_rebased_edits_do_what_they_did(data: st.DataObject) -> None:
    """A text is cut into a guarded middle and free ends; changes in the ends commute with the edit."""
    head, middle, tail = (data.draw(st.text("ab\n", min_size=1, max_size=8)) for _ in range(3))
    edit = Edit(len(head), len(head) + len(middle), "NEW")
    at, history, now_head, now_tail = len(head), [], head, tail
    for _ in range(data.draw(st.integers(0, 3))):
        in_head = [e for e in data.draw(edit_sets(now_head)) if e.start < e.end or e.end < len(now_head)]
        in_tail = [e for e in data.draw(edit_sets(now_tail)) if e.start < e.end or e.start > 0]
        behind = at + len(middle)
        history.append(in_head + [Edit(e.start + behind, e.end + behind, e.new) for e in in_tail])
        now_head, now_tail = apply(in_head, now_head), apply(in_tail, now_tail)
        at = len(now_head)
    moved = rebase([edit], history)
    assert moved is not None
    assert apply(moved, now_head + middle + now_tail) == now_head + "NEW" + now_tail


@pytest.mark.parametrize(
    "change", [Edit(4, 5, ""), Edit(2, 3, ""), Edit(5, 5, "x"), Edit(2, 2, "x"), Edit(0, 9, "")]
)
def test_a_change_inside_a_region_refuses(change: Edit) -> None:
    assert rebase([Edit(3, 4, "new")], [[change]], [Span(2, 5)]) is None


def test_a_change_beside_a_region_moves_it() -> None:
    changes = [[Edit(0, 2, "longer"), Edit(5, 6, "")], [Edit(0, 1, "")]]
    assert rebase([Edit(3, 4, "new")], changes, [Span(2, 5)]) == (Edit(6, 7, "new"),)


def test_an_insertion_at_a_hole_refuses_it() -> None:
    assert rebase([Edit(3, 3, "new")], [[Edit(3, 3, "x")]]) is None
    assert rebase([Edit(3, 3, "new")], [[Edit(2, 3, "")]]) is None
    assert rebase([Edit(3, 3, "new")], [[Edit(0, 2, "")]]) == (Edit(1, 1, "new"),)


@given(st.data())
def test_composed_edits_do_what_both_did(data: st.DataObject) -> None:
    text = data.draw(st.text("ab\n", max_size=20))
    first = data.draw(edit_sets(text))
    between = apply(first, text)
    second = data.draw(edit_sets(between))
    assert apply(compose(first, second, text), text) == apply(second, between)


@given(st.data())
def test_an_origin_has_everything_outside_it_in_common(data: st.DataObject) -> None:
    text = data.draw(st.text("ab\n", max_size=20))
    edits = data.draw(edit_sets(text))
    after = apply(edits, text)
    start, end = sorted((data.draw(st.integers(0, len(after))), data.draw(st.integers(0, len(after)))))
    old = origin(Span(start, end), edits)
    inside = [e for e in edits if old.covers(e.span)]
    before, behind = (Span(0, old.start), Span(old.end, len(text)))
    head = apply([e for e in edits if e not in inside and before.covers(e.span)], before.of(text))
    tail = [e for e in edits if e not in inside and behind.covers(e.span)]
    shifted = [Edit(e.start - old.end, e.end - old.end, e.new) for e in tail]
    assert len(inside) + len(tail) + sum(before.covers(e.span) and e not in inside for e in edits) == len(
        edits
    )
    assert after.startswith(head)
    assert after.endswith(apply(shifted, behind.of(text)))
    assert len(head) <= start
    assert len(after) - len(apply(shifted, behind.of(text))) >= end
    if not edits:
        assert (old.start, old.end) == (start, end)
    assert after[start:end] in apply(
        [Edit(e.start - old.start, e.end - old.start, e.new) for e in inside], old.of(text)
    )


def test_composing_joins_only_edits_that_meet() -> None:
    first = [Edit(0, 1, "xx"), Edit(4, 5, "")]
    assert compose(first, [Edit(1, 2, "y")], "abcdef") == (Edit(0, 1, "xy"), Edit(4, 5, ""))
    assert compose(first, [Edit(3, 4, "y")], "abcdef") == (Edit(0, 1, "xx"), Edit(2, 3, "y"), Edit(4, 5, ""))


@given(texts)
def test_restoring_an_unchanged_text_gives_it_back(text: str) -> None:
    assert restore(normalise(text), text, text) == text


@given(versions())
def test_restored_text_has_the_new_content(pair: tuple[str, str]) -> None:
    old, new = pair
    restored = normalise(restore(normalise(new), old, old))
    assert restored.rstrip("\n") == normalise(new).rstrip("\n")


def test_restore_keeps_every_untouched_line_end() -> None:
    original = "a\r\nb\nc\r\nd"
    assert restore("a\nB\nnew\nc\nd\n", original, original) == "a\r\nB\r\nnew\r\nc\r\nd"


def test_restore_takes_the_line_end_of_the_document_for_one_line() -> None:
    assert restore("a\nb", "a", "x\r\ny\r\n") == "a\r\nb"
    assert restore("a", "a\n", "") == "a\n"


def test_the_most_frequent_line_end_is_found() -> None:
    assert line_end_of("a\r\nb\nc\r\n") == "\r\n"
    assert line_end_of("one line") is None
