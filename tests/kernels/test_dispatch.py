"""Choosing a back end: what is chosen without a word, and what a force that cannot be obeyed says."""

from __future__ import annotations

import pytest
import torch

from kernels import dispatch
from kernels.dispatch import constexpr, jit, round_to_even, tl, to_e4m3


def test_an_unknown_back_end_is_refused() -> None:
    with pytest.raises(ValueError, match="unknown back end 'cuda': choose 'triton', 'reference' or None"):
        dispatch.use_triton("cuda", (torch.zeros(2),))  # type: ignore[arg-type]


def test_tensors_on_two_devices_are_refused() -> None:
    with pytest.raises(ValueError, match="tensors lie on several devices: cpu, meta"):
        dispatch.use_triton(None, (torch.zeros(2), None, torch.zeros(2, device="meta")))


@pytest.mark.parametrize(
    ("installed", "interpreted", "message"),
    [
        (False, False, "Triton is not installed"),
        (True, False, "Triton needs a GPU, and the tensors are on cpu"),
    ],
)
def test_a_force_that_cannot_be_obeyed_says_why(monkeypatch, installed, interpreted, message: str) -> None:
    monkeypatch.setattr(dispatch, "HAS_TRITON", installed)
    monkeypatch.setattr(dispatch, "INTERPRETED", interpreted)
    x = torch.zeros(2)
    assert not dispatch.use_triton(None, (x,))
    assert not dispatch.use_triton("reference", (x,))
    with pytest.raises(ValueError, match=f"the Triton kernel cannot run: {message}"):
        dispatch.use_triton("triton", (x,))


@pytest.mark.parametrize(
    ("x", "obstacle", "message"),
    [
        (torch.zeros(2, dtype=torch.float64), None, "not in torch.float64"),
        (torch.zeros(2, requires_grad=True), None, "a gradient is wanted"),
        (torch.zeros(2), "too wide", "too wide"),
        (torch.zeros(2, device="meta"), None, "the tensors are on meta"),
    ],
    ids=lambda value: None if isinstance(value, torch.Tensor) else value,
)
def test_what_a_kernel_cannot_do_goes_to_the_reference(monkeypatch, x, obstacle, message: str) -> None:
    monkeypatch.setattr(dispatch, "HAS_TRITON", True)
    monkeypatch.setattr(dispatch, "INTERPRETED", True)
    assert dispatch.use_triton(None, (torch.zeros(2),))
    assert not dispatch.use_triton(None, (x,), obstacle)
    with pytest.raises(ValueError, match=message):
        dispatch.use_triton("triton", (x,), obstacle)


def test_a_parameter_without_gradients_being_made_is_no_hindrance(monkeypatch) -> None:
    monkeypatch.setattr(dispatch, "HAS_TRITON", True)
    monkeypatch.setattr(dispatch, "INTERPRETED", True)
    with torch.inference_mode():
        assert dispatch.use_triton("triton", (torch.nn.Parameter(torch.zeros(2)),))


@pytest.mark.parametrize(
    ("size", "least", "found"), [(0, 1, 1), (1, 1, 1), (3, 1, 4), (16, 16, 16), (5, 16, 16)]
)
def test_powers_of_two(size: int, least: int, found: int) -> None:
    assert dispatch.power_of_two(size, least) == found


@jit
def _round_kernel(x, fp8, whole, N, BLOCK: constexpr):
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    x_N = tl.load(x + at, mask=at < N, other=0.0)
    tl.store(fp8 + at, to_e4m3(x_N), mask=at < N)
    tl.store(whole + at, round_to_even(x_N), mask=at < N)


@pytest.mark.gpu
def test_numbers_are_rounded_as_pytorch_rounds(device) -> None:
    """Steps and halves of steps, all numbers of FP8 and what lies halfway between two, zero and near it."""
    codes = torch.arange(127, dtype=torch.uint8).view(torch.float8_e4m3fn).float()
    numbers = [torch.linspace(-448, 448, 1793), torch.randn(500), torch.tensor([0.0, 1e-30, -1e-5, 2**-10])]
    x = torch.cat((*numbers, codes, (codes[1:] + codes[:-1]) / 2)).to(device)
    fp8, whole = torch.empty_like(x, dtype=torch.float8_e4m3fn), torch.empty_like(x)
    dispatch.launch(_round_kernel, (len(x) // 512 + 1,), x, fp8, whole, len(x), BLOCK=512)
    assert torch.equal(fp8.float(), x.to(torch.float8_e4m3fn).float())
    assert torch.equal(whole, x.round())
