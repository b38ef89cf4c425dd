"""Attention over a cache: the kernel against the reference, the reference's rule against plain loops."""

from __future__ import annotations

import itertools
import math

import pytest
import torch

from kernels import attention, dispatch
from kernels.attention import _splits, cached_attention, canvas_attention_reference, visible

TOLERANCE = {torch.float32: 2e-5, torch.bfloat16: 2e-2, torch.float16: 3e-3}
SHAPES = [
    # heads, key/value heads, head size, query rows, cache rows, splits, window; (past, causal, rows) of each sequence
    (1, 1, 64, 1, 7, 1, None, [(3, 1, 1)]),
    (4, 2, 64, 8, 150, 3, None, [(130, 0, 8), (0, 3, 8), (77, 8, 8)]),
    (6, 2, 96, 5, 150, 2, 40, [(140, 2, 5), (1, 0, 4)]),
    (8, 2, 32, 18, 90, 1, 1, [(69, 9, 18), (5, 18, 18), (33, 0, 17)]),
    (2, 2, 128, 16, 96, 8, None, [(64, 0, 16), (0, 0, 3)]),  # more splits than blocks of keys
    (3, 1, 40, 19, 64, None, None, [(20, 6, 19), (0, 0, 0)]),  # a sequence that is only padding
]
CASES = [
    *itertools.product(SHAPES, (torch.float32, torch.bfloat16)),
    (SHAPES[1], torch.float16),  # compiled as bfloat16 is
]


def inputs(shape, dtype: torch.dtype, device: torch.device):
    """The queries as a projection lays them out, keys and values as one cache; what no row sees is NaN."""
    heads, groups, d, t, s, *_, counts = shape
    b = len(counts)
    q = torch.randn(b, t, heads, d, dtype=dtype, device=device).transpose(1, 2)
    cache = torch.randn(b, 2, groups, s, d, dtype=dtype, device=device)
    for n, (past, _, rows) in enumerate(counts):
        cache[n, :, :, past + rows :] = math.nan
    past, causal, rows = torch.tensor(counts, dtype=torch.int32, device=device).T.contiguous()
    return q, cache[:, 0], cache[:, 1], past, causal, rows


@pytest.mark.gpu
@pytest.mark.parametrize(("shape", "dtype"), CASES, ids=str)
def test_the_kernel_is_the_reference(device, launches, shape, dtype: torch.dtype) -> None:
    *_, splits, window, _ = shape
    given = inputs(shape, dtype, device)
    found = cached_attention(*given, window=window, splits=splits, backend="triton")
    assert launches[0] == "_attend_kernel"
    wide = [tensor.double() for tensor in given[:3]]
    wanted = cached_attention(*wide, *given[3:], window=window, backend="reference")
    assert found.dtype == dtype
    assert found.shape == wanted.shape
    torch.testing.assert_close(found.double(), wanted, atol=TOLERANCE[dtype], rtol=TOLERANCE[dtype])


@pytest.mark.gpu
@pytest.mark.parametrize("block", [2, 4])
def test_clean_rows_see_their_block_and_sequences_their_slot(device, launches, block: int) -> None:
    given = inputs((4, 2, 32, 11, 90, 2, None, [(68, 8, 11), (4, 6, 6)]), torch.float32, device)
    cache = torch.full((5, 2, *given[1].shape[1:]), math.nan, device=device)
    slot = torch.tensor([2, 4], dtype=torch.int32, device=device)
    cache[slot.long(), 0], cache[slot.long(), 1] = given[1], given[2]
    options = {"block": block, "slot_B": slot, "splits": 2}
    found = cached_attention(given[0], cache[:, 0], cache[:, 1], *given[3:], **options, backend="triton")
    assert launches[0] == "_attend_kernel"
    wanted = cached_attention(*given, block=block, backend="reference")
    torch.testing.assert_close(found, wanted, atol=2e-5, rtol=2e-5)


@pytest.mark.gpu
def test_splits_change_nothing_but_rounding(device, launches) -> None:
    given = inputs((4, 1, 32, 4, 300, None, None, [(290, 2, 4), (64, 0, 4)]), torch.float32, device)
    one = cached_attention(*given, splits=1, backend="triton")
    assert launches == ["_attend_kernel"]
    for splits in (2, 5):
        torch.testing.assert_close(
            cached_attention(*given, splits=splits, backend="triton"), one, atol=1e-6, rtol=1e-5
        )
    assert launches[-1] == "_join_kernel"


@pytest.mark.gpu
@pytest.mark.parametrize("splits", [1, 4, 16, 64, None])
@pytest.mark.parametrize("window", [None, 9])
def test_keys_that_the_host_rules_out_change_nothing(device, launches, splits, window) -> None:
    """Most of the splits have no keys; what they leave unwritten is NaN, and so is the cache behind `keys`."""
    given = inputs(
        (4, 2, 32, 8, 600, None, None, [(50, 3, 8), (110, 0, 8), (0, 0, 0)]), torch.float32, device
    )
    options = {"splits": splits, "window": window}
    found = cached_attention(*given, **options, keys=128, backend="triton")
    assert launches[0] == "_attend_kernel"
    wanted = cached_attention(*given, window=window, backend="reference")
    torch.testing.assert_close(found, wanted, atol=2e-5, rtol=2e-5)
    assert torch.equal(
        found, cached_attention(*given, **{**options, "splits": splits or 1}, backend="triton")
    )
    assert torch.equal(cached_attention(*given, window=window, keys=128, backend="reference"), wanted)


