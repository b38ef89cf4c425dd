"""The PyTorch references of the kernels against plain loops: odd shapes, grouped heads, dtypes, extremes."""

from __future__ import annotations

import math

import pytest
import torch

from kernels.attention import canvas_attention_reference
from kernels.head import head_candidates_reference

DTYPES = {torch.float64: 1e-10, torch.float32: 1e-5, torch.bfloat16: 4e-2}
SHAPES = [
    # batch, queries, keys, heads, key/value heads, head size
    (1, 1, 1, 1, 1, 2),
    (1, 7, 7, 3, 1, 32),
    (2, 5, 70, 4, 2, 8),
    (3, 1, 33, 6, 3, 10),
    (2, 17, 129, 8, 8, 4),
]


def plain_attention(q, k, v, mask):
    """One row, one head at a time, in float64."""
    q, k, v = q.double(), k.double(), v.double()
    out = torch.full(q.shape, math.nan, dtype=torch.float64)
    share = q.shape[1] // k.shape[1]
    for b in range(q.shape[0]):
        for h in range(q.shape[1]):
            for t in range(q.shape[2]):
                seen = mask[b, t].nonzero()[:, 0]
                scores = k[b, h // share, seen] @ q[b, h, t] / math.sqrt(q.shape[3])
                out[b, h, t] = torch.softmax(scores, 0) @ v[b, h // share, seen]
    return out


def inputs(shape, dtype, seed=0):
    b, t, s, heads, groups, d = shape
    torch.manual_seed(seed)
    q = torch.randn(b, heads, t, d, dtype=dtype)
    k, v = torch.randn(2, b, groups, s, d, dtype=dtype)
    mask = torch.rand(b, t, s) < 0.5
    mask[:, torch.arange(t), torch.randint(s, (t,))] = True
    return q, k, v, mask


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_attention_is_masked_softmax(shape, dtype: torch.dtype) -> None:
    q, k, v, mask = inputs(shape, dtype)
    found = canvas_attention_reference(q, k, v, mask)
    assert found.dtype == dtype
    assert found.shape == q.shape
    assert torch.allclose(
        found.double(), plain_attention(q, k, v, mask), atol=DTYPES[dtype], rtol=DTYPES[dtype]
    )


def test_a_column_that_no_row_sees_does_not_matter() -> None:
    """Large values in hidden columns (padding, other sequences) change nothing at all."""
    q, k, v, mask = inputs((2, 5, 70, 4, 2, 8), torch.float64)
    mask[:, :, 30:50] = False
    mask[:, :, 0] = True
    before = canvas_attention_reference(q, k, v, mask)
    k[:, :, 30:50], v[:, :, 30:50] = 1e4, -1e4
    assert torch.equal(canvas_attention_reference(q, k, v, mask), before)


def test_large_scores_do_not_overflow() -> None:
    q, k, v, mask = inputs((1, 3, 9, 2, 1, 4), torch.float32)
    assert torch.isfinite(canvas_attention_reference(q * 1e4, k * 1e4, v, mask)).all()


def test_heads_that_cannot_share_are_refused() -> None:
    q, k, v, mask = inputs((1, 2, 3, 4, 4, 2), torch.float32)
    with pytest.raises(ValueError, match="4 query heads cannot share 3"):
        canvas_attention_reference(q, k[:, :3], v[:, :3], mask)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize(
    ("rows", "width", "vocab", "k"), [(1, 3, 9, 8), (7, 33, 257, 8), (64, 16, 1000, 3), (0, 4, 9, 2)]
)
def test_the_head_is_softmax_and_its_best(
    dtype: torch.dtype, rows: int, width: int, vocab: int, k: int
) -> None:
    torch.manual_seed(1)
    hidden, table = torch.randn(rows, width, dtype=dtype), torch.randn(vocab, width, dtype=dtype)
    bias = torch.zeros(vocab)
    ids, logp, entropy = head_candidates_reference(hidden, table, bias, k)
    assert ids.shape == logp.shape == (rows, k)
    assert entropy.shape == (rows,)
    assert logp.dtype == entropy.dtype == (torch.float64 if dtype == torch.float64 else torch.float32)
    p = torch.softmax((hidden @ table.T).double(), dim=-1)
    expected = p.sort(dim=-1, descending=True).values[:, :k]
    assert torch.allclose(logp.exp().double(), expected, atol=1e-5)
    assert torch.allclose(p.gather(1, ids), expected, atol=1e-5)
    assert torch.allclose(entropy.double(), -(p * p.log()).sum(-1), atol=1e-4)


@pytest.mark.parametrize("forbidden", [-math.inf, -1e30])
def test_forbidden_ids_are_as_if_they_were_not_there(forbidden: float) -> None:
    """No NaN, no probability, no share in the entropy, whether the bias is infinite or merely huge."""
    torch.manual_seed(2)
    hidden, table = torch.randn(5, 6), torch.randn(20, 6)
    legal = torch.arange(3, 17)
    bias = torch.full((20,), forbidden)
    bias[legal] = 0
    ids, logp, entropy = head_candidates_reference(hidden, table, bias, 8)
    few_ids, few_logp, few_entropy = head_candidates_reference(hidden, table[legal], torch.zeros(14), 8)
    assert torch.equal(ids, legal[few_ids])
    assert torch.allclose(logp, few_logp, atol=1e-5)
    assert torch.allclose(entropy, few_entropy, atol=1e-4)


def test_each_row_may_have_its_own_bias() -> None:
    torch.manual_seed(3)
    hidden, table = torch.randn(1, 6).repeat(2, 1), torch.randn(20, 6)
    bias = torch.zeros(2, 20)
    first = int((hidden[0] @ table.T).argmax())
    bias[1, first] = -1e30
    ids, _, _ = head_candidates_reference(hidden, table, bias, 2)
    assert ids[0, 0] == first
    assert ids[1, 0] == ids[0, 1]


def test_entropy_is_zero_when_sure_and_the_logarithm_when_lost() -> None:
    hidden, table = torch.tensor([[0.0, 1.0], [1.0, 0.0]]), torch.tensor([[500.0, 0.0]] + [[0.0, 0.0]] * 9)
    _, logp, entropy = head_candidates_reference(hidden, table, torch.zeros(10), 1)
    assert entropy.tolist() == pytest.approx([math.log(10), 0.0], abs=1e-5)
    assert logp[:, 0].tolist() == pytest.approx([-math.log(10), 0.0], abs=1e-5)
