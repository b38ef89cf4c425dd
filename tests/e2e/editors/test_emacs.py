"""A real Emacs with eglot, its own LSP client, or lsp-mode, and the real server: nothing of ours runs in the editor."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

from .conftest import ROOT, host

BROKEN = "def area(width, height)\n    return width * height\n"


def test_eglot_attaches_and_applies_the_fix(tmp_path: Path, command_line: Callable[..., list[str]]):
    emacs = host("emacs", "bin/emacs")
    file = tmp_path / "größe.py"
    file.write_text(BROKEN, "utf-8")
    script = Path(__file__).with_name("emacs.el")
    command = "\n".join(command_line("--stdio"))
    assert command.count("\n") == len(command_line("--stdio")) - 1
    done = subprocess.run(
        [str(emacs), "--batch", "-l", str(script), str(file), command],
        capture_output=True,
        text=True,
        timeout=200,
        env={**os.environ, "HOME": str(tmp_path), "LC_ALL": "C.UTF-8"},
    )
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    for step in ("ATTACHED redraft", "OFFERED Fix this function", "SHUT DOWN"):
        assert step in said
    assert file.read_text("utf-8") == BROKEN.replace("height)\n", "height):\n")


def test_lsp_mode_attaches_and_applies_the_fix(tmp_path: Path, command_line: Callable[..., list[str]]):
    """With the configuration that docs/editors.md gives."""
    emacs, packages = host("emacs", "bin/emacs"), host("lsp-mode", "elpa")
    document = (ROOT / "docs" / "editors.md").read_text("utf-8")
    [snippet] = re.findall(r"```elisp\n(\(with-eval-after-load 'lsp-mode\n.*?)```", document, re.DOTALL)
    quoted = " ".join(
        '"' + part.replace("\\", r"\\").replace('"', r"\"") + '"' for part in command_line("--stdio")
    )
    configuration, count = re.subn(r"'\(\".*?\"\)", lambda _: f"'({quoted})", snippet, flags=re.DOTALL)
    assert count == 1
    (tmp_path / "init.el").write_text(configuration, "utf-8")
    file = tmp_path / "project" / "größe.py"
    file.parent.mkdir()
    file.write_text(BROKEN, "utf-8")
    paths = [part for package in sorted(packages.iterdir()) for part in ("-L", str(package))]
    script = Path(__file__).with_name("lsp_mode.el")
    done = subprocess.run(
        [str(emacs), "--batch", *paths, "-l", str(script), str(file), str(tmp_path / "init.el")],
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
    assert file.read_text("utf-8") == BROKEN.replace("height)\n", "height):\n")
