"""`redraft complete FILE --at LINE:COL`."""

from __future__ import annotations

import argparse

from lsp_server.commands import proposing
from lsp_server.commands.engine import UsageError
from model.editing.source import LineIndex
from model.request import Complete


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--at", type=place, required=True, metavar="LINE:COL", help="the cursor, counted from 1:1"
    )
    parser.add_argument(
        "--candidates", type=candidates, default=1, metavar="N", help="show up to N (1 to 8) suggestions"
    )
    proposing.add_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    def task(index: LineIndex) -> Complete:
        return Complete(offset_of(index, *arguments.at), asked=True, candidates=arguments.candidates)

    return proposing.run(arguments, task)


def candidates(text: str) -> int:
    if text not in tuple("12345678"):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1 to 8")
    return int(text)


def place(text: str) -> tuple[int, int]:
    line, _, column = text.partition(":")
    if not (line.isdecimal() and column.isdecimal() and int(line) and int(column)):
        raise argparse.ArgumentTypeError(f"{text!r} is not LINE:COL, such as 12:5 (both count from 1)")
    return int(line), int(column)


def offset_of(index: LineIndex, line: int, column: int = 1) -> int:
    """The offset of a place counted from 1, in characters. Raises UsageError outside the file."""
    if line > index.line_count:
        raise UsageError(f"there is no line {line}; the file has {index.line_count}.")
    if column - 1 > len(index.line(line - 1)):
        raise UsageError(
            f"line {line} has no column {column}; it has {len(index.line(line - 1))} characters."
        )
    return index.offset(line - 1, column - 1)
