"""`redraft eval`: how good a model is on public benchmarks and on held-out projects.

redraft eval infill --data single_line.jsonl --limit 200 --policy threshold:0.9 --json figures.json
redraft eval corpus --data runs/tiny/corpus --limit 200
redraft eval confidence --data runs/tiny/corpus --plot confidence.png
redraft eval program --data humaneval.jsonl --twin runs/twin/checkpoint --pareto curve
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from model.choices import described
from model.engine import DiffusionEngine, ModelError
from model.eval import benchmark, corpus, sandbox
from model.eval.benchmark import Result
from model.eval.problems import FORMATS, Problems, read
from model.eval.report import Report, write_answers, write_json
from model.loading import load_stepped

if TYPE_CHECKING:
    from model.train.corpus import SourceFile

_CASES = 200


@dataclass(frozen=True)
class Measurement:
    """What is measured again and again with other engines: `results` answers everything with one of them."""

    results: Callable[[DiffusionEngine], list[Result]]
    problems: Problems | None = None
    failing: Sequence[str] = ()


def main(argv: Sequence[str]) -> int:
    arguments = _parser().parse_args(argv)
    try:
        if arguments.limit is not None and arguments.limit < 1:
            raise ValueError("--limit must be at least 1")
        return _evaluate(arguments)
    except (ModelError, OSError, ValueError, sandbox.SandboxError) as error:
        print(f"redraft eval: {error}", file=sys.stderr)
        return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="redraft eval", description="Measure a model on benchmarks and on held-out projects."
    )
    parser.add_argument("task", choices=[*FORMATS, "corpus", "confidence"])
    parser.add_argument(
        "--data", type=Path, required=True,
        help="a JSONL file with the benchmark's own fields; else a folder made by `redraft train corpus`",
    )  # fmt: skip
    parser.add_argument("--model", help="a model's folder or name (default: the embedded model)")
    parser.add_argument("--backend", default="auto", help="auto, onnx or torch")
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda")
    parser.add_argument("--limit", type=int, help=f"problems at most (corpus: cases a task, {_CASES})")
    parser.add_argument("--policy", default="default", help=f"how to decode: {described()}")
    parser.add_argument("--seed", type=int, default=7, help="of drawn cases and of the bootstrap")
    parser.add_argument("--packages", action="store_true", help="programs may import what is installed here")
    parser.add_argument(
        "--seconds",
        type=float,
        default=10.0,
        help="CPU time of each program under test; three times that on the clock",
    )
    parser.add_argument(
        "--answers", type=Path, metavar="FILE", help="write every answer there, one JSON a line"
    )
    parser.add_argument(
        "--json", nargs="?", const="-", metavar="OUT", help="write one JSON object (no OUT: stdout)"
    )
    parser.add_argument("--plot", type=Path, metavar="FILE.png", help="for `confidence`: draw it")
    parser.add_argument("--pareto", metavar="PREFIX", help="sweep policies; write PREFIX.png, .md and .json")
    parser.add_argument(
        "--twin", metavar="FOLDER", help="for --pareto: an autoregressive checkpoint beside it"
    )
    return parser


def _evaluate(arguments: argparse.Namespace) -> int:
    loaded = load(arguments.model, arguments.backend, arguments.device)
    has_edits = arguments.task in ("repair", "edit")
    engine = loaded.styled(arguments.policy, has_edits)  # a wrong policy is told before anything runs
    if arguments.task == "confidence":
        return _confidence(arguments, engine)
    if arguments.pareto:
        from model.eval import pareto

        twin = load(arguments.twin, arguments.backend, arguments.device) if arguments.twin else None
        measurement = _measurement(arguments, holes_only=True)
        curve = pareto.sweep(loaded, twin, measurement.results, has_edits, arguments.seed)
        pareto.write(curve, arguments.pareto, f"{arguments.task}, {arguments.data.name}")
        print(pareto.table(curve))
        return 0
    measurement = _measurement(arguments)
    results = measurement.results(engine)
    groups = (
        {name: benchmark.scores(each, arguments.seed) for name, each in corpus.groups(results).items()}
        if arguments.task == "corpus"
        else benchmark.by_kind(results, arguments.seed)
    )
    report = Report(
        arguments.task, arguments.data.name, engine.description, arguments.policy, arguments.seed, len(results),
        groups, measurement.problems.skipped if measurement.problems else {}, measurement.failing,
        sandbox.protections() if measurement.problems else (),
    )  # fmt: skip
    if arguments.answers:
        write_answers(results, arguments.answers)
    if arguments.json:
        write_json(report.as_json(), arguments.json)
    if arguments.json != "-":
        print(report.as_table())
    return 0


def _confidence(arguments: argparse.Namespace, engine: DiffusionEngine) -> int:
    from model.eval import confidence
    from model.eval.holes import completions

    cases = completions(_heldout(arguments.data), arguments.limit or _CASES, arguments.seed)
    with _progress("answering", len(cases)) as advance:
        found = [outcome for case in cases for outcome in advance(confidence.outcomes(engine, [case]))]
    figures = confidence.reliability(found, len(cases), engine.reader.decoding.min_confidence)
    if arguments.plot:
        confidence.draw(figures, arguments.plot)
    if arguments.json:
        write_json(figures.as_json(), arguments.json)
    if arguments.json != "-":
        print(figures.as_table())
    return 0


def load(model: str | None, backend: str, device: str) -> DiffusionEngine:
    """A model by name or folder, from which engines of any policy are made (`styled`); raises ModelError."""
    return load_stepped(model, backend, device=device)


def _measurement(arguments: argparse.Namespace, holes_only: bool = False) -> Measurement:
    """Read the data and, for benchmarks, run every problem's own solution."""
    if arguments.task == "corpus":
        return _on_corpus(arguments, holes_only)
    problems = read(arguments.data, arguments.task, arguments.limit)
    limits = sandbox.Limits(
        3 * arguments.seconds, max(1, ceil(arguments.seconds)), packages=arguments.packages
    )
    grade = benchmark.grader(limits)
    with _progress("running the solutions of", len(problems.usable)) as advance:
        usable, failing = benchmark.sound(problems.usable, lambda program: advance(grade(program)))
    if not usable:
        raise ValueError(
            f"no problem of {arguments.data} passes its own tests; needs it --packages or --seconds?"
        )

    def results(engine: DiffusionEngine) -> list[Result]:
        with _progress("answering", len(usable)) as advance:
            return [advance(benchmark.solve(engine, problem, grade)) for problem in usable]

    return Measurement(results, problems, failing)


