"""A training run's state on disk: written whole or not at all, so a kill at any moment loses no checkpoint."""

from __future__ import annotations

import json
import os
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from typing import Any

import torch

from model.config import ModelConfig
from model.train.recipes import Recipe


class ResumeError(Exception):
    """The saved state cannot continue this run; says why and what to do."""


@dataclass
class RunState:
    """Everything a resumed run needs besides the corpus."""

    recipe: dict[str, object]
    step: int
    seconds: float
    tokens: int
    """Positions trained on, clean and noisy."""
    clean: int
    """Those of them that are clean: what an autoregressive twin must see as many of."""
    is_finished: bool
    network: dict[str, torch.Tensor]
    optimizers: list[dict[str, object]]
    history: list[dict[str, object]]
    processes: int = 1
    """How many wrote it; `optimizers` is the first one's part, the others have files of their own."""


def identity(recipe: Recipe, stage: str, corpus: str) -> dict[str, object]:
    """What must be equal for a state to be continued: the recipe as JSON keeps it, its stage, and the corpus's
    digest."""
    return {**json.loads(json.dumps(recipe.as_json())), "stage": stage, "corpus": corpus}


def save_state(path: Path, state: RunState) -> None:
    """Write beside `path`, flush to disk, rename: a reader sees the old state or the new one."""
    _write(path, state.__dict__)


def save_part(path: Path, rank: int, step: int, optimizers: list[dict[str, Any]]) -> None:
    """The optimiser states of one of several processes, beside the state of all."""
    _write(_part(path, rank, step), {"optimizers": optimizers})


def drop_parts(path: Path, rank: int, but: int) -> None:
    """Delete a process's parts of other steps than the state's."""
    for each in path.parent.glob(f"{path.stem}-{rank}-*{path.suffix}"):
        if each != _part(path, rank, but):
            each.unlink(missing_ok=True)


def load_part(path: Path, rank: int, step: int) -> list[dict[str, Any]]:
    """Raises ResumeError where it is missing or damaged."""
    part = _part(path, rank, step)
    try:
        data: dict[str, Any] = torch.load(part, map_location="cpu", weights_only=True)
        return data["optimizers"]
    except Exception as error:  # a damaged archive raises many types
        raise ResumeError(
            f"{part} cannot be read ({type(error).__name__}); start a new --out folder --from {path}"
        ) from error


def _part(path: Path, rank: int, step: int) -> Path:
    """Named by its step, so that the parts of the last whole state stay until the next one is."""
    return path.with_name(f"{path.stem}-{rank}-{step}{path.suffix}")


def _write(path: Path, value: object) -> None:
    temporary = path.with_suffix(".tmp")
    try:
        with temporary.open("wb") as handle:
            torch.save(value, handle)
            handle.flush()
            os.fsync(handle.fileno())
    except (OSError, RuntimeError) as error:  # torch's writer turns a full disk into RuntimeError
        temporary.unlink(missing_ok=True)
        raise OSError(
            f"{path} could not be saved ({error}); what was saved last is whole: free some disk, then run the "
            "same command again"
        ) from error
    temporary.replace(path)


def load_state(path: Path, recipe: dict[str, object]) -> RunState:
    """Read a state of the same recipe; raises ResumeError and touches nothing otherwise."""
    try:
        data: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        state = RunState(**data)
    except Exception as error:  # a damaged archive raises many types
        # Not the error's own words: torch advises to load untrusted pickles.
        raise ResumeError(
            f"{path} is damaged ({type(error).__name__}); move it away to start anew"
        ) from error
    found, wanted = _complete(state.recipe), _complete(recipe)
    differing = sorted(k for k in {*wanted, *found} if wanted.get(k) != found.get(k))
    if differing:
        raise ResumeError(
            f"{path} belongs to another recipe or corpus (different: {', '.join(differing)}); "
            "choose another --out folder"
        )
    return state


def _complete(recipe: dict[str, object]) -> dict[str, object]:
    """With defaults for fields of the model's that are younger than the state."""
    defaults = {f.name: f.default for f in fields(ModelConfig) if f.default is not MISSING}
    model = recipe.get("model")
    return {**recipe, "model": {**defaults, **model}} if isinstance(model, dict) else recipe


def load_weights(path: Path) -> dict[str, torch.Tensor]:
    """The weights of any recipe's state; raises ResumeError where the file is damaged."""
    return _part_of(path, "network")


def load_recipe(path: Path) -> dict[str, object]:
    """What a state says of its recipe; raises ResumeError where the file is damaged."""
    return _part_of(path, "recipe")


def _part_of(path: Path, name: str) -> Any:
    try:
        return torch.load(path, map_location="cpu", weights_only=True)[name]
    except Exception as error:  # a damaged archive raises many types
        raise ResumeError(f"{path} is no training state ({type(error).__name__})") from error
