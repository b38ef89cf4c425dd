"""How a network's matrices are kept, and the product with each: 16 or 32 bits by the library, INT8, FP8 or INT4 by the
kernels that widen weights in registers.

Knows tensors only. Shapes: ... or M rows, I inputs, O outputs, E matrices of a stack.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Literal, get_args

import torch
import torch.nn.functional as F

from kernels.gemm import fp8_linear, int4_linear, int8_linear, scaled_linear_reference
from kernels.grouped import Scaled, Stack, grouped_linear, grouped_linear_reference
from kernels.pack import Int4, dequantize_int4, quantize_fp8, quantize_int4

Product = Callable[[torch.Tensor], torch.Tensor]
"""Rows `[..., I]` to rows `[..., O]`."""
Grouped = Callable[[torch.Tensor, torch.Tensor, torch.Tensor | None], torch.Tensor]
"""Rows, the ends of their groups and the rows' sources to rows `[M, O]`: see `grouped_linear`."""
Kind = Literal["plain", "int8", "fp8", "int4"]
KINDS: tuple[Kind, ...] = get_args(Kind)


Parts = Mapping[str, torch.Tensor]
"""A matrix as it is kept: `weight` as it was, or `int8`, `fp8` or `int4` with a `scale`, the last with a `zero` too;
and its `bias` where it has one. `wide` are the numbers of a small one as float32. Those of a stack of matrices have a
dimension more."""
SMALL = ("int8", "fp8", "int4", "scale", "zero")
"""Parts that are never widened."""


@dataclass(frozen=True)
class Weights:
    """The kind that a network's matrices are kept in; the embedding, the head and the norms stay as they are."""

    kind: Kind = "plain"

    def parts(self, weight_OI: torch.Tensor, bias_O: torch.Tensor | None = None) -> dict[str, torch.Tensor]:
        """A matrix, quantised if need be."""
        bias = {} if bias_O is None else {"bias": bias_O}
        if self.kind == "plain":
            return {"weight": weight_OI, **bias}
        if self.kind == "int4":
            packed, scale_NO, zero_NO = quantize_int4(weight_OI)
            assert zero_NO is not None
            return {"int4": packed, "scale": scale_NO, "zero": zero_NO, **bias}
        small, scale_O = (quantize_int8 if self.kind == "int8" else quantize_fp8)(weight_OI)
        return {self.kind: small, "scale": scale_O, **bias}

    def stacked_parts(self, weight_EOI: torch.Tensor) -> dict[str, torch.Tensor]:
        """A stack of matrices, quantised one after another: the float32 copies of a few hundred would not fit."""
        if self.kind == "plain":
            return {"weight": weight_EOI}
        found: dict[str, torch.Tensor] = {}
        for e, weight_OI in enumerate(weight_EOI):
            for name, part in self.parts(weight_OI).items():
                if not e:
                    found[name] = part.new_empty(len(weight_EOI), *part.shape)
                found[name][e] = part
        return found


def named(tensors: Parts, name: str, is_wide: bool = False) -> Parts:
    """The parts of the matrix of that name, widened if need be."""
    begin = f"{name}."
    parts = {n.removeprefix(begin): t for n, t in tensors.items() if n.startswith(begin)}
    return widened(parts) if is_wide else parts


def product_with(parts: Parts) -> Product:
    """The product with a matrix that is kept in `parts`. Raises ValueError where they are those of no kind."""
    bias = parts.get("bias")
    if "weight" in parts:
        return partial(_plain, weight_OI=parts["weight"], bias_O=bias)
    if "wide" in parts:
        return _with_bias(partial(_wide, wide_OI=parts["wide"], scale_O=parts.get("scale")), bias)
    small = _small(parts)
    if isinstance(small, Int4):
        return _with_bias(lambda x: int4_linear(x, small), bias)
    product = int8_linear if "int8" in parts else fp8_linear
    return _with_bias(lambda x: product(x, *small), bias)


def grouped_with(parts: Parts) -> Grouped:
    """The product of groups of rows with the stack of matrices that is kept in `parts`. Raises ValueError where they
    are those of no kind."""
    if "wide" in parts:
        return partial(_grouped_wide, wide_EOI=parts["wide"], scale_EO=parts.get("scale"))
    weight = parts["weight"] if "weight" in parts else _small(parts)
    return lambda x, ends_E, source_M: grouped_linear(x, weight, ends_E, source_M)


def _small(parts: Parts) -> Scaled | Int4:
    """As the kernels take it, of one matrix or a stack."""
    for kind in ("int8", "fp8"):
        if kind in parts and "scale" in parts:
            return Scaled(parts[kind], parts["scale"])
    if "int4" in parts and "scale" in parts:
        return Int4(parts["int4"], parts["scale"], parts.get("zero"))
    raise ValueError(f"{', '.join(parts) or 'nothing'} is no matrix of a known kind")


def widened(parts: Parts) -> Parts:
    """The numbers of a small matrix as float32, for a device without kernels for it: the reference computes the same
    with them, and would make them anew for every product. Those of eight bits keep their scale."""
    if "weight" in parts:
        return parts
    small, bias = _small(parts), {name: t for name, t in parts.items() if name == "bias"}
    if isinstance(small, Scaled):
        return {"wide": small[0].float(), "scale": small[1], **bias}
    *stack, outputs, groups, half = small.packed_ONH.shape
    if not stack:
        return {"wide": dequantize_int4(small, groups * 2 * half), **bias}
    wide_EOI = torch.empty(*stack, outputs, groups * 2 * half, device=small.packed_ONH.device)
    for e, wide_OI in enumerate(wide_EOI):
        wide_OI.copy_(dequantize_int4(small.matrix(e), groups * 2 * half))
    return {"wide": wide_EOI}


def quantize_int8(weight_OI: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Signed rows and a float32 scale for each, so that the largest number of a row is 127."""
    wide = weight_OI.float()
    scale_O = wide.abs().amax(1).clamp(min=1e-12) / 127
    return (wide / scale_O[:, None]).round().to(torch.int8), scale_O


def _plain(x: torch.Tensor, weight_OI: torch.Tensor, bias_O: torch.Tensor | None) -> torch.Tensor:
    return F.linear(x, weight_OI, bias_O)


def _wide(x: torch.Tensor, wide_OI: torch.Tensor, scale_O: torch.Tensor | None) -> torch.Tensor:
    if scale_O is None:  # inputs of the last group may be missing
        return (x.float() @ wide_OI[:, : x.shape[-1]].T).to(x.dtype)
    return scaled_linear_reference(x, wide_OI, scale_O)


def _grouped_wide(
    x: torch.Tensor,
    ends_E: torch.Tensor,
    source_M: torch.Tensor | None,
    wide_EOI: torch.Tensor,
    scale_EO: torch.Tensor | None,
) -> torch.Tensor:
    wide_EOI = wide_EOI[..., : x.shape[-1]]
    weight: Stack = wide_EOI if scale_EO is None else Scaled(wide_EOI, scale_EO)
    return grouped_linear_reference(x, weight, ends_E, source_M)


def _with_bias(product: Product, bias_O: torch.Tensor | None) -> Product:
    return product if bias_O is None else lambda x: product(x) + bias_O
