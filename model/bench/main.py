"""`redraft bench`: start, memory, typing and time per request on this machine."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from model.bench.deadlines import DeadlineFigures, measure_deadlines
from model.bench.drawing import draw
from model.bench.keystrokes import KeystrokeFigures, measure_keystrokes
from model.bench.peers.figures import PeersFigures, table
from model.bench.peers.measure import measure_peers
from model.bench.peers.shapes import OWN_SHAPE, SHAPES
from model.bench.positions import PositionFigures, measure_positions
from model.bench.replay import TypingFigures, replay, summary
from model.bench.requests import RequestFigures, measure_requests, measure_tokens_per_forward
from model.bench.server import ServerFigures, measure_server
from model.bench.typist import read_sessions
from model.engine import ModelError

_LINES = (100, 5_000, 20_000)
_PARTS = ("server", "requests", "positions", "deadlines", "keystrokes", "typing", "peers")


def main(argv: Sequence[str]) -> int:
    if argv[:1] == ["gpu"]:
        return _gpu(argv[1:])
    arguments = _parser().parse_args(argv)
    chosen = ["--backend", arguments.backend, *(["--model", arguments.model] if arguments.model else [])]
    parts = _PARTS if "cpu" in arguments.parts else arguments.parts or ("server", "requests")
    try:
        server = measure_server(chosen) if "server" in parts else None
        requests = (
            measure_requests(arguments.model, arguments.backend, arguments.count)
            if "requests" in parts
            else []
        )
        positions = measure_positions(arguments.model, arguments.backend) if "positions" in parts else []
        deadlines = (
            measure_deadlines(arguments.model, arguments.backend, arguments.count)
            if "deadlines" in parts
            else []
        )
        keys = [measure_keystrokes(lines) for lines in _LINES] if "keystrokes" in parts else []
        played = (
            {s.name: replay(s, arguments.keys, chosen) for s in read_sessions()} if "typing" in parts else {}
        )
        peers = _peers(arguments) if "peers" in parts else None
        if arguments.plot:
            draw(played, requests, deadlines, arguments.plot)
    except (ModelError, EOFError, ValueError, OSError) as error:
        print(f"redraft bench: {error}", file=sys.stderr)
        return 2
    typing = [summary(name, questions) for name, questions in played.items()]
    machine = {"cores": psutil.cpu_count(), "memory_gb": round(psutil.virtual_memory().total / 2**30)}
    found = Figures(server, requests, positions, deadlines, keys, typing, peers)
    if arguments.json:
        print(json.dumps({"machine": machine, **asdict(found)}))
    else:
        print(f"{machine['cores']} cores, {machine['memory_gb']} GB")
        _show(found)
    return 0


def _gpu(argv: Sequence[str]) -> int:
    """The GPU's own benchmark, which needs torch."""
    try:
        from model.bench.gpu.main import main as measure
    except ImportError as error:
        print(f"redraft bench gpu: {error}; install redraft[gpu]", file=sys.stderr)
        return 2
    return measure(argv)


@dataclass(frozen=True)
class Figures:
    """All that was measured; None or empty where it was not asked for."""

    server: ServerFigures | None
    requests: Sequence[RequestFigures]
    positions: Sequence[PositionFigures]
    deadlines: Sequence[DeadlineFigures]
    keystrokes: Sequence[KeystrokeFigures]
    typing: Sequence[TypingFigures]
    peers: PeersFigures | None


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="redraft bench", description="Measure the server on this machine.")
    parser.add_argument(
        "parts",
        nargs="*",
        metavar="PART",
        type=_part,
        help="server, requests, positions (by file length and place), deadlines (what a completion is worth at each), "
        "keystrokes, typing (six minutes at a person's speed), peers (other engines beside ours), cpu for all of "
        "them, or gpu with options of its own; without any server and requests",
    )
    parser.add_argument("--model", help="a model's folder or name (default: the embedded model)")
    parser.add_argument("--backend", default="auto", help="auto, onnx or torch")
    parser.add_argument("--count", type=_count, default=40, help="requests of each kind")
    parser.add_argument("--keys", type=_count, help="keys of each typing session (default: all)")
    parser.add_argument(
        "--plot", type=Path, metavar="FILE.png", help="draw the times (needs the extra `train`)"
    )
    _add_peers(parser.add_argument_group("peers"))
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    return parser


