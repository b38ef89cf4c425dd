"""A suggestion in the style of its file, as far as the syntax tree agrees: no surplus brackets, the usual quotes."""

from __future__ import annotations

from dataclasses import dataclass

from model.editing.brackets import cut_surplus
from model.editing.edit import Edit
from model.editing.manners import Manners
from model.editing.quotes import match_quotes, wanted_quote
from model.editing.source import Span
from model.editing.syntax import SyntaxTree
from model.editing.trim import Around


@dataclass(frozen=True)
class Place:
    """Where a suggestion goes: it replaces `span` of the text of `tree` (None without a grammar), behind `lead`, which
    is written there too. `is_all` says that `around` holds all of the text above."""

    span: Span
    lead: str
    around: Around
    tree: SyntaxTree | None
    is_all: bool


def in_style(suggestion: str, place: Place, manners: Manners) -> str:
    """`suggestion` as the file would have it; a start of it where a bracket closes nothing."""
    if manners.balance_brackets:
        suggestion = _balanced(suggestion, place)
    if not manners.match_quotes or place.tree is None:
        return suggestion
    quote = wanted_quote(suggestion, place.around.above + place.around.after, place.tree.language)
    if quote is None:
        return suggestion
    start = place.span.start + len(place.lead)
    return match_quotes(_with(suggestion, place, place.tree), Span(start, start + len(suggestion)), quote)


def _balanced(suggestion: str, place: Place) -> str:
    """Without what begins at a surplus bracket: text alone finds one, and the tree has fewer errors without it."""
    around = place.around
    kept = cut_surplus(suggestion, around.above, around.before, around.rest)
    if kept == suggestion:
        return suggestion
    if place.tree is None:
        return kept if place.is_all else suggestion
    whole, part = _with(suggestion, place, place.tree), _with(kept, place, place.tree)
    return kept if part.problem_count() < whole.problem_count() else suggestion


def _with(suggestion: str, place: Place, tree: SyntaxTree) -> SyntaxTree:
    return tree.edited([Edit(place.span.start, place.span.end, place.lead + suggestion)])
