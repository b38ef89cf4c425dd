"""What an answer says beside its edits, or instead of them: texts for people. Knows no network."""

from __future__ import annotations

from collections.abc import Sequence

from model.editing.region import EditRegion
from model.editing.source import line_index
from model.editing.syntax import SyntaxTree
from model.questions import Reader
from model.request import Fix, Request


def unreadable(text: str, regions: Sequence[EditRegion], reader: Reader) -> str:
    """Why none of the regions can be asked about."""
    if not any(reader.tokenizer.can_represent(region.span.of(text)) for region in regions):
        return "this has half a character (a lone surrogate), which is not text and would be lost; remove it"
    limit = reader.config.region_limit
    return f"every part is longer than {limit} tokens, which is the model's limit; select a few statements"


def remaining_errors(request: Request, tree: SyntaxTree | None, regions: Sequence[EditRegion]) -> list[str]:
    """A syntax error in a region that was left alone, for a user who asked to have it fixed."""
    if tree is None or not isinstance(request.task, Fix):
        return []
    errors = [p.span for p in tree.errors() if any(r.span.touches(p.span.start) for r in regions)]
    if not errors:
        return []
    line = line_index(request.document.text).line_at(errors[0].start) + 1
    return [f"the syntax error in line {line} remains"]


def parts(count: int) -> str:
    return "1 part" if count == 1 else f"{count} parts"


def nothing(is_fill: bool, has_code: bool | None) -> str:
    """Why there is no edit where nothing speaks against one; `has_code` is whether a reply held any, None where what
    was decoded is the code itself."""
    if has_code is False:
        return "the model's reply held no code block"
    return "the model has no suggestion here" if is_fill else "the model would change nothing"
