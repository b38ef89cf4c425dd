"""The gated MLP's middle: the kernel against the reference, the reference against the formula."""

from __future__ import annotations

import pytest
import torch

from kernels.mlp import silu_gate

TOLERANCE = {torch.float32: 1e-5, torch.bfloat16: 1e-2, torch.float16: 1.5e-3}


@pytest.mark.gpu
@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
@pytest.mark.parametrize("shape", [(1, 2), (3, 2, 66), (2, 4098), (0, 8)], ids=str)
def test_the_kernel_is_the_reference(device, launches, shape, dtype: torch.dtype) -> None:
    packed = (torch.randn(shape) * 5).to(device, dtype)
    found = silu_gate(packed, backend="triton")
    assert launches == ["_silu_gate_kernel"]
    wanted = silu_gate(packed, backend="reference")
    assert found.dtype == dtype
    torch.testing.assert_close(found, wanted, atol=TOLERANCE[dtype], rtol=TOLERANCE[dtype])


@pytest.mark.gpu
@pytest.mark.filterwarnings("ignore:overflow encountered in exp")  # the interpreter says so
@pytest.mark.parametrize("backend", ["triton", "reference"])
def test_gates_of_thousands(device, backend) -> None:
    packed = torch.tensor([[-1e4, 1e4, 0, 2, 2, 2]], device=device)
    assert silu_gate(packed, backend=backend).tolist() == [[0, 2e4, 0]]


def test_the_reference_is_the_formula() -> None:
    packed = torch.randn(3, 10, dtype=torch.float64)
    gate, up = packed[:, :5], packed[:, 5:]
    torch.testing.assert_close(silu_gate(packed), gate * torch.sigmoid(gate) * up)


def test_an_odd_width_is_refused() -> None:
    with pytest.raises(ValueError, match="7 columns are not gates and as many values"):
        silu_gate(torch.zeros(2, 7))


@pytest.mark.gpu
def test_the_launcher_refuses_layouts(device) -> None:
    with pytest.raises(ValueError, match="packed must be contiguous"):
        silu_gate(torch.zeros(8, 2, device=device).T, backend="triton")
