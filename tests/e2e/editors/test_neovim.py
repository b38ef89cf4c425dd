"""The Neovim client in real Neovims, with the real server of this checkout and its embedded model."""

from __future__ import annotations

import json
import os
import shutil
import signal
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from .conftest import host
from .neovim import PLUGIN, Neovim

LOOP = "def total(items):\n    result = 0\n    for item in items\n"
CONDITION = "def f(path):\n    if pat\n"
BROKEN = "def area(width, height)\n    return width * height\n"
MENDED = "def area(width, height):\n    return width * height\n"
OLD_STYLE = (
    "def first(a):\n    if a == None:\n        return 1\n    return 2\n\n\n"
    "def second(b):\n    if b == None:\n        return 1\n    return 2\n"
)
IS_NONE = "Use `is None` instead of `== None`"
QUIET = 300  # milliseconds in which the plugin does not repeat itself
VERSIONS = ["neovim", "neovim-0.11"]

Start = Callable[..., Neovim]


def lua(value: Any) -> str:
    """A value as a Lua expression."""
    return f"vim.json.decode([==[{json.dumps(value)}]==])"


@contextmanager
def starting(folder: Path, command: list[str]) -> Iterator[Start]:
    """A function that starts Neovims, which are closed in the end."""
    open_ones: list[Neovim] = []

    def start(version: str = "neovim", *, before: str = "", **options: Any) -> Neovim:
        options = {"cmd": command, "settings": {"inline": {"deadlineMs": 20_000}}, **options}
        home = folder / f"home {len(open_ones)}"
        setup = lua({k: v for k, v in options.items() if v is not None})
        neovim = Neovim(host(version, "bin/nvim"), home, setup, before=before)
        open_ones.append(neovim)
        return neovim

    yield start
    for neovim in open_ones:
        neovim.close()


@pytest.fixture
def start(tmp_path: Path, command_line: Callable[..., list[str]]) -> Iterator[Start]:
    with starting(tmp_path, command_line("--stdio")) as start:
        yield start


@pytest.fixture(scope="module")
def shared(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Neovim]:
    """One Neovim for many tests: starting the server takes longer than most of them."""
    code = f"import sys; sys.path.insert(0, {str(Path(__file__).parents[3])!r}); "
    code += "from lsp_server.cli import main; sys.exit(main())"
    command = [sys.executable, "-I", "-c", code, "--stdio"]
    with starting(tmp_path_factory.mktemp("neovim"), command) as start:
        neovim = start(request.param)
        neovim.lua("require('redraft.say').quiet = ...", QUIET - 50)
        neovim.open(neovim.home / "first.py", "")  # from now on the server is ready
        yield neovim


@pytest.fixture
def nvim(shared: Neovim) -> Iterator[Neovim]:
    """The shared Neovim with no file and nothing said."""
    yield shared
    shared.keys("<Esc><Esc>")
    shared.wait(20)
    shared.lua(
        "require('redraft').configure({ enable = true, disabledLanguages = {}, inline = { enable = true } })"
    )
    shared.command("silent! tabonly! | silent! only! | enew! | silent! %bwipeout!")
    shared.lua("vim.g.heard = {}")


both = pytest.mark.parametrize("shared", VERSIONS, indirect=True)
newest = pytest.mark.parametrize("shared", VERSIONS[:1], indirect=True)


def suggestion(nvim: Neovim, path: Path) -> str:
    """Type the end of a line; the grey text that comes."""
    nvim.open(path, LOOP)
    nvim.keys("GA:<CR>")
    text = nvim.shown()
    assert len(text.split()) > 2, text
    return text


def longer(nvim: Neovim, length: int) -> bool:
    return len(nvim.text()) > length


def undo(nvim: Neovim) -> str:
    nvim.command("stopinsert | undo")
    return nvim.text()


# ghost text


@both
def test_typing_shows_grey_text_and_a_key_takes_all_of_it(nvim, tmp_path, screenshots, request):
    text = suggestion(nvim, tmp_path / "a.py")
    before = nvim.text()
    nvim.screenshot(screenshots / f"{request.node.callspec.params['shared']}-ghost-text.png")
    assert text in nvim.screen()
    assert text not in before
    nvim.keys("<C-l>")
    nvim.until(lambda: nvim.text() == before[:-1] + text + "\n", "all of it is in the text")
    assert nvim.nvim.current.window.cursor[1] == len(before.split("\n")[-2] + text)
    nvim.keys("<Esc>")
    assert undo(nvim) == before, "what was taken is one undo step"


