"""The verdict on edits before they are offered: harmless in the ways that can be told without running code.

Knows syntax and regions; knows nothing of where the edits come from.
"""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from model.editing.edit import Edit, apply
from model.editing.source import Span, line_index
from model.editing.syntax import SyntaxTree

# What a decoder writes when bytes make no character, and what no source file holds.
_FOREIGN = {"\ufffd": "U+FFFD", "\0": "NUL"}
_READ_WHOLE = 40_000
"""Characters up to which all of a file is read anew: that takes Python 10 ms."""
# A line that begins with it and holds code. ` *` continues a block comment, in files indented with tabs too.
_INDENTED = {
    "\t": re.compile(r"(?:\A|[\r\n])\t[^\S\r\n]*\S"),
    " ": re.compile(r"(?:\A|[\r\n]) (?!\*)[^\S\r\n]*\S"),
}


@dataclass(frozen=True)
class Verdict:
    """Whether edits may be offered. `reason` says why not, or what could not be checked; `new_problems` are
    the syntax errors that the edits bring, as spans in the *new* text (only where `ok` is False)."""

    ok: bool
    reason: str = ""
    new_problems: tuple[Span, ...] = ()


def judge(
    old_text: str,
    old_tree: SyntaxTree | None,
    edits: Sequence[Edit],
    regions: Sequence[Span],
) -> Verdict:
    """Judge `edits` of `old_text`, which may change `regions` only. Without a tree syntax is not checked, and
    the reason of a good verdict says so."""
    edits = sorted(edits, key=lambda e: (e.start, e.end))
    outside = next((e for e in edits if not any(r.covers(e.span) for r in regions)), None)
    if outside is not None:
        return Verdict(False, f"the edit at {outside.start}..{outside.end} is outside the regions")
    try:
        new_text = apply(edits, old_text)
    except ValueError as error:
        return Verdict(False, str(error))
    if new_text == old_text:
        return Verdict(False, "nothing changes")
    for character, name in _FOREIGN.items():
        if new_text.count(character) > old_text.count(character):
            return Verdict(False, f"{name} comes in")
    wrong = _wrong_indentation(old_text, new_text, edits)
    if wrong:
        return Verdict(False, wrong)
    if old_tree is None:
        return Verdict(True, "syntax not checked: no grammar")
    new_tree = old_tree.edited(edits)
    verdict = _judge_syntax(old_tree, new_tree, edits)
    # The new text first: it nearly always parses, and then the old one need not be read.
    if (
        verdict.ok
        and old_tree.language == "python"
        and not _reads(new_tree, list(_new_spans(edits)))
        and _reads(old_tree, [edit.span for edit in edits])
    ):
        return Verdict(False, "Python could not read the result")
    return verdict


def _reads(tree: SyntaxTree, spans: Sequence[Span]) -> bool:
    """Whether Python reads a text; of a long one the statements of the top level around each of the spans."""
    if len(tree.text) <= _READ_WHOLE:
        return is_python(tree.text)
    around = sorted({tree.top_level_around(span) for span in spans})
    if sum(map(len, around)) >= len(tree.text):
        return is_python(tree.text)
    return all(is_python(span.of(tree.text)) for span in around)


def is_python(text: str) -> bool:
    """Whether Python's own parser accepts `text`. The grammar is more lenient, above all of indentation."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ast.parse(text.removeprefix("\ufeff"))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return True


def _judge_syntax(old_tree: SyntaxTree, new_tree: SyntaxTree, edits: Sequence[Edit]) -> Verdict:
    if not new_tree.has_errors:
        return Verdict(True)
    if len(new_tree.text) > _READ_WHOLE and new_tree.problem_count() <= old_tree.problem_count():
        return Verdict(
            True
        )  # parsing a long text anew takes a tenth of a second, and here it would rarely tell more
    old_tree, new_tree = old_tree.fresh(), new_tree.fresh()  # or the count depends on what was typed before
    more = new_tree.problem_count() - old_tree.problem_count()
    if more <= 0:
        return Verdict(True)
    known = {(_moved(problem.span, edits), problem.kind) for problem in old_tree.errors()}
    new = tuple(problem.span for problem in new_tree.errors() if (problem.span, problem.kind) not in known)
    return Verdict(False, f"{more} more syntax {'error' if more == 1 else 'errors'} than before", new)


def _moved(span: Span, edits: Sequence[Edit]) -> Span | None:
    """Where `span` lies in the new text; None where an edit changed it."""
    shift = 0
    for edit in edits:
        if edit.end <= span.start:
            shift += len(edit.new) - (edit.end - edit.start)
        elif edit.start < span.end:
            return None
    return Span(span.start + shift, span.end + shift)


def _wrong_indentation(old_text: str, new_text: str, edits: Sequence[Edit]) -> str:
    """What is wrong with the indentation of changed lines in a file that uses tabs only or spaces only."""
    style = indentation_of(old_text)
    if style is None:
        return ""
    name = {"\t": "a space", " ": "a tab"}[style]
    for line in _changed_lines(new_text, edits):
        lead = line[: len(line) - len(line.lstrip(" \t"))]
        if lead and line.strip() and lead[0] != style and not line.startswith(" *"):
            return f"a line begins with {name} where the file does not"
    return ""


def indentation_of(text: str) -> str | None:
    """The character that begins every indented line, a tab or a space; None where both do or no line is."""
    starts = [ch for ch, line in _INDENTED.items() if _may_begin(text, ch) and line.search(text)]
    return starts[0] if len(starts) == 1 else None


def _may_begin(text: str, character: str) -> bool:
    """Whether a line of `text` may begin with it; an expression that finds nothing takes its time."""
    return text.startswith(character) or f"\n{character}" in text or f"\r{character}" in text


def _changed_lines(new_text: str, edits: Sequence[Edit]) -> Iterator[str]:
    lines = line_index(new_text)
    for span in _new_spans(edits):
        for number in range(lines.line_at(span.start), lines.line_at(span.end) + 1):
            yield lines.line(number).of(new_text)


def _new_spans(edits: Sequence[Edit]) -> Iterator[Span]:
    """Where what sorted edits write stands in the new text."""
    shift = 0
    for edit in edits:
        yield Span(edit.start + shift, edit.start + shift + len(edit.new))
        shift += len(edit.new) - (edit.end - edit.start)
