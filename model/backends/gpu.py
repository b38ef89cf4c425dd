"""The back end for a GPU: fused kernels over a pool of caches, replayed as CUDA graphs.

A forward takes one transfer to the device (all its integers in one piece) and one small read back (the candidates);
between them the host waits for nothing. Shapes are rounded up, so that few graphs serve all steps: one for each batch,
block, and number of wanted rows. Long stretches of clean tokens run without a graph.

When memory runs out, what is remembered of earlier prompts is dropped and the forward tried once more; if that is not
enough, the request fails with the reason and the process lives on. On a CPU the same code runs the kernels'
references: that is how it is tested without a GPU.

Shape suffixes: B batch, T new rows, R wanted rows, V vocabulary, K candidates.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import torch

from kernels.head import head_candidates
from model.backends.interface import TOP_K, Backend, BackendError, Candidates, Pass
from model.backends.network import Network, Rows
from model.backends.pool import Pool, PooledCache
from model.cache import KVCache
from model.tokenizer import EOS

Result = TypeVar("Result")
_LONGEST_GRAPH = 128
"""New rows of a batch beyond which launching kernels one by one costs little beside running them."""
_BATCH = 8
_PROMPTS = 4
"""Earlier prompts that are remembered."""
_SLACK = 256
"""Rows of a slot besides the context: canvases that are written behind it."""


@dataclass(frozen=True)
class Shape:
    """What a graph was captured for. All rows share one bias where `is_shared`."""

    batch: int
    rows: int
    wanted: int
    is_shared: bool


class GpuBackend(Backend):
    """Runs a `Network`. `ends` are ids that mean `<eos>` too; `uses_graphs` None is where there is a GPU."""

    def __init__(
        self,
        network: Network,
        forbidden: Sequence[int] = (),
        ends: Sequence[int] = (),
        about: str = "",
        uses_graphs: bool | None = None,
    ) -> None:
        self.config = network.config
        self.forbidden, self._ends = tuple(forbidden), np.array(ends, np.int64)
        self._network = network
        device = network.table_VC.device
        self._device, dtype = device, network.table_VC.dtype
        size = -(-(self.config.context + self.config.region_limit + _SLACK) // 64) * 64
        self._pool = Pool(self.config, size, dtype, device, self._forget_steps)
        is_cuda = device.type == "cuda"
        self._uses_graphs = is_cuda if uses_graphs is None else uses_graphs
        self._steps: dict[Shape, _Step] = {}
        self._allowed: dict[tuple[int, ...], np.ndarray] = {}
        self._biases: dict[int, tuple[np.ndarray, torch.Tensor]] = {}
        self._relievers: list[Callable[[], None]] = []
        self.batch = _BATCH
        self.prompt_bytes = _PROMPTS * self._pool.slot_bytes
        name = torch.cuda.get_device_name(device) if is_cuda else str(device)
        self.description = (
            f"PyTorch {torch.__version__}, {name}, {about or str(dtype).removeprefix('torch.')}"
        )

    @property
    def device(self) -> torch.device:
        return self._device

    @property
    def number_bytes(self) -> int:
        """Of one number of the cache, and of a weight that is not quantised."""
        return self._pool.rows_NL2GSD.itemsize

    def allow(self, ids: Sequence[int]) -> np.ndarray:
        """The same array for the same ids, so that sequences that may say the same share one bias on the device."""
        key = tuple(ids)
        if key not in self._allowed:
            self._allowed[key] = super().allow(ids)
        return self._allowed[key]

    def on_pressure(self, relieve: Callable[[], None]) -> None:
        self._relievers.append(relieve)

    def new_cache(self, capacity: int) -> KVCache:
        if capacity > self._pool.size:
            raise BackendError(
                f"this request needs {capacity} rows of cache, the model's context has {self._pool.size}"
            )
        return self._within_memory(self._pool.take)

    def forward(self, passes: Sequence[Pass]) -> list[Candidates]:
        return self._within_memory(lambda: self._forward(passes))

    @torch.inference_mode()
    def prepared(self, passes: Sequence[Pass]) -> Callable[[], None] | None:
        """For benchmarks: what replays the kernels of a forward, its inputs in place; None where it has no graph."""
        shape = self._shape(passes)
        step = self._step(shape)
        step.run(_packed(passes, shape, self._pool.size), self._bias(passes, shape))
        return step.replay

    def _within_memory(self, work: Callable[[], Result]) -> Result:
        """Once more with an empty prompt store where memory runs out; raises BackendError where that does not help."""
        try:
            return work()
        except torch.OutOfMemoryError:
            for relieve in self._relievers:
                relieve()
            self._forget_steps()
            if self._device.type == "cuda":
                torch.cuda.empty_cache()
        try:
            return work()
        except torch.OutOfMemoryError as error:
            raise BackendError(
                f"the GPU is out of memory ({str(error).splitlines()[0]}); close what else uses it, ask for less at "
                "once, or choose a smaller model"
            ) from error

    @torch.inference_mode()
    def _forward(self, passes: Sequence[Pass]) -> list[Candidates]:
        shape = self._shape(passes)
        step = self._step(shape)
        found = step.run(_packed(passes, shape, self._pool.size), self._bias(passes, shape))
        for each in passes:
            cache = each.cache
            assert isinstance(cache, PooledCache)
            cache.claim(each.causal)
            if len(each.keep):
                cache.keep(each.keep)
                cache.claim([each.canvas[i] for i in each.keep])
        return self._candidates(passes, found.cpu().numpy())

    def _shape(self, passes: Sequence[Pass]) -> Shape:
        batch, rows = len(passes), max(each.rows for each in passes)
        wanted = max(1, sum(len(each.wanted) for each in passes))
        is_shared = all(each.allowed_V is passes[0].allowed_V for each in passes)
        if batch * rows > _LONGEST_GRAPH or not self._uses_graphs:
            return Shape(batch, rows, wanted, is_shared)
        return Shape(_power(batch), _multiple(rows, 8), _power(wanted), is_shared)

    def _step(self, shape: Shape) -> _Step:
        if not self._uses_graphs or shape.batch * shape.rows > _LONGEST_GRAPH:
            return _Step(self._network, self._pool, shape)
        if shape not in self._steps:
            step = _Step(self._network, self._pool, shape)
            step.capture()
            self._steps[shape] = step
        return self._steps[shape]

    def _bias(self, passes: Sequence[Pass], shape: Shape) -> torch.Tensor:
        """`[V]`, or a row for each wanted row where the sequences' differ."""
        if shape.is_shared:
            return self._uploaded(passes[0].allowed_V)
        rows = [self._uploaded(each.allowed_V) for each in passes for _ in each.wanted]
        return torch.stack(rows + [rows[0]] * (shape.wanted - len(rows)))

    def _uploaded(self, allowed_V: np.ndarray) -> torch.Tensor:
        """The bias on the device; a few are used again and again, and known by their array."""
        known = self._biases.get(id(allowed_V))
        if known is None:
            if len(self._biases) > 16:
                self._biases.clear()
            known = allowed_V, torch.from_numpy(allowed_V).to(self._device)
            self._biases[id(allowed_V)] = known  # the array is kept, so that its id stays its own
        return known[1]

    def _candidates(self, passes: Sequence[Pass], found: np.ndarray) -> list[Candidates]:
        ids = found[:, :TOP_K].astype(np.int64)
        if len(self._ends):
            ids = np.where(np.isin(ids, self._ends), EOS, ids)
        logp, entropy = found[:, TOP_K : 2 * TOP_K].astype(np.float64), found[:, -1].astype(np.float64)
        result: list[Candidates] = []
        at = 0
        for each in passes:
            rows = slice(at, at + len(each.wanted))
            result.append(Candidates(ids[rows], logp[rows], entropy[rows]))
            at += len(each.wanted)
        return result

    def _forget_steps(self) -> None:
        self._steps.clear()


