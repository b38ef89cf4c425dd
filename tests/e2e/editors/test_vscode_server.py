"""VS Code: the server's life, as the user sees it: crashes, wrong paths, a window that closes."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from tests.e2e.editors.vscode_steps import open_at_suggestion, see_suggestion
from tests.e2e.editors.vscode_window import STATUS, TOAST, VSCode, until


def test_a_killed_server_comes_back(vscode: VSCode):
    where = open_at_suggestion(vscode, "restart.py")
    pid = vscode.server_pid()
    os.kill(pid, signal.SIGKILL)
    until(lambda: vscode.server_pid() != pid, "another process runs")
    vscode.see_status("Ready", "ready", "tiny")
    see_suggestion(vscode, where)
    assert not vscode.do("texts", TOAST)


def test_a_missing_server_is_said(vscode: VSCode, screenshots: Path):
    open_at_suggestion(vscode, "missing.py")
    vscode.set_server("/nowhere/redraft")
    vscode.see_toast("/nowhere/redraft")
    vscode.see_status("no server")
    vscode.screenshot(screenshots / "vscode-no-server.png")
    vscode.dismiss()
    vscode.set_server("")
    vscode.see_toast("none was found")
    vscode.dismiss()
    vscode.do("click", f"{STATUS} a")
    vscode.see_title("none was found")
    vscode.screenshot(screenshots / "vscode-menu.png")
    vscode.do("press", "Escape")
    vscode.use_server(vscode.host.server)


def test_a_server_that_keeps_crashing_is_said_once(vscode: VSCode, screenshots: Path):
    open_at_suggestion(vscode, "missing.py")
    crashing = vscode.host.folder / "crashing"
    crashing.write_text("#!/bin/sh\necho started >>$0.count\necho 'the disk is on fire' >&2\nexit 3\n")
    crashing.chmod(0o755)
    vscode.set_server(str(crashing))
    assert "the disk is on fire" in vscode.see_toast("could not be started")
    assert len(vscode.do("texts", TOAST)) == 1
    assert (vscode.host.folder / "crashing.count").read_text().count("started") == 2
    vscode.screenshot(screenshots / "vscode-crashing.png")
    vscode.dismiss()
    vscode.use_server(vscode.host.server)


def test_the_server_ends_with_the_window(vscode: VSCode):
    open_at_suggestion(vscode, "restart.py")
    pid = vscode.server_pid()
    vscode.command("Developer: Reload Window")
    until(lambda: not Path(f"/proc/{pid}").exists(), "the old window's server has ended")
    until(lambda: vscode.server_pid() != pid, "the new window has its own")
    vscode.see_status("Ready", "ready", "tiny")
