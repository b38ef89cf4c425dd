"""`redraft doctor`: what is installed, what works, and what to do about the rest."""

from __future__ import annotations

import argparse
import json
import platform
import shlex
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec

from lsp_server.commands.engine import UsageError, add_engine_arguments, load

Finding = tuple[bool, str, str]  # whether it is fine, what it is about, what was found


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    add_engine_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Print one line per finding; 0 if everything that is needed works."""
    findings = [*check_installation(), *check_grammars(), check_model(arguments)]
    is_fine = all(fine for fine, _, _ in findings)
    command = [sys.executable, "-I", "-m", "lsp_server", "--stdio"]
    if arguments.json:
        found = [{"fine": fine, "topic": topic, "found": text} for fine, topic, text in findings]
        sys.stdout.write(json.dumps({"fine": is_fine, "findings": found, "command": command}) + "\n")
        return 0 if is_fine else 1
    for fine, topic, text in findings:
        sys.stdout.write(f"{'ok ' if fine else 'BAD'} {topic:<12} {text}\n")
    sys.stdout.write(f"\nStart the server from an editor with:\n  {shlex.join(command)}\n")
    sys.stdout.write("VS Code, Neovim and others: see “Connect your editor” in the README.\n")
    return 0 if is_fine else 1


def check_installation() -> Iterator[Finding]:
    python = platform.python_version()
    yield sys.version_info >= (3, 11), "Python", f"{python} ({sys.executable}), on {platform.platform()}"
    onnx = _version_of("onnxruntime")
    torch = _version_of("torch")
    yield (
        bool(onnx or torch),
        "back ends",
        f"onnxruntime {onnx or 'not installed'}, torch {torch or 'not installed'}"
        + ("" if onnx or torch else ": reinstall redraft, onnxruntime belongs to it"),
    )
    yield True, "device", find_device() if torch else "cpu (extra `gpu` adds others)"
    for package in ("lsp_server", "model", "kernels"):
        if find_spec(package) is None:
            yield False, "packages", f"{package} cannot be imported: reinstall redraft in its own environment"


def find_device() -> str:
    """Where torch can run. Imports it, which takes seconds."""
    import importlib

    try:
        cuda = importlib.import_module("torch").cuda
        return f"cuda ({cuda.get_device_name()})" if cuda.is_available() else "cpu"
    except Exception as error:  # a broken driver must not break the report on it
        return f"cpu (torch does not work: {error})"


def check_grammars() -> Iterator[Finding]:
    from model.editing.syntax import available_grammars

    grammars = available_grammars()
    yield True, "grammars", ", ".join(name for name, wrong in grammars.items() if not wrong) or "none"
    for name, wrong in grammars.items():
        if wrong:
            yield False, "grammar", f"{name}: {wrong}"


def check_model(arguments: argparse.Namespace) -> Finding:
    try:
        return True, "model", load(arguments).description
    except UsageError as error:
        return False, "model", str(error.__cause__ or error)


def _version_of(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""
