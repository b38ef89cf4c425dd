"""From a request to what the decoder is asked: which regions, and a prompt for each.

Knows regions, context windows and the tokenizer; nothing of networks.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from model.asking import MAX_WORDS, Around, Asked, Asking
from model.checkpoint import Decoding, Instruction
from model.config import ModelConfig
from model.decoders import Enough, Inspect, Job
from model.editing import region as regions
from model.editing.context import Budgets, Surroundings, Window, sections, window
from model.editing.line_ends import normalise
from model.editing.region import EditRegion
from model.editing.source import Span, line_index
from model.editing.syntax import SyntaxTree
from model.editing.tabs import is_tabbed, spaced
from model.editing.trim import opens_block
from model.healing import Lead, word_at_end
from model.instructions import also_asked_for, asked_for
from model.request import Complete, Document, Fill, Fix, Refactor, Request, completion_at
from model.tokenizer import EOR, EOS, Tokenizer

_MAX_PIECES = 400
_LISTED = 6
"""Refactorings that a message names."""
_HAS_CODE = re.compile(r"\w")


class DeclinedError(Exception):
    """The request is not attempted; the message says why."""


@dataclass(frozen=True)
class Question:
    """One region, what it holds in normalised line ends, and the prompt that asks for its new text."""

    region: EditRegion
    old: str
    asked: Asked
    limit: int
    lead: Lead | None = None
    """What a fill's answer begins with though it stands before the hole (`model/healing.py`)."""
    is_tabbed: bool = False
    """Whether tabs were written as spaces (`model/editing/tabs.py`)."""
    typed: int = 0
    """Characters that will stand before the answer and are not in the document: of a selected item."""

    @property
    def source(self) -> Sequence[int] | None:
        """Where an edit starts from."""
        return self.asked.source

    @property
    def begins(self) -> int:
        """Where the answer's first character stands once it is inserted."""
        return self.region.span.start + self.typed - len(self.lead_text)

    @property
    def shown(self) -> Span:
        """The part of the document that the answer spells: the region with its lead."""
        return Span(min(self.begins, self.region.span.start), self.region.span.end)

    @property
    def lead_text(self) -> str:
        return self.lead.text.decode("utf-8") if self.lead else ""

    def job(
        self,
        block: int,
        inspect: Inspect | None,
        enough: Enough | None,
        banned: frozenset[int],
        minimum: float,
    ) -> Job:
        end = EOS if self.source is None else EOR
        return Job(
            self.asked.prompt,
            self.source,
            self.limit,
            block,
            end=end,
            inspect=inspect,
            lead=self.lead,
            enough=enough,
            banned=banned,
            minimum=minimum,
            after=self.asked.after,
        )


