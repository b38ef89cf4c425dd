"""Weights of four and eight bits as the products in gemm.py and grouped.py read them: how they are rounded, packed,
unpacked, and multiplied where they have four.

FP8 is e4m3 with one float32 scale for each output row, the row's peak at 448. INT4 is unsigned, in groups of 32, 64
or 128 inputs that share a scale and a zero point: weight = (q - zero) * scale, with zero 8 everywhere where no zero
points are given (symmetric). A byte holds inputs j (low bits) and j + G/2 (high bits) *of one group*, so that each
half of a group meets neighbouring inputs, and a kernel never interleaves. The last group is padded. Scales of groups
are bfloat16 (two bytes for 128 weights), and weights are rounded against the scale as it is stored.

Rounding is to the nearest; methods that look at data (GPTQ, AWQ) find better integers, which `pack_int4` takes.
Shapes: O outputs, I inputs, N groups, G inputs of a group, H = G / 2 bytes of a group.
"""

from __future__ import annotations

from typing import NamedTuple

import torch

from kernels.dispatch import constexpr, dot, jit, require, require_shape, tl

LARGEST_FP8 = 448.0
GROUPS = (32, 64, 128)
MIDDLE = 8
"""The zero point of symmetric weights."""


class Int4(NamedTuple):
    """Packed bytes, scales of their groups, and zero points (uint8) unless they are all `MIDDLE`; of several matrices,
    stacked, each has a dimension more."""

    packed_ONH: torch.Tensor
    scale_NO: torch.Tensor
    zero_NO: torch.Tensor | None

    def matrix(self, e: int) -> Int4:
        """One of a stack."""
        zero = self.zero_NO
        return Int4(self.packed_ONH[e], self.scale_NO[e], None if zero is None else zero[e])