@both
def test_taking_it_word_by_word_keeps_the_rest_in_sight(nvim, tmp_path, screenshots, request):
    text = suggestion(nvim, tmp_path / "a.py")
    before = nvim.text()[:-1]
    taken = ""
    for _ in range(3):
        length = len(nvim.text())
        nvim.keys("<M-w>")
        nvim.until(partial(longer, nvim, length), "a word was taken")
        taken = nvim.text()[len(before) : -1]
        assert text.startswith(taken)
        assert nvim.ghost() == text[len(taken) :], "at once, not when the server was asked again"
    assert len(taken.split()) in (2, 3)
    nvim.screenshot(screenshots / f"{request.node.callspec.params['shared']}-after-three-words.png")
    nvim.wait(600)  # Neovim asks again by itself
    nvim.until(lambda: nvim.ghost() == text[len(taken) :], "the rest is still there")
    nvim.keys(text[len(taken)])  # typing along
    nvim.until(lambda: nvim.ghost() == text[len(taken) + 1 :], "typing along shortens it")
    nvim.keys("<C-l>")
    nvim.until(lambda: nvim.text() == before + text + "\n", "all of it is in the text")


@both
def test_taking_a_line(nvim, tmp_path):
    nvim.open(tmp_path / "a.py", CONDITION)
    nvim.keys("GAh")
    text = nvim.shown()
    assert "\n" in text, text
    before = nvim.text()[:-1]
    first, rest = text.split("\n", 1)
    nvim.keys("<M-e>")
    nvim.until(lambda: nvim.text() == f"{before}{first}\n", "the first line was taken")
    nvim.until(lambda: nvim.ghost() == "\n" + rest, "the rest is below")
    nvim.keys("<M-e>")
    nvim.until(lambda: nvim.text() == f"{before}{text}\n", "the second line was taken")


@both
def test_dismissing_it_and_keys_without_a_suggestion(nvim, tmp_path):
    suggestion(nvim, tmp_path / "a.py")
    nvim.keys("<M-q>")
    nvim.until(lambda: not nvim.ghost(), "it is hidden")
    before = nvim.text()
    nvim.keys("<Tab>")
    nvim.until(lambda: nvim.text() != before, "Tab is the editor's")
    assert nvim.text().strip() == before.strip()
    assert nvim.lua("return vim.fn.maparg('<Tab>', 'i')") == nvim.lua(
        "vim.cmd('new'); local there = vim.fn.maparg('<Tab>', 'i'); vim.cmd('bwipeout!'); return there"
    )


def test_mappings_of_the_user_stay(start, tmp_path):
    nvim = start(
        before="vim.keymap.set('i', '<C-l>', 'mine')", keymaps={"word": "<Tab>", "line": False}, nonsense=1
    )
    nvim.open(tmp_path / "a.py", "x = 1\n")
    assert "there is no option `nonsense`; known: cmd, " in nvim.nvim.funcs.execute("messages")
    assert nvim.lua("return vim.fn.maparg('<C-l>', 'i')") == "mine"
    assert nvim.lua("return vim.fn.maparg('<Tab>', 'i', false, true).desc") == "Redraft: word"
    assert nvim.lua("return vim.fn.maparg('<M-e>', 'i')") == ""


@both
def test_settings_are_live(nvim, tmp_path):
    def type_and_wait() -> str:
        nvim.open(tmp_path / "a.py", LOOP)
        nvim.keys("GA:<CR>")
        nvim.wait(2000)
        ghost = nvim.ghost()
        nvim.keys("<Esc>")
        nvim.wait(20)
        nvim.command("bwipeout!")
        return ghost

    for enable in (False, True):
        nvim.lua("require('redraft').configure({ inline = { enable = ... } })", enable)
        nvim.wait(300)  # until the server has asked for them
        if enable:
            nvim.until(type_and_wait, "there is a suggestion again")
        else:
            assert not type_and_wait()


# fixes and refactorings


