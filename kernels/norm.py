"""Residual addition and RMSNorm (Zhang and Sennrich 2019) in one pass over a row, and the row's rounding to 8 bits.

The sum is rounded to the tensors' dtype before it is normed, as two separate operations would; it is read and written
once. For products of 8-bit rows the normed row leaves as FP8 (e4m3) or int8 with one scale of its own, by its peak;
it is rounded from float32, without the detour of 16 bits, and never written otherwise.
Shapes: ... any leading dimensions, C width.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F

from kernels import dispatch
from kernels.dispatch import (
    Choice,
    constexpr,
    jit,
    power_of_two,
    require,
    require_shape,
    round_to_even,
    tl,
    to_e4m3,
)
from kernels.pack import LARGEST_FP8

WIDEST = 16384
"""A row is held in registers."""
PEAKS = {torch.float8_e4m3fn: LARGEST_FP8, torch.int8: 127.0}
"""What rows are rounded to, and the number that their peak becomes."""


def add_rms_norm_reference(
    x: torch.Tensor, residual: torch.Tensor | None, weight_C: torch.Tensor, eps: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """`(x + residual, its RMSNorm)`, the norm computed in at least float32 and rounded once."""
    total = x if residual is None else x + residual
    wide = torch.promote_types(x.dtype, torch.float32)
    return total, F.rms_norm(total.to(wide), (x.shape[-1],), weight_C.to(wide), eps).to(x.dtype)


def add_rms_norm_quantized_reference(
    x: torch.Tensor, residual: torch.Tensor | None, weight_C: torch.Tensor, eps: float, kind: torch.dtype
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """`(x + residual, its RMSNorm / scale as kind, float32 scale of each row)`."""
    total = x if residual is None else x + residual
    wide = torch.promote_types(x.dtype, torch.float32)
    normed = F.rms_norm(total.to(wide), (x.shape[-1],), weight_C.to(wide), eps)
    scale = normed.abs().amax(-1).clamp(min=1e-30) / PEAKS[kind]
    rows = (normed / scale[..., None]).clamp(-PEAKS[kind], PEAKS[kind])
    return total, (rows.round() if kind == torch.int8 else rows).to(kind), scale.float()


def add_rms_norm(
    x: torch.Tensor,
    residual: torch.Tensor | None,
    weight_C: torch.Tensor,
    eps: float = 1e-6,
    *,
    backend: Choice = None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """`(x + residual, its RMSNorm times weight)`, both `[..., C]` in x's dtype; without a residual, x itself and
    its norm. The weight may have another dtype. Raises ValueError for shapes or layouts that don't fit."""
    _check(x, residual, weight_C)
    if not dispatch.use_triton(backend, (x, residual, weight_C), _obstacle(x)):
        return add_rms_norm_reference(x, residual, weight_C, eps)
    return _launch(x, residual, weight_C, eps, torch.empty_like(x), None)


def add_rms_norm_quantized(
    x: torch.Tensor,
    residual: torch.Tensor | None,
    weight_C: torch.Tensor,
    eps: float = 1e-6,
    *,
    kind: torch.dtype = torch.float8_e4m3fn,
    backend: Choice = None,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """As `add_rms_norm`, its norm as `(rows [..., C] of kind, float32 scales [...])`, to be multiplied. `kind` is
    float8_e4m3fn or int8; a row of zeros has zeros. FP8 needs a GPU of compute capability 8.9, or the reference."""
    _check(x, residual, weight_C)
    require(kind in PEAKS, f"rows are rounded to {' or '.join(map(str, PEAKS))}, not {kind}")
    obstacle = _obstacle(x) or (dispatch.fp8_obstacle(x.device) if kind != torch.int8 else None)
    if not dispatch.use_triton(backend, (x, residual, weight_C), obstacle):
        return add_rms_norm_quantized_reference(x, residual, weight_C, eps, kind)
    scale = torch.empty(x.shape[:-1], dtype=torch.float32, device=x.device)
    rows = torch.empty(x.shape, dtype=kind, device=x.device)
    return *_launch(x, residual, weight_C, eps, rows, scale), scale


def _check(x: torch.Tensor, residual: torch.Tensor | None, weight: torch.Tensor) -> None:
    require_shape("weight", weight, x.shape[-1:])
    if residual is not None:
        require_shape("residual", residual, x.shape)
        require(residual.dtype == x.dtype, f"x is {x.dtype}, the residual {residual.dtype}")


def _obstacle(x: torch.Tensor) -> str | None:
    return None if x.shape[-1] <= WIDEST else f"rows of {x.shape[-1]} are wider than {WIDEST}"


def _launch(
    x: torch.Tensor,
    residual: torch.Tensor | None,
    weight: torch.Tensor,
    eps: float,
    normed: torch.Tensor,
    scale: torch.Tensor | None,
) -> tuple[torch.Tensor, torch.Tensor]:
    for name, tensor in (("x", x), ("residual", residual), ("weight", weight)):
        require(tensor is None or tensor.is_contiguous(), f"{name} must be contiguous")
    c = x.shape[-1]
    total = x if residual is None else torch.empty_like(x)
    tensors = (x, x if residual is None else residual, weight, total, normed, x if scale is None else scale)
    block = power_of_two(c)
    meta = {"HAS_RESIDUAL": residual is not None, "PEAK": 0.0 if scale is None else PEAKS[normed.dtype]}
    meta |= {"BLOCK_C": block, "num_warps": min(max(block // 256, 1), 8)}
    dispatch.launch(_add_rms_norm_kernel, (x.numel() // max(c, 1),), *tensors, c, eps, **meta)
    return total, normed


@jit
def _add_rms_norm_kernel(
    x, residual, weight, total, normed, scale, C, eps,
    HAS_RESIDUAL: constexpr, PEAK: constexpr, BLOCK_C: constexpr,
):  # fmt: skip
    """One row. Without a peak it is not rounded to 8 bits."""
    c = tl.arange(0, BLOCK_C)
    at = tl.program_id(0).to(tl.int64) * C + c
    row_C = tl.load(x + at, mask=c < C, other=0.0)
    if HAS_RESIDUAL:
        row_C = row_C.to(tl.float32) + tl.load(residual + at, mask=c < C, other=0.0).to(tl.float32)
        row_C = row_C.to(total.dtype.element_ty)
        tl.store(total + at, row_C, mask=c < C)
    wide_C = row_C.to(tl.float32)
    factor = 1 / tl.sqrt(tl.sum(wide_C * wide_C, 0) / C + eps)
    weight_C = tl.load(weight + c, mask=c < C, other=0.0).to(tl.float32)
    normed_C = wide_C * factor * weight_C
    if PEAK > 0:
        peak = tl.maximum(tl.max(tl.abs(normed_C), 0), 1e-30)
        tl.store(scale + tl.program_id(0), peak / PEAK)
        # The quotient may be the next number beyond the peak.
        small_C = tl.clamp(normed_C / (peak / PEAK), -PEAK, PEAK)
        if PEAK == 127:
            tl.store(normed + at, round_to_even(small_C).to(tl.int8), mask=c < C)
        else:
            tl.store(normed + at, to_e4m3(small_C), mask=c < C)
    else:
        tl.store(normed + at, normed_C.to(normed.dtype.element_ty), mask=c < C)
