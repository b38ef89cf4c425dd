"""VS Code: refactorings, from the instruction to the applied edit."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.editors.vscode_steps import (
    FEW,
    INSTRUCTION,
    LONG,
    OLD,
    ask_instruction,
    refactor,
    tick_all,
)
from tests.e2e.editors.vscode_window import APPLY, PICK, PREVIEW, TOAST, VSCode, until

SLOW = (
    "import time; from model.engine import EngineRun; frames = EngineRun.frames; "
    "EngineRun.frames = lambda run: (time.sleep(1.5), frames(run))[1]"
)


def test_a_refactoring_is_shown_then_applied(vscode: VSCode, screenshots: Path):
    vscode.open_new("refactor.py", OLD)
    refactor(vscode)
    tick_all(vscode)
    vscode.screenshot(screenshots / "vscode-refactor-preview.png")
    assert (vscode.workspace / "refactor.py").read_text() == OLD
    vscode.do("click", APPLY)
    until(lambda: vscode.save("refactor.py") != OLD, "the edits are applied")
    assert vscode.save("refactor.py") == OLD.replace("== None", "is None")


def test_what_was_asked_before_is_offered_again(vscode: VSCode, screenshots: Path):
    vscode.open_new("again.py", OLD + "\n\nclass A(B):\n    def f(self):\n        super(A, self).f()\n")
    ask_instruction(vscode)
    rows = until(
        lambda: (rows := vscode.do("texts", PICK)) and "super" in " ".join(rows) and rows,
        "what the model could do is listed",
    )
    vscode.screenshot(screenshots / "vscode-instruction.png")
    assert INSTRUCTION in rows[0], rows
    assert "given before" in rows[0], rows
    vscode.do("press", "Escape")


def test_a_refactoring_is_cancelled(vscode: VSCode, screenshots: Path):
    vscode.open_new("cancel.py", LONG)
    refactor(vscode)
    vscode.see_toast(INSTRUCTION)
    vscode.screenshot(screenshots / "vscode-progress.png")
    vscode.do("click", f"{TOAST} :text('Cancel')")
    until(lambda: not vscode.do("texts", TOAST), "the notification is gone")
    vscode.see_status("Ready", "ready", "tiny")
    assert not vscode.do("texts", PREVIEW)
    assert vscode.save("cancel.py") == LONG


def test_crlf_stays(vscode: VSCode):
    text = OLD.replace("\n", "\r\n")
    vscode.open_new("crlf.py", text)
    refactor(vscode)
    tick_all(vscode)
    vscode.do("click", APPLY)
    until(lambda: "is None" in vscode.save("crlf.py"), "the edits are applied")
    assert vscode.save("crlf.py") == text.replace("== None", "is None")


def test_a_read_only_file_stays_as_it_is(vscode: VSCode):
    vscode.open_new("read_only.py", OLD)
    vscode.do("press", "F1")
    vscode.fill(">Redraft: ")
    rows = until(lambda: vscode.do("texts", PICK), "commands are listed")
    assert any("Restart Server" in row for row in rows), rows
    assert not any("Refactor File…" in row for row in rows), rows
    vscode.do("press", "Escape")
    vscode.do("press", "Escape")


@pytest.fixture
def slow(vscode: VSCode) -> Iterator[VSCode]:
    """A server that takes its time for each step, so that there is something to see."""
    vscode.open_new("slow.py", OLD)
    vscode.use_server(vscode.host.write_server("slow", SLOW))
    yield vscode
    vscode.use_server(vscode.host.server)


def test_denoising_is_shown_and_nothing_is_changed(slow: VSCode, screenshots: Path):
    """The document's text stays, in the editor and for the server, until the edits are applied."""
    slow.open_new("live_preview.py", LONG)
    refactor(slow)
    until(lambda: "is None" in slow.behind_lines(), "what would come is shown behind a line")
    slow.screenshot(screenshots / "vscode-live-preview.png")
    assert not slow.do("texts", ".tab.active.dirty")
    assert "item == None" in slow.text()
    assert "item is None" not in slow.text()
    slow.do("click", f"{TOAST} :text('Cancel')")
    until(lambda: not slow.behind_lines(), "the decorations are gone")
    slow.see_status("Ready", "ready", "tiny")
    assert not slow.do("texts", PREVIEW)
    assert slow.save("live_preview.py") == LONG


def test_typing_ends_the_live_preview(slow: VSCode):
    """What is typed elsewhere moves the edits along; the rest is as without it."""
    slow.open_new("typed_meanwhile.py", "import os\n\n\n" + FEW)
    refactor(slow)
    until(lambda: "is None" in slow.behind_lines(), "what would come is shown behind a line")
    slow.do("insert", "# typed\n")
    until(lambda: not slow.behind_lines(), "the decorations are gone")
    slow.see_toast("regions")  # it goes on
    tick_all(slow)
    assert not slow.behind_lines()
    slow.do("click", APPLY)
    until(lambda: "is None" in slow.save("typed_meanwhile.py"), "the edits are applied")
    changed = "# typed\nimport os\n\n\n" + FEW.replace("== None", "is None")
    assert slow.save("typed_meanwhile.py") == changed


def test_typing_into_what_is_refactored_gives_it_up(slow: VSCode):
    slow.open_new("stale.py", FEW)
    refactor(slow)
    until(lambda: "is None" in slow.behind_lines(), "what would come is shown behind a line")
    slow.do("insert", "# typed\n")
    slow.see_toast("the code was changed meanwhile")
    assert not slow.behind_lines()
    slow.dismiss()
    assert slow.save("stale.py") == "# typed\n" + FEW


def test_a_live_preview_ends_with_the_refactoring(slow: VSCode):
    slow.open_new("whole.py", FEW)
    refactor(slow)
    until(lambda: "is None" in slow.behind_lines(), "what would come is shown behind a line")
    tick_all(slow)
    assert not slow.behind_lines()
    slow.do("click", f"{PREVIEW} .monaco-button:has-text('Discard')")
    until(lambda: not slow.do("texts", f"{PREVIEW} .monaco-list-row"), "the preview is left")
    assert slow.save("whole.py") == FEW
    assert not slow.do("texts", TOAST)
