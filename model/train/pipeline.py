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
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

from model.checkpoint import ModelError, open_checkpoint
from model.quantize import dequantize
from model.tokenizer import Tokenizer
from model.train import ablations
from model.train.adapt import begin
from model.train.corpus import SourceFile, calibration_and_report, pack_corpus, read_half
from model.train.curriculum import Budget, Curriculum, spent
from model.train.data import PackedRows
from model.train.drawing import without_examples
from model.train.gather import build_corpus
from model.train.package import Trained, calibrate_and_report, package
from model.train.recipes import ADAPT, RECIPES, Pretraining, Recipe
from model.train.refactorings.catalogue import MAKERS
from model.train.refactorings.linter import LinterMissingError
from model.train.refactorings.pairs import FILE_NAME, Pair, build_pairs, read_pairs
from model.train.stages import Source
from model.train.state import ResumeError, RunState, identity, load_state, load_weights
from model.train.vocabulary import train_tokenizer
from model.train.world import join, leave
from model.transformer import Transformer

_TOKENIZER_FILES = 5_000
_SHORTEST = 10.0
_STARTED_FROM = "started-from"
"""A file in the run's folder that says whose weights it started from."""


def run(arguments: argparse.Namespace) -> int:
    """Do what the arguments say; 0, or 2 with a message for a mistake that the user can mend."""
    try:
        if arguments.recipe == "corpus":
            facts = _gather(arguments, arguments.out or Path("corpus"), stdlib_only=False)
        elif arguments.recipe == "pairs":
            facts = _pair(arguments.corpus or Path("corpus"))
        elif arguments.recipe == "pack":
            out = arguments.out or Path("packed")
            kept = pack_corpus(arguments.corpus or Path("corpus"), out, int(arguments.megabytes * 2**20))
            facts = {"corpus": str(out), **kept}
        elif arguments.recipe == "ablations":
            facts = _ablations(arguments)
        elif arguments.recipe == ADAPT:
            facts = _adapt(arguments)
        else:
            facts = _train(arguments, RECIPES[arguments.recipe])
    except (ResumeError, ModelError, LinterMissingError, FloatingPointError, OSError, ValueError) as error:
        print(f"redraft train: {error}", file=sys.stderr)
        return 2
    if facts:
        print(json.dumps(facts) if arguments.json else _plain(facts))
    return 0


def _adapt(arguments: argparse.Namespace) -> dict[str, Any]:
    """A run that has a state continues from it; another starts from the foreign folder's weights."""
    out: Path = arguments.out or Path("runs") / ADAPT
    start = begin(arguments.start, out)
    return _train(argparse.Namespace(**{**vars(arguments), "start": None}), start.recipe, start.weights)


def _train(
    arguments: argparse.Namespace, recipe: Recipe, weights: Mapping[str, torch.Tensor] | None = None
) -> dict[str, Any]:
    began = time.monotonic()
    out: Path = arguments.out or Path("runs") / recipe.name
    corpus: Path = arguments.corpus or out / "corpus"
    if arguments.package:
        return finish(recipe, out, corpus, arguments.evaluate, arguments.package)
    device = _device(arguments.device)
    world = join(device)
    if world.is_first:
        _prepare(arguments, recipe, out, corpus)
    world.wait()
    files, heldout = read_half(corpus, "train"), read_half(corpus, "heldout")
    weights = weights or _weights(arguments.start, recipe)
    tokenizer = Tokenizer.load(out / "tokenizer.json")
    pretraining = next(s for s in recipe.stages if isinstance(s, Pretraining))
    pairs = _pairs(corpus)
    if lacking := without_examples({pair.kind for pair in pairs}, recipe.emphasis.refactorings):
        _say(
            f"the corpus has no examples of {', '.join(lacking)}: not learned; `redraft train pairs` makes them"
        )
    source = Source(PackedRows(files, tokenizer, recipe, pretraining, pairs), arguments.workers)
    asked = calibration_and_report(heldout)[0] if heldout else files
    curriculum = Curriculum(
        recipe,
        source,
        Source(PackedRows(asked, tokenizer, recipe, pretraining, read_pairs(corpus, "heldout"))),
        out,
        device,
        _digest(corpus),
        weights,
        world,
    )
    evaluate: int = arguments.evaluate if heldout else 0
    budget = Budget(arguments.steps or recipe.steps, clean=arguments.clean_tokens)
    if arguments.budget_seconds:
        left = arguments.budget_seconds - (time.monotonic() - began) - _time_to_measure(evaluate)
        if left < _SHORTEST:
            raise ValueError(
                f"--budget-seconds {arguments.budget_seconds:.0f} leaves no time to train; "
                "give more, or fewer cases with --evaluate"
            )
        budget = Budget(recipe.steps, seconds=left)
    try:
        curriculum.run(budget)
    finally:
        leave()
    return finish(recipe, out, corpus, evaluate) if world.is_first else {}


