"""Which shapes a forward is captured for as a CUDA graph, and the graphs.

Shapes are rounded up, so that few graphs serve all steps: batches and rows to powers of two, the rows that a cache has
to doublings of 512, on which the attention's splits depend. Candidates are computed for 32 rows where fewer are wanted:
the head reads the whole vocabulary for one row as for 32, and the rows wanted of a block dwindle from step to step.

All graphs of a back end are captured on one stream, for which the libraries keep their workspaces, and share one piece
of memory: they run one after another, and what one has found is read before the next begins. The ones used longest ago
are dropped.

Shape suffixes: B batch, T new rows, R wanted rows, V vocabulary, K candidates.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import torch

from kernels.head import head_candidates
from model.backends.interface import TOP_K, BackendError, Pass, Shape
from model.backends.network import Network, Rows
from model.backends.pool import Pool, PooledCache

LONGEST = 512
"""New rows of a batch beyond which launching kernels one by one costs little beside running them."""
_KEPT = 96
"""Graphs; they share their memory, and requests of all kinds together need some dozens."""
_CAPTURED = 16
"""Graphs captured at loading."""
_ROWS, _WANTED, _KEYS = 8, 32, 512
"""The least of each."""
_STEP = 64


def keys_of(keys: int, size: int) -> int:
    """Rounded up, at most a slot's `size`."""
    return min(size, max(_KEYS, power(keys)))


def rounded(shape: Shape, size: int) -> Shape | None:
    """What a graph is captured for; None where it is too long for one."""
    batch, rows = power(shape.batch), max(_ROWS, power(shape.rows))
    if batch * rows > LONGEST:
        return None
    # No more than there are rows, and those are a power of two too.
    wanted = min(max(_WANTED, power(shape.wanted)), batch * rows)
    return Shape(batch, rows, wanted, keys_of(shape.keys, size))


