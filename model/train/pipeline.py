"""What `redraft train` does: corpus, vocabulary, training, packaging, measuring."""

from __future__ import annotations

import argparse
import gzip
import hashlib
import json
import random
import shutil
import sys
import time
from pathlib import Path
from typing import Any

import torch

from model.tokenizer import Tokenizer
from model.train.corpus import SourceFile, build_corpus, read_half
from model.train.loop import Schedule, Trainer
from model.train.package import calibrate_and_report, package
from model.train.recipes import RECIPES, Recipe
from model.train.refactorings.catalogue import MAKERS
from model.train.refactorings.linter import LinterMissingError
from model.train.refactorings.pairs import FILE_NAME, Pair, build_pairs, read_pairs
from model.train.state import ResumeError, RunState, identity, load_state
from model.train.vocabulary import train_tokenizer

_TOKENIZER_FILES = 5_000
_SHORTEST = 10.0


def run(arguments: argparse.Namespace) -> int:
    """Do what the arguments say; 0, or 2 with a message for a mistake that the user can mend."""
    try:
        if arguments.recipe == "corpus":
            facts = _gather(arguments, arguments.out or Path("corpus"), stdlib_only=False)
        elif arguments.recipe == "pairs":
            facts = _pair(arguments.corpus or Path("corpus"))
        else:
            facts = _train(arguments, RECIPES[arguments.recipe])
    except (ResumeError, LinterMissingError, FloatingPointError, FileNotFoundError, ValueError) as error:
        print(f"redraft train: {error}", file=sys.stderr)
        return 2
    print(json.dumps(facts) if arguments.json else _plain(facts))
    return 0


def _train(arguments: argparse.Namespace, recipe: Recipe) -> dict[str, Any]:
    began = time.monotonic()
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
        Schedule(arguments.steps or recipe.steps),
        _device(arguments.device),
        arguments.workers,
        corpus=_digest(corpus),
        pairs=_pairs(corpus),
    )
    if trainer.resume():
        _say(f"continuing from step {trainer.step}")
    evaluate: int = arguments.evaluate if read_half(corpus, "heldout") else 0
    if arguments.budget_seconds:
        left = arguments.budget_seconds - (time.monotonic() - began) - _time_to_measure(evaluate)
        if left < _SHORTEST:
            raise ValueError(
                f"--budget-seconds {arguments.budget_seconds:.0f} leaves no time to train; "
                "give more, or fewer cases with --evaluate"
            )
        trainer.schedule = Schedule(recipe.steps, trainer.seconds + left)
    trainer.fit()
    return finish(recipe, out, corpus, evaluate)


def _time_to_measure(cases: int) -> float:
    """Seconds to keep for packaging and measuring; two cores and `tiny` took about one for each case."""
    return 5 + 1.2 * cases


def _digest(corpus: Path) -> str:
    """What must be equal for a run to be continued: another corpus would give other rows."""
    digest = hashlib.sha256((corpus / "manifest.json").read_bytes())
    if (corpus / FILE_NAME).exists():
        digest.update(gzip.decompress((corpus / FILE_NAME).read_bytes()))
    return digest.hexdigest()[:16]


def finish(recipe: Recipe, out: Path, corpus: Path, evaluate: int) -> dict[str, Any]:
    """Package what a run has learned so far, with figures of `evaluate` held-out cases a task."""
    state: RunState = load_state(out / "state.pt", identity(recipe, _digest(corpus)))
    tokenizer = Tokenizer.load(out / "tokenizer.json")
    folder, fresh = out / "checkpoint", out / "checkpoint.new"
    shutil.rmtree(fresh, ignore_errors=True)
    package(state, recipe, tokenizer, fresh, corpus)
    shutil.rmtree(folder, ignore_errors=True)
    fresh.rename(folder)  # a kill before leaves the old checkpoint whole
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
    facts = {"corpus": str(out), "halves": manifest["halves"], "dropped_files": manifest["dropped_files"]}
    try:
        return facts | (_pair(out) if arguments.pairs else {})
    except LinterMissingError as error:
        _say(f"no refactoring pairs: {error}")
        return facts


def _pair(corpus: Path) -> dict[str, Any]:
    """Make the refactoring pairs of a corpus."""
    counts = build_pairs(corpus, MAKERS, say=_say)
    return {"pairs": {half: dict(each.most_common()) for half, each in counts.items()}}


def _pairs(corpus: Path) -> list[Pair]:
    pairs = read_pairs(corpus, "train")
    if not pairs:
        _say(f"{corpus / FILE_NAME} is missing or empty: refactorings come from the syntax tree alone")
    return pairs


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