@both
def test_fix_by_a_code_action(nvim, tmp_path, screenshots, request):
    nvim.open(tmp_path / "a.py", BROKEN)
    titles = nvim.lua("""
      local client = vim.lsp.get_clients({ name = 'redraft', bufnr = 0 })[1]
      local params = vim.lsp.util.make_range_params(0, client.offset_encoding)
      params.context = { diagnostics = {} }
      local answer = client:request_sync('textDocument/codeAction', params, 20000, vim.api.nvim_get_current_buf())
      return vim.tbl_map(function(action) return action.title end, answer.result)
    """)
    assert titles[0] == "Fix this function"
    nvim.lua("""
      vim.lsp.buf.code_action({
        apply = true,
        filter = function(action) return action.title == 'Fix this function' end,
      })
    """)
    nvim.until(lambda: nvim.text() == MENDED, "the colon is back")
    nvim.screenshot(screenshots / f"{request.node.callspec.params['shared']}-fixed.png")
    assert undo(nvim) == BROKEN
    assert nvim.heard() == []


@both
def test_refactoring_shows_a_diff_first(nvim, tmp_path, screenshots, request):
    nvim.open(tmp_path / "a.py", OLD_STYLE)
    wanted = OLD_STYLE.replace("== None", "is None")
    nvim.command(f"Redraft refactor {IS_NONE}")
    nvim.until(lambda: "a apply" in nvim.screen(), "the diff is shown")
    nvim.screenshot(screenshots / f"{request.node.callspec.params['shared']}-preview.png")
    assert "+    if a is None:" in nvim.screen()
    nvim.keys("a")
    nvim.until(lambda: nvim.text() == wanted, "both comparisons are changed")
    assert undo(nvim) == OLD_STYLE, "both in one undo step"
    assert nvim.heard() == []


@both
def test_a_rejected_refactoring_changes_nothing(nvim, tmp_path):
    nvim.open(tmp_path / "a.py", OLD_STYLE)
    for rejecting in ("q", ":close<CR>"):
        nvim.lua("vim.g.heard = {}")
        nvim.wait(QUIET)
        nvim.command(f"Redraft refactor {IS_NONE}")
        nvim.until(lambda: "a apply" in nvim.screen(), "the diff is shown")
        nvim.keys(rejecting)
        nvim.until(nvim.heard, "the rejection is confirmed")
        assert nvim.heard() == ["Redraft: rejected; nothing was changed."]
        assert nvim.text() == OLD_STYLE
        assert not nvim.nvim.current.buffer.options["modified"]


@both
def test_refactoring_some_lines(nvim, tmp_path):
    nvim.open(tmp_path / "a.py", OLD_STYLE)
    nvim.keys("Vjjj:Redraft refactor ")
    nvim.wait(50)
    nvim.keys(f"{IS_NONE}<CR>")
    nvim.until(lambda: "a apply" in nvim.screen(), "the diff is shown")
    nvim.keys("<CR>")
    nvim.until(lambda: nvim.text() == OLD_STYLE.replace("a == None", "a is None"), "only those lines")


@newest
def test_without_an_instruction_it_asks_for_one(nvim, tmp_path):
    nvim.open(tmp_path / "a.py", OLD_STYLE)
    nvim.lua("vim.ui.input = function(options, done) vim.g.prompt = options.prompt; done(vim.g.wish) end")
    nvim.nvim.vars["wish"] = IS_NONE
    nvim.command("Redraft refactor")
    nvim.until(lambda: "a apply" in nvim.screen(), "the diff is shown")
    assert nvim.nvim.vars["prompt"] == "Refactor the file: "
    nvim.keys("q")
    nvim.until(nvim.heard, "the rejection is confirmed")


@newest
def test_an_edit_while_the_diff_is_shown_leads_to_another_diff(nvim, tmp_path):
    nvim.open(tmp_path / "a.py", "import os\n\n\n" + OLD_STYLE)
    nvim.command(f"Redraft refactor {IS_NONE}")
    nvim.until(lambda: "a apply" in nvim.screen(), "the diff is shown")
    nvim.keys("<C-w>pgg0O# new<Esc>")
    nvim.until(lambda: "@@ -3," in nvim.screen(), "the diff begins a line below")
    nvim.keys("a")
    wanted = "# new\nimport os\n\n\n" + OLD_STYLE.replace("== None", "is None")
    nvim.until(lambda: nvim.text() == wanted, "both are there")


