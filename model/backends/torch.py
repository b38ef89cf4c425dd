"""The PyTorch back end: the reference on CPU, and the way to a GPU."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from kernels.head import head_candidates_reference
from model.backends.interface import TOP_K, Backend, Candidates, Pass, lay_out
from model.cache import KVCache
from model.tokenizer import EOS
from model.transformer import Transformer, masked


class TorchBackend(Backend):
    """Runs a `Transformer`; the cache lives on its device, in its dtype."""

    def __init__(self, network: Transformer, forbidden: Sequence[int] = (), ends: Sequence[int] = ()) -> None:
        """`ends` are ids that mean `<eos>` too; no other id of `forbidden` is ever chosen."""
        self.network = network.eval().requires_grad_(False)
        self.forbidden, self._ends = tuple(forbidden), np.array(ends, np.int64)
        self.config = network.config
        weight = network.table.weight
        self.device, self.dtype = weight.device, weight.dtype
        self.description = (
            f"PyTorch {torch.__version__}, {self.device}, {str(self.dtype).removeprefix('torch.')}"
        )

    def new_cache(self, capacity: int) -> KVCache:
        c = self.config
        shape = (c.layers, 2, c.kv_heads, capacity, c.head_size)
        return KVCache(torch.zeros(shape, dtype=self.dtype, device=self.device))

    @torch.inference_mode()
    def forward(self, passes: Sequence[Pass]) -> list[Candidates]:
        layout = lay_out(passes, clean_block=self.config.clean_block)
        c = self.config
        shape = (len(passes), c.layers, 2, c.kv_heads, layout.past, c.head_size)
        past = torch.zeros(shape, dtype=self.dtype, device=self.device)
        for b, each in enumerate(passes):
            past[b, ..., : each.cache.length, :] = each.cache.filled
        hidden_BTC, new = self.network(
            self._put(layout.ids_BT),
            self._put(layout.positions_BT),
            self._put(layout.is_canvas_BT),
            masked(self._put(layout.sees_BTS)),
            past,
        )
        for b, each in enumerate(passes):
            c = len(each.causal)
            each.cache.append(each.causal, new[b, ..., :c, :])
            if len(each.keep):
                rows = [c + i for i in each.keep]
                each.cache.append([each.canvas[i] for i in each.keep], new[b, ..., rows, :])
        return [self._candidates(hidden_BTC[b], p) for b, p in enumerate(passes)]

    def _candidates(self, hidden_TC: torch.Tensor, each: Pass) -> Candidates:
        if not len(each.wanted):
            empty = np.zeros((0, TOP_K))
            return Candidates(empty.astype(np.int64), empty, np.zeros(0))
        ids, logp, entropy = head_candidates_reference(
            hidden_TC[self._put(np.asarray(each.wanted))],
            self.network.output_table,
            self._put(each.allowed_V),
            TOP_K,
        )
        found = ids.cpu().numpy()
        if len(self._ends):
            found = np.where(np.isin(found, self._ends), EOS, found)
        return Candidates(found, logp.cpu().numpy(), entropy.cpu().numpy())

    def _put(self, array: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(array).to(self.device)
