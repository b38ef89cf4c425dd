"""`redraft train`: from nothing to a packaged checkpoint, or only the corpus.

redraft train nano                         a test model in about two minutes
redraft train tiny --budget-seconds 3600   an hour of CPU
redraft train adapt --from FOLDER          a foreign Llama or Qwen2 checkpoint becomes tri-mode
redraft train corpus --out corpus          only gather the corpus
redraft train pairs --corpus corpus        only make its refactoring pairs again
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from model.train.recipes import ADAPT, RECIPES


def main(argv: Sequence[str]) -> int:
    """Parse and run; 2 with a message where torch is missing or the user can mend a mistake."""
    parser = argparse.ArgumentParser(prog="redraft train", description="Train a model with a recipe.")
    add_arguments(parser)
    arguments = parser.parse_args(argv)
    try:
        from model.train.pipeline import run
    except ImportError as error:
        message = (
            f"redraft train: training needs the extra `train` ({error}); in a checkout run `make train`,"
        )
        message += f" otherwise {sys.executable} -m pip install 'redraft[train]'"
        print(message, file=sys.stderr)
        return 2
    return run(arguments)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "recipe",
        choices=[*RECIPES, ADAPT, "corpus", "pairs", "pack", "ablations"],
        help="what to train; `adapt` continues a foreign checkpoint (--from), `corpus` and `pairs` only make that, "
        "`pack` makes a corpus small enough to travel, `ablations` compares variants of `nano`",
    )
    parser.add_argument(
        "--out", type=Path, help="folder of the run (default runs/RECIPE; continues what is there)"
    )
    parser.add_argument(
        "--corpus", type=Path, help="folder of the corpus (default OUT/corpus; built if missing)"
    )
    parser.add_argument(
        "--directory", type=Path, action="append", default=[], help="a folder of sources to add"
    )
    parser.add_argument(
        "--site", type=Path, action="append", help="a site-packages folder to take (default: our own)"
    )
    parser.add_argument(
        "--benchmark", type=Path, action="append", default=[], help="JSON lines to keep out of it"
    )
    parser.add_argument(
        "--no-pairs", dest="pairs", action="store_false", help="gather a corpus without refactoring pairs"
    )
    parser.add_argument(
        "--megabytes", type=float, default=48.0, help="of `pack`: what the packed corpus may weigh"
    )
    parser.add_argument(
        "--budget-seconds",
        type=float,
        help="wall clock for everything: corpus, training, packaging, measuring",
    )
    parser.add_argument("--steps", type=int, help="steps instead of the recipe's")
    parser.add_argument(
        "--clean-tokens", type=int, help="end pre-training after so many, to equal another run"
    )
    parser.add_argument(
        "--from",
        dest="start",
        type=Path,
        metavar="PLACE",
        help="start from a checkpoint folder's weights or another run's state.pt (`adapt`: a Llama or Qwen2 folder); "
        "the optimisers warm up anew",
    )
    parser.add_argument(
        "--package",
        metavar="STAGE",
        help="train nothing: package a stage's weights (OUT/checkpoint-STAGE), to see what it changed",
    )
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda")
    parser.add_argument("--workers", type=int, default=0, help="processes that prepare batches")
    parser.add_argument(
        "--evaluate", type=int, default=200, metavar="N", help="held-out cases a task (0: none)"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object at the end")
