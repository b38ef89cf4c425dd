"""The operations of a denoising step at the shapes of a network, as `kernels.bench` measures them.

A case names the bytes that must be moved at least: what is read, once, and what is written, once, in the formats that
the kernel takes. Numbers are random: of zeros a GPU multiplies faster. Projections and logits are those of a step in
which every position of every canvas is wanted. Shapes: as in the operations' files.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch

from kernels import attention, commit, gemm, head, mlp, norm, rope
from kernels.pack import Int4

CANDIDATES = 8
GROUP = 128


@dataclass(frozen=True)
class Network:
    """Sizes of one; the defaults are those of Qwen3-8B, with a block of 32 over 2,048 cached rows."""

    width: int = 4096
    heads: int = 32
    groups: int = 8
    head: int = 128
    hidden: int = 12_288
    vocabulary: int = 151_936
    block: int = 32
    cache: int = 2048


SMALL = Network(width=128, heads=4, groups=2, head=16, hidden=128, vocabulary=300, block=4, cache=40)
"""For rehearsals without a GPU."""


@dataclass(frozen=True)
class Case:
    """An operation on given tensors. Some references wait for the device, and cannot be captured as a graph."""

    name: str
    batch: int
    moved: int
    """Bytes that must be moved."""
    reference: Callable[[], Any]
    ours: Callable[[], Any]
    reference_waits: bool = False


def cases(network: Network, batch: int, device: torch.device) -> Iterator[Case]:
    """One after another, so that one's memory is free before the next one's is taken."""
    for make in (_attention, _head, _norm, _norm_fp8, _rope, _mlp, _commit):
        yield make(network, batch, device)
    for name, inputs, outputs in (
        ("gate and up", network.width, 2 * network.hidden),
        ("down", network.hidden, network.width),
    ):
        x = _normal(batch * network.block, inputs, device=device)
        for make in (_linear, _int8, _fp8, _int4):
            yield make(name, x, outputs, batch)


def _normal(*shape: int, device: torch.device) -> torch.Tensor:
    return torch.randn(shape, dtype=torch.bfloat16, device=device)


def _bytes(*tensors: torch.Tensor) -> int:
    return sum(t.numel() * t.element_size() for t in tensors)


def _attention(n: Network, batch: int, device: torch.device) -> Case:
    q = _normal(batch, n.block, n.heads, n.head, device=device).transpose(1, 2)
    k, v = _normal(2, batch, n.groups, n.cache + n.block, n.head, device=device)
    counts = [torch.full((batch,), c, dtype=torch.int32, device=device) for c in (n.cache, 0, n.block)]
    reference = partial(attention.cached_attention_reference, q, k, v, *counts)
    ours = partial(attention.cached_attention, q, k, v, *counts)
    return Case("attention", batch, _bytes(q, k, v, q), reference, ours)


def _head(n: Network, batch: int, device: torch.device) -> Case:
    """The reference's scores are the library's, in bfloat16: faster than what the kernel is tested against."""
    hidden, table = (_normal(rows, n.width, device=device) for rows in (batch * n.block, n.vocabulary))
    bias = torch.zeros(n.vocabulary, device=device)
    moved = _bytes(hidden, table, bias) + len(hidden) * (CANDIDATES * 12 + 8)
    reference = partial(head.head_candidates_reference, hidden, table, bias, CANDIDATES)
    return Case(
        "head", batch, moved, reference, partial(head.head_candidates, hidden, table, bias, k=CANDIDATES)
    )


def _norm(n: Network, batch: int, device: torch.device) -> Case:
    x, residual = _normal(2, batch * n.block, n.width, device=device)
    given = (x, residual, _normal(n.width, device=device), 1e-6)
    moved = 4 * _bytes(x) + _bytes(given[2])
    reference, ours = (partial(f, *given) for f in (norm.add_rms_norm_reference, norm.add_rms_norm))
    return Case("norm", batch, moved, reference, ours)


def _norm_fp8(n: Network, batch: int, device: torch.device) -> Case:
    x, residual = _normal(2, batch * n.block, n.width, device=device)
    given = (x, residual, _normal(n.width, device=device), 1e-6)
    moved = 3 * _bytes(x) + x.numel() + 4 * len(x) + _bytes(given[2])
    reference = partial(norm.add_rms_norm_quantized_reference, *given, torch.float8_e4m3fn)
    return Case("norm to FP8", batch, moved, reference, partial(norm.add_rms_norm_quantized, *given))


def _rope(n: Network, batch: int, device: torch.device) -> Case:
    packed = _normal(batch, n.block, n.heads + 2 * n.groups, n.head, device=device)
    q, k, v = packed.split((n.heads, n.groups, n.groups), dim=2)
    caches = _normal(2, batch, n.groups, n.cache + n.block, n.head, device=device).unbind(0)
    places = torch.arange(n.cache, n.cache + n.block, device=device).expand(batch, -1).contiguous()
    half = n.head // 2
    frequencies = 1e6 ** (-torch.arange(half, device=device) / half)
    weights = _normal(2, n.head, device=device).unbind(0)
    given = (q, k, v, places, places, frequencies, *caches)
    reference = partial(rope.rotate_and_store_reference, *given, *weights)
    ours = partial(rope.rotate_and_store, *given, q_weight_D=weights[0], k_weight_D=weights[1])
    return Case("rope", batch, 2 * _bytes(packed), reference, ours, reference_waits=True)


def _mlp(n: Network, batch: int, device: torch.device) -> Case:
    packed = _normal(batch * n.block, 2 * n.hidden, device=device)
    reference, ours = (partial(f, packed) for f in (mlp.silu_gate_reference, mlp.silu_gate))
    return Case("gated middle", batch, _bytes(packed) * 3 // 2, reference, ours)


def _commit(n: Network, batch: int, device: torch.device) -> Case:
    """The best id of every mask is the mask: what a call commits leaves the canvas as it was for the next."""
    ids = torch.zeros(batch, n.block, dtype=torch.int64, device=device)
    best, logp = ids.clone(), -torch.rand(batch, n.block, device=device)
    rows = torch.full((batch,), n.block, dtype=torch.int32, device=device)
    tau = torch.full((batch,), 0.9, device=device)
    given = (ids, best, logp, rows, tau)
    reference = partial(commit.commit_reference, *given, None, 0, 2)
    return Case(
        "commit", batch, _bytes(ids, best, logp), reference, partial(commit.commit, *given, mask=0, end=2)
    )


def _product(x: torch.Tensor, outputs: int, *weight: torch.Tensor) -> int:
    """Bytes that a product moves."""
    return _bytes(x, *weight) + len(x) * outputs * x.element_size()


def _linear(name: str, x: torch.Tensor, outputs: int, batch: int) -> Case:
    weight = _normal(outputs, x.shape[1], device=x.device)
    ours = partial(gemm.linear, x, weight)
    return Case(f"{name}, bfloat16 (library)", batch, _product(x, outputs, weight), ours, ours)


def _int8(name: str, x: torch.Tensor, outputs: int, batch: int) -> Case:
    weight = torch.randint(-127, 128, (outputs, x.shape[1]), dtype=torch.int8, device=x.device)
    return _scaled(f"{name}, int8", x, weight, batch, gemm.int8_linear)


def _fp8(name: str, x: torch.Tensor, outputs: int, batch: int) -> Case:
    weight = _normal(outputs, x.shape[1], device=x.device).to(torch.float8_e4m3fn)
    return _scaled(f"{name}, FP8", x, weight, batch, gemm.fp8_linear)


def _scaled(name: str, x: torch.Tensor, weight: torch.Tensor, batch: int, product: Any) -> Case:
    scale = torch.rand(len(weight), device=x.device)
    reference = partial(gemm.scaled_linear_reference, x, weight, scale)
    return Case(
        name, batch, _product(x, len(weight), weight, scale), reference, partial(product, x, weight, scale)
    )


def _int4(name: str, x: torch.Tensor, outputs: int, batch: int) -> Case:
    n, device = -(-x.shape[1] // GROUP), x.device
    packed = torch.randint(256, (outputs, n, GROUP // 2), dtype=torch.uint8, device=device)
    zero = torch.randint(16, (n, outputs), dtype=torch.uint8, device=device)
    weight = Int4(packed, torch.rand(n, outputs, device=device).bfloat16(), zero)
    moved = _product(x, outputs, packed, weight.scale_NO, zero)
    reference, ours = (partial(f, x, weight) for f in (gemm.int4_linear_reference, gemm.int4_linear))
    return Case(f"{name}, int4", batch, moved, reference, ours)
