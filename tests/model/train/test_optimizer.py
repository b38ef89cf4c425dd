"""Muon: as `torch.optim.Muon` does it, up to the rounding of its iterations."""

from __future__ import annotations

import pytest
import torch

from model.train.muon import Muon, orthogonal


@pytest.mark.parametrize("shape", [(24, 40), (40, 24), (32, 32), (64, 16)])
def test_singular_values_become_about_one(shape: tuple[int, int]) -> None:
    """Of any shape; the iteration's coefficients leave them between 0.7 and 1.2."""
    torch.manual_seed(0)
    values = torch.linalg.svdvals(orthogonal(torch.randn(shape)))
    assert values.min() > 0.6
    assert values.max() < 1.3


def test_the_singular_vectors_stay() -> None:
    torch.manual_seed(1)
    matrix = torch.randn(16, 24)
    u, _, v = torch.linalg.svd(matrix, full_matrices=False)
    rotated = u.T @ orthogonal(matrix) @ v.T
    off_diagonal = rotated - torch.diag(rotated.diagonal())
    assert off_diagonal.abs().max() < 1e-4


@pytest.mark.parametrize("matched", [False, True])
@pytest.mark.parametrize("shape", [(24, 40), (64, 16)])
def test_steps_like_the_one_of_torch(shape: tuple[int, int], matched: bool) -> None:
    """Five updates of the same gradients: momentum, Nesterov, decay and scale agree within bf16's rounding."""
    torch.manual_seed(2)
    ours, theirs = (torch.nn.Parameter(torch.ones(shape)) for _ in range(2))
    mine = Muon([ours], lr=0.02, weight_decay=0.1, matched_rms=matched)
    other = torch.optim.Muon(
        [theirs],
        lr=0.02,
        weight_decay=0.1,
        momentum=0.95,
        adjust_lr_fn="match_rms_adamw" if matched else "original",
    )
    for _ in range(5):
        gradient = torch.randn(shape)
        ours.grad, theirs.grad = gradient.clone(), gradient.clone()
        mine.step()
        other.step()
    moved = (theirs.detach() - 1).norm()
    assert (ours - theirs).norm() < 0.02 * moved
