"""The tri-mode loss `L = L_AR + α L_diff` over packed two-stream rows, and its attention mask.

`L_AR` is the mean over clean rows, `L_diff` the weighted mean over noisy ones (Nemotron-Labs-Diffusion's joint
objective; the weights are Seed Diffusion's and Stable-DiffCoder's, see `model/noise.py`).
Shape suffixes: B rows, T positions, N scored positions, V vocabulary.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F


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
    hidden_BTC: torch.Tensor, table_VC: torch.Tensor, batch: RowBatch, alpha: float, groups: int
) -> Losses:
    """Scores only the positions that have a weight; statistics in float32."""
    scored = batch.weight > 0
    logits_NV = F.linear(hidden_BTC[scored], table_VC.to(hidden_BTC.dtype)).float()
    ce_N = F.cross_entropy(logits_NV, batch.label[scored], reduction="none")
    weight_N, noisy_N = batch.weight[scored], batch.block[scored] >= 0
    causal = _weighted_mean(ce_N, weight_N * ~noisy_N)
    diffusion = _weighted_mean(ce_N, weight_N * noisy_N)
    group_N = batch.group[scored].long()
    sums = torch.zeros(2, groups, device=ce_N.device)
    sums[0].index_add_(0, group_N, ce_N.detach())
    sums[1].index_add_(0, group_N, torch.ones_like(ce_N))
    return Losses(causal + alpha * diffusion, causal.detach(), diffusion.detach(), sums[0], sums[1])


def _weighted_mean(values: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    return (values * weights).sum() / weights.sum().clamp(min=1e-6)
