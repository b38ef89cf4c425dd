"""Optimisers and the learning-rate schedule: Muon for matrices, AdamW for the rest, or AdamW alone."""

from __future__ import annotations

from typing import Any

import torch

from model.train.muon import Muon
from model.train.recipes import Recipe
from model.train.world import local_state, sharded_state
from model.transformer import Transformer


def _decayed(parameters: list[torch.nn.Parameter], recipe: Recipe) -> list[dict[str, Any]]:
    """Where AdamW has the layers' matrices too, they decay; table, norms and canvas never do."""
    matrices = [p for p in parameters if p.ndim == 2 and recipe.optimizer == "adamw"]
    chosen = {id(p) for p in matrices}
    rest = [p for p in parameters if id(p) not in chosen]
    groups = [
        {"params": rest, "weight_decay": 0.0},
        {"params": matrices, "weight_decay": recipe.weight_decay},
    ]
    return [g for g in groups if g["params"]]


class Optimizers:
    """Muon on the layers' matrices and AdamW on table, norms and canvas."""

    def __init__(self, network: Transformer, recipe: Recipe) -> None:
        matrices = [p for n, p in network.named_parameters() if p.ndim == 2 and n.startswith("layers.")]
        chosen = {id(p) for p in matrices} if recipe.optimizer == "muon" else set[int]()
        others = [p for p in network.parameters() if id(p) not in chosen]
        self._all: list[torch.optim.Optimizer] = [
            torch.optim.AdamW(_decayed(others, recipe), lr=recipe.learning_rate, betas=(0.9, 0.95))
        ]
        if chosen:
            self._all.append(
                Muon(
                    matrices,
                    lr=recipe.matrix_learning_rate,
                    weight_decay=recipe.weight_decay,
                    matched_rms=recipe.matched_rms,
                )
            )
        for optimizer in self._all:
            for group in optimizer.param_groups:
                group["peak"] = group["lr"]

    def step(self, scale: float) -> None:
        """One update at `scale` times the peak learning rates; gradients are cleared."""
        for optimizer in self._all:
            for group in optimizer.param_groups:
                group["lr"] = group["peak"] * scale
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)

    def state(self) -> list[dict[str, object]]:
        """This process's part, as plain tensors."""
        return [local_state(o.state_dict()) for o in self._all]

    def load(self, states: list[dict[str, object]]) -> None:
        for optimizer, state in zip(self._all, states, strict=True):
            optimizer.load_state_dict(sharded_state(state, optimizer))


def learning_rate_scale(progress: float, warmup: float, decay: float) -> float:
    """Linear warm-up, constant, linear decay to zero over the last `decay` of the run; progress in [0, 1]."""
    return max(0.0, min(1.0, (progress + 1e-4) / warmup, (1 - progress) / decay))
