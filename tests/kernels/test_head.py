"""The fused head: the kernel against the reference, the reference against a plain softmax."""

from __future__ import annotations

import itertools
import math

import pytest
import torch

from kernels.head import Found, head_candidates, head_candidates_reference

TOLERANCE = {torch.float32: 1e-4, torch.bfloat16: 2e-3, torch.float16: 2e-3}
SHAPES = [
    # rows of hidden, picked rows (0: all), width, vocabulary, bias, candidates
    (1, 0, 16, 1, None, 1),
    (5, 3, 33, 300, "row", 8),
    (40, 17, 70, 517, "ids", 3),
    (70, 0, 64, 129, None, 1),
    (2, 0, 8, 135, "few", 20),  # more candidates than the last tile has ids, and than may be chosen
]
CASES = [
    *itertools.product(SHAPES, (torch.float32, torch.bfloat16)),
    (SHAPES[1], torch.float16),  # compiled as bfloat16 is
]


def inputs(shape, dtype: torch.dtype, device: torch.device):
    r, picked, c, v, kind, k = shape
    hidden, table = torch.randn(r, c + 3, dtype=dtype)[:, :c], torch.randn(v, c, dtype=dtype)
    rows = torch.randint(r, (picked,)).to(device) if picked else None
    bias = None
    if kind:
        never = -1e30 if kind == "ids" else -math.inf
        bias = torch.zeros((v,) if kind == "ids" else (r, v))
        bias.masked_fill_(torch.rand(bias.shape) < (0.9 if kind == "few" else 0.4), never)
        bias[..., -1], bias[..., :128] = 0, never  # a tile where all is forbidden
        bias = bias.to(device)
    return hidden.to(device), table.to(device), bias, rows, k


def compare(found: Found, wanted: Found, tolerance: float) -> None:
    assert found.ids_RK.dtype == torch.int64
    assert torch.equal(found.ids_RK, wanted.ids_RK)
    for mine, theirs in zip(found[1:], wanted[1:], strict=True):
        torch.testing.assert_close(mine.double(), theirs, atol=tolerance, rtol=tolerance)


@pytest.mark.gpu
@pytest.mark.parametrize(("shape", "dtype"), CASES, ids=str)
def test_the_kernel_is_the_reference(device, launches, shape, dtype: torch.dtype) -> None:
    hidden, table, *rest = inputs(shape, dtype, device)
    found = head_candidates(hidden, table, *rest, backend="triton")
    assert launches == ["_tile_kernel", "_join_kernel"]
    compare(found, head_candidates(hidden.double(), table.double(), *rest), TOLERANCE[dtype])


@pytest.mark.gpu
@pytest.mark.parametrize("backend", ["triton", "reference"])
def test_of_equal_scores_the_least_id_comes_first(device, backend) -> None:
    """Small whole numbers, whose products are exact: equals within a tile, across tiles, and all of them."""
    hidden = torch.tensor([[1.0, 0, 0], [0, 1, 0], [0, 0, 1]], device=device)
    table = torch.zeros(400, 3, device=device)
    table[[37, 41, 200, 399], 0] = 5
    table[[399, 130, 380], 1] = 2
    found = head_candidates(hidden, table, k=6, backend=backend)
    assert found.ids_RK.tolist() == [[37, 41, 200, 399, 0, 1], [130, 380, 399, 0, 1, 2], [0, 1, 2, 3, 4, 5]]
    assert found.logp_RK[2, 5].item() == pytest.approx(-math.log(400), abs=1e-5)
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
    found = head_candidates(hidden, table, bias, k=2, backend=backend)
    assert found.ids_RK[:, 0].tolist() == [211, 150]
    assert found.ids_RK[1, 1] == 0
    assert found.logp_RK[:, 0].tolist() == pytest.approx([0, 0], abs=1e-6)
    assert found.logp_RK[1, 1] == -math.inf
    assert found.entropy_R.tolist() == pytest.approx([0, 0], abs=1e-6)
    assert found.lse_R[0].item() == pytest.approx(4000, rel=1e-5)


@pytest.mark.gpu
@pytest.mark.parametrize("backend", ["triton", "reference"])
def test_rows_of_a_sequence_share_its_bias(device, backend) -> None:
    hidden, table = torch.randn(12, 16, device=device), torch.randn(140, 16, device=device)
    bias = torch.where(torch.rand(3, 140, device=device) < 0.5, -1e30, 0.0)
    rows = torch.tensor([11, 0, 3, 4, 7, 8], device=device)
    found = head_candidates(hidden, table, bias, rows, k=3, backend=backend)
    for i, row in enumerate(rows.tolist()):
        alone = head_candidates(hidden[row : row + 1], table, bias[row // 4], k=3, backend="reference")
        assert torch.equal(found.ids_RK[i], alone.ids_RK[0])
        torch.testing.assert_close(found.logp_RK[i], alone.logp_RK[0], atol=1e-4, rtol=1e-4)


@pytest.mark.gpu
def test_no_rows(device) -> None:
    given = torch.zeros(0, 8, device=device), torch.zeros(9, 8, device=device)
    found = head_candidates(*given, backend="triton")
    assert [tuple(part.shape) for part in found] == [(0, 8), (0, 8), (0,), (0,)]


@pytest.mark.gpu
@pytest.mark.parametrize("backend", ["triton", "reference"])
def test_it_agrees_with_the_unordered_reference(device, backend) -> None:
    """That of the PyTorch back end, which leaves the order of equals open; here there are none."""
    hidden, table, bias, rows, k = inputs(SHAPES[2], torch.float32, device)
    found = head_candidates(hidden, table, bias, rows, k, backend=backend)
    ids, logp, entropy = head_candidates_reference(hidden[rows], table, bias, k)
    assert torch.equal(found.ids_RK, ids)
    torch.testing.assert_close(found.logp_RK, logp, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(found.entropy_R, entropy, atol=1e-4, rtol=1e-4)
    logits = (hidden[rows] @ table.T + bias).double()
    torch.testing.assert_close(found.lse_R.double(), logits.logsumexp(-1), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(
    ("table", "bias", "message"),
    [
        (torch.zeros(9, 7), None, r"table has shape \(9, 7\), expected \(9, 8\)"),
        (torch.zeros(0, 8), None, "8 candidates of 0 ids"),
        (torch.zeros(9, 8).half(), None, "hidden is torch.float32, the table torch.float16"),
        (torch.zeros(9, 8), torch.zeros(3, 9), "2 rows are not those of 3 equally long sequences"),
        (torch.zeros(9, 8), torch.zeros(2, 8), r"bias has shape \(2, 8\), expected \(2, 9\)"),
        (torch.zeros(9, 8), torch.zeros(9).double(), "bias must be float32"),
    ],
    ids=str,
)
def test_what_does_not_fit_is_refused(table, bias, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        head_candidates(torch.zeros(2, 8), table, bias)


@pytest.mark.gpu
def test_the_launcher_refuses_layouts(device) -> None:
    turned = torch.zeros(8, 9, device=device).T
    with pytest.raises(ValueError, match="table: the last dimension must be contiguous"):
        head_candidates(torch.zeros(2, 8, device=device), turned, backend="triton")
    with pytest.raises(ValueError, match="33 candidates are more than 32"):
        head_candidates(*torch.zeros(2, 40, 8, device=device), k=33, backend="triton")
