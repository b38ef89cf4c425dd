"""`redraft models`: what models there are, fetching them, choosing one, making one smaller.

Each of its words is a module here with `add_arguments(parser)` and `run(arguments) -> exit code`; only the chosen one
is imported.
"""

from __future__ import annotations

import argparse
from importlib import import_module

WORDS = {
    "list": "what is in the models folder, and what can be downloaded",
    "download": "fetch a model from the Hugging Face Hub",
    "info": "say what a model is, and what it needs",
    "use": "choose the model that is used from now on",
    "convert": "write a smaller copy of a model, for GPUs with less memory",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    words = parser.add_subparsers(metavar="WHAT", required=True, dest="what")
    for name, line in WORDS.items():
        word = words.add_parser(name, help=line, description=line[0].upper() + line[1:] + ".")
        word.add_argument("--json", action="store_true", help="print one JSON object")
        import_module(f"{__name__}.{name}").add_arguments(word)


def run(arguments: argparse.Namespace) -> int:
    from lsp_server.commands.engine import UsageError
    from model.checkpoint import ModelError

    try:
        return int(import_module(f"{__name__}.{arguments.what}").run(arguments))
    except ModelError as error:
        raise UsageError(str(error)) from error
