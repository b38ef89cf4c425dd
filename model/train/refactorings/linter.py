"""Ruff as a maker of pairs: it reports on copies of many files at once and fixes one refactoring at a time.

Runs `ruff` as a process in a temporary folder, without reading any configuration. Knows nothing of corpora.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from model.editing.source import Span
from model.train.refactorings.refactoring import Refactoring
from model.train.slips.python import syntax_error

_OPTIONS = ("--isolated", "--no-cache", "--target-version", "py311", "--quiet")
_FINDING = re.compile(r"(?m)^(?:.*[/\\])?(\d+)\.py:(\d+):\d+: ([A-Z]+\d+) ")

_LINE = re.compile(r"(?m)^([ \t]*)(\S).*$")
_HEADER = re.compile(r"((?:async[ ]+)?(?:def|class)[ ]+\w+)")


class LinterMissingError(RuntimeError):
    """Ruff is not installed; the message says how to get it."""


@dataclass(frozen=True)
class Finding:
    """Old-style code on a line (`row` counts from 1) that the refactoring `kind` is about."""

    kind: str
    row: int


class Linter:
    """Ruff with the rules of some refactorings."""

    def __init__(self, refactorings: Sequence[Refactoring]) -> None:
        self.refactorings = [r for r in refactorings if r.rules]
        self._kind = {rule: r.name for r in self.refactorings for rule in r.rules}
        self._command = _find_ruff()

    @contextmanager
    def workplace(self, texts: Sequence[str]) -> Iterator[Workplace]:
        """A temporary folder with `texts` as files; they are known by their index."""
        with tempfile.TemporaryDirectory(prefix="redraft-pairs-") as folder:
            yield Workplace(Path(folder), texts, self._command, self._kind)


class Workplace:
    """Copies of files to report on and to fix."""

    def __init__(self, folder: Path, texts: Sequence[str], command: str, kinds: dict[str, str]) -> None:
        self._folder, self._texts, self._command, self._kinds = folder, texts, command, kinds
        self._write("all", range(len(texts)))

    def findings(self) -> dict[int, list[Finding]]:
        """What the rules report, by file."""
        options = ["--select", ",".join(self._kinds), "--output-format", "concise"]
        found: dict[int, list[Finding]] = defaultdict(list)
        for match in _FINDING.finditer(self._run("all", *options)):
            if match.group(3) in self._kinds:
                found[int(match.group(1))].append(Finding(self._kinds[match.group(3)], int(match.group(2))))
        return found

    def fixed(self, refactoring: Refactoring, files: Sequence[int]) -> dict[int, str]:
        """The texts of those of `files` that the refactoring changes; everything else in them stays."""
        if not files:
            return {}
        self._write("one", files)
        self._run("one", "--select", ",".join(refactoring.rules), "--fix-only", "--unsafe-fixes")
        after = {i: self._path("one", i).read_text("utf-8") for i in files}
        return {i: text for i, text in after.items() if text != self._texts[i]}

    def _run(self, place: str, *options: str) -> str:
        command = [self._command, "check", *_OPTIONS, *options, place]
        done = subprocess.run(command, cwd=self._folder, capture_output=True, text=True, encoding="utf-8")
        if done.returncode not in (0, 1):
            raise RuntimeError(f"ruff failed: {done.stderr.strip()[-500:]}")
        return done.stdout

    def _write(self, place: str, files: Sequence[int]) -> None:
        shutil.rmtree(self._folder / place, ignore_errors=True)
        (self._folder / place).mkdir()
        for i in files:
            self._path(place, i).write_text(self._texts[i], "utf-8", newline="")

    def _path(self, place: str, file: int) -> Path:
        return self._folder / place / f"{file}.py"


def aligned_definitions(before: str, after: str, longest: int) -> list[tuple[Span, str]]:
    """Definitions whose text differs, as `(span in before, text in after)`: the innermost, and those around them
    while they have at most `longest` characters. Spans are whole lines, decorators included. Empty where the two
    texts do not hold the same definitions."""
    old, new = outline(before), outline(after)
    if [name for name, _ in old] != [name for name, _ in new]:
        return []
    return [
        (a, b.of(after))
        for (_, a), (_, b) in zip(old, new, strict=True)
        if max(len(a), len(b)) <= longest
        and a.of(before) != b.of(after)
        and syntax_error(a.of(before)) is None
        and syntax_error(b.of(after)) is None
    ]


@lru_cache(maxsize=1024)
def outline(text: str) -> list[tuple[str, Span]]:
    """The headers of a Python file's definitions and the spans they reach to, by indentation alone: a hundred
    times faster than a parser, and wrong where a string has lines further left. Check that what you use parses."""
    found: list[tuple[str, int, int]] = []
    open_: list[tuple[int, int]] = []  # indentation and index in `found` of the definitions around a line
    ends: dict[int, int] = {}
    decorated = -1
    last = 0
    for match in _LINE.finditer(text):
        indent = len(match.group(1))
        if match.group(2) not in ")]}#":
            while open_ and indent <= open_[-1][0]:
                ends[open_.pop()[1]] = last
            header = _HEADER.match(text, match.start(2))
            if match.group(2) == "@":
                decorated = match.start() if decorated < 0 else decorated
            elif header:
                open_.append((indent, len(found)))
                found.append((header.group(1), indent, match.start() if decorated < 0 else decorated))
            if match.group(2) != "@":
                decorated = -1
        if match.group(2) != "#" or (open_ and indent > open_[-1][0]):
            last = match.end()
    for _, index in open_:
        ends[index] = last
    return [(f"{indent} {name}", Span(start, ends[i])) for i, (name, indent, start) in enumerate(found)]


def _find_ruff() -> str:
    beside = Path(sysconfig.get_path("scripts")) / ("ruff.exe" if sys.platform == "win32" else "ruff")
    found = str(beside) if beside.exists() else shutil.which("ruff")
    if found is None:
        raise LinterMissingError(
            "refactoring pairs are made with ruff, which is not installed: "
            f"{sys.executable} -m pip install 'redraft[train]'"
        )
    return found
