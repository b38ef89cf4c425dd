"""TCP, WebSocket, and the process itself: tokens, origins, ports, exit, and the parent's death."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import subprocess
import sys

import psutil
import pytest
from pygls.exceptions import JsonRpcException
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

INITIALIZE = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {"capabilities": {}, "processId": None, "rootUri": None},
}


def initialize(token: str | None) -> str:
    options = {"initializationOptions": {"token": token}} if token is not None else {}
    return json.dumps({**INITIALIZE, "params": {**INITIALIZE["params"], **options}})


async def test_tcp_serves_several_clients_around_one_engine(listen, make_editor):
    """One server per connection: a disconnect ends neither the other nor the listener."""
    where = await listen("--tcp", "0")
    first, second = make_editor(), make_editor()
    for editor, text in ((first, "a = "), (second, "bb = ")):
        await editor.start_tcp(where["host"], where["port"])
        await editor.hello({"token": where["token"]})
        await editor.ready()
        editor.open(text)
    uri = "file:///project/a.py"
    assert (await first.debug("text", uri=uri)).text == "a = "
    assert (await second.debug("text", uri=uri)).text == "bb = "
    await first.wait(first.shutdown_async(None))
    first.exit(None)
    assert (await second.wait(second.inline(uri, 5))).items
    third = make_editor()
    await third.start_tcp(where["host"], where["port"])
    await third.hello({"token": where["token"]})
    await third.ready()
    for editor in (first, second, third):
        await editor.kill()


@pytest.mark.parametrize("options", [{"token": "wrong"}, None, {"token": 7}])
async def test_tcp_refuses_a_wrong_token_and_hangs_up(listen, make_editor, options):
    where = await listen("--tcp", "0")
    editor = make_editor()
    await editor.start_tcp(where["host"], where["port"])
    with pytest.raises(JsonRpcException, match="token"):
        await editor.hello(options)
    await editor.wait(editor._async_tasks[0])  # reading ends: the server has closed the connection
    await editor.kill()


async def test_a_taken_port_is_said_and_ends_with_its_own_code(command_line):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        for kind in ("--tcp", "--ws"):
            command = command_line("serve", "--engine", "fake", kind, port)
            done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
            assert done.returncode == 3
            assert f"cannot listen on 127.0.0.1:{port}" in done.stderr
            assert "Traceback" not in done.stderr


async def test_websocket_takes_the_token_in_initialize(listen):
    where = await listen("--ws", "0")
    async with connect(f"ws://127.0.0.1:{where['port']}") as web:
        await web.send(initialize(where["token"]))
        answer = json.loads(await asyncio.wait_for(web.recv(), 20))
        assert answer["result"]["serverInfo"]["name"] == "redraft"


async def test_websocket_takes_the_token_of_a_page_as_first_message(listen):
    where = await listen("--ws", "0")
    origin = f"http://localhost:{where['port']}"
    async with connect(f"ws://127.0.0.1:{where['port']}", origin=origin, max_size=None) as web:
        await web.send(json.dumps({"token": where["token"]}))
        assert json.loads(await web.recv()) == {"ready": True}
        await web.send(initialize(None))
        answer = await asyncio.wait_for(web.recv(), 20)
        assert isinstance(answer, str)  # text, as pages expect
        assert "result" in json.loads(answer)
        big = "x = 1\n" * 400_000
        item = {"uri": "file:///b.py", "languageId": "python", "version": 1, "text": big}
        opened = {"jsonrpc": "2.0", "method": "textDocument/didOpen", "params": {"textDocument": item}}
        await web.send(json.dumps(opened))
        asked = {"jsonrpc": "2.0", "id": 9, "method": "redraft/debug/text", "params": {"uri": "file:///b.py"}}
        await web.send(json.dumps(asked))
        assert json.loads(await asyncio.wait_for(web.recv(), 20))["result"]["text"] == big


@pytest.mark.parametrize("first", ['{"token": "wrong"}', "{}", '{"token": 5}'])
async def test_websocket_refuses_a_wrong_token(listen, first):
    where = await listen("--ws", "0")
    async with connect(f"ws://127.0.0.1:{where['port']}") as web:
        await web.send(first)
        assert "Wrong token" in json.loads(await asyncio.wait_for(web.recv(), 20))["error"]
        with pytest.raises(ConnectionClosed):
            await asyncio.wait_for(web.recv(), 20)


async def test_websocket_initialize_with_a_wrong_token_is_refused(listen):
    where = await listen("--ws", "0")
    async with connect(f"ws://127.0.0.1:{where['port']}") as web:
        await web.send(initialize("wrong"))
        assert "token" in json.loads(await asyncio.wait_for(web.recv(), 20))["error"]["message"]
        with pytest.raises(ConnectionClosed):
            await asyncio.wait_for(web.recv(), 20)


@pytest.mark.parametrize(
    "headers", [{"Origin": "https://evil.example"}, {"Origin": "null"}, {"Host": "evil.example"}]
)
async def test_websocket_checks_origin_and_host(listen, headers):
    where = await listen("--ws", "0")
    origin = headers.get("Origin")
    address = f"ws://127.0.0.1:{where['port']}"
    if "Host" in headers:  # a name that resolves to us, as after DNS rebinding
        address = f"ws://{headers['Host']}:{where['port']}"
    with pytest.raises(InvalidStatus) as error:
        async with connect(address, origin=origin, host="127.0.0.1", port=where["port"]):
            pass
    assert error.value.response.status_code == 403


async def test_an_allowed_origin_may_connect(listen):
    where = await listen("--ws", "0", "--origin", "https://editor.example")
    async with connect(f"ws://127.0.0.1:{where['port']}", origin="https://editor.example") as web:
        await web.send(json.dumps({"token": where["token"]}))
        assert json.loads(await web.recv()) == {"ready": True}


async def test_an_allowed_host_may_be_asked_for(listen):
    """With `--host 0.0.0.0` the names by which clients reach the machine are unknown."""
    where = await listen("--ws", "0", "--host", "0.0.0.0", "--allow-host", "Box.example", "--allow-host", "b")
    for name in ("box.example", "b", "localhost"):
        async with connect(f"ws://{name}:{where['port']}", host="127.0.0.1", port=where["port"]) as web:
            await web.send(json.dumps({"token": where["token"]}))
            assert json.loads(await web.recv()) == {"ready": True}
    with pytest.raises(InvalidStatus) as error:
        async with connect(f"ws://other:{where['port']}", host="127.0.0.1", port=where["port"]):
            pass
    assert b"--allow-host other" in error.value.response.body


async def test_listener_ends_on_a_signal(listen):
    where = await listen("--tcp", "0")
    process = psutil.Process(where["pid"])
    process.send_signal(signal.SIGTERM)
    assert await asyncio.to_thread(psutil.wait_procs, [process], 15)


# the process on stdio


@pytest.mark.parametrize("arguments", [("--stdio",), ("serve", "--stdio"), ()])
async def test_editors_may_start_it_with_or_without_stdio(command_line, arguments):
    """Without the fake engine the model is not there yet or loads later; `initialize` needs none."""
    process = await asyncio.create_subprocess_exec(
        *command_line(*arguments), stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    body = initialize(None).encode()
    process.stdin.write(b"Content-Length: %d\r\n\r\n" % len(body) + body)
    header = await asyncio.wait_for(process.stdout.readuntil(b"\r\n\r\n"), 20)
    assert header.startswith(b"Content-Length")
    process.stdin.close()  # end of input
    assert await asyncio.wait_for(process.wait(), 20) == 1


async def test_ends_soon_after_exit(editor):
    await editor.start("serve", "--engine", "fake:steps=50,gate")
    await editor.ready()
    uri = editor.open("x = ")
    editor.inline(uri, 4)
    await editor.until_state(lambda s: s.stepsBegun == 1)
    assert await editor.end() == 0  # with a step that never ends under way


async def test_exit_without_shutdown_is_an_error_code(editor):
    await editor.start("serve", "--engine", "fake")
    editor.exit(None)
    assert await editor.wait(editor._server.wait()) == 1


async def test_a_closed_stdout_ends_it(command_line):
    """A failed write must not be reported by another write."""
    process = subprocess.Popen(
        command_line("serve", "--engine", "fake"), stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    process.stdout.close()
    body = initialize(None).encode()
    process.stdin.write(b"Content-Length: %d\r\n\r\n" % len(body) + body)
    process.stdin.flush()
    assert await asyncio.to_thread(process.wait, 20) == 1
    process.stdin.close()


def has_not_ended(process: psutil.Process) -> bool:
    """A zombie has ended: it only waits for a slow init to notice."""
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


async def test_ends_soon_after_its_parent(command_line):
    """Even when something else holds its stdin open; `processId` is not what counts."""
    wrapper = (
        "import subprocess, sys, time\n"
        "child = subprocess.Popen(sys.argv[1:], stdin=0, stdout=subprocess.DEVNULL)\n"
        "print(child.pid, flush=True)\n"
        "time.sleep(600)\n"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", wrapper, *command_line("serve", "--engine", "fake")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    child = psutil.Process(int(parent.stdout.readline()))
    body = initialize(None)
    parent.stdin.write(f"Content-Length: {len(body)}\r\n\r\n{body}")
    parent.stdin.flush()
    while len(child.threads()) < 2:  # the thread that reads stdin: it has begun
        await asyncio.sleep(0.05)
    await asyncio.sleep(2)
    parent.kill()
    parent.wait()
    deadline = asyncio.get_running_loop().time() + 20
    while has_not_ended(child) and asyncio.get_running_loop().time() < deadline:
        await asyncio.sleep(0.1)
    is_left = has_not_ended(child)
    if is_left:
        child.kill()
    assert not is_left
    parent.stdin.close()
    parent.stdout.close()


async def test_print_does_not_reach_the_protocol(command_line):
    """`print`, and C code that writes to file descriptor 1, go to stderr."""
    command = command_line("serve", "--engine", "fake")
    code = command[3].replace(
        "from lsp_server.cli import main;",
        "import os, lsp_server.server as s; old = s.RedraftServer.admit; "
        "s.RedraftServer.admit = lambda *a: (print('noise'), os.write(1, b'raw noise'), old(*a))[2]; "
        "from lsp_server.cli import main;",
    )
    process = await asyncio.create_subprocess_exec(
        *command[:3], code, *command[4:], stdin=-1, stdout=-1, stderr=-1
    )
    body = initialize(None).encode()
    out, err = await asyncio.wait_for(
        process.communicate(b"Content-Length: %d\r\n\r\n" % len(body) + body), 20
    )
    assert out.startswith(b"Content-Length")
    assert b"noise" not in out
    assert b"noise" in err
    assert b"raw noise" in err


async def test_idle_it_uses_no_cpu(editor):
    await editor.start("serve", "--engine", "fake")
    await editor.ready()
    process = psutil.Process(editor._server.pid)
    before = process.cpu_times()
    await asyncio.sleep(2)
    after = process.cpu_times()
    assert (after.user + after.system) - (before.user + before.system) < 0.2
