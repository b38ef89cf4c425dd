"""VS Code without a server: installing one, and what is said on the way."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.editors.conftest import host
from tests.e2e.editors.vscode_host import ROOT, Host
from tests.e2e.editors.vscode_steps import open_at_suggestion, see_suggestion
from tests.e2e.editors.vscode_window import BUTTON, DIALOG, PICK, TOAST, VSCode, until

SOURCE = ("pyproject.toml", "README.md", "LICENSE", "lsp_server", "model", "kernels")
INSTALL = "Redraft: Install Server…"
SLOW = 900.0
"""Seconds for pip to fetch and install 260 MB."""


@pytest.fixture(scope="module")
def vscode(tmp_path_factory: pytest.TempPathFactory) -> Iterator[VSCode]:
    """A window of a machine where no server is installed."""
    code = Host(host("vscode", "bin/code-server"), tmp_path_factory.mktemp("bare"))
    try:
        code.start(path="")
        yield code.window(code.folder / "workspace")
    finally:
        code.end()


def test_a_server_is_offered_where_there_is_none(vscode: VSCode, screenshots: Path):
    open_at_suggestion(vscode, "a.py")
    vscode.see_status("no server")
    assert "Install…" in vscode.see_toast("none was found")
    vscode.do("click", f"{TOAST} .monaco-button:has-text('Install')")
    vscode.see_title("where should the server be installed from?")
    vscode.screenshot(screenshots / "vscode-install.png")
    assert len(vscode.do("texts", PICK)) == 2
    vscode.do("press", "Escape")
    vscode.command("Redraft: Run Doctor")
    vscode.see_toast("no server to examine")
    vscode.dismiss()


def test_nothing_is_installed_without_consent(vscode: VSCode, screenshots: Path):
    vscode.host.set_machine(**{"redraft.server.requirement": "/nowhere/redraft"})
    ask(vscode)
    vscode.screenshot(screenshots / "vscode-install-consent.png")
    vscode.do("click", f"{BUTTON}:has-text('Cancel')")
    until(lambda: not vscode.do("texts", DIALOG), "the dialog is gone")
    assert not environment(vscode).exists()


def test_an_install_that_fails_says_why(vscode: VSCode, screenshots: Path):
    vscode.host.set_machine(**{"redraft.server.requirement": "/nowhere/redraft"})
    install(vscode)
    said = vscode.see_toast("installing packages failed")
    vscode.screenshot(screenshots / "vscode-install-failed.png")
    assert "/nowhere/redraft" in said
    assert "Try Again" in said
    assert "Show Log" in said
    assert not environment(vscode).exists()
    vscode.see_status("no server")
    vscode.dismiss()


def test_an_install_is_cancelled(vscode: VSCode):
    slow = vscode.host.folder / "slow python"
    slow.write_text(
        '#!/bin/sh\ncase " $* " in *" -m venv "*) echo $$ >"$0.pid"; exec sleep 600 ;; esac\necho 3.11\n'
    )
    slow.chmod(0o755)
    vscode.host.set_machine(**{"redraft.server.requirement": "x", "redraft.server.python": str(slow)})
    install(vscode)
    vscode.see_toast("making an environment")
    pid = until(lambda: Path(f"{slow}.pid").exists() and Path(f"{slow}.pid").read_text().strip(), "it runs")
    vscode.do("click", f"{TOAST} :text('Cancel')")
    until(lambda: not Path(f"/proc/{pid}").exists(), "the step is ended")
    until(lambda: not vscode.do("texts", f"{TOAST}:has-text('installing')"), "the notification is gone")
    vscode.see_status("no server")
    assert not environment(vscode).exists()
    vscode.dismiss()


def test_a_python_that_will_not_do_is_named(vscode: VSCode):
    old = vscode.host.folder / "old python"
    old.write_text("#!/bin/sh\necho 3.9\n")
    old.chmod(0o755)
    vscode.host.set_machine(**{"redraft.server.requirement": "x", "redraft.server.python": str(old)})
    install(vscode)
    assert "version 3.9 is too old" in vscode.see_toast("the server needs Python")
    vscode.dismiss()


@pytest.mark.timeout(SLOW + 300)
def test_a_server_is_installed_from_source(vscode: VSCode):
    source = vscode.host.folder / "söurce"
    source.mkdir()
    for name in SOURCE:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy2
        copy(ROOT / name, source / name)
    vscode.host.set_machine(**{"redraft.server.requirement": str(source)})
    where = open_at_suggestion(vscode, "b.py")
    install(vscode)
    vscode.see_status("Ready", "ready", "tiny", patience=SLOW)
    assert environment(vscode).exists()
    see_suggestion(vscode, where)
    vscode.do("press", "Escape")


def ask(vscode: VSCode) -> None:
    vscode.command(INSTALL)
    vscode.see_dialog("Install Redraft’s server?")


def install(vscode: VSCode) -> None:
    ask(vscode)
    vscode.do("click", f"{BUTTON}:has-text('Install')")


def environment(vscode: VSCode) -> Path:
    """The extension's own, in its storage."""
    return vscode.host.folder / "data" / "User" / "globalStorage" / "redraft.redraft" / "server"
