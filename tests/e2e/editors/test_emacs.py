"""A real Emacs with eglot or lsp-mode, the configuration that docs/editors.md gives, and the real server."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from .conftest import ROOT, host

HERE = Path(__file__).parent
BROKEN = "def area(width, height)\n    return width * height\n"
MENDED = BROKEN.replace("height)\n", "height):\n")


def configuration(client: str, command: list[str]) -> str:
    """What docs/editors.md has people write for `client`, with another command."""
    document = (ROOT / "docs" / "editors.md").read_text("utf-8")
    [snippet] = re.findall(rf"```elisp\n(\(with-eval-after-load '{client}\n.*?)```", document, re.DOTALL)
    quoted = " ".join('"' + part.replace("\\", r"\\").replace('"', r"\"") + '"' for part in command)
    text, count = re.subn(r'\("/path/to/.*?"\)', lambda _: f"({quoted})", snippet, flags=re.DOTALL)
    assert count == 1
    return text


@pytest.mark.parametrize("client", ["eglot", "lsp-mode"])
def test_the_client_attaches_and_applies_the_fix(
    client: str, tmp_path: Path, command_line: Callable[..., list[str]]
):
    file, settings = tmp_path / "project" / "größe.py", tmp_path / "init.el"
    file.parent.mkdir()
    file.write_text(BROKEN, "utf-8")
    settings.write_text(configuration(client, command_line("--stdio")), "utf-8")
    packages = [] if client == "eglot" else sorted(host("lsp-mode", "elpa").iterdir())
    paths = [part for package in packages for part in ("-L", str(package))]
    scripts = [str(HERE / name) for name in ("emacs_wait.el", f"emacs_{client.replace('-', '_')}.el")]
    done = subprocess.run(
        [
            str(host("emacs", "bin/emacs")),
            "--batch",
            *paths,
            *(part for script in scripts for part in ("-l", script)),
            str(file),
            str(settings),
        ],
        capture_output=True,
        text=True,
        timeout=280,
        env={**os.environ, "HOME": str(tmp_path), "LC_ALL": "C.UTF-8"},
    )
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    for step in ("ATTACHED redraft", "OFFERED Fix this function", "SHUT DOWN"):
        assert step in said
    assert "Unknown notification" not in said
    assert file.read_text("utf-8") == MENDED
