"""The line index: every conversion there and back, in every encoding."""

from __future__ import annotations

import random
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.editing.source import Encoding, LineIndex, Span, width

ODD = "ab\n\r\f\v\x1c\x85\u2028\u2029\0é\u0301漢\U0001f600\ud800\udc00"
texts = (
    st.text(st.sampled_from(ODD), max_size=40)
    | st.text(max_size=40)
    | st.lists(st.text("ab漢\u2028"), max_size=6).map("\r\n".join)
)
encodings = st.sampled_from(["utf-8", "utf-16", "utf-32"])


def starts_inside_pair(text: str, offset: int) -> bool:
    return text[offset - 1 : offset + 1] == "\r\n" if offset else False


@given(texts, encodings)
def test_every_offset_round_trips(text: str, encoding: Encoding) -> None:
    index = LineIndex(text)
    for offset in range(len(text) + 1):
        back = index.offset(*index.position(offset, encoding), encoding)
        # Between \r and \n there is no position; it maps to the end of the line before the pair.
        assert back == (offset - 1 if starts_inside_pair(text, offset) else offset)


@given(texts, encodings)
def test_every_position_round_trips(text: str, encoding: Encoding) -> None:
    index = LineIndex(text)
    for line in range(index.line_count):
        content = index.line(line).of(text)
        column = 0
        for ch in (*content, ""):
            assert index.position(index.offset(line, column, encoding), encoding) == (line, column)
            column += width(ch, encoding)


@given(texts)
def test_lines_are_those_of_an_editor(text: str) -> None:
    index = LineIndex(text)
    lines = re.split(r"\r\n|\r|\n", text)
    assert [index.line(i).of(text) for i in range(index.line_count)] == lines
    assert "".join(index.full_line(i).of(text) for i in range(index.line_count)) == text


@given(texts, st.text(st.sampled_from("a\n\r\u2028"), max_size=4), st.integers(0, 40), st.integers(0, 9))
def test_an_edited_index_equals_a_new_one(text: str, new: str, start: int, length: int) -> None:
    start = min(start, len(text))
    end = min(start + length, len(text))
    after = text[:start] + new + text[end:]
    edited, fresh = LineIndex(text).edited(start, end, after), LineIndex(after)
    assert edited.line_count == fresh.line_count
    assert [edited.line(n) for n in range(edited.line_count)] == [
        fresh.line(n) for n in range(fresh.line_count)
    ]


def test_an_index_follows_two_thousand_random_edits() -> None:
    chance = random.Random(4)
    text, index = "", LineIndex("")
    for _ in range(2_000):
        start = chance.randint(0, len(text))
        end = min(len(text), start + chance.choice([0, 0, 0, 1, 2, 5, 200]))
        new = "".join(chance.choices(["a", "\r", "\n", "\r\n", "\f", "\u2028", "😀"], k=chance.randint(0, 6)))
        text = text[:start] + new + text[end:]
        index = index.edited(start, end, text)
        assert index.text == text
    assert [index.line(n).of(text) for n in range(index.line_count)] == re.split(r"\r\n|\r|\n", text)


@given(
    st.lists(
        st.tuples(st.integers(0, 9), st.text("ab\r\n", min_size=1, max_size=3), st.integers(0, 2)),
        max_size=20,
    )
)
def test_typing_in_one_line_and_the_next_moves_all_later_lines(keys: list[tuple[int, str, int]]) -> None:
    """Where lines stay lines the index shares the list of the one before."""
    text = "one\ntwo\r\nthree\n\nfive\n" * 3
    index = LineIndex(text)
    for line, new, gone in keys:
        start = index.line(line).end
        text = text[: start - gone] + new + text[start:] if start >= gone else new + text
        index = index.edited(max(0, start - gone), start if start >= gone else 0, text)
        fresh = LineIndex(text)
        assert index.line_count == fresh.line_count
        assert [index.full_line(n) for n in range(index.line_count)] == [
            fresh.full_line(n) for n in range(fresh.line_count)
        ]
        assert [index.line_at(at) for at in range(len(text))] == [
            fresh.line_at(at) for at in range(len(text))
        ]


@given(texts, st.integers(-3, 60), st.integers(-3, 60), encodings)
def test_positions_outside_are_clamped(text: str, line: int, column: int, encoding: Encoding) -> None:
    index = LineIndex(text)
    offset = index.offset(line, column, encoding)
    assert 0 <= offset <= len(text)
    if line >= index.line_count:
        assert offset == len(text)
    elif line >= 0:
        assert index.line(line).touches(offset)
        if column >= width(index.line(line).of(text), encoding):
            assert offset == index.line(line).end


@given(texts, encodings)
def test_offsets_outside_are_clamped(text: str, encoding: Encoding) -> None:
    index = LineIndex(text)
    assert index.position(-5, encoding) == (0, 0)
    assert index.position(len(text) + 5, encoding) == index.position(len(text), encoding)


@pytest.mark.parametrize(("encoding", "column"), [("utf-8", 4), ("utf-16", 2), ("utf-32", 1)])
def test_an_astral_character_takes_as_many_units_as_it_has(encoding: Encoding, column: int) -> None:
    index = LineIndex("\U0001f600x")
    assert index.position(1, encoding) == (0, column)
    assert index.offset(0, column, encoding) == 1
    if column > 1:
        assert index.offset(0, column - 1, encoding) == 0  # inside the character: its start


def test_a_lone_surrogate_has_a_width_in_every_encoding() -> None:
    assert [width("\ud800", e) for e in ("utf-8", "utf-16", "utf-32")] == [3, 1, 1]


def test_form_feed_and_separators_end_no_line() -> None:
    assert LineIndex("a\fb\u2028c\x0bd\x85e").line_count == 1
    assert LineIndex("a\r\nb\rc\n").line_count == 4


def test_lines_outside_raise() -> None:
    with pytest.raises(IndexError):
        LineIndex("a").line(1)
    with pytest.raises(IndexError):
        LineIndex("a").line(-1)


def test_spans_know_their_place() -> None:
    assert Span(2, 4).touches(4)
    assert not Span(2, 4).touches(5)
    assert Span(2, 4).covers(Span(4, 4))
    assert not Span(2, 4).overlaps(Span(4, 5))
    assert Span(2, 4).overlaps(Span(3, 3))
    assert Span(3, 3)
    assert len(Span(3, 3)) == 0
    with pytest.raises(ValueError, match="start <= end"):
        Span(3, 2)
