"""Another family's checkpoint as a guest folder (`converted.py`): quantised once, on this machine, layer by layer.

Each layer is read from its files, rounded to bfloat16 as a GPU would have it, quantised as it would be at loading, and
written to a file of its own; the tables likewise. So memory holds little more than one layer, and no file is large.
What is being written is called `.NAME.unfinished`, and renamed when all is there.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import torch
from safetensors.torch import save_file

from model.backends.network import layer_tensors
from model.backends.products import Kind, Weights
from model.checkpoint import ModelError
from model.families.converted import identity_of, write_identity
from model.families.foreign import ForeignCheckpoint
from model.families.layout import Place
from model.families.load import set_controls
from model.families.shards import INDEX
from model.families.sizes import in_size, largest_step, weight_bytes
from model.families.weights import empty, fill
from model.transformer import Layer, state_names

Tell = Callable[[str, float], None]
_TABLES = ("table.weight", "head.weight")
_FURTHER = 32 << 20
"""Bytes besides the weights: the tokenizer, headers."""


@dataclass(frozen=True)
class _Part:
    """A file's worth of our tensors; `layer` is None for the tables and what else is of no layer."""

    names: tuple[str, ...]
    layer: int | None = None


def check_room(checkpoint: ForeignCheckpoint, out: Path, kind: Kind) -> None:
    """Raises ModelError with the sizes where the disk or the memory is too small, or the folder exists."""
    if out.exists():
        raise ModelError(f"{out} exists already; name another folder with --out, or delete it first")
    wanted, config = weight_bytes(checkpoint.config, kind) + _FURTHER, checkpoint.config
    parent = next(folder for folder in out.absolute().parents if folder.exists())
    if wanted > (free := shutil.disk_usage(parent).free):
        raise ModelError(
            f"{out} would take {in_size(wanted)}, and {in_size(free)} are free on its disk; make room, "
            "or name another with --out"
        )
    if largest_step(config) > (free := psutil.virtual_memory().available):
        raise ModelError(
            f"converting {checkpoint.folder} takes {in_size(largest_step(config))} of memory at once, and "
            f"{in_size(free)} are free; close what else uses it"
        )


def convert(
    checkpoint: ForeignCheckpoint, out: Path, kind: Kind, tell: Tell = lambda what, done: None
) -> None:
    """Write the folder `out`, which must not exist. Raises ModelError; nothing is left behind then."""
    check_room(checkpoint, out, kind)
    unfinished = out.with_name(f".{out.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    try:
        unfinished.mkdir(parents=True)
        _write(checkpoint, unfinished, kind, tell)
        unfinished.rename(out)
        tell("done", 1.0)
    except OSError as error:
        raise ModelError(
            f"{out} cannot be written: {error.strerror or error}; name another with --out"
        ) from error
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


@torch.no_grad()
def _write(checkpoint: ForeignCheckpoint, folder: Path, kind: Kind, tell: Tell) -> None:
    parts = list(_parts(checkpoint))
    placed: dict[str, str] = {}
    total = 0
    for number, part in enumerate(parts):
        tell(_said(part, checkpoint.config.layers), number / len(parts))
        tensors = _tensors(checkpoint, part, kind)
        name = f"model-{number + 1:05}-of-{len(parts):05}.safetensors"
        save_file(tensors, folder / name)
        placed |= dict.fromkeys(tensors, name)
        total += sum(tensor.nbytes for tensor in tensors.values())
        del tensors  # before the next are made
    index = {"metadata": {"total_size": total}, "weight_map": placed}
    (folder / INDEX).write_text(json.dumps(index, indent=1) + "\n", "utf-8")
    checkpoint.text.save(folder / "tokenizer.json")
    write_identity(folder, checkpoint.config, identity_of(checkpoint, kind), checkpoint.folder.resolve().name)


def _parts(checkpoint: ForeignCheckpoint) -> Iterator[_Part]:
    """Each table, what is small and of no layer, and each layer."""
    names = state_names(checkpoint.config)
    yield from (_Part((name,)) for name in _TABLES if name in names)
    yield _Part(tuple(n for n in names if n not in _TABLES and not n.startswith("layers.")))
    for i in range(checkpoint.config.layers):
        yield _Part(tuple(name for name in names if name.startswith(f"layers.{i}.")), i)


def _tensors(checkpoint: ForeignCheckpoint, part: _Part, kind: Kind) -> dict[str, torch.Tensor]:
    shapes = state_names(checkpoint.config)
    state = empty({name: shapes[name] for name in part.names}, "cpu", torch.bfloat16)
    fill(state, checkpoint.shards, _wanted(checkpoint, part))
    if part.layer is None:
        set_controls(state, checkpoint)
        return state
    begin = f"layers.{part.layer}."
    with torch.device("meta"):  # only the modules; the weights were made above
        layer = Layer(checkpoint.config, part.layer >= checkpoint.config.dense_layers)
    layer.load_state_dict({name.removeprefix(begin): state.pop(name) for name in part.names}, assign=True)
    return {begin + name: t.contiguous() for name, t in layer_tensors(layer, Weights(kind)).items()}


def _wanted(checkpoint: ForeignCheckpoint, part: _Part) -> dict[str, Place]:
    """The foreign tensors of a part; all pieces of one are of the same part."""
    return {name: place for name, place in checkpoint.wanted.items() if place.pieces[0].ours in part.names}


def _said(part: _Part, layers: int) -> str:
    return "tables" if part.layer is None else f"layer {part.layer + 1} of {layers}"
