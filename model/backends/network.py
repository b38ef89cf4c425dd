"""The transformer's forward out of fused kernels, over a pool of caches: what `model/transformer.py` computes.

Per layer: one product for queries, keys and values; QK-norm, rotation and the cache write in one pass; attention over
the cache; residual and norm in one pass; the gated MLP. Weights are those of a `Transformer`, which is taken apart:
where its layout differs, its memory is given back layer by layer. Or they were kept in this layout before
(`layer_tensors`), quantised as they are now, and are taken as they are.

Shape suffixes: B batch, T new rows, C width, H heads, G key/value heads, D head size, V vocabulary, R wanted rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import cast

import torch
import torch.nn.functional as F

from kernels.attention import cached_attention
from kernels.norm import add_rms_norm
from kernels.rope import rotate_and_store
from model.backends.mixture import FusedMixture, fused_mixture, gated, mixture_tensors
from model.backends.products import Product, Weights, named, product_with
from model.config import Experts, ModelConfig
from model.rotary import frequencies, loudness, magnitude
from model.transformer import Layer, Transformer


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
    mlp: Product


class Network:
    """Takes the weights of `transformer`, which must not be used afterwards; `weights` says how they are kept."""

    is_wide = False
    """Whether small weights have been widened."""

    def __init__(self, transformer: Transformer, weights: Weights) -> None:
        tops = {
            "table.weight": transformer.table.weight.detach(),
            "canvas": transformer.canvas.detach(),
            "norm.weight": transformer.norm.weight.detach(),
        }
        if not transformer.config.tied:
            tops["head.weight"] = transformer.output_table.detach()
        own = (layer_tensors(cast("Layer", layer), weights) for layer in transformer.layers)
        layers = [_built(each, _experts(transformer.config, i)) for i, each in enumerate(own)]
        self._set(transformer.config, tops, layers)

    @classmethod
    def of_tensors(
        cls, config: ModelConfig, tensors: Mapping[str, torch.Tensor], is_wide: bool = False
    ) -> Network:
        """Of tensors as `layer_tensors` names them, behind `layers.{i}.`, and those of no layer under the names of a
        `Transformer`; small weights as float32 where it `is_wide`. Raises KeyError for one that is missing."""
        network = cls.__new__(cls)
        layers: list[_Layer] = []
        for i in range(config.layers):
            begin = f"layers.{i}."
            own = {name.removeprefix(begin): t for name, t in tensors.items() if name.startswith(begin)}
            layers.append(_built(own, _experts(config, i), is_wide))
        network._set(config, tensors, layers)
        network.is_wide = is_wide
        return network

    def _set(self, config: ModelConfig, tops: Mapping[str, torch.Tensor], layers: list[_Layer]) -> None:
        self.config = config
        self.table_VC = tops["table.weight"]
        self.canvas_C = tops["canvas"].to(self.table_VC.dtype)
        self.head_VC = self.table_VC if config.tied else tops["head.weight"]
        self.norm_C = tops["norm.weight"]
        self._layers = layers
        self._frequencies_F = frequencies(config, self.table_VC.device)

    @contextmanager
    def hearing(self, hear: Callable[[torch.Tensor], None]) -> Iterator[None]:
        """`hear` is told the experts `[N, K]` that the rows go to in each layer that has some; in no graph."""
        mixtures = [layer.mlp for layer in self._layers if isinstance(layer.mlp, FusedMixture)]
        for each in mixtures:
            each.hear = hear
        try:
            yield
        finally:
            for each in mixtures:
                each.hear = None

    def __call__(self, rows: Rows, pool_NL2GSD: torch.Tensor, keys: int | None = None) -> torch.Tensor:
        """Hidden rows `[B, T, C]`, normed; keys and values of all rows are in the pool afterwards. No sequence has more
        than `keys` rows in its slot then (default: it may be full)."""
        config = self.config
        x_BTC = self.table_VC[rows.ids_BT]
        x_BTC = x_BTC + rows.is_canvas_BT[..., None].to(x_BTC.dtype) * self.canvas_C
        if config.embedding_norm:
            x_BTC = F.rms_norm(x_BTC, (config.width,), None, config.norm_eps)
        loud_BT = loudness(config, rows.positions_BT)
        x_BTC, h_BTC = add_rms_norm(x_BTC, None, self._layers[0].attention_norm_C, config.norm_eps)
        for i, layer in enumerate(self._layers):
            cache_k, cache_v = pool_NL2GSD[:, i, 0], pool_NL2GSD[:, i, 1]
            mixed = self._attend(layer, h_BTC, rows, cache_k, cache_v, loud_BT, keys)
            x_BTC, h_BTC = add_rms_norm(layer.out(mixed), x_BTC, layer.mlp_norm_C, config.norm_eps)
            is_last = i + 1 == len(self._layers)
            norm = self.norm_C if is_last else self._layers[i + 1].attention_norm_C
            x_BTC, h_BTC = add_rms_norm(layer.mlp(h_BTC), x_BTC, norm, config.norm_eps)
        return h_BTC

    def _attend(
        self,
        layer: _Layer,
        h_BTC: torch.Tensor,
        rows: Rows,
        cache_k: torch.Tensor,
        cache_v: torch.Tensor,
        loud_BT: torch.Tensor | None,
        keys: int | None,
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
            q_BHTD, cache_k, cache_v, *counts, block=max(1, c.clean_block), slot_B=rows.slot_B, keys=keys
        )
        return out_BHTD.transpose(1, 2).reshape(b, t, h * d)


def layer_tensors(layer: Layer, weights: Weights) -> dict[str, torch.Tensor]:
    """A layer's weights in the layout of the fused products, each under its name; what was copied is given back. The
    layer must not be used afterwards."""
    qkv = torch.cat((layer.q.weight.detach(), layer.kv.weight.detach()))
    bias = None if layer.q.bias is None else torch.cat((layer.q.bias.detach(), layer.kv.bias.detach()))
    del layer.q, layer.kv
    matrices = {"qkv": weights.parts(qkv, bias), "out": weights.parts(layer.out.weight.detach())}
    mixture: dict[str, torch.Tensor] = {}
    if layer.mixture is not None:
        mixture = mixture_tensors(layer.mixture, weights)
    else:
        matrices["gate_up"] = weights.parts(layer.gate_up.weight.detach())
        matrices["down"] = weights.parts(layer.down.weight.detach())
    norms = ["attention_norm", "mlp_norm", *(("q_norm", "k_norm") if layer.config.qk_norm else ())]
    found = {f"{name}.weight": getattr(layer, name).weight.detach() for name in norms} | mixture
    return found | {f"{name}.{part}": t for name, parts in matrices.items() for part, t in parts.items()}


def _experts(config: ModelConfig, layer: int) -> Experts | None:
    return config.experts if layer >= config.dense_layers else None


def _built(tensors: Mapping[str, torch.Tensor], experts: Experts | None, is_wide: bool = False) -> _Layer:
    def product(name: str) -> Product:
        return product_with(named(tensors, name, is_wide))

    return _Layer(
        tensors["attention_norm.weight"],
        product("qkv"),
        tensors.get("q_norm.weight"),
        tensors.get("k_norm.weight"),
        product("out"),
        tensors["mlp_norm.weight"],
        gated(product("gate_up"), product("down"))
        if experts is None
        else fused_mixture(experts, tensors, is_wide),
    )
