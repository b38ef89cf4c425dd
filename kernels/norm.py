"""Residual addition and RMSNorm (Zhang and Sennrich 2019) in one pass over a row.

The sum is rounded to the tensors' dtype before it is normed, as two separate operations would; it is read and written
once. Shapes: ... any leading dimensions, C width.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F

from kernels import dispatch
from kernels.dispatch import Choice, constexpr, jit, power_of_two, require, require_shape, tl

WIDEST = 16384
"""A row is held in registers."""


def add_rms_norm_reference(
    x: torch.Tensor, residual: torch.Tensor | None, weight_C: torch.Tensor, eps: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """`(x + residual, its RMSNorm)`, the norm computed in at least float32 and rounded once."""
    total = x if residual is None else x + residual
    wide = torch.promote_types(x.dtype, torch.float32)
    return total, F.rms_norm(total.to(wide), (x.shape[-1],), weight_C.to(wide), eps).to(x.dtype)


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
    c = x.shape[-1]
    require_shape("weight", weight_C, (c,))
    if residual is not None:
        require_shape("residual", residual, x.shape)
        require(residual.dtype == x.dtype, f"x is {x.dtype}, the residual {residual.dtype}")
    obstacle = None if c <= WIDEST else f"rows of {c} are wider than {WIDEST}"
    if not dispatch.use_triton(backend, (x, residual, weight_C), obstacle):
        return add_rms_norm_reference(x, residual, weight_C, eps)
    for name, tensor in (("x", x), ("residual", residual), ("weight", weight_C)):
        require(tensor is None or tensor.is_contiguous(), f"{name} must be contiguous")
    total = x if residual is None else torch.empty_like(x)
    normed = torch.empty_like(x)
    block = power_of_two(c)
    tensors = (x, x if residual is None else residual, weight_C, total, normed)
    meta = {"HAS_RESIDUAL": residual is not None, "BLOCK_C": block, "num_warps": min(max(block // 256, 1), 8)}
    dispatch.launch(_add_rms_norm_kernel, (x.numel() // max(c, 1),), *tensors, c, eps, **meta)
    return total, normed


@jit
def _add_rms_norm_kernel(
    x, residual, weight, total, normed, C, eps, HAS_RESIDUAL: constexpr, BLOCK_C: constexpr
):
    """One row."""
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
    tl.store(normed + at, (wide_C * factor * weight_C).to(normed.dtype.element_ty), mask=c < C)
