"""The server as a process: time to answer `initialize`, memory at rest, and what it does when nothing happens."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

import psutil

from model.bench.client import Client


@dataclass(frozen=True)
class ServerFigures:
    """Milliseconds from the process's start to the `initialize` response (median of `runs`), and megabytes of
    resident memory then and once the model is loaded and idle; `idle_cpu` is its CPU share over two seconds."""

    runs: int
    initialize_ms: float
    memory_initialized_mb: float
    memory_at_rest_mb: float
    idle_cpu_percent: float


def measure_server(arguments: Sequence[str] = (), runs: int = 5) -> ServerFigures:
    """Start the server several times over stdio; the last one is left to load its model."""
    times: list[float] = []
    early = rest = idle = 0.0
    for number in range(runs):
        began = time.perf_counter()
        with Client(*arguments) as client:
            client.initialize()
            times.append((time.perf_counter() - began) * 1000)
            if number == runs - 1:
                watched = psutil.Process(client.process.pid)
                early = watched.memory_info().rss / 2**20
                client.load()
                time.sleep(1)
                watched.cpu_percent()
                time.sleep(2)
                idle, rest = watched.cpu_percent(), watched.memory_info().rss / 2**20
    return ServerFigures(runs, round(median(times), 1), round(early, 1), round(rest, 1), round(idle, 2))
