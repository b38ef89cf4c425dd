"""From a training state to a checkpoint folder: int8 weights, ONNX graph, thresholds, figures, model card."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from safetensors.torch import save_file

from model.backends.load_torch import load_torch
from model.backends.onnx import OnnxBackend
from model.checkpoint import Decoding, open_checkpoint, write_config
from model.engine import DiffusionEngine
from model.eval.agreement import agreement
from model.eval.benchmark import scores
from model.eval.cases import broken_functions
from model.eval.corpus import HOLES, Draw, cases, changes, groups, solve
from model.eval.holes import completions
from model.export import export_onnx
from model.loading import load_engine
from model.quantize import quantize
from model.tokenizer import Tokenizer
from model.train.calibrate import calibrate
from model.train.card import Figures, card
from model.train.corpus import SourceFile, calibration_and_report
from model.train.recipes import Recipe
from model.train.refactorings.pairs import read_pairs
from model.train.state import RunState

Costs = dict[str, dict[str, float]]


_SHORT_BLOCK = 4
"""Tokens of a fill that a small network decodes together: it is sure of few, and no worse for seeing four (LOG.md)."""


@dataclass(frozen=True)
class Trained:
    """What a run has learned and took: the last stage's state, the first entry of its log, the costs by stage, and
    the weights it started from, in words (empty: from nothing)."""

    recipe: Recipe
    state: RunState
    first_entry: dict[str, object]
    costs: Costs
    started_from: str = ""

    def facts(self) -> dict[str, Any]:
        """For the checkpoint's config and card."""
        last = self.state.history[-1] if self.state.history else {}
        return {
            "parameters": self.recipe.model.parameters,
            "started_from": self.started_from,
            "stages": self.costs,
            "positions_seen": sum(c["positions"] for c in self.costs.values()),
            "steps": sum(c["steps"] for c in self.costs.values()),
            "seconds": sum(c["seconds"] for c in self.costs.values()),
            "first_loss": _losses(self.first_entry),
            "last_loss": _losses(last),
            "loss_by_task_and_level": last.get("groups", {}),
        }


def package(trained: Trained, tokenizer: Tokenizer, folder: Path, corpus: Path) -> None:
    """Write weights, graph, tokenizer, uncalibrated config and card into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    recipe, limits = trained.recipe, trained.recipe.limits
    decoding = Decoding(
        fill_limit=limits.middle,
        prefix=int(limits.prefix * 1.5),
        suffix=limits.suffix,
        sections=limits.sections,
        fill_block=_SHORT_BLOCK if recipe.model.is_small else 0,
    )
    save_file(quantize(trained.state.network), folder / "model.safetensors")
    export_onnx(recipe.model, folder / "model.safetensors", folder / "graph.onnx")
    tokenizer.save(folder / "tokenizer.json")
    facts = trained.facts()
    write_config(folder, recipe.model, decoding, facts)
    write_card(folder, recipe, decoding, facts, corpus)


def calibrate_and_report(
    folder: Path, trained: Trained, corpus: Path, files: Sequence[SourceFile], count: int
) -> dict[str, Any]:
    """Choose thresholds on some held-out projects, report on the others; rewrites config and card."""
    checkpoint = open_checkpoint(folder)
    tokenizer = checkpoint.tokenizer()
    network = OnnxBackend(checkpoint)
    calibration, report = calibration_and_report(files)
    pairs = read_pairs(corpus, "heldout")
    facts, recipe = trained.facts(), trained.recipe
    taught = recipe.emphasis.refactorings
    decoding = calibrate(
        network, tokenizer, checkpoint.decoding, calibration, max(8, count // 4), pairs, taught
    )
    facts["report_projects"] = sorted({f.project for f in report})
    shown = replace(decoding, min_confidence=0.0)
    holes, broken = completions(report, 100, seed=7), broken_functions(report, 100, seed=7)
    facts["heldout"] = _figures(
        DiffusionEngine(network, tokenizer, shown), report, count, {**HOLES, **changes(pairs, taught)}
    )
    for mode in ("autoregressive", "prompt-lookup"):
        engine = DiffusionEngine(network, tokenizer, shown, mode)
        draws = {"fill": completions, "fix": broken_functions}
        found = _figures(engine, report, min(count, 100), draws)
        facts["heldout"] |= {f"{task}, {mode}": found[task] for task in draws}
    reference = load_torch(checkpoint, "cpu")
    facts["agreement"] = {
        task: asdict(agreement(network, reference, tokenizer, decoding, cases))
        for task, cases in (("fill", holes), ("fix", broken))
    }
    overall = {group: figures for group, figures in facts["heldout"].items() if ":" not in group}
    write_config(folder, recipe.model, decoding, {**facts, "heldout": overall})  # the card has every kind
    write_card(folder, recipe, decoding, facts, corpus)
    return facts


def _figures(
    engine: DiffusionEngine, files: Sequence[SourceFile], count: int, draws: dict[str, Draw]
) -> dict[str, Figures]:
    """By group: each metric's value, its interval and the number of cases."""
    results = [solve(engine, task, case) for task, case in cases(files, count, 7, draws)]
    return {
        group: {name: asdict(metric) for name, metric in scores(each).items()}
        for group, each in groups(results).items()
    }


def write_card(folder: Path, recipe: Recipe, decoding: Decoding, facts: dict[str, Any], corpus: Path) -> None:
    """Write the model card, and check that what was written can be loaded."""
    manifest = json.loads((corpus / "manifest.json").read_text("utf-8"))
    (folder / "README.md").write_text(card(recipe, decoding, facts, manifest), "utf-8")
    load_engine(str(folder))


def _losses(entry: dict[str, object]) -> dict[str, object]:
    return {k: entry[k] for k in ("loss_causal", "loss_diffusion") if k in entry}
