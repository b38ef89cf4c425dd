"""What the Neovim client does when something goes wrong."""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path

import pytest

from .neovim import BROKEN, MENDED, VERSIONS, Neovim


def said_once(nvim: Neovim, path: Path) -> str:
    """What is said when a file is opened that no server comes for, and no more in a while."""
    nvim.open(path, "x = 1\n", attached=False)
    nvim.until(nvim.heard, "it says so")
    nvim.wait(300)
    (heard,) = nvim.heard()
    return heard


@pytest.mark.parametrize("version", VERSIONS)
def test_no_server_is_said_once(start, tmp_path, version):
    nvim = start(version, cmd=["/nowhere/redraft", "--stdio"])
    for name in ("a.py", "b.py"):
        nvim.open(tmp_path / name, "x = 1\n", attached=False)
    nvim.until(nvim.heard, "it says so")
    assert nvim.heard() == ["Redraft: `/nowhere/redraft` (option `cmd`) is not a program."]
    nvim.command("checkhealth redraft")
    assert "ERROR" in nvim.text()
    assert "/nowhere/redraft" in nvim.text()


def test_a_program_that_does_not_start_is_said_once(start, tmp_path):
    nvim = start(cmd=[sys.executable, "-I", "-c", "import sys; sys.exit('no such module')"])
    heard = said_once(nvim, tmp_path / "a.py")
    assert "could not be started (exit code 1)" in heard


def test_a_killed_server_comes_back(start, tmp_path):
    nvim = start()
    nvim.open(tmp_path / "a.py", BROKEN)
    first = nvim.pid()
    os.kill(first, signal.SIGKILL)
    nvim.until(lambda: nvim.pid() not in (0, first) and nvim.state() == "ready", "there is another one")
    assert nvim.heard() == ["Redraft: the server stopped unexpectedly (signal 9); starting it again."]
    nvim.command("Redraft fix")
    nvim.until(lambda: nvim.text() == MENDED, "it works")
    second = nvim.pid()
    nvim.command("Redraft restart")
    nvim.until(lambda: nvim.pid() not in (0, second) and nvim.state() == "ready", "restarted")
    assert len(nvim.heard()) == 1, "a restart is no crash"


STUB = """
import json, sys
def read():
    size = 0
    while (line := sys.stdin.buffer.readline().strip()):
        if line.lower().startswith(b"content-length:"):
            size = int(line.split(b":")[1])
    return json.loads(sys.stdin.buffer.read(size))
def send(**message):
    body = json.dumps({"jsonrpc": "2.0", **message}).encode()
    sys.stdout.buffer.write(b"Content-Length: %d\\r\\n\\r\\n" % len(body) + body)
    sys.stdout.buffer.flush()
capabilities = json.loads(sys.argv[1])
while True:
    message = read()
    if message["method"] == "initialize":
        send(id=message["id"], result={"capabilities": capabilities, "serverInfo": {"name": "x", "version": "0.0.1"}})
    elif message["method"] == "initialized" and capabilities:
        sys.exit(3)
    elif message["method"] == "shutdown":
        send(id=message["id"], result=None)
    elif message["method"] == "exit":
        sys.exit(0)
"""


def test_crashing_in_a_loop_ends_with_one_message(start, tmp_path):
    commands = [f"redraft.server.{name}" for name in ("fix", "refactorFile", "cancel")]
    able = {"executeCommandProvider": {"commands": commands}, "inlineCompletionProvider": {}}
    nvim = start(cmd=[sys.executable, "-I", "-c", STUB, json.dumps(able)])
    nvim.lua("require('redraft.server').first_pause = 50")
    nvim.open(tmp_path / "a.py", "x = 1\n", attached=False)
    nvim.until(lambda: len(nvim.heard()) > 1, "it gives up")
    nvim.wait(1000)
    once, end = nvim.heard()
    assert "starting it again" in once
    assert "crashed 4 times" in end
    nvim.open(tmp_path / "b.py", "x = 1\n", attached=False)
    nvim.wait(300)
    assert len(nvim.heard()) == 2
    assert not nvim.pid()


def test_an_old_server_is_named(start, tmp_path):
    nvim = start(cmd=[sys.executable, "-I", "-c", STUB, "{}"])
    heard = said_once(nvim, tmp_path / "a.py")
    assert "0.0.1) is older than this plugin needs" in heard


def test_a_missing_model_is_said_once(start, tmp_path):
    nvim = start(settings={"model": "/nowhere"})
    nvim.open(tmp_path / "a.py", BROKEN, attached=False)
    nvim.until(nvim.heard, "it says so")
    (heard,) = nvim.heard()
    assert "/nowhere" in heard
    assert nvim.lua("return require('redraft').status()") == "Redraft: error"


def test_an_older_neovim_is_told_what_is_needed(start, tmp_path):
    pretend = "local has = vim.fn.has; vim.fn.has = function(what) return what == 'nvim-0.11' and 0 or has(what) end"
    nvim = start(before=pretend)
    nvim.open(tmp_path / "a.py", "x = 1\n", attached=False)
    assert nvim.nvim.funcs.execute("messages").strip() == "Redraft needs Neovim 0.11 or newer."
    assert nvim.nvim.funcs.exists(":Redraft") == 0