@both
def test_cancel(nvim, tmp_path):
    many = "\n\n".join(
        f"def f{i}(a, b, c):\n    if a == None:\n        return b\n    return c\n" for i in range(150)
    )
    nvim.open(tmp_path / "a.py", many)
    nvim.command(f"Redraft refactor {IS_NONE}")
    nvim.until(lambda: "%" in nvim.lua("return require('redraft').status()"), "progress in the status")
    nvim.until(lambda: ":Redraft cancel stops it" in nvim.screen(), "and in the command line")
    nvim.command("Redraft cancel")
    nvim.until(lambda: "Redraft: stopped." in nvim.heard(), "it is stopped")
    nvim.until(lambda: nvim.lua("return require('redraft').status()") == "Redraft", "and idle")
    assert nvim.text() == many


# the files people have


@both
def test_line_ends_of_windows_are_kept(nvim, tmp_path):
    path = tmp_path / "a.py"
    nvim.open(path, CONDITION.replace("\n", "\r\n"))
    nvim.keys("GAh")
    text = nvim.shown()
    assert "\r" not in text
    assert "\n" in text
    nvim.keys("<C-l>")
    nvim.until(lambda: text in nvim.text(), "it was taken")
    nvim.keys("<Esc>")
    nvim.wait(20)
    nvim.command("write")
    assert path.read_bytes() == f"def f(path):\n    if path{text}\n".replace("\n", "\r\n").encode()

    path = tmp_path / "b.py"
    nvim.open(path, BROKEN.replace("\n", "\r\n"))
    nvim.command("Redraft fix")
    nvim.until(lambda: nvim.text() == MENDED, "the colon is back")
    nvim.command("write")
    assert path.read_bytes() == MENDED.replace("\n", "\r\n").encode()


@both
def test_a_read_only_buffer_is_left_alone(nvim, tmp_path):
    for option, why in (("readonly", "read-only"), ("nomodifiable", "not modifiable")):
        nvim.open(tmp_path / "a.py", BROKEN)
        nvim.lua("vim.g.heard = {}")
        nvim.command(f"setlocal {option}")
        nvim.command("Redraft fix")
        nvim.until(nvim.heard, "it says why not")
        assert len(nvim.heard()) == 1
        assert why in nvim.heard()[0]
        nvim.lua(
            "vim.lsp.buf.code_action({ apply = true, filter = function(a) return a.title:find('^Fix') end })"
        )
        nvim.wait(500)
        assert nvim.text() == BROKEN
        nvim.command("bwipeout!")


@both
def test_paths_with_blanks_and_letters_of_any_kind(nvim, tmp_path):
    nvim.open(tmp_path / "mein Projekt %20 #1" / "größe 大小.py", BROKEN)
    nvim.command("Redraft fix")
    nvim.until(lambda: nvim.text() == MENDED, "the colon is back")


@newest
def test_a_file_over_the_limit_is_named_once(nvim, tmp_path):
    nvim.lua("require('redraft').configure({ limits = { maxFileBytes = 20 } })")
    nvim.open(tmp_path / "large.py", BROKEN)
    nvim.command("Redraft fix")
    nvim.until(nvim.heard, "it says why not")
    nvim.wait(300)
    nvim.lua("require('redraft').configure({ limits = { maxFileBytes = 1000000 } })")
    (heard,) = nvim.heard()
    assert "maxFileBytes" in heard
    assert nvim.text() == BROKEN


# the command, the status, the health


@both
def test_the_command_completes_its_words(nvim, tmp_path):
    nvim.open(tmp_path / "a.py", OLD_STYLE)

    def complete(line: str) -> list[str]:
        return nvim.nvim.funcs.getcompletion(line, "cmdline")

    assert complete("Redraft re") == ["refactor", "restart"]
    nvim.until(lambda: IS_NONE in complete("Redraft refactor "), "the server's presets are offered")
    nvim.until(
        lambda: complete("Redraft refactor use super() w") == ["without arguments"], "the last word is"
    )
    assert "python" in complete("Redraft toggle ")


def is_refused(nvim: Neovim) -> bool:
    """Whether a fix is refused by now: new settings reach the server a moment later."""
    nvim.lua("vim.g.heard = {}")
    nvim.wait(QUIET)
    nvim.command("Redraft fix")
    heard = nvim.until(nvim.heard, "it says something")
    return (len(heard) == 1 and " is off for python" in heard[0]) or "switched off" in heard[0]


