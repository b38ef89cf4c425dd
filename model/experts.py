"""A mixture of experts in place of a layer's MLP: which experts a row goes to, and what they say together.

The reference: experts that some row wants run one after the other, each on its rows alone. Routing and its bias are
float32 in every network, since a rounded score can choose another expert.

Shape suffixes: N rows of the whole batch, C width, E experts, K experts per row, F an expert's width.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from model.config import Experts


class Mixture(nn.Module):
    def __init__(self, width: int, experts: Experts) -> None:
        super().__init__()
        self.experts = experts
        self.router = nn.Linear(width, experts.count, bias=False)
        self.bias = nn.Parameter(torch.zeros(experts.count)) if experts.has_bias else None
        self.gate_up = nn.Parameter(torch.empty(experts.count, 2 * experts.ff, width))
        self.down = nn.Parameter(torch.empty(experts.count, width, experts.ff))
        nn.init.normal_(self.gate_up, std=width**-0.5)
        nn.init.zeros_(self.down)  # as all branches that are added to the rows
        if experts.shared_ff:
            self.shared_gate_up = nn.Linear(width, 2 * experts.shared_ff, bias=False)
            self.shared_down = nn.Linear(experts.shared_ff, width, bias=False)

    def forward(self, x_BTC: torch.Tensor) -> torch.Tensor:
        x_NC = x_BTC.reshape(-1, x_BTC.shape[-1])
        chosen_NK, weight_NK = route(self.experts, x_NC, self.router.weight, self.bias)
        out_NC = torch.zeros_like(x_NC)
        for expert in chosen_NK.unique().tolist():
            row, choice = torch.nonzero(chosen_NK == expert, as_tuple=True)
            said = _swiglu(F.linear(x_NC[row], self.gate_up[expert]), self.down[expert])
            out_NC.index_add_(0, row, said * weight_NK[row, choice, None].to(said.dtype))
        if self.experts.shared_ff:
            out_NC = out_NC + _swiglu(self.shared_gate_up(x_NC), self.shared_down.weight)
        return out_NC.view_as(x_BTC)


def route(
    e: Experts, x_NC: torch.Tensor, router_EC: torch.Tensor, bias_E: torch.Tensor | None
) -> tuple[torch.Tensor, torch.Tensor]:
    """The experts of each row and their weights, `[N, K]`."""
    wide = torch.promote_types(x_NC.dtype, torch.float32)
    logits_NE = F.linear(x_NC.to(wide), router_EC.to(wide))
    score_NE = logits_NE.sigmoid() if e.scoring == "sigmoid" else logits_NE.softmax(dim=-1)
    wish_NE = score_NE if bias_E is None else score_NE + bias_E.to(wide)
    if e.groups > 1:
        wish_NE = _in_best_groups(e, wish_NE)
    chosen_NK = wish_NE.topk(e.per_token, dim=-1).indices
    weight_NK = score_NE.gather(1, chosen_NK)
    if e.is_normalised and e.per_token > 1:
        weight_NK = weight_NK / (weight_NK.sum(-1, keepdim=True) + 1e-20)
    return chosen_NK, weight_NK * e.scaling


def _in_best_groups(e: Experts, wish_NE: torch.Tensor) -> torch.Tensor:
    """What is outside of a row's best groups can no longer be chosen."""
    groups = wish_NE.view(len(wish_NE), e.groups, -1)
    best = groups.topk(min(2, groups.shape[-1]), dim=-1).values.sum(-1).topk(e.groups_per_token).indices
    is_out = torch.ones_like(groups[..., 0], dtype=torch.bool).scatter_(1, best, False)
    return groups.masked_fill(is_out[..., None], float("-inf")).view_as(wish_NE)


def _swiglu(gate_up: torch.Tensor, down: torch.Tensor) -> torch.Tensor:
    gate, up = gate_up.chunk(2, dim=-1)
    return F.linear(F.silu(gate) * up, down)
