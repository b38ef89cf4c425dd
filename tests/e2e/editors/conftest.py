"""Real editors: where they are installed, and what happens where they are not.

`make test-editors` installs them with the scripts in `tests/e2e/hosts/` and runs these tests; a plain `make test`
skips them. With REQUIRE_EDITORS=1 a missing editor is a failure.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

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
