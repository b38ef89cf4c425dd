"""Products of groups of rows, each group with a matrix of its own: what a mixture of experts does with the rows that
were sent to each expert.

How many rows a group has is known on the device alone, so that a step need not wait for it: the grid has programs for
every matrix, and those whose group is empty read nothing. Weights are read once for every 16 to 64 rows of a group.
Those of eight or four bits are widened in registers and scaled as in gemm.py, for many rows too: which matrices would
have to be widened into memory is not known.

Shapes: M rows in the order of their groups, I inputs, O outputs, E matrices, N source rows; of four bits G groups of
inputs, H bytes each.
"""

from __future__ import annotations

from typing import Any, NamedTuple, TypeAlias

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
from kernels.gemm import int4_linear_reference, scaled_linear_reference
from kernels.pack import GROUPS, Int4, int4_tile

_BLOCK_O = 64


class Scaled(NamedTuple):
    """Matrices of int8 or float8_e4m3fn, none of them NaN, with a float32 scale for each output."""

    weight_EOI: torch.Tensor
    scale_EO: torch.Tensor


Stack: TypeAlias = torch.Tensor | Scaled | Int4
"""Matrices one upon the other: `[E, O, I]` in the rows' dtype, or small; an `Int4` is `[E, O, G, H]`, `[E, G, O]`."""


def grouped_linear_reference(
    x_NI: torch.Tensor, weight: Stack, ends_E: torch.Tensor, source_M: torch.Tensor | None
) -> torch.Tensor:
    """What `grouped_linear` computes, group by group, in at least float32 and rounded once."""
    rows = x_NI if source_M is None else x_NI[source_M.long()]
    outputs = (weight if isinstance(weight, torch.Tensor) else weight[0]).shape[1]
    out = torch.zeros(len(rows), outputs, dtype=x_NI.dtype, device=x_NI.device)
    begin = 0
    for expert, end in enumerate(ends_E.tolist()):
        if end > begin:  # else a matrix would be widened for nothing
            out[begin:end] = _product(rows[begin:end], weight, expert)
        begin = end
    return out


def _product(x: torch.Tensor, weight: Stack, expert: int) -> torch.Tensor:
    if isinstance(weight, Int4):
        return int4_linear_reference(x, weight.matrix(expert))
    if isinstance(weight, Scaled):
        return scaled_linear_reference(x, weight.weight_EOI[expert], weight.scale_EO[expert])
    wide = torch.promote_types(x.dtype, torch.float32)
    return (x.to(wide) @ weight[expert].to(wide).T).to(x.dtype)


def grouped_linear(
    x_NI: torch.Tensor,
    weight: Stack,
    ends_E: torch.Tensor,
    source_M: torch.Tensor | None = None,
    *,
    backend: Choice = None,
) -> torch.Tensor:
    """`[M, O]`: row m of group e is `x[source[m]] @ weight[e].T` (without sources `x[m]`); e's rows end before
    `ends[e]` and begin where those of e - 1 end. `ends` (int32, ascending, the last one M) and `source` are on the
    device. On a GPU that has no FP8 the reference runs for it, which waits for the device. Raises ValueError for
    shapes, dtypes or layouts that don't fit."""
    require(ends_E.dtype == torch.int32, f"ends must be int32, not {ends_E.dtype}")
    if source_M is not None:
        require(source_M.dtype == torch.int32, f"source must be int32, not {source_M.dtype}")
    (e, o), parts = _check_int4(x_NI, weight) if isinstance(weight, Int4) else _check_rows(x_NI, weight)
    require_shape("ends", ends_E, (e,))
    is_fp8 = parts[0].dtype == torch.float8_e4m3fn
    obstacle = dispatch.fp8_obstacle(x_NI.device) if is_fp8 else None
    if not dispatch.use_triton(backend, (x_NI, *parts, ends_E, source_M), obstacle):
        return grouped_linear_reference(x_NI, weight, ends_E, source_M)
    require_rows(x=x_NI, ends=ends_E, source=source_M)
    if isinstance(weight, Int4):
        return _launch_int4(x_NI, weight, ends_E, source_M, o)
    return _launch(x_NI, weight, ends_E, source_M, o)


