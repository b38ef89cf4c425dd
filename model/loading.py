"""From a folder, or none, to an engine. Nothing heavy is imported before it is known what the folder holds."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from model.backends.load import load_backend
from model.checkpoint import EMBEDDED, open_checkpoint
from model.choices import Mode
from model.engine import DiffusionEngine

Tell = Callable[[str, float], None]


def load_engine(
    model: str | None = None,
    backend: str = "auto",
    device: str = "auto",
    threads: int | None = None,
    progress: Callable[[str, float], None] | None = None,
    mode: Mode = "diffusion",
) -> DiffusionEngine:
    """Load a checkpoint folder (None: the embedded one); raises ModelError with what to do.

    `backend` is `onnx` (CPU, the default), `torch` (for a GPU, needs an extra), or `auto`: torch only where a
    GPU is asked for. `progress` hears what is being done and the share that is done.
    """
    tell = progress or (lambda message, share: None)
    tell("reading the model", 0.1)
    checkpoint = open_checkpoint(Path(model).expanduser() if model else EMBEDDED)
    tokenizer = checkpoint.tokenizer()
    tell("loading the network", 0.4)
    network = load_backend(checkpoint, backend, device, threads)
    tell("ready", 1.0)
    return DiffusionEngine(network, tokenizer, checkpoint.decoding, mode)
