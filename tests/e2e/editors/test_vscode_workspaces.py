"""VS Code: workspaces that are not trusted, several windows, files that are left alone, models, first steps."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.editors.conftest import host
from tests.e2e.editors.vscode_host import Host
from tests.e2e.editors.vscode_steps import OLD, open_at_suggestion, refactor, see_suggestion
from tests.e2e.editors.vscode_window import PANEL, PICK, TOAST, VSCode, until


@pytest.fixture
def restricted(tmp_path: Path) -> Iterator[VSCode]:
    """A window on a folder that is not trusted, and whose settings name programs and a model of its own."""
    code = Host(host("vscode", "bin/code-server"), tmp_path)
    workspace = tmp_path / "foreign"
    settings = workspace / ".vscode" / "settings.json"
    settings.parent.mkdir(parents=True)
    evil = tmp_path / "evil"
    evil.write_text(f"#!/bin/sh\ntouch '{tmp_path}/pwned'\n")
    evil.chmod(0o755)
    settings.write_text(
        json.dumps({"redraft.server.path": str(evil), "redraft.model": "/the/workspace's/model"})
    )
    try:
        code.start(trust=True, **{"security.workspace.trust.startupPrompt": "never"})
        yield code.window(workspace)
    finally:
        code.end()


@pytest.mark.timeout(600)
def test_a_workspace_that_is_not_trusted_chooses_nothing(restricted: VSCode, screenshots: Path):
    """The server runs, with the user's settings; trusted, the workspace may choose the model, never the program."""
    where = open_at_suggestion(restricted, "a.py")
    until(lambda: "Restricted Mode" in shown(restricted), "the window is in restricted mode")
    restricted.see_status("Ready", "ready", "tiny")
    see_suggestion(restricted, where)
    restricted.screenshot(screenshots / "vscode-restricted.png")
    restricted.do("press", "Escape")
    restricted.command("Workspaces: Manage Workspace Trust")
    restricted.do("click", ".workspace-trust-editor .monaco-button:has-text('Trust')")
    restricted.see_toast("/the/workspace's/model")
    assert not (restricted.host.folder / "pwned").exists()


def shown(vscode: VSCode) -> str:
    """The status bar and the banner above everything."""
    where = ".statusbar-item, .statusbar-item *, .part.banner *"
    return " ".join(filter(None, [*vscode.do("texts", where), *vscode.do("labels", where)]))


@pytest.mark.timeout(600)
def test_two_windows_do_not_disturb_each_other(vscode: VSCode):
    where = open_at_suggestion(vscode, "one.py")
    first = vscode.server_pid()
    other = vscode.host.window(vscode.host.folder / "another")
    try:
        open_at_suggestion(other, "two.py")
        other.see_status("Ready", "ready", "tiny")
        second = other.server_pid()
        assert first != second
        for window in (vscode, other):
            see_suggestion(window, where)
            window.do("press", "Escape")
    finally:
        other.leave()
    until(lambda: not Path(f"/proc/{second}").exists(), "the closed window's server has ended")
    assert Path(f"/proc/{first}").exists()
    vscode.do("press", "Backspace")
    see_suggestion(vscode, where)
    vscode.do("press", "Escape")


def test_a_file_over_the_limit_is_left_alone(vscode: VSCode, screenshots: Path):
    vscode.open_new("large.py", OLD + "# padding\n" * 100_001)
    vscode.see_status("redraft.limits.maxFileBytes")
    vscode.do("type", " ")
    vscode.see_toast("more than redraft.limits.maxFileBytes")
    vscode.screenshot(screenshots / "vscode-too-large.png")
    vscode.dismiss()
    refactor(vscode)
    vscode.see_toast("more than redraft.limits.maxFileBytes")
    assert len(vscode.do("texts", TOAST)) == 1
    vscode.dismiss()
    vscode.open_new("small.py", OLD)
    vscode.see_status("Ready", "ready", "tiny")


def test_a_folder_without_a_model_is_said(vscode: VSCode, screenshots: Path):
    where = open_at_suggestion(vscode, "model.py")
    choose_model(vscode, "Choose a folder")
    until(
        lambda: "A model’s folder" in "".join(vscode.do("texts", ".quick-input-title")), "a folder is asked"
    )
    until(lambda: ".." in vscode.do("texts", PICK), "it begins in the workspace, whose folders are listed")
    vscode.do("click", ".quick-input-widget .monaco-button:has-text('Use')")
    said = vscode.see_toast("The model could not be loaded")
    vscode.screenshot(screenshots / "vscode-wrong-model.png")
    assert str(vscode.workspace) in said
    assert "Check redraft.model" in said
    vscode.dismiss()
    choose_model(vscode, "The embedded model")
    vscode.see_status("Ready", "ready", "tiny")
    see_suggestion(vscode, where)
    vscode.do("press", "Escape")


def choose_model(vscode: VSCode, entry: str) -> None:
    vscode.command("Redraft: Choose Model…")
    vscode.see_title("Choose Model")
    vscode.pick(entry)


def test_the_doctor_is_asked(vscode: VSCode, screenshots: Path):
    """This host writes no output channel's text (it lacks VS Code's native logger): only what is around it is seen."""
    calls = Path(f"{vscode.host.pids}.others")
    open_at_suggestion(vscode, "doctor.py")
    vscode.command("Redraft: Run Doctor")
    until(lambda: calls.exists() and "doctor --backend auto" in calls.read_text(), "the doctor runs")
    until(lambda: "Redraft Doctor" in "".join(vscode.do("texts", PANEL)), "its output is shown")
    until(lambda: "Redraft doctor" not in shown(vscode), "it is done")
    vscode.screenshot(screenshots / "vscode-doctor.png")
    assert not vscode.do("texts", TOAST)


def test_the_walkthrough_is_shown(vscode: VSCode, screenshots: Path):
    vscode.command("Welcome: Open Walkthrough...")
    vscode.pick("Get started with Redraft")
    until(lambda: "Connect the server" in "".join(vscode.do("texts", ".gettingStartedContainer")), "it opens")
    vscode.screenshot(screenshots / "vscode-walkthrough.png")
    steps = "".join(vscode.do("texts", ".gettingStartedContainer"))
    assert "Refactor by an instruction" in steps
    vscode.do("click", ".gettingStartedContainer .monaco-button:has-text('Set its path')")
    vscode.see_title("Set Path of the Server")
    vscode.do("press", "Escape")
