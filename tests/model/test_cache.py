"""The cache of keys and values, and the store that finds prompts' common beginnings."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.cache import KVCache, PrefixStore, common_prefix

PROMPTS = st.lists(st.lists(st.integers(0, 2), min_size=1, max_size=20), min_size=1, max_size=12)


def new_cache(capacity: int) -> KVCache:
    return KVCache(np.full((capacity, 2), np.nan))


def rows_of(tokens: list[int]) -> np.ndarray:
    """Rows that depend on all tokens so far, as keys and values do."""
    return np.array([[hash(tuple(tokens[: i + 1])) % 9973, t] for i, t in enumerate(tokens)], float).reshape(
        -1, 2
    )


def test_rows_are_appended_truncated_and_overwritten() -> None:
    cache = new_cache(4)
    cache.append([7, 8, 9], rows_of([7, 8, 9]))
    cache.truncate(1)
    cache.append([5], rows_of([7, 5])[1:])
    assert cache.tokens == [7, 5]
    assert (cache.filled == rows_of([7, 5])).all()
    assert (cache.length, cache.capacity) == (2, 4)


def test_a_full_cache_refuses_more_and_is_unchanged() -> None:
    cache = new_cache(2)
    cache.append([1], rows_of([1]))
    with pytest.raises(ValueError, match="a cache of 2 tokens cannot take 3"):
        cache.append([2, 3], rows_of([2, 3]))
    assert cache.tokens == [1]


@given(st.lists(st.integers(0, 1)), st.lists(st.integers(0, 1)))
def test_the_common_prefix_is_the_longest(a: list[int], b: list[int]) -> None:
    n = common_prefix(a, b)
    assert a[:n] == b[:n]
    assert n == min(len(a), len(b)) or a[n] != b[n]


@given(PROMPTS, st.integers(0, 2000))
def test_what_is_borrowed_is_what_would_be_computed(prompts: list[list[int]], max_bytes: int) -> None:
    """Whatever came before: the rows are the prompt's own, and the last token is always left to run."""
    store = PrefixStore(new_cache, max_bytes)
    for prompt in prompts:
        cache = store.borrow(prompt, len(prompt) + 3)
        assert cache.tokens == prompt[: cache.length]
        assert cache.length < len(prompt)
        assert (cache.filled == rows_of(prompt)[: cache.length]).all()
        cache.append(prompt[cache.length :], rows_of(prompt)[cache.length :])
        cache.append([9, 9], np.zeros((2, 2)))  # an answer, which is not kept
        store.keep(cache, len(prompt))
    assert store.asked_tokens == sum(map(len, prompts))


def test_a_borrowed_cache_does_not_share_memory() -> None:
    store = PrefixStore(new_cache)
    prompt = list(range(10))
    first = store.borrow(prompt, 12)
    first.append(prompt, rows_of(prompt))
    store.keep(first, 10)
    second = store.borrow([*prompt, 11], 12)
    second.rows[:] = -1
    assert (store.borrow([*prompt, 12], 12).filled == rows_of(prompt)).all()
    assert store.reused_tokens == 20


def test_the_least_recently_used_entry_goes_first() -> None:
    a, b, c = ([k] * 10 for k in (1, 2, 3))
    store = PrefixStore(new_cache, max_bytes=2 * 10 * 16)
    for prompt in (a, b):
        cache = store.borrow(prompt, 10)
        cache.append(prompt, rows_of(prompt))
        store.keep(cache, 10)
    assert store.borrow(a, 10).length == 9  # a is now the more recent one
    cache = store.borrow(c, 10)
    cache.append(c, rows_of(c))
    store.keep(cache, 10)
    assert [store.borrow(p, 10).length for p in (a, b, c)] == [9, 0, 9]
    store.clear()
    assert store.borrow(a, 10).length == 0
