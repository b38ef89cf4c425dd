"""A terminal in which an editor runs, for those that have no other remote control: keys go in, a screen comes out."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import signal
import struct
import termios
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import pyte

from .neovim import PATIENCE

COLUMNS, LINES = 100, 30


class Screen(pyte.Screen):
    """Passes over the questions and extensions that pyte does not know."""

    def report_device_status(self, mode: int, **extension: bool) -> None:
        if not extension:
            super().report_device_status(mode)

    def select_graphic_rendition(self, *attributes: int, **extension: bool) -> None:
        if not extension:
            super().select_graphic_rendition(*attributes)


class Terminal:
    """Runs a program. It is alone with what `environment` says."""

    def __init__(self, command: list[str], folder: Path, environment: Mapping[str, str]) -> None:
        self.screen = Screen(COLUMNS, LINES)
        self.screen.write_process_input = lambda data: self.send(data)  # type: ignore[method-assign]
        self.stream = pyte.ByteStream(self.screen)
        size = struct.pack("HHHH", LINES, COLUMNS, 0, 0)
        self.pid, self.file = pty.fork()
        if self.pid == 0:
            try:
                os.chdir(folder)
                os.execve(command[0], command, {"TERM": "xterm-256color", "LC_ALL": "C.UTF-8", **environment})
            finally:
                os._exit(127)
        fcntl.ioctl(self.file, termios.TIOCSWINSZ, size)

    def close(self) -> None:
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        os.close(self.file)

    def send(self, keys: str) -> None:
        os.write(self.file, keys.encode())

    def read(self, seconds: float) -> None:
        """Let the program write."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            if select.select([self.file], [], [], left)[0]:
                with suppress(OSError):  # it has ended
                    self.stream.feed(os.read(self.file, 65536))

    def text(self) -> str:
        return "\n".join(line.rstrip() for line in self.screen.display)

    def until(self, true: Callable[[], Any], what: str, patience: float = PATIENCE) -> Any:
        end = time.monotonic() + patience
        while time.monotonic() < end:
            self.read(0.05)
            if value := true():
                return value
        raise AssertionError(f"never so: {what}\n{self.text()}")

    def shows(self, text: str, patience: float = PATIENCE) -> None:
        self.until(lambda: text in self.text(), f"{text!r} is on the screen", patience)
