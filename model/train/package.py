"""From a training state to a checkpoint folder: int8 weights, ONNX graph, thresholds, figures, model card."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from safetensors.torch import save_file

from model.backends.load_torch import load_torch
from model.backends.onnx import OnnxBackend
from model.checkpoint import Decoding, open_checkpoint, write_config
from model.engine import DiffusionEngine, Mode, load_engine
from model.eval.agreement import agreement
from model.eval.cases import broken_functions
from model.eval.heldout import Score, evaluate, score
from model.eval.holes import completions
from model.export import export_onnx
from model.quantize import quantize
from model.tokenizer import Tokenizer
from model.train.calibrate import calibrate
from model.train.corpus import SourceFile, calibration_and_report
from model.train.recipes import ADAPT, Recipe
from model.train.refactorings.pairs import read_pairs
from model.train.state import RunState

Costs = dict[str, dict[str, float]]


def package(
    state: RunState, recipe: Recipe, tokenizer: Tokenizer, folder: Path, corpus: Path, costs: Costs
) -> None:
    """Write weights, graph, tokenizer, uncalibrated config and card into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    limits = recipe.limits
    decoding = Decoding(
        fill_limit=limits.middle,
        prefix=int(limits.prefix * 1.5),
        suffix=limits.suffix,
        sections=limits.suffix,
    )
    save_file(quantize(state.network), folder / "model.safetensors")
    export_onnx(recipe.model, folder / "model.safetensors", folder / "graph.onnx")
    tokenizer.save(folder / "tokenizer.json")
    facts = _facts(state, recipe, costs)
    write_config(folder, recipe.model, decoding, facts)
    write_card(folder, recipe, decoding, facts, corpus)