def _add_peers(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--shape",
        choices=(OWN_SHAPE, *SHAPES),
        default=OWN_SHAPE,
        help="the network that every engine runs: the model's, or random weights of another size",
    )
    group.add_argument(
        "--tokens-per-forward", type=float, metavar="N", help="of diffusion (default: measured on the model)"
    )
    group.add_argument("--block", type=_count, help="tokens denoised together (default: the model's)")
    group.add_argument(
        "--threads", type=_count, help="of every engine (default: each at its best of one and all cores)"
    )
    group.add_argument("--rounds", type=_count, default=3, help="in which every engine has its turn")


def _peers(arguments: argparse.Namespace) -> PeersFigures:
    rate = arguments.tokens_per_forward or measure_tokens_per_forward(
        arguments.model, "onnx", arguments.count
    )
    return measure_peers(
        arguments.model, arguments.shape, rate, arguments.block, arguments.threads, arguments.rounds
    )


def _count(text: str) -> int:
    if not (text.isdecimal() and int(text)):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1")
    return int(text)


def _part(name: str) -> str:
    known = (*_PARTS, "cpu")
    if name not in known:
        raise argparse.ArgumentTypeError(f"there is no part {name!r}; known are {', '.join(known)}")
    return name


def _show(found: Figures) -> None:
    server, peers = found.server, found.peers
    if server is not None:
        print(f"start to `initialize` response  {server.initialize_ms:8.1f} ms (median of {server.runs})")
        print(
            f"memory then / model at rest     {server.memory_initialized_mb:.0f} / {server.memory_at_rest_mb:.0f} MB"
        )
        print(f"idle CPU                        {server.idle_cpu_percent:8.2f} %")
    for each in found.requests:
        print(
            f"{each.name:34} p50 {each.p50_ms:7.1f}  p95 {each.p95_ms:7.1f} ms  "
            f"{each.forwards:6.2f} forwards  {each.tokens_per_forward:5.2f} tokens/forward"
        )
    for where in found.positions:
        print(
            f"completion, {where.lines:5} lines, {where.place:9}  cold p50 {where.cold_p50_ms:6.1f} p95 "
            f"{where.cold_p95_ms:6.1f} ms, while typing p50 {where.warm_p50_ms:6.1f} p95 {where.warm_p95_ms:6.1f} ms"
        )
    for at in found.deadlines:
        print(
            f"completion, {'cold' if at.is_cold else 'warm'}, within {at.deadline_ms:5} ms: "
            f"{at.finished:6.1%} finished, {at.offered:6.1%} offered, {at.right_characters:5.2f} characters right, "
            f"p50 {at.answered_ms:.0f} ms to the answer"
        )
    for key in found.keystrokes:
        print(
            f"{key.lines:6} lines, without the model: {key.key_ms:6.2f} ms a key that is overtaken, "
            f"p50 {key.answer_p50_ms:.1f} p95 {key.answer_p95_ms:.1f} ms to an answer"
        )
    for each in found.typing:
        print(
            f"{each.session}: {each.requests} requests, {each.overtaken} overtaken, {each.without_model} answered "
            f"without the model, {each.asked} reached it\n"
            f"  p50 {each.answer_p50_ms:.0f}  p95 {each.answer_p95_ms:.0f} ms to the answer, of which work "
            f"{each.work_p50_ms:.0f} and {each.work_p95_ms:.0f}; prompt tokens computed: median "
            f"{each.computed_median:.0f} of {each.prompt_median:.0f}, {each.computed_per_request:.1f} a request"
        )
    if peers is not None:
        print("\n".join(table(peers)))
