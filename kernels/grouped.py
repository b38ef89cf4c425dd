"""Products of groups of rows, each group with a matrix of its own: what a mixture of experts does with the rows that
were sent to each expert.

How many rows a group has is known on the device alone, so that a step need not wait for it: the grid has programs for
every matrix, and those whose group is empty read nothing. Weights are read once for every 16 to 64 rows of a group.

Shapes: M rows in the order of their groups, I inputs, O outputs, E matrices, N source rows.
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

_BLOCK_O = 64


def grouped_linear_reference(
    x_NI: torch.Tensor, weight_EOI: torch.Tensor, ends_E: torch.Tensor, source_M: torch.Tensor | None
) -> torch.Tensor:
    """What `grouped_linear` computes, group by group, in at least float32 and rounded once."""
    wide = torch.promote_types(x_NI.dtype, torch.float32)
    rows = x_NI if source_M is None else x_NI[source_M.long()]
    out = torch.zeros(len(rows), weight_EOI.shape[1], dtype=x_NI.dtype, device=x_NI.device)
    begin = 0
    for expert, end in enumerate(ends_E.tolist()):
        out[begin:end] = (rows[begin:end].to(wide) @ weight_EOI[expert].to(wide).T).to(out.dtype)
        begin = end
    return out


def grouped_linear(
    x_NI: torch.Tensor,
    weight_EOI: torch.Tensor,
    ends_E: torch.Tensor,
    source_M: torch.Tensor | None = None,
    *,
    backend: Choice = None,
) -> torch.Tensor:
    """`[M, O]`: row m of group e is `x[source[m]] @ weight[e].T` (without sources `x[m]`); e's rows end before
    `ends[e]` and begin where those of e - 1 end. `ends` (int32, ascending, the last one M) and `source` are on the
    device. Raises ValueError for shapes, dtypes or layouts that don't fit."""
    e, o, i = weight_EOI.shape
    require_shape("x", x_NI, (x_NI.shape[0], i))
    require_shape("ends", ends_E, (e,))
    require(ends_E.dtype == torch.int32, f"ends must be int32, not {ends_E.dtype}")
    require(x_NI.dtype == weight_EOI.dtype, f"x is {x_NI.dtype}, the weights {weight_EOI.dtype}")
    if source_M is not None:
        require(source_M.dtype == torch.int32, f"source must be int32, not {source_M.dtype}")
    if not dispatch.use_triton(backend, (x_NI, weight_EOI, ends_E, source_M)):
        return grouped_linear_reference(x_NI, weight_EOI, ends_E, source_M)
    require_rows(x=x_NI, weight=weight_EOI, ends=ends_E, source=source_M)
    m = x_NI.shape[0] if source_M is None else len(source_M)
    out = torch.empty(m, o, dtype=x_NI.dtype, device=x_NI.device)
    wide = x_NI.dtype == torch.float32
    # A group is on average much smaller than all rows; long ones are run in several rounds.
    rows = min(power_of_two(-(-4 * m // e), 16), 16 if wide else 64)
    meta = {
        "BLOCK_M": rows,
        "BLOCK_O": _BLOCK_O,
        "BLOCK_I": 32 if wide else 64,
        "num_warps": 4,
        "num_stages": 3,
    }
    tensors = (x_NI, weight_EOI, ends_E, ends_E if source_M is None else source_M, out)
    strides = (x_NI.stride(0), weight_EOI.stride(0), weight_EOI.stride(1))
    grid = (-(-o // _BLOCK_O), e)
    dispatch.launch(_grouped_kernel, grid, *tensors, *strides, o, i, HAS_SOURCE=source_M is not None, **meta)
    return out


@jit
def _grouped_kernel(
    x, weight, ends, source, out, x_n, weight_e, weight_o, outputs, inputs,
    HAS_SOURCE: constexpr, BLOCK_M: constexpr, BLOCK_O: constexpr, BLOCK_I: constexpr,
):  # fmt: skip
    """A tile of one matrix's outputs, for all rows of its group."""
    e = tl.program_id(1)
    end = tl.load(ends + e)
    begin = tl.load(ends + e - 1, mask=e > 0, other=0)
    o, i = tl.program_id(0) * BLOCK_O + tl.arange(0, BLOCK_O), tl.arange(0, BLOCK_I)
    at_w = weight + e.to(tl.int64) * weight_e + o.to(tl.int64)[None, :] * weight_o + i[:, None]
    for start in range(begin, end, BLOCK_M):
        m = start + tl.arange(0, BLOCK_M)
        n = m
        if HAS_SOURCE:
            n = tl.load(source + m, mask=m < end, other=0)
        at_x = x + n.to(tl.int64)[:, None] * x_n + i[None, :]
        sum_MO = tl.zeros([BLOCK_M, BLOCK_O], tl.float32)
        for k in range(0, inputs, BLOCK_I):
            in_i = k + i < inputs
            x_MI = tl.load(at_x + k, mask=(m < end)[:, None] & in_i[None, :], other=0.0)
            w_IO = tl.load(at_w + k, mask=in_i[:, None] & (o < outputs)[None, :], other=0.0)
            sum_MO += dot(x_MI, w_IO)
        at = out + m.to(tl.int64)[:, None] * outputs + o[None, :]
        tl.store(at, sum_MO.to(out.dtype.element_ty), mask=(m < end)[:, None] & (o < outputs)[None, :])
