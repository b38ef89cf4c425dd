"""What `complete`, `fix` and `refactor` share: read a file, ask the engine, show a diff, write if told to."""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import stat
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from lsp_server.commands.engine import UsageError, add_engine_arguments, load
from lsp_server.diffs import unified
from model.editing.edit import Edit, apply
from model.editing.source import LineIndex
from model.editing.syntax import language_of, try_parse
from model.request import Document, Engine, Proposal, Request, Task

_LINE = re.compile(r"[^\n]*\n|[^\n]+")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", type=Path, metavar="FILE")
    parser.add_argument("--write", action="store_true", help="change the file instead of showing a diff")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--deadline", type=seconds, default=120.0, help="seconds to work (%(default)s)")
    parser.add_argument(
        "--policy",
        default="",
        metavar="NAME",
        help="how to decode, such as threshold:0.9; a wrong one lists them (default: the model's own way)",
    )
    add_engine_arguments(parser)


def run(arguments: argparse.Namespace, make_task: Callable[[LineIndex], Task]) -> int:
    """Propose, show, perhaps write; 0 if there is a result or nothing to change, 1 otherwise."""
    import time

    before = read(arguments.file)
    text = decode(before, arguments.file)
    task = make_task(LineIndex(text))
    if arguments.write:
        check_writable(arguments.file)
    language = language_of(str(arguments.file))
    document = Document(text, language, str(arguments.file), try_parse(text, language))
    request = Request(document, task, policy=arguments.policy)
    proposal = _proposed(load(arguments), request, time.monotonic() + arguments.deadline)
    after = apply(proposal.edits, text)
    written = arguments.write and after != text
    if written:
        write(arguments.file, before, after.encode("utf-8"))
    if arguments.json:
        sys.stdout.write(json.dumps(as_json(arguments.file, text, after, proposal, written=written)) + "\n")
    else:
        show(arguments.file, text, after, proposal, written=written)
    return 0 if proposal.status in ("offered", "unchanged") else 1


def _proposed(engine: Engine, request: Request, deadline: float) -> Proposal:
    """Raises UsageError for a policy that there is not, or that the model does not take."""
    try:
        return engine.propose(request, deadline)
    except ValueError as error:
        if not request.policy:
            raise
        raise UsageError(str(error)) from error


def seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not value > 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds above 0")
    return value


def read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise UsageError(f"cannot read {file}: {error.strerror or error}.") from error


def decode(data: bytes, file: Path) -> str:
    """The text of a file, line ends and all. Raises UsageError for what is no UTF-8 text."""
    if b"\0" in data:
        raise UsageError(f"{file} looks like a binary file.")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise UsageError(f"{file} is not UTF-8 (byte {error.start}); convert it first.") from error


def check_writable(file: Path) -> None:
    """Raises UsageError for a file that its owner has made read-only, or that is not ours to change."""
    real = file.resolve()
    if not real.stat().st_mode & (stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH) or not os.access(real, os.W_OK):
        raise UsageError(f"{file} is read-only; make it writable, or leave out --write to see the diff.")
    if not os.access(real.parent, os.W_OK):
        raise UsageError(f"the folder of {file} is not writable, so it cannot be replaced safely.")


def write(file: Path, before: bytes, after: bytes) -> None:
    """Replace a file's content at once, keeping its permissions; raises UsageError if it has changed
    meanwhile."""
    real = file.resolve()  # a link keeps pointing where it points
    if read(real) != before:
        raise UsageError(f"{file} was changed meanwhile; nothing was written.")
    handle, name = tempfile.mkstemp(prefix=f".{real.name}.", dir=real.parent)
    try:
        with os.fdopen(handle, "wb") as out:
            out.write(after)
            out.flush()
            os.fsync(out.fileno())
        shutil.copystat(real, name)
        os.utime(name)  # the content is new
        os.replace(name, real)
    except OSError as error:
        Path(name).unlink(missing_ok=True)
        raise UsageError(f"cannot write {file}: {error.strerror or error}.") from error


def diff(file: Path, before: str, after: str) -> list[str]:
    """A unified diff, one string per line; only `\\n` ends a line, as `patch` has it."""
    lines = unified(_LINE.findall(before), _LINE.findall(after), file.name)
    result: list[str] = []
    for line in lines:
        result += [line.removesuffix("\n")] if line.endswith("\n") else [line, "\\ No newline at end of file"]
    return result


def as_json(file: Path, before: str, after: str, proposal: Proposal, *, written: bool) -> dict[str, object]:
    index = LineIndex(before)
    return {
        "file": str(file),
        "status": proposal.status,
        "message": proposal.message,
        "confidence": proposal.confidence,
        "edits": _edits(index, proposal.edits),
        "alternatives": [_edits(index, edits) for edits in proposal.alternatives],
        "diff": "\n".join(diff(file, before, after)),
        "written": written,
        "cost": proposal.cost.as_json(),
    }


def _edits(index: LineIndex, edits: Sequence[Edit]) -> list[dict[str, object]]:
    return [{"start": index.position(e.start), "end": index.position(e.end), "new": e.new} for e in edits]


def show(file: Path, before: str, after: str, proposal: Proposal, *, written: bool) -> None:
    """The diff on stdout, coloured on a terminal; what it cost, or why there is none, on stderr."""
    from rich.console import Console
    from rich.text import Text

    console = Console(highlight=False, soft_wrap=True)
    styles = {"+++": "bold", "---": "bold", "@": "cyan", "+": "green", "-": "red"}
    for number, text in enumerate((after, *(apply(edits, before) for edits in proposal.alternatives))):
        if number:
            console.print(Text(f"or, instead ({number} of {len(proposal.alternatives)}):", style="bold"))
        for line in diff(file, before, text):
            style = next((styles[start] for start in styles if line.startswith(start)), "")
            console.print(Text(line, style=style))
    cost = proposal.cost
    sys.stderr.write(f"{proposal.status}{': ' if proposal.message else ''}{proposal.message}\n")
    if written:
        sys.stderr.write(f"wrote {file}\n")
    rate = f", {cost.tokens_per_forward:.1f} tokens per forward" if cost.tokens else ""
    sys.stderr.write(f"({cost.forwards} forwards{rate}, {cost.milliseconds:.0f} ms)\n")
