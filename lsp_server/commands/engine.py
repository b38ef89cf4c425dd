"""Which engine a subcommand uses: the options for it, and loading it. Imports the engine only when it is
loaded."""

from __future__ import annotations

import argparse
import logging
from functools import partial

from lsp_server.jobs import Load, Report
from lsp_server.settings import EngineOptions
from model.request import Engine

logger = logging.getLogger(__name__)


class UsageError(Exception):
    """A subcommand cannot do what was asked; the message says why and what to do."""


def add_engine_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--model",
        default="",
        help="a model's folder, or its name in `redraft models list` (default: what `redraft models use` chose, or "
        "the one in the box)",
    )
    parser.add_argument("--backend", default="auto", choices=["auto", "onnx", "torch"])
    parser.add_argument("--device", default="auto", help="cpu, cuda, ... (default: %(default)s)")
    parser.add_argument(
        "--threads",
        type=count,
        default=0,
        metavar="N",
        help="CPU threads (default: the back end's choice)",
    )
    # For tests of clients: `--engine fake:steps=5,gate` uses model.fake instead of a network.
    parser.add_argument("--engine", default="", help=argparse.SUPPRESS)


def positive(text: str) -> int:
    if not (text.isdecimal() and int(text)):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1")
    return int(text)


def count(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 0")
    return int(text)


def options_of(arguments: argparse.Namespace) -> EngineOptions:
    return EngineOptions(arguments.model, arguments.backend, arguments.device, arguments.threads)


def loader(arguments: argparse.Namespace) -> Load:
    """How to load the engine. Raises UsageError for one that does not exist."""
    kind, _, script = arguments.engine.partition(":")
    if kind not in ("", "fake"):
        raise UsageError(f"There is no engine {kind!r}; only fake can be chosen, for tests.")
    return partial(_load_fake, script) if kind == "fake" else _load


def load(arguments: argparse.Namespace) -> Engine:
    """The engine, now. Raises UsageError with the reason if it cannot be loaded."""
    try:
        return loader(arguments)(options_of(arguments), lambda what, done: None)
    except Exception as error:
        raise UsageError(
            f"The model could not be loaded: {error}. Check --model, or run `redraft doctor`."
        ) from error


def _load(options: EngineOptions, report: Report) -> Engine:
    from model.loading import load_engine
    from model.shelf import choose

    choice = choose(options.model)
    if choice.lost:
        logger.warning("%s", choice.lost)
    return load_engine(
        model=str(choice.folder),
        backend=options.backend,
        device=options.device,
        threads=options.threads or None,
        progress=report,
    )


def _load_fake(script: str, options: EngineOptions, report: Report) -> Engine:
    from model import fake

    report("Loading the fake engine.", 0.5)
    return fake.load(script)
