"""Muon (Jordan 2024): momentum whose update is made nearly orthogonal, for the matrices of hidden layers.

As in `torch.optim.Muon`, except that the iterations run in float32 wherever bf16 is not faster: on a CPU without bf16
instructions they took 2.5 times as long in bf16, and rounding made several processes differ from one.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from torch.optim.optimizer import ParamsT

_QUINTIC = (3.4445, -4.7750, 2.0315)
"""Jordan's coefficients: the steepest slope at zero for which singular values end within about [0.7, 1.2]."""
_ITERATIONS = 5


class Muon(torch.optim.Optimizer):
    """`matched_rms` scales updates to AdamW's RMS (Moonlight, arXiv 2502.16982), else by
    `sqrt(max(1, rows/columns))`."""

    def __init__(
        self,
        matrices: ParamsT | Iterable[torch.nn.Parameter],
        lr: float,
        weight_decay: float,
        momentum: float = 0.95,
        matched_rms: bool = False,
    ) -> None:
        super().__init__(matrices, {"lr": lr, "weight_decay": weight_decay, "momentum": momentum})
        self._matched_rms = matched_rms

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]  # losses are never asked for again
        for group in self.param_groups:
            for matrix in group["params"]:
                if matrix.grad is None:
                    continue
                state = self.state[matrix]
                if not state:
                    state["momentum_buffer"] = torch.zeros_like(matrix.grad)
                velocity = state["momentum_buffer"].lerp_(matrix.grad, 1 - group["momentum"])
                update = orthogonal(matrix.grad.lerp(velocity, group["momentum"]))  # Nesterov's look ahead
                matrix.mul_(1 - group["lr"] * group["weight_decay"])
                matrix.add_(update.to(matrix.dtype), alpha=-group["lr"] * self._scale(matrix))

    def _scale(self, matrix: torch.Tensor) -> float:
        rows, columns = matrix.shape
        if self._matched_rms:
            return 0.2 * math.sqrt(max(rows, columns))
        return math.sqrt(max(1.0, rows / columns))


def orthogonal(matrix: torch.Tensor) -> torch.Tensor:
    """About the polar factor of a matrix, by Newton-Schulz iterations: singular values between 0.68 and 1.13."""
    a, b, c = _QUINTIC
    x = matrix.to(torch.bfloat16 if matrix.is_cuda else torch.float32)
    is_tall = x.shape[0] > x.shape[1]
    x = x.T if is_tall else x
    x = x / x.norm().clamp(min=1e-7)
    for _ in range(_ITERATIONS):
        gram = x @ x.T
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x.T if is_tall else x
