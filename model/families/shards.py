"""The safetensors of a folder, one file or several with an index: what they hold, without reading the weights.

Only headers are read here, so that a wrong checkpoint is refused before torch is imported or memory taken. Files
outside of the folder are refused, whatever an index or a link says; a hub's cache, whose snapshots are links to
`../../blobs`, is the one exception. Pickles are never read.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from model.checkpoint import ModelError, check_safetensors, read_header
from model.families.errors import FamilyError

INDEX = "model.safetensors.index.json"
SINGLE = "model.safetensors"
_PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt")


@dataclass(frozen=True)
class Stored:
    """Where a tensor is and what its header says."""

    file: Path
    dtype: str
    shape: tuple[int, ...]


@dataclass(frozen=True)
class Shards:
    folder: Path
    tensors: Mapping[str, Stored]

    @property
    def bytes(self) -> int:
        return sum(file.stat().st_size for file in {each.file for each in self.tensors.values()})


def open_shards(folder: Path) -> Shards:
    """Raises FamilyError where a file is missing, cut short, outside of the folder, or a pickle."""
    files = _listed(folder)
    tensors: dict[str, Stored] = {}
    for name in sorted(files):
        path = _inside(folder, name)
        try:
            check_safetensors(path)
        except ModelError as error:
            raise FamilyError(str(error)) from error
        _, header = read_header(path)
        for tensor, info in header.items():
            tensors[tensor] = Stored(path, str(info["dtype"]), tuple(info["shape"]))
        if lost := sorted(files[name] - set(header)):
            raise FamilyError(
                f"{folder / INDEX} says that {name} holds {', '.join(lost[:3])}, which it does not; "
                "the files belong to different models: fetch them again"
            )
    return Shards(folder, tensors)


def _listed(folder: Path) -> dict[str, set[str]]:
    """The names of the files, and what the index says that they hold."""
    if (folder / SINGLE).exists():
        return {SINGLE: set()}
    index = folder / INDEX
    if not index.exists():
        raise FamilyError(_nothing(folder))
    try:
        placed = json.loads(index.read_text("utf-8"))["weight_map"].items()
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise FamilyError(f"{index} is no index of shards ({error!r}); fetch the model again") from error
    files: dict[str, set[str]] = {}
    for tensor, name in placed:
        files.setdefault(str(name), set()).add(tensor)
    for name in files:
        if Path(name).name != name or not name.endswith(".safetensors"):
            raise FamilyError(
                f"{index} names {name!r}, which is no safetensors file of its folder; do not trust this model"
            )
    if missing := [name for name in sorted(files) if not (folder / name).exists()]:
        raise FamilyError(
            f"{folder} lacks {', '.join(missing[:3])}: {len(missing)} of the {len(files)} files that "
            f"{INDEX} names are missing; fetch the model again"
        )
    return files


def _inside(folder: Path, name: str) -> Path:
    path, root = folder / name, folder.resolve()
    target = path.resolve()
    blobs = root.parents[1] / "blobs" if root.parent.name == "snapshots" else None
    if target.parent not in (root, blobs):
        raise FamilyError(
            f"{path} is a link to {target}, outside of its folder; copy the file into the folder if you trust it"
        )
    return path


def _nothing(folder: Path) -> str:
    if pickles := sorted(p.name for pattern in _PICKLES for p in folder.glob(pattern)):
        return (
            f"{folder} holds pickled weights only ({', '.join(pickles)}), and loading a pickle runs its code; "
            "convert them to safetensors first"
        )
    return f"{folder} has no {SINGLE} and no index of shards; fetch the model again"
