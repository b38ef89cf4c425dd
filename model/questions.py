"""From a request to what the decoder is asked: which regions, and a prompt for each.

Knows regions, context windows and the tokenizer; nothing of networks.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from model import prompt
from model.checkpoint import Decoding
from model.config import ModelConfig
from model.decoders import Inspect, Job
from model.editing import region as regions
from model.editing.context import Budgets, Surroundings, Window, sections, window
from model.editing.line_ends import normalise
from model.editing.region import EditRegion
from model.editing.source import LineIndex, Span
from model.editing.syntax import SyntaxTree
from model.editing.trim import opens_block
from model.request import Complete, Document, Fix, Refactor, Request
from model.tokenizer import EOR, EOS, Tokenizer

_MAX_PIECES = 400
_HAS_CODE = re.compile(r"\w")


class DeclinedError(Exception):
    """The request is not attempted; the message says why."""


@dataclass(frozen=True)
class Question:
    """One region, what it holds in normalised line ends, and the prompt that asks for its new text."""

    region: EditRegion
    old: str
    prompt: list[int]
    source: list[int] | None
    limit: int

    def job(self, config: ModelConfig, inspect: Inspect | None) -> Job:
        end = EOS if self.source is None else EOR
        return Job(self.prompt, self.source, self.limit, config.block, end=end, inspect=inspect)


@dataclass(frozen=True)
class Reader:
    """Writes questions for one model."""

    tokenizer: Tokenizer
    config: ModelConfig
    decoding: Decoding

    def questions(self, request: Request, tree: SyntaxTree | None) -> list[Question]:
        """Raises DeclinedError where there is nothing to ask."""
        document, task = request.document, request.task
        if isinstance(task, Complete):
            return [self._completion(request, task, tree)]
        found = self._regions(document, task, tree)
        questions = [
            self._edit(request, each, task, tree)
            for each in found
            if _HAS_CODE.search(each.span.of(document.text))
        ]
        kept = [q for q in questions if q is not None]
        if not kept:
            raise DeclinedError(
                f"every part of it is longer than {self.config.region_limit} tokens, or cannot be read as text"
                if found
                else "there is no code here"
            )
        return kept

    def _completion(self, request: Request, task: Complete, tree: SyntaxTree | None) -> Question:
        text = request.document.text
        cursor = min(max(0, task.cursor), len(text))
        span = task.replace or Span(cursor, cursor)
        view = window(text, span, self.tokenizer.count, self.decoding.prefix, self.decoding.suffix)
        lines = LineIndex(text)
        before = text[lines.line(lines.line_at(span.start)).start : span.start] + task.start_with
        rest = view.rest.of(text)
        many = task.multiline and (not before.strip() or opens_block(before, request.document.language))
        around = self._context(request, view, tree, task.start_with)
        ids = prompt.fill_prompt(around, self.tokenizer.encode(rest))
        limit = self.decoding.fill_limit if many else min(self.decoding.fill_limit, self.config.block)
        return Question(EditRegion(span, "hole"), "", ids, None, limit)

    def _regions(
        self, document: Document, task: Fix | Refactor, tree: SyntaxTree | None
    ) -> Sequence[EditRegion]:
        text, size, limit = document.text, self._size, self.config.region_limit
        if isinstance(task, Refactor):
            if task.span is None:
                pieces = regions.split_file(tree, text, size, limit)
            else:
                chosen = regions.selection(text, task.span).span
                pieces = (
                    regions.split(tree, text, chosen, size, limit)
                    if size(chosen.of(text)) > limit
                    else (EditRegion(chosen, "selection"),)
                )
            if len(pieces) > _MAX_PIECES:
                raise DeclinedError(
                    f"the file has {len(pieces)} parts, the limit is {_MAX_PIECES}; select a part of it"
                )
            return pieces
        if task.message:
            found = regions.diagnostic_region(tree, text, task.span, size, limit)
        else:
            found = regions.definition_at(tree, text, task.span.start)
        if found is None:
            raise DeclinedError("there is no function, method or class at the cursor")
        if size(found.span.of(text)) <= limit:
            return [found]
        return _worth_fixing(regions.split(tree, text, found.span, size, limit), task.span, tree)

    def _edit(
        self, request: Request, region: EditRegion, task: Fix | Refactor, tree: SyntaxTree | None
    ) -> Question | None:
        text, encode = request.document.text, self.tokenizer.encode
        old = normalise(region.span.of(text))
        source = encode(old)
        if not source or len(source) > self.config.region_limit or not self.tokenizer.can_represent(old):
            return None
        view = window(
            text, region.span, self.tokenizer.count, self.decoding.prefix // 2, self.decoding.suffix // 2
        )
        around = self._context(request, view, tree)
        if isinstance(task, Fix):
            ids = prompt.fix_prompt(around, source, encode(task.message)[:48])
        else:
            ids = prompt.refactor_prompt(around, source, encode(normalise(task.instruction))[:64])
        return Question(region, old, ids, source, len(source) + self.config.block)

    def _context(
        self, request: Request, view: Window, tree: SyntaxTree | None, typed: str = ""
    ) -> prompt.Context:
        text, encode = request.document.text, self.tokenizer.encode
        around = Surroundings(request.document.path, [(s.path, s.text) for s in request.snippets])
        budget = self.decoding.sections
        budgets = Budgets(imports=budget, snippets=budget, diagnostics=0)
        extra = sections(text, view, self.tokenizer.count, around, tree, budgets) if budget else ()
        return prompt.Context(
            prefix=encode(normalise(view.prefix.of(text) + typed)),
            suffix=encode(normalise(view.suffix.of(text))),
            sections=tuple(encode(normalise(s.text)) for s in extra),
        )

    @property
    def _size(self) -> Callable[[str], int]:
        """Tokens of a text; far above any limit it is estimated, so that splitting a large file stays linear."""
        limit = self.config.region_limit

        def size(text: str) -> int:
            return self.tokenizer.count(text) if len(text) <= 16 * limit else len(text)

        return size


def _worth_fixing(pieces: Sequence[EditRegion], at: Span, tree: SyntaxTree | None) -> list[EditRegion]:
    """Of a definition too long for one canvas: the piece at the cursor and those with syntax errors."""
    errors = [p.span for p in tree.errors()] if tree is not None else []
    return [
        piece
        for piece in pieces
        if piece.span.touches(at.start) or any(piece.span.touches(e.start) for e in errors)
    ]
