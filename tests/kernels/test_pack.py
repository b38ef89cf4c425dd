"""Weights of four and eight bits: packing loses nothing, rounding loses no more than half a step."""

from __future__ import annotations

import pytest
import torch

from kernels.pack import dequantize_int4, pack_int4, quantize_fp8, quantize_int4, unpack_int4


@pytest.mark.parametrize("group", [32, 64, 128])
@pytest.mark.parametrize("shape", [(1, 1), (3, 128), (5, 300), (0, 64)], ids=str)
def test_packing_loses_nothing(shape, group: int) -> None:
    q = torch.randint(16, shape, dtype=torch.uint8)
    packed = pack_int4(q, group)
    assert packed.shape == (shape[0], -(-shape[1] // group), group // 2)
    assert torch.equal(unpack_int4(packed, shape[1]), q)


def test_a_byte_holds_an_input_and_the_one_half_a_group_on() -> None:
    q = torch.arange(128).remainder(16).to(torch.uint8)[None]
    q[0, 64 + 32] = 9
    assert pack_int4(q, 64)[0, 1, 0].item() == 9 << 4 | q[0, 64]


@pytest.mark.parametrize("group", [32, 128])
@pytest.mark.parametrize("symmetric", [True, False])
def test_int4_is_within_half_a_step(symmetric: bool, group: int) -> None:
    weight = torch.randn(6, 200) + torch.tensor([0.0, 5, -5, 0, 0, 0])[:, None]
    weight[3] = 0
    weight[4, :150] = 1e-4
    found = quantize_int4(weight, group, symmetric)
    back = dequantize_int4(found, 200)
    # A scale is rounded to bfloat16: at the ends, eight or fifteen steps away, that is up to another 0.03 steps.
    step = found.scale_NO.float().T.repeat_interleave(group, 1)[:, :200]
    assert (back - weight).abs().le(0.54 * step + 1e-30).all()
    assert back[3].eq(0).all()
    assert symmetric == (found.zero_NO is None)


def test_weights_on_the_grid_come_back() -> None:
    q = torch.randint(16, (4, 128), dtype=torch.uint8)
    q[:, 0], q[:, 1] = 0, 15
    weight = (q.float() - 6) * 0.25
    found = quantize_int4(weight, 128)
    assert torch.equal(unpack_int4(found.packed_ONH, 128), q)
    assert torch.equal(dequantize_int4(found, 128), weight)


def test_fp8_is_within_half_a_step() -> None:
    weight = torch.randn(5, 100) * torch.tensor([1e-20, 1e-3, 0.0, 1.0, 1e5])[:, None]
    rows, scale = quantize_fp8(weight)
    back = rows.float() * scale[:, None]
    assert rows.dtype == torch.float8_e4m3fn
    assert not back.isnan().any()
    # Three bits behind the leading one; below the least normal number, 2^-6, steps of 2^-9.
    assert (back - weight).abs().le(weight.abs() / 16 + scale[:, None] * 2**-10).all()
    assert back[2].eq(0).all()


def test_what_cannot_be_packed_is_refused() -> None:
    q = torch.zeros(2, 64, dtype=torch.uint8)
    with pytest.raises(ValueError, match="groups have 32, 64, 128 inputs, not 16"):
        pack_int4(q, 16)
    with pytest.raises(ValueError, match=r"must be uint8, not torch\.int8"):
        pack_int4(q.to(torch.int8))
    with pytest.raises(ValueError, match="must be below 16"):
        pack_int4(q + 16)
    with pytest.raises(ValueError, match=r"scale has shape \(1, 3\), expected \(1, 2\)"):
        dequantize_int4(quantize_int4(q.float())._replace(scale_NO=torch.ones(1, 3)), 64)
