"""The commit of a step: kernel and reference against the policies of the NumPy sampler, decision by decision."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from kernels.commit import Progress, commit
from model.backends.interface import Candidates
from model.policies import Policy, Threshold, TokenEditing, View
from model.tokenizer import MASK

END, OUTSIDE = 2, -7
SURE = torch.tensor([0.0, 0.05, 0.2, 0.45, 0.8, 0.85, 0.95, 1.0])
POLICIES = [
    Threshold(0.5),
    Threshold(1.0),
    TokenEditing(0.5, 0.9),
    TokenEditing(1.0, 0.5),
    TokenEditing(0.9, 0.0),
]


def inputs(b: int, t: int, device: torch.device):
    """Canvases with few kinds of tokens and of confidence, so that there are equals; what is padding is poison, and
    best ids and log-probabilities are column 0 of three candidates."""
    rows = torch.randint(0, t + 1, (b,), dtype=torch.int32)
    rows[0] = t
    real = torch.arange(t) < rows[:, None]
    ids = torch.tensor([MASK, MASK, END, 30, 31])[torch.randint(5, (b, t))].masked_fill(~real, OUTSIDE)
    best = torch.tensor([END, 30, 31])[torch.randint(3, (b, t, 3))].masked_fill(~real[..., None], MASK)
    logp = SURE[torch.randint(len(SURE), (b, t, 3))].log().masked_fill(~real[..., None], torch.nan)
    return tuple(x.to(device) for x in (ids, best[..., 0], logp[..., 0], rows))


def step(policy: Policy, ids: torch.Tensor, best, logp, rows, backend: str) -> Progress:
    """The same step by `commit`."""
    edits = isinstance(policy, TokenEditing)
    tau = torch.full(rows.shape, policy.tau_mask if edits else policy.tau, device=ids.device)
    tau_edit = torch.full_like(tau, policy.tau_edit) if edits else None
    return commit(ids, best, logp, rows, tau, mask=MASK, end=END, tau_edit_B=tau_edit, backend=backend)


def decide(policy: Policy, ids: np.ndarray, best: np.ndarray, logp: np.ndarray) -> tuple[np.ndarray, int]:
    """New ids of one canvas by the policy, and how many it set; without a mask the sampler asks only editors."""
    if not len(ids) or not (policy.edits_visible or (ids == MASK).any()):
        return ids, 0
    candidates = Candidates(best[:, None], logp[:, None], np.zeros(len(ids)))
    choice = policy(View(np.arange(len(ids)), ids, candidates, len(ids)))
    after = ids.copy()
    after[choice.positions] = choice.tokens
    return after, len(choice.positions)


@pytest.mark.gpu
@pytest.mark.parametrize("backend", ["triton", "reference"])
@pytest.mark.parametrize("policy", POLICIES, ids=str)
@pytest.mark.parametrize(("b", "t"), [(1, 1), (40, 5), (6, 37)])
def test_every_decision_is_the_policy_s(device, backend: str, policy: Policy, b: int, t: int) -> None:
    ids, best, logp, rows = inputs(b, t, device)
    before = ids.clone()
    found = step(policy, ids, best, logp, rows, backend)
    for n, length in enumerate(rows.tolist()):
        given = [x[n, :length].cpu().numpy() for x in (before, best, logp)]
        wanted, commits = decide(policy, *given)
        assert ids[n, :length].tolist() == wanted.tolist()
        assert (ids[n, length:] == OUTSIDE).all()
        ends = np.flatnonzero(wanted == END)
        counts = [commits, int((wanted == MASK).sum()), int(ends[0]) if len(ends) else t]
        assert [int(part[n]) for part in found] == counts


@pytest.mark.gpu
@pytest.mark.parametrize("backend", ["triton", "reference"])
def test_of_equally_sure_masks_the_first_commits(device, backend: str) -> None:
    """Also where only the probabilities are equal, and where they are zero."""
    ids = torch.full((3, 4), MASK, dtype=torch.int32, device=device)
    best = torch.arange(40, 52, device=device).view(3, 4)
    logp = torch.tensor([[-9.0, -1, -1, -2], [-300, -200, -250, -torch.inf], [-1e-12, -1e-30, 0, 0]]).to(
        device
    )
    rows = torch.full((3,), 4, dtype=torch.int32, device=device)
    found = step(Threshold(2.0), ids, best, logp, rows, backend)
    assert ids.tolist() == [[MASK, 41, MASK, MASK], [44, MASK, MASK, MASK], [48, MASK, MASK, MASK]]
    assert found.commits_B.tolist() == [1, 1, 1]
    assert found.masks_B.tolist() == [3, 3, 3]


@pytest.mark.gpu
def test_thresholds_are_each_sequence_s_own_and_ids_a_view(device, launches) -> None:
    ids = torch.full((6, 2), MASK, device=device).T  # not contiguous
    best, logp = torch.full((2, 6), 33, device=device), torch.full((2, 6), -0.5, device=device)
    rows = torch.tensor([6, 6], dtype=torch.int32, device=device)
    tau = torch.tensor([0.5, 0.7], device=device)
    found = commit(ids, best, logp, rows, tau, mask=MASK, end=END, backend="triton")
    assert launches == ["_commit_kernel"]
    assert found.commits_B.tolist() == [6, 1]
    assert ids.tolist() == [[33] * 6, [33] + [MASK] * 5]


def test_steps_come_to_an_end() -> None:
    ids, best, logp, rows = inputs(5, 20, torch.device("cpu"))
    left = (ids == MASK).sum(1)
    while left.any():
        found = step(Threshold(0.9), ids, best, logp, rows, "reference")
        assert (found.masks_B <= (left - 1).clamp(min=0)).all()
        left = found.masks_B
    assert step(Threshold(0.9), ids, best, logp, rows, "reference").commits_B.eq(0).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({1: lambda best: best[:, :2]}, r"best has shape \(2, 2\), expected \(2, 3\)"),
        ({0: torch.Tensor.float}, "ids must be int32 or int64, not torch.float32"),
        ({2: torch.Tensor.double}, "logp must be float32"),
        ({3: torch.Tensor.long}, "rows must be torch.int32, not torch.int64"),
        ({4: torch.Tensor.double}, "tau must be torch.float32, not torch.float64"),
    ],
)
def test_what_does_not_fit_is_refused(change, message: str) -> None:
    given = (*inputs(2, 3, torch.device("cpu")), torch.ones(2))
    with pytest.raises(ValueError, match=message):
        commit(*(change.get(n, lambda t: t)(x) for n, x in enumerate(given)), mask=MASK, end=END)
