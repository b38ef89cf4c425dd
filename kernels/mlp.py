"""The middle of a gated MLP: silu(gate) * up (Shazeer 2020) of one packed product, whose gates come first.

Shapes: ... any leading dimensions, F hidden width.
"""

from __future__ import annotations

import torch
from torch.nn.functional import silu

from kernels import dispatch
from kernels.dispatch import Choice, constexpr, jit, require, tl

_BLOCK = 1024


def silu_gate_reference(packed: torch.Tensor) -> torch.Tensor:
    """`silu(gate) * up`, computed in at least float32 and rounded once."""
    gate, up = packed.to(torch.promote_types(packed.dtype, torch.float32)).chunk(2, dim=-1)
    return (silu(gate) * up).to(packed.dtype)


def silu_gate(packed: torch.Tensor, *, backend: Choice = None) -> torch.Tensor:
    """From `[..., 2F]`, gates then values, `[..., F]` in its dtype. Raises ValueError for an odd width, and for
    a layout that the kernel does not read."""
    require(packed.shape[-1] % 2 == 0, f"{packed.shape[-1]} columns are not gates and as many values")
    if not dispatch.use_triton(backend, (packed,)):
        return silu_gate_reference(packed)
    require(packed.is_contiguous(), "packed must be contiguous")
    f = packed.shape[-1] // 2
    out = torch.empty(*packed.shape[:-1], f, dtype=packed.dtype, device=packed.device)
    grid = (out.numel() // max(f, 1), -(-f // _BLOCK))
    dispatch.launch(_silu_gate_kernel, grid, packed, out, f, BLOCK_F=_BLOCK, num_warps=4)
    return out


@jit
def _silu_gate_kernel(packed, out, F, BLOCK_F: constexpr):
    """A stretch of one row."""
    row, f = tl.program_id(0).to(tl.int64), tl.program_id(1) * BLOCK_F + tl.arange(0, BLOCK_F)
    gate_F = tl.load(packed + row * 2 * F + f, mask=f < F, other=0.0).to(tl.float32)
    up_F = tl.load(packed + row * 2 * F + F + f, mask=f < F, other=0.0).to(tl.float32)
    # exp of a very negative gate's opposite is infinite, and the quotient 0: right.
    tl.store(out + row * F + f, (gate_F / (1 + tl.exp(-gate_F)) * up_F).to(out.dtype.element_ty), mask=f < F)
