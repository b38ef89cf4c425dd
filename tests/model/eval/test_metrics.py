"""Figures and their intervals: bounds, known values, and what counts as the same code."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.eval import metrics

VALUES = st.lists(st.floats(0, 1000), min_size=1, max_size=40)
TEXTS = st.text("ab c\n\U0001f600", max_size=15)


@settings(max_examples=30)
@given(VALUES)
def test_an_interval_contains_its_figure(values):
    for metric in (
        metrics.mean(values),
        metrics.percentile(values, 50),
        metrics.ratio(values, [1.0] * len(values)),
    ):
        assert metric is not None
        assert metric.low <= metric.value <= metric.high
        assert metric.n == len(values)


def test_intervals_narrow_with_more_problems_and_cover_the_truth():
    rng = np.random.default_rng(0)
    few, many = (metrics.mean((rng.random(n) < 0.3).tolist()) for n in (30, 3000))
    assert few is not None
    assert many is not None
    assert many.high - many.low < 0.3 * (few.high - few.low)
    assert many.low < 0.3 < many.high
    assert 0.25 < many.high - many.low + 0.22 < 0.26  # 2 * 1.96 * sqrt(0.21 / 3000) = 0.033


def test_figures_of_nothing_are_none():
    assert metrics.mean([]) is None
    assert metrics.percentile([], 50) is None
    assert metrics.ratio([], []) is None
    assert metrics.ratio([1.0], [0.0]) is None


def test_a_ratio_is_of_sums_not_of_quotients():
    metric = metrics.ratio([30, 1], [10, 1])
    assert metric is not None
    assert metric.value == pytest.approx(31 / 11, abs=1e-4)


def test_the_same_seed_gives_the_same_interval():
    values = [0.0, 1.0, 5.0, 2.0]
    assert metrics.mean(values, seed=3) == metrics.mean(values, seed=3)


def slow_distance(a: str, b: str) -> int:
    table = {(i, j): max(i, j) for i in range(len(a) + 1) for j in range(len(b) + 1) if not i * j}
    for i in range(1, len(a) + 1):
        for j in range(1, len(b) + 1):
            changed = table[i - 1, j - 1] + (a[i - 1] != b[j - 1])
            table[i, j] = min(changed, table[i - 1, j] + 1, table[i, j - 1] + 1)
    return table[len(a), len(b)]


@settings(max_examples=60)
@given(TEXTS, TEXTS)
def test_edit_similarity_counts_changed_characters(a, b):
    similarity = metrics.edit_similarity(a, b)
    assert similarity == pytest.approx(1 - slow_distance(a, b) / max(1, len(a), len(b)))
    assert (similarity == 1) is (a == b)


def test_the_same_code_in_other_words():
    assert metrics.is_same_code("x = 'a'  # one\n", '\n"""About x."""\nx = "a"\n')
    assert metrics.is_same_code("def f(:", "def f(:  ")
    assert not metrics.is_same_code("x = 1", "x = 2")
    assert not metrics.is_same_code("x = (", "x = )")


def test_only_lines_that_differ_are_compared():
    assert metrics.differing(["a\nb\nc", "a\nx\ny\nc", "a\nc"]) == ["b", "x\ny", ""]
    assert metrics.differing(["a\nb", "a\nb"]) == ["", ""]
