"""`redraft models download`: a published model, checked, into the models folder. Nothing else fetches anything."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager

from lsp_server.commands.models.words import attention_of
from model.families.sizes import in_size

_EVERY = 10.0
"""Seconds between two lines where no terminal shows a bar."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("repo", metavar="REPO", help="OWNER/NAME on the Hugging Face Hub")
    parser.add_argument("--revision", help="a branch, tag or commit (default: the newest)")
    parser.add_argument("--name", default="", help="what to call it here (default: the repository's name)")


def run(arguments: argparse.Namespace) -> int:
    from model.families.download import download
    from model.shelf import size_of

    with _shown(arguments.json) as progress:
        found = download(
            arguments.repo, arguments.revision, arguments.name, progress, lambda line: _say(line + "\n")
        )
    name = found.folder.name
    if arguments.json:
        said = {"name": name, "folder": str(found.folder), "family": found.family.title}
        sys.stdout.write(json.dumps({**said, "bytes": size_of(found.folder)}) + "\n")
        return 0
    sys.stdout.write(
        f"{name}: {found.family.title}, {attention_of(found.config)}, {in_size(size_of(found.folder))}, in "
        f"{found.folder}\n"
        f"Try it: redraft models info {name}; choose it: redraft models use {name}\n"
    )
    return 0


Progress = Callable[[str, int, int], None]


@contextmanager
def _shown(for_programs: bool) -> Generator[Progress]:
    """A bar on a terminal, now and then a line elsewhere; on stderr, since stdout is for the result."""
    if for_programs or not sys.stderr.isatty():
        yield _lines()
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, TextColumn, TimeRemainingColumn, TransferSpeedColumn
    from rich.progress import Progress as Bars

    columns = TextColumn("{task.description}"), BarColumn(), DownloadColumn()
    with Bars(*columns, TransferSpeedColumn(), TimeRemainingColumn(), console=Console(stderr=True)) as bars:
        task = bars.add_task("weights", total=None)
        yield lambda what, done, total: bars.update(task, description=what, completed=done, total=total)


def _lines() -> Progress:
    last = time.monotonic()

    def tell(what: str, done: int, total: int) -> None:
        nonlocal last
        if time.monotonic() - last >= _EVERY:
            last = time.monotonic()
            _say(f"{what}: {in_size(done)} of {in_size(total)}\n")

    return tell


def _say(line: str) -> None:
    sys.stderr.write(line)
    sys.stderr.flush()
