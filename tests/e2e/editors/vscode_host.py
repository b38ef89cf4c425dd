"""VS Code in a browser without a window, with the packaged extension and the real server, for a test to type into."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
EXTENSION = ROOT / "editor-clients" / "vscode"
PATIENCE = 90.0

T = TypeVar("T")

GHOST = "[class*=ghost-text]"
TOAST = ".notifications-toasts .notification-list-item"
STATUS = ".statusbar-item[id*=redraft]"
INPUT = ".quick-input-widget:not([style*='display: none']) .quick-input-box input"
PICK = ".quick-input-widget .monaco-list-row"
PREVIEW = ".bulk-edit-panel"
APPLY = f"{PREVIEW} .monaco-button:has-text('Apply')"
ACTION = ".action-widget .monaco-list-row.action"

SERVER = """#!/bin/sh
echo $$ >>'{pids}'
exec '{python}' -I -c 'import sys; sys.path.insert(0, "{root}"); from lsp_server.cli import main; sys.exit(main())' "$@"
"""

SETTINGS = {
    "security.workspace.trust.enabled": False,
    "workbench.startupEditor": "none",
    "workbench.secondarySideBar.defaultVisibility": "hidden",
    "remote.autoForwardPorts": False,
    "chat.disableAIFeatures": True,
    "editor.wordBasedSuggestions": "off",
    "files.autoSave": "off",
    "files.readonlyInclude": {"**/read_only.py": True},
    "redraft.inline.deadlineMs": 10_000,
}


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

    def __init__(self, program: Path, folder: Path, workspace: Path) -> None:
        self.folder, self.workspace = folder, workspace
        self._host = program.parent.parent
        self._data = folder / "data"
        self._program = program
        self.pids = folder / "pids"
        self._driver: Driver | None = None
        self._process: subprocess.Popen[bytes] | None = None

    # starting and ending

    def start(self) -> None:
        """Package the extension, install it, start the host and open the workspace."""
        self.server = self._write_server()
        self._write_settings("User", SETTINGS)
        self._write_settings("Machine", {"redraft.server.path": str(self.server)})
        self._run(str(self._program), "--install-extension", str(package(self._host)), *self._folders())
        self.port = free_port()
        arguments = ("--auth", "none", "--bind-addr", f"127.0.0.1:{self.port}", "--disable-telemetry")
        quiet = ("--disable-update-check", "--disable-workspace-trust", "--disable-getting-started-override")
        with (self.folder / "host.log").open("w") as log:
            self._process = subprocess.Popen(
                [str(self._program), *self._folders(), *arguments, *quiet, "--ignore-last-opened"],
                stdout=log,
                stderr=subprocess.STDOUT,
                env=self._environment(),
                cwd=self.folder,
            )
        until(self._is_healthy, "code-server answers")
        self._driver = Driver(self._host / "bin" / "node", self._host, self.folder / "browser")
        self.do("open", f"http://127.0.0.1:{self.port}/?folder={quote(str(self.workspace))}")
        until(lambda: self.do("texts", ".explorer-folders-view .monaco-list-row"), "the explorer lists files")

    def end(self) -> None:
        """Close what was opened, however far `start` came."""
        if self._driver is not None:
            self._driver.close()
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(20)
            except subprocess.TimeoutExpired:
                self._process.kill()

    def do(self, what: str, *arguments: Any) -> Any:
        """One action of the browser's driver."""
        assert self._driver is not None
        return self._driver(what, *arguments)

    def _write_server(self) -> Path:
        path = self.folder / "sérver here" / "redraft"
        path.parent.mkdir(parents=True)
        path.write_text(SERVER.format(pids=self.pids, python=sys.executable, root=ROOT))
        path.chmod(0o755)
        return path

    def _write_settings(self, whose: str, values: dict[str, Any]) -> None:
        path = self._data / whose / "settings.json"
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps(values), "utf-8")

    def _folders(self) -> tuple[str, ...]:
        return "--user-data-dir", str(self._data), "--extensions-dir", str(self.folder / "extensions")

    def _environment(self) -> dict[str, str]:
        clean = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "VSCODE", "VIRTUAL_ENV"))}
        private = {
            f"XDG_{name}_HOME": str(self.folder / "xdg" / name) for name in ("CONFIG", "DATA", "CACHE")
        }
        return {**clean, **private, "EXTENSIONS_GALLERY": "{}", "PATH": "/usr/bin:/bin"}

    def _run(self, *command: str) -> None:
        done = subprocess.run(command, capture_output=True, text=True, env=self._environment(), check=False)
        assert done.returncode == 0, done.stdout + done.stderr

    def _is_healthy(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/healthz", timeout=2) as answer:
                return answer.status == 200
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            return False

    # what a user does

    def open(self, name: str, line: int = 1, column: int = 1) -> None:
        """Open a file of the workspace, with the cursor at a place."""
        self.do("press", "Control+P")
        self.pick(name, f"{name}:{line}:{column}")
        until(
            lambda: any(name in (label or "") for label in self.do("labels", ".tab.active")),
            f"{name} is open",
        )
        self.see_cursor(line, column)

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
        return (self.workspace / name).read_bytes().decode()

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

    def see_status(self, *words: str) -> None:
        def fits() -> bool:
            labels = " ".join(filter(None, self.do("labels", f"{STATUS}, {STATUS} *")))
            return any(word in f"{self.status()} {labels}" for word in words)

        until(fits, f"the status bar says {words}")

    def see_toast(self, *words: str) -> str:
        """Wait for a notification with one of the words."""

        def find() -> str:
            return next((t for t in self.do("texts", TOAST) if any(w in t for w in words)), "")

        return until(find, f"a notification says {words}")

    def dismiss(self) -> None:
        self.command("Notifications: Clear All Notifications")
        until(lambda: not self.do("texts", TOAST), "the notifications are gone")

    def screenshot(self, path: Path) -> None:
        self.do("screenshot", str(path))

    def server_pid(self) -> int:
        return int(self.pids.read_text().split()[-1])


def package(host: Path) -> Path:
    """The extension as users install it."""
    env = {**os.environ, "PATH": f"{host / 'bin'}{os.pathsep}{os.environ['PATH']}"}
    command = ["npm", "run", "--silent", "package"]
    done = subprocess.run(command, cwd=EXTENSION, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return EXTENSION / "dist" / "redraft.vsix"


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def until(find: Callable[[], T], what: str, patience: float | None = None) -> T:
    """Wait until `find` finds something."""
    end = time.monotonic() + (patience or PATIENCE)
    while not (found := find()):
        assert time.monotonic() < end, f"waited in vain until {what}"
        time.sleep(0.1)
    return found
