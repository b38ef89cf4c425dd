"""Forward processes: rates, weights and amounts are what the schedule says."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.noise import BLOCK_SIZES, mask_blocks, random_edits
from model.tokenizer import FIRST_TEXT_ID, MASK

SEEDS = st.integers(0, 2**32)


@given(SEEDS, st.integers(0, 100), st.sampled_from(BLOCK_SIZES), st.floats(1e-3, 1.0))
def test_blocks_tile_the_tokens_and_each_has_a_mask(seed: int, length: int, size: int, u_max: float) -> None:
    """Rates are clipped to [1/B, 1]; the weight is 1/rate, or 1 during warm-up; the rest is untouched."""
    tokens = np.arange(FIRST_TEXT_ID, FIRST_TEXT_ID + length)
    blocks = mask_blocks(tokens, size, np.random.default_rng(seed), u_max)
    assert [b.start for b in blocks] == list(range(0, length, size))
    assert sum(len(b.noisy) for b in blocks) == length
    for block in blocks:
        clean = tokens[block.start : block.start + size]
        masked = block.noisy == MASK
        assert masked.any()
        assert (block.noisy[~masked] == clean[~masked]).all()
        assert 1 / len(clean) <= block.rate <= 1
        assert block.rate <= max(u_max, 1 / len(clean))
        assert block.weight == (1.0 if u_max < 1 else 1 / block.rate)


def test_the_mean_mask_rate_follows_the_clipped_schedule() -> None:
    """E[u] for u = max(U(0, 1), 1/B) is 1/2 + 1/(2 B^2)."""
    rng = np.random.default_rng(1)
    blocks = mask_blocks(np.full(32 * 3000, 100), 32, rng)
    share = np.mean([(b.noisy == MASK).mean() for b in blocks])
    assert share == pytest.approx(0.5 + 0.5 / 32**2, abs=0.02)


@pytest.mark.parametrize(("length", "alpha"), [(5, 0.05), (8, 0.1), (100, 0.1), (60, 0.033)])
def test_the_number_of_edits_is_right_on_average(length: int, alpha: float) -> None:
    """Also below ten tokens, where rounding down would give none. Lengths tell deletions and insertions."""
    rng = np.random.default_rng(2)
    tokens = list(range(1000, 1000 + length))
    moved = [len(random_edits(tokens, alpha, 900, rng)) - length for _ in range(4000)]
    # A third of the edits delete, a third insert: the variance of the length is about 2/3 E[k] (+ rounding).
    assert np.mean(moved) == pytest.approx(0, abs=0.12)
    assert np.mean(np.abs(moved)) > 0.3 * min(1.0, length * alpha)


@given(SEEDS, st.lists(st.integers(FIRST_TEXT_ID, 99), max_size=30), st.floats(0, 1))
def test_edits_bring_in_text_only(seed: int, tokens: list[int], alpha: float) -> None:
    edited = random_edits(tokens, alpha, 100, np.random.default_rng(seed))
    assert all(FIRST_TEXT_ID <= t < 100 for t in edited)
    assert abs(len(edited) - len(tokens)) <= len(tokens) * alpha + 1
    assert random_edits(tokens, 0.0, 100, np.random.default_rng(seed)) == tokens
