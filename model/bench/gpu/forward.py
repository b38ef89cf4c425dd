"""Milliseconds of a forward by batch, block and cache, beside the least that they can take.

The floor is the larger of two: the bytes that must be read over the bandwidth measured here, and the operations over
the rate of matrix products measured here. Experts are read that some row of the timed passes goes to, which is counted.
A step is timed as the engine takes it, transfer and reading back included; the kernels alone by the device's clock,
replayed as a graph.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import torch

from model.backends.gpu import GpuBackend
from model.backends.interface import Pass
from model.backends.pool import PooledCache
from model.backends.products import Kind
from model.bench.gpu.shapes import cache_bytes, operations, random_text, weight_bytes


@dataclass(frozen=True)
class Machine:
    """What the device does at most, as measured: bytes per second (the better of copying and of summing up, since a
    forward mostly reads), operations per second."""

    device: str
    torch: str
    bandwidth: float
    rate: float


@dataclass(frozen=True)
class ForwardFigures:
    """One forward. `step_ms` is the whole step, `kernels_ms` the device's part of it (None where it is no graph);
    `experts` of each layer are met by its rows, in the mean (None: there are none)."""

    shape: str
    weights: str
    batch: int
    block: int
    cache: int
    step_ms: float
    kernels_ms: float | None
    floor_ms: float
    bound: str
    experts: float | None

    @property
    def of(self) -> str:
        """What the ratio is of: the whole step where the kernels are not timed alone."""
        return "step" if self.kernels_ms is None else "kernels"

    @property
    def ratio(self) -> float:
        """How many times longer than the floor it takes."""
        return (self.step_ms if self.kernels_ms is None else self.kernels_ms) / self.floor_ms


def measure_machine(device: torch.device) -> Machine:
    gpu = device.type == "cuda"
    source = torch.empty(2**30 if gpu else 2**22, dtype=torch.int8, device=device).fill_(1)
    target = torch.empty_like(source)
    copy_ms = median_ms(lambda: target.copy_(source), device)
    numbers = source.view(torch.float32)
    sum_ms = median_ms(lambda: numbers.sum(), device)
    size = 8192 if gpu else 256
    matrix = torch.randn(size, size, device=device, dtype=torch.bfloat16 if gpu else torch.float32)
    product_ms = median_ms(lambda: matrix @ matrix, device)
    name = torch.cuda.get_device_name(device) if gpu else "CPU"
    bandwidth = max(2 * source.numel() / copy_ms, source.numel() / sum_ms) * 1e3
    return Machine(name, torch.__version__, bandwidth, 2 * size**3 / product_ms * 1e3)


def measure_forwards(
    backend: GpuBackend,
    kind: Kind,
    machine: Machine,
    batches: Sequence[int],
    blocks: Sequence[int],
    caches: Sequence[int],
    count: int,
) -> Iterator[ForwardFigures]:
    """One at a time, the caches filled with whatever is there: it takes as long. The canvas is random text: rows of
    masks alone would all go to the same experts."""
    config = backend.config
    device, number = backend.device, backend.number_bytes
    allowed = backend.allow([])
    for cache in caches:
        for batch in batches:
            held = [backend.new_cache(cache + 2 * max(blocks)) for _ in range(batch)]
            for each in held:
                assert isinstance(each, PooledCache)
                each.claim([30] * cache)
            for block in blocks:
                passes = [
                    Pass(each, (), random_text(config, block, seed), range(block), allowed)
                    for seed, each in enumerate(held)
                ]
                experts = backend.experts_met(passes)
                step_ms = wall_ms(partial(backend.forward, passes), count)
                replay = backend.prepared(passes)
                kernels_ms = None if replay is None else median_ms(replay, device, count)
                read = weight_bytes(config, kind, number, experts)
                read += batch * cache_bytes(config, cache, number)
                by_memory = read / machine.bandwidth * 1e3
                by_rate = operations(config, batch * block, cache) / machine.rate * 1e3
                yield ForwardFigures(
                    config.name,
                    kind,
                    batch,
                    block,
                    cache,
                    step_ms,
                    kernels_ms,
                    max(by_memory, by_rate),
                    "memory" if by_memory >= by_rate else "arithmetic",
                    experts,
                )
                # Whatever holds a cache keeps its place in the pool, which would grow.
                del passes, replay
            del held


def wall_ms(run: Callable[[], object], count: int) -> float:
    """Median milliseconds by the clock on the wall."""
    for _ in range(3):
        run()
    times = []
    for _ in range(count):
        began = time.perf_counter()
        run()
        times.append((time.perf_counter() - began) * 1e3)
    return statistics.median(times)


def median_ms(run: Callable[[], object], device: torch.device, count: int = 10) -> float:
    """Milliseconds by the device's clock, or the wall's."""
    if device.type != "cuda":
        return wall_ms(run, count)
    for _ in range(3):
        run()
    pairs = []
    for _ in range(count):
        start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        start.record()
        run()
        end.record()
        pairs.append((start, end))
    torch.cuda.synchronize(device)
    return statistics.median(start.elapsed_time(end) for start, end in pairs)
