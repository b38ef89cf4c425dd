"""How a network's matrices are kept, and the product with each: 16 or 32 bits by the library, INT8, FP8 or INT4 by the
kernels that widen weights in registers.

Knows tensors only. Shapes: ... rows, I inputs, O outputs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Literal, get_args

import torch
import torch.nn.functional as F

from kernels.gemm import fp8_linear, int4_linear, int8_linear, scaled_linear_reference
from kernels.pack import Int4, dequantize_int4, quantize_fp8, quantize_int4

Product = Callable[[torch.Tensor], torch.Tensor]
"""Rows `[..., I]` to rows `[..., O]`."""
Kind = Literal["plain", "int8", "fp8", "int4"]
KINDS: tuple[Kind, ...] = get_args(Kind)


Parts = Mapping[str, torch.Tensor]
"""A matrix as it is kept: `weight` as it was, or `int8`, `fp8` or `int4` with a `scale`, the last with a `zero` too;
and its `bias` where it has one. `wide` are the numbers of a small one as float32."""
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


def product_with(parts: Parts) -> Product:
    """The product with a matrix that is kept in `parts`. Raises ValueError where they are those of no kind."""
    bias = parts.get("bias")
    if "weight" in parts:
        return partial(_plain, weight_OI=parts["weight"], bias_O=bias)
    if "wide" in parts:
        return _with_bias(partial(_wide, wide_OI=parts["wide"], scale_O=parts.get("scale")), bias)
    if "scale" not in parts or not {"int8", "fp8", "int4"} & parts.keys():
        raise ValueError(f"{', '.join(parts) or 'nothing'} is no matrix of a known kind")
    if "int4" in parts:
        packed = Int4(parts["int4"], parts["scale"], parts.get("zero"))
        return _with_bias(lambda x: int4_linear(x, packed), bias)
    if "int8" in parts:
        return _with_bias(partial(_int8, weight=parts["int8"], scale=parts["scale"]), bias)
    return _with_bias(partial(_fp8, weight=parts["fp8"], scale=parts["scale"]), bias)


def widened(parts: Parts) -> Parts:
    """The numbers of a small matrix as float32, for a device without kernels for it: the reference computes the same
    with them, and would make them anew for every product. Those of eight bits keep their scale."""
    kept = {name: t for name, t in parts.items() if name in ("weight", "bias")}
    if "int4" in parts:
        _, groups, half = parts["int4"].shape
        packed = Int4(parts["int4"], parts["scale"], parts.get("zero"))
        return kept | {"wide": dequantize_int4(packed, groups * 2 * half)}
    for kind in ("int8", "fp8"):
        if kind in parts:
            return kept | {"wide": parts[kind].float(), "scale": parts["scale"]}
    return parts


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


def _int8(x: torch.Tensor, weight: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
    return int8_linear(x, weight, scale)


def _fp8(x: torch.Tensor, weight: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
    return fp8_linear(x, weight, scale)


def _with_bias(product: Product, bias_O: torch.Tensor | None) -> Product:
    return product if bias_O is None else lambda x: product(x) + bias_O