class _Step:
    """The forward at one shape: its inputs at fixed addresses, and the graph that was captured over them."""

    def __init__(self, network: Network, pool: Pool, shape: Shape) -> None:
        self._network, self._pool, self._shape = network, pool, shape
        device = network.table_VC.device
        count = 4 * shape.batch * shape.rows + 4 * shape.batch + shape.wanted
        self._integers = torch.full((count,), pool.size, dtype=torch.int32, device=device)
        self._bias: torch.Tensor | None = None
        self._host = torch.empty(0, dtype=torch.int32)
        self._graph: torch.cuda.CUDAGraph | None = None
        self._found = torch.empty(0)

    def capture(self) -> None:
        """Record the kernels. What the inputs hold meanwhile writes nothing into the pool: all places are beyond it."""
        v = self._network.head_VC.shape[0]
        size = (v,) if self._shape.is_shared else (self._shape.wanted, v)
        self._bias = torch.zeros(size, device=self._integers.device)
        self._host = torch.empty_like(self._integers, device="cpu", pin_memory=True)
        idle = torch.full_like(self._integers, 0)
        b, t = self._shape.batch, self._shape.rows
        idle[3 * b * t : 4 * b * t] = self._pool.size
        self._integers.copy_(idle)
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(2):  # kernels are compiled, libraries choose theirs
                self._compute()
        torch.cuda.current_stream().wait_stream(stream)
        self._graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self._graph):
            self._found = self._compute()

    @property
    def replay(self) -> Callable[[], None] | None:
        return None if self._graph is None else self._graph.replay

    def run(self, integers: np.ndarray, bias: torch.Tensor) -> torch.Tensor:
        """Candidates `[R, 2K + 1]`: ids, log-probabilities, entropy, on the device."""
        if self._graph is None:
            self._integers, self._bias = torch.from_numpy(integers).to(self._integers.device), bias
            return self._compute()
        assert self._bias is not None
        # The step before has been read back, so its copy from here has ended.
        self._host.numpy()[:] = integers
        self._integers.copy_(self._host, non_blocking=True)
        self._bias.copy_(bias, non_blocking=True)
        self._graph.replay()
        return self._found

    def _compute(self) -> torch.Tensor:
        b, t = self._shape.batch, self._shape.rows
        grids = self._integers[: 4 * b * t].view(4, b, t)
        counts = self._integers[4 * b * t : 4 * b * t + 4 * b].view(4, b)
        rows = Rows(grids[0], grids[1], grids[2], grids[3], *counts)
        hidden_BTC = self._network(rows, self._pool.rows_NL2GSD)
        wanted_R = self._integers[4 * b * t + 4 * b :]
        found = head_candidates(hidden_BTC.flatten(0, 1), self._network.head_VC, self._bias, wanted_R, TOP_K)
        # Ids are below 2^24, and so exact as float32.
        return torch.cat((found.ids_RK.float(), found.logp_RK, found.entropy_R[:, None]), dim=1)


