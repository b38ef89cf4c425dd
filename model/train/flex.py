"""The two-stream mask for FlexAttention: the same rule as `losses.dense_mask`, never written out as a matrix."""

from __future__ import annotations

import torch
from torch.nn.attention.flex_attention import create_block_mask, flex_attention

from model.losses import RowBatch
from model.transformer import Attend

_flex = torch.compile(flex_attention, dynamic=False)
_create = torch.compile(create_block_mask, dynamic=False)


def flex_attend(batch: RowBatch) -> Attend:
    """Attention under the batch's mask; needs a GPU to be fast."""
    document, block, position, start = batch.document, batch.block, batch.position, batch.start
    rows, length = batch.ids.shape

    def sees(b, h, q, k):
        same = (document[b, q] == document[b, k]) & (document[b, q] >= 0)
        clean_q, clean_k = block[b, q] < 0, block[b, k] < 0
        causal = clean_q & clean_k & (position[b, k] <= position[b, q])
        own_block = ~clean_q & (block[b, q] == block[b, k])
        earlier = ~clean_q & clean_k & (position[b, k] < start[b, q])
        return same & (causal | own_block | earlier) | (q == k)

    mask = _create(sees, rows, None, length, length, device=str(batch.ids.device))

    def attend(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
        return _flex(q, k, v, block_mask=mask, enable_gqa=q.shape[1] != k.shape[1])

    return attend
