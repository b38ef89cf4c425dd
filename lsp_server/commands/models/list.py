"""`redraft models list`: the models of this machine, which of them is in use, and what can be downloaded."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

from lsp_server.commands.models.words import attention_of
from model.families.sizes import in_size


@dataclass(frozen=True)
class Row:
    """A model for people and programs; `wrong` is why it cannot be used, in one line."""

    name: str
    family: str
    bytes: int
    attention: str
    weights: str
    wrong: str = ""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--families", action="store_true", help="name the families, and checkpoints of them")


def run(arguments: argparse.Namespace) -> int:
    from model.checkpoint import EMBEDDED
    from model.shelf import choose, kept, models_folder, name_of, unfinished

    choice = choose()
    folders = [EMBEDDED, *kept()]
    if choice.folder not in folders:
        folders.append(choice.folder)
    rows = [row_of(folder) for folder in folders]
    in_use = name_of(choice.folder)
    if arguments.json:
        found = {
            "folder": str(models_folder()),
            "inUse": in_use,
            "why": choice.lost or choice.why,
            "models": [asdict(row) for row in rows],
            "unfinished": [each.name for each in unfinished()],
            "families": [{"name": n, "title": t, "examples": e} for n, t, e in families()],
        }
        sys.stdout.write(json.dumps(found) + "\n")
        return 0
    _print(rows, in_use, models_folder())
    if arguments.families or len(rows) == 1:
        _print_families()
    else:
        sys.stdout.write("\nWhat can be downloaded: redraft models list --families\n")
    for each in unfinished():
        sys.stdout.write(f"Unfinished download: {each.name}; `redraft models download` goes on with it.\n")
    if choice.lost:
        sys.stdout.write(f"\n{choice.lost}\n")
    return 0


def _print(rows: list[Row], in_use: str, home: Path) -> None:
    sys.stdout.write(f"Models in {home}, and the one in the box; * is in use:\n")
    width = max(len(row.name) for row in rows)
    for row in rows:
        said = row.wrong or f"{row.family}, {row.attention}, {row.weights}"
        mark = "*" if row.name == in_use else " "
        sys.stdout.write(f"{mark} {row.name:<{width}}  {in_size(row.bytes):>10}  {said}\n")


def _print_families() -> None:
    sys.stdout.write("\nFamilies that can be used, and `redraft models download` names to begin with:\n")
    for _, title, examples in families():
        sys.stdout.write(f"  {title}{': ' * bool(examples)}{', '.join(examples)}\n")


def row_of(folder: Path) -> Row:
    """A folder's row, whatever is wrong with it."""
    from model.checkpoint import ModelError
    from model.shelf import name_of, size_of

    name, size = name_of(folder), size_of(folder)
    try:
        return _read(folder, name, size)
    except (ModelError, OSError) as error:
        return Row(name, "", size, "", "", "cannot be used: " + " ".join(str(error).split()))


def _read(folder: Path, name: str, size: int) -> Row:
    from model.checkpoint import open_checkpoint
    from model.loading import is_converted, is_foreign

    if not (is_foreign(folder) or is_converted(folder)):
        config = open_checkpoint(folder).config
        return Row(name, "Redraft's own", size, attention_of(config), "int8 weights")
    from model.families.converted import open_guest

    opened, identity = open_guest(folder)
    kept = {"plain": "unquantised weights"}.get(identity.kind, f"{identity.kind} weights")
    return Row(name, identity.title, size, attention_of(opened.config), kept)


def families() -> list[tuple[str, str, tuple[str, ...]]]:
    """Name, title and examples of those that run here."""
    from model.families.examples import EXAMPLES
    from model.families.registry import FAMILIES

    return [(each.name, each.title, EXAMPLES.get(each.name, ())) for each in FAMILIES if not each.extra]
