"""Fused head: from hidden rows to the top-k ids, their log-probabilities and the entropy of each row.

Shapes: R rows, C model width, V vocabulary, K candidates.
"""

from __future__ import annotations

import torch


def head_candidates_reference(
    hidden_RC: torch.Tensor, table_VC: torch.Tensor, bias_RV: torch.Tensor, k: int
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """`(ids_RK, logp_RK, entropy_R)` of `softmax(hidden @ table.T + bias)`, best first.

    `bias` is 0 for ids that may be chosen and -inf for the others; statistics are in at least float32.
    """
    logits = hidden_RC @ table_VC.T
    logits = logits.to(torch.promote_types(logits.dtype, torch.float32)) + bias_RV
    logp = torch.log_softmax(logits, dim=-1)
    top = torch.topk(logp, k, dim=-1)
    entropy = -(logp.exp() * logp.clamp(min=-1e4)).sum(-1)
    return top.indices, top.values, entropy
