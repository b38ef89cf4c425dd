"""Refactoring pairs of a corpus: a linter's automatic fixes, rule by rule, cut down to definitions; and pairs made
with the syntax tree where such code is rare.

A `Pair` names a definition of a corpus file and the text that one refactoring turns it into; all other old-style
code in it stays, and `others` says for which refactorings there is some. The files lie beside the corpus in
`refactorings.jsonl.gz`, for both halves; a pair is of the half that its project is in. Knows no tokens.
"""

from __future__ import annotations

import gzip
import json
import re
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from hashlib import sha256
from itertools import islice
from pathlib import Path

import numpy as np

from model.editing.source import Span
from model.train.corpus import SourceFile, read_half
from model.train.refactorings.linted import LINTED
from model.train.refactorings.linter import Finding, Linter, aligned_definitions, outline
from model.train.refactorings.refactoring import Maker, Refactoring
from model.train.scenery import Scenery
from model.train.slips.python import syntax_error

FILE_NAME = "refactorings.jsonl.gz"
_CHUNK = 600
"""Files that are checked at a time."""
_FILES = 10_000
"""Files of a half that are read: a sample large enough for what is common, in minutes."""
_SHORTEST, _LONGEST = 30, 2_000
"""Characters of a region; the longest is what 384 tokens hold at most."""
_PLACES = 4
"""Places of a file that are tried for a refactoring."""
_A_PROJECT = 150
RARE = {
    "context_manager": re.compile(r"(?m)^ +with .*open\(.* as \w+:$"),
    "comprehensions": re.compile(r"(?m)^ +\w+ = [\[{].* for .*[\]}]$"),
    "merged_if": re.compile(r"(?m)^ +if .* and .*:$"),
    "collapsed_else_if": re.compile(r"(?m)^ +elif .*:$"),
    "yield_from": re.compile(r"(?m)^ +yield from .*$"),
    "conversion_flags": re.compile(r"\{[^{}\n]*![rs]\}"),
    "set_literals": re.compile(r"\bin \{"),
    "membership_test": re.compile(r"(?:if|and|or|return) [\w.]+ not in "),
    "os_error": re.compile(r"\bOSError\b"),
    "range_start": re.compile(r"\brange\(\w+\)"),
    "open_modes": re.compile(r"\bopen\([\w.]+\)"),
}
"""Where there could be code for a maker of pairs, in files where such code is rare."""
_MOST = {"train": 3_000, "heldout": 500}
"""Pairs of one refactoring from a project and in all, so that no large project and no common rule dominates."""


@dataclass(frozen=True, slots=True)
class Pair:
    """`start` and `end` are the definition's offsets in its file, `check` the CRC-32 of its text. That is what the
    refactoring starts from, unless `before` is given: then the file is as it should be afterwards."""

    kind: str
    project: str
    path: str
    start: int
    end: int
    check: int
    after: str
    others: tuple[str, ...] = ()
    before: str = ""


@dataclass(frozen=True, slots=True)
class PlacedPair:
    """A pair with the text of its file."""

    pair: Pair
    text: str

    @property
    def span(self) -> Span:
        return Span(self.pair.start, self.pair.end)

    @property
    def before(self) -> str:
        return self.pair.before or self.text[self.pair.start : self.pair.end]


def build_pairs(
    corpus: Path,
    made: Mapping[str, Maker],
    refactorings: Sequence[Refactoring] = LINTED,
    say: Callable[[str], None] = lambda _: None,
) -> dict[str, Counter[str]]:
    """Write the pairs of both halves of `corpus`; the numbers of pairs by half and refactoring. `made` holds the
    makers of the `RARE` refactorings.

    Raises FileNotFoundError without a corpus, LinterMissingError where Ruff is not installed.
    """
    linter = Linter(refactorings)
    counts: dict[str, Counter[str]] = {}
    unfinished = corpus / f"{FILE_NAME}.part"
    with gzip.open(unfinished, "wt", encoding="utf-8") as out:
        for half, most in _MOST.items():
            files = _sample(read_half(corpus, half))
            pairs = find_pairs(files, linter, most, lambda done, h=half: say(f"{h}: {done}"))
            pairs += made_pairs(files, {name: made[name] for name in RARE}, most)
            counts[half] = Counter(pair.kind for pair in pairs)
            for pair in pairs:
                out.write(json.dumps({"half": half, **asdict(pair)}) + "\n")
    unfinished.replace(corpus / FILE_NAME)
    return counts


