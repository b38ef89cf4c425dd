"""`redraft play`: one port for the page and its socket, a link with the key, and nothing else served."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Callable
from urllib.parse import urlsplit

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from lsp_server.page import Page, read_page


@pytest.fixture
async def link(command_line: Callable[..., list[str]]) -> AsyncIterator[str]:
    """What a user opens."""
    command = command_line("play", "--engine", "fake:steps=3")
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE, cwd="/")
    assert process.stdout is not None
    line = (await asyncio.wait_for(process.stdout.readline(), 30)).decode()
    found = re.search(r"http://127\.0\.0\.1:\d+/#\S+", line)
    assert found, line
    yield found[0]
    process.terminate()
    await process.wait()


async def get(link: str, path: str, host: str = "") -> tuple[int, dict[str, str], bytes]:
    where = urlsplit(link)
    reader, writer = await asyncio.open_connection(where.hostname, where.port)
    writer.write(f"GET {path} HTTP/1.1\r\nHost: {host or where.netloc}\r\n\r\n".encode())
    head, _, body = (await asyncio.wait_for(reader.read(), 10)).partition(b"\r\n\r\n")
    writer.close()
    lines = head.decode().split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in lines[1:])
    return int(lines[0].split()[1]), headers, body


async def test_the_page_comes_with_its_guards(link):
    """It may load from its own address and talk to that alone."""
    for path in ("/", "/index.html", "/page.js", "/page.css"):
        code, headers, body = await get(link, path)
        assert code == 200
        assert int(headers["content-length"]) == len(body) > 100
        assert "default-src 'none'" in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
    for path in ("/etc/passwd", "/../cli.py", "/..%2fcli.py", "/page.js/../../cli.py", "/missing.js"):
        assert (await get(link, path))[0] == 404
    assert (await get(link, "/", host="evil.example"))[0] == 403


async def test_nothing_in_the_page_points_elsewhere(link):
    """No address of another host in what is loaded, but for names of formats and licences in comments."""
    for path in ("/", "/page.js", "/page.css"):
        _, _, body = await get(link, path)
        found = set(re.findall(rb"https?://[\w.-]+", body))
        assert found <= {b"http://www.w3.org"}, found


async def test_the_socket_wants_the_key_of_the_link(link):
    where = urlsplit(link)
    address = f"ws://{where.netloc}/"
    async with connect(address) as socket:
        await socket.send(json.dumps({"token": where.fragment}))
        assert json.loads(await socket.recv()) == {"ready": True}
        start = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {"capabilities": {}}}
        await socket.send(json.dumps({**start, "params": {"capabilities": {}, "processId": None}}))
        assert "capabilities" in json.loads(await socket.recv())["result"]
    async with connect(address) as socket:
        await socket.send(json.dumps({"token": "guess"}))
        assert "Wrong token" in json.loads(await socket.recv())["error"]
    with pytest.raises(InvalidStatus) as refused:
        async with connect(address, origin="https://evil.example"):
            pass
    assert refused.value.response.status_code == 403


def test_only_known_kinds_of_files_are_served() -> None:
    assert {"/index.html", "/page.js", "/page.css"} == set(read_page().contents)
    assert isinstance(read_page(), Page)
