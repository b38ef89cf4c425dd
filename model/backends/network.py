"""The transformer's forward out of fused kernels, over a pool of caches: what `model/transformer.py` computes.

Per layer: one product for queries, keys and values; QK-norm, rotation and the cache write in one pass; attention over
the cache; residual and norm in one pass; the gated MLP. Weights are those of a `Transformer`, which is taken apart:
where its layout differs, its memory is given back layer by layer.

Shape suffixes: B batch, T new rows, C width, H heads, G key/value heads, D head size, V vocabulary, R wanted rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import torch
import torch.nn.functional as F

from kernels.attention import cached_attention
from kernels.mlp import silu_gate
from kernels.norm import add_rms_norm
from kernels.rope import rotate_and_store
from model.backends.mixture import mix
from model.backends.products import Product, Weights
from model.experts import Mixture
from model.rotary import frequencies, loudness, magnitude
from model.transformer import Layer, RMSNorm, Transformer


@dataclass(frozen=True)
class Rows:
    """A batch of new rows as tensors on the device. Sequence b has `past` rows in its slot; its `causal` first rows and
    then its canvas follow, `rows` in all; the others are padding, whose `slots` place is beyond the slot."""

    ids_BT: torch.Tensor
    positions_BT: torch.Tensor
    is_canvas_BT: torch.Tensor
    places_BT: torch.Tensor
    slot_B: torch.Tensor
    past_B: torch.Tensor
    causal_B: torch.Tensor
    rows_B: torch.Tensor


@dataclass(frozen=True)
class _Layer:
    attention_norm_C: torch.Tensor
    qkv: Product
    q_norm_D: torch.Tensor | None
    k_norm_D: torch.Tensor | None
    out: Product
    mlp_norm_C: torch.Tensor
    mixture: Mixture | None
    gate_up: Product | None
    down: Product | None


class Network:
    """Takes the weights of `transformer`, which must not be used afterwards; `weights` says how they are kept."""

    def __init__(self, transformer: Transformer, weights: Weights) -> None:
        self.config = transformer.config
        self.table_VC = transformer.table.weight.detach()
        self.canvas_C = transformer.canvas.detach().to(self.table_VC.dtype)
        self.head_VC = transformer.output_table.detach()
        self.norm_C = transformer.norm.weight.detach()
        self._layers = [_taken_apart(cast(Layer, layer), weights) for layer in transformer.layers]
        self._frequencies_F = frequencies(self.config, self.table_VC.device)

    def __call__(self, rows: Rows, pool_NL2GSD: torch.Tensor) -> torch.Tensor:
        """Hidden rows `[B, T, C]`, normed; keys and values of all rows are in the pool afterwards."""
        config = self.config
        x_BTC = self.table_VC[rows.ids_BT]
        x_BTC = x_BTC + rows.is_canvas_BT[..., None].to(x_BTC.dtype) * self.canvas_C
        if config.embedding_norm:
            x_BTC = F.rms_norm(x_BTC, (config.width,), None, config.norm_eps)
        loud_BT = loudness(config, rows.positions_BT)
        x_BTC, h_BTC = add_rms_norm(x_BTC, None, self._layers[0].attention_norm_C, config.norm_eps)
        for i, layer in enumerate(self._layers):
            cache_k, cache_v = pool_NL2GSD[:, i, 0], pool_NL2GSD[:, i, 1]
            mixed = self._attend(layer, h_BTC, rows, cache_k, cache_v, loud_BT)
            x_BTC, h_BTC = add_rms_norm(layer.out(mixed), x_BTC, layer.mlp_norm_C, config.norm_eps)
            is_last = i + 1 == len(self._layers)
            norm = self.norm_C if is_last else self._layers[i + 1].attention_norm_C
            x_BTC, h_BTC = add_rms_norm(_mlp(layer, h_BTC), x_BTC, norm, config.norm_eps)
        return h_BTC

    def _attend(
        self,
        layer: _Layer,
        h_BTC: torch.Tensor,
        rows: Rows,
        cache_k: torch.Tensor,
        cache_v: torch.Tensor,
        loud_BT: torch.Tensor | None,
    ) -> torch.Tensor:
        c = self.config
        (b, t, _), h, g, d = h_BTC.shape, c.heads, c.kv_heads, c.head_size
        q, k, v = layer.qkv(h_BTC).view(b, t, h + 2 * g, d).split((h, g, g), dim=2)
        q_BHTD = rotate_and_store(
            q,
            k,
            v,
            rows.positions_BT,
            rows.places_BT,
            self._frequencies_F,
            cache_k,
            cache_v,
            q_weight_D=layer.q_norm_D,
            k_weight_D=layer.k_norm_D,
            eps=c.norm_eps,
            magnitude=magnitude(c),
            slot_B=rows.slot_B,
        )
        if loud_BT is not None:
            q_BHTD = q_BHTD * loud_BT[:, None, :, None].to(q_BHTD.dtype)
        counts = rows.past_B, rows.causal_B, rows.rows_B
        out_BHTD = cached_attention(
            q_BHTD, cache_k, cache_v, *counts, block=max(1, c.clean_block), slot_B=rows.slot_B
        )
        return out_BHTD.transpose(1, 2).reshape(b, t, h * d)


def _mlp(layer: _Layer, h_BTC: torch.Tensor) -> torch.Tensor:
    if layer.mixture is not None:
        return mix(layer.mixture, h_BTC)
    assert layer.gate_up is not None
    assert layer.down is not None
    return layer.down(silu_gate(layer.gate_up(h_BTC)))


def _taken_apart(layer: Layer, weights: Weights) -> _Layer:
    """A layer's weights in the layout of the fused products; what was copied is given back."""
    qkv = torch.cat((layer.q.weight.detach(), layer.kv.weight.detach()))
    bias = None if layer.q.bias is None else torch.cat((layer.q.bias.detach(), layer.kv.bias.detach()))
    del layer.q, layer.kv
    mixture = layer.mixture
    return _Layer(
        layer.attention_norm.weight.detach(),
        weights.product(qkv, bias),
        _norm(layer.q_norm),
        _norm(layer.k_norm),
        weights.product(layer.out.weight.detach()),
        layer.mlp_norm.weight.detach(),
        mixture,
        None if mixture is not None else weights.product(layer.gate_up.weight.detach()),
        None if mixture is not None else weights.product(layer.down.weight.detach()),
    )


def _norm(module: torch.nn.Module) -> torch.Tensor | None:
    """A norm's weight; None of what stands where a network has none."""
    return module.weight.detach() if isinstance(module, RMSNorm) else None
