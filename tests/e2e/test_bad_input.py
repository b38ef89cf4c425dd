"""Bad input of every kind: a clear message or an empty answer, the server stays up, no text is lost."""

from __future__ import annotations

import asyncio
import json
import subprocess

import pytest
from lsprotocol import types as t
from pygls.exceptions import JsonRpcException

FAKE = ("serve", "--engine", "fake:completion=hello()")


@pytest.mark.parametrize(
    ("text", "uri"),
    [
        ("", "file:///empty.py"),
        ("x = ", "untitled:Untitled-1"),
        ("x = 1\r\ny = 2\ry\nz", "file:///mixed.py"),
        ("a\fb\u2028c\u0301😀", "file:///odd.py"),
        ("x", "file:///%FF%FEname%20.py"),
        ("x", "file:///c%3A/Users/a.py"),
        ("x", "vscode-notebook-cell:/a.ipynb#W0"),
        ("x", "not a uri at all ]["),
        ("lone \ud800 surrogate", "file:///lone.py"),
    ],
)
async def test_odd_documents_get_a_suggestion_or_nothing(editor, text, uri):
    await editor.start(*FAKE)
    await editor.ready()
    editor.open(text, uri)
    await editor.wait(editor.inline(uri, len(text)))
    editor.type(uri, 0, 0, "é\f")
    assert (await editor.debug("text", uri=uri)).text == editor.text[uri]
    assert await editor.end() == 0


async def test_binary_and_large_files_get_no_model_and_a_message(editor):
    await editor.start(*FAKE)
    await editor.ready()
    binary = editor.open("\0\x01\x02" * 10, "file:///a.bin", "plaintext")
    assert not (await editor.wait(editor.inline(binary, 0))).items
    large = editor.open("x = 1\n" * 900_000, "file:///large.py")
    assert not (await editor.wait(editor.inline(large, 0))).items
    editor.type(large, 10, 12, "y")
    assert (await editor.debug("text", uri=large)).text == editor.text[large]
    with pytest.raises(JsonRpcException, match="maxFileBytes"):
        await editor.wait(
            editor.command("redraft.server.refactorFile", uri=large, instruction="replace x with y")
        )
    assert any("binary" in m for m in editor.messages)
    assert any("maxFileBytes" in m for m in editor.messages)
    assert (await editor.debug("state")).runs == 0


async def test_secrets_never_reach_the_model(editor):
    await editor.start(*FAKE)
    await editor.ready()
    uri = editor.open("TOKEN=", "file:///project/.env", "plaintext")
    assert not (await editor.wait(editor.inline(uri, 6))).items
    assert any("ignore rule" in m for m in editor.messages)
    assert (await editor.debug("state")).runs == 0


async def test_a_position_past_its_line_is_clamped_and_one_past_the_last_line_has_no_suggestion(editor):
    await editor.start(*FAKE)
    await editor.ready()
    uri = editor.open("x = \n")
    [item] = (await editor.wait(editor.inline(uri, t.Position(0, 99)))).items
    assert item.range.start == t.Position(0, 4)
    assert not (await editor.wait(editor.inline(uri, t.Position(99, 99)))).items


async def test_a_document_closed_during_a_request(editor):
    await editor.start("serve", "--engine", "fake:steps=9,gate")
    await editor.ready()
    uri = editor.open("def f(x)\n    return x\n")
    inline = editor.inline(uri, 3)
    fix = editor.command("redraft.server.fix", uri=uri, position={"line": 0, "character": 0})
    await editor.until_state(lambda s: s.stepsBegun == 1)
    editor.close(uri)
    await editor.debug("allow", steps=-1)
    assert not (await editor.wait(inline)).items
    assert not (await editor.wait(fix)).applied
    assert not editor.applied
    assert not (await editor.wait(editor.inline(uri, 3))).items


