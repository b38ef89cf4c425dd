"""What a client may do before it has shown the token, with the listener's own coroutines."""

from __future__ import annotations

import asyncio
import json
from functools import partial

import pytest
from websockets.asyncio.client import connect
from websockets.asyncio.server import serve
from websockets.exceptions import ConnectionClosed

from lsp_server import listener
from lsp_server.jobs import Worker
from lsp_server.server import RedraftServer
from model.fake import FakeEngine

PATIENCE = 20
TOKEN = "the token"


@pytest.fixture
def make_server():
    worker = Worker(lambda options, report: FakeEngine())
    yield partial(RedraftServer, worker)
    worker.close()


def message(method: str, number: int, **params: object) -> bytes:
    return json.dumps({"jsonrpc": "2.0", "id": number, "method": method, "params": params}).encode()


def framed(body: bytes) -> bytes:
    return b"Content-Length: %d\r\n\r\n" % len(body) + body


def hello(**more: object) -> bytes:
    options = {"token": TOKEN}
    return message(
        "initialize", 1, capabilities={}, processId=None, rootUri=None, initializationOptions=options, **more
    )


@pytest.fixture
def little_patience(monkeypatch):
    monkeypatch.setattr(listener, "GREETING_PATIENCE", 0.3)


@pytest.fixture
async def tcp(make_server):
    server = await asyncio.start_server(partial(listener._serve_tcp, make_server, TOKEN), "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    yield reader, writer
    writer.close()
    server.close()


@pytest.fixture
async def web(make_server):
    handler = partial(listener._serve_websocket, make_server, TOKEN)
    async with serve(handler, "127.0.0.1", 0, max_size=listener.MAX_GREETING) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        async with connect(f"ws://127.0.0.1:{port}", max_size=None) as socket:
            yield socket


async def drip(send, closed) -> None:
    """Send a little again and again until hung up on."""
    async with asyncio.timeout(PATIENCE):
        while not closed():
            try:
                await send()
            except (OSError, ConnectionClosed):
                return
            await asyncio.sleep(0.02)


async def test_tcp_drops_a_client_that_drips(little_patience, tcp):
    """A timeout for each read would let it stay for ever."""
    reader, writer = tcp

    async def send():
        writer.write(b"x")
        await writer.drain()

    await drip(send, reader.at_eof)


async def test_websocket_drops_a_client_that_drips(little_patience, web):
    await drip(lambda: web.send(message("shutdown", 2)), lambda: False)


async def test_tcp_reads_little_from_strangers(tcp):
    reader, writer = tcp
    writer.write(framed(message("shutdown", 1, text="x" * 200_000)))
    async with asyncio.timeout(PATIENCE):
        try:
            assert await reader.read() == b""
        except ConnectionResetError:  # it does not read the rest
            return


@pytest.mark.parametrize("size", [1_000, 100_000])
async def test_websocket_reads_little_from_strangers(web, size):
    async def send():
        await web.send(message("shutdown", 1, text="x" * size))

    await drip(send, lambda: False)
    assert web.close_code != 1000 or size < listener.MAX_GREETING


async def test_after_the_token_messages_may_be_large(tcp, web):
    big = message("none", 2, text="x" * 200_000)
    reader, writer = tcp
    writer.write(framed(hello()))
    async with asyncio.timeout(PATIENCE):
        assert b"serverInfo" in await reader.readuntil(b"serverInfo")
        writer.write(framed(big))
        await reader.readuntil(b"error")
        await web.send(hello().decode())
        assert "serverInfo" in await web.recv()
        await web.send(big.decode())
        assert "error" in await web.recv()
