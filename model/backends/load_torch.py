"""Loading a checkpoint into the PyTorch back end."""

from __future__ import annotations

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from model.backends.torch import TorchBackend
from model.checkpoint import Checkpoint, ModelError
from model.quantize import dequantize
from model.transformer import Transformer


def load_torch(checkpoint: Checkpoint, device: str = "auto") -> TorchBackend:
    """Dequantise onto `device` (`auto`: a GPU if there is one), bf16 on a GPU; raises ModelError."""
    chosen = device if device != "auto" else "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.device(chosen)
    except RuntimeError as error:
        raise ModelError(f"PyTorch knows no device {chosen!r}; choose auto, cpu, cuda or cuda:1") from error
    try:
        network = Transformer(checkpoint.config)
        network.load_state_dict(dequantize(load_file(checkpoint.weights), checkpoint.config))
        network = network.to(chosen, torch.bfloat16 if chosen.startswith("cuda") else torch.float32)
    except (RuntimeError, ValueError, AssertionError, SafetensorError) as error:
        # A torch without CUDA raises AssertionError when asked for it.
        reason = f"{checkpoint.weights} cannot be loaded on {chosen!r}: {error}"
        raise ModelError(f"{reason}; choose another device, or fetch the model again") from error
    return TorchBackend(network)