def quantize_fp8(weight_OI: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """`(float8_e4m3fn [O, I], float32 scale [O])`. A row of zeros stays one."""
    wide = weight_OI.float()
    scale_O = wide.abs().amax(1).clamp(min=1e-30) / LARGEST_FP8
    # e4m3 has no infinity: what rounding has carried beyond the largest number would become NaN.
    return (wide / scale_O[:, None]).clamp(-LARGEST_FP8, LARGEST_FP8).to(torch.float8_e4m3fn), scale_O


def pack_int4(q_OI: torch.Tensor, group: int = 128) -> torch.Tensor:
    """Numbers 0..15 (uint8) as bytes `[O, N, H]`. Raises ValueError for another group or larger numbers."""
    require(group in GROUPS, f"groups have {', '.join(map(str, GROUPS))} inputs, not {group}")
    require(q_OI.dtype == torch.uint8, f"numbers to pack must be uint8, not {q_OI.dtype}")
    require(not (q_OI > 15).any(), "numbers to pack must be below 16")
    o, i = q_OI.shape
    padded = torch.nn.functional.pad(q_OI, (0, -i % group))
    low_ONH, high_ONH = padded.reshape(o, -(-i // group), 2, group // 2).unbind(2)
    return low_ONH | high_ONH << 4


def unpack_int4(packed_ONH: torch.Tensor, inputs: int) -> torch.Tensor:
    """The inverse of `pack_int4`: uint8 `[O, inputs]`."""
    halves = torch.stack((packed_ONH & 15, packed_ONH >> 4), dim=2)
    return halves.flatten(1)[:, :inputs]


def quantize_int4(weight_OI: torch.Tensor, group: int = 128, symmetric: bool = False) -> Int4:
    """Each group from its least to its greatest weight (zero among them); symmetric: 15 steps around zero."""
    require(group in GROUPS, f"groups have {', '.join(map(str, GROUPS))} inputs, not {group}")
    o, i = weight_OI.shape
    wide_ONG = torch.nn.functional.pad(weight_OI.float(), (0, -i % group)).reshape(o, -1, group)
    low_ON, high_ON = wide_ONG.amin(2).clamp(max=0), wide_ONG.amax(2).clamp(min=0)
    span = torch.maximum(-low_ON, high_ON) / 7 if symmetric else (high_ON - low_ON) / 15
    scale_ON = span.clamp(min=1e-30).bfloat16()
    zero_ON = (-low_ON / scale_ON.float()).round().clamp(0, 15)
    if symmetric:
        zero_ON = torch.full_like(zero_ON, MIDDLE)
    q_ONG = ((wide_ONG / scale_ON.float()[..., None]).round() + zero_ON[..., None]).clamp(0, 15)
    packed = pack_int4(q_ONG.flatten(1)[:, :i].to(torch.uint8), group)
    zero_NO = None if symmetric else zero_ON.T.to(torch.uint8).contiguous()
    return Int4(packed, scale_ON.T.contiguous(), zero_NO)


def dequantize_int4(weight: Int4, inputs: int) -> torch.Tensor:
    """Float32 `[O, inputs]`. Raises ValueError for shapes that don't fit."""
    (o, n, h), (packed, scale_NO, zero_NO) = weight.packed_ONH.shape, weight
    require_shape("scale", scale_NO, (n, o))
    q_ONG = unpack_int4(packed, n * 2 * h).reshape(o, n, 2 * h).float()
    zero = MIDDLE if zero_NO is None else zero_NO.T.float()[..., None]
    return ((q_ONG - zero) * scale_NO.T.float()[..., None]).flatten(1)[:, :inputs]


@jit
def int4_tile(
    at_x, in_r, packed, scale, zero, o, begin, end, groups, outputs, inputs,
    HALF: constexpr, HAS_ZERO: constexpr, BLOCK_R: constexpr, BLOCK_O: constexpr,
):  # fmt: skip
    """For kernels: rows that begin `at_x` times the outputs `o` of a matrix, over its groups from `begin` to `end`."""
    j, in_o = tl.arange(0, HALF), o < outputs
    at_packed = packed + o.to(tl.int64)[None, :] * (groups * HALF) + j[:, None]
    # Each group's scales and zero points are loaded a step ahead: they are too few for the copies that run behind the
    # products, and a step that waited for them would wait for the memory.
    scale_O, zero_O = load_group(scale, zero, begin, o, groups, outputs, HAS_ZERO)
    sum_RO = tl.zeros([BLOCK_R, BLOCK_O], tl.float32)
    for n in range(begin, end):
        next_scale_O, next_zero_O = load_group(scale, zero, n + 1, o, groups, outputs, HAS_ZERO)
        low = n * (2 * HALF) + j
        high = low + HALF
        low_RH = tl.load(at_x + low[None, :], mask=in_r & (low < inputs)[None, :], other=0.0)
        high_RH = tl.load(at_x + high[None, :], mask=in_r & (high < inputs)[None, :], other=0.0)
        byte_HO = tl.load(at_packed + n * HALF, mask=in_o[None, :], other=0)
        first_HO = widen(byte_HO & 15, zero_O).to(low_RH.dtype)
        second_HO = widen(byte_HO >> 4, zero_O).to(low_RH.dtype)
        sum_RO += (dot(low_RH, first_HO) + dot(high_RH, second_HO)) * scale_O.to(tl.float32)[None, :]
        scale_O, zero_O = next_scale_O, next_zero_O
    return sum_RO


@jit
def load_group(scale, zero, n, o, groups, outputs, HAS_ZERO: constexpr):
    """For kernels: scales and zero points of group n as they are: whoever widened them here would wait here."""
    at = n * outputs + o
    mask = (o < outputs) & (at < groups * outputs)
    scale_O = tl.load(scale + at, mask=mask, other=0.0)
    zero_O = (tl.zeros_like(o) + 8).to(tl.uint8)
    if HAS_ZERO:
        zero_O = tl.load(zero + at, mask=mask, other=0)
    return scale_O, zero_O


@jit
def widen(q_HO, zero_O):
    """For kernels: `q - zero` in float32 for whole numbers below 2^23: or-ed into the bits of 2^23 they are float32
    without a conversion, of which a multiprocessor does fewer at a time than of anything else here."""
    bits_HO = q_HO.to(tl.int32) | 0x4B000000
    return bits_HO.to(tl.float32, bitcast=True) - (zero_O.to(tl.float32) + 8388608.0)[None, :]
