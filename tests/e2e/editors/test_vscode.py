"""VS Code: the packaged extension in the real editor, with the real server and the embedded model.

One window serves all tests, each of which has files of its own. Timings are printed, never asserted.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from statistics import quantiles
from time import perf_counter, sleep
from typing import Any

import pytest

from tests.e2e.editors.conftest import host
from tests.e2e.editors.vscode_host import ACTION, APPLY, PICK, PREVIEW, STATUS, TOAST, VSCode, until

EQUAL = """class Point:
    def __init__(self, x, y):
        self.x = x
        self.y = y

    def __eq__(self, other):
        return self.x == other.x and
"""
SUGGESTED = "self.x == other.x"
AT = (7, 37)  # behind `and`

BROKEN = """def total(prices)
    result = 0
    for price in prices:
        result += price
    return result
"""

OLD = """def label(item):
    if item == None:
        return "none"
    return item.name


def first(items):
    if items == None or len(items) == 0:
        return None
    return items[0]
"""
INSTRUCTION = "use `is None` instead of `== None`"
LONG = "".join(
    f"def label_{i}(item, other):\n    if item == None:\n        return other.label_{i}\n"
    f"    return item.name_{i} + other.name_{i}\n\n\n"
    for i in range(380)
)
SAMPLES = 20
TYPED = "".join(
    EQUAL.replace("Point", f"Point{i}").replace("x", f"x{i}").replace("y", f"y{i}") + "\n\n"
    for i in range(SAMPLES)
)

FILES = {
    "type.py": EQUAL,
    "all.py": EQUAL,
    "word.py": EQUAL,
    "fix.py": BROKEN,
    "refactor.py": OLD,
    "cancel.py": LONG,
    "restart.py": EQUAL,
    "live.py": EQUAL,
    "missing.py": EQUAL,
    "ünï cödé/päth with spaces.py": BROKEN,
    "crlf.py": OLD.replace("\n", "\r\n"),
    "read_only.py": OLD,
    "typed.py": TYPED,
}


@pytest.fixture(scope="module")
def vscode(tmp_path_factory: pytest.TempPathFactory) -> Iterator[VSCode]:
    program = host("vscode", "bin/code-server")
    folder = tmp_path_factory.mktemp("vscode")
    workspace = folder / "wörk space"
    for name, text in FILES.items():
        path = workspace / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode())
    editor = VSCode(program, folder, workspace)
    try:
        editor.start()
        yield editor
    finally:
        editor.end()


def test_grey_text_appears_while_typing(vscode: VSCode, screenshots: Path):
    vscode.open("type.py", *AT)
    vscode.see_status("Ready", "ready", "tiny")
    vscode.do("type", " ")
    assert SUGGESTED in vscode.see_ghost()
    vscode.screenshot(screenshots / "vscode-ghost-text.png")
    vscode.screenshot(screenshots / "vscode-status.png")
    vscode.do("press", "Escape")
    until(lambda: not vscode.ghost(), "the grey text is gone")


def test_tab_takes_all(vscode: VSCode):
    vscode.open("all.py", *AT)
    vscode.do("type", " ")
    vscode.see_ghost()
    vscode.do("press", "Tab")
    until(lambda: SUGGESTED not in vscode.ghost(), "the suggestion is taken")
    vscode.do("press", "Escape")
    assert f"other.x and {SUGGESTED}" in vscode.save("all.py")


def test_a_word_is_taken(vscode: VSCode):
    vscode.open("word.py", *AT)
    vscode.do("type", " ")
    whole = vscode.see_ghost()
    vscode.do("press", "Control+ArrowRight")
    rest = until(lambda: vscode.ghost() not in ("", whole) and vscode.ghost(), "a word is taken")
    assert whole.endswith(rest)
    vscode.do("press", "Escape")
    last = vscode.save("word.py").rstrip("\n").splitlines()[-1]
    assert last.endswith("and self"), last


def test_the_light_bulb_fixes_a_dropped_colon(vscode: VSCode, screenshots: Path):
    vscode.open("fix.py", 2, 5)
    choose_action(vscode, "Fix this function", screenshots / "vscode-light-bulb.png")
    until(lambda: "def total(prices):\n" in vscode.save("fix.py"), "the colon is there")
    assert vscode.save("fix.py") == BROKEN.replace("(prices)\n", "(prices):\n")


def test_a_refactoring_is_shown_then_applied(vscode: VSCode, screenshots: Path):
    vscode.open("refactor.py")
    refactor(vscode)
    tick_all(vscode)
    vscode.screenshot(screenshots / "vscode-refactor-preview.png")
    assert (vscode.workspace / "refactor.py").read_text() == OLD
    vscode.do("click", APPLY)
    until(lambda: vscode.save("refactor.py") != OLD, "the edits are applied")
    assert vscode.save("refactor.py") == OLD.replace("== None", "is None")


def test_what_was_asked_before_is_offered_again(vscode: VSCode, screenshots: Path):
    vscode.open("refactor.py")
    ask_instruction(vscode)
    rows = until(lambda: vscode.do("texts", PICK), "instructions are listed")
    vscode.screenshot(screenshots / "vscode-instruction.png")
    assert INSTRUCTION in rows[0], rows
    assert "given before" in rows[0], rows
    assert any("super()" in row for row in rows), rows
    vscode.do("press", "Escape")


def test_a_refactoring_is_cancelled(vscode: VSCode, screenshots: Path):
    vscode.open("cancel.py")
    refactor(vscode)
    vscode.see_toast(INSTRUCTION)
    vscode.screenshot(screenshots / "vscode-progress.png")
    vscode.do("click", f"{TOAST} :text('Cancel')")
    until(lambda: not vscode.do("texts", TOAST), "the notification is gone")
    vscode.see_status("Ready", "ready", "tiny")
    assert not vscode.do("texts", PREVIEW)
    assert vscode.save("cancel.py") == LONG


def test_a_killed_server_comes_back(vscode: VSCode):
    vscode.open("restart.py", *AT)
    pid = vscode.server_pid()
    os.kill(pid, signal.SIGKILL)
    until(lambda: vscode.server_pid() != pid, "another process runs")
    vscode.see_status("Ready", "ready", "tiny")
    vscode.do("type", " ")
    assert SUGGESTED in vscode.see_ghost()
    assert not vscode.do("texts", TOAST)


def test_settings_are_live(vscode: VSCode, screenshots: Path):
    vscode.open("live.py", *AT)
    pid = vscode.server_pid()
    vscode.command("Redraft: Turn On or Off")
    vscode.see_status("off")
    vscode.screenshot(screenshots / "vscode-status-off.png")
    vscode.do("type", " ")
    with pytest.raises(AssertionError):
        until(vscode.ghost, "grey text appears", patience=3)
    vscode.command("Redraft: Turn On or Off")
    vscode.see_status("Ready", "ready", "tiny")
    vscode.do("press", "Backspace")
    vscode.do("type", " ")
    vscode.see_ghost()
    assert vscode.server_pid() == pid


def test_paths_with_spaces_and_other_letters(vscode: VSCode):
    name = "ünï cödé/päth with spaces.py"
    vscode.open("päth with spaces.py", 2, 5)
    choose_action(vscode, "Fix this function")
    until(lambda: "def total(prices):\n" in vscode.save(name), "the colon is there")


def test_crlf_stays(vscode: VSCode):
    vscode.open("crlf.py")
    refactor(vscode)
    tick_all(vscode)
    vscode.do("click", APPLY)
    until(lambda: "is None" in vscode.save("crlf.py"), "the edits are applied")
    assert vscode.save("crlf.py") == FILES["crlf.py"].replace("== None", "is None")


def test_a_read_only_file_stays_as_it_is(vscode: VSCode):
    vscode.open("read_only.py")
    vscode.do("press", "F1")
    vscode.fill(">Redraft: ")
    rows = until(lambda: vscode.do("texts", PICK), "commands are listed")
    assert any("Restart Server" in row for row in rows), rows
    assert not any("Refactor File…" in row for row in rows), rows
    vscode.do("press", "Escape")
    vscode.do("press", "Escape")


def test_a_missing_server_is_said(vscode: VSCode, screenshots: Path):
    vscode.open("missing.py", *AT)
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
    vscode.set_server(str(vscode.server))
    vscode.see_status("Ready", "ready", "tiny")


def test_a_server_that_keeps_crashing_is_said_once(vscode: VSCode, screenshots: Path):
    vscode.open("missing.py", *AT)
    crashing = vscode.folder / "crashing"
    crashing.write_text("#!/bin/sh\necho started >>$0.count\necho 'the disk is on fire' >&2\nexit 3\n")
    crashing.chmod(0o755)
    vscode.set_server(str(crashing))
    assert "the disk is on fire" in vscode.see_toast("could not be started")
    assert len(vscode.do("texts", TOAST)) == 1
    assert (vscode.folder / "crashing.count").read_text().count("started") == 2
    vscode.screenshot(screenshots / "vscode-crashing.png")
    vscode.dismiss()
    vscode.set_server(str(vscode.server))
    vscode.see_status("Ready", "ready", "tiny")


def test_the_server_ends_with_the_window(vscode: VSCode):
    vscode.open("restart.py")
    pid = vscode.server_pid()
    vscode.command("Developer: Reload Window")
    until(lambda: not Path(f"/proc/{pid}").exists(), "the old window's server has ended")
    until(lambda: vscode.server_pid() != pid, "the new window has its own")
    vscode.see_status("Ready", "ready", "tiny")


async def test_from_the_key_to_grey_text(
    vscode: VSCode, make_editor: Any, capsys: pytest.CaptureFixture[str]
):
    """Printed beside the server's own time for the same texts, asked for without the rest in typing."""
    shown = list(filter(None, [key_to_grey_text(vscode, i) for i in range(SAMPLES)]))
    server = await own_times(make_editor())
    assert len(shown) > SAMPLES // 2
    with capsys.disabled():
        print(f"\nVS Code, key to grey text: {percentiles(shown)}; the server alone: {percentiles(server)}")


