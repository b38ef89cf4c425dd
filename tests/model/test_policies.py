"""Each policy against a plain computation of its definition, on candidates with ties and extremes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.backends.interface import TOP_K, Candidates
from model.policies import (
    Credit,
    Dynamic,
    EntropyBound,
    Factor,
    FixedSteps,
    Hierarchy,
    InsertDelete,
    Policy,
    Scheduled,
    Threshold,
    TokenEditing,
    View,
    time_schedule,
)
from model.tokenizer import DEL, EOR, FIRST_TEXT_ID, INS_1, INS_2, INS_4, INS_8, INS_16, INSERTIONS, MASK

LABELS = [DEL, EOR, *INSERTIONS, *range(FIRST_TEXT_ID, FIRST_TEXT_ID + 6)]
CONFIDENCES = [0.05, 0.2, 0.5, 0.5000001, 0.8, 0.9, 0.95, 0.999999]


def view_of(current: list[int], best: list[list[int]], confidence: list[float]) -> View:
    """Rows at every second position; `best` are each row's ids, the first with `confidence`."""
    n = len(current)
    ids = np.array([[*row, *(i for i in range(FIRST_TEXT_ID, 200) if i not in row)][:TOP_K] for row in best])
    logp = np.full((n, TOP_K), -9.0) - np.arange(TOP_K)
    logp[:, 0] = np.log(confidence)
    entropy = np.array([-p * np.log(p) + (1 - p) for p in confidence])
    return View(np.arange(n) * 2, np.array(current), Candidates(ids.reshape(n, TOP_K), logp, entropy), 2 * n)


@st.composite
def views(draw: st.DrawFn) -> View:
    """At least one mask, ties among the confidences."""
    n = draw(st.integers(1, 12))
    current = draw(
        st.lists(st.sampled_from([MASK, 24, 25, 26]), min_size=n, max_size=n).filter(lambda c: MASK in c)
    )
    best = draw(st.lists(st.sampled_from([24, 25, 26]), min_size=n, max_size=n))
    sure = draw(st.lists(st.sampled_from(CONFIDENCES), min_size=n, max_size=n))
    return view_of(current, [[b] for b in best], sure)


def chosen(policy: Policy, view: View) -> dict[int, int]:
    choice = policy(view)
    assert len(set(choice.positions.tolist())) == len(choice.positions) == len(choice.tokens)
    return dict(zip(choice.positions.tolist(), choice.tokens.tolist(), strict=True))


def surest(view: View, count: int) -> dict[int, int]:
    """The most confident masked rows, the earlier one first among equals."""
    rows = [i for i in range(len(view.current)) if view.current[i] == MASK]
    rows.sort(key=lambda i: (-view.candidates.confidence[i], i))
    return {int(view.positions[i]): int(view.candidates.best[i]) for i in rows[:count]}


def masked_confidences(view: View) -> list[float]:
    return sorted(view.candidates.confidence[view.current == MASK].tolist(), reverse=True)


@given(views(), st.integers(1, 40), st.integers(0, 40))
def test_fixed_steps_commit_equal_shares(view: View, steps: int, step: int) -> None:
    shares = [len(range(i, view.opened, steps)) for i in range(steps)]  # one after the other, in turns
    share = shares[step] if step < steps else view.opened // steps
    assert chosen(FixedSteps(steps), replace(view, step=step)) == surest(view, max(1, share))


@given(st.integers(1, 200), st.integers(1, 300), st.sampled_from([1e-3, 0.1, 0.5]))
def test_a_time_schedule_frees_every_mask_within_its_steps(masks: int, steps: int, eps: float) -> None:
    counts = time_schedule(masks, steps, eps)
    assert sum(counts) == masks
    assert len(counts) <= steps
    assert min(counts) > 0


@given(views(), st.sampled_from(CONFIDENCES))
def test_threshold_commits_all_that_reach_it(view: View, tau: float) -> None:
    sure = [p for p in masked_confidences(view) if p >= tau]
    assert chosen(Threshold(tau), view) == surest(view, max(1, len(sure)))


@given(views(), st.floats(0.01, 4))
def test_factor_commits_the_largest_n_that_fits(view: View, f: float) -> None:
    ranked = masked_confidences(view)
    fits = [n for n in range(1, len(ranked) + 1) if ranked[n - 1] >= 1 - f / (n + 1)]
    assert chosen(Factor(f), view) == surest(view, max(fits, default=1))