@dataclass(frozen=True)
class Reader:
    """Writes questions for one model."""

    tokenizer: Tokenizer
    config: ModelConfig
    decoding: Decoding
    asking: Asking

    @property
    def block(self) -> int:
        """How many tokens of a fill are denoised together."""
        return self.decoding.fill_block or self.config.block

    def regions(self, request: Request, tree: SyntaxTree | None) -> list[EditRegion]:
        """The spans that may change; raises DeclinedError where there is nothing to change."""
        document, task = request.document, request.task
        if isinstance(task, Fill):
            return _holes(task, len(document.text))
        if isinstance(task, Complete):
            cursor = min(max(0, task.cursor), len(document.text))
            return [EditRegion(task.replace or Span(cursor, cursor), "hole")]
        if self.asking.cannot_edit:
            raise DeclinedError(self.asking.cannot_edit)
        if isinstance(task, Refactor):
            found = self._refactored(document, task, tree)
        else:
            found = self._fixed(document, task, tree)
        found = [_without_mark(region, document.text) for region in found]
        found = [region for region in found if _HAS_CODE.search(region.span.of(document.text))]
        if not found:
            raise DeclinedError("there is no code here")
        if len(found) > _MAX_PIECES:
            raise DeclinedError(f"this has {len(found)} parts, the limit is {_MAX_PIECES}; select less of it")
        return found

    def question(self, request: Request, region: EditRegion, tree: SyntaxTree | None) -> Question | None:
        """The prompt for one region; None where the region is too long or cannot be written as tokens."""
        task = request.task
        if isinstance(task, Fix | Refactor):
            return self._edit(request, task, region, tree)
        hole = completion_at(task, region.span)
        return None if hole is None else self._completion(request, hole, region, tree)

    def known(self, instruction: str) -> Instruction | None:
        """The refactoring of this checkpoint's list that is asked for; None for a free instruction."""
        return asked_for(self.decoding.instructions, instruction)

    def _refactored(self, document: Document, task: Refactor, tree: SyntaxTree | None) -> list[EditRegion]:
        words = (
            self.tokenizer.count(task.instruction)
            if len(task.instruction) < 16 * MAX_WORDS
            else MAX_WORDS + 1
        )
        if words > MAX_WORDS:
            raise DeclinedError(f"the instruction is longer than {MAX_WORDS} tokens; say it in fewer words")
        known = self.known(task.instruction)
        if self.decoding.instructions and known is None:
            raise DeclinedError(f"this model knows only these refactorings: {self._listed()}")
        pieces = self._pieces(document, task, tree)
        if known is None:
            return pieces
        if (other := also_asked_for(self.decoding.instructions, known, task.instruction)) is not None:
            raise DeclinedError(
                f"one refactoring at a time: {known.phrasings[0]!r}, then {other.phrasings[0]!r}"
            )
        applying = [piece for piece in pieces if known.may_apply(piece.span.of(document.text))]
        if pieces and not applying:
            raise DeclinedError(f"there is nothing here to do for {known.phrasings[0]!r}")
        return applying

    def _listed(self) -> str:
        known = self.decoding.instructions
        listed = "; ".join(each.phrasings[0] for each in known[:_LISTED])
        more = len(known) - _LISTED
        return listed if more <= 0 else f"{listed}; and {more} more (`redraft models info` lists them)"

    def refactorings(self, code: str) -> tuple[str, ...]:
        """Of the checkpoint's list those for which there could be something to do in `code`."""
        return tuple(each.phrasings[0] for each in self.decoding.instructions if each.may_apply(code))

    def _pieces(self, document: Document, task: Refactor, tree: SyntaxTree | None) -> list[EditRegion]:
        text, size, limit = document.text, self._size, self.config.region_limit
        if task.span is None:
            pieces = regions.split_file(tree, text, size, limit)
            # Broken code may hang together as one statement; blank lines still part it.
            return [
                part
                for piece in pieces
                for part in (
                    [piece]
                    if size(piece.span.of(text)) <= limit
                    else regions.split(None, text, piece.span, size, limit)
                )
            ]
        chosen = regions.selection(text, task.span)
        if size(chosen.span.of(text)) <= limit:
            return [chosen]
        return list(regions.split(tree, text, chosen.span, size, limit))

    def _fixed(self, document: Document, task: Fix, tree: SyntaxTree | None) -> list[EditRegion]:
        """A diagnostic's surroundings, the definition at the cursor, or the syntax error on its line."""
        text, size, limit = document.text, self._size, self.config.region_limit
        found = (
            regions.diagnostic_region(tree, text, task.span, size, limit)
            if task.message
            else regions.definition_at(tree, text, task.span.start)
        )
        if found is None:
            broken = regions.error_regions(tree) if tree is not None else ()
            found = next((region for region in broken if region.span.touches(task.span.start)), None)
        if found is None:
            blind = "" if tree is not None else "; without a grammar for this file only its layout can tell"
            raise DeclinedError(
                f"there is no function, method or class at the cursor, and no syntax error{blind}"
            )
        if size(found.span.of(text)) <= limit:
            return [found]
        return _worth_fixing(regions.split(tree, text, found.span, size, limit), task.span, tree)

    def _completion(
        self, request: Request, task: Complete, region: EditRegion, tree: SyntaxTree | None
    ) -> Question:
        text, span = request.document.text, region.span
        lines = line_index(text)
        before = text[lines.line(lines.line_at(span.start)).start : span.start] + task.start_with
        is_open = not before.strip() or opens_block(before, request.document.language)
        many = task.multiline and (is_open or not task.manners.blocks_only)
        limit = self.decoding.fill_limit if many else min(self.decoding.fill_limit, self.config.block)
        room = self.config.context - limit - self.config.block - self.asking.overhead
        word = word_at_end(before) if self.asking.spells_words else ""
        view, around = self._context(request, region, tree, room, 1.0, task.start_with, word)
        asked = self.asking.fill(replace(around, rest=view.rest.of(text)))
        lead = Lead(self.tokenizer, word.encode())
        return Question(region, "", asked, self._limit(limit, asked), lead, typed=len(task.start_with))

    def _limit(self, limit: int, asked: Asked) -> int:
        """Tokens of an answer; a reply's code stands among words."""
        return limit + (self.asking.overhead if asked.is_reply else 0)

    def _edit(
        self, request: Request, task: Fix | Refactor, region: EditRegion, tree: SyntaxTree | None
    ) -> Question | None:
        old = normalise(region.span.of(request.document.text))
        if len(old) > 16 * self.config.region_limit or not self.tokenizer.can_represent(old):
            return None
        tabs = is_tabbed(old)
        written = spaced(old) if tabs else old
        size = self.tokenizer.count(written)
        limit = size + self.config.block
        words = normalise(task.message if isinstance(task, Fix) else task.instruction)
        taken = min(self.tokenizer.count(words), MAX_WORDS) + self.asking.overhead
        # The region stands in the prompt and once more, with room to grow, in the canvas.
        room = self.config.context - 2 * size - limit - taken
        if not size or size > self.config.region_limit or room < 0:
            return None
        _, around = self._context(request, region, tree, room, 0.5, tabs=tabs)
        write = self.asking.fix if isinstance(task, Fix) else self.asking.refactor
        asked = write(around, written, words)
        return Question(region, old, asked, self._limit(limit, asked), is_tabbed=tabs)

    def _context(
        self,
        request: Request,
        region: EditRegion,
        tree: SyntaxTree | None,
        room: int,
        share: float,
        typed: str = "",
        word: str = "",
        tabs: bool = False,
    ) -> tuple[Window, Around]:
        """What surrounds a region, `typed` before it and without the `word` that this ends with: `share` of the
        checkpoint's budgets, less where `room` is less."""
        text, decoding = request.document.text, self.decoding
        wanted = share * (decoding.prefix + decoding.suffix) + 2 * decoding.sections
        scale = min(1.0, room / wanted) if wanted else 0.0
        prefix, suffix = int(share * scale * decoding.prefix), int(share * scale * decoding.suffix)
        view = window(text, region.span, self.tokenizer.count, prefix, suffix)
        others = Surroundings(request.document.path, [(s.path, s.text) for s in request.snippets])
        budget = int(scale * decoding.sections)
        budgets = Budgets(imports=budget, snippets=budget, diagnostics=0)
        extra = sections(text, view, self.tokenizer.count, others, tree, budgets) if budget else ()
        written: Callable[[str], str] = spaced if tabs else str
        return view, Around(
            prefix=written(normalise(view.prefix.of(text) + typed).removesuffix(word)),
            suffix=written(normalise(view.suffix.of(text))),
            sections=tuple(normalise(s.text) for s in extra),
            path=request.document.path,
        )

    @property
    def _size(self) -> Callable[[str], int]:
        """Tokens of a text; where characters alone decide they are counted instead, so that splitting a large
        file stays linear."""
        limit = self.config.region_limit

        def size(text: str) -> int:
            return self.tokenizer.count(text) if limit // 4 < len(text) <= 16 * limit else len(text)

        return size