def key_to_grey_text(vscode: VSCode, sample: int) -> float | None:
    line = sample * (EQUAL.count("\n") + 2) + AT[0]
    if sample == 0:
        vscode.open("typed.py")
    text = TYPED.splitlines()[line - 1]
    vscode.go(line, len(text) + 1)
    found = vscode.do("latency", " ", 5_000)
    vscode.do("press", "Escape")
    return found


async def own_times(editor: Any) -> list[float]:
    """What the server takes for the same texts, one after the other as they were typed."""
    try:
        await editor.start()
        await editor.ready()
        uri = editor.open(TYPED)
        times: list[float] = []
        at = 0
        for _ in range(SAMPLES):
            at = editor.text[uri].index(" and\n", at) + len(" and")
            editor.type(uri, at, at, " ")
            began = perf_counter()
            found = await editor.wait(editor.inline(uri, at + 1))
            if found.items:
                times.append((perf_counter() - began) * 1000)
        return times
    finally:
        await editor.kill()


def percentiles(times: list[float]) -> str:
    cuts = quantiles(times, n=20, method="inclusive")
    return f"p50 {cuts[9]:.0f} ms, p95 {cuts[18]:.0f} ms (of {len(times)})"


def choose_action(vscode: VSCode, title: str, picture: Path | None = None) -> None:
    """Open the list of code actions at the cursor and take one."""

    def offered() -> bool:
        if not vscode.do("texts", ACTION):  # the same key takes an action where the list is open
            vscode.do("press", "Control+.")
            sleep(1)
        return any(title in row for row in vscode.do("texts", ACTION))

    until(offered, f"the light bulb offers {title!r}")
    if picture:
        vscode.screenshot(picture)
    vscode.do("click", f"{ACTION}:has-text('{title}')")


def ask_instruction(vscode: VSCode) -> None:
    vscode.command("Redraft: Refactor File…")
    until(
        lambda: "Refactor File" in "".join(vscode.do("texts", ".quick-input-title")),
        "an instruction is asked",
    )


def refactor(vscode: VSCode) -> None:
    ask_instruction(vscode)
    vscode.pick(INSTRUCTION)


def tick_all(vscode: VSCode) -> None:
    """In the preview: take every edit. The first box is the file's."""
    until(lambda: vscode.do("texts", f"{PREVIEW} .monaco-list-row"), "the preview lists edits")
    vscode.do("click", f"{PREVIEW} .monaco-list-row .edit-checkbox")
