"""Products of groups of rows: the kernel against the reference, the reference against plain loops."""

from __future__ import annotations

import pytest
import torch

from kernels.gemm import linear
from kernels.grouped import Scaled, Stack, grouped_linear
from kernels.pack import Int4, dequantize_int4, quantize_fp8, quantize_int4

TOLERANCE = {torch.float32: 1e-4, torch.bfloat16: 3e-2, torch.float16: 4e-3}
SMALL = ["int8", "fp8", "int4", "int4-symmetric-32"]
SHAPES = [
    # rows of each group, inputs, outputs, source rows (None: the rows themselves)
    ([3], 8, 5, None),
    ([0, 4, 0, 0, 1], 70, 65, 3),
    ([20, 0, 35], 33, 130, 9),
    ([0, 0], 16, 16, 4),
    ([2, 70, 0], 300, 40, None),
]


def inputs(shape, dtype: torch.dtype, device: torch.device):
    counts, i, o, sources = shape
    m = sum(counts)
    x = torch.randn(m if sources is None else sources, i, device=device).to(dtype)
    weight = torch.randn(len(counts), o, i, device=device).to(dtype)
    ends = torch.tensor(counts, device=device).cumsum(0).to(torch.int32)
    source = None if sources is None else torch.randint(0, sources, (m,), device=device, dtype=torch.int32)
    return x, weight, ends, source


@pytest.mark.gpu
@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_the_kernel_is_the_reference(device, launches, shape, dtype: torch.dtype) -> None:
    given = inputs(shape, dtype, device)
    found = grouped_linear(*given, backend="triton")
    assert launches == ["_grouped_kernel"]
    wanted = grouped_linear(*given, backend="reference")
    assert found.dtype == dtype
    torch.testing.assert_close(found, wanted, atol=TOLERANCE[dtype] * 8, rtol=TOLERANCE[dtype])


def small(kind: str, weight_EOI: torch.Tensor) -> Stack:
    """Each matrix on its own; rows of eight bits lie further apart than they are long."""
    device = weight_EOI.device
    if kind.startswith("int4"):
        each = [quantize_int4(w, *((32, True) if kind.endswith("32") else ())) for w in weight_EOI.cpu()]
        packed, scale, zero = zip(*each, strict=True)
        stacked = [
            None if part[0] is None else torch.stack(part).to(device) for part in (packed, scale, zero)
        ]
        return Int4(*stacked)  # type: ignore[arg-type]
    if kind == "fp8":
        rows, scales = zip(*map(quantize_fp8, weight_EOI.cpu()), strict=True)
        return Scaled(torch.stack(rows).to(device), torch.stack(scales).to(device))
    e, o, i = weight_EOI.shape
    rows = torch.randint(-127, 128, (e, o + 1, i + 5), dtype=torch.int8)[:, :o, :i].to(device)
    return Scaled(rows, (torch.rand(e, o) + 0.5).to(device) / 60)


def dequantised(weight: Stack, inputs: int) -> torch.Tensor:
    """Float64 `[E, O, I]`."""
    assert not isinstance(weight, torch.Tensor)
    if isinstance(weight, Scaled):
        return weight.weight_EOI.double() * weight.scale_EO.double()[..., None]
    packed, scale, zero = weight
    each = zip(packed, scale, [None] * len(packed) if zero is None else zero, strict=True)
    return torch.stack([dequantize_int4(Int4(*one), inputs) for one in each]).double()


@pytest.mark.gpu
@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("kind", SMALL)
def test_the_kernels_widen_small_weights(device, launches, kind: str, shape, dtype: torch.dtype) -> None:
    x, weight, ends, source = inputs(shape, dtype, device)
    stack = small(kind, weight.float())
    found = grouped_linear(x, stack, ends, source, backend="triton")
    assert launches == ["_grouped_int4_kernel" if "int4" in kind else "_grouped_kernel"]
    wanted = grouped_linear(x.double(), stack, ends, source, backend="reference")
    assert found.dtype == dtype
    # Weights of eight bits and numbers of four widen exactly: only the result is rounded.
    tolerance = {torch.float32: 1e-5, torch.bfloat16: 1e-2, torch.float16: 2e-3}[dtype]
    torch.testing.assert_close(found.double(), wanted, atol=tolerance * 8, rtol=tolerance)


@pytest.mark.parametrize("kind", SMALL)
def test_the_reference_is_the_product_with_dequantised_matrices(kind: str) -> None:
    x, weight, ends, source = inputs(([5, 0, 3], 140, 7, 9), torch.float64, torch.device("cpu"))
    stack = small(kind, weight.float())
    wide = dequantised(stack, 140)
    found = grouped_linear(x, stack, ends, source)
    assert source is not None
    for m, n in enumerate(source.tolist()):
        torch.testing.assert_close(found[m], linear(x[n], wide[0 if m < 5 else 2]))


