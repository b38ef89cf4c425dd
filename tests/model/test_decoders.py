"""Decoding against an oracle that knows the answer: it is reached exactly, within its bounds, and mended."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.causal import autoregress, look_up, speculate
from model.config import ModelConfig
from model.decoders import Job, edit, fill
from model.policies import EntropyBound, Factor, FixedSteps, InsertDelete, Policy, Threshold, TokenEditing
from model.sampler import Lane, Run
from model.tokenizer import EOR, EOS, INS_16, MASK, MID, NEW, OLD

POLICIES: list[Policy] = [FixedSteps(3), Threshold(), Factor(), EntropyBound(), TokenEditing()]
TOKENS = st.lists(st.integers(24, 40), max_size=30)
SEEDS = st.integers(0, 2**32)


def sure(seed: int, least: float = 0.05) -> Callable[[int], float]:
    """Confidences between `least` and 0.99, in an order that the seed decides."""
    values = np.random.default_rng(seed).uniform(least, 0.99, 997)
    return lambda i: float(values[i % 997])


def decoded(backend, job: Job, start) -> Lane:
    return Run(backend, [job], start).finish()[0]


@given(TOKENS, SEEDS, st.integers(1, 12))
@settings(max_examples=40)
@pytest.mark.parametrize("policy", POLICIES, ids=lambda p: type(p).__name__)
def test_a_fill_reaches_its_target(oracle, small: ModelConfig, policy: Policy, target, seed, block) -> None:
    """Whatever the order in which positions are committed and wherever blocks end."""
    backend = oracle(small, lambda prompt: target, sure(seed))
    lane = decoded(backend, Job([30, 31, MID], limit=40, block=block), partial(fill, policy=policy))
    assert lane.canvas.tokens == target
    assert lane.forwards <= 2 * (len(target) + block + 1) + 2


@given(TOKENS, st.integers(1, 30))
def test_a_fill_never_exceeds_its_limit(oracle, small: ModelConfig, target: list[int], limit: int) -> None:
    backend = oracle(small, lambda prompt: target)
    for start in (partial(fill, policy=Threshold()), autoregress, speculate, look_up):
        lane = decoded(backend, Job([30, MID], limit=limit, block=8), start)
        assert lane.canvas.tokens == target[:limit]


@given(TOKENS, TOKENS, SEEDS)
def test_an_edit_reaches_its_target(oracle, small: ModelConfig, source, target, seed) -> None:
    """From any tokens to any others; masks wait until they are sure or nothing else changes."""
    backend = oracle(small, lambda prompt: target, sure(seed, least=0.55))
    job = Job([30, OLD, *source, NEW], source, limit=200, end=EOR, rounds=300)
    lane = decoded(backend, job, partial(edit, policy=InsertDelete(tau_mask=0.9, tau_edit=0.5)))
    assert lane.canvas.tokens == target


@given(st.lists(st.integers(24, 60), max_size=90), st.lists(st.integers(24, 60), max_size=90))
@settings(max_examples=40)
def test_a_sure_edit_of_less_than_a_hundred_tokens_needs_eight_rounds_at_most(
    oracle, small, source, target
) -> None:
    backend = oracle(small, lambda prompt: target)
    job = Job([30, OLD, *source, NEW], source, limit=200, end=EOR)
    lane = decoded(backend, job, partial(edit, policy=InsertDelete()))
    assert lane.canvas.tokens == target
    assert lane.forwards <= 8


@given(TOKENS, TOKENS)
def test_all_ways_to_decode_an_edit_agree(oracle, small: ModelConfig, source, target) -> None:
    backend = oracle(small, lambda prompt: target)
    job = Job([30, OLD, *source, NEW], source, limit=200, end=EOR)
    for start in (autoregress, speculate, look_up):
        assert decoded(backend, job, start).canvas.tokens == target


def test_prompt_lookup_copies_a_region_in_large_steps(oracle, small: ModelConfig) -> None:
    """Forty tokens of which one changes: a forward for ten tokens, and for each token until it finds its way back."""
    source = list(range(24, 64))
    target = [*source[:20], 24, *source[21:]]
    backend = oracle(small, lambda prompt: target)
    lane = decoded(backend, Job([OLD, *source, NEW], source, limit=60, end=EOR), look_up)
    assert lane.canvas.tokens == target
    assert lane.forwards <= 8
    plain = decoded(backend, Job([OLD, *source, NEW], source, limit=60, end=EOR), autoregress)
    assert plain.forwards == 41


@given(TOKENS)
def test_an_unchanged_region_takes_one_forward(oracle, small: ModelConfig, source: list[int]) -> None:
    backend = oracle(small, lambda prompt: source)
    lane = decoded(backend, Job([OLD, *source, NEW], source, end=EOR), partial(edit, policy=InsertDelete()))
    assert (lane.canvas.tokens, lane.forwards) == (source, 1)


def test_token_editing_ends_on_a_cycle(oracle, small: ModelConfig) -> None:
    """A network that changes its mind at every step is stopped when a state comes back."""
    turns = iter(range(10_000))
    backend = oracle(small, lambda prompt: [24 + next(turns) % 2] * 5)
    lane = decoded(backend, Job([MID], limit=8, block=8), partial(fill, policy=TokenEditing()))
    assert len(lane.canvas.tokens) == 5
    assert lane.forwards <= 4


def test_token_editing_ends_on_an_endless_walk(oracle, small: ModelConfig) -> None:
    """No state ever comes back, yet the rounds are bounded."""
    turns = iter(range(10_000))

    def walk(prompt: Sequence[int]) -> list[int]:
        n = next(turns)
        return [24 + n // 39**k % 39 for k in range(4)]

    lane = decoded(oracle(small, walk), Job([MID], limit=8, block=8), partial(fill, policy=TokenEditing()))
    assert len(lane.canvas.tokens) == 4
    assert lane.forwards <= 2 * 8 + 3


def test_an_edit_that_never_settles_stops_after_eight_rounds(oracle, small: ModelConfig) -> None:
    turns = iter(range(10_000))

    def walk(prompt: Sequence[int]) -> list[int]:
        n = next(turns)
        return [24 + n % 39, 24 + n // 39]

    lane = decoded(
        oracle(small, walk), Job([OLD, 30, NEW], [30], end=EOR), partial(edit, policy=InsertDelete())
    )
    assert lane.forwards == 8
    assert MASK not in lane.canvas.ids


def test_an_edit_that_goes_in_circles_stops_at_the_first_repeated_state(oracle, small: ModelConfig) -> None:
    turns = iter(range(10_000))
    backend = oracle(small, lambda prompt: [24 + next(turns) % 2])
    lane = decoded(backend, Job([OLD, 24, NEW], [24], end=EOR), partial(edit, policy=InsertDelete()))
    assert lane.forwards <= 3


def test_a_canvas_does_not_grow_without_end(oracle, small: ModelConfig) -> None:
    """A network that opens masks everywhere cannot blow a region up: growth is bounded by the job's limit."""
    backend = oracle(small, lambda prompt: [24, 25] * 2000)
    source = [24, 25, 26] * 10
    job = Job([OLD, *source, NEW], source, limit=40, end=EOR, rounds=50)
    lane = decoded(backend, job, partial(edit, policy=InsertDelete()))
    assert max(len(c) for c in backend.canvases) <= len(source) + 40 + 17
    assert lane.canvas.is_cut
    assert lane.canvas.ids[-1] == EOR


