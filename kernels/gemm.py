"""Few rows times int8 weights, one scale for each output: the products of a denoising step, which reads every weight
for a few rows and so takes as long as reading the weights does. Only the weights are int8 (half of bfloat16's bytes);
they are widened in registers, multiplied in the rows' dtype, summed in float32 and scaled once at the end.

Shapes: ... any leading dimensions of the rows, I inputs, O outputs.
"""

from __future__ import annotations

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


def int8_linear_reference(x: torch.Tensor, weight_OI: torch.Tensor, scale_O: torch.Tensor) -> torch.Tensor:
    """`x @ (weight * scale).T`, computed in at least float32 and rounded once."""
    wide = torch.promote_types(x.dtype, torch.float32)
    return ((x.to(wide) @ weight_OI.to(wide).T) * scale_O).to(x.dtype)


def int8_linear(
    x: torch.Tensor, weight_OI: torch.Tensor, scale_O: torch.Tensor, *, backend: Choice = None
) -> torch.Tensor:
    """`[..., O]` in x's dtype from rows `[..., I]`, int8 weights and float32 scales.

    Meant for up to some hundred rows: beyond, weights in bfloat16 and a library's product are faster.
    Raises ValueError for shapes, dtypes or layouts that don't fit.
    """
    o, i = weight_OI.shape
    require_shape("x", x, (*x.shape[:-1], i))
    require_shape("scale", scale_O, (o,))
    require(weight_OI.dtype == torch.int8, f"the weight must be int8, not {weight_OI.dtype}")
    require(scale_O.dtype == torch.float32, f"scale must be float32, not {scale_O.dtype}")
    if not dispatch.use_triton(backend, (x, weight_OI, scale_O)):
        return int8_linear_reference(x, weight_OI, scale_O)
    require(x.is_contiguous(), "x must be contiguous")
    require_rows(weight=weight_OI, scale=scale_O)
    out = torch.empty(*x.shape[:-1], o, dtype=x.dtype, device=x.device)
    r, wide = x.numel() // max(i, 1), x.dtype == torch.float32
    meta = {"BLOCK_R": min(power_of_two(r, 16), 16 if wide else 64), "BLOCK_O": 32, "num_warps": 4}
    meta |= {"BLOCK_I": 64 if wide else 128, "num_stages": 3}
    # Narrow tiles, so that 4,096 outputs occupy 128 multiprocessors; rows vary fastest, to meet weights in the cache.
    grid = (-(-r // meta["BLOCK_R"]), -(-o // meta["BLOCK_O"]))
    dispatch.launch(
        _int8_linear_kernel, grid, x, weight_OI, scale_O, out, weight_OI.stride(0), r, o, i, **meta
    )
    return out


@jit
def _int8_linear_kernel(
    x, weight, scale, out, weight_o, rows, outputs, inputs, BLOCK_R: constexpr, BLOCK_O: constexpr, BLOCK_I: constexpr
):  # fmt: skip
    """A tile of outputs."""
    r = tl.program_id(0) * BLOCK_R + tl.arange(0, BLOCK_R)
    o = tl.program_id(1) * BLOCK_O + tl.arange(0, BLOCK_O)
    i = tl.arange(0, BLOCK_I)
    at_x = x + r.to(tl.int64)[:, None] * inputs + i[None, :]
    at_weight = weight + o.to(tl.int64)[None, :] * weight_o + i[:, None]
    sum_RO = tl.zeros([BLOCK_R, BLOCK_O], tl.float32)
    for start in range(0, inputs, BLOCK_I):
        in_i = start + i < inputs
        x_RI = tl.load(at_x + start, mask=(r < rows)[:, None] & in_i[None, :], other=0.0)
        weight_IO = tl.load(at_weight + start, mask=in_i[:, None] & (o < outputs)[None, :], other=0)
        # Exact: 127 fits bfloat16. By way of float32, because the interpreter widens int8 to bfloat16 wrongly.
        sum_RO += dot(x_RI, weight_IO.to(tl.float32).to(x_RI.dtype))
    scale_O = tl.load(scale + o, mask=o < outputs, other=0.0)
    at_out = out + r.to(tl.int64)[:, None] * outputs + o[None, :]
    tl.store(
        at_out,
        (sum_RO * scale_O[None, :]).to(out.dtype.element_ty),
        mask=(r < rows)[:, None] & (o < outputs)[None, :],
    )
