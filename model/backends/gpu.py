"""The back end for a GPU: fused kernels over a pool of caches, replayed as CUDA graphs.

A forward takes one transfer to the device (all its integers in one piece) and one small read back (the candidates);
between them the host waits for nothing. Short forwards are replayed as graphs (`model/backends/graphs.py`), long ones,
which are those of prompts, run without, at rounded shapes too.

When memory runs out, what is remembered of earlier prompts is dropped and the forward tried once more; if that is not
enough, the request fails with the reason and the process lives on. A device that has failed for good is not asked
again. On a CPU the same code runs the kernels' references: that is how it is tested without a GPU.

Shape suffixes: B batch, T new rows, R wanted rows, V vocabulary, K candidates.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from inspect import ismethod
from typing import TypeVar
from weakref import WeakMethod

import numpy as np
import torch

from model.backends.failures import is_lost, is_out_of_memory, loss, shortage
from model.backends.graphs import LONGEST, Graphs, Step, captures, eager, keys_of, packed, rounded, uploaded
from model.backends.interface import TOP_K, Backend, BackendError, Candidates, Pass, Shape
from model.backends.network import Network
from model.backends.pool import Pool, PooledCache
from model.cache import KVCache, PrefixStore
from model.tokenizer import EOS

Result = TypeVar("Result")
_BATCH = 8
_CHUNK = 1024
"""Rows for which a GPU's products are bound by arithmetic: more of them in one forward save nothing."""
_PROMPTS = 4
"""Earlier prompts that are remembered."""
_SLACK = 256
"""Rows of a slot besides the context: canvases that are written behind it."""
_BIASES = 32
"""Arrays of what may be chosen that are kept on the device."""