@given(views(), st.floats(0, 2))
def test_entropy_bound_stays_under_gamma_without_the_largest(view: View, gamma: float) -> None:
    rows = [i for i in range(len(view.current)) if view.current[i] == MASK]
    rows.sort(key=lambda i: (view.candidates.entropy_R[i], i))
    entropies = [float(view.candidates.entropy_R[i]) for i in rows]
    count = max([k for k in range(1, len(rows) + 1) if sum(entropies[: k - 1]) <= gamma], default=1)
    expected = {int(view.positions[i]): int(view.candidates.best[i]) for i in rows[:count]}
    assert chosen(EntropyBound(gamma), view) == expected


@given(views(), st.sampled_from(CONFIDENCES), st.sampled_from(CONFIDENCES))
def test_token_editing_fills_and_replaces(view: View, tau_mask: float, tau_edit: float) -> None:
    expected: dict[int, int] = {}
    for i, (now, best) in enumerate(zip(view.current, view.candidates.best, strict=True)):
        bar = tau_mask if now == MASK else tau_edit
        if best != now and view.candidates.confidence[i] > bar:
            expected[int(view.positions[i])] = int(best)
    if not any(view.current[p // 2] == MASK for p in expected):
        expected |= surest(view, 1)
    assert chosen(TokenEditing(tau_mask, tau_edit), view) == expected


@given(views())
@pytest.mark.parametrize(
    "policy",
    [
        FixedSteps(),
        Threshold(),
        Factor(),
        EntropyBound(),
        TokenEditing(),
        Dynamic(),
        Hierarchy(),
        Scheduled(),
        Credit(),
    ],
    ids=lambda p: type(p).__name__,
)
def test_something_is_always_committed_and_never_a_mask(policy: Policy, view: View) -> None:
    choice = chosen(policy, view)
    assert any(view.current[p // 2] == MASK for p in choice)
    assert MASK not in choice.values()
    if not policy.edits_visible:
        assert all(view.current[p // 2] == MASK for p in choice)


@st.composite
def edit_views(draw: st.DrawFn) -> View:
    """A canvas with its `<eor>` and labels of all kinds in any order, illegal ones among them."""
    current = [*draw(st.lists(st.sampled_from([MASK, 24, 25]), max_size=8)), EOR]
    best = [draw(st.permutations(LABELS)) for _ in current]
    sure = draw(st.lists(st.sampled_from(CONFIDENCES), min_size=len(current), max_size=len(current)))
    return view_of(current, best, sure)


@given(edit_views(), st.sampled_from([0.0, *CONFIDENCES]), st.sampled_from([*CONFIDENCES, 1.0]))
def test_insert_delete_chooses_the_best_legal_label(view: View, tau_mask: float, tau_edit: float) -> None:
    """Masks open no masks, `<eor>` is kept or gets masks in front, nothing else becomes `<eor>`."""

    def legal(now: int, label: int) -> bool:
        if now == EOR:
            return label == EOR or label in INSERTIONS
        return label != EOR and not (now == MASK and label in INSERTIONS)

    best: dict[int, tuple[int, float]] = {}
    for i, now in enumerate(view.current.tolist()):
        row = zip(
            view.candidates.ids_RK[i].tolist(), np.exp(view.candidates.logp_RK[i]).tolist(), strict=True
        )
        best[i] = next(((label, p) for label, p in row if legal(now, label)), (now, 0.0))
    expected = {
        2 * i: label
        for i, (label, p) in best.items()
        if p > (tau_mask if view.current[i] == MASK else tau_edit) and label != view.current[i]
    }
    masks = [i for i in best if view.current[i] == MASK]
    if masks and not expected:
        top = max(masks, key=lambda i: (best[i][1], -i))
        expected = {2 * top: best[top][0]}
    assert chosen(InsertDelete(tau_mask, tau_edit), view) == expected
    assert MASK not in expected.values()


def test_insert_delete_keeps_the_end_when_nothing_legal_is_offered() -> None:
    view = view_of([24, EOR], [[24], [30, 31, 32, 33, 34, 35, 36, 37]], [0.9, 0.99])
    assert chosen(InsertDelete(), view) == {}


def test_insert_delete_opens_masks_before_the_end_and_after_no_mask() -> None:
    inserts = [INS_16, INS_8, INS_4, INS_2, INS_1]
    view = view_of([MASK, EOR], [[*inserts, EOR, 40], inserts], [0.99, 0.99])
    assert chosen(InsertDelete(tau_mask=0.0), view) == {0: 40, 2: INS_16}
