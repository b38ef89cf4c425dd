"""TCP and WebSocket: one server per connection, all around one worker.

(pygls's own starters share one protocol object over all connections and shut down at the first disconnect.)
Loopback by default, and always a token: over TCP in `initializationOptions.token`; over WebSocket either
there or, for a page that has it from its URL fragment, as the first message `{"token": ...}`. For
WebSocket the Host and Origin headers are checked as well, so that no web page reaches the server through a
user's browser.
"""

from __future__ import annotations

import asyncio
import json
import logging
import secrets
import signal
import sys
from collections.abc import Callable, Sequence
from functools import partial
from http import HTTPStatus
from typing import Any, Literal, Protocol, cast
from urllib.parse import urlsplit

from websockets.asyncio.server import Server, ServerConnection
from websockets.asyncio.server import serve as serve_websocket
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from lsp_server.jobs import Worker
from lsp_server.page import Page
from lsp_server.server import RedraftServer, matches
from lsp_server.transports import MAX_MESSAGE, Framing

logger = logging.getLogger(__name__)

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
GREETING_PATIENCE = 30.0  # seconds that a new connection has to show its token, all in all
MAX_GREETING = 64 * 1024  # bytes that are read from it until then
PORT_TAKEN = 3  # exit code


Announce = Callable[[str, int, str], str]
"""Address, port and token -> what is printed once the server listens."""


class MakeServer(Protocol):
    def __call__(self, on_leave: Callable[[int], None], *, token: str | None) -> RedraftServer: ...


def serve(
    worker: Worker,
    make_server: MakeServer,
    *,
    kind: Literal["tcp", "ws"],
    host: str,
    port: int,
    token: str | None,
    origins: Sequence[str] = (),
    hosts: Sequence[str] = (),
    page: Page | None = None,
    announce: Announce | None = None,
) -> int:
    """Listen until interrupted; returns the exit code. Prints where, and the token, as one line of JSON or as
    `announce` writes it. A `page` is served on a WebSocket's port."""
    token = token or secrets.token_urlsafe(24)
    if host not in LOOPBACK:
        logger.warning(
            "Listening on %s: everyone who can reach it and has the token can read your code.", host
        )
    try:
        check = partial(
            _check_headers, LOOPBACK | {h.lower() for h in (host, *hosts)}, frozenset(origins), page
        )
        asyncio.run(_listen(make_server, kind, host, port, token, check, announce or partial(_as_json, kind)))
    except OSError as error:
        sys.stderr.write(
            f"redraft: cannot listen on {host}:{port}: {error.strerror or error}. "
            "Choose another port, or 0 for any free one.\n"
        )
        return PORT_TAKEN
    except KeyboardInterrupt:
        pass
    finally:
        worker.close()
    return 0


async def _listen(
    make_server: MakeServer,
    kind: Literal["tcp", "ws"],
    host: str,
    port: int,
    token: str,
    check: Callable[[ServerConnection, Request], Response | None],
    announce: Announce,
) -> None:
    listener: asyncio.Server | Server
    if kind == "tcp":
        listener = await asyncio.start_server(partial(_serve_tcp, make_server, token), host, port)
    else:
        listener = await serve_websocket(
            partial(_serve_websocket, make_server, token),
            host,
            port,
            process_request=check,
            max_size=MAX_GREETING,
        )
    address = next(iter(listener.sockets)).getsockname()
    sys.stdout.write(announce(address[0], address[1], token) + "\n")
    sys.stdout.flush()
    stopped = asyncio.Event()
    if sys.platform != "win32":
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    async with listener:
        await stopped.wait()


def _as_json(kind: str, host: str, port: int, token: str) -> str:
    return json.dumps({"transport": kind, "host": host, "port": port, "token": token})


class SocketWriter:
    """Queues what pygls writes, so that a slow client never blocks the others, and order is kept."""

    def __init__(self) -> None:
        self.queue: asyncio.Queue[bytes | None] = asyncio.Queue()

    def write(self, data: bytes) -> None:
        self.queue.put_nowait(data)

    def close(self) -> None:
        self.queue.put_nowait(None)


# TCP


