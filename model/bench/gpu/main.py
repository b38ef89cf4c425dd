"""`redraft bench gpu`: forwards by batch, block and cache beside their floor, and tokens a second at a stated trace.

    redraft bench gpu --shape 8b --weights plain fp8 --json

The figures are of random weights. Tokens a second at a trace say what the machinery does, not what a trained model's
answers are worth: they are not comparable with figures of whole models, such as Seed Diffusion's 2,146 tokens/s.
`--rehearse` runs a small shape on the CPU, to try the program; its figures mean nothing.
"""

from __future__ import annotations

import argparse
import gc
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import asdict
from functools import partial
from pathlib import Path

import torch

from model.backends.device import choose_device
from model.backends.products import KINDS, Kind
from model.bench.gpu.autoregressive import autoregressive
from model.bench.gpu.commits import Commits, constant, read_commits
from model.bench.gpu.forward import ForwardFigures, Machine, measure_forwards, measure_machine
from model.bench.gpu.gemma import diffusion_gemma
from model.bench.gpu.shapes import SHAPES, random_backend, random_network
from model.bench.gpu.trace import TraceFigures, ours, plain_blocks, plain_whole
from model.checkpoint import ModelError


def main(argv: Sequence[str]) -> int:
    arguments = _parser().parse_args(argv)
    if arguments.rehearse:
        print("redraft bench gpu: a rehearsal on the CPU; its figures mean nothing", file=sys.stderr)
        arguments.shape, arguments.batches, arguments.blocks, arguments.caches = ["nano"], [1, 2], [32], [64]
        arguments.tokens, arguments.count, arguments.trace_cache = 64, 2, 64
        arguments.committed = arguments.committed[:1]
    device = torch.device("cpu") if arguments.rehearse else _gpu()
    if device is None:
        print(
            "redraft bench gpu: there is no GPU here; --rehearse tries the program on the CPU",
            file=sys.stderr,
        )
        return 2
    try:
        arguments.traces = [constant(committed, 32) for committed in arguments.committed]
        arguments.traces += [read_commits(path) for path in arguments.trace]
    except ValueError as error:
        print(f"redraft bench gpu: {error}", file=sys.stderr)
        return 2
    with torch.cuda.device(device) if device.type == "cuda" else nullcontext():  # whose clock is read
        _measure(device, arguments)
    return 0


def _measure(device: torch.device, arguments: argparse.Namespace) -> None:
    machine = measure_machine(device)
    _say(arguments.json, "machine", machine)
    for name in arguments.shape:
        for figures in _shape(name, device, machine, arguments):
            _say(arguments.json, "forward" if isinstance(figures, ForwardFigures) else "trace", figures)
    if arguments.peers:
        gemma = partial(
            diffusion_gemma, device, arguments.trace_cache, arguments.tokens, device.type != "cuda"
        )
        for figures in _peer(gemma):
            _say(arguments.json, "trace", figures)


def _gpu() -> torch.device | None:
    try:
        device = choose_device("auto")
    except ModelError as error:
        print(f"redraft bench gpu: {error}", file=sys.stderr)
        return None
    return device if device.type == "cuda" else None


