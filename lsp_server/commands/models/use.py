"""`redraft models use`: the model of the command line and the server from now on, unless another is named."""

from __future__ import annotations

import argparse
import json
import sys

from lsp_server.commands.engine import UsageError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", help="a name in `redraft models list`, a model's folder, or `embedded`")


def run(arguments: argparse.Namespace) -> int:
    from lsp_server.commands.models.list import row_of
    from model.shelf import find, name_of, remember

    folder = find(arguments.model)
    row = row_of(folder)
    if row.wrong:
        raise UsageError(f"{arguments.model} was not chosen: it {row.wrong}")
    try:
        file = remember(folder)
    except OSError as error:
        raise UsageError(
            f"the choice cannot be kept in {error.filename} ({error.strerror}); make that folder writable, or set "
            "$REDRAFT_MODELS"
        ) from error
    if arguments.json:
        sys.stdout.write(
            json.dumps({"inUse": name_of(folder), "folder": str(folder), "file": str(file)}) + "\n"
        )
        return 0
    sys.stdout.write(
        f"{name_of(folder)} ({row.family}) is used from now on; a setting `model` or --model comes first.\n"
        "A server that is running takes it when it is started again.\n"
    )
    return 0
