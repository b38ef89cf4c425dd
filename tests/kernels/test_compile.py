"""Every kernel is compiled to machine code for an H100, also where there is no GPU: the interpreter forgives much
that the compiler refuses (ranges that are no powers of two, types that change in a loop, globals).

Triton brings NVIDIA's assembler along. The launchers run with tensors on the CPU; `dispatch.launch` compiles the
kernel for what it is given and launches nothing. In a process whose kernels are interpreted it cannot be done.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from kernels import dispatch
from kernels.attention import cached_attention
from kernels.commit import commit
from kernels.gemm import fp8_linear, int4_linear, int8_linear
from kernels.grouped import Scaled, Stack, grouped_linear
from kernels.head import head_candidates
from kernels.mlp import silu_gate
from kernels.norm import add_rms_norm, add_rms_norm_quantized
from kernels.pack import Int4, quantize_int4
from kernels.rope import rotate_and_store

SHARED_MEMORY = 227 * 1024
"""Bytes that one program can have on an H100."""
OPERATIONS: dict[str, Callable[[torch.dtype], object]] = {
    "attention": lambda dtype: attention(dtype, heads=32, groups=8, d=128, t=32),
    "attention-window": lambda dtype: attention(dtype, heads=7, groups=1, d=96, t=1, window=5),
    "attention-slots": lambda dtype: attention(dtype, heads=32, groups=8, d=128, t=64, block=32, slots=True),
    "attention-long": lambda dtype: attention(dtype, heads=32, groups=8, d=128, t=32, s=16_384, batch=1),
    "head": lambda dtype: head_candidates(
        torch.zeros(32, 4096, dtype=dtype), torch.zeros(20_000, 4096, dtype=dtype), k=1
    ),
    "head-of-rows": lambda dtype: head_candidates(
        torch.zeros(5, 160, dtype=dtype),
        torch.zeros(999, 160, dtype=dtype),
        torch.zeros(999),
        torch.arange(3),
    ),
    "norm": lambda dtype: add_rms_norm(*torch.zeros(2, 4, 4096, dtype=dtype), torch.ones(4096)),
    "norm-alone": lambda dtype: add_rms_norm(torch.zeros(1, 160, dtype=dtype), None, torch.ones(160)),
    "norm-fp8": lambda dtype: add_rms_norm_quantized(*torch.zeros(2, 4, 4096, dtype=dtype), torch.ones(4096)),
    "norm-int8": lambda dtype: add_rms_norm_quantized(
        torch.zeros(1, 160, dtype=dtype), None, torch.ones(160), kind=torch.int8
    ),
    "rope": lambda dtype: rope(dtype, d=128, f=64, weight=torch.ones(128)),
    "rope-partial": lambda dtype: rope(dtype, d=96, f=24, weight=None),
    "rope-slots": lambda dtype: rope(dtype, d=128, f=64, weight=None, slots=True),
    "gemm-int8": lambda dtype: int8_linear(
        torch.zeros(32, 4096, dtype=dtype), torch.zeros(999, 4096, dtype=torch.int8), torch.ones(999)
    ),
    "gemm-fp8": lambda dtype: fp8_linear(
        torch.zeros(3, 200, dtype=dtype), torch.zeros(99, 200, dtype=torch.float8_e4m3fn), torch.ones(99)
    ),
    "gemm-int4": lambda dtype: int4_linear(
        torch.zeros(32, 4096, dtype=dtype), quantize_int4(torch.zeros(999, 4096))
    ),
    "gemm-int4-many-rows": lambda dtype: int4_linear(
        torch.zeros(257, 200, dtype=dtype), quantize_int4(torch.zeros(99, 200))
    ),
    "gemm-int4-small-groups": lambda dtype: int4_linear(
        torch.zeros(3, 200, dtype=dtype), quantize_int4(torch.zeros(99, 200), 32, symmetric=True)
    ),
    "commit": lambda _: steps(torch.int64, edits=False),
    "commit-edits": lambda _: steps(torch.int32, edits=True),
    "grouped": lambda dtype: grouped_linear(
        torch.zeros(32, 2048, dtype=dtype),
        torch.zeros(64, 1024, 2048, dtype=dtype),
        torch.zeros(64, dtype=torch.int32),
        torch.zeros(256, dtype=torch.int32),
    ),
    "grouped-int8": lambda dtype: experts(dtype, torch.int8),
    "grouped-fp8": lambda dtype: experts(dtype, torch.float8_e4m3fn),
    "grouped-int4": lambda dtype: experts(dtype, torch.uint8),
    "mlp": lambda dtype: silu_gate(torch.zeros(32, 2816, dtype=dtype)),
}


def experts(dtype: torch.dtype, kind: torch.dtype) -> None:
    ends, source = torch.zeros(64, dtype=torch.int32), torch.zeros(256, dtype=torch.int32)
    if kind == torch.uint8:
        scale = torch.zeros(64, 16, 1024)
        weight: Stack = Int4(torch.zeros(64, 1024, 16, 64, dtype=kind), scale.bfloat16(), scale.to(kind))
    else:
        weight = Scaled(torch.zeros(64, 1024, 2048).to(kind), torch.zeros(64, 1024))
    grouped_linear(torch.zeros(32, 2048, dtype=dtype), weight, ends, source)


def attention(
    dtype: torch.dtype,
    heads: int,
    groups: int,
    d: int,
    t: int,
    window: int | None = None,
    block: int = 1,
    slots: bool = False,
    s: int = 2048,
    batch: int = 2,
) -> None:
    q, (k, v) = torch.zeros(batch, heads, t, d, dtype=dtype), torch.zeros(2, batch, groups, s, d, dtype=dtype)
    counts = [torch.zeros(batch, dtype=torch.int32)] * 3
    slot = counts[0] if slots else None
    cached_attention(q, k, v, *counts, window=window, block=block, slot_B=slot)


def rope(dtype: torch.dtype, d: int, f: int, weight: torch.Tensor | None, slots: bool = False) -> None:
    q, k, cache = (torch.zeros(1, n, m, d, dtype=dtype) for n, m in ((4, 8), (4, 2), (2, 64)))
    places = torch.zeros(1, 4, dtype=torch.int64)
    slot = torch.zeros(1, dtype=torch.int32) if slots else None
    given = (q, k, k, places, places, torch.ones(f), cache, cache)
    rotate_and_store(*given, q_weight_D=weight, k_weight_D=weight, slot_B=slot)


def steps(ids: torch.dtype, edits: bool) -> None:
    canvas, rows, tau = torch.zeros(2, 33, dtype=ids), torch.zeros(2, dtype=torch.int32), torch.ones(2)
    commit(canvas, canvas, canvas.float(), rows, tau, mask=151_669, end=2, tau_edit_B=tau if edits else None)


@pytest.fixture
def compiled(monkeypatch: pytest.MonkeyPatch, tmp_path) -> list:
    """What launches have been compiled to, for compute capability 9.0."""
    if not dispatch.HAS_TRITON or dispatch.INTERPRETED:
        pytest.skip("Triton is not installed, or interprets")
    from triton import knobs
    from triton.backends.compiler import GPUTarget
    from triton.runtime import driver

    class NoDevice:
        """As much of a driver as compiling asks for."""

        def get_current_target(self):
            return GPUTarget("cuda", 90, 32)

        def get_current_device(self) -> int:
            return 0

        def get_current_stream(self, device: int) -> int:
            return 0

    found: list = []
    monkeypatch.setattr(driver, "_active", NoDevice())
    monkeypatch.setattr(knobs.cache, "dir", str(tmp_path))
    monkeypatch.setattr(dispatch, "use_triton", lambda *_: True)
    monkeypatch.setattr(dispatch, "processors", lambda _: 132)

    def warm_up(kernel, grid, *arguments, **meta) -> None:
        found.append(kernel.warmup(*arguments, grid=grid, **meta))

    monkeypatch.setattr(dispatch, "launch", warm_up)
    return found


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU: the other tests compile and run")
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.filterwarnings("ignore:TRITON_DEFAULT_FP_FUSION")
def test_the_kernels_compile_for_a_gpu(compiled, operation: str, dtype: torch.dtype) -> None:
    OPERATIONS[operation](dtype)
    assert compiled
    for kernel in compiled:
        assert kernel.asm["cubin"]
        assert kernel.metadata.shared <= SHARED_MEMORY
