"""Products with small weights: the kernels against the references, the references against dequantised weights."""

from __future__ import annotations

import pytest
import torch

from kernels.gemm import MANY_ROWS, fp8_linear, int4_linear, int8_linear, linear
from kernels.pack import dequantize_int4, quantize_fp8, quantize_int4

TOLERANCE = {torch.float32: 1e-5, torch.bfloat16: 1e-2, torch.float16: 2e-3}
FORMATS = ["int8", "fp8", "int4", "int4-symmetric-32"]
SHAPES = [
    # leading dimensions of the rows, inputs, outputs, splits
    ((1,), 1, 1, None),
    ((2, 3), 33, 70, None),
    ((70,), 300, 40, 2),
    ((5,), 128, 129, 3),  # more splits than steps
    ((0,), 8, 8, None),
]


def inputs(kind: str, leading, i: int, o: int, dtype: torch.dtype, device: torch.device):
    """The product, the rows and the weight in its parts."""
    weight = torch.randn(o, i + 5)[:, :i] / i**0.5
    x = torch.randn(*leading, i).to(device, dtype)
    if kind == "int8":
        rows = torch.randint(-127, 128, (o, i + 5), dtype=torch.int8)[:, :i].to(device)
        return int8_linear, x, (rows, ((torch.rand(o) + 0.5) / 127 / i**0.5).to(device))
    if kind == "fp8":
        return fp8_linear, x, tuple(part.to(device) for part in quantize_fp8(weight))
    packed = quantize_int4(weight, *((32, True) if kind.endswith("32") else ()))
    return int4_linear, x, (type(packed)(*(None if t is None else t.to(device) for t in packed)),)


@pytest.mark.gpu
@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("kind", FORMATS)
def test_the_kernel_is_the_reference(device, launches, kind: str, shape, dtype: torch.dtype) -> None:
    leading, i, o, splits = shape
    product, x, weight = inputs(kind, leading, i, o, dtype, device)
    found = product(x, *weight, splits=splits, backend="triton")
    assert launches[0] == ("_int4_linear_kernel" if "int4" in kind else "_scaled_linear_kernel")
    assert launches[1:] == (["_sum_kernel"] if splits else [])
    assert found.dtype == dtype
    wanted = product(x.double(), *weight, backend="reference")
    torch.testing.assert_close(found.double(), wanted, atol=TOLERANCE[dtype], rtol=TOLERANCE[dtype])


@pytest.mark.gpu
@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
@pytest.mark.parametrize("kind", FORMATS)
def test_many_rows_are_multiplied_by_the_library(device, launches, kind: str, dtype: torch.dtype) -> None:
    product, x, weight = inputs(kind, (2, MANY_ROWS), 300, 70, dtype, device)
    found = product(x, *weight, backend="triton")
    assert launches == (["_widen_int4_kernel"] if "int4" in kind else [])
    assert found.dtype == dtype
    wanted = product(x.double(), *weight, backend="reference")
    torch.testing.assert_close(found.double(), wanted, atol=TOLERANCE[dtype], rtol=TOLERANCE[dtype])
    launches.clear()
    product(x[0], *weight, backend="triton")
    assert "linear_kernel" in launches[0], "no more than these the kernels multiply"


@pytest.mark.gpu
@pytest.mark.parametrize("kind", ["int8", "int4"])
def test_long_products_are_split_without_a_word_and_always_the_same(device, launches, kind: str) -> None:
    product, x, weight = inputs(kind, (2,), 1100, 64, torch.float32, device)
    found = product(x, *weight, backend="triton")
    assert launches[-1] == "_sum_kernel"
    assert torch.equal(product(x, *weight, backend="triton"), found)
    torch.testing.assert_close(found, product(x, *weight, splits=1, backend="triton"), atol=1e-6, rtol=1e-5)


@pytest.mark.gpu
def test_every_number_of_fp8_is_widened(device) -> None:
    """Negative, subnormal and zero: outputs are the table of all codes but the two NaN."""
    codes = torch.tensor([n for n in range(256) if n & 127 != 127], dtype=torch.uint8)
    weight = codes.view(torch.float8_e4m3fn)[:, None].contiguous()
    given = (torch.ones(1, 1), weight, torch.ones(len(codes)))
    found = fp8_linear(*(t.to(device) for t in given), backend="triton")
    assert torch.equal(found[0].cpu(), weight[:, 0].float())


def test_the_references_are_the_product_with_dequantised_weights() -> None:
    cpu = torch.device("cpu")
    for kind in ("int8", "fp8"):
        product, x, (weight, scale) = inputs(kind, (4, 3), 10, 7, torch.float64, cpu)
        wanted = linear(x, weight.double() * scale.double()[:, None])
        torch.testing.assert_close(product(x, weight, scale), wanted)
    product, x, (weight,) = inputs("int4", (4, 3), 140, 7, torch.float64, cpu)
    torch.testing.assert_close(product(x, weight), linear(x, dequantize_int4(weight, 140).double()))


def test_what_does_not_fit_is_refused() -> None:
    cpu = torch.device("cpu")
    _, x, (weight, scale) = inputs("int8", (4,), 10, 7, torch.float32, cpu)
    with pytest.raises(ValueError, match=r"x has shape \(4, 9\), expected \(4, 10\)"):
        int8_linear(x[:, :9], weight, scale)
    with pytest.raises(ValueError, match=r"the weight must be int8, not torch\.uint8"):
        int8_linear(x, weight.to(torch.uint8), scale)
    with pytest.raises(ValueError, match="scale must be float32"):
        int8_linear(x, weight, scale.double())
    with pytest.raises(ValueError, match=r"must be torch\.float8_e4m3fn, not torch\.int8"):
        fp8_linear(x, weight, scale)
    _, x, (weight,) = inputs("int4", (4,), 130, 7, torch.float32, cpu)
    with pytest.raises(ValueError, match=r"packed has shape \(7, 2, 64\), expected \(7, 1, 64\)"):
        int4_linear(x[:, :100], weight)
    with pytest.raises(ValueError, match="groups have 32, 64, 128 inputs, not 24"):
        int4_linear(x, weight._replace(packed_ONH=weight.packed_ONH[..., :12]))
    with pytest.raises(ValueError, match="zero must be uint8"):
        int4_linear(x, weight._replace(zero_NO=weight.zero_NO.float()))


@pytest.mark.gpu
def test_the_launcher_refuses_layouts(device) -> None:
    _, x, (weight, scale) = inputs("int8", (4,), 10, 7, torch.float32, device)
    with pytest.raises(ValueError, match="weight: the last dimension must be contiguous"):
        int8_linear(x, weight.T.contiguous().T, scale, backend="triton")
    _, x, (weight,) = inputs("int4", (4,), 130, 7, torch.float32, device)
    with pytest.raises(ValueError, match="scale must be contiguous"):
        int4_linear(x, weight._replace(scale_NO=weight.scale_NO.T.contiguous().T), backend="triton")
