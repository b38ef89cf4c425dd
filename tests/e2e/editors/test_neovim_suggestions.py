"""Suggestions in real Neovims, with the real server of this checkout and its embedded model."""

from __future__ import annotations

import statistics
import time
from functools import partial
from pathlib import Path

from .neovim import Neovim, both
from .places import has_lines, place


def suggestion(nvim: Neovim, path: Path) -> str:
    """Type the end of a line; the grey text that comes."""
    where = place(has_lines)
    nvim.open(path, where.file)
    nvim.keys("GA" + where.key)
    text = nvim.shown()
    assert has_lines(text), text
    return text


def longer(nvim: Neovim, length: int) -> bool:
    return len(nvim.text()) > length


@both
def test_typing_shows_grey_text_and_a_key_takes_all_of_it(nvim, tmp_path, screenshots, request):
    text = suggestion(nvim, tmp_path / "a.py")
    before = nvim.text()
    nvim.screenshot(screenshots / f"{request.node.callspec.params['shared']}-ghost-text.png")
    assert text in nvim.screen()
    assert text not in before
    nvim.keys("<C-l>")
    nvim.until(lambda: nvim.text() == before[:-1] + text + "\n", "all of it is in the text")
    assert nvim.nvim.current.window.cursor[1] == len(nvim.text().split("\n")[-2])
    nvim.keys("<Esc>")
    assert nvim.undo() == before, "what was taken is one undo step"


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
    if nvim.ghost():  # of a short suggestion nothing is left to take
        nvim.keys("<C-l>")
    nvim.until(lambda: nvim.text() == before + text + "\n", "all of it is in the text")


@both
def test_taking_a_line(nvim, tmp_path):
    text = suggestion(nvim, tmp_path / "a.py")
    before = nvim.text()[:-1]
    first, rest = text.split("\n", 1)
    nvim.keys("<M-e>")
    nvim.until(lambda: nvim.text() == f"{before}{first}\n", "the first line was taken")
    nvim.until(lambda: nvim.ghost() == "\n" + rest, "the rest is below")
    for _ in range(text.count("\n")):
        length = len(nvim.text())
        if nvim.text() != f"{before}{text}\n":
            nvim.keys("<M-e>")
            nvim.until(partial(longer, nvim, length), "another line was taken")
    assert nvim.text() == f"{before}{text}\n"


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
    where = place()

    def type_and_wait() -> str:
        nvim.open(tmp_path / "a.py", where.file)
        nvim.keys("GA" + where.key)
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
    where = place(has_lines)
    seen: list[float] = []
    model: list[float] = []
    for i in range(20):
        nvim.open(tmp_path / f"f{i}.py", where.file)
        nvim.keys("GA")
        nvim.wait(250)
        began = time.perf_counter()
        nvim.keys(where.key)
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
