"""`redraft refactor FILE "instruction"`."""

from __future__ import annotations

import argparse

from lsp_server.commands import proposing
from model.request import Refactor


def add_arguments(parser: argparse.ArgumentParser) -> None:
    proposing.add_arguments(parser)
    parser.add_argument("instruction", nargs="+", help="what to do, such as 'use super() without arguments'")


def run(arguments: argparse.Namespace) -> int:
    return proposing.run(arguments, lambda _: Refactor(" ".join(arguments.instruction)))
