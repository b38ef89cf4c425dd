"""`redraft models info`: what the model in use is."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from lsp_server.commands.engine import add_engine_arguments, load
from model.checkpoint import EMBEDDED, open_checkpoint
from model.loading import is_foreign


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("what", choices=["info"])
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    add_engine_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    description = load(arguments).description
    folder = Path(arguments.model).expanduser() if arguments.model else EMBEDDED
    files = {str(f.relative_to(folder)): f.stat().st_size for f in sorted(folder.rglob("*")) if f.is_file()}
    is_own = folder.is_dir() and not is_foreign(folder)
    known = open_checkpoint(folder).decoding.instructions if is_own else ()
    refactorings = [each.phrasings[0] for each in known]
    if arguments.json:
        found = {
            "description": description,
            "folder": str(folder),
            "files": files,
            "refactorings": refactorings,
        }
        sys.stdout.write(json.dumps(found) + "\n")
        return 0
    sys.stdout.write(description + "\n")
    sys.stdout.writelines(f"  {size / 2**20:8.2f} MiB  {name}\n" for name, size in files.items())
    if refactorings:
        sys.stdout.write("  refactorings, each in other words too:\n")
        sys.stdout.writelines(f"    {each}\n" for each in refactorings)
    return 0
