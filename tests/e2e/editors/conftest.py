"""Real editors: where they are installed, and what happens where they are not.

`make test-editors` installs them with the scripts in `tests/e2e/hosts/` and runs these tests; a plain `make test`
skips them. With REQUIRE_EDITORS=1 a missing editor is a failure.
"""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.editors.vscode_host import Host
from tests.e2e.editors.vscode_window import VSCode

ROOT = Path(__file__).parents[3]
HOSTS = Path(os.environ.get("REDRAFT_HOSTS", ROOT / ".hosts"))
SCREENSHOTS = Path(os.environ.get("REDRAFT_SCREENSHOTS", ROOT / "build" / "screenshots"))
"""Written for a person to look at."""


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
