"""`redraft eval`: figures of a checkpoint on the held-out half of a corpus.

redraft eval --corpus runs/tiny/corpus --limit 200
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from model.engine import ModelError, load_engine
from model.eval.heldout import Score, evaluate
from model.train.corpus import calibration_and_report, read_half


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="redraft eval", description="Measure a model on held-out projects.")
    parser.add_argument("--corpus", type=Path, required=True, help="a folder made by `redraft train corpus`")
    parser.add_argument("--model", help="checkpoint folder (default: the embedded model)")
    parser.add_argument("--backend", default="auto", help="auto, onnx or torch")
    parser.add_argument("--mode", default="diffusion", choices=["diffusion", "autoregressive", "speculative"])
    parser.add_argument("--limit", type=int, default=200, help="cases a task")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    arguments = parser.parse_args(argv)
    try:
        engine = load_engine(arguments.model, arguments.backend, mode=arguments.mode)
        files = read_half(arguments.corpus, "heldout")
        if not files:
            raise ValueError(f"the corpus {arguments.corpus} has no held-out projects")
        figures = evaluate(engine, calibration_and_report(files)[1], arguments.limit, arguments.seed)
    except (ModelError, OSError, ValueError) as error:
        print(f"redraft eval: {error}", file=sys.stderr)
        return 2
    if arguments.json:
        print(json.dumps(figures))
        return 0
    print(engine.description)
    for task, kinds in figures.items():
        for kind, values in kinds.items():
            print(f"{task:9} {kind:18} {Score(**values)}")
    return 0
