"""The command line `redraft`: finds the subcommand and hands over. Nothing heavy is imported before one runs.

Each subcommand lives in `commands/`. Those of parts that are not installed are not announced.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.util import find_spec

# name -> (module with `add_arguments(parser)` and `run(arguments) -> exit code`, one line of help)
SUBCOMMANDS = {
    "serve": ("lsp_server.commands.serve", "run the language server (stdio unless told otherwise)"),
    "complete": ("lsp_server.commands.complete", "suggest text at a place in a file"),
    "fix": ("lsp_server.commands.fix", "repair the function at a line of a file"),
    "refactor": ("lsp_server.commands.refactor", "rewrite a file as an instruction says"),
    "play": ("lsp_server.commands.play", "watch the model denoise, in a browser"),
    "models": ("lsp_server.commands.models", "list, download, describe, choose and convert models"),
    "doctor": ("lsp_server.commands.doctor", "check the installation and say what to do"),
}
# name -> (module with `main(argv) -> exit code | None`, one line of help); listed only where they are
# installed
FORWARDED = {
    "train": ("model.train.main", "train a model with a recipe (extra `train`)"),
    "eval": ("model.eval.main", "measure a model's quality"),
    "bench": ("model.bench.main", "measure a model's speed"),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run `redraft`; returns the exit code: 0 fine, 1 failed, 2 wrong usage, 130 interrupted."""
    argv = list(sys.argv[1:] if argv is None else argv)
    forwarded = {name: entry for name, entry in FORWARDED.items() if _exists(entry[0])}
    if argv and argv[0] in forwarded:
        return _forward(argv[0], forwarded[argv[0]][0], argv[1:])
    if not argv and sys.stdin.isatty():
        argv = ["--help"]
    if not argv or argv[0] == "--stdio":  # editors start a bare server this way
        argv = ["serve", *argv]
    arguments = _parser(argv[0], forwarded).parse_args(argv)
    from lsp_server.commands.engine import UsageError

    try:
        return int(arguments.run(arguments))
    except UsageError as error:
        if getattr(arguments, "json", False):
            print(json.dumps({"error": str(error)}))
        print(f"redraft: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def _forward(name: str, module: str, argv: Sequence[str]) -> int:
    try:
        run = import_module(module).main
    except ModuleNotFoundError as error:
        print(f"redraft {name} needs {error.name}: install redraft with the extra `train`.", file=sys.stderr)
        return 1
    return int(run(argv) or 0)


def _parser(chosen: str, forwarded: dict[str, tuple[str, str]]) -> argparse.ArgumentParser:
    """The parser; only the chosen subcommand's module is imported for its arguments."""
    parser = argparse.ArgumentParser(
        prog="redraft", description="A language server that edits code with a diffusion language model."
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="show the version and exit")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for name, (module, line) in SUBCOMMANDS.items():
        sub = commands.add_parser(name, help=line, description=line[0].upper() + line[1:] + ".")
        if name == chosen:
            command = import_module(module)
            command.add_arguments(sub)
            sub.set_defaults(run=command.run)
    for name, (_, line) in forwarded.items():
        commands.add_parser(name, help=line)
    return parser


class _Version(argparse.Action):
    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        from lsp_server.server import installed_version

        print(f"redraft {installed_version()}")
        parser.exit()


def _exists(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:
        return False
