"""Few rows times weights of eight or four bits: the products of a denoising step, which reads every weight for a few
rows and so takes as long as reading the weights does.

Only the weights are small: they are widened in registers, multiplied in the rows' dtype and summed in float32. INT8
and FP8 have one scale for each output, applied once at the end; INT4 has one for each group of inputs, applied to the
group's sum (formats: pack.py). Weights of 16 bits are the library's: a tuned product reads them as fast as memory
gives them, and there is nothing to widen.

For many rows, those of a prompt, arithmetic takes longer than reading weights: they are widened once, into memory, and
multiplied by the library.

Where the tiles of outputs alone would not fill the GPU, the inputs are split too ("split-K"): each program leaves a
partial sum, and a second kernel adds them in the order of the inputs. No atomics, so equal inputs give equal bits.

Shapes: ... any leading dimensions of the rows, I inputs, O outputs, N groups, H bytes of a group, P splits.
"""

from __future__ import annotations

from typing import Any

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
from kernels.pack import GROUPS, Int4, dequantize_int4, int4_tile, load_group, widen

MANY_ROWS = 256
"""Rows above which the library multiplies."""
_BLOCK_O = 64
_BLOCK_SUM = 1024


def linear(x: torch.Tensor, weight_OI: torch.Tensor) -> torch.Tensor:
    """`x @ weight.T` by the library: the entry for weights in the rows' own dtype."""
    return torch.nn.functional.linear(x, weight_OI)


def scaled_linear_reference(x: torch.Tensor, weight_OI: torch.Tensor, scale_O: torch.Tensor) -> torch.Tensor:
    """`x @ (weight * scale).T`, computed in at least float32 and rounded once."""
    wide = torch.promote_types(x.dtype, torch.float32)
    return ((x.to(wide) @ weight_OI.to(wide).T) * scale_O).to(x.dtype)


def int4_linear_reference(x: torch.Tensor, weight: Int4) -> torch.Tensor:
    """`x @ weight.T`, computed in at least float32 and rounded once."""
    wide = torch.promote_types(x.dtype, torch.float32)
    return (x.to(wide) @ dequantize_int4(weight, x.shape[-1]).to(wide).T).to(x.dtype)


def int8_linear(
    x: torch.Tensor,
    weight_OI: torch.Tensor,
    scale_O: torch.Tensor,
    *,
    splits: int | None = None,
    backend: Choice = None,
) -> torch.Tensor:
    """`[..., O]` in x's dtype from rows `[..., I]`, int8 weights and float32 scales.

    Above `MANY_ROWS` the library multiplies, unless `splits` of the inputs are given; they are chosen by how much a GPU
    does at once. Raises ValueError for shapes, dtypes or layouts that don't fit.
    """
    require(weight_OI.dtype == torch.int8, f"the weight must be int8, not {weight_OI.dtype}")
    return _scaled_linear(x, weight_OI, scale_O, splits, backend, None)


def fp8_linear(
    x: torch.Tensor,
    weight_OI: torch.Tensor,
    scale_O: torch.Tensor,
    *,
    splits: int | None = None,
    backend: Choice = None,
) -> torch.Tensor:
    """As `int8_linear`, from float8_e4m3fn weights, none of them NaN. On a GPU that has no FP8 (before compute
    capability 8.9) the reference runs."""
    kind = weight_OI.dtype
    require(kind == torch.float8_e4m3fn, f"the weight must be torch.float8_e4m3fn, not {kind}")
    return _scaled_linear(x, weight_OI, scale_O, splits, backend, dispatch.fp8_obstacle(x.device))


