"""Code that the embedded model completes, fixes or refactors, and how a user asks for it."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from time import sleep

from tests.e2e.editors.places import Place, has_parts, place
from tests.e2e.editors.vscode_window import ACTION, PREVIEW, VSCode, until

EQUAL = """class Point:
    def __init__(self, x, y):
        self.x = x
        self.y = y

    def __eq__(self, other):
        return self.x == other.x and
"""
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


def first(items, default):
    if items == None:
        return default
    return items[0]
"""
INSTRUCTION = "use `is None` instead of `== None`"


def labels(count: int) -> str:
    return "".join(
        f"def label_{i}(item, other):\n    if item == None:\n        return other.label_{i}\n"
        f"    return item.name_{i} + other.name_{i}\n\n\n"
        for i in range(count)
    )


LONG = labels(380)
FEW = labels(3)


def open_at_suggestion(vscode: VSCode, name: str) -> Place:
    """Open a file with the cursor where a key brings a suggestion of several words."""
    where = place(has_parts)
    lines = where.before.split("\n")
    vscode.open_new(name, where.file, len(lines), len(lines[-1]) + 1)
    return where


def see_suggestion(vscode: VSCode, where: Place) -> None:
    vscode.do("type", where.key)
    assert where.suggestion in vscode.see_ghost()


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
    """Have the instruction asked; a key that a slow window has lost is pressed again."""

    def asked() -> bool:
        if not is_asked():
            vscode.command("Redraft: Refactor File…")
            with suppress(AssertionError):
                until(is_asked, "an instruction is asked", patience=10)
        return is_asked()

    def is_asked() -> bool:
        return "Refactor File" in "".join(vscode.do("texts", ".quick-input-title"))

    until(asked, "an instruction is asked")


def refactor(vscode: VSCode) -> None:
    ask_instruction(vscode)
    vscode.pick(INSTRUCTION)


def tick_all(vscode: VSCode) -> None:
    """In the preview: take every edit. The first box is the file's."""
    until(lambda: vscode.do("texts", f"{PREVIEW} .monaco-list-row"), "the preview lists edits")
    vscode.do("click", f"{PREVIEW} .monaco-list-row .edit-checkbox")
