"""Losses on held-out projects, by task and noise level: the yardstick of ablations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch

from model.losses import tri_mode_loss
from model.noise import BLOCK_SIZES
from model.tokenizer import Tokenizer
from model.train.corpus import SourceFile
from model.train.data import PackedRows, stack
from model.train.loop import Trainer
from model.train.recipes import Phase, Pretraining
from model.train.rows import GROUPS
from model.train.tasks import EVERYTHING

_ALL = Phase("all", 0.0, 2, (("fill", 0.5), ("fix", 0.25), ("refactor", 0.25)))


@torch.no_grad()
def heldout_losses(
    trainer: Trainer, files: Sequence[SourceFile], tokenizer: Tokenizer, rows: int = 64
) -> dict[str, float]:
    """Mean cross-entropy in nats of each report group over `rows` rows, the same ones for every network."""
    # An ablated choice must not change the yardstick.
    plain = replace(trainer.recipe, block_sizes=BLOCK_SIZES, emphasis=EVERYTHING)
    data = PackedRows(list(files), tokenizer, plain, Pretraining(1.0, (_ALL,)))
    sums = torch.zeros(2, len(GROUPS))
    for number in range(rows):
        batch = stack([data[number, 1.0]]).to(trainer.device)
        losses = tri_mode_loss(
            trainer.hidden(batch), trainer.network.output_table, batch, trainer.objective, len(GROUPS)
        )
        sums += torch.stack((losses.group_sum, losses.group_count)).cpu()
    return {name: round(float(s / c), 4) for name, s, c in zip(GROUPS, *sums, strict=True) if c > 0}