def calibrate_and_report(
    folder: Path,
    state: RunState,
    recipe: Recipe,
    corpus: Path,
    files: Sequence[SourceFile],
    count: int,
    costs: Costs,
) -> dict[str, Any]:
    """Choose thresholds on some held-out projects, report on the others; rewrites config and card."""
    checkpoint = open_checkpoint(folder)
    tokenizer = checkpoint.tokenizer()
    network = OnnxBackend(checkpoint)
    calibration, report = calibration_and_report(files)
    pairs = read_pairs(corpus, "heldout")
    decoding = calibrate(network, tokenizer, checkpoint.decoding, calibration, max(8, count // 4), pairs)
    facts = _facts(state, recipe, costs)
    facts["report_projects"] = sorted({f.project for f in report})
    shown = replace(decoding, min_confidence=0.0, instructions=())
    facts["heldout"] = evaluate(DiffusionEngine(network, tokenizer, shown), report, count)
    holes, broken = completions(report, count, seed=7), broken_functions(report, 100, seed=7)
    modes: tuple[Mode, ...] = ("autoregressive", "speculative")
    for mode in modes:
        engine = DiffusionEngine(network, tokenizer, shown, mode)
        for task, cases in (("infill", holes), ("fix", broken)):
            found = score(engine, cases)
            facts["heldout"][f"{task}, {mode}"] = {kind: asdict(each) for kind, each in found.items()}
    reference = load_torch(checkpoint, "cpu")
    facts["agreement"] = {
        task: asdict(agreement(network, reference, tokenizer, decoding, cases))
        for task, cases in (("infill", holes[:100]), ("fix", broken))
    }
    write_config(folder, recipe.model, decoding, facts)
    write_card(folder, recipe, decoding, facts, corpus)
    return facts


def write_card(folder: Path, recipe: Recipe, decoding: Decoding, facts: dict[str, Any], corpus: Path) -> None:
    """Write the model card, and check that what was written can be loaded."""
    manifest = json.loads((corpus / "manifest.json").read_text("utf-8"))
    (folder / "README.md").write_text(card(recipe, decoding, facts, manifest), "utf-8")
    load_engine(str(folder))


def _facts(state: RunState, recipe: Recipe, costs: Costs) -> dict[str, Any]:
    last = state.history[-1] if state.history else {}
    return {
        "parameters": recipe.model.parameters,
        "stages": costs,
        "positions_seen": sum(c["positions"] for c in costs.values()),
        "steps": sum(c["steps"] for c in costs.values()),
        "seconds": sum(c["seconds"] for c in costs.values()),
        "first_loss": _losses(state.history[0]) if state.history else {},
        "last_loss": _losses(last),
        "loss_by_task_and_level": last.get("groups", {}),
    }


def _losses(entry: dict[str, object]) -> dict[str, object]:
    return {k: entry[k] for k in ("loss_causal", "loss_diffusion") if k in entry}


def card(recipe: Recipe, decoding: Decoding, facts: dict[str, Any], manifest: dict[str, Any]) -> str:
    """The model card, in Markdown."""
    halves, licences = manifest["halves"], manifest["characters_by_licence"]
    lines = [
        f"# Model card: redraft-{recipe.name}",
        "",
        f"A tri-mode diffusion transformer for code, {facts['parameters'] / 1e6:.2f} million weights, stored as int8",
        f"rows (`model.safetensors`), with its ONNX graph, tokenizer ({recipe.model.vocab} ids) and thresholds.",
        "Made by `redraft train " + recipe.name + "` in this repository; " + _licence(recipe) + ".",
        "",
        "## Training",
        "",
        f"- {facts['positions_seen'] / 1e6:.1f} million positions (clean and noisy) in {facts['steps']} steps, "
        f"{facts['seconds'] / 60:.0f} minutes",
        f"- first losses {facts['first_loss']}, last {facts['last_loss']}",
        "- loss by task and noise level at the end: "
        + ", ".join(f"{k} {v}" for k, v in facts["loss_by_task_and_level"].items()),
        "",
        "## Corpus",
        "",
        "Python source of the standard library and of installed, permissively licensed packages; not shipped.",
        "",
        *(
            f"- {name}: {half['projects']} projects, {half['files']} files, {half['characters'] / 1e6:.1f} M characters"
            for name, half in halves.items()
        ),
        "- by licence: " + ", ".join(f"{k} {v / 1e6:.1f} M" for k, v in licences.items()),
        "- held out: " + ", ".join(k for k, v in manifest["projects"].items() if v["half"] == "heldout"),
        "",
        *(_measured(decoding, facts) if "heldout" in facts else ["Not measured on held-out projects.", ""]),
    ]
    return "\n".join(lines)


def _licence(recipe: Recipe) -> str:
    if recipe.name == ADAPT:
        return f"adapted from the checkpoint {recipe.model.name!r}, whose licence holds for it"
    return "licence Apache-2.0"


def _measured(decoding: Decoding, facts: dict[str, Any]) -> list[str]:
    heldout: dict[str, dict[str, dict[str, Any]]] = facts["heldout"]
    return [
        "## On held-out projects",
        "",
        f"Thresholds (chosen on the other held-out projects): mask {decoding.tau_mask}, fix {decoding.tau_edit}, "
        f"refactor {decoding.tau_refactor}, "
        f"shown unasked from confidence {decoding.min_confidence}. "
        f"Figures are of {', '.join(facts['report_projects'])}; "
        "*exact* for `intact` and `needless` means left alone.",
        "",
        "| task | cases | exact | offered | forwards | tokens per forward | ms, median |",
        "|---|---|---|---|---|---|---|",
        *_table(heldout),
        "",
        "An offered edit with more syntax errors than its input: "
        + str(sum(kinds["all"]["worse"] for kinds in heldout.values())),
        "",
        "ONNX Runtime against PyTorch on the same int8 weights (committed tokens; whole answers): "
        + "; ".join(
            f"{task} {a['tokens']:.1%}, {a['answers']:.1%} (n={a['requests']})"
            for task, a in facts["agreement"].items()
        ),
        "",
    ]


def _table(heldout: dict[str, dict[str, dict[str, Any]]]) -> list[str]:
    rows: list[str] = []
    for task, kinds in heldout.items():
        for kind, values in kinds.items():
            if kind == task:
                continue
            s = Score(**values)
            name = task if kind == "all" else f"{task}: {kind}"
            # Tokens per forward say nothing of edits: copied tokens would flatter.
            rate = f"{s.tokens_per_forward:.2f}" if task.startswith("infill") else ""
            rows.append(
                f"| {name} | {s.cases} | {s.exact:.1%} | {s.offered:.1%} | {s.forwards:.2f} "
                f"| {rate} | {s.milliseconds:.1f} |"
            )
    return rows
