"""Products of groups of rows: the kernel against the reference, the reference against plain loops."""

from __future__ import annotations

import pytest
import torch

from kernels.grouped import grouped_linear

TOLERANCE = {torch.float32: 1e-4, torch.bfloat16: 3e-2, torch.float16: 4e-3}
SHAPES = [
    # rows of each group, inputs, outputs, source rows (None: the rows themselves)
    ([3], 8, 5, None),
    ([0, 4, 0, 0, 1], 70, 65, 3),
    ([20, 0, 35], 33, 130, 9),
    ([0, 0], 16, 16, 4),
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
