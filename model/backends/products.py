"""How a network's matrices are kept, and the product with each: 16 or 32 bits by the library, INT8, FP8 or INT4 by the
kernels that widen weights in registers.

Knows tensors only. Shapes: ... rows, I inputs, O outputs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal, get_args

import torch
import torch.nn.functional as F

from kernels.gemm import fp8_linear, int4_linear, int8_linear
from kernels.pack import quantize_fp8, quantize_int4

Product = Callable[[torch.Tensor], torch.Tensor]
"""Rows `[..., I]` to rows `[..., O]`."""
Kind = Literal["plain", "int8", "fp8", "int4"]
KINDS: tuple[Kind, ...] = get_args(Kind)


@dataclass(frozen=True)
class Weights:
    """The kind that a network's matrices are kept in; the embedding, the head and the norms stay as they are."""

    kind: Kind = "plain"

    def product(self, weight_OI: torch.Tensor, bias_O: torch.Tensor | None = None) -> Product:
        """The product with a matrix, quantised if need be."""
        if self.kind == "plain":
            return partial(_plain, weight_OI=weight_OI, bias_O=bias_O)
        if self.kind == "int8":
            small, scale = quantize_int8(weight_OI)
            return _with_bias(partial(_int8, weight=small, scale=scale), bias_O)
        if self.kind == "fp8":
            small, scale = quantize_fp8(weight_OI)
            return _with_bias(partial(_fp8, weight=small, scale=scale), bias_O)
        packed = quantize_int4(weight_OI)
        return _with_bias(lambda x: int4_linear(x, packed), bias_O)


def quantize_int8(weight_OI: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Signed rows and a float32 scale for each, so that the largest number of a row is 127."""
    wide = weight_OI.float()
    scale_O = wide.abs().amax(1).clamp(min=1e-12) / 127
    return (wide / scale_O[:, None]).round().to(torch.int8), scale_O


def _plain(x: torch.Tensor, weight_OI: torch.Tensor, bias_O: torch.Tensor | None) -> torch.Tensor:
    return F.linear(x, weight_OI, bias_O)


def _int8(x: torch.Tensor, weight: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
    return int8_linear(x, weight, scale)


def _fp8(x: torch.Tensor, weight: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
    return fp8_linear(x, weight, scale)


def _with_bias(product: Product, bias_O: torch.Tensor | None) -> Product:
    return product if bias_O is None else lambda x: product(x) + bias_O
