"""Standard input and output as a connection, and reading messages off any byte stream.

stdout belongs to the protocol: it is taken away before anything can print to it. The server ends when its
input does, after `exit`, and when its parent process dies. Knows no features; sockets are in `listener.py`.
"""

from __future__ import annotations

import asyncio
import logging
import os
import re
import sys
import threading
from collections.abc import Callable
from typing import BinaryIO

import psutil

from lsp_server.jobs import Worker
from lsp_server.server import RedraftServer

logger = logging.getLogger(__name__)

MAX_MESSAGE = 256 * 1024 * 1024  # bytes; larger is a broken header, not a document
MAX_HEADER = 64 * 1024
PARENT_CHECK = 1.0  # seconds
_LENGTH = re.compile(rb"^content-length[ \t]*:[ \t]*(\d+)[ \t]*\r?$", re.IGNORECASE | re.MULTILINE)


class Framing:
    """Cuts a byte stream into message bodies. Bytes that are no header are skipped up to the next header."""

    def __init__(self) -> None:
        self._data = bytearray()
        self._length: int | None = None

    def feed(self, data: bytes) -> list[bytes]:
        """The bodies that are complete with `data`. Raises ValueError when the stream cannot be followed."""
        self._data += data
        bodies: list[bytes] = []
        while True:
            if self._length is None and not self._read_header():
                return bodies
            assert self._length is not None
            if len(self._data) < self._length:
                return bodies
            bodies.append(bytes(self._data[: self._length]))
            del self._data[: self._length]
            self._length = None

    def _read_header(self) -> bool:
        while True:
            end = self._data.find(b"\r\n\r\n")
            if end < 0:
                if len(self._data) > MAX_HEADER:
                    raise ValueError(f"no message header in {len(self._data)} bytes")
                return False
            found = _LENGTH.search(bytes(self._data[:end]))
            del self._data[: end + 4]
            if found is None:
                logger.warning("Skipped a header without Content-Length.")
                continue
            length = int(found.group(1))
            if length > MAX_MESSAGE:
                raise ValueError(f"a message of {length} bytes is more than the {MAX_MESSAGE} allowed")
            self._length = length
            return True


class PipeWriter:
    """A binary file as pygls wants to write to it."""

    def __init__(self, out: BinaryIO) -> None:
        self._out = out

    def write(self, data: bytes) -> None:
        view = memoryview(data)
        while view:  # a raw file may take a part only
            view = view[self._out.write(view) or 0 :]
        self._out.flush()

    def close(self) -> None:
        self._out.close()


def take_standard_streams() -> tuple[BinaryIO, BinaryIO]:
    """The real stdin and stdout. From now on what prints to stdout, C libraries included, goes to stderr."""
    if sys.platform == "win32":
        import msvcrt

        for stream in (0, 1):
            msvcrt.setmode(stream, os.O_BINARY)
    source = os.fdopen(os.dup(0), "rb", buffering=0)
    out = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    return source, out


def serve_stdio(worker: Worker, make_server: Callable[[Callable[[int], None]], RedraftServer]) -> int:
    """Serve one client on stdin and stdout; returns the exit code."""
    source, out = take_standard_streams()
    code = asyncio.run(_serve(source, out, make_server))
    if not worker.close():
        logger.warning("The model's last step did not end in time.")
        sys.stderr.flush()
        os._exit(code)
    return code


async def _serve(
    source: BinaryIO, out: BinaryIO, make_server: Callable[[Callable[[int], None]], RedraftServer]
) -> int:
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[int] = loop.create_future()

    def end(code: int) -> None:
        if not ended.done():
            ended.set_result(code)

    server = make_server(end)
    server.protocol.set_writer(PipeWriter(out))  # type: ignore[arg-type]  # pygls names no such protocol publicly
    reader = threading.Thread(target=_read, args=(source, loop, server), name="redraft-stdin", daemon=True)
    reader.start()
    watch = asyncio.ensure_future(_watch_parent(server))
    try:
        return await ended
    finally:
        watch.cancel()
        server.leave(0)


def _read(source: BinaryIO, loop: asyncio.AbstractEventLoop, server: RedraftServer) -> None:
    """Read on a thread of its own: no executor has to be waited for when the process ends."""
    framing = Framing()
    try:
        while data := source.read(1 << 16):
            for body in framing.feed(data):
                loop.call_soon_threadsafe(server.protocol.receive, body)
    except (OSError, ValueError) as error:
        logger.error("Reading from the client failed: %s", error)
    except RuntimeError:  # the loop has ended
        return
    try:
        loop.call_soon_threadsafe(server.leave, 1)
    except RuntimeError:
        return


async def _watch_parent(server: RedraftServer) -> None:
    """Leave when the process that started us is gone, even if something else keeps our stdin open."""
    try:
        parent = psutil.Process(os.getppid())
    except psutil.Error:
        server.leave(1)
        return
    pid = parent.pid
    while os.getppid() == pid and parent.is_running():
        await asyncio.sleep(PARENT_CHECK)
    logger.warning("The parent process has ended.")
    server.leave(1)
