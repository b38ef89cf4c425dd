"""Fused head: from hidden rows to the best K ids, their log-probabilities and the entropy of each row.

The kernel never writes the `[rows, vocabulary]` scores, which at 32 rows and 151,936 ids are 19 MB in float32,
written once and read several times. Each program scores a few rows on one tile of the vocabulary and leaves for each
row the tile's best K in order (one after another, each the best of what comes after the last) and two sums, of
exp(x - m) and of (x - m) exp(x - m), m being the tile's maximum. A second kernel joins the sums as an online softmax
does (Milakov and Gimelshein 2018), the second for the entropy, and merges the tiles' lists: K times the best of what
now heads each list, of equals the least id.

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

MOST = 32
"""Candidates that a tile looks for one after another."""
_MOST_TILES = 16384
"""Tiles whose lists the second kernel holds at once: of the narrower tiles, a vocabulary of a million."""


class Found(NamedTuple):
    """Of each row the best ids (int64; best first, of equals the least), their log-probabilities, the entropy in
    nats, and the logarithm of the sum of exponentials of all scores; floats in at least float32."""

    ids_RK: torch.Tensor
    logp_RK: torch.Tensor
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


def ordered_candidates_reference(
    hidden_RC: torch.Tensor, table_VC: torch.Tensor, bias: torch.Tensor | None, k: int
) -> Found:
    """What `head_candidates` computes, each row with a bias of its own or all with one; scores are in at least float32,
    as in the kernel."""
    wide = torch.promote_types(hidden_RC.dtype, torch.float32)
    logits = hidden_RC.to(wide) @ table_VC.to(wide).T
    logits = logits if bias is None else logits + bias
    lse = torch.logsumexp(logits, dim=-1)
    # `topk` promises nothing about the order of equal scores.
    best, ids = torch.sort(logits, dim=-1, descending=True, stable=True)
    logp = logits - lse[:, None]
    entropy = -(logp.exp() * logp.clamp(min=-1e4)).sum(-1)
    return Found(ids[:, :k], best[:, :k] - lse[:, None], entropy, lse)


def head_candidates(
    hidden_RC: torch.Tensor,
    table_VC: torch.Tensor,
    bias: torch.Tensor | None = None,
    rows: torch.Tensor | None = None,
    k: int = 8,
    *,
    backend: Choice = None,
) -> Found:
    """The best `k` ids of `softmax(hidden[rows] @ table.T + bias)`, for each of `rows` (default: all).

    `bias` (float32) is 0 for ids that may be chosen and -inf or hugely negative for the others, of which at least one
    must be left: `[V]` for all rows, or `[B, V]` where hidden rows are those of B equally long sequences, one after the
    other. `rows` is int32 or int64 on the device, each below R.
    Raises ValueError for shapes or layouts that don't fit.
    """
    (r, c), v = hidden_RC.shape, table_VC.shape[0]
    picked = r if rows is None else len(rows)
    require_shape("table", table_VC, (v, c))
    require(0 < k <= v, f"{k} candidates of {v} ids")
    require(hidden_RC.dtype == table_VC.dtype, f"hidden is {hidden_RC.dtype}, the table {table_VC.dtype}")
    share = max(1, r)
    if bias is not None:
        require_shape("bias", bias, (*bias.shape[:-1][:1], v))
        if bias.ndim == 2:
            b = len(bias)
            require(b > 0 and r % b == 0, f"{r} rows are not those of {b} equally long sequences")
            share = max(1, r // b)
        require(bias.dtype == torch.float32, f"bias must be float32, not {bias.dtype}")
    tiles = -(-v // _block_v(hidden_RC))
    obstacle = f"{k} candidates are more than {MOST}" if k > MOST else None
    obstacle = obstacle or (f"{v} ids are too many to join" if tiles > _MOST_TILES else None)
    if not dispatch.use_triton(backend, (hidden_RC, table_VC, bias, rows), obstacle):
        at_R = torch.arange(r, device=hidden_RC.device) if rows is None else rows
        bias_RV = bias[at_R // share] if bias is not None and bias.ndim == 2 else bias
        return ordered_candidates_reference(hidden_RC[at_R], table_VC, bias_RV, k)
    require_rows(hidden=hidden_RC, table=table_VC, bias=bias, rows=rows)
    return _launch(hidden_RC, table_VC, bias, rows, picked, share, k)


def _block_v(hidden: torch.Tensor) -> int:
    """Ids of a tile."""
    return 64 if hidden.dtype == torch.float32 else 128


def _launch(
    hidden: torch.Tensor,
    table: torch.Tensor,
    bias: torch.Tensor | None,
    rows: torch.Tensor | None,
    r: int,
    share: int,
    k: int,
) -> Found:
    (v, c), device = table.shape, hidden.device
    wide = hidden.dtype == torch.float32
    block_r, block_v = min(power_of_two(r, 16), 16 if wide else 64), _block_v(hidden)
    n = -(-v // block_v)
    best_KNR = torch.empty(k, n, r, dtype=torch.float32, device=device)
    id_KNR = torch.empty(k, n, r, dtype=torch.int32, device=device)
    sum_2NR = torch.empty(2, n, r, dtype=torch.float32, device=device)
    ids_RK = torch.empty(r, k, dtype=torch.int64, device=device)
    logp_RK = torch.empty(r, k, dtype=torch.float32, device=device)
    entropy_R, lse_R = torch.empty(2, r, dtype=torch.float32, device=device)
    meta = {"HAS_BIAS": bias is not None, "HAS_ROWS": rows is not None, "K": k}
    meta |= {"BLOCK_R": block_r, "BLOCK_V": block_v, "BLOCK_C": min(power_of_two(c, 16), 64)}
    meta |= {"num_warps": 8 if wide else 4, "num_stages": 3}
    given = (hidden, table, hidden if bias is None else bias, ids_RK if rows is None else rows)
    bias_r = bias.stride(0) if bias is not None and bias.ndim == 2 else 0
    strides = (hidden.stride(0), table.stride(0), bias_r)
    # Rows vary fastest: programs that read the same part of the table run together, and it comes from the L2 cache.
    grid, tiles = (-(-r // block_r), n), (best_KNR, id_KNR, sum_2NR)
    dispatch.launch(_tile_kernel, grid, *given, *tiles, *strides, share, r, v, c, **meta)
    found = Found(ids_RK, logp_RK, entropy_R, lse_R)
    meta = {"K": k, "BLOCK_N": power_of_two(n), "num_warps": 8 if n > 1024 else 4}
    dispatch.launch(_join_kernel, (r,), *tiles, *found, r, n, **meta)
    return found


@jit
def _tile_kernel(
    hidden, table, bias, rows, best_KNR, id_KNR, sum_2NR, hidden_r, table_v, bias_r, share, R, V, C,
    HAS_BIAS: constexpr, HAS_ROWS: constexpr, K: constexpr,
    BLOCK_R: constexpr, BLOCK_V: constexpr, BLOCK_C: constexpr,
):  # fmt: skip
    """Scores of a few rows on one tile of the vocabulary, left as the K best and two sums per row."""
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
        at_bias = bias + (source // share).to(tl.int64)[:, None] * bias_r + v[None, :]
        x_RV += tl.load(at_bias, mask=in_r[:, None] & in_v[None, :], other=0.0)
    x_RV = tl.where(in_v[None, :], x_RV, float("-inf"))

    at, size = tl.program_id(1) * R + r, tl.num_programs(1) * R
    m_R = tl.max(x_RV, 1)
    # Where all is forbidden, m is -inf, from which nothing may be subtracted.
    rest_RV = x_RV - tl.where(m_R == float("-inf"), 0.0, m_R)[:, None]
    e_RV = tl.exp(rest_RV)
    tl.store(sum_2NR + at, tl.sum(e_RV, 1), mask=in_r)
    tl.store(sum_2NR + size + at, tl.sum(tl.where(e_RV == 0, 0.0, rest_RV) * e_RV, 1), mask=in_r)

    best_R, last_R = m_R, tl.full([BLOCK_R], -1, tl.int32)
    for k in range(K):
        # Behind the last one in the order come lesser scores, and equal ones of greater ids.
        left_RV = (x_RV < best_R[:, None]) | ((x_RV == best_R[:, None]) & (v[None, :] > last_R[:, None]))
        best_R = tl.max(tl.where(left_RV, x_RV, float("-inf")), 1)
        last_R = tl.min(tl.where(left_RV & (x_RV == best_R[:, None]), v[None, :], 2147483647), 1)
        tl.store(best_KNR + k * size + at, best_R, mask=in_r)
        tl.store(id_KNR + k * size + at, last_R, mask=in_r)


@jit
def _join_kernel(
    best_KNR, id_KNR, sum_2NR, ids_RK, logp_RK, entropy_R, lse_R, R, N, K: constexpr, BLOCK_N: constexpr
):
    """One row: its tiles joined. With M the largest m: S = sum of s e^(m-M), U = sum of (u + (m-M) s) e^(m-M);
    then lse = M + log S, and the entropy is log S - U / S."""
    r, n, size = tl.program_id(0), tl.arange(0, BLOCK_N), N * R
    at, in_n = n * R + r, n < N
    best_N = tl.load(best_KNR + at, mask=in_n, other=float("-inf"))
    id_N = tl.load(id_KNR + at, mask=in_n, other=2147483647)
    s_N = tl.load(sum_2NR + at, mask=in_n, other=0.0)
    u_N = tl.load(sum_2NR + size + at, mask=in_n, other=0.0)
    top = tl.max(best_N, 0)
    less_N = tl.where(best_N == float("-inf"), 0.0, best_N - top)
    weight_N = tl.where(best_N == float("-inf"), 0.0, tl.exp(less_N))
    total, tilt = tl.sum(s_N * weight_N, 0), tl.sum((u_N + less_N * s_N) * weight_N, 0)
    tl.store(entropy_R + r, tl.log(total) - tilt / total)
    tl.store(lse_R + r, top + tl.log(total))
    taken_N = tl.zeros([BLOCK_N], tl.int32)
    for k in range(K):
        best = tl.max(best_N, 0)
        chosen = tl.min(tl.where(best_N == best, id_N, 2147483647), 0)
        tl.store(ids_RK + r * K + k, chosen)  # widened to int64
        tl.store(logp_RK + r * K + k, best - top - tl.log(total))
        # The list that it headed goes on to its next.
        won_N = id_N == chosen
        taken_N += won_N.to(tl.int32)
        next_N, more_N = at + taken_N * size, won_N & (taken_N < K)
        best_N = tl.where(won_N, tl.load(best_KNR + next_N, mask=more_N, other=float("-inf")), best_N)
        id_N = tl.where(won_N, tl.load(id_KNR + next_N, mask=more_N, other=2147483647), id_N)
