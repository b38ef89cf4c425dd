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

_HEADER = re.compile(r"(?m)^([ \t]*)(?:async[ ]+)?(?:def|class)[ ]+\w+")


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
        self._kinds: dict[str, list[str]] = defaultdict(list)
        for refactoring in self.refactorings:
            for rule in refactoring.rules:
                self._kinds[rule].append(refactoring.name)
        self._command = _find_ruff()

    @contextmanager
    def workplace(self, texts: Sequence[str]) -> Iterator[Workplace]:
        """A temporary folder with `texts` as files; they are known by their index."""
        with tempfile.TemporaryDirectory(prefix="redraft-pairs-") as folder:
            yield Workplace(Path(folder), texts, self._command, self._kinds)


class Workplace:
    """Copies of files to report on and to fix."""

    def __init__(self, folder: Path, texts: Sequence[str], command: str, kinds: dict[str, list[str]]) -> None:
        self._folder, self._texts, self._command, self._kinds = folder, texts, command, kinds
        self._write("all", range(len(texts)))

    def findings(self) -> dict[int, list[Finding]]:
        """What the rules report, by file."""
        options = ["--select", ",".join(self._kinds), "--output-format", "concise"]
        found: dict[int, list[Finding]] = defaultdict(list)
        for match in _FINDING.finditer(self._run("all", *options)):
            for kind in self._kinds.get(match.group(3), ()):
                found[int(match.group(1))].append(Finding(kind, int(match.group(2))))
        return found

    def fixed(self, refactoring: Refactoring, files: Sequence[int]) -> dict[int, str]:
        """The texts of those of `files` that the refactoring changes; everything else in them stays."""
        if not files:
            return {}
        self._write("one", files)
        options = [option for setting in refactoring.settings for option in ("--config", setting)]
        self._run("one", "--select", ",".join(refactoring.rules), "--fix-only", "--unsafe-fixes", *options)
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
    found: list[tuple[str, Span]] = []
    for header in _HEADER.finditer(text):
        indent = header.group(1)
        # Brackets that close the header's parameters stand as far left as the header, and comments anywhere.
        further_left = _line_left_of(len(indent)).search(text, header.end())
        end = header.end() + len(text[header.end() : further_left.start() if further_left else None].rstrip())
        while (line := text.rfind("\n", 0, end) + 1) > header.end() and _is_comment_left_of(
            text[line:end], indent
        ):
            end = header.end() + len(text[header.end() : line].rstrip())
        found.append((header.group(), Span(_decorated(text, header.start(), indent), end)))
    return found


@lru_cache(maxsize=64)
def _line_left_of(column: int) -> re.Pattern[str]:
    """A line of code that starts at `column` or further left."""
    return re.compile(rf"\n(?=[ \t]{{0,{column}}}[^\s)\]}}#])")


def _is_comment_left_of(line: str, indent: str) -> bool:
    code = line.lstrip()
    return code.startswith("#") and len(line) - len(code) <= len(indent)


def _decorated(text: str, start: int, indent: str) -> int:
    """Where the decorators of the definition that starts at `start` begin."""
    while start:
        line = text.rfind("\n", 0, start - 1) + 1
        if text.startswith(f"{indent})", line):  # the end of a decorator of several lines
            line = text.rfind(f"\n{indent}@", 0, line) + 1
        if not text.startswith(f"{indent}@", line):
            break
        start = line
    return start


def _find_ruff() -> str:
    beside = Path(sysconfig.get_path("scripts")) / ("ruff.exe" if sys.platform == "win32" else "ruff")
    found = str(beside) if beside.exists() else shutil.which("ruff")
    if found is None:
        raise LinterMissingError(
            "refactoring pairs are made with ruff, which is not installed: "
            f"{sys.executable} -m pip install 'redraft[train]'"
        )
    return found
