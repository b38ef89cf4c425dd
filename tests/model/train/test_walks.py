"""Constrained orders: they always end at the truth, their states are real, and the likelier one is kept."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from model.labels import apply_labels, round_labels
from model.tokenizer import EOR, EOS, FIRST_TEXT_ID, MASK, MID, NEW
from model.train.rows import NoisyBlock
from model.train.tasks import Example
from model.train.walks import Walk, best_orders, walk

VOCAB = 64
BLOCK = 8
ids = st.lists(st.integers(FIRST_TEXT_ID, VOCAB - 1), min_size=1, max_size=20)


def example(target: list[int], source: list[int] | None = None) -> Example:
    return Example(
        "fill" if source is None else "fix", "", [30, MID if source is None else NEW], target, source
    )


def scores_of(sureness: float, seed: int = 0):
    """A network that gives the true label `sureness` on average, more or less at each position."""
    rng = np.random.default_rng(seed)

    def scores(asked: Sequence[tuple[Example, list[NoisyBlock]]]) -> list[list[np.ndarray]]:
        found: list[list[np.ndarray]] = []
        for _, blocks in asked:
            found.append([])
            for block in blocks:
                logp = np.full((len(block.ids), VOCAB), np.log((1 - sureness) / VOCAB))
                sure = np.clip(sureness + 0.3 * rng.normal(size=len(block.ids)), 0.01, 0.99)
                logp[np.arange(len(block.ids)), block.labels] = np.log(sure)
                found[-1].append(logp)
        return found

    return scores


@settings(max_examples=40, deadline=None)
@given(ids, st.floats(0.1, 0.95), st.integers(0, 5))
def test_a_fill_is_uncovered_to_the_truth(target: list[int], sureness: float, seed: int) -> None:
    (group,) = walk(scores_of(sureness), [example(target)], 3, BLOCK, np.random.default_rng(seed))
    for each in group:
        live = each.target.index(EOS) + 1 if EOS in each.target else BLOCK
        assert each.canvas[:live] == each.target[:live]
        assert each.target[: live - (EOS in each.target)] == target[each.offset : each.offset + BLOCK]
        assert each.states[0].ids == [MASK] * BLOCK
        assert each.committed == live
        opened = [state.ids[:live].count(MASK) for state in each.states]
        assert opened == sorted(opened, reverse=True)
        assert len(set(opened)) == len(opened)
        for state in each.states:
            assert all((w > 0) == (t == MASK) for w, t in zip(state.weights, state.ids, strict=True))


@settings(max_examples=40, deadline=None)
@given(ids, ids, st.floats(0.1, 0.95))
def test_an_edit_goes_from_the_source_to_the_target(
    source: list[int], target: list[int], sureness: float
) -> None:
    (group,) = walk(scores_of(sureness), [example(target, source)], 2, BLOCK, np.random.default_rng(1))
    for each in group:
        if source == target:
            assert not each.states
            continue
        assert each.states[0].ids == [*source, EOR]
        for state in each.states:
            assert state.labels == round_labels(state.ids, target)
        if len(each.states) < 16:
            assert each.canvas == [*target, EOR]
        elif not sureness < 0.6:
            assert apply_labels(each.labels(), each.canvas) != each.canvas


def test_a_sure_network_takes_fewer_steps() -> None:
    def steps(sureness: float) -> float:
        target = list(range(FIRST_TEXT_ID, FIRST_TEXT_ID + 7))
        found = walk(scores_of(sureness), [example(target)] * 5, 4, BLOCK, np.random.default_rng(0))
        return float(np.mean([len(w.states) for g in found for w in g]))

    assert steps(0.95) < 0.6 * steps(0.2)


def test_the_order_with_the_highest_bound_is_kept() -> None:
    target = list(range(FIRST_TEXT_ID, FIRST_TEXT_ID + 7))
    found = walk(scores_of(0.5), [example(target)] * 8, 4, BLOCK, np.random.default_rng(0))
    kept = best_orders(found, 1)
    assert len(kept) == 8
    for group, best in zip(found, kept, strict=True):
        assert best.mean_bound == max(w.mean_bound for w in group)
        assert best.bound < 0
    assert len({round(w.bound, 6) for w in found[0]}) > 1, "the orders differ"


def test_an_order_without_an_end_is_never_kept() -> None:
    lost = Walk(example([30], [31]), 0, [30], [31, EOR], 0.9)
    lost.states = [lost.state()] * 16
    assert best_orders([[lost]], 1) == []
