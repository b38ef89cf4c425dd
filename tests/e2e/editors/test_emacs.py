"""A real Emacs with eglot, its own LSP client, and the real server: nothing of ours runs in the editor."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

from .conftest import host

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
