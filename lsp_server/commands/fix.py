"""`redraft fix FILE --at LINE`."""

from __future__ import annotations

import argparse

from lsp_server.commands import proposing
from lsp_server.commands.complete import offset_of
from lsp_server.commands.engine import positive
from model.editing.source import LineIndex, Span
from model.request import Fix


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--at", type=positive, required=True, metavar="LINE", help="a line of the function, from 1"
    )
    parser.add_argument("--message", default="", help="what a compiler or linter says is wrong")
    proposing.add_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    return proposing.run(arguments, lambda index: make_task(index, arguments.at, arguments.message))


def make_task(index: LineIndex, line: int, message: str) -> Fix:
    """The fix at a line: at its first character that is not white space."""
    start = offset_of(index, line)
    code = index.line(line - 1).of(index.text)
    at = start + len(code) - len(code.lstrip())
    return Fix(Span(at, at), message)