def test_the_reference_multiplies_each_row_by_its_groups_matrix() -> None:
    x, weight, ends, source = inputs(SHAPES[2], torch.float64, torch.device("cpu"))
    found = grouped_linear(x, weight, ends, source)
    assert source is not None
    for m, n in enumerate(source.tolist()):
        group = next(e for e, end in enumerate(ends.tolist()) if m < end)
        torch.testing.assert_close(found[m], weight[group] @ x[n])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({0: lambda x: x[:, :9]}, r"x has shape \(9, 9\), expected \(9, 33\)"),
        ({2: torch.Tensor.long}, "ends must be int32, not torch.int64"),
        ({2: lambda ends: ends[:2]}, r"ends has shape \(2,\), expected \(3,\)"),
        ({3: torch.Tensor.long}, "source must be int32"),
        ({1: torch.Tensor.double}, "x is torch.float32, the weights torch.float64"),
    ],
)
def test_what_does_not_fit_is_refused(change, message: str) -> None:
    given = inputs(SHAPES[2], torch.float32, torch.device("cpu"))
    changed = [change.get(n, lambda t: t)(tensor) for n, tensor in enumerate(given)]
    with pytest.raises(ValueError, match=message):
        grouped_linear(*changed)


@pytest.mark.parametrize(
    ("kind", "change", "message"),
    [
        ("int8", {"scale_EO": lambda t: t[:, :9]}, r"scale has shape \(3, 9\), expected \(3, 130\)"),
        ("int8", {"scale_EO": torch.Tensor.double}, "scale must be float32"),
        ("fp8", {"weight_EOI": torch.Tensor.float}, "must be int8 or float8_e4m3fn, not torch.float32"),
        ("fp8", {"weight_EOI": lambda t: t[..., :9]}, r"x has shape \(9, 33\), expected \(9, 9\)"),
        ("int4", {"packed_ONH": lambda t: t[..., :12]}, "groups have 32, 64, 128 inputs, not 24"),
        ("int4", {"packed_ONH": lambda t: t.repeat(1, 1, 2, 1)}, r"packed has shape \(3, 130, 2, 64\)"),
        ("int4", {"scale_NO": lambda t: t.mT}, r"scale has shape \(3, 130, 1\), expected \(3, 1, 130\)"),
        ("int4", {"zero_NO": torch.Tensor.int}, "zero must be uint8"),
    ],
)
def test_small_matrices_that_do_not_fit_are_refused(kind: str, change, message: str) -> None:
    x, weight, ends, source = inputs(SHAPES[2], torch.float32, torch.device("cpu"))
    stack = small(kind, weight)
    assert not isinstance(stack, torch.Tensor)
    changed = stack._replace(**{name: made(getattr(stack, name)) for name, made in change.items()})
    with pytest.raises(ValueError, match=message):
        grouped_linear(x, changed, ends, source)


@pytest.mark.gpu
def test_the_launcher_refuses_layouts(device) -> None:
    x, weight, ends, source = inputs(SHAPES[2], torch.float32, device)
    rows, scale = small("int8", weight)  # type: ignore[misc]
    with pytest.raises(ValueError, match="weight: the last dimension must be contiguous"):
        grouped_linear(x, Scaled(rows.mT.contiguous().mT, scale), ends, source, backend="triton")
    with pytest.raises(ValueError, match="scale must be contiguous"):
        grouped_linear(x, Scaled(rows, scale.T.contiguous().T), ends, source, backend="triton")
    packed = small("int4", weight)
    assert isinstance(packed, Int4)
    with pytest.raises(ValueError, match="packed must be contiguous"):
        grouped_linear(
            x,
            packed._replace(packed_ONH=packed.packed_ONH.transpose(1, 3).contiguous().transpose(1, 3)),
            ends,
            source,
            backend="triton",
        )


def test_a_gpu_without_fp8_leaves_it_to_the_reference(monkeypatch, launches) -> None:
    """As of dense matrices: forced, the kernel says why not."""
    monkeypatch.setattr("kernels.dispatch._hindrance", lambda _: None)
    monkeypatch.setattr("kernels.dispatch.fp8_obstacle", lambda _: "the GPU has no FP8")
    x, weight, ends, source = inputs(SHAPES[2], torch.float32, torch.device("cpu"))
    stack = small("fp8", weight)
    grouped_linear(x, stack, ends, source)
    assert not launches
    with pytest.raises(ValueError, match="cannot run: the GPU has no FP8"):
        grouped_linear(x, stack, ends, source, backend="triton")
