"""Networks of published shapes with random weights, made on the device: weights do not matter to the time of a step.

The shapes are those of Qwen2.5-Coder-0.5B, Qwen3-1.7B, Qwen3-8B and LLaDA2-mini, as their configs on the Hub say.
"""

from __future__ import annotations

import numpy as np
import torch

from model.backends.gpu import GpuBackend
from model.backends.network import Network
from model.backends.products import Kind, Weights
from model.config import Experts, ModelConfig
from model.families import sizes
from model.tokenizer import FIRST_TEXT_ID
from model.transformer import Transformer

CONTEXT = 8192 + 128
_QWEN3 = {"qk_norm": True, "embedding_norm": False, "rope_theta": 1e6, "clean_block": 32}


def _qwen3(name: str, width: int, layers: int, heads: int, ff: int, tied: bool) -> ModelConfig:
    vocab = 151_936 + FIRST_TEXT_ID
    return ModelConfig(name, vocab, width, layers, heads, 8, 128, ff, CONTEXT, 384, tied=tied, **_QWEN3)


SHAPES = {
    "0.5b": ModelConfig(
        "0.5b",
        151_936 + FIRST_TEXT_ID,
        896,
        24,
        14,
        2,
        64,
        4864,
        CONTEXT,
        384,
        rope_theta=1e6,
        qk_norm=False,
        qkv_bias=True,
        embedding_norm=False,
        clean_block=32,
    ),
    "1.7b": _qwen3("1.7b", 2048, 28, 16, 6144, tied=True),
    "8b": _qwen3("8b", 4096, 36, 32, 12288, tied=False),
    "llada2-mini": ModelConfig(
        "llada2-mini",
        157_184 + FIRST_TEXT_ID,
        2048,
        20,
        16,
        4,
        128,
        5120,
        CONTEXT,
        384,
        rope_theta=6e5,
        embedding_norm=False,
        tied=False,
        clean_block=32,
        rotary_size=64,
        experts=Experts(256, 8, 512, 512, 1, 8, 4, 2.5, "sigmoid", has_bias=True),
    ),
    "nano": ModelConfig(
        "nano", 300, 64, 2, 4, 2, 16, 96, 512, 32, embedding_norm=False, tied=False, clean_block=32
    ),
}
"""`nano` is for trying the program where there is no GPU."""


def random_network(config: ModelConfig, device: torch.device, dtype: torch.dtype) -> Transformer:
    """Weights as small as trained ones, so that scores stay finite."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        with torch.device("meta"):
            network = Transformer(config)
    finally:
        torch.set_default_dtype(before)
    network = network.to_empty(device=device).to(dtype)
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.dim() > 1:
                parameter.normal_(std=0.02)
            else:
                parameter.fill_(1.0)
        network.canvas.zero_()
    return network.eval().requires_grad_(False)


def random_backend(config: ModelConfig, device: torch.device, kind: Kind) -> GpuBackend:
    dtype = torch.bfloat16 if device.type == "cuda" else torch.float32
    return GpuBackend(Network(random_network(config, device, dtype), Weights(kind)), about=kind)


def random_text(config: ModelConfig, length: int, seed: int) -> list[int]:
    """Text ids, the same for the same seed. Not all the same: equal rows go to the same experts."""
    return np.random.default_rng(seed).integers(FIRST_TEXT_ID, config.vocab, length).tolist()


def weight_bytes(config: ModelConfig, kind: Kind, number: int, met: float | None = None) -> int:
    """What a forward must read of the weights: all but the rows of an untied embedding that it does not look up, and of
    each layer's experts the `met` to which rows go (None: all of them)."""
    read = sizes.weight_bytes(config, kind, number)
    read -= (not config.tied) * config.vocab * config.width * number
    if met is None or (e := config.experts) is None:
        return read
    return round(read - (e.count - met) * sizes.expert_bytes(config, kind, number))


def cache_bytes(config: ModelConfig, rows: int, number: int) -> int:
    """Keys and values of `rows` tokens."""
    return config.numbers_per_token * rows * number


def operations(config: ModelConfig, rows: int, past: int) -> int:
    """Floating-point operations of a forward of `rows` rows over a cache of `past`."""
    active = config.parameters - (2 - config.tied) * config.vocab * config.width
    if (e := config.experts) is not None:
        idle = (e.count - e.per_token) * 3 * e.ff * config.width
        active -= (config.layers - e.dense_layers) * idle
    attention = 2 * config.layers * config.heads * config.head_size * (past + rows)
    return 2 * rows * (active + config.vocab * config.width + attention)