async def _serve_tcp(
    make_server: MakeServer, token: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    out = SocketWriter()
    server = make_server(lambda _: out.close(), token=token)
    server.protocol.set_writer(cast("Any", out))
    reading = asyncio.ensure_future(_read_tcp(reader, server))
    try:
        while (data := await out.queue.get()) is not None:
            writer.write(data)
            await writer.drain()
    except OSError as error:
        logger.info("The client is gone: %s", error)
    finally:
        reading.cancel()
        server.leave(1)
        writer.close()


async def _read_tcp(reader: asyncio.StreamReader, server: RedraftServer) -> None:
    """Hand over every message, then leave. A client that shows no token in time is not waited for, nor one
    that sends too much before it does."""
    framing, strange = Framing(), 0
    loop = asyncio.get_running_loop()
    patience = loop.call_later(GREETING_PATIENCE, _turn_away, server)
    try:
        while data := await reader.read(MAX_GREETING):
            for body in framing.feed(data):
                server.protocol.receive(body)
            strange += 0 if server.admitted else len(data)
            if strange > MAX_GREETING:
                _turn_away(server)
                break
    except (OSError, ValueError) as error:
        logger.warning("Reading from a client ended: %s", error or type(error).__name__)
    finally:
        patience.cancel()
    server.leave(1)


def _turn_away(server: RedraftServer) -> None:
    if not server.admitted:
        logger.warning("A client that showed no token was turned away.")
        server.leave(1)


# WebSocket


def _check_headers(
    hosts: frozenset[str],
    origins: frozenset[str],
    page: Page | None,
    connection: ServerConnection,
    request: Request,
) -> Response | None:
    """Refuse what a foreign page could send: a Host that is not ours (DNS rebinding), an Origin not allowed.
    A plain request gets the page, if there is one; it holds no secret."""
    asked = _host_name(f"//{request.headers.get('Host', '')}")
    if asked not in hosts:
        return connection.respond(
            HTTPStatus.FORBIDDEN,
            f"The Host {asked!r} is not this server; allow it with --allow-host {asked}.\n",
        )
    origin = request.headers.get("Origin")
    if origin is None or origin in origins or _host_name(origin) in LOOPBACK:
        return None if page is None else page.answer(request)
    return connection.respond(
        HTTPStatus.FORBIDDEN, f"The Origin {origin!r} may not connect; allow it with --origin {origin}.\n"
    )


def _host_name(address: str) -> str:
    try:
        return urlsplit(address).hostname or ""
    except ValueError:
        return ""


async def _serve_websocket(make_server: MakeServer, token: str, socket: ServerConnection) -> None:
    """Serve one socket; messages are JSON-RPC bodies without headers, sent as text."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + GREETING_PATIENCE
    try:
        async with asyncio.timeout_at(deadline):
            first = await socket.recv()
    except (TimeoutError, ConnectionClosed):
        return
    greeting = _greeting(first)
    if greeting is not None:
        if not matches(greeting, token):
            why = "Wrong token: open the page with the address that `redraft` printed."
            await socket.send(json.dumps({"error": why}))
            await socket.close(1008, "wrong token")
            return
        _allow_large_messages(socket)
        await socket.send(json.dumps({"ready": True}))
    out = SocketWriter()
    server = make_server(lambda _: out.close(), token=None if greeting is not None else token)
    server.protocol.set_writer(cast("Any", out), include_headers=False)
    if greeting is None:
        patience = loop.call_at(deadline, _turn_away, server)
        reading = asyncio.ensure_future(_read_websocket(socket, server, first))
    else:
        patience = None
        reading = asyncio.ensure_future(_read_websocket(socket, server))
    try:
        while (data := await out.queue.get()) is not None:
            await socket.send(data.decode())
    except ConnectionClosed:
        logger.info("A client has disconnected.")
    finally:
        if patience is not None:
            patience.cancel()
        reading.cancel()
        server.leave(1)


async def _read_websocket(
    socket: ServerConnection, server: RedraftServer, first: str | bytes | None = None
) -> None:
    """Hand over every message. With a `first` one the client has yet to show its token."""
    try:
        if first is not None and not await _admitted(socket, server, first):
            return
        async for body in socket:
            server.protocol.receive(body)
    except ConnectionClosed as error:
        logger.info("A client has disconnected: %s", error)
    server.leave(1)


async def _admitted(socket: ServerConnection, server: RedraftServer, body: str | bytes) -> bool:
    """Hand over messages until one shows the token; False for a client that says too much before."""
    strange = 0
    while True:
        server.protocol.receive(body)
        if server.admitted:
            _allow_large_messages(socket)
            return True
        strange += len(body)
        if strange > MAX_GREETING:
            _turn_away(server)
            return False
        body = await socket.recv()


def _allow_large_messages(socket: ServerConnection) -> None:
    """The limit for everybody is that of a greeting; whoever has shown the token may send documents."""
    protocol: Any = socket.protocol
    for name in ("max_message_size", "max_size"):  # the second until websockets 15
        if hasattr(protocol, name):
            setattr(protocol, name, MAX_MESSAGE)


def _greeting(first: str | bytes) -> object | None:
    """The token in a page's first message, or None if that is an LSP message already."""
    try:
        message = json.loads(first)
    except ValueError:
        return None
    if not isinstance(message, dict) or "jsonrpc" in message:
        return None
    return cast("dict[str, object]", message).get("token", "")