class Exploding:
    """Wraps an oracle so that every visible row wants sixteen masks before itself."""

    def __init__(self, inner) -> None:
        self._inner = inner

    def __getattr__(self, name: str):
        return getattr(self._inner, name)

    def forward(self, passes):
        found = self._inner.forward(passes)
        for each, one in zip(passes, found, strict=True):
            for row, at in enumerate(each.wanted):
                if at >= len(each.causal) and each.canvas[at - len(each.causal)] != MASK:
                    one.ids_RK[row, 0] = INS_16
        return found


def test_a_network_that_opens_masks_everywhere_is_stopped(oracle, small: ModelConfig) -> None:
    backend = Exploding(oracle(small, lambda prompt: [24] * 30))
    source = [25] * 30
    job = Job([OLD, *source, NEW], source, limit=60, end=EOR)
    lane = decoded(backend, job, partial(edit, policy=InsertDelete()))
    assert max(len(c) for c in backend.canvases) <= 30 + 60 + 17
    assert MASK not in lane.canvas.ids


def breaks_at(good: list[int]) -> Callable[[Sequence[int]], Sequence[int]]:
    """A syntax check: every token that differs from the good answer is an error."""
    return lambda tokens: [i for i, t in enumerate(tokens) if i >= len(good) or t != good[i]]


