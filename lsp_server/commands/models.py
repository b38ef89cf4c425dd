"""`redraft models info`: what the model in use is."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from lsp_server.commands.engine import add_engine_arguments, load
from model.checkpoint import open_checkpoint


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("what", choices=["info"])
    add_engine_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    sys.stdout.write(load(arguments).description + "\n")
    import model

    folder = Path(arguments.model) if arguments.model else Path(model.__file__).parent / "weights"
    for file in sorted(folder.rglob("*")) if folder.is_dir() else ():
        if file.is_file():
            sys.stdout.write(f"  {file.stat().st_size / 2**20:8.2f} MiB  {file.relative_to(folder)}\n")
    known = open_checkpoint(folder).decoding.instructions if folder.is_dir() else ()
    if known:
        sys.stdout.write("  refactorings, each in other words too:\n")
        sys.stdout.writelines(f"    {each.phrasings[0]}\n" for each in known)
    return 0
