"""`redraft bench`: start, memory and time per request on this machine."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict

import psutil

from model.bench.requests import measure_requests
from model.bench.server import measure_server
from model.engine import ModelError


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="redraft bench", description="Measure the server on this machine.")
    parser.add_argument("--model", help="checkpoint folder (default: the embedded model)")
    parser.add_argument("--backend", default="auto", help="auto, onnx or torch")
    parser.add_argument("--count", type=int, default=40, help="requests of each kind")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    arguments = parser.parse_args(argv)
    try:
        server = measure_server()
        requests = measure_requests(arguments.model, arguments.backend, arguments.count)
    except (ModelError, EOFError, ValueError) as error:
        print(f"redraft bench: {error}", file=sys.stderr)
        return 2
    machine = {"cores": psutil.cpu_count(), "memory_gb": round(psutil.virtual_memory().total / 2**30)}
    if arguments.json:
        figures = {"machine": machine, "server": asdict(server), "requests": [asdict(r) for r in requests]}
        print(json.dumps(figures))
        return 0
    print(f"{machine['cores']} cores, {machine['memory_gb']} GB")
    print(f"start to `initialize` response  {server.initialize_ms:8.1f} ms (median of {server.runs})")
    print(
        f"memory then / model at rest     {server.memory_initialized_mb:.0f} / {server.memory_at_rest_mb:.0f} MB"
    )
    print(f"idle CPU                        {server.idle_cpu_percent:8.2f} %")
    for each in requests:
        print(
            f"{each.name:34} p50 {each.p50_ms:7.1f}  p95 {each.p95_ms:7.1f} ms  "
            f"{each.forwards:6.2f} forwards  {each.tokens_per_forward:5.2f} tokens/forward"
        )
    return 0