def _holes(task: Fill, length: int) -> list[EditRegion]:
    """A region for each span; raises DeclinedError where there is none, or two of them overlap."""
    spans = sorted(Span(min(s.start, length), min(s.end, length)) for s in task.spans)
    if not spans:
        raise DeclinedError("mark at least one span")
    if len(spans) > _MAX_PIECES:
        raise DeclinedError(f"these are {len(spans)} spans, the limit is {_MAX_PIECES}; mark fewer")
    if any(a.end > b.start or a == b for a, b in pairwise(spans)):
        raise DeclinedError("the marked spans overlap; mark them apart")
    return [EditRegion(span, "hole") for span in spans]


def _without_mark(region: EditRegion, text: str) -> EditRegion:
    """A byte order mark is no code: it stays outside the region."""
    if region.span.start == 0 and text.startswith("\ufeff") and region.span.end > 0:
        return replace(region, span=Span(1, region.span.end))
    return region


def _worth_fixing(pieces: Sequence[EditRegion], at: Span, tree: SyntaxTree | None) -> list[EditRegion]:
    """Of a definition too long for one canvas: the piece at the cursor and those with syntax errors."""
    errors = [p.span for p in tree.errors()] if tree is not None else []
    return [
        piece
        for piece in pieces
        if piece.span.touches(at.start) or any(piece.span.touches(e.start) for e in errors)
    ]