@given(st.lists(st.integers(24, 60), min_size=3, max_size=20), st.data())
def test_a_broken_fill_is_mended_with_the_second_choice(oracle, small: ModelConfig, good, data) -> None:
    """The tokens that break the file are masked again and may not come back; the others stay."""
    bad = list(good)
    wrong = data.draw(st.sets(st.integers(0, len(good) - 1), min_size=1, max_size=3))
    for i in wrong:
        bad[i] = 61 + i % 3
    right = {61 + i % 3: good[i] for i in wrong}
    if len(right) < len(wrong):
        return  # one second choice per wrong token is all this oracle knows
    backend = oracle(small, lambda prompt: bad, second=lambda prompt, best: right.get(best, 24))
    job = Job([30, MID], limit=32, block=16, inspect=breaks_at(good))
    assert decoded(backend, job, partial(fill, policy=Threshold())).canvas.tokens == good


@given(st.lists(st.integers(24, 60), min_size=3, max_size=20), st.data())
def test_a_broken_edit_is_mended_with_the_second_choice(oracle, small: ModelConfig, good, data) -> None:
    at = data.draw(st.integers(0, len(good) - 1))
    bad = [*good[:at], 61, *good[at + 1 :]]
    backend = oracle(small, lambda prompt: bad, second=lambda prompt, best: good[at] if best == 61 else 24)
    # The oracle calls the mended canvas wrong again, so it must not be sure of it.
    backend._confidence = lambda i: 0.6
    job = Job([OLD, *good, NEW], good, limit=64, end=EOR, inspect=breaks_at(good))
    lane = decoded(backend, job, partial(edit, policy=InsertDelete(tau_mask=0.5, tau_edit=0.7)))
    assert lane.canvas.tokens == good


@given(TOKENS, st.integers(0, 29))
def test_a_prefill_in_chunks_changes_nothing(
    oracle, small: ModelConfig, target: list[int], chunk: int
) -> None:
    prompt = [*range(24, 54), MID]
    backend = oracle(small, lambda p: target)
    lane = decoded(backend, Job(prompt, limit=40, chunk=chunk + 1), partial(fill, policy=Threshold()))
    assert lane.canvas.tokens == target
    assert lane.prefills == (len(prompt) - 1) // (chunk + 1)


def test_the_log_probability_is_that_of_the_committed_tokens(oracle, small: ModelConfig) -> None:
    backend = oracle(small, lambda prompt: [30, 31, 32], lambda i: 0.5)
    expected = 4 * np.log(0.5)  # three tokens and the end
    for start in (partial(fill, policy=Threshold(0.1)), autoregress):
        assert decoded(backend, Job([MID], limit=4, block=4), start).canvas.logp == pytest.approx(expected)
    assert EOS not in decoded(backend, Job([MID], limit=4), autoregress).canvas.tokens
