"""Fused head: from hidden rows to the best ids, their log-probabilities and the entropy of each row.

For the single best id the kernel never writes the `[rows, vocabulary]` scores, which at 32 rows and 151,936 ids are
19 MB in float32, written once and read several times. Each program scores a few rows on one tile of the vocabulary
and leaves four numbers per row (maximum m, its least id, sum of exp(x - m), sum of (x - m) exp(x - m)); a second
kernel joins them as an online softmax does (Milakov and Gimelshein 2018), the fourth number for the entropy.

Shapes: R rows, C model width, V vocabulary, K candidates, N tiles of the vocabulary.
"""

from __future__ import annotations

from typing import NamedTuple

import torch

from kernels import dispatch
from kernels.dispatch import (
    Choice,
    constexpr,
    dot,
    jit,
    power_of_two,
    require,
    require_rows,
    require_shape,
    tl,
)


class Best(NamedTuple):
    """Of each row the best id (int64; of equals the least), its log-probability, the entropy in nats, and the
    logarithm of the sum of exponentials of all scores; floats in at least float32."""

    ids_R: torch.Tensor
    logp_R: torch.Tensor
    entropy_R: torch.Tensor
    lse_R: torch.Tensor


def head_candidates_reference(
    hidden_RC: torch.Tensor, table_VC: torch.Tensor, bias_RV: torch.Tensor, k: int
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """`(ids_RK, logp_RK, entropy_R)` of `softmax(hidden @ table.T + bias)`, best first.

    `bias` is 0 for ids that may be chosen and -inf for the others; statistics are in at least float32.
    """
    logits = hidden_RC @ table_VC.T
    logits = logits.to(torch.promote_types(logits.dtype, torch.float32)) + bias_RV
    logp = torch.log_softmax(logits, dim=-1)
    top = torch.topk(logp, k, dim=-1)
    entropy = -(logp.exp() * logp.clamp(min=-1e4)).sum(-1)
    return top.indices, top.values, entropy


def best_candidate_reference(
    hidden_RC: torch.Tensor, table_VC: torch.Tensor, bias: torch.Tensor | None
) -> Best:
    """What `best_candidate` computes of the rows it picks; scores are in at least float32, as in the kernel."""
    wide = torch.promote_types(hidden_RC.dtype, torch.float32)
    logits = hidden_RC.to(wide) @ table_VC.to(wide).T
    logits = logits if bias is None else logits + bias
    lse = torch.logsumexp(logits, dim=-1)
    top = logits.amax(dim=-1)
    # `argmax` promises nothing about which of equal scores it returns.
    places = torch.arange(logits.shape[1], device=logits.device)
    ids = places.expand_as(logits).masked_fill(logits < top[:, None], logits.shape[1]).amin(dim=-1)
    logp = logits - lse[:, None]
    entropy = -(logp.exp() * logp.clamp(min=-1e4)).sum(-1)
    return Best(ids, top - lse, entropy, lse)


def best_candidate(
    hidden_RC: torch.Tensor,
    table_VC: torch.Tensor,
    bias: torch.Tensor | None = None,
    rows: torch.Tensor | None = None,
    *,
    backend: Choice = None,
) -> Best:
    """The best id of `softmax(hidden[rows] @ table.T + bias)` and how sure it is, for each of `rows` (default: all).

    `bias` (float32, `[V]`, or `[len(rows), V]`) is 0 for ids that may be chosen and -inf or hugely negative for
    the others, of which at least one must be left. `rows` is int32 or int64 on the device, each below R.
    Raises ValueError for shapes or layouts that don't fit.
    """
    (r, c), v = hidden_RC.shape, table_VC.shape[0]
    picked = r if rows is None else len(rows)
    require_shape("table", table_VC, (v, c))
    require(v > 0, "the vocabulary is empty")
    require(hidden_RC.dtype == table_VC.dtype, f"hidden is {hidden_RC.dtype}, the table {table_VC.dtype}")
    if bias is not None:
        require_shape("bias", bias, (v,) if bias.ndim == 1 else (picked, v))
        require(bias.dtype == torch.float32, f"bias must be float32, not {bias.dtype}")
    if not dispatch.use_triton(backend, (hidden_RC, table_VC, bias, rows)):
        return best_candidate_reference(hidden_RC if rows is None else hidden_RC[rows], table_VC, bias)
    require_rows(hidden=hidden_RC, table=table_VC, bias=bias, rows=rows)
    return _launch(hidden_RC, table_VC, bias, rows, picked)


def _launch(
    hidden: torch.Tensor, table: torch.Tensor, bias: torch.Tensor | None, rows: torch.Tensor | None, r: int
) -> Best:
    (v, c), device = table.shape, hidden.device
    wide = hidden.dtype == torch.float32
    block_r, block_v = min(power_of_two(r, 16), 16 if wide else 64), 64 if wide else 128
    n = -(-v // block_v)
    part_3NR = torch.empty(3, n, r, dtype=torch.float32, device=device)
    id_NR = torch.empty(n, r, dtype=torch.int32, device=device)
    found_3R = torch.empty(3, r, dtype=torch.float32, device=device)
    ids_R = torch.empty(r, dtype=torch.int64, device=device)
    bias_r = bias.stride(0) if bias is not None and bias.ndim == 2 else 0
    meta = {
        "HAS_BIAS": bias is not None,
        "HAS_ROWS": rows is not None,
        "BLOCK_R": block_r,
        "BLOCK_V": block_v,
    }
    meta |= {"BLOCK_C": min(power_of_two(c, 16), 64), "num_warps": 8 if wide else 4, "num_stages": 3}
    # Rows vary fastest: programs that read the same part of the table run together, and it comes from the L2 cache.
    grid = (-(-r // block_r), n)
    tensors = (
        hidden,
        table,
        hidden if bias is None else bias,
        ids_R if rows is None else rows,
        part_3NR,
        id_NR,
    )
    strides = (hidden.stride(0), table.stride(0), bias_r)
    dispatch.launch(_tile_kernel, grid, *tensors, *strides, r, v, c, **meta)
    tensors = (part_3NR, id_NR, ids_R, found_3R)
    dispatch.launch(_join_kernel, (r,), *tensors, r, n, BLOCK_N=min(power_of_two(n), 256), num_warps=4)
    return Best(ids_R, *found_3R)


@jit
def _tile_kernel(
    hidden, table, bias, rows, part_3NR, id_NR, hidden_r, table_v, bias_r, R, V, C,
    HAS_BIAS: constexpr, HAS_ROWS: constexpr, BLOCK_R: constexpr, BLOCK_V: constexpr, BLOCK_C: constexpr,
):  # fmt: skip
    """Scores of a few rows on one tile of the vocabulary, left as four numbers per row."""
    r = tl.program_id(0) * BLOCK_R + tl.arange(0, BLOCK_R)
    v = tl.program_id(1) * BLOCK_V + tl.arange(0, BLOCK_V)
    c = tl.arange(0, BLOCK_C)
    in_r, in_v, source = r < R, v < V, r
    if HAS_ROWS:
        source = tl.load(rows + r, mask=in_r, other=0)
    # In 64 bits: a table of 262,144 ids and a width of 8,192 has 2^31 elements.
    at_h = hidden + source.to(tl.int64)[:, None] * hidden_r + c[None, :]
    at_t = table + v.to(tl.int64)[None, :] * table_v + c[:, None]
    x_RV = tl.zeros([BLOCK_R, BLOCK_V], tl.float32)
    for start in range(0, C, BLOCK_C):
        in_c = start + c < C
        h_RC = tl.load(at_h + start, mask=in_r[:, None] & in_c[None, :], other=0.0)
        t_CV = tl.load(at_t + start, mask=in_c[:, None] & in_v[None, :], other=0.0)
        x_RV += dot(h_RC, t_CV)
    if HAS_BIAS:
        at_bias = bias + r.to(tl.int64)[:, None] * bias_r + v[None, :]
        x_RV += tl.load(at_bias, mask=in_r[:, None] & in_v[None, :], other=0.0)
    x_RV = tl.where(in_v[None, :], x_RV, float("-inf"))
    m_R = tl.max(x_RV, 1)
    id_R = tl.min(tl.where(x_RV == m_R[:, None], v[None, :], V), 1)
    # Where all is forbidden, m is -inf, from which nothing may be subtracted.
    rest_RV = x_RV - tl.where(m_R == float("-inf"), 0.0, m_R)[:, None]
    e_RV = tl.exp(rest_RV)
    at, size = tl.program_id(1) * R + r, tl.num_programs(1) * R
    tl.store(part_3NR + at, m_R, mask=in_r)
    tl.store(part_3NR + size + at, tl.sum(e_RV, 1), mask=in_r)
    tl.store(part_3NR + 2 * size + at, tl.sum(tl.where(e_RV == 0, 0.0, rest_RV) * e_RV, 1), mask=in_r)
    tl.store(id_NR + at, id_R, mask=in_r)


@jit
def _join_kernel(part_3NR, id_NR, ids_R, found_3R, R, N, BLOCK_N: constexpr):
    """One row: its tiles joined. With M the largest m: S = sum of s e^(m-M), U = sum of (u + (m-M) s) e^(m-M);
    then lse = M + log S, and the entropy is log S - U / S."""
    r, size = tl.program_id(0), N * R
    top, total, tilt, best = float("-inf"), 0.0, 0.0, 2147483647
    for start in range(0, N, BLOCK_N):
        n = start + tl.arange(0, BLOCK_N)
        at = part_3NR + n * R + r
        m_N = tl.load(at, mask=n < N, other=float("-inf"))
        s_N = tl.load(at + size, mask=n < N, other=0.0)
        u_N = tl.load(at + 2 * size, mask=n < N, other=0.0)
        id_N = tl.load(id_NR + n * R + r, mask=n < N, other=2147483647)
        new = tl.maximum(top, tl.max(m_N, 0))
        least = tl.min(tl.where(m_N == new, id_N, 2147483647), 0)
        # Tiles come in the order of their ids: an earlier maximum that equals the new one stays.
        best = tl.where(top == new, tl.minimum(best, least), least)
        base = tl.where(new == float("-inf"), 0.0, new)
        less_N = tl.where(m_N == float("-inf"), 0.0, m_N - base)
        weight_N = tl.where(m_N == float("-inf"), 0.0, tl.exp(less_N))
        fade = tl.where(top == float("-inf"), 0.0, tl.exp(top - base))
        less = tl.where(top == float("-inf"), 0.0, top - base)
        tilt = (tilt + less * total) * fade + tl.sum((u_N + less_N * s_N) * weight_N, 0)
        total = total * fade + tl.sum(s_N * weight_N, 0)
        top = new
    tl.store(ids_R + r, best)  # widened to int64
    tl.store(found_3R + r, -tl.log(total))
    tl.store(found_3R + R + r, tl.log(total) - tilt / total)
    tl.store(found_3R + 2 * R + r, top + tl.log(total))