@pytest.mark.gpu
def test_splits_without_keys_leave_their_sums_alone(device, monkeypatch) -> None:
    given = inputs((4, 2, 32, 8, 600, None, None, [(50, 3, 8)]), torch.float32, device)
    left: list[tuple[torch.Tensor, torch.Tensor]] = []
    launch = dispatch.launch

    def look(kernel, grid, *arguments, **meta) -> None:
        launch(kernel, grid, *arguments, **meta)
        if kernel.__name__ == "_attend_kernel":
            left.append((arguments[3].clone(), arguments[4].clone()))

    monkeypatch.setattr(dispatch, "launch", look)
    cached_attention(*given, splits=8, keys=128, backend="triton")
    [(part_PBHTD, lse_PBHT)] = left
    # 58 keys are two blocks of 32.
    assert torch.isfinite(part_PBHTD[:2]).all()
    assert part_PBHTD[2:].isnan().all()
    assert (lse_PBHT[2:] == -math.inf).all()


def test_splits_follow_the_keys_and_not_the_cache(monkeypatch) -> None:
    monkeypatch.setattr(dispatch, "processors", lambda _: 132)
    q, k = (
        torch.zeros(1, 32, 32, 128, dtype=torch.bfloat16),
        torch.zeros(1, 8, 9472, 128, dtype=torch.bfloat16),
    )
    assert [_splits(q, k, keys) for keys in (1, 512, 1024, 4096, 9472)] == [1, 2, 4, 16, 32]
    assert _splits(q.expand(8, -1, -1, -1), k, 9472) == 4, "a batch fills the GPU by itself"


@pytest.mark.gpu
def test_what_the_host_knows_decides_the_splits(device, monkeypatch) -> None:
    given = inputs((4, 2, 32, 8, 90, None, None, [(50, 3, 8)]), torch.float32, device)
    told: list[int] = []
    monkeypatch.setattr(attention, "_splits", lambda q, k, keys: told.append(keys) or 1)
    for keys in (64, 1000, None):
        cached_attention(*given, keys=keys, backend="triton")
    assert told == [64, 90, 90]


@pytest.mark.gpu
def test_large_scores_do_not_overflow(device) -> None:
    given = inputs((2, 1, 32, 3, 40, None, None, [(30, 0, 3)]), torch.float32, device)
    found = cached_attention(given[0] * 1e4, *given[1:], splits=2, backend="triton")
    assert torch.isfinite(found).all()


@pytest.mark.gpu
def test_without_a_word_the_kernel_is_chosen(device, launches) -> None:
    given = inputs(SHAPES[0], torch.float32, device)
    cached_attention(*given)
    assert launches == ["_attend_kernel"]
    cached_attention(*(t.double() for t in given[:3]), *given[3:])
    assert launches == ["_attend_kernel"], "float64 is the reference's"


@pytest.mark.parametrize("block", [1, 2, 4])
@pytest.mark.parametrize("window", [None, 1, 3, 50])
def test_the_rule_of_what_is_visible(window: int | None, block: int) -> None:
    counts = [(5, 2, 6), (0, 6, 6), (9, 0, 4), (3, 5, 6)]
    past, causal, rows = torch.tensor(counts, dtype=torch.int32).T
    found = visible(past, causal, rows, 6, 16, window, block)
    for b, (p, c, n) in enumerate(counts):
        for t in range(6):
            for s in range(16):
                own = [row for row in range(c) if row // block == t // block]
                last = p + max(own) if t < c else p + n - 1
                wanted = t < n and s <= last and (window is None or p + t - s < window)
                assert found[b, t, s] == wanted, (b, t, s)


def test_the_reference_is_attention_under_that_rule() -> None:
    q, k, v, *counts = inputs(
        (4, 2, 8, 6, 20, None, None, [(5, 2, 6), (9, 0, 4)]), torch.float64, torch.device("cpu")
    )
    found = cached_attention(q, k, v, *counts, backend="reference")
    mask = visible(*counts, 6, 20, None)
    for b, seen in enumerate((11, 13)):
        part = [t[b : b + 1, :, :seen] for t in (k, v)]
        rows = int(counts[2][b])
        wanted = canvas_attention_reference(q[b : b + 1, :, :rows], *part, mask[b : b + 1, :rows, :seen])
        torch.testing.assert_close(found[b : b + 1, :, :rows], wanted)
        assert (found[b, :, rows:] == 0).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({0: lambda q: q[:, :3]}, "3 query heads cannot share 2"),
        ({1: lambda k: k[..., :4]}, r"k has shape \(2, 2, 20, 4\), expected \(2, 2, 20, 8\)"),
        ({2: lambda v: v[:, :, :9]}, "v has shape"),
        ({1: torch.Tensor.double}, "q, k and v differ in dtype"),
        ({3: torch.Tensor.long}, "past must be int32, not torch.int64"),
        ({5: lambda rows: rows[:1]}, r"rows has shape \(1,\), expected \(2,\)"),
    ],
)
def test_what_does_not_fit_is_refused(change, message: str) -> None:
    shape = (4, 2, 8, 6, 20, None, None, [(5, 2, 6), (9, 0, 4)])
    given = inputs(shape, torch.float32, torch.device("cpu"))
    changed = [change.get(n, lambda t: t)(tensor) for n, tensor in enumerate(given)]
    with pytest.raises(ValueError, match=message):
        cached_attention(*changed)


@pytest.mark.gpu
def test_the_launcher_refuses_layouts(device) -> None:
    q, k, v, *counts = inputs(SHAPES[1], torch.float32, device)
    turned = k.transpose(2, 3).contiguous().transpose(2, 3)
    with pytest.raises(ValueError, match="k: the last dimension must be contiguous"):
        cached_attention(q, turned, v, *counts, backend="triton")
    with pytest.raises(ValueError, match="heads of 256 are larger than 128"):
        cached_attention(*(t.repeat(1, 1, 1, 4) for t in (q, k, v)), *counts, backend="triton")
