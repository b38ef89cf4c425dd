"""QK-norm, rotary embedding and the cache write of one layer's new rows, in one pass.

Rotary embedding (Su et al. 2021) with the halves layout of Llama and GPT-NeoX: of each head's D numbers the first 2F
are turned, number i together with number F + i, by position times frequency i; the rest passes through (a *partial*
rotary fraction of 2F / D). QK-norm is RMSNorm over a head, before turning. All of it is computed in float32 and
rounded once. Frequencies are the caller's, so that any scaling of them works here.

Shapes: B batch, T new rows, S cache rows, H query heads, G key/value heads, D head size, F frequencies.
"""

from __future__ import annotations

import torch

from kernels import dispatch
from kernels.dispatch import Choice, constexpr, jit, power_of_two, require, require_rows, require_shape, tl


def rotate_and_store_reference(
    q_BTHD: torch.Tensor,
    k_BTGD: torch.Tensor,
    v_BTGD: torch.Tensor,
    positions_BT: torch.Tensor,
    places_BT: torch.Tensor,
    frequencies_F: torch.Tensor,
    cache_k_BGSD: torch.Tensor,
    cache_v_BGSD: torch.Tensor,
    q_weight_D: torch.Tensor | None = None,
    k_weight_D: torch.Tensor | None = None,
    eps: float = 1e-6,
    magnitude: float = 1.0,
    slot_B: torch.Tensor | None = None,
) -> torch.Tensor:
    """What `rotate_and_store` does, written out."""
    wide = torch.promote_types(q_BTHD.dtype, torch.float32)
    angle_BT1F = (positions_BT[..., None].to(wide) * frequencies_F.to(wide))[:, :, None]
    q = _turn(_normed(q_BTHD.to(wide), q_weight_D, eps), angle_BT1F, magnitude)
    k = _turn(_normed(k_BTGD.to(wide), k_weight_D, eps), angle_BT1F, magnitude)
    b, t = ((places_BT >= 0) & (places_BT < cache_k_BGSD.shape[2])).nonzero(as_tuple=True)
    place, slot = places_BT[b, t].long(), b if slot_B is None else slot_B.long()[b]
    cache_k_BGSD[slot, :, place] = k[b, t].to(cache_k_BGSD.dtype)
    cache_v_BGSD[slot, :, place] = v_BTGD[b, t]
    return q.to(q_BTHD.dtype).transpose(1, 2)


def _normed(x: torch.Tensor, weight: torch.Tensor | None, eps: float) -> torch.Tensor:
    if weight is None:
        return x
    return torch.nn.functional.rms_norm(x, weight.shape, weight.to(x.dtype), eps)


def _turn(x: torch.Tensor, angle: torch.Tensor, magnitude: float) -> torch.Tensor:
    f, cos, sin = angle.shape[-1], angle.cos() * magnitude, angle.sin() * magnitude
    a, b = x[..., :f], x[..., f : 2 * f]
    return torch.cat((a * cos - b * sin, b * cos + a * sin, x[..., 2 * f :]), dim=-1)


