"""Loading a checkpoint into the PyTorch back end."""

from __future__ import annotations

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from model.backends.device import choose_device
from model.backends.gpu import GpuBackend
from model.backends.interface import Backend
from model.backends.network import Network
from model.backends.products import Weights
from model.backends.torch import TorchBackend
from model.checkpoint import Checkpoint, ModelError
from model.quantize import dequantize
from model.transformer import Transformer


def load_torch(checkpoint: Checkpoint, device: str = "auto") -> Backend:
    """Dequantise onto `device` (`auto`: a GPU if there is one): bf16 and fused kernels on a GPU, plain PyTorch
    elsewhere; raises ModelError."""
    chosen = choose_device(device)
    is_cuda = chosen.type == "cuda"
    try:
        network = Transformer(checkpoint.config)
        network.load_state_dict(dequantize(load_file(checkpoint.weights), checkpoint.config))
        network = (
            network.to(chosen, torch.bfloat16 if is_cuda else torch.float32).eval().requires_grad_(False)
        )
        return GpuBackend(Network(network, Weights())) if is_cuda else TorchBackend(network)
    except (RuntimeError, ValueError, SafetensorError) as error:
        reason = f"{checkpoint.weights} cannot be loaded on {str(chosen)!r}: {error}"
        raise ModelError(f"{reason}; choose another device, or fetch the model again") from error
