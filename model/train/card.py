"""The model card: what a checkpoint was trained on, for how long, and how good it is, in Markdown."""

from __future__ import annotations

from typing import Any

from model.checkpoint import Decoding
from model.train.recipes import ADAPT, Recipe

Figures = dict[str, dict[str, Any]]
"""Metric name -> value, low, high and n."""
_PERCENT = ("exact match", "offered")


def card(recipe: Recipe, decoding: Decoding, facts: dict[str, Any], manifest: dict[str, Any]) -> str:
    """The model card, in Markdown."""
    halves, licences = manifest["halves"], manifest["characters_by_licence"]
    lines = [
        f"# Model card: redraft-{recipe.model.name}",
        "",
        f"A tri-mode diffusion transformer for code, {facts['parameters'] / 1e6:.2f} million weights, stored as int8",
        f"rows (`model.safetensors`), with its ONNX graph, tokenizer ({recipe.model.vocab} ids) and thresholds.",
        "Made by `redraft train " + recipe.name + "` in this repository; " + _licence(recipe) + ".",
        "",
        "## Training",
        "",
        f"- {facts['positions_seen'] / 1e6:.1f} million positions (clean and noisy) in {facts['steps']} steps, "
        f"{facts['seconds'] / 60:.0f} minutes"
        + (f", from the weights of {facts['started_from']}" if facts.get("started_from") else ""),
        *(
            f"- {stage}: {c['positions'] / 1e6:.2f} M positions, {c['clean'] / 1e6:.2f} M of them clean, "
            f"{c['seconds'] / 60:.0f} minutes, {c['flops'] / 1e12:.1f} TFLOP"
            for stage, c in facts["stages"].items()
        ),
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
    heldout: dict[str, Figures] = facts["heldout"]
    worse = sum(
        round(f["more syntax errors than before"]["value"] * f["more syntax errors than before"]["n"])
        for group, f in heldout.items()
        if ":" not in group and "more syntax errors than before" in f
    )
    return [
        "## On held-out projects",
        "",
        f"Thresholds (chosen on the other held-out projects): mask {decoding.tau_mask}, fix {decoding.tau_edit}, "
        f"refactor {_refactor_thresholds(decoding)}, "
        f"shown unasked from confidence {decoding.min_confidence}. "
        f"Figures are of {', '.join(facts['report_projects'])}; "
        "*exact* for `intact` and `needless` means left alone; in brackets 95 % bootstrap intervals.",
        "",
        "| task | cases | exact | offered | forwards, median | tokens per forward | ms, median |",
        "|---|---|---|---|---|---|---|",
        *(_row(group, figures) for group, figures in heldout.items()),
        "",
        f"Offered edits with more syntax errors than their input: {worse}",
        "",
        "Refactorings it is offered for: "
        + ("; ".join(each.phrasings[0] for each in decoding.instructions) or "any instruction"),
        "",
        "ONNX Runtime against PyTorch on the same int8 weights (committed tokens; whole answers): "
        + "; ".join(
            f"{task} {a['tokens']:.1%}, {a['answers']:.1%} (n={a['requests']})"
            for task, a in facts["agreement"].items()
        ),
        "",
    ]


def _refactor_thresholds(decoding: Decoding) -> str:
    """One for each known refactoring, in their order below; else the common one."""
    return " / ".join(str(each.tau) for each in decoding.instructions) or str(decoding.tau_refactor)


def _row(group: str, figures: Figures) -> str:
    exact, offered = figures["exact match"], figures["offered"]
    forwards = figures.get("forwards per fill, median") or figures.get("forwards per edit, median")
    # Tokens per forward say nothing of edits: copied tokens would flatter.
    rate = figures.get("tokens per forward") if group.startswith("fill") else None
    cells = [
        group,
        str(exact["n"]),
        f"{exact['value']:.1%} [{exact['low']:.1%}, {exact['high']:.1%}]",
        f"{offered['value']:.1%}",
        f"{forwards['value']:.0f}" if forwards else "",
        f"{rate['value']:.2f}" if rate else "",
        f"{figures['milliseconds, p50']['value']:.0f}" if "milliseconds, p50" in figures else "",
    ]
    return "| " + " | ".join(cells) + " |"