def _shape(
    name: str, device: torch.device, machine: Machine, arguments: argparse.Namespace
) -> Iterator[ForwardFigures | TraceFigures]:
    """All figures of one shape, one network in memory at a time."""
    config, cache, tokens = SHAPES[name], arguments.trace_cache, arguments.tokens
    traces: list[Commits] = arguments.traces
    kinds: list[Kind] = arguments.weights
    for kind in kinds:
        backend = random_backend(config, device, kind)
        yield from measure_forwards(
            backend, kind, machine, arguments.batches, arguments.blocks, arguments.caches, arguments.count
        )
        for commits in traces:
            whole = -(-tokens // commits.size) * commits.size
            for batch in arguments.batches:
                yield ours(backend, kind, batch, cache, commits, whole)
        del backend
        _free(device)
    if not arguments.peers:
        return
    dtype = torch.bfloat16 if device.type == "cuda" else torch.float32
    network = random_network(config, device, dtype)
    for commits in traces:
        whole = -(-tokens // commits.size) * commits.size
        yield plain_blocks(network, cache, commits, whole)
        yield plain_whole(network, cache, commits, whole)
    del network
    _free(device)
    if config.experts is None:
        yield from _peer(partial(autoregressive, config, device, cache, tokens, device.type == "cuda"))
        _free(device)


def _peer(measure: Callable[[], TraceFigures]) -> Iterator[TraceFigures]:
    """One of `transformers`; none where that cannot be run, which is said: the other figures do not depend on it."""
    try:
        yield measure()
    except (ImportError, RuntimeError, AttributeError, TypeError, ValueError) as error:
        first = (str(error).splitlines() or [type(error).__name__])[0]
        print(f"redraft bench gpu: no peer of transformers: {first}", file=sys.stderr)


def _free(device: torch.device) -> None:
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()


def _say(as_json: bool, kind: str, figures: Machine | ForwardFigures | TraceFigures) -> None:
    """At once: a run may be cut short."""
    if as_json:
        extra = {
            name: getattr(figures, name)
            for name in ("of", "ratio", "tokens_per_second")
            if hasattr(figures, name)
        }
        print(json.dumps({"kind": kind, **asdict(figures), **extra}), flush=True)
    elif isinstance(figures, Machine):
        print(
            f"{figures.device}, torch {figures.torch}: {figures.bandwidth / 1e12:.2f} TB/s, "
            f"{figures.rate / 1e12:.0f} TFLOP/s"
        )
    elif isinstance(figures, ForwardFigures):
        alone = "" if figures.kernels_ms is None else f", kernels {figures.kernels_ms:.3f}"
        met = "" if figures.experts is None else f", {figures.experts:.1f} experts"
        print(
            f"{figures.shape} {figures.weights:5}  batch {figures.batch}  block {figures.block:2}  cache "
            f"{figures.cache:5}: step {figures.step_ms:.3f}{alone} ms, "
            f"floor {figures.floor_ms:.3f} ({figures.bound}{met}), {figures.of} {figures.ratio:.2f} times",
            flush=True,
        )
    else:
        print(
            f"{figures.shape} {figures.weights:5}  {figures.name:34} batch {figures.batch} "
            f"{figures.tokens_per_second:8.0f} tokens/s, trace {figures.trace} ({figures.committed:.1f} in the mean), "
            f"{figures.forwards} forwards for {figures.tokens} tokens",
            flush=True,
        )


def committed(word: str) -> int:
    """From 1 to a block's 32."""
    if not word.isdecimal() or not 1 <= int(word) <= 32:
        raise argparse.ArgumentTypeError(f"{word!r} is no number from 1 to 32, a block's tokens")
    return int(word)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="redraft bench gpu", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--shape", nargs="+", choices=list(SHAPES), default=["0.5b", "1.7b", "8b"])
    parser.add_argument("--weights", nargs="+", choices=KINDS, default=["plain", "fp8"])
    parser.add_argument("--batches", nargs="+", type=int, default=[1, 4, 8])
    parser.add_argument("--blocks", nargs="+", type=int, default=[4, 8, 16, 32, 64])
    parser.add_argument("--caches", nargs="+", type=int, default=[512, 2048, 8192])
    parser.add_argument("--trace-cache", type=int, default=2048, help="prompt of the traces, in tokens")
    parser.add_argument(
        "--committed", nargs="+", type=committed, default=[8, 4, 2], help="tokens committed at every forward"
    )
    parser.add_argument(
        "--trace",
        nargs="+",
        type=Path,
        default=[],
        help="recorded commits as JSON: blocks of their forwards' counts",
    )
    parser.add_argument("--tokens", type=int, default=512, help="of a trace's answer")
    parser.add_argument("--count", type=int, default=30, help="forwards of each kind")
    parser.add_argument("--no-peers", dest="peers", action="store_false")
    parser.add_argument("--rehearse", action="store_true", help="a small shape on the CPU")
    parser.add_argument("--json", action="store_true", help="print one JSON object a line")
    return parser
