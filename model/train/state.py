"""A training run's state on disk: written whole or not at all, so a kill at any moment loses no checkpoint."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

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


def identity(recipe: Recipe, stage: str, corpus: str) -> dict[str, object]:
    """What must be equal for a state to be continued: the recipe as JSON keeps it, its stage, and the corpus's
    digest."""
    return {**json.loads(json.dumps(recipe.as_json())), "stage": stage, "corpus": corpus}


def save_state(path: Path, state: RunState) -> None:
    """Write beside `path`, flush to disk, rename: a reader sees the old state or the new one."""
    temporary = path.with_suffix(".tmp")
    with temporary.open("wb") as handle:
        torch.save(state.__dict__, handle)
        handle.flush()
        os.fsync(handle.fileno())
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
    differing = sorted(k for k in {*recipe, *state.recipe} if recipe.get(k) != state.recipe.get(k))
    if differing:
        raise ResumeError(
            f"{path} belongs to another recipe or corpus (different: {', '.join(differing)}); "
            "choose another --out folder"
        )
    return state


def load_weights(path: Path) -> dict[str, torch.Tensor]:
    """The weights of any recipe's state; raises ResumeError where the file is damaged."""
    try:
        data: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        return data["network"]
    except Exception as error:  # a damaged archive raises many types
        raise ResumeError(f"{path} is no training state ({type(error).__name__})") from error