def int4_linear(
    x: torch.Tensor, weight: Int4, *, splits: int | None = None, backend: Choice = None
) -> torch.Tensor:
    """As `int8_linear`, from weights of four bits in groups (`pack.quantize_int4`, or `pack.pack_int4`)."""
    packed_ONH, scale_NO, zero_NO = weight
    (o, n, h), i = packed_ONH.shape, x.shape[-1]
    require(2 * h in GROUPS, f"groups have {', '.join(map(str, GROUPS))} inputs, not {2 * h}")
    require_shape("packed", packed_ONH, (o, -(-i // (2 * h)), h))
    require(packed_ONH.dtype == torch.uint8, f"packed must be uint8, not {packed_ONH.dtype}")
    require_shape("scale", scale_NO, (n, o))
    if zero_NO is not None:
        require_shape("zero", zero_NO, (n, o))
        require(zero_NO.dtype == torch.uint8, f"zero must be uint8, not {zero_NO.dtype}")
    if not dispatch.use_triton(backend, (x, *weight)):
        return int4_linear_reference(x, weight)
    for name, tensor in (("packed", packed_ONH), ("scale", scale_NO), ("zero", zero_NO)):
        require(tensor is None or tensor.is_contiguous(), f"{name} must be contiguous")
    tensors = (packed_ONH, scale_NO, scale_NO if zero_NO is None else zero_NO)
    meta = {"HALF": h, "HAS_ZERO": zero_NO is not None}
    if splits is None and x.numel() > MANY_ROWS * i:
        wide_OI = torch.empty(o, i, dtype=x.dtype, device=x.device)
        grid = (-(-o // _BLOCK_O), n)
        dispatch.launch(_widen_int4_kernel, grid, *tensors, wide_OI, n, o, i, **meta, BLOCK_O=_BLOCK_O)
        return linear(x, wide_OI)
    return _launch(_int4_linear_kernel, x, tensors, (n,), o, n, splits, meta)


def _scaled_linear(
    x: torch.Tensor,
    weight: torch.Tensor,
    scale: torch.Tensor,
    splits: int | None,
    backend: Choice,
    obstacle: str | None,
) -> torch.Tensor:
    o, i = weight.shape
    require_shape("x", x, (*x.shape[:-1], i))
    require_shape("scale", scale, (o,))
    require(scale.dtype == torch.float32, f"scale must be float32, not {scale.dtype}")
    if not dispatch.use_triton(backend, (x, weight, scale), obstacle):
        return scaled_linear_reference(x, weight, scale)
    require_rows(weight=weight, scale=scale)
    if splits is None and x.numel() > MANY_ROWS * i:
        return _by_library(x, weight, scale)
    block_i = 64 if x.dtype == torch.float32 else 128
    meta = {"BLOCK_I": block_i}
    return _launch(
        _scaled_linear_kernel,
        x,
        (weight, scale),
        (weight.stride(0),),
        o,
        -(-i // block_i),
        splits,
        meta,
    )


def _by_library(x: torch.Tensor, weight_OI: torch.Tensor, scale_O: torch.Tensor) -> torch.Tensor:
    """Eight bits fit the rows' dtype as they are; but the sums of unscaled weights do not fit float16."""
    if x.dtype == torch.float16:
        return linear(x, (weight_OI.float() * scale_O[:, None]).to(x.dtype))
    return (linear(x, weight_OI.to(x.dtype)) * scale_O).to(x.dtype)


def _launch(
    kernel: Any,
    x: torch.Tensor,
    weights: tuple[torch.Tensor, ...],
    strides: tuple[int, ...],
    o: int,
    steps: int,
    splits: int | None,
    meta: dict[str, int],
) -> torch.Tensor:
    """Tiles of `_BLOCK_O` outputs and splits of whole `steps` along the inputs, and the sum of the splits."""
    require(x.is_contiguous(), "x must be contiguous")
    i = x.shape[-1]
    r, wide = x.numel() // max(i, 1), x.dtype == torch.float32
    # Float32 without TF32 is multiplied on the plain cores, from registers: smaller tiles.
    block_r = min(power_of_two(r, 16), 16 if wide else 64)
    tiles = (-(-r // block_r), -(-o // _BLOCK_O))
    splits = _splits(tiles[0] * tiles[1], steps, x.device) if splits is None else splits
    out = torch.empty(*x.shape[:-1], o, dtype=x.dtype, device=x.device)
    part = out if splits == 1 else torch.empty(splits, r, o, dtype=torch.float32, device=x.device)
    meta |= {"BLOCK_R": block_r, "BLOCK_O": _BLOCK_O, "SPLITS": splits, "num_warps": 4, "num_stages": 4}
    # Rows vary fastest: programs that read the same weights run together, and they come from the L2 cache.
    dispatch.launch(kernel, (*tiles, splits), x, *weights, part, *strides, r, o, i, **meta)
    if splits > 1:
        grid = (-(-out.numel() // _BLOCK_SUM),)
        meta = {"SPLITS": splits, "BLOCK": _BLOCK_SUM, "num_warps": 4}
        dispatch.launch(_sum_kernel, grid, part, out, out.numel(), **meta)
    return out


def _splits(tiles: int, steps: int, device: torch.device) -> int:
    """About two programs for each multiprocessor, and at least four steps for each program."""
    return max(1, min(2 * dispatch.processors(device) // max(tiles, 1), steps // 4, 16))


@jit
def _scaled_linear_kernel(
    x, weight, scale, out, weight_o, rows, outputs, inputs,
    BLOCK_R: constexpr, BLOCK_O: constexpr, BLOCK_I: constexpr, SPLITS: constexpr,
):  # fmt: skip
    """A tile of outputs over one split of the inputs."""
    r = tl.program_id(0) * BLOCK_R + tl.arange(0, BLOCK_R)
    o = tl.program_id(1) * BLOCK_O + tl.arange(0, BLOCK_O)
    i = tl.arange(0, BLOCK_I)
    at_x = x + r.to(tl.int64)[:, None] * inputs + i[None, :]
    at_weight = weight + o.to(tl.int64)[None, :] * weight_o + i[:, None]
    share = tl.cdiv(tl.cdiv(inputs, BLOCK_I), SPLITS) * BLOCK_I
    begin = tl.program_id(2) * share
    sum_RO = tl.zeros([BLOCK_R, BLOCK_O], tl.float32)
    for start in range(begin, tl.minimum(begin + share, inputs), BLOCK_I):
        in_i = start + i < inputs
        x_RI = tl.load(at_x + start, mask=(r < rows)[:, None] & in_i[None, :], other=0.0)
        weight_IO = tl.load(at_weight + start, mask=in_i[:, None] & (o < outputs)[None, :], other=0.0)
        # Exact: 127, and every number of FP8, fits bfloat16. By way of float32, because the interpreter widens int8
        # to bfloat16 wrongly.
        sum_RO += dot(x_RI, weight_IO.to(tl.float32).to(x_RI.dtype))
    scale_O = tl.load(scale + o, mask=o < outputs, other=0.0)
    _store_tile(out, sum_RO * scale_O[None, :], r, o, rows, outputs)


@jit
def _int4_linear_kernel(
    x, packed, scale, zero, out, groups, rows, outputs, inputs,
    HALF: constexpr, HAS_ZERO: constexpr, BLOCK_R: constexpr, BLOCK_O: constexpr, SPLITS: constexpr,
):  # fmt: skip
    """A tile of outputs over one split of the groups."""
    r = tl.program_id(0) * BLOCK_R + tl.arange(0, BLOCK_R)
    o = tl.program_id(1) * BLOCK_O + tl.arange(0, BLOCK_O)
    at_x = x + r.to(tl.int64)[:, None] * inputs
    share = tl.cdiv(groups, SPLITS)
    begin = tl.program_id(2) * share
    sum_RO = int4_tile(
        at_x, (r < rows)[:, None], packed, scale, zero, o, begin, tl.minimum(begin + share, groups),
        groups, outputs, inputs, HALF, HAS_ZERO, BLOCK_R, BLOCK_O,
    )  # fmt: skip
    _store_tile(out, sum_RO, r, o, rows, outputs)


@jit
def _widen_int4_kernel(
    packed, scale, zero, out, groups, outputs, inputs,
    HALF: constexpr, HAS_ZERO: constexpr, BLOCK_O: constexpr,
):  # fmt: skip
    """A group of a tile of outputs in the dtype of `out`."""
    o, n = tl.program_id(0) * BLOCK_O + tl.arange(0, BLOCK_O), tl.program_id(1)
    j, in_o, o64 = tl.arange(0, HALF), (o < outputs)[None, :], o.to(tl.int64)[None, :]
    scale_O, zero_O = load_group(scale, zero, n, o, groups, outputs, HAS_ZERO)
    byte_HO = tl.load(packed + (o64 * groups + n) * HALF + j[:, None], mask=in_o, other=0)
    low = n * (2 * HALF) + j[:, None]
    at_low, wide_O = out + o64 * inputs + low, scale_O.to(tl.float32)[None, :]
    low_HO, high_HO = widen(byte_HO & 15, zero_O) * wide_O, widen(byte_HO >> 4, zero_O) * wide_O
    tl.store(at_low, low_HO.to(out.dtype.element_ty), mask=in_o & (low < inputs))
    tl.store(at_low + HALF, high_HO.to(out.dtype.element_ty), mask=in_o & (low + HALF < inputs))


@jit
def _store_tile(out, tile_RO, r, o, rows, outputs):
    """Write a tile of the program's split: of the result itself where there is one split."""
    row = tl.program_id(2).to(tl.int64) * rows + r
    mask = (r < rows)[:, None] & (o < outputs)[None, :]
    tl.store(out + row[:, None] * outputs + o[None, :], tile_RO.to(out.dtype.element_ty), mask=mask)


@jit
def _sum_kernel(part, out, size, SPLITS: constexpr, BLOCK: constexpr):
    """A stretch of the result: its partial sums, added in order."""
    at = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    total = tl.zeros([BLOCK], tl.float32)
    from_here = part + at
    for _ in range(SPLITS):
        total += tl.load(from_here, mask=at < size, other=0.0)
        from_here += size
    tl.store(out + at, total.to(out.dtype.element_ty), mask=at < size)
