"""From a folder, or none, to an engine. Nothing heavy is imported before it is known what the folder holds."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from model.backends.interface import Backend, BackendError, Shape
from model.backends.load import load_backend
from model.checkpoint import EMBEDDED, GUEST_FORMAT, Decoding, ModelError, open_checkpoint
from model.choices import Mode
from model.config import ModelConfig
from model.engine import DiffusionEngine
from model.gemma.engine import GemmaEngine
from model.guest import Guest
from model.likely import of_own
from model.shelf import find

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
) -> DiffusionEngine | GemmaEngine:
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
    _warm(network, tell, of_own(network.config, checkpoint.decoding.fill_block))
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


def _guest(folder: Path, backend: str, device: str, tell: Tell, mode: Mode) -> DiffusionEngine | GemmaEngine:
    """An engine around another family's network."""
    if backend not in ("auto", "torch"):
        raise ModelError(
            f"{folder} is another family's model, which runs in PyTorch; choose backend torch or auto"
        )
    from model.families.converted import open_guest
    from model.families.foreign import identify
    from model.families.prompts import asking_for
    from model.families.ways import way_of

    if not is_converted(folder) and identify(folder)[1].extra:
        return _run_by_transformers(folder, device, tell, mode)
    opened, identity = open_guest(folder)
    config, tokenizer = opened.config, opened.tokenizer()
    asking = asking_for(identity, tokenizer, config.clean_block == 0)
    guest = Guest(identity.title, asking, way_of(config, identity.decoding, identity.marks))
    tell("loading the network", 0.3)
    try:
        from model.families.load import load_opened
    except ImportError as error:
        raise ModelError(
            f"{folder} runs in PyTorch, which is missing ({error}); install redraft[gpu]"
        ) from error
    network = load_opened(opened, device)
    _warm(network, tell, guest.way.shapes)
    tell("ready", 1.0)
    return DiffusionEngine(network, tokenizer, _budgets(config), mode, guest=guest)


def _warm(backend: Backend, tell: Tell, shapes: Sequence[Shape]) -> None:
    """Raises ModelError where it cannot run."""
    try:
        backend.warm(lambda share: tell("preparing the GPU", 0.6 + 0.4 * share), shapes)
    except BackendError as error:
        raise ModelError(str(error)) from error


def _budgets(config: ModelConfig) -> Decoding:
    room = config.context // 4
    return replace(GUESTS, prefix=min(GUESTS.prefix, room), suffix=min(GUESTS.suffix, room // 2))


def _run_by_transformers(folder: Path, device: str, tell: Tell, mode: Mode) -> GemmaEngine:
    """An engine around a network that decodes by itself."""
    from model.gemma.folder import open_gemma

    opened = open_gemma(folder)
    if mode != "diffusion":
        raise ModelError(f"{opened.title} has a way of its own to decode; it cannot decode by {mode!r}")
    tell("loading the network", 0.3)
    try:
        from model.gemma.load import load_gemma
    except ImportError as error:
        raise ModelError(
            f"{folder} is {opened.title}, which PyTorch and transformers 5.13 or newer run; one is missing or too old "
            f"({error}): install redraft[gemma]"
        ) from error
    engine = load_gemma(opened, device, _budgets(opened.config))
    tell("ready", 1.0)
    return engine


def load_stepped(model: str | None = None, backend: str = "auto", device: str = "auto") -> DiffusionEngine:
    """As `load_engine`, by a name too, for what looks at how our own loop decodes; raises ModelError where another one
    does."""
    engine = load_engine(str(find(model)) if model else None, backend, device)
    if not isinstance(engine, DiffusionEngine):
        raise ModelError(
            f"{model} decodes by a loop of its own, of which this can measure nothing; choose another"
        )
    return engine