@pytest.mark.parametrize(
    ("command", "argument", "says"),
    [
        ("redraft.server.nonsense", {}, "There is no command"),
        ("redraft.server.fix", {}, "uri"),
        ("redraft.server.fix", {"uri": "file:///nowhere.py"}, "not open"),
        ("redraft.server.fix", {"uri": 5}, "uri"),
        ("redraft.server.fix", {"uri": "file:///project/a.py"}, "range"),
        (
            "redraft.server.fix",
            {"uri": "file:///project/a.py", "range": {"start": 3}},
            "missing or of the wrong",
        ),
        ("redraft.server.fix", {"uri": "file:///project/a.py", "version": 7}, "has changed"),
        ("redraft.server.refactorFile", {"uri": "file:///project/a.py"}, "instruction"),
        ("redraft.server.refactorFile", {"uri": "file:///project/a.py", "speed": 9}, "does not know speed"),
    ],
)
async def test_unknown_commands_and_arguments_say_what_is_wrong(editor, command, argument, says):
    await editor.start(*FAKE)
    await editor.ready()
    editor.open("x = 1\n")
    with pytest.raises(JsonRpcException, match=says):
        await editor.wait(editor.command(command, **argument))
    assert await editor.end() == 0


async def test_an_instruction_that_the_engine_declines_is_said(editor):
    await editor.start(*FAKE)
    await editor.ready()
    uri = editor.open("x = 1\n")
    done = await editor.wait(editor.command("redraft.server.refactorFile", uri=uri, instruction="dance"))
    assert (done.status, done.applied) == ("declined", False)
    assert any("replace A with B" in m for m in editor.messages)


async def test_changes_of_unopened_documents_are_logged(editor):
    await editor.start(*FAKE)
    await editor.ready()
    editor.text["file:///no.py"], editor.version["file:///no.py"] = "abc", 1
    editor.type("file:///no.py", 0, 0, "x")
    await editor.until(lambda: any("not open" in m for m in editor.messages))
    assert await editor.end() == 0


def frame(body: bytes) -> bytes:
    return b"Content-Length: %d\r\n\r\n" % len(body) + body


async def test_malformed_messages_are_answered_and_survived(command_line):
    """Each is refused with a JSON-RPC error; the next request works."""
    process = await asyncio.create_subprocess_exec(
        *command_line(*FAKE), stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )

    async def read() -> dict:
        header = await asyncio.wait_for(process.stdout.readuntil(b"\r\n\r\n"), 20)
        return json.loads(await process.stdout.readexactly(int(header.split(b":")[1])))

    async def ask(body: bytes) -> dict:
        process.stdin.write(frame(body))
        return await read()

    assert (await ask(b"{nonsense"))["error"]["code"] == -32700
    assert (await ask(b"\xff\xfe\x00"))["error"]["code"] == -32700
    assert (await ask(b"[" * 100_000))["error"]["code"] == -32700
    assert (await ask(b"[]"))["error"]["code"] == -32600
    assert (await ask(b'{"id": 1, "method": "x"}'))["error"]["code"] == -32600
    assert (await ask(b'{"jsonrpc": "2.0", "id": {}, "method": "x"}'))["error"]["code"] == -32600
    early = b'{"jsonrpc": "2.0", "id": 1, "method": "textDocument/inlineCompletion", "params": %s}'
    wrong = await ask(early % b'{"position": "here"}')
    assert (wrong["id"], wrong["error"]["code"]) == (1, -32602)
    assert "context: required field missing" in wrong["error"]["message"]
    assert "textDocument: required field missing" in wrong["error"]["message"]
    where = b'"textDocument": {"uri": "a"}, "position": {"line": 0, "character": 0}'
    position = b'{"context": {"triggerKind": 1}, %s}' % where
    assert (await ask(early % position))["error"]["code"] == -32002
    process.stdin.write(b"Some-Header: 1\r\n\r\nContent-Length: x\r\n\r\n")
    nobody = b'{"capabilities": {}, "processId": null, "rootUri": null}'
    hello = b'{"jsonrpc": "2.0", "id": "a", "method": "initialize", "params": %s}' % nobody
    assert (await ask(hello))["result"]["capabilities"]
    assert (await ask(hello))["error"]["code"] == -32600
    assert (await ask(b'{"jsonrpc": "2.0", "id": 2, "method": "no/such"}'))["error"]["code"] == -32601
    bad = b'{"jsonrpc": "2.0", "id": 3, "method": "textDocument/codeAction", "params": []}'
    error = (await ask(bad))["error"]
    assert error["code"] == -32602
    assert "textDocument" in error["message"]
    assert "result" in await ask(b'{"jsonrpc": "2.0", "id": 4, "method": "shutdown"}')
    assert (await ask(hello))["error"]["code"] == -32600
    process.stdin.write(frame(b'{"jsonrpc": "2.0", "method": "exit"}'))
    assert await asyncio.wait_for(process.wait(), 20) == 0
