"""The tri-mode transformer: one set of weights, causal over clean tokens and bidirectional over a canvas.

RMSNorm, rotary positions (`rotary.py`), grouped-query attention with QK-norm, SwiGLU, tied embedding; the config can
turn off what foreign networks lack, and on what they have more (biases, a head of its own, experts). Which row sees
which is the caller's mask; canvas rows get a learned *canvas embedding* added. Training (two streams), prefill,
denoising and committing are the same `forward` with other masks. Knows nothing of noise, tasks or decoding.

Shape suffixes: B batch, T new rows, P past rows, S = P + T, C width, H heads, G key/value heads, D head size,
L layers, V vocabulary.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from kernels.attention import canvas_attention_reference
from model.config import ModelConfig
from model.experts import Mixture
from model.rotary import Rotary, rotary

Attend = Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]
"""(q_BHTD, k_BGSD, v_BGSD) -> out_BHTD."""


def masked(mask_BTS: torch.Tensor) -> Attend:
    """Attention under a dense boolean mask, True where a row sees a column."""
    return lambda q, k, v: canvas_attention_reference(q, k, v, mask_BTS)


class RMSNorm(nn.Module):
    def __init__(self, size: int, eps: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(size))
        self.eps = eps

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.rms_norm(x, (x.shape[-1],), self.weight.to(x.dtype), self.eps)


class Layer(nn.Module):
    def __init__(self, config: ModelConfig, has_experts: bool = False) -> None:
        super().__init__()
        c, d, bias = config.width, config.head_size, config.qkv_bias
        self.config = config
        self.attention_norm = RMSNorm(c, config.norm_eps)
        self.q = nn.Linear(c, config.heads * d, bias=bias)
        self.kv = nn.Linear(c, 2 * config.kv_heads * d, bias=bias)
        self.q_norm = RMSNorm(d, config.norm_eps) if config.qk_norm else nn.Identity()
        self.k_norm = RMSNorm(d, config.norm_eps) if config.qk_norm else nn.Identity()
        self.out = nn.Linear(config.heads * d, c, bias=False)
        self.mlp_norm = RMSNorm(c, config.norm_eps)
        if has_experts and config.experts:
            self.mixture = Mixture(c, config.experts)
        else:
            self.mixture = None
            self.gate_up = nn.Linear(c, 2 * config.ff, bias=False)
            self.down = nn.Linear(config.ff, c, bias=False)

    def forward(
        self,
        x_BTC: torch.Tensor,
        positions: Rotary,
        attend: Attend,
        past_B2GPD: torch.Tensor | None,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        b, t, _ = x_BTC.shape
        g, d = self.config.kv_heads, self.config.head_size
        h = self.attention_norm(x_BTC)
        q = positions.turn_queries(self.q_norm(self.q(h).view(b, t, -1, d)).transpose(1, 2))
        k, v = self.kv(h).view(b, t, 2, g, d).permute(2, 0, 3, 1, 4)
        new_B2GTD = torch.stack((positions.turn(self.k_norm(k)), v), dim=1)
        rows = new_B2GTD if past_B2GPD is None else torch.cat((past_B2GPD, new_B2GTD), dim=3)
        mixed = attend(q, rows[:, 0], rows[:, 1])
        x_BTC = x_BTC + self.out(mixed.transpose(1, 2).reshape(b, t, -1))
        return x_BTC + self._mlp(self.mlp_norm(x_BTC)), new_B2GTD

    def _mlp(self, h_BTC: torch.Tensor) -> torch.Tensor:
        if self.mixture is not None:
            return self.mixture(h_BTC)
        gate, up = self.gate_up(h_BTC).chunk(2, dim=-1)
        return self.down(F.silu(gate) * up)


class Transformer(nn.Module):
    """See the module's docstring; `forward` returns hidden rows, `logits` their scores."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.table = nn.Embedding(config.vocab, config.width)
        self.canvas = nn.Parameter(torch.zeros(config.width))
        self.layers = nn.ModuleList(Layer(config, i >= config.dense_layers) for i in range(config.layers))
        self.norm = RMSNorm(config.width, config.norm_eps)
        if not config.tied:
            self.head = nn.Linear(config.width, config.vocab, bias=False)
        self.apply(self._initialise)

    def _initialise(self, module: nn.Module) -> None:
        if isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, std=1 / math.sqrt(module.in_features))
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        if isinstance(module, Layer):  # residual branches start at zero (as in nanochat and muP recipes)
            nn.init.zeros_(module.out.weight)
            if module.mixture is None:
                nn.init.zeros_(module.down.weight)
        if isinstance(module, nn.Embedding):
            nn.init.normal_(module.weight, std=0.02)
        if module is self:
            nn.init.normal_(self.canvas, std=0.02)

    def forward(
        self,
        ids_BT: torch.Tensor,
        positions_BT: torch.Tensor,
        is_canvas_BT: torch.Tensor,
        attend: Attend,
        past_BL2GPD: torch.Tensor | None = None,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Hidden rows `[B, T, C]` and their keys and values `[B, L, 2, G, T, D]`."""
        x = self.table(ids_BT)
        x = x + is_canvas_BT[..., None].to(x.dtype) * self.canvas
        if self.config.embedding_norm:  # so that a small embedding init does not starve the first layer
            x = F.rms_norm(x, (x.shape[-1],), None, self.config.norm_eps)
        positions = rotary(self.config, positions_BT, x.dtype)
        new: list[torch.Tensor] = []
        for i, layer in enumerate(self.layers):
            past = None if past_BL2GPD is None else past_BL2GPD[:, i]
            x, kv = layer(x, positions, attend, past)
            new.append(kv)
        return self.norm(x), torch.stack(new, dim=1)

    @property
    def output_table(self) -> torch.Tensor:
        """The output head `[V, C]`: the embedding's own rows where it is tied."""
        return self.table.weight if self.config.tied else self.head.weight

    def logits(self, hidden: torch.Tensor) -> torch.Tensor:
        return F.linear(hidden, self.output_table.to(hidden.dtype))


def state_names(config: ModelConfig) -> dict[str, Any]:
    """Names and shapes of the weights, for checking a checkpoint before it is loaded."""
    with torch.device("meta"):
        return {k: tuple(v.shape) for k, v in Transformer(config).state_dict().items()}
