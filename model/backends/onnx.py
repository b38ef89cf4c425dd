"""The ONNX Runtime back end: the base install's, int8 on CPU, without torch."""

from __future__ import annotations

import os
from collections.abc import Sequence

import numpy as np
import onnxruntime
import psutil

from model.backends.interface import Backend, Candidates, Pass, lay_out
from model.cache import KVCache
from model.checkpoint import Checkpoint, ModelError
from model.config import ModelConfig

_PAST_MULTIPLE = 64
"""Past lengths are rounded up to this, so that few distinct shapes reach the runtime's allocator."""


class OnnxBackend(Backend):
    """Runs a checkpoint's `graph.onnx`. `threads` None takes what pays: see `default_threads`."""

    def __init__(self, checkpoint: Checkpoint, threads: int | None = None) -> None:
        self.config = checkpoint.config
        self._kept: np.ndarray | None = None
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads or default_threads(checkpoint.config)
        options.inter_op_num_threads = 1
        options.enable_mem_pattern = False  # shapes change at every step
        options.log_severity_level = 3
        # Spinning threads would keep a laptop's cores busy between steps.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        try:
            self._session = onnxruntime.InferenceSession(
                str(checkpoint.graph), options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # the runtime's errors share no base class
            reason = str(error).splitlines()[0]
            raise ModelError(
                f"{checkpoint.graph} cannot be run: {reason}; fetch or export the model again"
            ) from error
        self._check_shapes(checkpoint)
        threads_used = options.intra_op_num_threads
        self.description = (
            f"ONNX Runtime {onnxruntime.__version__}, int8 weights, CPU, {threads_used} threads"
        )

    def _check_shapes(self, checkpoint: Checkpoint) -> None:
        c = self.config
        shapes = {i.name: i.shape for i in self._session.get_inputs()}
        wanted = {"past": ["B", c.layers, 2, c.kv_heads, "P", c.head_size], "allowed": ["B", c.vocab]}
        for name, shape in wanted.items():
            found = shapes.get(name, [])
            if found != shape:
                raise ModelError(
                    f"{checkpoint.graph} takes {name} of shape {found}, the config says {shape}; "
                    "the files belong to different models: fetch or export the model again"
                )

    def new_cache(self, capacity: int) -> KVCache:
        c = self.config
        return KVCache(np.zeros((c.layers, 2, c.kv_heads, capacity, c.head_size), np.float32))

    def forward(self, passes: Sequence[Pass]) -> list[Candidates]:
        layout = lay_out(passes, _PAST_MULTIPLE)
        past = self._past(passes, layout.past)
        outputs = self._session.run(
            ["top_ids", "top_logp", "entropy", "new"],
            {
                "ids": layout.ids_BT,
                "positions": layout.positions_BT,
                "is_canvas": layout.is_canvas_BT,
                "sees": layout.sees_BTS,
                "past": past,
                "wanted": layout.wanted_BR,
                "allowed": np.stack([p.allowed_V for p in passes]),
            },
        )
        ids, logp, entropy, new = (np.asarray(output) for output in outputs)
        for b, each in enumerate(passes):
            assert not len(each.keep), "only networks with full attention keep canvas rows"
            each.cache.append(each.causal, new[b, ..., : len(each.causal), :])
        return [
            Candidates(ids[b, : len(p.wanted)], logp[b, : len(p.wanted)], entropy[b, : len(p.wanted)])
            for b, p in enumerate(passes)
        ]

    def _past(self, passes: Sequence[Pass], length: int) -> np.ndarray:
        """The caches side by side, in memory that is kept for the next forward of the same shape: a fresh array's pages
        cost more than the copy. What lies behind a cache's rows no row sees."""
        c = self.config
        shape = (len(passes), c.layers, 2, c.kv_heads, length, c.head_size)
        if self._kept is None or self._kept.shape != shape:
            self._kept = np.zeros(shape, np.float32)
        for b, each in enumerate(passes):
            self._kept[b, ..., : each.cache.length, :] = each.cache.filled
        return self._kept


def default_threads(config: ModelConfig) -> int:
    """One for a small network, whose products are too short to be shared; else the physical cores that this process may
    use, four at most: more did not help."""
    if config.is_small:
        return 1
    physical = psutil.cpu_count(logical=False) or 1
    affinity = getattr(os, "sched_getaffinity", None)
    usable = len(affinity(0)) if affinity else os.cpu_count() or 1
    return max(1, min(physical, usable, 4))
