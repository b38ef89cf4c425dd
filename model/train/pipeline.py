"""What `redraft train` does: corpus, vocabulary, training, packaging, measuring."""

from __future__ import annotations

import argparse
import json
import random
import sys
from pathlib import Path
from typing import Any

import torch

from model.tokenizer import Tokenizer
from model.train.corpus import SourceFile, build_corpus, read_half
from model.train.loop import Schedule, Trainer
from model.train.package import calibrate_and_report, package
from model.train.recipes import RECIPES, Recipe
from model.train.state import ResumeError, RunState, load_state
from model.train.vocabulary import train_tokenizer

_TOKENIZER_FILES = 5_000


def run(arguments: argparse.Namespace) -> int:
    """Do what the arguments say; 0, or 2 with a message for a mistake that the user can mend."""
    try:
        if arguments.recipe == "corpus":
            facts = _gather(arguments, arguments.out or Path("corpus"), stdlib_only=False)
        else:
            facts = _train(arguments, RECIPES[arguments.recipe])
    except (ResumeError, FloatingPointError, FileNotFoundError, ValueError) as error:
        print(f"redraft train: {error}", file=sys.stderr)
        return 2
    print(json.dumps(facts) if arguments.json else _plain(facts))
    return 0


def _train(arguments: argparse.Namespace, recipe: Recipe) -> dict[str, Any]:
    out: Path = arguments.out or Path("runs") / recipe.name
    corpus: Path = arguments.corpus or out / "corpus"
    if not (corpus / "manifest.json").exists():
        _say(f"gathering a corpus in {corpus}")
        _gather(arguments, corpus, recipe.stdlib_only)
    files = read_half(corpus, "train")
    tokenizer = _tokenizer(out, files, recipe)
    trainer = Trainer(
        recipe,
        files,
        tokenizer,
        out,
        Schedule(arguments.steps or recipe.steps, arguments.budget_seconds),
        _device(arguments.device),
        arguments.workers,
    )
    if trainer.resume():
        _say(f"continuing from step {trainer.step}")
    trainer.fit()
    return finish(recipe, out, corpus, arguments.evaluate)


def finish(recipe: Recipe, out: Path, corpus: Path, evaluate: int) -> dict[str, Any]:
    """Package what a run has learned so far, with figures of `evaluate` held-out cases a task."""
    state: RunState = load_state(out / "state.pt", json.loads(json.dumps(recipe.as_json())))
    tokenizer = Tokenizer.load(out / "tokenizer.json")
    folder = out / "checkpoint"
    package(state, recipe, tokenizer, folder, corpus)
    facts: dict[str, Any] = {"checkpoint": str(folder), "steps": state.step, "positions_seen": state.tokens}
    if state.history:
        facts["first_loss"] = state.history[0]["loss_causal"]
        facts["last_loss"] = state.history[-1]["loss_causal"]
    heldout = read_half(corpus, "heldout")
    if evaluate and heldout:
        _say("calibrating and measuring on held-out projects")
        facts |= calibrate_and_report(folder, state, recipe, corpus, heldout, evaluate)
    return facts


def _gather(arguments: argparse.Namespace, out: Path, stdlib_only: bool) -> dict[str, Any]:
    sites = [] if stdlib_only and arguments.site is None else arguments.site
    manifest = build_corpus(out, arguments.directory, sites, arguments.benchmark).as_json()
    return {"corpus": str(out), "halves": manifest["halves"], "dropped_files": manifest["dropped_files"]}


def _tokenizer(out: Path, files: list[SourceFile], recipe: Recipe) -> Tokenizer:
    path = out / "tokenizer.json"
    if path.exists():
        return Tokenizer.load(path)
    _say("learning the vocabulary")
    out.mkdir(parents=True, exist_ok=True)
    chosen = random.Random(recipe.seed).sample(files, min(len(files), _TOKENIZER_FILES))
    tokenizer = train_tokenizer((f.text for f in chosen), recipe.model.vocab)
    tokenizer.save(path)
    return tokenizer


def _device(name: str) -> torch.device:
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name.startswith("cuda") and not torch.cuda.is_available():
        raise ValueError("there is no CUDA device here; use --device cpu")
    return torch.device(name)


def _plain(facts: dict[str, Any]) -> str:
    return "\n".join(f"{key}: {value}" for key, value in facts.items())


def _say(message: str) -> None:
    print(message, file=sys.stderr, flush=True)
