"""Choosing a back end: what is chosen without a word, and what a force that cannot be obeyed says."""

from __future__ import annotations

import pytest
import torch

from kernels import dispatch


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