@both
def test_toggle_and_status(nvim, tmp_path):
    nvim.open(tmp_path / "a.py", "x = 1\n")
    status = "return require('redraft').status()"
    assert nvim.lua(status) == "Redraft"
    for toggle in ("Redraft toggle python", "Redraft toggle"):
        nvim.command(toggle)
        nvim.until(lambda: nvim.lua(status) == "Redraft: off", "it is off")
        nvim.until(partial(is_refused, nvim), "the server refuses")
        nvim.command(toggle)
        nvim.until(lambda: nvim.lua(status) == "Redraft", "it is on again")
    nvim.wait(QUIET)
    nvim.lua("vim.g.heard = {}")
    nvim.command("Redraft status")
    nvim.until(nvim.heard, "it says how things stand")
    assert "tiny" in nvim.heard()[0]
    nvim.command("Redraft nonsense")
    nvim.until(lambda: "known are" in nvim.heard()[-1], "it says what it knows")


@newest
def test_checkhealth(nvim, tmp_path, screenshots):
    nvim.open(tmp_path / "a.py", "x = 1\n")
    nvim.command("checkhealth redraft")
    text = nvim.text()
    nvim.screenshot(screenshots / "neovim-checkhealth.png")
    assert "redraft 0." in text
    assert "onnxruntime" in text
    assert "tiny" in text
    assert "ready, buffers: " in text
    assert "ERROR" not in text
    assert "WARNING" not in text


@newest
def test_what_a_word_and_a_line_are(nvim):
    first = "return require('redraft.parts').first(...)"
    for text, word, line in (
        ("one two", "one", "one two"),
        ("  größe = 1\nx", "  größe", "  größe = 1"),
        ("(a, b)\n", "(", "(a, b)"),
        ("\n    x = 1\n", "\n    x", "\n    x = 1"),
        ("  ", "  ", "  "),
    ):
        assert nvim.lua(first, text, "word") == word
        assert nvim.lua(first, text, "line") == line
        assert nvim.lua(first, text, "all") == text


@newest
def test_the_help_has_tags(nvim, tmp_path):
    shutil.copytree(PLUGIN / "doc", tmp_path / "doc")
    nvim.command(f"helptags {tmp_path / 'doc'}")
    tags = (tmp_path / "doc" / "tags").read_text("utf-8")
    for tag in (":Redraft", "redraft-options", "redraft.accept()"):
        assert f"{tag}\t" in tags


# what goes wrong


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
    nvim.open(tmp_path / "a.py", "x = 1\n", attached=False)
    nvim.until(nvim.heard, "it says so")
    nvim.wait(300)
    (heard,) = nvim.heard()
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
    nvim.open(tmp_path / "a.py", "x = 1\n", attached=False)
    nvim.until(nvim.heard, "it says so")
    nvim.wait(300)
    (heard,) = nvim.heard()
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


# how long it takes


@both
def test_from_the_key_to_the_grey_text(nvim, tmp_path, capsys, request):
    """Prints how long it takes, beside what the server says that the model took. Never fails for being slow."""
    nvim.lua("""
      local decode = vim.json.decode
      vim.json.decode = function(...)
        local message = decode(...)
        local item = type(message) == 'table' and vim.tbl_get(message, 'result', 'items', 1)
        if item then vim.g.cost = item.command.arguments[1].cost end
        return message
      end
    """)
    seen: list[float] = []
    model: list[float] = []
    for i in range(20):
        nvim.open(tmp_path / f"f{i}.py", LOOP)
        nvim.keys("GA")
        nvim.keys(":")
        nvim.wait(250)
        began = time.perf_counter()
        nvim.keys("<CR>")
        nvim.shown()
        seen.append((time.perf_counter() - began) * 1000)
        model.append(nvim.nvim.vars["cost"]["milliseconds"])
        nvim.keys("<Esc>")
        nvim.wait(10)
        nvim.command("bwipeout!")

    def figures(values: list[float]) -> str:
        return f"p50 {statistics.median(values):.0f} ms, p95 {sorted(values)[18]:.0f} ms"

    version = request.node.callspec.params["shared"]
    with capsys.disabled():
        print(f"\n{version}: key to grey text {figures(seen)}; of which the model {figures(model)}")
