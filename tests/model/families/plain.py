"""The families that no stock class knows, computed once more from their description: plainly, a row and an expert at a
time, and with nothing of our network's."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch

Tensors = Mapping[str, torch.Tensor]


def norm(x: torch.Tensor, weight: torch.Tensor, eps: float) -> torch.Tensor:
    return weight * x / torch.sqrt((x * x).mean(-1, keepdim=True) + eps)


def turned(x: torch.Tensor, theta: float, size: int) -> torch.Tensor:
    """`[rows, heads, d]`; numbers i and i + size/2 of the first `size` are a pair, turned by row / theta^(2i/size)."""
    out = x.clone()
    for i in range(size // 2):
        for row in range(x.shape[0]):
            angle = row / theta ** (2 * i / size)
            a, b = x[row, :, i], x[row, :, i + size // 2]
            out[row, :, i] = a * math.cos(angle) - b * math.sin(angle)
            out[row, :, i + size // 2] = a * math.sin(angle) + b * math.cos(angle)
    return out


def attention(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, sees: torch.Tensor) -> torch.Tensor:
    """Each `[rows, heads, d]`; query heads share key heads in order."""
    share, outs = q.shape[1] // k.shape[1], []
    for h in range(q.shape[1]):
        scores = q[:, h] @ k[:, h // share].T / math.sqrt(q.shape[2])
        outs.append(scores.masked_fill(~sees, float("-inf")).softmax(-1) @ v[:, h // share])
    return torch.cat(outs, dim=-1)


def swiglu(x: torch.Tensor, t: Tensors, at: str, gate: str, up: str, down: str) -> torch.Tensor:
    g = x @ t[f"{at}{gate}.weight"].T
    return (g * torch.sigmoid(g) * (x @ t[f"{at}{up}.weight"].T)) @ t[f"{at}{down}.weight"].T


def llada(config: Mapping[str, Any], t: Tensors, ids: torch.Tensor, sees: torch.Tensor) -> torch.Tensor:
    """Logits `[rows, vocabulary]`."""
    n, theta, eps = len(ids), config["rope_theta"], config["rms_norm_eps"]
    d = config["d_model"] // config["n_heads"]
    x = t["model.transformer.wte.weight"][ids]
    for i in range(config["n_layers"]):
        at = f"model.transformer.blocks.{i}."
        h = norm(x, t[f"{at}attn_norm.weight"], eps)
        q, k, v = ((h @ t[f"{at}{name}_proj.weight"].T).view(n, -1, d) for name in "qkv")
        mixed = attention(turned(q, theta, d), turned(k, theta, d), v, sees)
        x = x + mixed @ t[f"{at}attn_out.weight"].T
        h = norm(x, t[f"{at}ff_norm.weight"], eps)
        x = x + swiglu(h, t, at, "ff_proj", "up_proj", "ff_out")
    return norm(x, t["model.transformer.ln_f.weight"], eps) @ t["model.transformer.ff_out.weight"].T


def llada2(config: Mapping[str, Any], t: Tensors, ids: torch.Tensor, sees: torch.Tensor) -> torch.Tensor:
    """Logits `[rows, vocabulary]`."""
    n, theta, eps, d = len(ids), config["rope_theta"], config["rms_norm_eps"], config["head_dim"]
    heads, kv_heads = config["num_attention_heads"], config["num_key_value_heads"]
    size = int(d * config["partial_rotary_factor"])
    x = t["model.word_embeddings.weight"][ids]
    for i in range(config["num_hidden_layers"]):
        at = f"model.layers.{i}."
        h = norm(x, t[f"{at}input_layernorm.weight"], eps)
        joined = (h @ t[f"{at}attention.query_key_value.weight"].T).view(n, heads + 2 * kv_heads, d)
        q, k, v = joined.split([heads, kv_heads, kv_heads], dim=1)
        q = norm(q, t[f"{at}attention.query_layernorm.weight"], eps)
        k = norm(k, t[f"{at}attention.key_layernorm.weight"], eps)
        mixed = attention(turned(q, theta, size), turned(k, theta, size), v, sees)
        x = x + mixed @ t[f"{at}attention.dense.weight"].T
        h = norm(x, t[f"{at}post_attention_layernorm.weight"], eps)
        if i < config["first_k_dense_replace"]:
            x = x + swiglu(h, t, f"{at}mlp.", "gate_proj", "up_proj", "down_proj")
        else:
            x = x + torch.stack([mixture(config, t, f"{at}mlp.", row) for row in h])
    return norm(x, t["model.norm.weight"], eps) @ t["lm_head.weight"].T


def mixture(config: Mapping[str, Any], t: Tensors, at: str, row: torch.Tensor) -> torch.Tensor:
    """What the experts of one row say: of the best groups (by their two best wishes) the best experts."""
    score = torch.sigmoid(t[f"{at}gate.weight"] @ row)
    wish = (score + t[f"{at}gate.expert_bias"]).tolist()
    size = len(wish) // config["n_group"]
    groups = [range(g * size, (g + 1) * size) for g in range(config["n_group"])]
    groups.sort(key=lambda g: -sum(sorted((wish[e] for e in g), reverse=True)[:2]))
    open_to_it = [e for g in groups[: config["topk_group"]] for e in g]
    chosen = sorted(open_to_it, key=lambda e: -wish[e])[: config["num_experts_per_tok"]]
    total = sum(score[e] for e in chosen)
    parts = ("gate_proj", "up_proj", "down_proj")
    said = sum(
        config["routed_scaling_factor"] * score[e] / total * swiglu(row, t, f"{at}experts.{e}.", *parts)
        for e in chosen
    )
    return said + swiglu(row, t, f"{at}shared_experts.", *parts)
