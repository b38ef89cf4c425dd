"""Slots of caches: how many, whose they are, and what is given up before there are more."""

from __future__ import annotations

import gc
from dataclasses import replace

import pytest
import torch

from model.backends import pool as pools
from model.backends.interface import Pass
from model.backends.pool import FEWEST, MOST, Pool, PooledCache, slots_for
from model.cache import PrefixStore
from model.families import sizes
from model.loading import GUESTS
from model.request import BusyError
from model.tokenizer import EOS, MASK
from tests.model.test_gpu_backend import CONFIGS, PLAIN, both, ids, same

CPU, GIB = torch.device("cpu"), 1 << 30


@pytest.mark.parametrize(
    ("free", "slot", "count"),
    [
        (60 * GIB, GIB, MOST),
        (12 * GIB, GIB, 9),  # a quarter is left
        (3 * GIB, GIB // 2, 4),  # a GiB is left
        (GIB // 2, GIB, FEWEST),  # and it is tried
    ],
)
def test_there_are_as_many_slots_as_memory_has_room_for(free: int, slot: int, count: int) -> None:
    assert slots_for(free, slot) == count


def test_the_size_of_the_smallest_pool_is_known_beforehand() -> None:
    config = replace(PLAIN, context=8192, region_limit=1024)
    rows = sizes.slot_rows(config)
    pool = Pool(config, rows, torch.float32, CPU, lambda: None, lambda: False)
    assert (pool.count, pool.rows_NL2GSD.nbytes) == (FEWEST, sizes.cache_bytes(config, 4))


def test_a_slot_holds_the_longest_request_of_a_guest() -> None:
    assert GUESTS.prefix + GUESTS.suffix + 2 * GUESTS.sections == sizes.AROUND
    config = replace(PLAIN, context=8192, region_limit=1024)
    # A reply to a refactoring (`Reader._edit`, `capacity`): what surrounds the region, words and template, the region,
    # its new text among words, and two blocks.
    around, overhead, words = (GUESTS.prefix + GUESTS.suffix) // 2 + 2 * GUESTS.sections, 160, 64
    asked = around + words + overhead + config.region_limit
    answer = config.region_limit + config.block + overhead + 2 * config.block + 1
    assert asked + answer <= sizes.slot_rows(config) < config.context / 1.8
    small = replace(config, context=2048, region_limit=768)
    assert sizes.slot_rows(small) == 2048 + 768 + 256, "no more than a whole context"


def test_remembered_prompts_are_given_up_before_the_pool_grows() -> None:
    _, backend = both(CONFIGS["tri-mode"], CPU, uses_graphs=True)
    store = PrefixStore(backend.new_cache, max_bytes=1 << 40)
    backend.on_pressure(store.clear)
    count = backend._pool.count
    assert backend.spare == count
    for seed in range(count):
        cache = store.borrow(ids(20, seed), 40)
        cache.claim(ids(20, seed))  # type: ignore[attr-defined]
        store.keep(cache, 20)
    assert (backend._pool.free, backend.spare, store.remembered) == (0, count, count)
    held = [backend.new_cache(40)]
    assert [e.tokens for e in store._entries] == [ids(20, seed) for seed in range(1, count)], (
        "the oldest went"
    )
    held += [backend.new_cache(40) for _ in range(count - 1)]
    assert (backend._pool.count, backend.spare) == (count, 0)
    held.append(backend.new_cache(40))
    assert backend._pool.count > count
    assert len({cache.slot for cache in held}) == len(held)  # type: ignore[attr-defined]


@pytest.mark.gpu
def test_graphs_are_captured_again_where_the_pool_has_moved(cuda: torch.device) -> None:
    plain, fused = both(CONFIGS["tri-mode"], cuda)
    asks = []
    for backend in (plain, fused):
        cache, allowed = backend.new_cache(80), backend.allow([EOS])
        backend.forward([Pass(cache, ids(20, 1), (), (), allowed)])
        asks.append([Pass(cache, (), [MASK] * 4, range(4), allowed)])
    wanted = plain.forward(asks[0])
    same(fused.forward(asks[1]), wanted)
    count, captured = fused._pool.count, fused._graphs.shapes
    held = [fused.new_cache(80) for _ in range(count)]
    assert fused._pool.count > count
    assert captured
    assert fused._graphs.shapes == []
    for _ in range(2):
        same(fused.forward(asks[1]), wanted)
    assert len(fused._graphs.shapes) == 1
    del held


def test_where_memory_is_short_the_pool_does_not_grow(monkeypatch) -> None:
    _, backend = both(CONFIGS["tri-mode"], CPU)
    held = [backend.new_cache(40) for _ in range(backend._pool.count)]
    room = (len(held) + 1) * backend._pool.slot_bytes
    monkeypatch.setattr(pools, "free_bytes", lambda _: room)
    held.append(backend.new_cache(40))
    with pytest.raises(BusyError, match="all 3 caches that the memory of cpu has room for are in use"):
        backend.new_cache(40)
    held.pop()
    assert backend.new_cache(40).length == 0


def test_a_store_ends_with_its_engine_and_gives_its_caches_back() -> None:
    """Whoever compares policies makes a store for each request."""
    _, backend = both(CONFIGS["tri-mode"], CPU, uses_graphs=True)
    count = backend._pool.count
    for seed in range(12):
        store = PrefixStore(backend.new_cache, max_bytes=0)
        backend.on_pressure(store.clear)
        cache = store.borrow(ids(20, seed), 40)
        cache.claim(ids(20, seed))  # type: ignore[attr-defined]
        store.keep(cache, 20)
        assert backend.spare == count
        del store, cache
    gc.collect()
    assert (backend._pool.count, backend._pool.free) == (count, count)
    backend.on_pressure(kept := PrefixStore(backend.new_cache).clear)
    assert len(backend._relievers) == 1
    assert kept is not None


def test_what_the_store_forgets_is_free_though_a_finished_answer_holds_it() -> None:
    _, backend = both(CONFIGS["tri-mode"], CPU)
    store = PrefixStore(backend.new_cache, max_bytes=0)
    lanes = []
    for seed in range(5):
        lanes.append(store.borrow(ids(20, seed), 40))
        lanes[-1].claim(ids(20, seed))  # type: ignore[attr-defined]
        store.keep(lanes[-1], 20)
    assert backend._pool.count == FEWEST
    with pytest.raises(ValueError, match="the cache was closed"):
        _ = lanes[0].rows
    lanes[0].close()
    del lanes
    store.clear()
    assert sorted(backend._pool._free) == list(range(FEWEST)), "each was given back once"


@pytest.mark.parametrize(
    "places", [[], [0, 1, 2], [3, 4, 5], [0, 1, 5, 6, 7], [7, 2], [1, 0, 3], [4, 5, 0, 1, 9]]
)
@pytest.mark.parametrize("skip", [0, 2])
def test_rows_are_gathered_in_order(places: list[int], skip: int) -> None:
    pool = Pool(PLAIN, 64, torch.float32, CPU, lambda: None, lambda: False)
    cache = PooledCache(pool, 1)
    cache.claim([30] * 5)
    cache.rows.normal_()
    before = cache.rows.clone()
    cache.gather(places, skip)
    begin = 5 + skip
    assert torch.equal(cache.rows[..., :begin, :], before[..., :begin, :])
    wanted = before[..., [begin + place for place in places], :]
    assert torch.equal(cache.rows[..., begin : begin + len(places), :], wanted)


def test_a_cache_that_is_remembered_again_stays_open() -> None:
    _, backend = both(CONFIGS["tri-mode"], CPU)
    store = PrefixStore(backend.new_cache)
    cache = store.borrow(ids(20, 1), 40)
    cache.claim(ids(20, 1))  # type: ignore[attr-defined]
    store.keep(cache, 20)
    store.keep(cache, 20)
    assert (store.remembered, backend._pool.free) == (1, FEWEST - 1)
    assert store.borrow(ids(20, 1), 40).length == 19