def find_pairs(
    files: Sequence[SourceFile],
    linter: Linter,
    most: int = 10**9,
    progress: Callable[[str], None] = lambda _: None,
) -> list[Pair]:
    """Up to `most` pairs of each refactoring in `files`, `_A_PROJECT` of a project among them, each result once;
    by refactoring. What is common is found in the first of the files, what is rare is looked for in all."""
    found: dict[str, list[Pair]] = {r.name: [] for r in linter.refactorings}
    seen: set[tuple[str, str]] = set()
    of_project: Counter[tuple[str, str]] = Counter()
    for at in range(0, len(files), _CHUNK):
        chunk = files[at : at + _CHUNK]
        wanted = [r for r in linter.refactorings if len(found[r.name]) < most]
        for pair in _of_chunk(chunk, linter, wanted):
            key = pair.kind, pair.project
            if (pair.kind, pair.after) not in seen and of_project[key] < _A_PROJECT:
                seen.add((pair.kind, pair.after))
                of_project[key] += 1
                found[pair.kind].append(pair)
        progress(f"{at + len(chunk)} of {len(files)} files, {sum(map(len, found.values()))} pairs")
    return [pair for each in found.values() for pair in each[:most]]


def made_pairs(files: Sequence[SourceFile], makers: Mapping[str, Maker], most: int = 10**9) -> list[Pair]:
    """Pairs made with the syntax tree for refactorings whose code is too rare to be met by chance: the first places
    of their `RARE` pattern in each file are tried."""
    found: dict[str, dict[str, Pair]] = {name: {} for name in makers}
    for file in files:
        for name, make in makers.items():
            if len(found[name]) < most:
                places = [p.span() for p in islice(RARE[name].finditer(file.text), _PLACES)]
                for pair in _made_at(name, make, file, places):
                    found[name][pair.before] = pair
    return [pair for each in found.values() for pair in [*each.values()][:most]]


def _made_at(name: str, make: Maker, file: SourceFile, places: Sequence[tuple[int, int]]) -> Iterator[Pair]:
    spans = outline(file.text) if places else []
    around = {
        min((s for _, s in spans if s.start <= a and b <= s.end), key=len, default=None) for a, b in places
    }
    for span in sorted(span for span in around if span is not None):
        after = span.of(file.text)
        if not _SHORTEST <= len(after) <= _LONGEST:
            continue
        rewriting = make(Scenery(after).scene(Span(0, len(after))), np.random.default_rng(_check(after)))
        if rewriting is None or any(map(syntax_error, (rewriting.before, after))):
            continue
        yield Pair(
            name, file.project, file.path, span.start, span.end, _check(after), after, (), rewriting.before
        )


def _check(text: str) -> int:
    return zlib.crc32(text.encode("utf-8", "surrogatepass"))


def _sample(files: Sequence[SourceFile]) -> list[SourceFile]:
    """Up to `_FILES` in an order that has nothing to do with their names."""
    return sorted(files, key=lambda f: sha256(f"{f.project}/{f.path}".encode()).digest())[:_FILES]


def _of_chunk(files: Sequence[SourceFile], linter: Linter, wanted: Sequence[Refactoring]) -> Iterator[Pair]:
    with linter.workplace([f.text for f in files]) as work:
        findings = work.findings()
        for refactoring in wanted:
            flagged = [i for i, each in findings.items() if any(f.kind == refactoring.name for f in each)]
            for i, fixed in work.fixed(refactoring, flagged).items():
                yield from _pairs_of(refactoring.name, files[i], fixed, findings[i])


def _pairs_of(kind: str, file: SourceFile, fixed: str, findings: Sequence[Finding]) -> Iterator[Pair]:
    for span, after in aligned_definitions(file.text, fixed, _LONGEST):
        before = span.of(file.text)
        if not len(before) >= _SHORTEST or after == before or before.count("#") > after.count("#"):
            continue
        first = file.text.count("\n", 0, span.start) + 1
        last = first + before.count("\n")
        others = sorted({f.kind for f in findings if first <= f.row <= last and f.kind != kind})
        yield Pair(kind, file.project, file.path, span.start, span.end, _check(before), after, tuple(others))


def read_pairs(corpus: Path, half: str) -> list[Pair]:
    """The pairs of a half; none where they were not built."""
    path = corpus / FILE_NAME
    if not path.exists():
        return []
    pairs: list[Pair] = []
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        for line in lines:
            row = json.loads(line)
            if row.pop("half") == half:
                pairs.append(Pair(**{**row, "others": tuple(row["others"])}))
    return pairs


def place(pairs: Iterable[Pair], files: Iterable[SourceFile]) -> dict[str, list[PlacedPair]]:
    """The pairs that lie in `files`, by refactoring, in order; raises ValueError where a file has changed."""
    texts: Mapping[tuple[str, str], str] = {(f.project, f.path): f.text for f in files}
    placed: dict[str, list[PlacedPair]] = {}
    for pair in pairs:
        text = texts.get((pair.project, pair.path))
        if text is None:
            continue
        each = PlacedPair(pair, text)
        if _check(each.span.of(text)) != pair.check:
            raise ValueError(
                f"{FILE_NAME} belongs to another corpus: {pair.path} has changed; run `redraft train pairs`"
            )
        placed.setdefault(pair.kind, []).append(each)
    return placed
