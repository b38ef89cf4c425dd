"""The shapes that are compared, and checkpoints of random weights in them: weights do not matter to the time."""

from __future__ import annotations

from pathlib import Path

from model.checkpoint import Checkpoint, Decoding, open_checkpoint, write_config
from model.config import ModelConfig

OWN_SHAPE = "model"
"""The shape, and the weights, of the model that is benchmarked."""
SHAPES = {
    "30m": ModelConfig("30m", 16384, 512, 8, 8, 2, 64, 1408, context=1024, region_limit=384),
    "60m": ModelConfig("60m", 16384, 640, 10, 10, 2, 64, 2048, context=1024, region_limit=384),
    # Qwen2.5-Coder-0.5B's: https://huggingface.co/Qwen/Qwen2.5-Coder-0.5B/blob/main/config.json
    "0.5b": ModelConfig(
        "0.5b",
        151936,
        896,
        24,
        14,
        2,
        64,
        4864,
        context=1024,
        region_limit=384,
        rope_theta=1e6,
        qk_norm=False,
        qkv_bias=True,
        embedding_norm=False,
    ),
}


def write_random(config: ModelConfig, folder: Path) -> Checkpoint:
    """A checkpoint of random weights without a tokenizer; raises ImportError without torch and onnx."""
    import torch
    from safetensors.torch import save_file

    from model.export import export_onnx
    from model.quantize import quantize
    from model.transformer import Transformer

    torch.manual_seed(0)
    network = Transformer(config).requires_grad_(False)
    for name, weight in network.named_parameters():
        if name.endswith(("out.weight", "down.weight")):  # zero in a new network
            weight.normal_(std=weight.shape[1] ** -0.5)
    save_file(quantize(network.state_dict()), folder / "model.safetensors")
    export_onnx(config, folder / "model.safetensors", folder / "graph.onnx")
    write_config(folder, config, Decoding(), {})
    return open_checkpoint(folder)
