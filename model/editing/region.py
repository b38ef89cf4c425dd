"""Edit regions: which spans of a document a request may change, and why. Knows no tokens and no LSP."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from model.editing.source import Span

RegionKind = Literal["hole", "definition", "selection", "error", "diagnostic", "statements", "file"]


@dataclass(frozen=True)
class EditRegion:
    """A span that may change. A `hole` is empty and gets new text; the others start from their own text."""

    span: Span
    kind: RegionKind
    name: str = ""
