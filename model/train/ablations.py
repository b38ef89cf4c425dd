"""What each choice of the recipe is worth: `nano` trained on equally many clean tokens, one choice changed at a time.

    redraft train ablations --corpus corpus --clean-tokens 1000000

Held-out losses are printed for each variant, and the share of 128 held-out fixes and refactorings done exactly; the
autoregressive twin is one of them.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from model.tokenizer import Tokenizer
from model.train.corpus import read_half
from model.train.data import PackedRows
from model.train.loop import Schedule, Trainer
from model.train.policy_gradient import probe
from model.train.recipes import RECIPES, Pretraining, Recipe, Shares, curriculum
from model.train.report import flops_per_token
from model.train.stages import Source, stream
from model.train.validate import heldout_losses

_EDITS: Shares = (("fix", 0.5), ("refactor", 0.5))


def variants() -> dict[str, Recipe]:
    """Pre-training alone of `nano`, and one choice of it changed."""

    def changed(mask: float = 0.2, edit: float = 0.6, **values: Any) -> Recipe:
        phases = curriculum(mask, edit, 2)[:1]
        return replace(RECIPES["nano"], stages=phases, **values)

    plain = changed()
    return {
        "as it is": plain,
        "alpha 1.0": changed(alpha=1.0),
        "no autoregressive warm-up": changed(mask=0.0),
        "autoregressive for 40 %": changed(mask=0.4, edit=0.6),
        "edit tasks from the warm-up on": changed(edit=0.2),
        "no edit stage": changed(edit=2.0),
        "blocks of 32 only": changed(block_sizes=(32,)),
        "edit tasks from the warm-up on, labels not aligned": changed(edit=0.2, aligned=False),
        "autoregressive twin": plain.twin(),
    }


def run(
    corpus: Path, out: Path, tokenizer: Tokenizer, device: torch.device, clean: int, digest: str
) -> dict[str, Any]:
    """Train what is not yet trained, measure all; also written to `out/ablations.json`."""
    files, heldout = read_half(corpus, "train"), read_half(corpus, "heldout")
    found: dict[str, Any] = {}
    for name, recipe in variants().items():
        (stage,) = recipe.stages
        assert isinstance(stage, Pretraining)
        folder = out / name.replace(" ", "-").replace("%", "percent")
        fresh = PackedRows(heldout, tokenizer, recipe, stage).examples(_EDITS, np.random.default_rng(0))
        questions = [next(fresh) for _ in range(recipe.questions)]
        trainer = Trainer(recipe, stage, folder, Schedule(1, clean=clean), device, digest)
        trainer.resume()
        if trainer.progress() < 1:
            trainer.fit(stream(trainer, Source(PackedRows(files, tokenizer, recipe, stage))))
        found[name] = {
            "clean": trainer.clean,
            "positions": trainer.tokens,
            "seconds": round(trainer.seconds),
            "flops": trainer.tokens * flops_per_token(recipe),
            "heldout": heldout_losses(trainer, heldout, tokenizer),
            "edits right": probe(trainer.network, questions).right_changes,
        }
        (out / "ablations.json").write_text(json.dumps(found, indent=1), "utf-8")
    return found
