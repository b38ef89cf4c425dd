"""Residual and RMSNorm: the kernel against the reference, the reference against the formula."""

from __future__ import annotations

import pytest
import torch

from kernels import dispatch
from kernels.norm import PEAKS, add_rms_norm, add_rms_norm_quantized

TOLERANCE = {torch.float32: 1e-5, torch.bfloat16: 2e-2, torch.float16: 1.5e-3}


def inputs(shape, dtype: torch.dtype, device: torch.device):
    x, residual = torch.randn(2, *shape, dtype=dtype, device=device)
    return x, residual, torch.rand(shape[-1], device=device) + 0.5


@pytest.mark.gpu
@pytest.mark.parametrize("has_residual", [True, False])
@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
@pytest.mark.parametrize("shape", [(1, 1), (3, 2, 96), (5, 1000), (0, 8)], ids=str)
def test_the_kernel_is_the_reference(device, launches, shape, dtype: torch.dtype, has_residual: bool) -> None:
    x, residual, weight = inputs(shape, dtype, device)
    given = (x, residual if has_residual else None)
    total, normed = add_rms_norm(*given, weight.to(dtype), 1e-5, backend="triton")
    assert launches == ["_add_rms_norm_kernel"]
    wanted_total, wanted = add_rms_norm(*given, weight.to(dtype), 1e-5, backend="reference")
    # The interpreter cuts float32 off to bfloat16 where a GPU rounds.
    close = TOLERANCE[dtype] if dispatch.INTERPRETED and dtype == torch.bfloat16 else 0
    torch.testing.assert_close(total, wanted_total, atol=0, rtol=close)
    assert normed.dtype == dtype
    torch.testing.assert_close(normed, wanted, atol=TOLERANCE[dtype], rtol=TOLERANCE[dtype])


@pytest.mark.gpu
@pytest.mark.parametrize("has_residual", [True, False])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("kind", PEAKS, ids=str)
@pytest.mark.parametrize("shape", [(1, 1), (3, 2, 96), (5, 1000), (0, 8)], ids=str)
def test_rows_of_8_bits_are_the_reference_s(device, launches, shape, kind, dtype, has_residual: bool) -> None:
    x, residual, weight = inputs(shape, dtype, device)
    given = (x, residual if has_residual else None, weight, 1e-5)
    total, rows, scale = add_rms_norm_quantized(*given, kind=kind, backend="triton")
    assert launches == ["_add_rms_norm_kernel"]
    assert (rows.dtype, rows.shape, scale.shape) == (kind, x.shape, x.shape[:-1])
    # Norm the kernel's own sum: a difference in its last bit would be one step of eight bits.
    _, wanted, wanted_scale = add_rms_norm_quantized(total, None, *given[2:], kind=kind, backend="reference")
    torch.testing.assert_close(scale, wanted_scale, atol=0, rtol=1e-5)
    found, wanted = rows.float(), wanted.float()
    # What lies halfway between two steps may go either way, since sums are added in another order; little does.
    assert (found - wanted).abs().le(wanted.abs() / 8 + (1 if kind == torch.int8 else 2**-9)).all()
    assert (found != wanted).float().mean().nan_to_num() <= 0.01


@pytest.mark.gpu
@pytest.mark.parametrize("backend", ["triton", "reference"])
@pytest.mark.parametrize("kind", PEAKS, ids=str)
def test_rows_of_8_bits_are_the_norm_but_for_half_a_step(device, kind, backend) -> None:
    x, residual, weight = inputs((6, 300), torch.float32, device)
    x[1], residual[1] = 0, 0
    x[2, 7] = 1e4
    _, normed = add_rms_norm(x, residual, weight, backend="reference")
    _, rows, scale = add_rms_norm_quantized(x, residual, weight, kind=kind, backend=backend)
    error = (rows.float() * scale[:, None] - normed).abs()
    step = scale[:, None] if kind == torch.int8 else torch.maximum(normed.abs() / 8, scale[:, None] * 2**-9)
    assert error.le(0.501 * step).all()
    assert rows[1].float().eq(0).all()


@pytest.mark.gpu
@pytest.mark.parametrize("backend", ["triton", "reference"])
def test_a_row_of_zeros_and_one_of_thousands(device, backend) -> None:
    """Squares of a float16 row of 1,000 are infinite in float16."""
    x = torch.tensor([[0.0] * 64, [1000.0] * 64], device=device).half()
    _, normed = add_rms_norm(x, None, torch.ones(64, device=device), backend=backend)
    assert normed[0].tolist() == [0] * 64
    assert normed[1].tolist() == pytest.approx([1] * 64)


def test_the_reference_is_the_formula() -> None:
    x, residual, weight = inputs((4, 10), torch.float64, torch.device("cpu"))
    total, normed = add_rms_norm(x, residual, weight, 0.1)
    assert torch.equal(total, x + residual)
    wanted = total / (total.square().mean(-1, keepdim=True) + 0.1).sqrt() * weight
    torch.testing.assert_close(normed, wanted)


def test_what_does_not_fit_is_refused() -> None:
    x = torch.zeros(2, 8)
    with pytest.raises(ValueError, match=r"weight has shape \(7,\), expected \(8,\)"):
        add_rms_norm(x, None, torch.ones(7))
    with pytest.raises(ValueError, match=r"residual has shape \(8,\)"):
        add_rms_norm(x, x[0], torch.ones(8))
    with pytest.raises(ValueError, match=r"rounded to torch\.float8_e4m3fn or torch\.int8, not torch\.uint8"):
        add_rms_norm_quantized(x, None, torch.ones(8), kind=torch.uint8)
    with pytest.raises(ValueError, match=r"the residual torch\.float16"):
        add_rms_norm(x, x.half(), torch.ones(8))


@pytest.mark.gpu
def test_the_launcher_refuses_layouts(device) -> None:
    x = torch.zeros(8, 2, device=device)
    with pytest.raises(ValueError, match="x must be contiguous"):
        add_rms_norm(x.T, None, torch.ones(8, device=device), backend="triton")
