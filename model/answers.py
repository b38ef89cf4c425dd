"""From decoded tokens to edits that may be offered: text, trimming, smallest edits, verdict.

Knows no network; what is wrong with a candidate also tells the decoder which tokens to mask again.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from math import exp
from typing import Protocol

from model.canvas import Canvas
from model.decoders import Enough, Inspect
from model.editing.depth import at_depth_of
from model.editing.edit import Edit, minimal_edits
from model.editing.fence import fenced
from model.editing.line_ends import normalise, restore
from model.editing.restated import as_completion
from model.editing.scope import Scope
from model.editing.source import Span, line_index
from model.editing.style import Place, in_style
from model.editing.syntax import SyntaxTree
from model.editing.tabs import spaced, tabbed
from model.editing.trim import Around, cut_repetition, is_complete, trim, without_last_line
from model.editing.verify import Verdict, judge
from model.questions import Question
from model.request import Complete, Request, completion_at
from model.tokenizer import Tokenizer

_Key = tuple[object, ...]
_HAS_CODE = re.compile(r"\w")
_MOSTLY = 0.6
"""Above this share of bad tokens, masking them again would mean starting over."""


class Answer(Protocol):
    """What is read of an answer being decoded (`model/sampler.py`'s `Lane`)."""

    @property
    def canvas(self) -> Canvas: ...

    @property
    def is_finished(self) -> bool: ...

    @property
    def tokens(self) -> int: ...


@dataclass(frozen=True)
class Writer:
    """Turns the answers to one request into edits of its document."""

    request: Request
    tree: SyntaxTree | None
    tokenizer: Tokenizer
    scope: Scope | None = None
    """What the asked-for refactoring alone may change (`model/editing/scope.py`)."""
    _verdicts: dict[_Key, Verdict] = field(default_factory=dict[_Key, Verdict], compare=False)
    _edits: dict[_Key, tuple[Edit, ...]] = field(default_factory=dict[_Key, tuple[Edit, ...]], compare=False)
    """What was found before: an answer that needs no mending is looked at twice."""

    def edits(self, question: Question, tokens: Sequence[int], is_whole: bool = True) -> tuple[Edit, ...]:
        """The smallest edits that write an answer into its region; none where it changes nothing. Of a fill that is
        not whole the last line, which may be half of one, is left out where there are others."""
        key = question.region.span, tuple(tokens), is_whole
        if key not in self._edits:
            self._edits[key] = self._written(question, tokens, is_whole)
        return self._edits[key]

    def _written(self, question: Question, tokens: Sequence[int], is_whole: bool) -> tuple[Edit, ...]:
        text, span = self.request.document.text, question.region.span
        new = self.tokenizer.decode(tokens)
        if question.asked.is_reply:
            code = fenced(new)
            if code is None:
                return ()
            new = self._replied(question, code)
        if not new.startswith(question.lead_text):
            return ()  # it stopped before the cursor
        new = new.removeprefix(question.lead_text)
        if question.is_tabbed:
            new = tabbed(new)
        if hole := completion_at(self.request.task, span):
            new = self._completion(hole, span, new if is_whole else without_last_line(new))
            return (Edit(span.start, span.end, new),) if new and new != span.of(text) else ()
        original = span.of(text)
        if not _HAS_CODE.search(new):
            return ()  # an empty answer is no answer: it would delete the user's code
        written = restore(new, original, text)
        edits = minimal_edits(original, written)
        if self.scope is not None:
            edits = self._code(span, self.scope.within(original, written, edits))
        return tuple(Edit(span.start + e.start, span.start + e.end, e.new) for e in edits)

    def _replied(self, question: Question, code: str) -> str:
        """A reply's code as it stands in the file."""
        language, span = self.request.document.language, question.region.span
        if hole := completion_at(self.request.task, span):
            return as_completion(code, self._around(hole, span), language)
        # The network was shown spaces for tabs; the code becomes tabbed again behind this.
        shown = spaced(question.old) if question.is_tabbed else question.old
        return at_depth_of(code, shown, language)

    def _code(self, span: Span, edits: Sequence[Edit]) -> tuple[Edit, ...]:
        """Those of a region's edits that are in no comment or string: what looks like code there is none."""
        tree = self.tree
        return tuple(e for e in edits if tree is None or not tree.in_comment_or_string(span.start + e.start))

    def places_left(self, regions: Sequence[Span], edits: Sequence[Edit]) -> int:
        """Places of a refactoring with a contract that stay as they are; 0 where they cannot be told."""
        if self.scope is None:
            return 0
        text, tree = self.request.document.text, self.tree
        found = [
            Span(region.start + place.start(), region.start + place.end())
            for region in regions
            for place in self.scope.places(region.of(text))
        ]
        code = [place for place in found if tree is None or not tree.in_comment_or_string(place.start)]
        return sum(not any(e.span.overlaps(place) or place.covers(e.span) for e in edits) for place in code)

    def _completion(self, task: Complete, span: Span, new: str) -> str:
        language = self.request.document.language
        around = self._around(task, span)
        kept = trim(new, around, task.multiline, language, task.manners)
        if kept:
            is_all = len(around.above) + len(around.before) >= span.start + len(task.start_with)
            kept = in_style(kept, Place(span, task.start_with, around, self.tree, is_all), task.manners)
        return restore(task.start_with + kept, "", self.request.document.text) if kept else ""

    def _around(self, task: Complete, span: Span) -> Around:
        text = self.request.document.text
        lines = line_index(text)
        line = lines.line(lines.line_at(span.start))
        before = text[line.start : span.start] + task.start_with
        rest = text[span.end : lines.line(lines.line_at(span.end)).end]
        above = normalise(text[max(0, line.start - 4000) : line.start])
        after = normalise(text[lines.full_line(lines.line_at(span.end)).end :][:4000])
        return Around(above, before, rest, after)

    def enough(self, question: Question) -> Enough | None:
        """A function that tells from an answer's tokens whether more of them would be cut off, or only repeat; None for
        edits, unless a reply's code block tells it."""
        if question.asked.is_reply:
            return lambda tokens: fenced(self.tokenizer.decode(tokens)) is not None
        span = question.region.span
        task = completion_at(self.request.task, span)
        if task is None:
            return None
        around, language = self._around(task, span), self.request.document.language

        def enough(tokens: Sequence[int]) -> bool:
            own = self.tokenizer.decode(tokens).removeprefix(question.lead_text)
            if task.manners.stop_repetition and cut_repetition(own) != own:
                return True
            return is_complete(own, around, task.multiline, language, task.manners)

        return enough

    def verdict(self, edits: Sequence[Edit], regions: Sequence[Span]) -> Verdict:
        key = tuple(edits), tuple(regions)
        if key not in self._verdicts:
            self._verdicts[key] = judge(self.request.document.text, self.tree, edits, regions)
        return self._verdicts[key]

    def inspector(self, question: Question) -> Inspect | None:
        """A function from an answer's tokens to those under new syntax errors; None without a grammar, where the
        scope keeps them out, and where the answer's places are not the file's or it is a reply."""
        if self.tree is None or self.scope is not None or question.is_tabbed or question.asked.is_reply:
            return None

        def inspect(tokens: Sequence[int]) -> Sequence[int]:
            edits = self.edits(question, tokens)
            if not edits:
                return ()
            verdict = self.verdict(edits, [question.region.span])
            if verdict.ok or not verdict.new_problems:
                return ()
            start = question.begins
            bad = [
                i
                for i, (a, b) in enumerate(self.tokenizer.spans(tokens))
                if any(p.start <= start + b and start + a <= p.end for p in verdict.new_problems)
            ]
            return bad if len(bad) <= _MOSTLY * len(tokens) else ()

        return inspect

    def accepted(self, answers: Sequence[tuple[Question, Answer]]) -> tuple[list[Edit], list[str]]:
        """The edits of all answers whose whole passes the verdict, and the reasons against the others.

        Answers are first judged together; only if that fails, one after the other.
        """
        whole = [(q, lane) for q, lane in answers if q.source is None or not lane.canvas.is_cut]
        proposed = [(q, self.edits(q, lane.canvas.tokens, _is_whole(q, lane))) for q, lane in whole]
        proposed = [(q, e) for q, e in proposed if e]
        spans = [q.region.span for q, _ in proposed]
        together = [edit for _, edits in proposed for edit in edits]
        if not together or self.verdict(together, spans).ok:
            return together, []
        kept: list[Edit] = []
        reasons: list[str] = []
        for _, edits in proposed:
            verdict = self.verdict([*kept, *edits], spans)
            if verdict.ok:
                kept += edits
            else:
                reasons.append(verdict.reason)
        return kept, reasons


def _is_whole(question: Question, lane: Answer) -> bool:
    """Whether the answer was not cut at its limit."""
    return lane.is_finished and lane.tokens < question.limit


def confidence(answers: Sequence[tuple[Question, Answer]]) -> float:
    """The geometric mean of the probabilities at which the answers' tokens were committed."""
    total = sum(lane.canvas.logp for _, lane in answers)
    tokens = sum(max(1, lane.tokens) for _, lane in answers)
    return exp(total / max(1, tokens))