def _packed(passes: Sequence[Pass], shape: Shape, beyond: int) -> np.ndarray:
    """All integers of a forward: ids, positions, whether canvas, places `[B, T]`; slot, past, causal, rows `[B]`;
    wanted `[R]`. Padding reads id 0, sees nothing and writes to a place beyond its slot."""
    grids = np.zeros((4, shape.batch, shape.rows), np.int32)
    grids[3] = beyond
    counts = np.zeros((4, shape.batch), np.int32)
    wanted = np.zeros(shape.wanted, np.int32)
    at = 0
    for b, each in enumerate(passes):
        n, c, past = each.rows, len(each.causal), each.cache.length
        if past + n > beyond:  # a kernel would leave them out, and the answer would be silently wrong
            raise BackendError(f"{past + n} rows are more than a cache's {beyond}; ask for less of the text")
        grids[0, b, :n] = [*each.causal, *each.canvas]
        grids[1, b, :n] = each.first + np.arange(n)
        grids[2, b, c:n] = 1
        grids[3, b, :n] = past + np.arange(n)
        assert isinstance(each.cache, PooledCache)
        counts[:, b] = each.cache.slot, past, c, n
        wanted[at : at + len(each.wanted)] = b * shape.rows + np.asarray(each.wanted, np.int32)
        at += len(each.wanted)
    return np.concatenate((grids.ravel(), counts.ravel(), wanted))


def _power(count: int) -> int:
    return 1 << max(0, count - 1).bit_length()


def _multiple(count: int, of: int) -> int:
    return -(-count // of) * of
