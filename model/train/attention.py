"""Which attention a training step uses: compiled block-sparse on a GPU, document by document on a CPU.

Documents of a packed row never see each other, so on a CPU each is attended alone: of the squares of a row of 768
positions with two or three documents, less than half is computed (LOG.md has the times).
"""

from __future__ import annotations

from itertools import accumulate

import torch

from kernels.attention import canvas_attention_reference
from model.losses import RowBatch, dense_mask
from model.transformer import Attend


def two_stream_attention(batch: RowBatch) -> Attend:
    """The attention of `dense_mask(batch)`; what padding gets is arbitrary and has no weight."""
    if batch.ids.device.type != "cuda":
        return _by_document(batch)
    from model.train.flex import flex_attend

    return flex_attend(batch)


def _by_document(batch: RowBatch) -> Attend:
    mask_BTT = dense_mask(batch)
    sizes = [torch.unique_consecutive(row, return_counts=True)[1].tolist() for row in batch.document]
    masks = [_squares(mask_TT, each) for mask_TT, each in zip(mask_BTT, sizes, strict=True)]

    def attend(q_BHTD: torch.Tensor, k_BGTD: torch.Tensor, v_BGTD: torch.Tensor) -> torch.Tensor:
        # Split, not sliced: a slice's gradient is a tensor of zeros as large as all rows.
        rows = [
            torch.cat(
                [
                    canvas_attention_reference(q[None], k[None], v[None], mask)
                    for q, k, v, mask in zip(*(x.split(sizes[b], dim=1) for x in row), masks[b], strict=True)
                ],
                dim=2,
            )
            for b, row in enumerate(zip(q_BHTD.unbind(), k_BGTD.unbind(), v_BGTD.unbind(), strict=True))
        ]
        return torch.cat(rows)

    return attend


def _squares(mask_TT: torch.Tensor, sizes: list[int]) -> list[torch.Tensor]:
    """The mask of each document, and of the padding behind them: `[1, t, t]`."""
    ends = accumulate(sizes)
    return [
        mask_TT[None, end - size : end, end - size : end].contiguous()
        for end, size in zip(ends, sizes, strict=True)
    ]
