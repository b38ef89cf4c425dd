"""The edit stage's labels: any code becomes any other, by labels that may stand where they stand."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.labels import apply_labels, common_subsequence, decode, labels, round_labels
from model.tokenizer import DEL, EOR, FIRST_TEXT_ID, INS_1, INS_2, INS_4, INS_16, INSERTIONS, MASK

# Few different ids give many accidental matches, many give few: both are drawn.
TOKENS = st.sampled_from([1, 2, 3, 8, 1000]).flatmap(
    lambda n: st.lists(st.integers(FIRST_TEXT_ID, FIRST_TEXT_ID + n), max_size=60)
)
LONG = st.tuples(st.sampled_from([2, 5, 20, 400]), st.integers(0, 400), st.randoms()).map(
    lambda d: [FIRST_TEXT_ID + d[2].randrange(d[0]) for _ in range(d[1])]
)


def longest(a: list[int], b: list[int]) -> int:
    """Length of a longest common subsequence, by the plain table."""
    row = [0] * (len(b) + 1)
    for x in a:
        above = row
        row = [0]
        for j, y in enumerate(b, 1):
            row.append(above[j - 1] + 1 if x == y else max(above[j], row[-1]))
    return row[-1]


@given(TOKENS, TOKENS)
def test_labels_turn_any_tokens_into_any_others(a: list[int], b: list[int]) -> None:
    assert decode(labels(a, b), a) == b


@settings(max_examples=40)
@given(LONG, LONG)
def test_labels_turn_long_tokens_into_others(a: list[int], b: list[int]) -> None:
    assert decode(labels(a, b), a) == b


@given(TOKENS, st.integers(17, 300), st.data())
def test_labels_insert_more_than_the_largest_label_opens(
    a: list[int], count: int, data: st.DataObject
) -> None:
    at = data.draw(st.integers(0, len(a)))
    b = [*a[:at], *range(5000, 5000 + count), *a[at:]]
    rounds = labels(a, b)
    assert decode(rounds, a) == b
    assert len(rounds) <= -(-count // 16) + 2


@given(TOKENS)
def test_equal_tokens_need_no_round(a: list[int]) -> None:
    assert labels(a, a) == ()


@given(TOKENS, TOKENS)
def test_every_round_is_legal(a: list[int], b: list[int]) -> None:
    """Masks open no masks, `<eor>` stays, no label is a mask, and each label is a text id or an edit."""
    canvas = [*a, EOR]
    for each in labels(a, b):
        assert len(each) == len(canvas)
        for token, label in zip(canvas, each, strict=True):
            assert label >= FIRST_TEXT_ID or label in {DEL, EOR, *INSERTIONS}
            assert not (token == MASK and label in INSERTIONS)
            assert (label == EOR) <= (token == EOR)
        assert each[-1] == EOR or each[-1] in INSERTIONS
        canvas = apply_labels(each, canvas)
        assert canvas.count(EOR) == 1
        assert canvas[-1] == EOR


@given(TOKENS, TOKENS, st.sets(st.integers(0, 59)))
def test_a_masked_canvas_also_becomes_the_target(a: list[int], b: list[int], hidden: set[int]) -> None:
    masked = [MASK if i in hidden else t for i, t in enumerate(a)]
    assert decode(labels(masked, b), masked) == b


@settings(max_examples=300)
@given(TOKENS, TOKENS)
def test_a_common_subsequence_is_a_longest_one(a: list[int], b: list[int]) -> None:
    pairs = common_subsequence(a, b)
    assert all(a[i] == b[j] for i, j in pairs)
    assert all(i < k and j < n for (i, j), (k, n) in pairwise(pairs))
    assert len(pairs) == longest(a, b)


@settings(max_examples=25)
@given(LONG, LONG)
def test_a_long_common_subsequence_is_a_longest_one(a: list[int], b: list[int]) -> None:
    assert len(common_subsequence(a, b)) == longest(a, b)


def test_common_subsequences_where_a_greedy_walk_goes_wrong() -> None:
    assert common_subsequence([24, 25], [25, 26]) == [(1, 0)]
    assert common_subsequence([24, 26, 24], [24, 24, 25]) == [(0, 0), (2, 1)]
    assert len(common_subsequence([24, 25, 26, 25], [25, 24, 25, 26])) == 3


def test_the_first_round_of_each_kind_of_change() -> None:
    a, b, c, d = range(100, 104)
    assert round_labels([a, b, EOR], [a, b]) == [a, b, EOR]
    assert round_labels([a, b, c, EOR], [a, d, c]) == [a, d, c, EOR]
    assert round_labels([a, b, c, EOR], [a, c]) == [a, DEL, c, EOR]
    assert round_labels([a, c, EOR], [a, b, c]) == [a, INS_1, EOR]
    assert round_labels([EOR], [a, b, c]) == [INS_4]
    assert round_labels([a, EOR], [a, b, c]) == [a, INS_2]
    assert round_labels([EOR], [a] * 40) == [INS_16]
    assert round_labels([MASK, MASK, EOR], [a]) == [a, DEL, EOR]
    assert round_labels([a, c, EOR], [a, b, c], aligned=False) == [a, b, INS_1]
    assert round_labels([a, b, c, EOR], [a, c], aligned=False) == [a, c, DEL, EOR]
    assert apply_labels([INS_2], [EOR]) == [MASK, MASK, EOR]


def test_a_canvas_without_its_end_is_refused() -> None:
    with pytest.raises(ValueError, match="ends with <eor>"):
        round_labels([100], [100])
    with pytest.raises(ValueError, match="ends with <eor>"):
        round_labels([], [100])
    with pytest.raises(ValueError, match="2 labels for a canvas of 1"):
        apply_labels([100, EOR], [EOR])