def _check_rows(x: torch.Tensor, weight: torch.Tensor | Scaled) -> tuple[tuple[int, int], list[torch.Tensor]]:
    """How many matrices and outputs, and the tensors."""
    parts = [weight] if isinstance(weight, torch.Tensor) else list(weight)
    e, o, i = parts[0].shape
    require_shape("x", x, (x.shape[0], i))
    if isinstance(weight, torch.Tensor):
        require(x.dtype == weight.dtype, f"x is {x.dtype}, the weights {weight.dtype}")
        return (e, o), parts
    small, scale = weight
    known = (torch.int8, torch.float8_e4m3fn)
    require(small.dtype in known, f"scaled weights must be int8 or float8_e4m3fn, not {small.dtype}")
    require_shape("scale", scale, (e, o))
    require(scale.dtype == torch.float32, f"scale must be float32, not {scale.dtype}")
    return (e, o), parts


def _check_int4(x: torch.Tensor, weight: Int4) -> tuple[tuple[int, int], list[torch.Tensor]]:
    packed, scale, zero = weight
    e, o, g, h = packed.shape
    require(2 * h in GROUPS, f"groups have {', '.join(map(str, GROUPS))} inputs, not {2 * h}")
    require_shape("packed", packed, (e, o, -(-x.shape[1] // (2 * h)), h))
    require(packed.dtype == torch.uint8, f"packed must be uint8, not {packed.dtype}")
    require_shape("scale", scale, (e, g, o))
    if zero is None:
        return (e, o), [packed, scale]
    require_shape("zero", zero, (e, g, o))
    require(zero.dtype == torch.uint8, f"zero must be uint8, not {zero.dtype}")
    return (e, o), [packed, scale, zero]


def _launch(
    x: torch.Tensor, weight: torch.Tensor | Scaled, ends: torch.Tensor, source: torch.Tensor | None, o: int
) -> torch.Tensor:
    rows, scale = (weight, None) if isinstance(weight, torch.Tensor) else weight
    require_rows(weight=rows)
    require(scale is None or scale.is_contiguous(), "scale must be contiguous")
    out, grid, meta = _tiles(x, ends, source, o)
    step = 32 if x.dtype == torch.float32 else 64
    meta |= {"BLOCK_I": step if scale is None else 2 * step, "HAS_SCALE": scale is not None}
    # What is not given stands for itself by another tensor, which is not read.
    tensors = (x, rows, ends if scale is None else scale, ends, ends if source is None else source, out)
    strides = (x.stride(0), rows.stride(0), rows.stride(1))
    dispatch.launch(_grouped_kernel, grid, *tensors, *strides, o, x.shape[1], **meta)
    return out


def _launch_int4(
    x: torch.Tensor, weight: Int4, ends: torch.Tensor, source: torch.Tensor | None, o: int
) -> torch.Tensor:
    packed, scale, zero = weight
    for name, tensor in (("packed", packed), ("scale", scale), ("zero", zero)):
        require(tensor is None or tensor.is_contiguous(), f"{name} must be contiguous")
    out, grid, meta = _tiles(x, ends, source, o)
    meta |= {"HALF": packed.shape[3], "HAS_ZERO": zero is not None}
    tensors = (x, packed, scale, scale if zero is None else zero, ends, ends if source is None else source)
    sizes = (x.stride(0), packed.shape[2], o, x.shape[1])
    dispatch.launch(_grouped_int4_kernel, grid, *tensors, out, *sizes, **meta)
    return out


def _tiles(
    x: torch.Tensor, ends: torch.Tensor, source: torch.Tensor | None, o: int
) -> tuple[torch.Tensor, tuple[int, int], dict[str, Any]]:
    """The result's memory, the grid, and what is the same for all kinds of weights."""
    m, wide = len(x if source is None else source), x.dtype == torch.float32
    # A group is on average much smaller than all rows; long ones are run in several rounds.
    rows = min(power_of_two(-(-4 * m // len(ends)), 16), 16 if wide else 64)
    meta = {
        "HAS_SOURCE": source is not None,
        "BLOCK_M": rows,
        "BLOCK_O": _BLOCK_O,
        "num_warps": 4,
        "num_stages": 3,
    }
    return torch.empty(m, o, dtype=x.dtype, device=x.device), (-(-o // _BLOCK_O), len(ends)), meta


@jit
def _grouped_kernel(
    x, weight, scale, ends, source, out, x_n, weight_e, weight_o, outputs, inputs,
    HAS_SOURCE: constexpr, HAS_SCALE: constexpr, BLOCK_M: constexpr, BLOCK_O: constexpr, BLOCK_I: constexpr,
):  # fmt: skip
    """A tile of one matrix's outputs, for all rows of its group."""
    e = tl.program_id(1)
    begin, end = _group(ends, e)
    o, i = tl.program_id(0) * BLOCK_O + tl.arange(0, BLOCK_O), tl.arange(0, BLOCK_I)
    at_w = weight + e.to(tl.int64) * weight_e + o.to(tl.int64)[None, :] * weight_o + i[:, None]
    for start in range(begin, end, BLOCK_M):
        m = start + tl.arange(0, BLOCK_M)
        at_x = _rows(x, source, m, end, x_n, HAS_SOURCE) + i[None, :]
        sum_MO = tl.zeros([BLOCK_M, BLOCK_O], tl.float32)
        for k in range(0, inputs, BLOCK_I):
            in_i = k + i < inputs
            x_MI = tl.load(at_x + k, mask=(m < end)[:, None] & in_i[None, :], other=0.0)
            w_IO = tl.load(at_w + k, mask=in_i[:, None] & (o < outputs)[None, :], other=0.0)
            if HAS_SCALE:  # exact, see gemm.py
                w_IO = w_IO.to(tl.float32).to(x_MI.dtype)
            sum_MO += dot(x_MI, w_IO)
        if HAS_SCALE:
            sum_MO *= tl.load(scale + e * outputs + o, mask=o < outputs, other=0.0)[None, :]
        _store(out, sum_MO, m, o, end, outputs)


@jit
def _grouped_int4_kernel(
    x, packed, scale, zero, ends, source, out, x_n, groups, outputs, inputs,
    HAS_SOURCE: constexpr, HALF: constexpr, HAS_ZERO: constexpr, BLOCK_M: constexpr, BLOCK_O: constexpr,
):  # fmt: skip
    """A tile of one matrix's outputs, for all rows of its group of rows."""
    e = tl.program_id(1)
    begin, end = _group(ends, e)
    o, at = tl.program_id(0) * BLOCK_O + tl.arange(0, BLOCK_O), e.to(tl.int64) * outputs * groups
    for start in range(begin, end, BLOCK_M):
        m = start + tl.arange(0, BLOCK_M)
        at_x = _rows(x, source, m, end, x_n, HAS_SOURCE)
        sum_MO = int4_tile(
            at_x, (m < end)[:, None], packed + at * HALF, scale + at, zero + at, o, 0, groups,
            groups, outputs, inputs, HALF, HAS_ZERO, BLOCK_M, BLOCK_O,
        )  # fmt: skip
        _store(out, sum_MO, m, o, end, outputs)


@jit
def _group(ends, e):
    """Where the rows of matrix e begin and end."""
    return tl.load(ends + e - 1, mask=e > 0, other=0), tl.load(ends + e)


@jit
def _rows(x, source, m, end, x_n, HAS_SOURCE: constexpr):
    """Where the inputs of rows m begin, `[M, 1]`."""
    n = m
    if HAS_SOURCE:
        n = tl.load(source + m, mask=m < end, other=0)
    return x + n.to(tl.int64)[:, None] * x_n


@jit
def _store(out, sum_MO, m, o, end, outputs):
    at = out + m.to(tl.int64)[:, None] * outputs + o[None, :]
    tl.store(at, sum_MO.to(out.dtype.element_ty), mask=(m < end)[:, None] & (o < outputs)[None, :])
