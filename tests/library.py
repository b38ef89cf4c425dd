"""Python files that no change of this repository changes: modules of the standard library, of its quieter corners."""

from __future__ import annotations

import sysconfig
from pathlib import Path

_NAMES = (
    "bisect", "cmd", "code", "colorsys", "copy", "csv", "filecmp", "fileinput", "fnmatch", "fractions", "getopt",
    "heapq", "linecache", "netrc", "queue", "quopri", "reprlib", "sched", "shelve", "shlex", "string", "tabnanny",
    "textwrap", "timeit", "wave", "zipapp",
)  # fmt: skip


def library_files() -> list[Path]:
    """All of them are in every Python that Redraft runs on."""
    folder = Path(sysconfig.get_path("stdlib"))
    return [folder / f"{name}.py" for name in _NAMES]
