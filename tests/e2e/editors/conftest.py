"""Real editors: where they are installed, and what happens where they are not.

`make test-editors` installs them with the scripts in `tests/e2e/hosts/` and runs these tests; a plain `make test`
skips them. With REQUIRE_EDITORS=1 a missing editor is a failure.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.editors.neovim import QUIET, Neovim, as_lua
from tests.e2e.editors.vscode_host import Host
from tests.e2e.editors.vscode_window import VSCode

ROOT = Path(__file__).parents[3]
HOSTS = Path(os.environ.get("REDRAFT_HOSTS", ROOT / ".hosts"))
SCREENSHOTS = Path(os.environ.get("REDRAFT_SCREENSHOTS", ROOT / "build" / "screenshots"))
"""Written for a person to look at."""

Start = Callable[..., Neovim]


def host(name: str, program: str) -> Path:
    """The program of an installed editor, `HOSTS/name/program`; skips the test where it is missing."""
    path = HOSTS / name / program
    if not path.exists():
        message = f"{name} is not installed in {HOSTS}: run `make test-editors`"
        if os.environ.get("REQUIRE_EDITORS") == "1":
            pytest.fail(message)
        pytest.skip(message)
    return path


@pytest.fixture
def screenshots() -> Path:
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    return SCREENSHOTS


@contextmanager
def starting(folder: Path, command: list[str]) -> Iterator[Start]:
    """A function that starts Neovims, which are closed in the end."""
    open_ones: list[Neovim] = []

    def start(version: str = "neovim", *, before: str = "", **options: Any) -> Neovim:
        options = {"cmd": command, "settings": {"inline": {"deadlineMs": 20_000}}, **options}
        home = folder / f"home {len(open_ones)}"
        setup = as_lua({k: v for k, v in options.items() if v is not None})
        neovim = Neovim(host(version, "bin/nvim"), home, setup, before=before)
        open_ones.append(neovim)
        return neovim

    yield start
    for neovim in open_ones:
        neovim.close()


@pytest.fixture
def start(tmp_path: Path, command_line: Callable[..., list[str]]) -> Iterator[Start]:
    with starting(tmp_path, command_line("--stdio")) as start:
        yield start


@pytest.fixture(scope="module")
def shared(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Neovim]:
    """One Neovim for many tests: starting the server takes longer than most of them."""
    code = f"import sys; sys.path.insert(0, {str(Path(__file__).parents[3])!r}); "
    code += "from lsp_server.cli import main; sys.exit(main())"
    command = [sys.executable, "-I", "-c", code, "--stdio"]
    with starting(tmp_path_factory.mktemp("neovim"), command) as start:
        neovim = start(request.param)
        neovim.lua("require('redraft.say').quiet = ...", QUIET - 50)
        neovim.open(neovim.home / "first.py", "")  # from now on the server is ready
        yield neovim


@pytest.fixture
def nvim(shared: Neovim) -> Iterator[Neovim]:
    """The shared Neovim with no file and nothing said."""
    yield shared
    shared.keys("<Esc><Esc>")
    shared.wait(20)
    shared.lua(
        "require('redraft').configure({ enable = true, disabledLanguages = {}, inline = { enable = true } })"
    )
    shared.command("silent! tabonly! | silent! only! | enew! | silent! %bwipeout!")
    shared.lua("vim.g.heard = {}")


@pytest.fixture(scope="session")
def vscode(tmp_path_factory: pytest.TempPathFactory) -> Iterator[VSCode]:
    """A window that many tests share, each of which has files of its own."""
    code = Host(host("vscode", "bin/code-server"), tmp_path_factory.mktemp("vscode"))
    try:
        code.start()
        yield code.window(code.folder / "wörk space")
    finally:
        code.end()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Generator[None, Any, Any]:
    """A failed test leaves a picture of the window."""
    report = yield
    values = getattr(item, "funcargs", {}).values()
    window = next((value for value in values if isinstance(value, VSCode)), None)
    if call.excinfo is not None and call.when == "call" and window is not None:
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        with suppress(AssertionError, OSError, ValueError):
            window.screenshot(SCREENSHOTS / f"failed-{item.name}.png")
    return report
