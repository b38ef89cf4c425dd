"""QK-norm, rotary embedding and cache write: the kernel against the reference, that against the transformer's."""

from __future__ import annotations

import pytest
import torch

from kernels.rope import rotate_and_store
from model.rotary import Rotary

TOLERANCE = {torch.float32: 2e-5, torch.bfloat16: 2e-2, torch.float16: 3e-3}
SHAPES = [
    # batch, new rows, query heads, key/value heads, head size, frequencies, cache rows
    (1, 1, 1, 1, 2, 1, 1),
    (2, 3, 4, 2, 64, 32, 9),
    (1, 5, 3, 1, 96, 24, 12),  # half of each head is turned
    (3, 2, 2, 2, 10, 3, 7),
]


def inputs(shape, dtype: torch.dtype, device: torch.device, norm: bool = True):
    """Keys and values as one projection gives them, caches full of NaN, scattered slots, some of them outside."""
    b, t, h, g, d, f, s = shape
    q = torch.randn(b, t, h, d, dtype=dtype, device=device)
    k, v = torch.randn(b, t, 2, g, d, dtype=dtype, device=device).unbind(2)
    slots = torch.stack([torch.randperm(s)[:t] for _ in range(b)]).to(device, torch.int32)
    if t > 1:
        slots[0, 1] = -1
        slots[-1, 0] = s
    positions = torch.randint(0, 30_000, (b, t), device=device)
    frequencies = 10_000.0 ** (-torch.arange(f) / f)
    cache = torch.full((b, 2, g, s, d), float("nan"), dtype=dtype, device=device)
    weights = torch.rand(2, d, device=device).to(dtype) + 0.5
    options = {"q_weight_D": weights[0], "k_weight_D": weights[1], "eps": 1e-5} if norm else {}
    return (q, k, v, positions, slots, frequencies.to(device), cache[:, 0], cache[:, 1]), options


@pytest.mark.gpu
@pytest.mark.parametrize("norm", [True, False])
@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_the_kernel_is_the_reference(device, launches, shape, dtype: torch.dtype, norm: bool) -> None:
    given, options = inputs(shape, dtype, device, norm)
    copies = [t.clone() for t in given]
    found = rotate_and_store(*given, **options, backend="triton")
    assert launches == ["_rotate_kernel"]
    wanted = rotate_and_store(*copies, **options, backend="reference")
    # Angles of 30,000 radians are rounded to 1/1000 in float32, by both alike.
    close = {"atol": TOLERANCE[dtype], "rtol": TOLERANCE[dtype], "equal_nan": True}
    assert found.dtype == dtype
    assert not found.isnan().any()
    torch.testing.assert_close(found, wanted, **close)
    torch.testing.assert_close(given[6], copies[6], **close)
    assert torch.equal(given[7].isnan(), copies[7].isnan())
    assert torch.equal(given[7].nan_to_num(), copies[7].nan_to_num())


@pytest.mark.gpu
def test_a_sequence_writes_into_its_own_slot(device, launches) -> None:
    """And what is turned may be made larger."""
    given, options = inputs(SHAPES[1], torch.float32, device)
    cache = torch.full((5, 2, *given[6].shape[1:]), float("nan"), device=device)
    slot = torch.tensor([3, 0], dtype=torch.int32, device=device)
    more = {**options, "magnitude": 1.5}
    wanted = rotate_and_store(*given, **more, backend="reference")
    found = rotate_and_store(*given[:6], cache[:, 0], cache[:, 1], **more, slot_B=slot, backend="triton")
    assert launches == ["_rotate_kernel"]
    close = {"atol": 2e-5, "rtol": 2e-5, "equal_nan": True}
    torch.testing.assert_close(found, wanted, **close)
    torch.testing.assert_close(cache[[3, 0], 0], given[6], **close)
    assert cache[[1, 2, 4]].isnan().all()
    plain = rotate_and_store(*given, **options, backend="reference")
    f = given[5].shape[0]
    torch.testing.assert_close(found[..., : 2 * f], 1.5 * plain[..., : 2 * f], atol=2e-5, rtol=2e-5)


def test_the_reference_turns_as_the_transformer_does() -> None:
    """And it touches no row of the cache that no slot names."""
    given, _ = inputs((2, 3, 4, 2, 8, 4, 9), torch.float64, torch.device("cpu"), norm=False)
    q, k, v, positions, slots, frequencies, cache_k, cache_v = given
    found = rotate_and_store(*given)
    angles = positions[..., None] * frequencies.double()
    rotary = Rotary(angles.cos(), angles.sin())
    turned = rotary.turn(k.transpose(1, 2))
    torch.testing.assert_close(found, rotary.turn(q.transpose(1, 2)))
    named = [(b, t, int(slots[b, t])) for b in range(2) for t in range(3) if 0 <= slots[b, t] < 9]
    assert len(named) == 4
    for b, t, slot in named:
        torch.testing.assert_close(cache_k[b, :, slot], turned[b, :, t])
        assert torch.equal(cache_v[b, :, slot], v[b, t])
    assert cache_k.isnan()[:, 0, :, 0].sum() == 2 * 9 - len(named)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({1: lambda k: k[:, :2]}, r"k has shape \(2, 2, 2, 8\), expected \(2, 3, 2, 8\)"),
        ({3: torch.Tensor.float}, "positions must be integers, not torch.float32"),
        ({5: lambda f: f.repeat(2)}, "8 frequencies turn 16 numbers, and a head has 8"),
        ({6: torch.Tensor.half}, "differ in dtype: torch.float16, torch.float32"),
        ({7: lambda cache: cache[:, :, :4]}, "cache_v has shape"),
    ],
)
def test_what_does_not_fit_is_refused(change, message: str) -> None:
    given, _ = inputs((2, 3, 4, 2, 8, 4, 9), torch.float32, torch.device("cpu"))
    with pytest.raises(ValueError, match=message):
        rotate_and_store(*(change.get(n, lambda t: t)(tensor) for n, tensor in enumerate(given)))


@pytest.mark.gpu
def test_the_launcher_refuses_layouts(device) -> None:
    given, _ = inputs(SHAPES[1], torch.float32, device)
    turned = given[0].transpose(2, 3).contiguous().transpose(2, 3)
    with pytest.raises(ValueError, match="q: the last dimension must be contiguous"):
        rotate_and_store(turned, *given[1:], backend="triton")
