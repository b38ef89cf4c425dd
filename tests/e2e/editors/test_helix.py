"""The real Helix in a terminal, with the configuration that docs/editors.md gives and the real server."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from .conftest import ROOT, host
from .neovim import BROKEN, MENDED
from .places import Place, place, places
from .terminal import Terminal

ESCAPE = "\x1b"
CONTROL_X = "\x18"
READY = '"state":"ready"'

Start = Callable[..., Terminal]


def snippet(command: list[str]) -> str:
    """What docs/editors.md has people write, with another command."""
    text = (ROOT / "docs" / "editors.md").read_text("utf-8")
    found = re.search(r"^## Helix$.*?^```toml\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    assert found
    config, count = re.subn(r'^command = ".*?"$', f'command = "{command[0]}"', found[1], flags=re.MULTILINE)
    assert count == 1
    arguments = ", ".join(f"'''{argument}'''" for argument in command[1:])
    config, count = re.subn(
        r"^args = \[.*?\]$", lambda _: f"args = [{arguments}]", config, flags=re.MULTILINE
    )
    assert count == 1
    return config


@pytest.fixture
def start(tmp_path: Path, command_line: Callable[..., list[str]]) -> Iterator[Start]:
    open_ones: list[Terminal] = []
    folder = tmp_path / ".config" / "helix"
    folder.mkdir(parents=True)
    log = tmp_path / "log"

    def start(file: Path, more: str = "") -> Terminal:
        program = str(host("helix", "bin/hx"))
        (folder / "languages.toml").write_text(snippet(command_line("--stdio")) + more, "utf-8")
        environment = {"HOME": str(tmp_path), "PATH": os.environ["PATH"]}
        command = [program, "-vv", "--log", str(log), str(file)]
        helix = Terminal(command, tmp_path, environment)
        open_ones.append(helix)
        helix.until(lambda: log.exists() and READY in log.read_text("utf-8"), "the server is ready")
        return helix

    yield start
    for helix in open_ones:
        helix.close()


def test_the_fix_is_among_the_code_actions_and_changes_the_file(start: Start, tmp_path: Path):
    file = tmp_path / "größe.py"
    file.write_text(BROKEN, "utf-8")
    helix = start(file)
    helix.send(" a")
    helix.shows("Fix this function")
    assert "Use super() without arguments" not in helix.text(), "there is none in the function"
    helix.send("\r")
    helix.shows("height):")
    helix.send(":write\r")
    helix.until(lambda: file.read_text("utf-8") == MENDED, "the colon is in the file")
    helix.send("u")
    helix.until(lambda: "height):" not in helix.text(), "the fix is one undo step")


def test_a_refactoring_is_applied(start: Start, tmp_path: Path):
    file = tmp_path / "a.py"
    file.write_text("def f(a):\n    if a == None:\n        return 1\n    return 2\n", "utf-8")
    helix = start(file)
    helix.send(" a")
    helix.shows("Use `is None`")
    helix.send("\t")  # the first one is the fix
    helix.read(0.5)
    helix.send("\r")
    helix.shows("if a is None:")


def test_a_suggestion_is_a_completion_item(start: Start, tmp_path: Path):
    where = next(one for one in places(inline=False) if one.key.isalnum())
    file = tmp_path / "a.py"
    file.write_text(where.file, "utf-8")
    helix = start(file)
    helix.send("geA")
    helix.shows(" INS ")
    helix.send(where.key)
    helix.until(lambda: item(where) in helix.text(), "it comes by itself in a word")
    helix.send("\t")
    helix.shows("Redraft")  # the item's description
    helix.send(ESCAPE)
    helix.shows(" NOR ")  # what follows an escape at once would be a key with Alt
    helix.send(":write\r")
    helix.until(lambda: file.read_text("utf-8") == where.taken, "it is in the file")


def test_a_key_asks(start: Start, tmp_path: Path):
    where = place(inline=False)
    file = tmp_path / "a.py"
    file.write_text(where.typed + "\n", "utf-8")
    helix = start(file)
    helix.send("geA")
    helix.shows(" INS ")
    helix.send(CONTROL_X)
    helix.until(lambda: item(where) in helix.text(), "there is an item")


def item(where: Place) -> str:
    """What a list shows of a suggestion: its first line, with the word before it."""
    word = re.search(r"\w*$", where.typed)
    assert word
    return word[0] + where.suggestion.split("\n")[0]


def test_settings_stand_in_the_configuration(start: Start, tmp_path: Path):
    file = tmp_path / "a.py"
    file.write_text(BROKEN, "utf-8")
    helix = start(file, "\n[language-server.redraft.config.redraft]\ndisabledLanguages = ['python']\n")
    helix.send(" a")
    helix.until(lambda: re.search("[Nn]o code actions|off for python", helix.text()), "it is off")
    assert "Fix this function" not in helix.text()
    assert "unknown setting" not in (tmp_path / "log").read_text("utf-8")
