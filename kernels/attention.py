"""Canvas attention: a block of queries over cached and new keys, grouped heads (GQA), any boolean mask.

Shapes: B batch, T query rows, S key rows (cache then new), H query heads, G key/value heads, D head size.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F


def canvas_attention_reference(
    q_BHTD: torch.Tensor, k_BGSD: torch.Tensor, v_BGSD: torch.Tensor, mask_BTS: torch.Tensor
) -> torch.Tensor:
    """Softmax attention, scaled by 1/sqrt(D); `mask_BTS` is True where a query sees a key.

    Every query row must see at least one key. Returns `[B, H, T, D]` in the queries' dtype.
    """
    heads, groups = q_BHTD.shape[1], k_BGSD.shape[1]
    if heads % groups:
        raise ValueError(f"{heads} query heads cannot share {groups} key/value heads")
    return F.scaled_dot_product_attention(
        q_BHTD, k_BGSD, v_BGSD, attn_mask=mask_BTS[:, None], enable_gqa=heads != groups
    )
