"""VS Code: grey text, fixes and settings, with the packaged extension, the real server and the embedded model.

Timings are printed, never asserted.
"""

from __future__ import annotations

from pathlib import Path
from statistics import quantiles
from time import perf_counter
from typing import Any

import pytest

from tests.e2e.editors.vscode_steps import (
    AT,
    BROKEN,
    EQUAL,
    choose_action,
    open_at_suggestion,
    see_suggestion,
)
from tests.e2e.editors.vscode_window import VSCode, until

SAMPLES = 20
TYPED = "".join(
    EQUAL.replace("Point", f"Point{i}").replace("x", f"x{i}").replace("y", f"y{i}") + "\n\n"
    for i in range(SAMPLES)
)


def test_grey_text_appears_while_typing(vscode: VSCode, screenshots: Path):
    where = open_at_suggestion(vscode, "type.py")
    vscode.see_status("Ready", "ready", "tiny")
    see_suggestion(vscode, where)
    vscode.screenshot(screenshots / "vscode-ghost-text.png")
    vscode.screenshot(screenshots / "vscode-status.png")
    vscode.do("press", "Escape")
    until(lambda: not vscode.ghost(), "the grey text is gone")


def test_tab_takes_all(vscode: VSCode):
    where = open_at_suggestion(vscode, "all.py")
    see_suggestion(vscode, where)
    vscode.do("press", "Tab")
    until(lambda: where.suggestion not in vscode.ghost(), "the suggestion is taken")
    vscode.do("press", "Escape")
    assert vscode.save("all.py") == where.taken


def test_a_word_is_taken(vscode: VSCode):
    where = open_at_suggestion(vscode, "word.py")
    see_suggestion(vscode, where)
    vscode.do("press", "Control+ArrowRight")
    rest = until(lambda: vscode.ghost().removesuffix(where.suggestion), "a word is taken")
    assert where.suggestion.endswith(rest)
    vscode.do("press", "Escape")
    assert vscode.save("word.py") == where.typed + where.suggestion.removesuffix(rest) + "\n"


def test_who_asks_can_choose(vscode: VSCode, screenshots: Path):
    """Several suggestions for a request that somebody made; the next one takes the place of the first."""
    lines = EQUAL.split("\n")[: AT[0]]
    vscode.open_new("choose.py", "\n".join(lines) + "\n", *AT)
    vscode.see_status("Ready", "ready", "tiny")
    vscode.command("Trigger Inline Suggestion")
    first = vscode.see_ghost()
    vscode.do("press", "Alt+]")
    until(lambda: vscode.ghost() not in ("", first), "another suggestion is shown")
    vscode.screenshot(screenshots / "vscode-choose.png")
    vscode.do("press", "Escape")


def test_the_light_bulb_fixes_a_dropped_colon(vscode: VSCode, screenshots: Path):
    vscode.open_new("fix.py", BROKEN, 2, 5)
    choose_action(vscode, "Fix this function", screenshots / "vscode-light-bulb.png")
    until(lambda: "def total(prices):\n" in vscode.save("fix.py"), "the colon is there")
    assert vscode.save("fix.py") == BROKEN.replace("(prices)\n", "(prices):\n")


def test_settings_are_live(vscode: VSCode, screenshots: Path):
    where = open_at_suggestion(vscode, "live.py")
    pid = vscode.server_pid()
    vscode.command("Redraft: Turn On or Off")
    vscode.see_status("off")
    vscode.screenshot(screenshots / "vscode-status-off.png")
    vscode.do("type", where.key)
    with pytest.raises(AssertionError):
        until(vscode.ghost, "grey text appears", patience=3)
    vscode.command("Redraft: Turn On or Off")
    vscode.see_status("Ready", "ready", "tiny")
    vscode.do("press", "Backspace")
    vscode.do("type", where.key)
    vscode.see_ghost()
    assert vscode.server_pid() == pid


def test_paths_with_spaces_and_other_letters(vscode: VSCode):
    name = "ünï cödé/päth with spaces.py"
    vscode.open_new(name, BROKEN, 2, 5)
    choose_action(vscode, "Fix this function")
    until(lambda: "def total(prices):\n" in vscode.save(name), "the colon is there")


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
        vscode.open_new("typed.py", TYPED)
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
