"""The fused head: the kernel against the reference, the reference against a plain softmax."""

from __future__ import annotations

import math

import pytest
import torch

from kernels.head import Best, best_candidate, head_candidates_reference

TOLERANCE = {torch.float32: 1e-4, torch.bfloat16: 2e-3, torch.float16: 2e-3}
SHAPES = [
    # rows of hidden, picked rows (0: all), width, vocabulary, bias
    (1, 0, 16, 1, None),
    (5, 3, 33, 300, "row"),
    (40, 17, 70, 517, "ids"),
    (70, 0, 64, 129, None),
]


def inputs(shape, dtype: torch.dtype, device: torch.device):
    r, picked, c, v, kind = shape
    hidden, table = torch.randn(r, c + 3, dtype=dtype)[:, :c], torch.randn(v, c, dtype=dtype)
    rows = torch.randint(r, (picked,)).to(device) if picked else None
    bias = None
    if kind:
        bias = torch.zeros(v) if kind == "ids" else torch.zeros(picked or r, v)
        bias.masked_fill_(torch.rand(bias.shape) < 0.4, -1e30 if kind == "ids" else -math.inf)
        bias[..., -1], bias[..., :128] = (
            0,
            -math.inf if kind == "row" else -1e30,
        )  # a tile where all is forbidden
        bias = bias.to(device)
    return hidden.to(device), table.to(device), bias, rows


def compare(found: Best, wanted: Best, tolerance: float) -> None:
    assert found.ids_R.dtype == torch.int64
    assert torch.equal(found.ids_R, wanted.ids_R)
    for mine, theirs in zip(found[1:], wanted[1:], strict=True):
        torch.testing.assert_close(mine.double(), theirs, atol=tolerance, rtol=tolerance)


@pytest.mark.gpu
@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_the_kernel_is_the_reference(device, launches, shape, dtype: torch.dtype) -> None:
    hidden, table, bias, rows = inputs(shape, dtype, device)
    found = best_candidate(hidden, table, bias, rows, backend="triton")
    assert launches == ["_tile_kernel", "_join_kernel"]
    compare(found, best_candidate(hidden.double(), table.double(), bias, rows), TOLERANCE[dtype])


@pytest.mark.gpu
@pytest.mark.parametrize("backend", ["triton", "reference"])
def test_of_equal_scores_the_least_id_is_best(device, backend) -> None:
    """Small whole numbers, whose products are exact: equals within a tile, across tiles, and all of them."""
    hidden = torch.tensor([[1.0, 0, 0], [0, 1, 0], [0, 0, 1]], device=device)
    table = torch.zeros(400, 3, device=device)
    table[[37, 41, 200, 399], 0] = 5
    table[[399, 130, 380], 1] = 2
    found = best_candidate(hidden, table, backend=backend)
    assert found.ids_R.tolist() == [37, 130, 0]
    assert found.logp_R[2].item() == pytest.approx(-math.log(400), abs=1e-5)
    assert found.entropy_R[2].item() == pytest.approx(math.log(400), abs=1e-5)


@pytest.mark.gpu
@pytest.mark.parametrize("backend", ["triton", "reference"])
def test_a_row_that_is_sure(device, backend) -> None:
    """Scores of hundreds, and a single id allowed among forbidden ones: no NaN, no uncertainty."""
    hidden, table = torch.full((2, 4), 100.0, device=device), torch.randn(300, 4, device=device)
    table[211] = 10
    bias = torch.zeros(2, 300, device=device)
    bias[1] = -math.inf
    bias[1, 150] = 0
    found = best_candidate(hidden, table, bias, backend=backend)
    assert found.ids_R.tolist() == [211, 150]
    assert found.logp_R.tolist() == pytest.approx([0, 0], abs=1e-6)
    assert found.entropy_R.tolist() == pytest.approx([0, 0], abs=1e-6)
    assert found.lse_R[0].item() == pytest.approx(4000, rel=1e-5)


@pytest.mark.gpu
def test_more_tiles_than_are_joined_at_once(device) -> None:
    hidden, table = torch.randn(1, 2, device=device), torch.randn(16_500, 2, device=device)
    compare(
        best_candidate(hidden, table, backend="triton"), best_candidate(hidden.double(), table.double()), 1e-4
    )


@pytest.mark.gpu
def test_no_rows(device) -> None:
    found = best_candidate(
        torch.zeros(0, 8, device=device), torch.zeros(9, 8, device=device), backend="triton"
    )
    assert [len(part) for part in found] == [0, 0, 0, 0]


def test_the_reference_agrees_with_that_of_several_candidates() -> None:
    hidden, table, bias, rows = inputs(SHAPES[2], torch.float64, torch.device("cpu"))
    found = best_candidate(hidden, table, bias, rows, backend="reference")
    ids, logp, entropy = head_candidates_reference(hidden[rows], table, bias, 1)
    assert torch.equal(found.ids_R, ids[:, 0])
    torch.testing.assert_close(found.logp_R, logp[:, 0])
    torch.testing.assert_close(found.entropy_R, entropy)
    logits = (hidden[rows] @ table.T + bias).double()
    torch.testing.assert_close(found.lse_R, logits.exp().sum(-1).log())


@pytest.mark.parametrize(
    ("table", "bias", "message"),
    [
        (torch.zeros(9, 7), None, r"table has shape \(9, 7\), expected \(9, 8\)"),
        (torch.zeros(0, 8), None, "the vocabulary is empty"),
        (torch.zeros(9, 8).half(), None, "hidden is torch.float32, the table torch.float16"),
        (torch.zeros(9, 8), torch.zeros(3, 9), r"bias has shape \(3, 9\), expected \(2, 9\)"),
        (torch.zeros(9, 8), torch.zeros(9).double(), "bias must be float32"),
    ],
    ids=str,
)
def test_what_does_not_fit_is_refused(table, bias, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        best_candidate(torch.zeros(2, 8), table, bias)


@pytest.mark.gpu
def test_the_launcher_refuses_layouts(device) -> None:
    turned = torch.zeros(8, 9, device=device).T
    with pytest.raises(ValueError, match="table: the last dimension must be contiguous"):
        best_candidate(torch.zeros(2, 8, device=device), turned, backend="triton")
