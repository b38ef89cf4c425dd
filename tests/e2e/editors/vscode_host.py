"""VS Code's host, code-server, with the packaged extension and a server to find."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any
from urllib.parse import quote

from tests.e2e.editors.vscode_window import Driver, VSCode, until

ROOT = Path(__file__).parents[3]
EXTENSION = ROOT / "editor-clients" / "vscode"

SERVER = """#!/bin/sh
case " $* " in
  *" --stdio "*) echo $$ >>'{pids}' ;;
  *) echo "$*" >>'{pids}.others' ;;
esac
exec '{python}' -I -c 'import sys; sys.path.insert(0, "{root}"); {before}
from lsp_server.cli import main; sys.exit(main())' "$@"
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


class Host:
    """One code-server with settings and extensions of its own. Any number of windows."""

    def __init__(self, program: Path, folder: Path) -> None:
        self.folder = folder
        self.pids = folder / "pids"
        """Of the server's processes, the newest last."""
        self.server = self.write_server("redraft")
        self._installed = program.parent.parent
        self._program = program
        self._windows: list[VSCode] = []
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, *, path: str | None = None, trust: bool = False, **settings: Any) -> None:
        """Package the extension, install it and start code-server. `path` is where the server is, by default
        where it is; with `trust` folders have to be trusted; `settings` are the user's, in place of ours."""
        self._write_settings("User", {**SETTINGS, "security.workspace.trust.enabled": trust, **settings})
        self._machine = {"redraft.server.path": str(self.server) if path is None else path}
        self.set_machine()
        self._run(str(self._program), "--install-extension", str(package(self._installed)), *self._folders())
        self._port = free_port()
        arguments = ["--auth", "none", "--bind-addr", f"127.0.0.1:{self._port}", "--disable-telemetry"]
        arguments += ["--disable-update-check", "--disable-getting-started-override", "--ignore-last-opened"]
        arguments += [] if trust else ["--disable-workspace-trust"]
        with (self.folder / "host.log").open("w") as log:
            self._process = subprocess.Popen(
                [str(self._program), *self._folders(), *arguments],
                stdout=log,
                stderr=subprocess.STDOUT,
                env=self._environment(),
                cwd=self.folder,
            )
        until(self._is_healthy, "code-server answers")

    def set_machine(self, **settings: str) -> None:
        """The machine's settings, besides where the server is; they are live."""
        self._write_settings("Machine", {**self._machine, **settings})

    def window(self, workspace: Path) -> VSCode:
        """Open a window on a folder, in a browser of its own."""
        workspace.mkdir(parents=True, exist_ok=True)
        (workspace / "README").write_text("The explorer lists something.\n")
        data = self.folder / f"browser {len(self._windows)}"
        driver = Driver(self._installed / "bin" / "node", self._installed, data)
        window = VSCode(self, driver, workspace)
        self._windows.append(window)
        window.do("open", f"http://127.0.0.1:{self._port}/?folder={quote(str(workspace))}")
        until(lambda: window.do("texts", ".explorer-folders-view .monaco-list-row"), "files are listed")
        return window

    def end(self) -> None:
        """Close what was opened, however far `start` came."""
        for window in self._windows:
            window.close()
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(20)
            except subprocess.TimeoutExpired:
                self._process.kill()

    def write_server(self, name: str, before: str = "pass") -> Path:
        """A program that is this checkout's server, after some Python."""
        path = self.folder / "sérver here" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(SERVER.format(pids=self.pids, python=sys.executable, root=ROOT, before=before))
        path.chmod(0o755)
        return path

    def _write_settings(self, whose: str, values: dict[str, Any]) -> None:
        path = self.folder / "data" / whose / "settings.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(values), "utf-8")

    def _folders(self) -> tuple[str, ...]:
        return (
            "--user-data-dir",
            str(self.folder / "data"),
            "--extensions-dir",
            str(self.folder / "extensions"),
        )

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
            with urllib.request.urlopen(f"http://127.0.0.1:{self._port}/healthz", timeout=2) as answer:
                return answer.status == 200
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            return False


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