class GpuBackend(Backend):
    """Runs a `Network`. `ends` are ids that mean `<eos>` too; `uses_graphs` None is where there is a GPU; `rows` are
    those of a cache, None for a whole context and the longest region."""

    def __init__(
        self,
        network: Network,
        forbidden: Sequence[int] = (),
        ends: Sequence[int] = (),
        about: str = "",
        uses_graphs: bool | None = None,
        rows: int | None = None,
    ) -> None:
        self.config = network.config
        self.forbidden, self._ends = tuple(forbidden), np.array(ends, np.int64)
        self._network = network
        device = network.table_VC.device
        self._device, dtype = device, network.table_VC.dtype
        size = -(-(rows or self.config.context + self.config.region_limit + _SLACK) // 64) * 64
        self._relievers: list[Callable[[], Callable[[], None] | None]] = []
        self._pool = Pool(self.config, size, dtype, device, self._forget_steps, self._give_up)
        is_cuda = device.type == "cuda"
        self._uses_graphs = is_cuda if uses_graphs is None else uses_graphs
        self._graphs = Graphs(network, self._pool)
        self._allowed: dict[tuple[int, ...], np.ndarray] = {}
        self._biases: OrderedDict[int, tuple[np.ndarray, torch.Tensor]] = OrderedDict()
        self._failure = ""
        self.batch = _BATCH
        if is_cuda:
            self.chunk = _CHUNK
        self.prompt_bytes = min(_PROMPTS, self._pool.count - 1) * self._pool.slot_bytes
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

    @property
    def spare(self) -> int:
        """Free slots, and those of remembered prompts; where no graph is lost, growing does no harm."""
        if not self._uses_graphs:
            return super().spare
        return self._pool.free + sum(store.remembered for store in self._stores())

    def allow(self, ids: Sequence[int]) -> np.ndarray:
        """The same array for the same ids, so that sequences that may say the same share one bias on the device."""
        key = tuple(ids)
        if key not in self._allowed:
            self._allowed[key] = super().allow(ids)
        return self._allowed[key]

    def on_pressure(self, relieve: Callable[[], None]) -> None:
        """The owner of a method is not kept alive: a store ends with its engine, and so do its caches."""
        self._relievers = [each for each in self._relievers if each() is not None]
        self._relievers.append(WeakMethod(relieve) if ismethod(relieve) else lambda: relieve)

    def new_cache(self, capacity: int) -> KVCache:
        if capacity > self._pool.size:
            raise BackendError(
                f"this request needs {capacity} rows of cache, the model's context has {self._pool.size}"
            )
        return self._tried(self._pool.take)

    def forward(self, passes: Sequence[Pass]) -> list[Candidates]:
        return self._tried(lambda: self._forward(passes))

    def warm(self, tell: Callable[[float], None], shapes: Sequence[Shape] = ()) -> None:
        """Compile the kernels and capture the likely graphs, which would take the first requests their time."""
        if not self._uses_graphs:
            return
        size = self._pool.size
        # A prompt's first rows, and those that are left of it behind them.
        long = (Shape(1, self.chunk, 1, self.chunk), Shape(1, LONGEST + 64, 1, 2 * self.chunk))
        steps = [partial(self._graphs.step, each) for each in captures(shapes, size)]
        steps += [Step(self._network, self._pool, eager(each, size)).idle for each in long]
        for done, step in enumerate(steps):
            tell(done / len(steps))
            self._tried(step)
        tell(1.0)

    def prepared(self, passes: Sequence[Pass]) -> Callable[[], None] | None:
        """For benchmarks: what replays the kernels of a forward, its inputs in place; None where it has no graph."""
        replay = self._tried(lambda: self._prepared(passes))
        if replay is None:
            return None

        def on_device() -> None:
            with self._on_device():
                replay()

        return on_device

    @torch.inference_mode()
    def _prepared(self, passes: Sequence[Pass]) -> Callable[[], None] | None:
        step = self._step(passes)
        self._run(step, passes)
        return step.replay

    def experts_met(self, passes: Sequence[Pass]) -> float | None:
        """For benchmarks: to how many experts the rows of a forward go, in the mean of the layers that have some; None
        where there are none. The caches stay as they are."""
        counts: list[int] = []
        shape = self._shape(passes)  # as it is: padding goes to experts too

        def count() -> None:
            counts.clear()
            self._run(Step(self._network, self._pool, shape), passes)

        with self._network.hearing(lambda chosen_NK: counts.append(len(chosen_NK.unique()))):
            self._tried(count)
        return sum(counts) / len(counts) if counts else None

    def _tried(self, work: Callable[[], Result]) -> Result:
        """On the device; once more with an empty prompt store where memory runs out. Raises BackendError where that
        does not help, or the device has failed."""
        if self._failure:
            raise BackendError(self._failure)
        with self._on_device():
            try:
                return work()
            except Exception as error:
                self._judge(error)
            # Only here: until the error is gone, its traceback holds what the forward has made.
            try:
                self._relieve()
                return work()
            except Exception as error:
                self._judge(error)
                raise BackendError(shortage(error)) from error

    def _on_device(self) -> AbstractContextManager[object]:
        """Streams, graphs and pinned memory are the current device's."""
        return torch.cuda.device(self._device) if self._device.type == "cuda" else nullcontext()

    def _judge(self, error: Exception) -> None:
        """Raises it again unless memory ran out."""
        if is_lost(error, self._device):
            self._failure = loss(error)
            raise BackendError(self._failure) from error
        if not is_out_of_memory(error):
            raise error

    def _relieve(self) -> None:
        for reliever in self._relievers:
            if (relieve := reliever()) is not None:
                relieve()
        self._forget_steps()
        if self._device.type == "cuda":
            torch.cuda.empty_cache()

    def _stores(self) -> Iterator[PrefixStore]:
        for reliever in self._relievers:
            if isinstance(store := getattr(reliever(), "__self__", None), PrefixStore):
                yield store

    def _give_up(self) -> bool:
        """One remembered prompt, of the engines for single requests first."""
        return any(store.give_up() for store in reversed([*self._stores()]))

    @torch.inference_mode()
    def _forward(self, passes: Sequence[Pass]) -> list[Candidates]:
        step = self._step(passes)
        found = self._run(step, passes)
        for each in passes:
            if len(each.keep):
                assert isinstance(each.cache, PooledCache)
                each.cache.gather(each.keep, skip=len(each.causal))
        read = found.cpu().numpy()
        # Nothing can fail any more: a forward that is tried again begins with the same caches.
        for each in passes:
            assert isinstance(each.cache, PooledCache)
            each.cache.claim([*each.causal, *(each.canvas[i] for i in each.keep)])
        return self._candidates(passes, read)

    def _run(self, step: Step, passes: Sequence[Pass]) -> torch.Tensor:
        return step.run(packed(passes, step.shape, self._pool.size), self._biases_of(passes))

    def _step(self, passes: Sequence[Pass]) -> Step:
        """The graph of the shape that the passes need, or their kernels one by one."""
        shape, size = self._shape(passes), self._pool.size
        if self._uses_graphs:
            if (captured := rounded(shape, size)) is not None:
                return self._graphs.step(captured)
            shape = eager(shape, size)
        return Step(self._network, self._pool, shape)

    def _shape(self, passes: Sequence[Pass]) -> Shape:
        return Shape(
            len(passes),
            max(each.rows for each in passes),
            max(1, sum(len(each.wanted) for each in passes)),
            keys_of(max(each.cache.length + each.rows for each in passes), self._pool.size),
        )

    def _biases_of(self, passes: Sequence[Pass]) -> list[torch.Tensor]:
        return [self._uploaded(each.allowed_V) for each in passes]

    def _uploaded(self, allowed_V: np.ndarray) -> torch.Tensor:
        """The bias on the device; a few are used again and again, and known by their array."""
        key = id(allowed_V)
        if key not in self._biases:  # the array is kept, so that its id stays its own
            self._biases[key] = allowed_V, uploaded(allowed_V, self._device)
            if len(self._biases) > _BIASES:
                self._biases.popitem(last=False)
        self._biases.move_to_end(key)
        return self._biases[key][1]

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
        self._graphs.clear()