def eager(shape: Shape, size: int) -> Shape:
    """What kernels are launched for one by one: rounded too, for Triton compiles them anew where a number is a multiple
    of 16 and was not before. Rows by 64, since these are many."""
    wanted = max(_WANTED, power(shape.wanted))
    return Shape(shape.batch, -(-shape.rows // _STEP) * _STEP, wanted, keys_of(shape.keys, size))


def captures(shapes: Iterable[Shape], size: int) -> list[Shape]:
    """Of what is likely, the likeliest first, as many graphs as loading has time for."""
    found = (rounded(shape, size) for shape in shapes)
    return list(dict.fromkeys(shape for shape in found if shape is not None))[:_CAPTURED]


def aligned(count: int) -> int:
    """Integers until the next begins at 16 bytes again: Triton compiles anew for pointers that are less aligned."""
    return -(-count // 4) * 4


def power(count: int) -> int:
    """The least power of two that is not below it."""
    return 1 << max(0, count - 1).bit_length()


def uploaded(array: np.ndarray, device: torch.device) -> torch.Tensor:
    """On the device, without waiting until it is there."""
    tensor = torch.from_numpy(array)
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor


def packed(passes: Sequence[Pass], shape: Shape, beyond: int) -> np.ndarray:
    """All integers of a forward: ids, positions, whether canvas, places `[B, T]`; slot, past, causal, rows `[B]`, each
    `aligned`; wanted `[R]`. Padding reads id 0, sees nothing and writes to a place beyond its slot."""
    grids = np.zeros((4, shape.batch, shape.rows), np.int32)
    grids[3] = beyond
    counts = np.zeros((4, aligned(shape.batch)), np.int32)
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


class Step:
    """The forward at one shape: its inputs at fixed addresses, and the graph that was captured over them, if any."""

    def __init__(self, network: Network, pool: Pool, shape: Shape) -> None:
        self._network, self._pool, self.shape = network, pool, shape
        self._device = network.table_VC.device
        self._integers = torch.empty(0, dtype=torch.int32)
        self._bias_BV = torch.empty(0)
        self._given: list[torch.Tensor] = []
        self._host = torch.empty(0, dtype=torch.int32)
        self._graph: torch.cuda.CUDAGraph | None = None
        self._found = torch.empty(0)

    def idle(self) -> None:
        """Run the kernels on no sequence: all places are beyond the pool, and nothing is written."""
        shape, v = self.shape, self._network.head_VC.shape[0]
        new = shape.batch * shape.rows
        integers = torch.zeros(4 * new + 4 * aligned(shape.batch) + shape.wanted, dtype=torch.int32)
        integers[3 * new : 4 * new] = self._pool.size
        self._integers = integers.to(self._device)
        self._bias_BV = torch.zeros(shape.batch, v, device=self._device)
        self._compute()

    def capture(self, stream: torch.cuda.Stream, memory: Any) -> None:
        """Record the kernels. They run once before: kernels are compiled, libraries choose theirs."""
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            self.idle()
        torch.cuda.current_stream().wait_stream(stream)
        self._host = torch.empty_like(self._integers, device="cpu", pin_memory=True)
        self._graph = torch.cuda.CUDAGraph()
        # Other threads may use the device meanwhile.
        with torch.cuda.graph(self._graph, pool=memory, stream=stream, capture_error_mode="thread_local"):
            self._found = self._compute()

    @property
    def replay(self) -> Callable[[], None] | None:
        return None if self._graph is None else self._graph.replay

    def run(self, integers: np.ndarray, biases: list[torch.Tensor]) -> torch.Tensor:
        """Candidates `[R, 2K + 1]`: ids, log-probabilities, entropy, on the device. Each sequence has its bias."""
        if self._graph is None:
            padded = biases + biases[:1] * (self.shape.batch - len(biases))
            self._integers, self._bias_BV = uploaded(integers, self._device), torch.stack(padded)
            return self._compute()
        # The step before has been read back, so its copy from here has ended.
        self._host.numpy()[:] = integers
        self._integers.copy_(self._host, non_blocking=True)
        for b, bias in enumerate(biases):  # mostly those before
            if b >= len(self._given) or self._given[b] is not bias:
                self._bias_BV[b].copy_(bias, non_blocking=True)
        self._given = biases + self._given[len(biases) :]
        self._graph.replay()
        return self._found

    @torch.inference_mode()
    def _compute(self) -> torch.Tensor:
        b, t = self.shape.batch, self.shape.rows
        new, each = 4 * b * t, aligned(b)
        grids = self._integers[:new].view(4, b, t)
        counts = self._integers[new : new + 4 * each].view(4, each)[:, :b]
        rows = Rows(grids[0], grids[1], grids[2], grids[3], *counts)
        hidden_BTC = self._network(rows, self._pool.rows_NL2GSD, self.shape.keys)
        wanted_R = self._integers[new + 4 * each :]
        found = head_candidates(
            hidden_BTC.flatten(0, 1), self._network.head_VC, self._bias_BV, wanted_R, TOP_K
        )
        # Ids are below 2^24, and so exact as float32.
        return torch.cat((found.ids_RK.float(), found.logp_RK, found.entropy_R[:, None]), dim=1)


class Graphs:
    """The steps that were captured, those used last at the end."""

    def __init__(self, network: Network, pool: Pool) -> None:
        self._network, self._pool = network, pool
        self._steps: OrderedDict[Shape, Step] = OrderedDict()
        self._stream: Any = None
        self._memory: Any = None

    @property
    def shapes(self) -> list[Shape]:
        return list(self._steps)

    def step(self, shape: Shape) -> Step:
        """The step of a rounded shape, captured now if need be."""
        if shape not in self._steps:
            step = Step(self._network, self._pool, shape)
            step.capture(*self._place())
            self._steps[shape] = step
            while len(self._steps) > _KEPT:
                self._steps.popitem(last=False)
        self._steps.move_to_end(shape)
        return self._steps[shape]

    def clear(self) -> None:
        self._steps.clear()

    def _place(self) -> tuple[Any, Any]:
        """The stream to capture on, and the memory that graphs share."""
        device = self._network.table_VC.device
        if device.type == "cuda":
            self._stream = self._stream or torch.cuda.Stream(device)
            if not self._steps:  # PyTorch gives up a memory that no graph has, and does not take it again
                self._memory = torch.cuda.graph_pool_handle()
        return self._stream, self._memory