def _on_corpus(arguments: argparse.Namespace, holes_only: bool) -> Measurement:
    from model.train.refactorings.pairs import read_pairs

    files = _heldout(arguments.data)
    changes = {} if holes_only else corpus.changes(read_pairs(arguments.data, "heldout"))
    draws = {**corpus.HOLES, **changes}
    cases = corpus.cases(files, arguments.limit or _CASES, arguments.seed, draws)

    def results(engine: DiffusionEngine) -> list[Result]:
        with _progress("answering", len(cases)) as advance:
            return [advance(corpus.solve(engine, task, case)) for task, case in cases]

    return Measurement(results)


def _heldout(folder: Path) -> list[SourceFile]:
    """The files of a corpus that neither training nor calibration has seen; raises ValueError without any."""
    from model.train.corpus import calibration_and_report, read_half

    files = calibration_and_report(read_half(folder, "heldout"))[1]
    if not files:
        raise ValueError(f"the corpus {folder} has no held-out projects")
    return files


@contextmanager
def _progress(what: str, total: int) -> Iterator[Callable[[Any], Any]]:
    """A line on stderr, where somebody watches: `advance(value)` counts one more and returns `value`."""
    done, is_watched = 0, sys.stderr.isatty()

    def advance(value: Any) -> Any:
        nonlocal done
        done += 1
        if is_watched:
            print(f"\r{what} {total} problems: {done}", end="", file=sys.stderr)
        return value

    yield advance
    if is_watched:
        print(file=sys.stderr)
