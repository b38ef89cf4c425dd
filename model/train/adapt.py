"""Where `redraft train adapt` begins: a foreign autoregressive checkpoint, or the run's own state.

    redraft train adapt --from FOLDER --corpus corpus --out runs/adapt

The run keeps the tokenizer and, in its state, the model's config: once it has a state, the foreign folder is not
needed again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from model.config import ModelConfig
from model.export import require_exportable
from model.families.llama import open_folder, read_weights
from model.train.recipes import Recipe, adapted
from model.train.state import load_recipe


@dataclass(frozen=True)
class Start:
    """`weights` is None where a state is continued."""

    recipe: Recipe
    weights: Mapping[str, torch.Tensor] | None


def begin(foreign: Path | None, out: Path) -> Start:
    """Raises ValueError or OSError where the folder cannot be adapted, ResumeError for a damaged state.

    Writes the tokenizer into `out`."""
    state = out / "pretraining" / "state.pt"
    if state.exists():
        model: Any = load_recipe(state)["model"]
        return Start(adapted(ModelConfig.from_json(model)), None)
    if foreign is None:
        raise ValueError("`adapt` needs a foreign checkpoint's folder: --from FOLDER")
    config, tokenizer = open_folder(foreign)
    require_exportable(config)
    recipe = adapted(config)
    weights = read_weights(foreign, config, tokenizer, recipe.seed)
    out.mkdir(parents=True, exist_ok=True)
    tokenizer.save(out / "tokenizer.json")
    return Start(recipe, weights)
