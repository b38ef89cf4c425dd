"""The server as a process: time to answer `initialize`, memory at rest, and what it imports before it answers."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from dataclasses import dataclass
from statistics import median
from typing import IO, Any

import psutil


@dataclass(frozen=True)
class ServerFigures:
    """Milliseconds from the process's start to the `initialize` response (median of `runs`), and megabytes of
    resident memory then and once the model is loaded and idle; `idle_cpu` is its CPU share over two seconds."""

    runs: int
    initialize_ms: float
    memory_initialized_mb: float
    memory_at_rest_mb: float
    idle_cpu_percent: float


def measure_server(runs: int = 5) -> ServerFigures:
    """Start the server several times over stdio; the last one is left to load its model."""
    times: list[float] = []
    early = rest = idle = 0.0
    for number in range(runs):
        began = time.perf_counter()
        with subprocess.Popen(
            [sys.executable, "-I", "-m", "lsp_server", "serve", "--stdio"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        ) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            _send(process.stdin, "initialize", {"processId": None, "rootUri": None, "capabilities": {}}, 1)
            _receive(process.stdout, lambda m: m.get("id") == 1)
            times.append((time.perf_counter() - began) * 1000)
            if number == runs - 1:
                watched = psutil.Process(process.pid)
                early = watched.memory_info().rss / 2**20
                _send(process.stdin, "initialized", {})
                _receive(process.stdout, _is_ready)
                time.sleep(1)
                watched.cpu_percent()
                time.sleep(2)
                idle, rest = watched.cpu_percent(), watched.memory_info().rss / 2**20
            _send(process.stdin, "shutdown", None, 2)
            _receive(process.stdout, lambda m: m.get("id") == 2)
            _send(process.stdin, "exit", None)
            process.stdin.close()
            process.wait(10)
    return ServerFigures(runs, round(median(times), 1), round(early, 1), round(rest, 1), round(idle, 2))


def _is_ready(message: dict[str, Any]) -> bool:
    return message.get("method") == "redraft/status" and message["params"].get("state") in ("ready", "error")


def _send(pipe: IO[bytes], method: str, params: Any, number: int | None = None) -> None:
    message: dict[str, Any] = {"jsonrpc": "2.0", "method": method, "params": params}
    if number is not None:
        message["id"] = number
    body = json.dumps(message).encode()
    pipe.write(b"Content-Length: %d\r\n\r\n" % len(body) + body)
    pipe.flush()


def _receive(pipe: IO[bytes], wanted: Any) -> dict[str, Any]:
    """The first message that `wanted` accepts; raises EOFError when the server ends before."""
    while True:
        length = 0
        while (line := pipe.readline()) not in (b"\r\n", b""):
            if line.lower().startswith(b"content-length:"):
                length = int(line.split(b":")[1])
        if not length:
            raise EOFError("the server ended before it answered")
        message: dict[str, Any] = json.loads(pipe.read(length))
        if wanted(message):
            return message
