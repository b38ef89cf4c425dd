"""`:Redraft`, the status, the health and the help in real Neovims."""

from __future__ import annotations

import shutil
from functools import partial

from .neovim import IS_NONE, OLD_STYLE, PLUGIN, QUIET, Neovim, both, newest


@both
def test_the_command_completes_its_words(nvim, tmp_path):
    nvim.open(tmp_path / "a.py", OLD_STYLE)

    def complete(line: str) -> list[str]:
        return nvim.nvim.funcs.getcompletion(line, "cmdline")

    assert complete("Redraft re") == ["refactor", "restart"]
    nvim.until(lambda: IS_NONE in complete("Redraft refactor "), "the server's presets are offered")
    nvim.until(
        lambda: complete("Redraft refactor use `is None` i") == ["instead of `== None`"], "the last words are"
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
    nvim.until(lambda: "none of cancel, fix, log" in nvim.heard()[-1], "it says what it knows")


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
