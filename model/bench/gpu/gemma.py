"""Another diffusion model's own loop: `transformers`' DiffusionGemma at a fixed number of steps, in the shape of the
released 26B-A4B, with random weights."""

from __future__ import annotations

import time
from typing import Any

import torch

from model.bench.gpu.trace import TraceFigures, wait

_STEPS = 32
"""For each canvas; nothing stops it early."""
_LAYERS = ["full_attention" if i % 6 == 5 else "sliding_attention" for i in range(30)]
_26B: dict[str, Any] = {
    "hidden_size": 2816,
    "intermediate_size": 2112,
    "num_hidden_layers": len(_LAYERS),
    "num_attention_heads": 16,
    "num_key_value_heads": 8,
    "head_dim": 256,
    "num_experts": 128,
    "top_k_experts": 8,
    "moe_intermediate_size": 704,
    "vocab_size": 262_144,
    "layer_types": _LAYERS,
}
_SMALL: dict[str, Any] = {
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "head_dim": 16,
    "num_experts": 2,
    "top_k_experts": 1,
    "moe_intermediate_size": 16,
    "vocab_size": 300,
    "layer_types": ["sliding_attention", "full_attention"],
}


@torch.inference_mode()
def diffusion_gemma(device: torch.device, cache: int, tokens: int, is_small: bool = False) -> TraceFigures:
    """Whole canvases until there are `tokens`. The prompt is encoded inside the time, since `generate` does both; a
    first run of the same length comes before. Raises ImportError without `transformers` or where it is too old."""
    from transformers import DiffusionGemmaConfig, DiffusionGemmaForBlockDiffusion
    from transformers.models.diffusion_gemma import DiffusionGemmaTextConfig

    canvas, steps = 32 if is_small else 256, 2 if is_small else _STEPS
    text = DiffusionGemmaTextConfig(**(_SMALL if is_small else _26B))
    config = DiffusionGemmaConfig(text_config=text, canvas_length=canvas)
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.bfloat16 if device.type == "cuda" else torch.float32)
    try:
        with device:
            model: Any = DiffusionGemmaForBlockDiffusion(config).eval()
    finally:
        torch.set_default_dtype(before)
    tokens = -(-tokens // canvas) * canvas
    prompt = torch.arange(cache, device=device)[None] % 50 + 30
    settings = model.generation_config
    settings.max_denoising_steps, settings.stability_threshold = steps, steps + 1
    settings.eos_token_id = [text.vocab_size]  # no token: nothing ends by chance

    def generated() -> int:
        made: Any = model.generate(
            prompt, max_new_tokens=tokens, max_length=None, cache_implementation="dynamic"
        )
        wait(device)
        return int(getattr(made, "sequences", made).shape[1]) - cache

    generated()
    began = time.perf_counter()
    made = generated()
    seconds = time.perf_counter() - began
    forwards = -(-made // canvas) * steps
    name, shape = f"transformers, DiffusionGemma, {steps} steps", "nano" if is_small else "26b-a4b"
    done = f"{canvas} in {steps} steps", made / forwards, made, forwards, seconds
    return TraceFigures(name, shape, "plain", 1, cache, canvas, *done)