def rotate_and_store(
    q_BTHD: torch.Tensor,
    k_BTGD: torch.Tensor,
    v_BTGD: torch.Tensor,
    positions_BT: torch.Tensor,
    places_BT: torch.Tensor,
    frequencies_F: torch.Tensor,
    cache_k_BGSD: torch.Tensor,
    cache_v_BGSD: torch.Tensor,
    *,
    q_weight_D: torch.Tensor | None = None,
    k_weight_D: torch.Tensor | None = None,
    eps: float = 1e-6,
    magnitude: float = 1.0,
    slot_B: torch.Tensor | None = None,
    backend: Choice = None,
) -> torch.Tensor:
    """Norm and turn queries and keys, and write keys and values into rows `places` of the cache.

    A place outside 0..S-1 writes nothing (padding); no two places of a sequence may be equal. Positions and places are
    integers, `frequencies` float32 in radians per position, with 2F at most D; what is turned is multiplied by
    `magnitude` (YaRN). Where the cache has other sequences too, int32 `slot` says which one is whose. Returns queries
    `[B, H, T, D]`, a view of `[B, T, H, D]`. Raises ValueError for shapes or layouts that don't fit.
    """
    given = (q_BTHD, k_BTGD, v_BTGD, positions_BT, places_BT, frequencies_F, cache_k_BGSD, cache_v_BGSD)
    _check(*given, slot_B)
    for name, weight in (("q_weight", q_weight_D), ("k_weight", k_weight_D)):
        if weight is not None:
            require_shape(name, weight, q_BTHD.shape[3:])
    if not dispatch.use_triton(backend, (*given, q_weight_D, k_weight_D, slot_B)):
        return rotate_and_store_reference(*given, q_weight_D, k_weight_D, eps, magnitude, slot_B)
    require_rows(q=q_BTHD, k=k_BTGD, v=v_BTGD, cache_k=cache_k_BGSD, cache_v=cache_v_BGSD)
    require_rows(frequencies=frequencies_F, q_weight=q_weight_D, k_weight=k_weight_D)
    require(
        positions_BT.is_contiguous() and places_BT.is_contiguous(), "positions and places must be contiguous"
    )
    return _launch(*given, q_weight_D, k_weight_D, eps, magnitude, slot_B)


def _check(q, k, v, positions, places, frequencies, cache_k, cache_v, slot) -> None:
    (b, t, _, d), g = q.shape, k.shape[2]
    require_shape("k", k, (b, t, g, d))
    require_shape("v", v, (b, t, g, d))
    require_shape("positions", positions, (b, t))
    require_shape("places", places, (b, t))
    require_shape("cache_k", cache_k, (b if slot is None else cache_k.shape[0], g, cache_k.shape[2], d))
    if slot is not None:
        require_shape("slot", slot, (b,))
        require(slot.dtype == torch.int32, f"slot must be int32, not {slot.dtype}")
    require_shape("cache_v", cache_v, cache_k.shape)
    dtypes = {x.dtype for x in (q, k, v, cache_k, cache_v)}
    require(len(dtypes) == 1, f"q, k, v and the cache differ in dtype: {', '.join(sorted(map(str, dtypes)))}")
    f = frequencies.shape[0]
    require(0 < 2 * f <= d, f"{f} frequencies turn {2 * f} numbers, and a head has {d}")
    for name, x in (("positions", positions), ("places", places)):
        require(
            not x.is_floating_point() and x.dtype != torch.bool, f"{name} must be integers, not {x.dtype}"
        )


def _launch(
    q, k, v, positions, places, frequencies, cache_k, cache_v, q_weight, k_weight, eps, magnitude, slot
) -> torch.Tensor:
    (b, t, h, d), g, f = q.shape, k.shape[2], frequencies.shape[0]
    out = torch.empty(b, t, h, d, dtype=q.dtype, device=q.device)
    tensors = (
        q,
        k,
        v,
        out,
        cache_k,
        cache_v,
        positions,
        places,
        positions if slot is None else slot,
        frequencies,
    )
    weights = (q if q_weight is None else q_weight, k if k_weight is None else k_weight)
    strides = (
        *q.stride()[:3],
        *k.stride()[:3],
        *v.stride()[:3],
        *cache_k.stride()[:3],
        *cache_v.stride()[:3],
    )
    meta = {"D": d, "F": f, "BLOCK_F": power_of_two(f), "BLOCK_D": power_of_two(d), "num_warps": 1}
    meta |= {"REST": d - 2 * f, "BLOCK_REST": power_of_two(d - 2 * f)}
    meta |= {"Q_NORM": q_weight is not None, "K_NORM": k_weight is not None, "SLOTS": slot is not None}
    dispatch.launch(
        _rotate_kernel,
        (b * t, h + g),
        *tensors,
        *weights,
        *strides,
        t,
        h,
        cache_k.shape[2],
        eps,
        magnitude,
        **meta,
    )
    return out.transpose(1, 2)


