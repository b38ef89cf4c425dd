"""A mixture of experts on a GPU without waiting for the device: which experts are wanted never leaves it.

Rows are put in the order of their experts, multiplied in groups (`kernels/grouped.py`), and summed where they came
from. It computes what `model/experts.py` does, which runs expert by expert and so must know which.

Shape suffixes: N rows of the whole batch, C width, K experts per row, E experts, M = N x K.
"""

from __future__ import annotations

import torch

from kernels.grouped import grouped_linear
from kernels.mlp import silu_gate
from model.experts import Mixture


def mix(mixture: Mixture, x_BTC: torch.Tensor) -> torch.Tensor:
    """What the experts say of each row, and the shared one."""
    x_NC = x_BTC.reshape(-1, x_BTC.shape[-1])
    chosen_NK, weight_NK = mixture.route(x_NC)
    n, k = chosen_NK.shape
    order_M = chosen_NK.flatten().argsort(stable=True)
    per_expert = torch.zeros(mixture.experts.count, dtype=torch.int32, device=x_NC.device)
    per_expert.scatter_add_(0, chosen_NK.flatten(), torch.ones_like(order_M, dtype=torch.int32))
    ends_E = per_expert.cumsum(0).to(torch.int32)
    hidden = silu_gate(grouped_linear(x_NC, mixture.gate_up, ends_E, (order_M // k).to(torch.int32)))
    said_MC = grouped_linear(hidden, mixture.down, ends_E)
    back_M = torch.empty_like(order_M).scatter_(0, order_M, torch.arange(n * k, device=order_M.device))
    said_NKC = said_MC[back_M].view(n, k, -1)
    out_NC = (said_NKC * weight_NK[..., None].to(said_NKC.dtype)).sum(1)
    if mixture.experts.shared_ff:
        out_NC = out_NC + mixture.shared_down(silu_gate(mixture.shared_gate_up(x_NC)))
    return out_NC.view_as(x_BTC)