def _ablations(arguments: argparse.Namespace) -> dict[str, Any]:
    out: Path = arguments.out or Path("runs/ablations")
    corpus: Path = arguments.corpus or Path("corpus")
    tokenizer = _tokenizer(out, read_half(corpus, "train"), RECIPES["nano"], None)
    clean = arguments.clean_tokens or 1_000_000
    return ablations.run(corpus, out, tokenizer, _device(arguments.device), clean, _digest(corpus))


def _weights(start: Path | None, recipe: Recipe) -> dict[str, torch.Tensor] | None:
    """Weights of a packaged checkpoint (int8) or of another run's state; raises ValueError where they do not fit."""
    if start is None:
        return None
    if start.is_file():
        found: dict[str, torch.Tensor] = load_weights(start)
    else:
        checkpoint = open_checkpoint(start)
        found = dequantize(load_file(checkpoint.weights), checkpoint.config)
    wanted = {k: v.shape for k, v in Transformer(recipe.model).state_dict().items()}
    if {k: v.shape for k, v in found.items()} != wanted:
        raise ValueError(
            f"the weights of {start} are not of the model {recipe.model.name!r}; choose another --from"
        )
    return found


def _prepare(arguments: argparse.Namespace, recipe: Recipe, out: Path, corpus: Path) -> None:
    """What is made once for all processes: the corpus, the vocabulary, a note of the weights to start from.

    Raises ValueError for a folder that holds a state already and is asked to start from other weights."""
    if not (corpus / "manifest.json").exists():
        _say(f"gathering a corpus in {corpus}")
        _gather(arguments, corpus, recipe.stdlib_only)
    if arguments.start is not None and any(out.glob("*/state.pt")):
        raise ValueError(
            f"{out} holds a run already; leave --from away to continue it, or choose another --out"
        )
    _tokenizer(out, read_half(corpus, "train"), recipe, arguments.start)
    if arguments.start is not None:
        (out / _STARTED_FROM).write_text(f"`{arguments.start.name}`", "utf-8")


def _time_to_measure(cases: int) -> float:
    """Seconds to keep for packaging and measuring; two cores and `tiny` took about one for each case."""
    return 5 + 1.2 * cases


def _digest(corpus: Path) -> str:
    """What must be equal for a run to be continued: another corpus would give other rows."""
    digest = hashlib.sha256((corpus / "manifest.json").read_bytes())
    if (corpus / FILE_NAME).exists():
        digest.update(gzip.decompress((corpus / FILE_NAME).read_bytes()))
    return digest.hexdigest()[:16]


def finish(
    recipe: Recipe, out: Path, corpus: Path, evaluate: int, until: str | None = None
) -> dict[str, Any]:
    """Package what a run has learned (`until`: a stage's name, the last one by default), with figures of
    `evaluate` held-out cases a task."""
    stages = [s.name for s in recipe.stages if (out / s.name / "state.pt").exists()]
    if not stages:
        raise FileNotFoundError(f"nothing is trained in {out}: run `redraft train {recipe.name} --out {out}`")
    stage = until or stages[-1]
    first, state = (
        load_state(out / s / "state.pt", identity(recipe, s, _digest(corpus))) for s in (stages[0], stage)
    )
    history = first.history or [{}]
    note = out / _STARTED_FROM
    trained = Trained(
        recipe, state, history[0], spent(recipe, out, stage), note.read_text() if note.exists() else ""
    )
    tokenizer = Tokenizer.load(out / "tokenizer.json")
    folder = out / ("checkpoint" if until is None else f"checkpoint-{until}")
    fresh = folder.with_suffix(".new")
    shutil.rmtree(fresh, ignore_errors=True)
    package(trained, tokenizer, fresh, corpus)
    shutil.rmtree(folder, ignore_errors=True)
    fresh.rename(folder)  # a kill before leaves the old checkpoint whole
    facts: dict[str, Any] = {"checkpoint": str(folder), "stages": trained.costs}
    for key in ("steps", "positions", "clean"):
        facts[key] = sum(cost[key] for cost in trained.costs.values())
    facts |= {f"{when}_loss": each.get("loss_causal") for when, each in _first_and_last(history, state)}
    heldout = read_half(corpus, "heldout")
    if evaluate and heldout:
        _say("calibrating and measuring on held-out projects")
        facts |= calibrate_and_report(folder, trained, corpus, heldout, evaluate)
    return facts


def _first_and_last(
    history: list[dict[str, object]], state: RunState
) -> tuple[tuple[str, dict[str, object]], ...]:
    return ("first", history[0]), ("last", state.history[-1] if state.history else {})


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


def _tokenizer(out: Path, files: list[SourceFile], recipe: Recipe, start: Path | None) -> Tokenizer:
    """The run's own, that of the weights it starts from, or a new one."""
    path = out / "tokenizer.json"
    out.mkdir(parents=True, exist_ok=True)
    if start is not None:
        folder = start if start.is_dir() else start.parent.parent
        Tokenizer.load(folder / "tokenizer.json").save(path)
    if path.exists():
        return Tokenizer.load(path)
    _say("learning the vocabulary")
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
