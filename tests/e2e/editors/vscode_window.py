"""A window of VS Code in a browser without a display, for a test to type into."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from tests.e2e.editors.vscode_host import Host

HERE = Path(__file__).parent
PATIENCE = 150.0

T = TypeVar("T")

GHOST = "[class*=ghost-text]"
TOAST = ".notifications-toasts .notification-list-item"
STATUS = ".statusbar-item[id*=redraft]"
INPUT = ".quick-input-widget:not([style*='display: none']) .quick-input-box input"
PICK = ".quick-input-widget .monaco-list-row"
PREVIEW = ".bulk-edit-panel"
APPLY = f"{PREVIEW} .monaco-button:has-text('Apply')"
ACTION = ".action-widget .monaco-list-row.action"
DIALOG = ".monaco-dialog-box"
BUTTON = f"{DIALOG} .monaco-button"
PANEL = ".part.panel"
EDITOR = ".editor-instance"


class Driver:
    """The browser's page, one call at a time."""

    def __init__(self, node: Path, modules: Path, data: Path) -> None:
        chromium = shutil.which("chromium")
        assert chromium, "chromium is missing"
        command = [str(node), str(HERE / "vscode" / "driver.mjs"), chromium, str(data), str(modules)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self._count = 0
        self._answer()

    def __call__(self, do: str, *args: Any) -> Any:
        self._count += 1
        assert self._process.stdin
        self._process.stdin.write(json.dumps({"id": self._count, "do": do, "args": args}) + "\n")
        self._process.stdin.flush()
        return self._answer()

    def _answer(self) -> Any:
        assert self._process.stdout
        line = self._process.stdout.readline()
        assert line, "the browser's driver has ended"
        answer = json.loads(line)
        assert "error" not in answer, answer["error"]
        return answer.get("value")

    def close(self) -> None:
        assert self._process.stdin
        self._process.stdin.close()
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()


class VSCode:
    """One window on one workspace folder. Methods do what a user does, and wait for what he would see."""

    def __init__(self, host: Host, driver: Driver, workspace: Path) -> None:
        self.host, self.workspace = host, workspace
        self._driver = driver

    def do(self, what: str, *arguments: Any) -> Any:
        """One action of the browser's driver."""
        return self._driver(what, *arguments)

    def close(self) -> None:
        self._driver.close()

    def leave(self) -> None:
        """Close the window as a user does, while the host goes on."""
        self.do("open", "about:blank")

    # what a user does

    def open(self, name: str, line: int = 1, column: int = 1) -> None:
        """Open a file of the workspace, with the cursor at a place."""

        def offered() -> bool:
            """The list of files is that of the moment when it was opened."""
            self.do("press", "Escape")
            self.do("press", "Control+P")
            self.fill(f"{name}:{line}:{column}")
            time.sleep(1)
            return any(name in row for row in self.do("texts", PICK)[:1])

        until(offered, f"{name} is listed")
        self.do("press", "Enter")
        until(
            lambda: any(name in (label or "") for label in self.do("labels", ".tab.active")),
            f"{name} is open",
        )
        self.see_cursor(line, column)

    def open_new(self, name: str, text: str, line: int = 1, column: int = 1) -> None:
        """Write a file into the workspace and open it."""
        self.write(name, text)
        self.open(Path(name).name, line, column)

    def write(self, name: str, text: str) -> None:
        path = self.workspace / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode())

    def go(self, line: int, column: int) -> None:
        self.do("press", "Control+G")
        self.fill(f":{line}:{column}")
        self.do("press", "Enter")
        self.see_cursor(line, column)

    def see_cursor(self, line: int, column: int) -> None:
        where = re.compile(rf"Ln {line}, Col {column}\b")
        until(
            lambda: any(where.search(text) for text in self.do("texts", ".statusbar-item")),
            f"the cursor is at {line}:{column}",
        )

    def command(self, title: str) -> None:
        self.do("press", "F1")
        self.pick(title, f">{title}")

    def fill(self, text: str) -> None:
        """Type into the input box that opens; an older one may still be closing."""

        def filled() -> bool:
            if self.do("values", INPUT) != [text]:
                self.do("fill", INPUT, text)
                time.sleep(0.3)
            return self.do("values", INPUT) == [text]

        until(filled, f"an input box takes {text!r}")

    def pick(self, text: str, typed: str | None = None) -> None:
        """Type into the input box that opens and take the first entry, which contains the text."""
        self.fill(typed or text)
        until(lambda: any(text in row for row in self.do("texts", PICK)[:1]), f"the list offers {text!r}")
        self.do("press", "Enter")

    def save(self, name: str) -> str:
        """Save the active editor; the text of the file, with its line ends."""
        self.do("press", "Control+S")
        until(lambda: not self.do("texts", ".tab.active.dirty"), f"{name} is saved")
        return until(
            (self.workspace / name).read_bytes, f"{name} is written"
        ).decode()  # it is empty for a moment

    def use_server(self, path: Path) -> None:
        """Change the server, and wait until the other one is up."""
        before = self.server_pid()
        self.set_server(str(path))
        until(lambda: self.server_pid() != before, "another server runs")
        self.see_status("Ready", "ready", "tiny")

    def set_server(self, path: str) -> None:
        self.command("Redraft: Set Path of the Server…")
        self.see_title("Set Path of the Server")
        self.fill(path)
        self.do("press", "Enter")

    def see_title(self, title: str) -> None:
        until(lambda: title in "".join(self.do("texts", ".quick-input-title")), f"{title!r} is asked")

    # what he sees

    def ghost(self) -> str:
        return "".join(self.do("texts", GHOST)).replace("\N{NO-BREAK SPACE}", " ")

    def see_ghost(self) -> str:
        return until(self.ghost, "grey text appears")

    def status(self) -> str:
        return " ".join(self.do("texts", STATUS)).strip()

    def see_status(self, *words: str, patience: float = PATIENCE) -> None:
        def fits() -> bool:
            labels = " ".join(filter(None, self.do("labels", f"{STATUS}, {STATUS} *")))
            return any(word in f"{self.status()} {labels}" for word in words)

        until(fits, f"the status bar says {words}", patience)

    def see_toast(self, *words: str) -> str:
        """Wait for a notification with one of the words."""

        def find() -> str:
            return next((t for t in self.do("texts", TOAST) if any(w in t for w in words)), "")

        return until(find, f"a notification says {words}")

    def dismiss(self) -> None:
        self.command("Notifications: Clear All Notifications")
        until(lambda: not self.do("texts", TOAST), "the notifications are gone")

    def screenshot(self, path: Path) -> None:
        time.sleep(0.5)  # what fades in is there
        self.do("screenshot", str(path))

    def see_dialog(self, *words: str) -> str:
        """Wait for a modal dialog with one of the words."""

        def find() -> str:
            return next((t for t in self.do("texts", DIALOG) if any(w in t for w in words)), "")

        return until(find, f"a dialog says {words}")

    def text(self) -> str:
        """What the active editor shows of its text."""
        lines = self.do("texts", f"{EDITOR} .view-lines")
        return "\n".join(lines).replace("\N{NO-BREAK SPACE}", " ")

    def behind_lines(self) -> str:
        """What decorations show behind lines of the editor, which is no part of its text."""
        return " ".join(self.do("contents", f"{EDITOR} .view-line span"))

    def server_pid(self) -> int:
        """Of the server that was started last, in whichever window."""
        until(self.host.pids.exists, "a server was started")
        return int(self.host.pids.read_text().split()[-1])


def until(find: Callable[[], T], what: str, patience: float | None = None) -> T:
    """Wait until `find` finds something."""
    end = time.monotonic() + (patience or PATIENCE)
    while not (found := find()):
        assert time.monotonic() < end, f"waited in vain until {what}"
        time.sleep(0.1)
    return found
