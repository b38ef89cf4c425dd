"""Which back end runs a checkpoint. Nothing heavy is imported before one is chosen."""

from __future__ import annotations

from model.backends.interface import Backend
from model.checkpoint import Checkpoint, ModelError


def load_backend(checkpoint: Checkpoint, backend: str, device: str, threads: int | None) -> Backend:
    """The back end of that name on that device; raises ModelError where either is unknown or missing."""
    if backend not in ("auto", "onnx", "torch"):
        raise ModelError(f"unknown back end {backend!r}: choose auto, onnx or torch")
    wants_gpu = device not in ("auto", "cpu")
    if backend == "onnx" and wants_gpu:
        raise ModelError(
            f"the ONNX back end runs on the CPU only; choose backend torch for device {device!r}"
        )
    if backend == "torch" or (backend == "auto" and wants_gpu):
        try:
            from model.backends.load_torch import load_torch
        except ImportError as error:
            raise ModelError(
                f"the PyTorch back end cannot be imported ({error}); install redraft[gpu] or choose backend onnx"
            ) from error
        return load_torch(checkpoint, device)
    from model.backends.onnx import OnnxBackend

    return OnnxBackend(checkpoint, threads)
