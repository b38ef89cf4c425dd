"""Canvas attention: a block of queries over cached and new keys, grouped heads (GQA).

Keys and values lie in one preallocated cache: sequence b has `past` old rows and behind them its new ones, already
written. Of its T query rows the first `causal` see the past and the new rows up to themselves, or to the end of their
own `block` of rows where those see each other; the others, the canvas, see the past and all `rows` new rows; rows from
`rows` on are padding, see nothing and come out as zeros. A window of w rows hides what is w or more rows back; it does
not cut the canvas ahead. Three integers for each sequence say all that, so no mask is ever written. The cache may have
more sequences than the batch: `slot` says which one is whose.

The query heads that share a key head are packed as rows of one tile, so a key is read once for all of them. The keys
are split over programs whose partial sums a second kernel joins by log-sum-exp (Flash-Decoding, Dao et al. 2023):
a short block over a long cache would otherwise occupy only `B * G` programs.

Shapes: B batch, T query rows, S key rows (cache then new), H query heads, G key/value heads, D head size, P splits.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F

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

LARGEST_HEAD = 128
_LOG2_E = 1.4426950408889634


def canvas_attention_reference(
    q_BHTD: torch.Tensor,
    k_BGSD: torch.Tensor,
    v_BGSD: torch.Tensor,
    mask_BTS: torch.Tensor,
    scale: float | None = None,
) -> torch.Tensor:
    """Softmax attention under a dense mask, scaled by 1/sqrt(D); `mask_BTS` is True where a query sees a key.

    Every query row must see at least one key. Returns `[B, H, T, D]` in the queries' dtype.
    """
    heads, groups = q_BHTD.shape[1], k_BGSD.shape[1]
    if heads % groups:
        raise ValueError(f"{heads} query heads cannot share {groups} key/value heads")
    return F.scaled_dot_product_attention(
        q_BHTD, k_BGSD, v_BGSD, attn_mask=mask_BTS[:, None], scale=scale, enable_gqa=heads != groups
    )


def visible(
    past_B: torch.Tensor,
    causal_B: torch.Tensor,
    rows_B: torch.Tensor,
    t: int,
    s: int,
    window: int | None,
    block: int = 1,
) -> torch.Tensor:
    """The rule of the module's docstring as a mask `[B, t, s]`, True where a query row sees a key row."""
    row_T1 = torch.arange(t, device=past_B.device)[:, None]
    past, causal, rows = (n.long()[:, None, None] for n in (past_B, causal_B, rows_B))
    ahead_BTS = torch.arange(s, device=past_B.device) - past  # a key's place among the new rows
    end_BT1 = torch.minimum((row_T1 // block + 1) * block, causal) - 1  # of a clean row's block
    last_BT1 = torch.where(row_T1 < causal, end_BT1, rows - 1)
    seen = (ahead_BTS <= last_BT1) & (row_T1 < rows)
    return seen if window is None else seen & (row_T1 - ahead_BTS < window)


def cached_attention_reference(
    q_BHTD: torch.Tensor,
    k_BGSD: torch.Tensor,
    v_BGSD: torch.Tensor,
    past_B: torch.Tensor,
    causal_B: torch.Tensor,
    rows_B: torch.Tensor,
    window: int | None = None,
    scale: float | None = None,
    block: int = 1,
    slot_B: torch.Tensor | None = None,
    keys: int | None = None,
) -> torch.Tensor:
    """What `cached_attention` computes, by a dense mask. The cache behind a sequence's rows may hold anything."""
    k_BGSD, v_BGSD = k_BGSD[:, :, :keys], v_BGSD[:, :, :keys]
    if slot_B is not None:
        k_BGSD, v_BGSD = k_BGSD[slot_B.long()], v_BGSD[slot_B.long()]
    mask_BTS = visible(past_B, causal_B, rows_B, q_BHTD.shape[2], k_BGSD.shape[2], window, block)
    unseen_BS = ~mask_BTS.any(1)[:, None, :, None]
    k, v = k_BGSD.masked_fill(unseen_BS, 0), v_BGSD.masked_fill(unseen_BS, 0)
    blind_BT = ~mask_BTS.any(-1)
    out = canvas_attention_reference(q_BHTD, k, v, mask_BTS | blind_BT[..., None], scale)
    return out.masked_fill(blind_BT[:, None, :, None], 0)


def cached_attention(
    q_BHTD: torch.Tensor,
    k_BGSD: torch.Tensor,
    v_BGSD: torch.Tensor,
    past_B: torch.Tensor,
    causal_B: torch.Tensor,
    rows_B: torch.Tensor,
    *,
    window: int | None = None,
    scale: float | None = None,
    splits: int | None = None,
    block: int = 1,
    slot_B: torch.Tensor | None = None,
    keys: int | None = None,
    backend: Choice = None,
) -> torch.Tensor:
    """Attention of new rows over a cache that holds them too, by the rule of the module's docstring.

    Counts are int32 `[B]` on the device, and so is `slot`, without which sequence b's cache is the b-th; `past + rows`
    must not exceed S (the kernel cannot look without waiting for the device: it reads nothing beyond S). `scale` is
    1/sqrt(D) by default. `keys` is what no sequence's `past + rows` exceeds, for a host that knows it (default: S);
    `splits` follow from it and from how much a GPU does at once. Returns `[B, H, T, D]` in the queries' dtype, with the
    heads of a row side by side in memory. Raises ValueError for shapes or layouts that don't fit.
    """
    _check(q_BHTD, k_BGSD, v_BGSD, (past_B, causal_B, rows_B), window, slot_B)
    require(block > 0, f"a block has at least one row, not {block}")
    require(keys is None or keys > 0, f"there is at least one key, not {keys}")
    longest = k_BGSD.shape[2] if keys is None else min(keys, k_BGSD.shape[2])
    d = q_BHTD.shape[3]
    obstacle = None if d <= LARGEST_HEAD else f"heads of {d} are larger than {LARGEST_HEAD}"
    counts = (past_B, causal_B, rows_B)
    if not dispatch.use_triton(backend, (q_BHTD, k_BGSD, v_BGSD, *counts, slot_B), obstacle):
        given = (q_BHTD, k_BGSD, v_BGSD, *counts)
        return cached_attention_reference(*given, window, scale, block, slot_B, longest)
    require_rows(q=q_BHTD, k=k_BGSD, v=v_BGSD)
    for name, rows in (("k", k_BGSD), ("v", v_BGSD)):
        require(rows.shape[2] * rows.stride(2) < 2**31, f"{name}: rows of a head span 2^31 elements or more")
    splits = _splits(q_BHTD, k_BGSD, longest) if splits is None else splits
    scale = 1 / math.sqrt(d) if scale is None else scale
    return _launch(q_BHTD, k_BGSD, v_BGSD, counts, window, scale * _LOG2_E, splits, block, slot_B, longest)


def _check(
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    counts: tuple[torch.Tensor, ...],
    window: int | None,
    slot_B: torch.Tensor | None,
) -> None:
    require(q.ndim == k.ndim == 4, f"queries and keys have 4 dimensions, not {q.ndim} and {k.ndim}")
    (b, h, _, d), g = q.shape, k.shape[1]
    require(g > 0 and h % g == 0, f"{h} query heads cannot share {g} key/value heads")
    require_shape("k", k, (b if slot_B is None else k.shape[0], g, k.shape[2], d))
    require_shape("v", v, k.shape)
    require(q.dtype == k.dtype == v.dtype, f"q, k and v differ in dtype: {q.dtype}, {k.dtype}, {v.dtype}")
    require(window is None or window > 0, f"a window has at least one row, not {window}")
    given = {"past": counts[0], "causal": counts[1], "rows": counts[2]}
    for name, count in (given if slot_B is None else {**given, "slot": slot_B}).items():
        require_shape(name, count, (b,))
        require(count.dtype == torch.int32, f"{name} must be int32, not {count.dtype}")
        require(count.stride(0) == 1 or b == 1, f"{name} must be contiguous")


def _tile(q: torch.Tensor, share: int) -> tuple[int, int]:
    """Packed query rows and keys of one tile."""
    # Float32 without TF32 is multiplied on the plain cores, from registers: smaller tiles, more warps.
    rows, keys = (16, 32) if q.dtype == torch.float32 else (128, 64)
    return min(power_of_two(q.shape[2] * share, 16), rows), keys


def _splits(q: torch.Tensor, k: torch.Tensor, keys: int) -> int:
    """About two programs for each multiprocessor, and at least four blocks of keys for each program; a power of two,
    since every other number is a kernel of its own."""
    share = q.shape[1] // k.shape[1]
    block_m, block_n = _tile(q, share)
    programs = max(1, -(-q.shape[2] * share // block_m) * q.shape[0] * k.shape[1])
    most = min(2 * dispatch.processors(q.device) // programs, keys // (4 * block_n), 64)
    return 1 << max(1, most).bit_length() - 1


def _launch(
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    counts: tuple[torch.Tensor, ...],
    window: int | None,
    scale: float,
    splits: int,
    block: int,
    slot_B: torch.Tensor | None,
    keys: int,
) -> torch.Tensor:
    (b, h, t, d), g, wide = q.shape, k.shape[1], q.dtype == torch.float32
    block_m, block_n = _tile(q, h // g)
    block_d = power_of_two(d, 16)
    out = torch.empty(b, t, h, d, dtype=q.dtype, device=q.device).transpose(1, 2)
    if splits == 1:
        part_PBHTD, lse_PBHT = out[None], out  # the second is not written
    else:
        part_PBHTD = torch.empty(splits, b, h, t, d, dtype=torch.float32, device=q.device)
        lse_PBHT = torch.empty(splits, b, h, t, dtype=torch.float32, device=q.device)
    strides = (*q.stride()[:3], *k.stride()[:3], *v.stride()[:3], *part_PBHTD.stride()[:4])
    sizes = {"T": t, "S": keys, "G": g, "SHARE": h // g, "D": d, "BLOCK_D": block_d, "SPLITS": splits}
    meta = {"BLOCK_M": block_m, "BLOCK_N": block_n, "num_stages": 2}
    meta |= {"WINDOW": window is not None, "num_warps": 8 if wide or block_m == 128 else 4}
    meta |= {"CLEAN": block, "SLOTS": slot_B is not None}
    tensors = (q, k, v, part_PBHTD, lse_PBHT, *counts, counts[0] if slot_B is None else slot_B)
    grid = (-(-t * (h // g) // block_m), b * g, splits)
    dispatch.launch(_attend_kernel, grid, *tensors, *strides, window or 0, scale, **sizes, **meta)
    if splits > 1:
        rows, block_r, tensors = b * h * t, 4, (part_PBHTD, lse_PBHT, out)
        sizes = {"D": d, "BLOCK_D": block_d, "BLOCK_R": block_r}
        sizes |= {"SPLITS": splits, "BLOCK_P": power_of_two(splits), "num_warps": 4}
        grid = (-(-rows // block_r),)
        dispatch.launch(_join_kernel, grid, *tensors, *out.stride()[:3], rows, h, t, **sizes)
    return out


@jit
def _attend_kernel(
    q, k, v, out, lse, past_B, causal_B, rows_B, slot_B,
    q_b, q_h, q_t, k_b, k_g, k_s, v_b, v_g, v_s, out_p, out_b, out_h, out_t,
    window, scale,
    T, S, G,
    SHARE: constexpr, D: constexpr, BLOCK_D: constexpr, SPLITS: constexpr,
    BLOCK_M: constexpr, BLOCK_N: constexpr, WINDOW: constexpr, CLEAN: constexpr, SLOTS: constexpr,
):  # fmt: skip
    """One tile of packed query rows over one split of one key head's rows. Row m is query row m // SHARE of the
    group's head m % SHARE. `scale` has log2(e) in it: exponentials are of base 2."""
    b, g, split = tl.program_id(1) // G, tl.program_id(1) % G, tl.program_id(2)
    past, causal, rows = tl.load(past_B + b), tl.load(causal_B + b), tl.load(rows_B + b)
    m = tl.program_id(0) * BLOCK_M + tl.arange(0, BLOCK_M)
    n, d = tl.arange(0, BLOCK_N), tl.arange(0, BLOCK_D)
    t, head, in_d = m // SHARE, g * SHARE + m % SHARE, d < D
    # Programs' numbers in 64 bits: a cache may have more than 2^31 elements.
    b64, g64 = b.to(tl.int64), g.to(tl.int64)
    lane64 = tl.load(slot_B + b).to(tl.int64) if SLOTS else b64
    at_q = q + b64 * q_b + head[:, None] * q_h + t[:, None] * q_t + d[None, :]
    q_MD = tl.load(at_q, mask=(t < T)[:, None] & in_d[None, :], other=0.0)

    # Keys that some row of the tile may see, in whole blocks, shared out among the splits.
    first_t = tl.program_id(0) * BLOCK_M // SHARE
    last_t = (tl.program_id(0) * BLOCK_M + BLOCK_M - 1) // SHARE
    last_end = tl.minimum((last_t // CLEAN + 1) * CLEAN, causal)
    end = tl.minimum(past + tl.where(last_t < causal, last_end, rows), S)
    begin = 0
    if WINDOW:
        begin = tl.maximum(past + first_t - window + 1, 0) // BLOCK_N * BLOCK_N
    share = tl.cdiv(tl.cdiv(end - begin, BLOCK_N), SPLITS) * BLOCK_N
    begin += split * share
    end = tl.minimum(end, begin + share)
    last_M = tl.where(
        t < causal, tl.minimum((t // CLEAN + 1) * CLEAN, causal) - 1, rows - 1
    )  # a row sees so far

    k += lane64 * k_b + g64 * k_g
    v += lane64 * v_b + g64 * v_g
    best_M = tl.full([BLOCK_M], float("-inf"), tl.float32)
    sum_M = tl.zeros([BLOCK_M], tl.float32)
    acc_MD = tl.zeros([BLOCK_M, BLOCK_D], tl.float32)
    for start in range(begin, end, BLOCK_N):
        s = start + n
        k_DN = tl.load(k + s[None, :] * k_s + d[:, None], mask=(s < end)[None, :] & in_d[:, None], other=0.0)
        ahead = s - past
        seen = (ahead[None, :] <= last_M[:, None]) & (t < rows)[:, None] & (s < end)[None, :]
        if WINDOW:
            seen = seen & (t[:, None] - ahead[None, :] < window)
        score_MN = tl.where(seen, dot(q_MD, k_DN) * scale, float("-inf"))
        top_M = tl.maximum(best_M, tl.max(score_MN, 1))
        # A row that has seen nothing yet keeps -inf, from which nothing may be subtracted.
        base_M = tl.where(top_M == float("-inf"), 0.0, top_M)
        p_MN = tl.exp2(score_MN - base_M[:, None])
        fade_M = tl.exp2(best_M - base_M)
        sum_M = sum_M * fade_M + tl.sum(p_MN, 1)
        v_ND = tl.load(v + s[:, None] * v_s + d[None, :], mask=(s < end)[:, None] & in_d[None, :], other=0.0)
        acc_MD = acc_MD * fade_M[:, None] + dot(p_MN.to(v_ND.dtype), v_ND)
        best_M = top_M

    acc_MD /= tl.where(sum_M == 0, 1.0, sum_M)[:, None]
    out += split.to(tl.int64) * out_p + b64 * out_b
    at_out = out + head[:, None] * out_h + t[:, None] * out_t + d[None, :]
    written = (t < T)[:, None] & in_d[None, :]
    if SPLITS > 1:  # what a split without keys would write, nobody reads
        written = written & (begin < end)
    tl.store(at_out, acc_MD.to(out.dtype.element_ty), mask=written)
    if SPLITS > 1:
        value_M = tl.where(sum_M == 0, float("-inf"), best_M + tl.log2(tl.where(sum_M == 0, 1.0, sum_M)))
        at_row = (split * tl.num_programs(1) // G + b) * (G * SHARE) + head
        tl.store(lse + at_row * T + t, value_M, mask=t < T)


@jit
def _join_kernel(
    part, lse, out, out_b, out_h, out_t, ROWS, H, T,
    D: constexpr, BLOCK_D: constexpr, BLOCK_R: constexpr, SPLITS: constexpr, BLOCK_P: constexpr,
):  # fmt: skip
    """Some of all the heads' query rows: the mean of their splits, weighted by exp2 of their log-sum-exp."""
    row, d = tl.program_id(0) * BLOCK_R + tl.arange(0, BLOCK_R), tl.arange(0, BLOCK_D)
    p, in_row = tl.arange(0, BLOCK_P), row < ROWS
    at_RP = lse + p[None, :] * ROWS + row[:, None]
    lse_RP = tl.load(at_RP, mask=in_row[:, None] & (p < SPLITS)[None, :], other=float("-inf"))
    best_R = tl.max(lse_RP, 1)
    best_R = tl.where(best_R == float("-inf"), 0.0, best_R)
    total_R = tl.sum(tl.exp2(lse_RP - best_R[:, None]), 1)
    mask = in_row[:, None] & (d < D)[None, :]
    sum_RD = tl.zeros([BLOCK_R, BLOCK_D], tl.float32)
    for split in tl.static_range(SPLITS):  # unrolled: the loads of all splits are on their way together
        at_R = split * ROWS + row
        at_RD = part + at_R.to(tl.int64)[:, None] * D + d[None, :]
        lse_R = tl.load(lse + at_R, mask=in_row, other=float("-inf"))
        part_RD = tl.load(at_RD, mask=mask & (lse_R > float("-inf"))[:, None], other=0.0)
        sum_RD += part_RD * tl.exp2(lse_R - best_R)[:, None]
    mean_RD = sum_RD / tl.where(total_R == 0, 1.0, total_R)[:, None]
    b, h, t = row // (H * T), row // T % H, row % T
    to = out + b.to(tl.int64) * out_b + h * out_h + t * out_t
    tl.store(to[:, None] + d[None, :], mean_RD.to(out.dtype.element_ty), mask=mask)
