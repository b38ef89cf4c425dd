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
from collections.abc import Callable
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
import torch

from kernels.head import head_candidates
from model.backends.interface import TOP_K
from model.backends.network import Network, Rows
from model.backends.pool import Pool
from model.config import ModelConfig

LONGEST = 512
"""New rows of a batch beyond which launching kernels one by one costs little beside running them."""
_KEPT = 32
_ROWS, _WANTED, _KEYS = 8, 32, 512
"""The least of each."""


@dataclass(frozen=True)
class Shape:
    """`rows` of each of `batch` sequences, of all of them `wanted`, and `keys` rows of cache that each has at most, the
    new ones among them."""

    batch: int
    rows: int
    wanted: int
    keys: int


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


def likely(config: ModelConfig, size: int) -> list[Shape]:
    """Graphs that the first requests will need: of one sequence a block's canvas alone and behind the block before it,
    over short caches; of a network with full attention, which has no cache, short texts."""
    caches = (_KEYS, 2 * _KEYS, 4 * _KEYS)
    if config.clean_block == 0:
        lengths, caches = [LONGEST // 4, LONGEST // 2, LONGEST], (_KEYS,)
    else:
        lengths = [config.block, 2 * config.block]
    needed = (Shape(1, rows, config.block, keys) for keys, rows in product(caches, lengths))
    return list(dict.fromkeys(shape for each in needed if (shape := rounded(each, size)) is not None))


def power(count: int) -> int:
    """The least power of two that is not below it."""
    return 1 << max(0, count - 1).bit_length()


def uploaded(array: np.ndarray, device: torch.device) -> torch.Tensor:
    """On the device, without waiting until it is there."""
    tensor = torch.from_numpy(array)
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor


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
        integers = torch.zeros(4 * new + 4 * shape.batch + shape.wanted, dtype=torch.int32)
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
        grids = self._integers[: 4 * b * t].view(4, b, t)
        counts = self._integers[4 * b * t : 4 * b * t + 4 * b].view(4, b)
        rows = Rows(grids[0], grids[1], grids[2], grids[3], *counts)
        hidden_BTC = self._network(rows, self._pool.rows_NL2GSD, self.shape.keys)
        wanted_R = self._integers[4 * b * t + 4 * b :]
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
