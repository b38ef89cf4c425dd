"""A language client for benchmarks: framed JSON over a server's pipes, with the time at which each message came."""

from __future__ import annotations

import json
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import IO, Any

Message = dict[str, Any]


class Client:
    """A server process and what it says. Use it as a context manager: its end is the server's."""

    def __init__(self, *arguments: str, options: Message | None = None) -> None:
        command = [sys.executable, "-I", "-m", "lsp_server", "serve", "--stdio", *arguments]
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL)
        self._options = options or {}
        self._number = 0
        self._came: queue.Queue[tuple[float, Message]] = queue.Queue()
        self._answers: dict[int, tuple[float, Message]] = {}
        self._has_ended = False
        threading.Thread(target=self._read, daemon=True).start()

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.wait_for(self.request("shutdown", None))
            self.notify("exit", None)
        assert self.process.stdin is not None
        self.process.stdin.close()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()

    def initialize(self) -> None:
        capabilities = {"textDocument": {"inlineCompletion": {}}}
        params = {"processId": None, "rootUri": None, "capabilities": capabilities}
        self.wait_for(self.request("initialize", {**params, "initializationOptions": self._options}))

    def load(self) -> None:
        """Let it load its model; raises ValueError with the reason where it cannot."""
        self.notify("initialized", {})
        state = self.wait_until(_is_loaded)["params"]
        if state["state"] == "error":
            raise ValueError(f"the server could not load its model: {state.get('message', '')}")

    def request(self, method: str, params: Any) -> int:
        self._number += 1
        self._send({"method": method, "params": params, "id": self._number})
        return self._number

    def notify(self, method: str, params: Any) -> None:
        self._send({"method": method, "params": params})

    def answer(self, number: int) -> tuple[float, Message] | None:
        """When a request was answered and with what, if it has been; raises EOFError once the server has ended."""
        while not self._came.empty():
            self._keep(*self._came.get())
        if self._has_ended and number not in self._answers:
            raise EOFError("the server ended before it answered")
        return self._answers.get(number)

    def wait_for(self, number: int) -> tuple[float, Message]:
        """Raises EOFError where the server ends before it answers."""
        while (found := self.answer(number)) is None:
            self._keep(*self._came.get())
        return found

    def wait_until(self, wanted: Callable[[Message], bool]) -> Message:
        """The next message that `wanted` accepts; raises EOFError where the server ends before it comes."""
        while not self._has_ended:
            came, message = self._came.get()
            self._keep(came, message)
            if message and wanted(message):
                return message
        raise EOFError("the server ended before it answered")

    def _keep(self, came: float, message: Message) -> None:
        self._has_ended = self._has_ended or not message
        if "id" in message and "method" not in message:
            self._answers[message["id"]] = came, message

    def _send(self, message: Message) -> None:
        assert self.process.stdin is not None
        body = json.dumps({"jsonrpc": "2.0", **message}).encode()
        self.process.stdin.write(b"Content-Length: %d\r\n\r\n" % len(body) + body)
        self.process.stdin.flush()

    def _read(self) -> None:
        assert self.process.stdout is not None
        while (message := _receive(self.process.stdout)) is not None:
            self._came.put((time.perf_counter(), message))
        self._came.put((time.perf_counter(), {}))


def _is_loaded(message: Message) -> bool:
    return message.get("method") == "redraft/status" and message["params"].get("state") in ("ready", "error")


def _receive(pipe: IO[bytes]) -> Message | None:
    length = 0
    while (line := pipe.readline()) not in (b"\r\n", b""):
        if line.lower().startswith(b"content-length:"):
            length = int(line.split(b":")[1])
    return json.loads(pipe.read(length)) if length else None
