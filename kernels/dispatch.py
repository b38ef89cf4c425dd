"""Which of two back ends runs an operation: its Triton kernel, or the PyTorch reference in the same file.

Every operation takes `backend`. `None` chooses at call time: Triton for tensors on a GPU, and on the CPU where Triton
interprets its kernels (`TRITON_INTERPRET=1`, which Triton reads when a kernel is defined, so before this module is
imported), unless the kernel cannot do what is asked; the reference otherwise. `"triton"` and `"reference"` force one;
a force that cannot be obeyed raises ValueError and says why.

Kernels are inference only: where a gradient is wanted, the reference runs. Without Triton (macOS, Windows) `jit`
leaves a function as it is, and nothing launches it. Knows nothing of any operation.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import torch

jit: Callable[[Any], Any]
tl: Any
"""Triton's language; Any, because its stubs don't know what a kernel's text means."""
try:
    from triton import jit, knobs
    from triton import language as tl
except ImportError:
    HAS_TRITON = INTERPRETED = False
    jit, tl, _WIDEN = (lambda function: function), None, None
else:
    HAS_TRITON, INTERPRETED = True, bool(knobs.runtime.interpret)
    _WIDEN = tl.constexpr(INTERPRETED)
if TYPE_CHECKING:
    constexpr: TypeAlias = Any
else:
    constexpr = tl.constexpr if HAS_TRITON else None  # marks what is known when a kernel is compiled

Choice = Literal["triton", "reference"] | None
DTYPES = (torch.float32, torch.bfloat16, torch.float16)
"""What kernels compute on; float64, in which equalities are proven, is the references' own."""


def use_triton(choice: Choice, tensors: Sequence[torch.Tensor | None], obstacle: str | None = None) -> bool:
    """Whether the kernel runs. `tensors` are all that it touches, floats first; `obstacle` says in words what it
    cannot do of what is asked. Raises ValueError for an unknown choice, a force that cannot be obeyed, or tensors
    on several devices."""
    given = [t for t in tensors if t is not None]
    if len({t.device for t in given}) > 1:
        raise ValueError(f"tensors lie on several devices: {', '.join(str(t.device) for t in given)}")
    if choice not in ("triton", "reference", None):
        raise ValueError(f"unknown back end {choice!r}: choose 'triton', 'reference' or None")
    if choice == "reference":
        return False
    hindrance = _hindrance(given) or obstacle
    if choice == "triton" and hindrance:
        raise ValueError(f"the Triton kernel cannot run: {hindrance}")
    return hindrance is None


def _hindrance(given: Sequence[torch.Tensor]) -> str | None:
    if not HAS_TRITON:
        return "Triton is not installed"
    if (given[0].device.type == "cpu") != INTERPRETED:
        mode = "interprets kernels on the CPU (TRITON_INTERPRET=1)" if INTERPRETED else "needs a GPU"
        return f"Triton {mode}, and the tensors are on {given[0].device}"
    if given[0].dtype not in DTYPES:
        return f"kernels compute in float32, bfloat16 and float16, not in {given[0].dtype}"
    if torch.is_grad_enabled() and any(t.requires_grad for t in given):
        return "a gradient is wanted, and kernels have none"
    return None


def launch(kernel: Any, grid: tuple[int, ...], *arguments: Any, **meta: Any) -> None:
    """Run a kernel on the device of its first argument; an empty grid runs nothing. The only place that launches."""
    if 0 in grid:
        return
    with torch.cuda.device_of(arguments[0]):
        kernel[grid](*arguments, **meta)


def require(truth: bool, message: str) -> None:
    """Raises ValueError: how a launcher asserts a layout, also under `python -O`."""
    if not truth:
        raise ValueError(message)


def require_rows(**tensors: torch.Tensor | None) -> None:
    """Raises ValueError unless the last dimension of each lies close together."""
    for name, tensor in tensors.items():
        if tensor is not None and tensor.numel() and tensor.shape[-1] > 1 and tensor.stride(-1) != 1:
            raise ValueError(f"{name}: the last dimension must be contiguous, strides are {tensor.stride()}")


def require_shape(name: str, tensor: torch.Tensor, shape: Sequence[int]) -> None:
    """Raises ValueError that says which shape was expected and found."""
    if tuple(tensor.shape) != tuple(shape):
        raise ValueError(f"{name} has shape {tuple(tensor.shape)}, expected {tuple(shape)}")


def fp8_obstacle(device: torch.device) -> str | None:
    """Why Triton cannot compile FP8 (e4m3) for this device, if so: it takes compute capability 8.9."""
    old = device.type == "cuda" and torch.cuda.get_device_capability(device) < (8, 9)
    return "the GPU has no FP8" if old else None


def power_of_two(size: int, least: int = 1) -> int:
    """The least power of two that is at least `size` and `least`: what `tl.arange` takes."""
    return max(least, 1 << max(0, size - 1).bit_length())


def processors(device: torch.device) -> int:
    """Streaming multiprocessors of a GPU; under the interpreter a few, so that splits are used there too."""
    return torch.cuda.get_device_properties(device).multi_processor_count if device.type == "cuda" else 4


@jit
def dot(a, b):
    """For kernels: `a @ b`, summed in float32 and, of float32, without TF32. Each side is at least 16 long."""
    if _WIDEN:  # the interpreter multiplies the bits of bfloat16 as if they were integers
        a = a.to(tl.float32)
        b = b.to(tl.float32)
    return tl.dot(a, b, input_precision="ieee")


@jit
def to_e4m3(x):
    """For kernels: float32 numbers of at most 448 as FP8, rounded to nearest, halves to even."""
    if _WIDEN:
        # The interpreter loses the carry of a mantissa that rounds up to two: round to e4m3's steps beforehand.
        power = (x.to(tl.int32, bitcast=True) & 0x7F800000).to(tl.float32, bitcast=True)
        x = round_to_even(x * (8 / tl.maximum(power, 0.015625))) * (tl.maximum(power, 0.015625) / 8)
    return x.to(tl.float8e4nv)


@jit
def round_to_even(x):
    """For kernels: the nearest whole number, halves to even, of float32 numbers below 2^22: beyond 1.5 * 2^23 a
    float32 has no fraction left."""
    return (x + 12582912.0) - 12582912.0
