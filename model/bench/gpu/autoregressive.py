"""The autoregressive rival: `transformers`' Qwen3 of the same shape, greedy, with a static cache and torch.compile."""

from __future__ import annotations

import time

import torch

from model.bench.gpu.trace import TraceFigures, wait
from model.config import ModelConfig

_WARM = 12
"""Tokens before the clock starts: kernels are compiled, and graphs captured behind the first few."""


@torch.inference_mode()
def autoregressive(
    config: ModelConfig, device: torch.device, cache: int, tokens: int, compiles: bool = True
) -> TraceFigures:
    """Raises ImportError without `transformers`."""
    from transformers import Qwen3Config, Qwen3ForCausalLM
    from transformers.cache_utils import StaticCache

    dtype = torch.bfloat16 if device.type == "cuda" else torch.float32
    stock = Qwen3Config(
        vocab_size=config.vocab,
        hidden_size=config.width,
        intermediate_size=config.ff,
        num_hidden_layers=config.layers,
        num_attention_heads=config.heads,
        num_key_value_heads=config.kv_heads,
        head_dim=config.head_size,
        max_position_embeddings=config.context,
        tie_word_embeddings=config.tied,
    )
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        with device:
            model = Qwen3ForCausalLM(stock).eval()
    finally:
        torch.set_default_dtype(before)
    past = StaticCache(config=stock, max_cache_len=cache + tokens + _WARM)
    prompt = torch.arange(cache, device=device)[None] % 50 + 30
    model(prompt, past_key_values=past, use_cache=True)
    step = torch.compile(model, mode="reduce-overhead", fullgraph=True) if compiles else model
    token = torch.full((1, 1), 31, device=device)

    place = torch.full((1,), cache, device=device)

    def one(token: torch.Tensor) -> torch.Tensor:
        found = step(
            token, past_key_values=past, cache_position=place, position_ids=place[None], use_cache=True
        )
        place.add_(1)  # on the device: the host waits for no token
        return found.logits[:, -1:].argmax(-1).clone()

    for _ in range(_WARM):
        token = one(token)
    wait(device)
    began = time.perf_counter()
    for _ in range(tokens):
        token = one(token)
    wait(device)
    seconds = time.perf_counter() - began
    name = f"transformers, autoregressive{', compiled' if compiles else ''}"
    return TraceFigures(name, config.name, "plain", 1, cache, 1, "1 a forward", 1, tokens, tokens, seconds)
