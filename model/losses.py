"""The tri-mode loss `L = L_AR + α L_diff` over packed two-stream rows, and its attention mask.

`L_AR` is the mean over clean rows, `L_diff` the weighted mean over noisy ones (Nemotron-Labs-Diffusion's joint
objective; the weights are Seed Diffusion's and Stable-DiffCoder's, see `model/noise.py`).
Shape suffixes: B rows, T positions, N scored positions, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch.utils.checkpoint import checkpoint

_CHUNK = 8192
"""Scored rows whose logits are in memory at a time."""


@dataclass(frozen=True)
class RowBatch:
    """Rows of `model/train/rows.py` as tensors `[B, T]`; -1 in `document` is padding, in `block` a clean row."""

    ids: torch.Tensor
    document: torch.Tensor
    position: torch.Tensor
    block: torch.Tensor
    start: torch.Tensor
    label: torch.Tensor
    weight: torch.Tensor
    group: torch.Tensor

    def to(self, device: torch.device) -> RowBatch:
        return RowBatch(**{k: v.to(device, non_blocking=True) for k, v in self.__dict__.items()})

    @property
    def tokens(self) -> int:
        return int((self.document >= 0).sum())

    @property
    def clean(self) -> int:
        return int(((self.document >= 0) & (self.block < 0)).sum())


@dataclass(frozen=True)
class Objective:
    """`L_AR + alpha L_diff + certainty H`, H the mean entropy of noisy positions that are predicted rightly."""

    alpha: float = 1.0
    certainty: float = 0.0


@dataclass(frozen=True)
class Losses:
    """Scalars for the optimiser, and sums per report group for people."""

    total: torch.Tensor
    causal: torch.Tensor
    diffusion: torch.Tensor
    group_sum: torch.Tensor
    group_count: torch.Tensor


def dense_mask(batch: RowBatch) -> torch.Tensor:
    """`[B, T, T]`, True where a row sees a column; padding sees itself, so that no softmax is empty."""
    q, k = (slice(None), slice(None), None), (slice(None), None, slice(None))
    same = batch.document[q] == batch.document[k]
    clean = batch.block < 0
    causal = clean[q] & clean[k] & (batch.position[k] <= batch.position[q])
    own_block = (batch.block[q] == batch.block[k]) & ~clean[q]
    earlier = ~clean[q] & clean[k] & (batch.position[k] < batch.start[q])
    return same & (causal | own_block | earlier) & (batch.document[q] >= 0) | torch.eye(
        batch.ids.shape[1], dtype=torch.bool, device=batch.ids.device
    )


def tri_mode_loss(
    hidden_BTC: torch.Tensor,
    table_VC: torch.Tensor,
    batch: RowBatch,
    objective: Objective,
    groups: int,
    over_ranks: Callable[[torch.Tensor], torch.Tensor] = lambda sums: sums,
) -> Losses:
    """Scores only the positions that have a weight; statistics in float32.

    A negative weight pushes the label's probability down (the policy gradient). `over_ranks` sums denominators
    over all processes, so that positions and not processes count the same."""
    scored = batch.weight != 0
    label_N, weight_N, noisy_N = batch.label[scored], batch.weight[scored], batch.block[scored] >= 0
    ce_N, entropy_N, right_N = _scores(hidden_BTC[scored], table_VC, label_N, objective.certainty > 0)
    certain_N = (right_N & noisy_N & (weight_N > 0)).float()
    size_N = weight_N.abs()
    causal_sum, diffusion_sum, certainty_sum = (
        (ce_N * weight_N * ~noisy_N).sum(),
        (ce_N * weight_N * noisy_N).sum(),
        (entropy_N * certain_N).sum(),
    )
    counts = torch.stack(((size_N * ~noisy_N).sum(), (size_N * noisy_N).sum(), certain_N.sum()))
    counts = over_ranks(counts).clamp(min=1e-6)
    causal, diffusion = causal_sum / counts[0], diffusion_sum / counts[1]
    total = causal + objective.alpha * diffusion + objective.certainty * certainty_sum / counts[2]
    group_N = batch.group[scored].long()
    sums = torch.zeros(2, groups, device=ce_N.device)
    sums[0].index_add_(0, group_N, ce_N.detach())
    sums[1].index_add_(0, group_N, torch.ones_like(ce_N))
    return Losses(total, causal.detach(), diffusion.detach(), sums[0], sums[1])


def _scores(
    hidden_NC: torch.Tensor, table_VC: torch.Tensor, label_N: torch.Tensor, with_entropy: bool
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Cross-entropy, entropy, and whether the best id is the label; in chunks whose logits are computed again
    for the gradient, since all of them (a step of `base`: 60,000 rows of 16,384) would fill a GPU."""
    if len(label_N) <= _CHUNK:
        return _chunk_scores(hidden_NC, table_VC, label_N, with_entropy)
    parts = [
        checkpoint(_chunk_scores, h, table_VC, y, with_entropy, use_reentrant=False)
        for h, y in zip(hidden_NC.split(_CHUNK), label_N.split(_CHUNK), strict=True)
    ]
    ce, entropy, right = (torch.cat(p) for p in zip(*parts, strict=True))
    return ce, entropy, right


def _chunk_scores(
    hidden_NC: torch.Tensor, table_VC: torch.Tensor, label_N: torch.Tensor, with_entropy: bool
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    logp_NV = F.linear(hidden_NC, table_VC.to(hidden_NC.dtype)).float().log_softmax(-1)
    ce_N = -logp_NV.gather(1, label_N[:, None])[:, 0]
    if not with_entropy:  # it costs a pass over the vocabulary
        return ce_N, torch.zeros_like(ce_N), torch.zeros_like(label_N, dtype=torch.bool)
    return ce_N, -(logp_NV.exp() * logp_NV).sum(-1), logp_NV.argmax(-1) == label_N