@jit
def _rotate_kernel(
    q, k, v, out, cache_k, cache_v, positions, places, slot_B, frequencies, q_weight, k_weight,
    q_b, q_t, q_h, k_b, k_t, k_g, v_b, v_t, v_g, ck_b, ck_g, ck_s, cv_b, cv_g, cv_s, T, H, S, eps, magnitude,
    D: constexpr, F: constexpr, REST: constexpr, BLOCK_D: constexpr, BLOCK_F: constexpr, BLOCK_REST: constexpr,
    Q_NORM: constexpr, K_NORM: constexpr, SLOTS: constexpr,
):  # fmt: skip
    """One head of one new row: a query head below H, a key head and its values from there on."""
    row, head = tl.program_id(0), tl.program_id(1)
    b, t = (row // T).to(tl.int64), row % T
    f = tl.arange(0, BLOCK_F)
    # Not the hardware's approximate sine: positions of many thousand radians need its range reduction.
    angle_F = tl.load(positions + row).to(tl.float32) * tl.load(frequencies + f, mask=f < F, other=0.0)
    cos_F, sin_F = tl.cos(angle_F) * magnitude, tl.sin(angle_F) * magnitude
    if head < H:
        source = q + b * q_b + t * q_t + head * q_h
        target = out + (row.to(tl.int64) * H + head) * D
        _turn_head(source, target, q_weight, cos_F, sin_F, eps, D, F, REST, BLOCK_F, BLOCK_REST, Q_NORM)
    else:
        g = head - H
        place = tl.load(places + row).to(tl.int64)
        lane = tl.load(slot_B + b).to(tl.int64) if SLOTS else b
        if (place >= 0) & (place < S):
            source = k + b * k_b + t * k_t + g * k_g
            target = cache_k + lane * ck_b + g * ck_g + place * ck_s
            _turn_head(source, target, k_weight, cos_F, sin_F, eps, D, F, REST, BLOCK_F, BLOCK_REST, K_NORM)
            d = tl.arange(0, BLOCK_D)
            values_D = tl.load(v + b * v_b + t * v_t + g * v_g + d, mask=d < D, other=0.0)
            tl.store(cache_v + lane * cv_b + g * cv_g + place * cv_s + d, values_D, mask=d < D)


@jit
def _turn_head(
    source, target, weight, cos_F, sin_F, eps,
    D: constexpr, F: constexpr, REST: constexpr, BLOCK_F: constexpr, BLOCK_REST: constexpr, NORM: constexpr,
):  # fmt: skip
    """Read a head as its two halves and its rest, norm it if asked, turn the halves, write it."""
    f, r = tl.arange(0, BLOCK_F), 2 * F + tl.arange(0, BLOCK_REST)
    a_F = tl.load(source + f, mask=f < F, other=0.0).to(tl.float32)
    b_F = tl.load(source + F + f, mask=f < F, other=0.0).to(tl.float32)
    rest = tl.load(source + r, mask=r < D, other=0.0).to(tl.float32)
    if NORM:
        squares = tl.sum(a_F * a_F, 0) + tl.sum(b_F * b_F, 0) + tl.sum(rest * rest, 0)
        factor = 1 / tl.sqrt(squares / D + eps)
        a_F = a_F * factor * tl.load(weight + f, mask=f < F, other=0.0).to(tl.float32)
        b_F = b_F * factor * tl.load(weight + F + f, mask=f < F, other=0.0).to(tl.float32)
        rest = rest * factor * tl.load(weight + r, mask=r < D, other=0.0).to(tl.float32)
    kind = target.dtype.element_ty
    tl.store(target + f, (a_F * cos_F - b_F * sin_F).to(kind), mask=f < F)
    tl.store(target + F + f, (b_F * cos_F + a_F * sin_F).to(kind), mask=f < F)
    if REST > 0:
        tl.store(target + r, rest.to(kind), mask=r < D)
