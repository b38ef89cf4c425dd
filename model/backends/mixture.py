"""A mixture of experts on a GPU without waiting for the device: which experts are wanted never leaves it.

Rows are put in the order of their experts, multiplied in groups (`kernels/grouped.py`), and summed where they came
from. It computes what `model/experts.py` does, which runs expert by expert and so must know which. The experts' and the
shared one's matrices are kept as the dense ones are; the router stays as it was, since it is small and decides.

Shape suffixes: N rows of the whole batch, C width, K experts per row, E experts, M = N x K.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch

from kernels.mlp import silu_gate
from model.backends.products import Grouped, Product, Weights, grouped_with, named, product_with
from model.config import Experts
from model.experts import Mixture, route


@dataclass
class FusedMixture:
    """`hear` is told the experts that the rows go to, `[N, K]`, by whoever wants to count them."""

    experts: Experts
    router_EC: torch.Tensor
    bias_E: torch.Tensor | None
    gate_up: Grouped
    down: Grouped
    shared: Product | None
    hear: Callable[[torch.Tensor], None] | None = None

    def __call__(self, x_BTC: torch.Tensor) -> torch.Tensor:
        """What the experts say of each row, and the shared one."""
        x_NC = x_BTC.reshape(-1, x_BTC.shape[-1])
        chosen_NK, weight_NK = route(self.experts, x_NC, self.router_EC, self.bias_E)
        if self.hear is not None:
            self.hear(chosen_NK)
        n, k = chosen_NK.shape
        order_M = chosen_NK.flatten().argsort(stable=True)
        per_expert = torch.zeros(self.experts.count, dtype=torch.int32, device=x_NC.device)
        per_expert.scatter_add_(0, chosen_NK.flatten(), torch.ones_like(order_M, dtype=torch.int32))
        ends_E = per_expert.cumsum(0).to(torch.int32)
        hidden = silu_gate(self.gate_up(x_NC, ends_E, (order_M // k).to(torch.int32)))
        said_MC = self.down(hidden, ends_E, None)
        back_M = torch.empty_like(order_M).scatter_(0, order_M, torch.arange(n * k, device=order_M.device))
        said_NKC = said_MC[back_M].view(n, k, -1)
        out_NC = (said_NKC * weight_NK[..., None].to(said_NKC.dtype)).sum(1)
        if self.shared is not None:
            out_NC = out_NC + self.shared(x_NC)
        return out_NC.view_as(x_BTC)


def gated(gate_up: Product, down: Product) -> Product:
    """A gated MLP of its two products."""
    return lambda x: down(silu_gate(gate_up(x)))


def mixture_tensors(mixture: Mixture, weights: Weights) -> dict[str, torch.Tensor]:
    """Its weights in the parts that they are kept in. What was copied is given back: the mixture must not be used
    afterwards."""
    found = {"mixture.router.weight": mixture.router.weight.detach()}
    if mixture.bias is not None:
        found["mixture.bias"] = mixture.bias.detach()
    for name in ("gate_up", "down"):
        parts = weights.stacked_parts(getattr(mixture, name).detach())
        delattr(mixture, name)  # before the next are made
        found |= {f"mixture.{name}.{part}": tensor for part, tensor in parts.items()}
    if mixture.experts.shared_ff:
        for name in ("shared_gate_up", "shared_down"):
            parts = weights.parts(getattr(mixture, name).weight.detach())
            found |= {f"mixture.{name}.{part}": tensor for part, tensor in parts.items()}
    return found


def fused_mixture(
    experts: Experts, tensors: Mapping[str, torch.Tensor], is_wide: bool = False
) -> FusedMixture:
    """Of tensors as `mixture_tensors` names them, small ones widened where it `is_wide`. Raises KeyError for one that
    is missing."""
    gate_up, down = (grouped_with(named(tensors, f"mixture.{name}", is_wide)) for name in ("gate_up", "down"))
    shared = None
    if experts.shared_ff:
        matrices = (named(tensors, f"mixture.shared_{name}", is_wide) for name in ("gate_up", "down"))
        shared = gated(*map(product_with, matrices))
    bias = tensors["mixture.bias"] if experts.has_bias else None
    return FusedMixture(experts, tensors["mixture.router.weight"], bias, gate_up, down, shared)
