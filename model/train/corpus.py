"""A corpus on disk: `train.jsonl.gz`, `heldout.jsonl.gz` (one file a line: project, path, text) and `manifest.json`.

Reads it, packs it to travel, and divides what is held out. `gather.py` builds it. Knows no tokens.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import lzma
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class SourceFile:
    """One file of the corpus. `path` is relative to its project."""

    project: str
    path: str
    text: str


def read_half(corpus: Path, half: str) -> list[SourceFile]:
    """All files of `train` or `heldout`; raises FileNotFoundError with what to run."""
    for path, opened in ((corpus / f"{half}.jsonl.gz", gzip.open), (corpus / f"{half}.jsonl.xz", lzma.open)):
        if path.exists():
            with opened(path, "rt", encoding="utf-8") as lines:
                return [SourceFile(**json.loads(line)) for line in lines]
    raise FileNotFoundError(
        f"{corpus / half}.jsonl.gz is missing: build a corpus with `redraft train corpus --out {corpus}`"
    )


def pack_corpus(corpus: Path, out: Path, most_bytes: int) -> dict[str, int]:
    """Copy `corpus` into the folder `out`, xz instead of gzip, with as many random files of the training half as
    stay under about `most_bytes` in all: a corpus that travels. Returns files and characters kept.

    Raises ValueError where not even the held-out half fits."""
    out.mkdir(parents=True, exist_ok=True)
    for name in ("manifest.json", "refactorings.jsonl.gz"):
        if (corpus / name).exists():
            (out / name).write_bytes((corpus / name).read_bytes())
    _write_xz(out / "heldout.jsonl.xz", read_half(corpus, "heldout"))
    left = most_bytes - sum(f.stat().st_size for f in out.iterdir() if not f.name.startswith("train"))
    files = sorted(read_half(corpus, "train"), key=lambda f: hashlib.sha256(f.text.encode()).digest())
    sample = files[:500]
    _write_xz(out / "train.jsonl.xz", sample)
    a_character = (out / "train.jsonl.xz").stat().st_size / max(1, sum(len(f.text) for f in sample))
    kept: list[SourceFile] = []
    total = 0
    for each in files:
        total += len(each.text)
        if total * a_character > left:
            break
        kept.append(each)
    if not kept:
        raise ValueError(f"{most_bytes} bytes hold no training files beside the held-out ones; give more")
    kept.sort(key=lambda f: (f.project, f.path))  # what is alike lies together and compresses well
    _write_xz(out / "train.jsonl.xz", kept)
    return {"files": len(kept), "characters": sum(len(f.text) for f in kept)}


def _write_xz(path: Path, files: Sequence[SourceFile]) -> None:
    with lzma.open(path, "wt", encoding="utf-8") as lines:
        for each in files:
            lines.write(json.dumps(each.__dict__, ensure_ascii=False) + "\n")


def calibration_and_report(files: Sequence[SourceFile]) -> tuple[list[SourceFile], list[SourceFile]]:
    """Held-out files in two parts of about equal size, no project in both; a single project is split by files."""
    sizes: Counter[str] = Counter()
    for each in files:
        sizes[each.project] += len(each.text)
    if len(sizes) == 1:
        return list(files[::2]), list(files[1::2] or files)
    totals, part = [0, 0], dict[str, int]()
    for project, size in sizes.most_common():
        smaller = totals.index(min(totals))
        part[project] = smaller
        totals[smaller] += size
    return [f for f in files if not part[f.project]], [f for f in files if part[f.project]]
