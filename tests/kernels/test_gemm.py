"""Products with int8 weights: the kernel against the reference, the reference against dequantised weights."""

from __future__ import annotations

import pytest
import torch

from kernels.gemm import int8_linear

TOLERANCE = {torch.float32: 1e-5, torch.bfloat16: 1e-2, torch.float16: 2e-3}


def inputs(shape, dtype: torch.dtype, device: torch.device):
    *leading, i, o = shape
    weight = torch.randint(-127, 128, (o, i + 5), dtype=torch.int8)[:, :i]
    scale = (torch.rand(o) + 0.5) / 127 / i**0.5
    return torch.randn(*leading, i).to(device, dtype), weight.to(device), scale.to(device)


@pytest.mark.gpu
@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
@pytest.mark.parametrize(
    "shape", [(1, 1, 1), (2, 3, 33, 70), (70, 300, 40), (5, 128, 129), (0, 8, 8)], ids=str
)
def test_the_kernel_is_the_reference(device, launches, shape, dtype: torch.dtype) -> None:
    given = inputs(shape, dtype, device)
    found = int8_linear(*given, backend="triton")
    assert launches == ["_int8_linear_kernel"]
    assert found.dtype == dtype
    wanted = int8_linear(given[0].double(), *given[1:], backend="reference")
    torch.testing.assert_close(found.double(), wanted, atol=TOLERANCE[dtype], rtol=TOLERANCE[dtype])


def test_the_reference_is_the_product_with_dequantised_weights() -> None:
    x, weight, scale = inputs((4, 3, 10, 7), torch.float64, torch.device("cpu"))
    wanted = torch.nn.functional.linear(x, weight * scale.double()[:, None])
    torch.testing.assert_close(int8_linear(x, weight, scale), wanted)


def test_what_does_not_fit_is_refused() -> None:
    x, weight, scale = inputs((4, 10, 7), torch.float32, torch.device("cpu"))
    with pytest.raises(ValueError, match=r"x has shape \(4, 9\), expected \(4, 10\)"):
        int8_linear(x[:, :9], weight, scale)
    with pytest.raises(ValueError, match=r"the weight must be int8, not torch\.uint8"):
        int8_linear(x, weight.to(torch.uint8), scale)
    with pytest.raises(ValueError, match="scale must be float32"):
        int8_linear(x, weight, scale.double())


@pytest.mark.gpu
def test_the_launcher_refuses_layouts(device) -> None:
    x, weight, scale = inputs((4, 10, 7), torch.float32, device)
    with pytest.raises(ValueError, match="weight: the last dimension must be contiguous"):
        int8_linear(x, weight.T.contiguous().T, scale, backend="triton")
