"""From a folder, or none, to an engine. Nothing heavy is imported before it is known what the folder holds."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from model.backends.load import load_backend
from model.checkpoint import EMBEDDED, GUEST_FORMAT, Decoding, ModelError, open_checkpoint
from model.choices import Mode
from model.engine import DiffusionEngine
from model.guest import Guest

Tell = Callable[[str, float], None]
GUESTS = Decoding(fill_limit=64, prefix=1024, suffix=256, sections=256)
"""Budgets of other people's models, which are large and read long contexts."""


def load_engine(
    model: str | None = None,
    backend: str = "auto",
    device: str = "auto",
    threads: int | None = None,
    progress: Tell | None = None,
    mode: Mode = "diffusion",
) -> DiffusionEngine:
    """Load a checkpoint folder, our own or another family's (None: the embedded one); raises ModelError with what to
    do.

    `backend` is `onnx` (CPU, the default of our own), `torch` (for a GPU, and for other families; needs an extra), or
    `auto`. `progress` hears what is being done and the share that is done.
    """
    tell = progress or (lambda message, share: None)
    tell("reading the model", 0.1)
    folder = Path(model).expanduser() if model else EMBEDDED
    if is_foreign(folder) or is_converted(folder):
        return _guest(folder, backend, device, tell, mode)
    checkpoint = open_checkpoint(folder)
    tokenizer = checkpoint.tokenizer()
    tell("loading the network", 0.4)
    network = load_backend(checkpoint, backend, device, threads)
    tell("ready", 1.0)
    return DiffusionEngine(network, tokenizer, checkpoint.decoding, mode)


def is_foreign(folder: Path) -> bool:
    """Whether a folder's config is another family's: ours says its format."""
    data = _config(folder)
    return "format" not in data and bool({"architectures", "model_type"} & data.keys())


def is_converted(folder: Path) -> bool:
    """Whether it is a guest folder, which `redraft models convert` wrote."""
    return _config(folder).get("format") == GUEST_FORMAT


def _config(folder: Path) -> dict[str, Any]:
    """A folder's config; empty where it cannot be read: whatever is wrong with it, the reader of our own says so."""
    try:
        data = json.loads((folder / "config.json").read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return data if isinstance(data, dict) else {}


def _guest(folder: Path, backend: str, device: str, tell: Tell, mode: Mode) -> DiffusionEngine:
    """An engine around another family's network."""
    if backend not in ("auto", "torch"):
        raise ModelError(
            f"{folder} is another family's model, which runs in PyTorch; choose backend torch or auto"
        )
    from model.families.converted import open_guest
    from model.families.prompts import asking_for
    from model.families.ways import way_of

    opened, identity = open_guest(folder)
    config, tokenizer = opened.config, opened.tokenizer()
    asking = asking_for(tokenizer, identity.specials, identity.chat_template, config.clean_block == 0)
    guest = Guest(identity.title, asking, way_of(config, identity.decoding, identity.marks))
    tell("loading the network", 0.3)
    try:
        from model.families.load import load_opened
    except ImportError as error:
        raise ModelError(
            f"{folder} runs in PyTorch, which is missing ({error}); install redraft[gpu]"
        ) from error
    network = load_opened(opened, device)
    tell("ready", 1.0)
    room = config.context // 4
    budgets = replace(GUESTS, prefix=min(GUESTS.prefix, room), suffix=min(GUESTS.suffix, room // 2))
    return DiffusionEngine(network, tokenizer, budgets, mode, guest=guest)
