"""What a prompt shows around the place of an edit: anchored windows of the file, and sections from elsewhere.

A model's cache is reused only while the prompt's start stays, so the window's start lies on a grid: it moves
in strides of half the budget, never with a keystroke. The grid looks at text alone: a syntax tree changes
shape with every unfinished line. Budgets are in units of a counter that is passed in, called a few times on
pieces about as long as the budget. Knows no tokens.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from model.editing.source import Span, line_index
from model.editing.syntax import SyntaxTree

Counter = Callable[[str], int]

# Characters per token of code, about; off by a factor it costs context or a few more calls, not correctness.
_CHARS_PER_TOKEN = 3
_BOUNDARY = re.compile(r"(?:\r\n|\n|\r)[ \t]*(?:\r\n|\n|\r)(?=\S)")  # a blank line before unindented code
_LINE_END = re.compile(r"\r\n|\n|\r")


@dataclass(frozen=True)
class Window:
    """Three spans of one text: `prefix` ends at the place of the edit, `rest` goes from it to its line's end,
    `suffix` starts on the next line. Each is cut to its budget."""

    suffix: Span
    prefix: Span
    rest: Span


def window(text: str, span: Span, count: Counter, prefix_budget: int, suffix_budget: int) -> Window:
    """The window around `span` (a cursor is an empty span). `rest` and `suffix` share the suffix's budget."""
    lines = line_index(text)
    line = lines.line_at(span.end)
    rest_end = _fit(text, span.end, max(span.end, lines.line(line).end), count, suffix_budget)
    below = lines.full_line(line).end
    left = suffix_budget - (count(text[span.end : rest_end]) if rest_end > span.end else 0)
    suffix_end = _fit(text, below, len(text), count, left)
    start = _anchor(text, span.start, count, prefix_budget)
    return Window(Span(below, suffix_end), Span(start, span.start), Span(span.end, rest_end))


def _fit(text: str, start: int, end: int, count: Counter, budget: int) -> int:
    """An end that keeps `text[start:end]` within `budget`: at a line's end where one is near."""
    size = budget * 2 * _CHARS_PER_TOKEN
    while size > 0 and start < end:
        stop = min(end, start + size)
        if stop < end:
            breaks = [m.end() for m in _LINE_END.finditer(text, start, stop)]
            stop = breaks[-1] if breaks else stop
        used = count(text[start:stop])
        if used <= budget:
            return stop
        # A tenth less than what the measured ratio allows, so that two or three rounds are enough.
        size = min(size * 9 // 10, (stop - start) * budget * 9 // (used * 10))
    return start


def _anchor(text: str, at: int, count: Counter, budget: int) -> int:
    """Where the prefix that ends at `at` starts: the first point of a fixed grid that keeps the budget.

    Points lie `stride` characters apart, moved to the next boundary of the text. A point counts only when the
    stretch it was moved in lies wholly before `at`, so that typing cannot move it.
    """
    if budget <= 0:
        return at
    stride = max(1, budget * _CHARS_PER_TOKEN // 2)
    while True:
        # Nothing has fewer tokens than one for 16 characters, so earlier points need no counting.
        first = max(0, (at - budget * 16) // stride)
        points = [p for p in range(first, at // stride + 1) if p == 0 or p * stride + stride // 2 <= at]
        starts = [_moved_to_boundary(text, point * stride, stride // 2) for point in points]
        found = _earliest(text, starts, at, count, budget)
        if found is not None:
            return found
        if stride == 1:
            return at
        stride = max(1, stride // 2)


def _earliest(text: str, starts: Sequence[int], at: int, count: Counter, budget: int) -> int | None:
    """The first of `starts` from which the text up to `at` keeps the budget. It is counted in the pieces between them:
    typing changes the last one alone, and a counter may know the others."""
    found: int | None = None
    used, end = 0, at
    for start in reversed(starts):
        used += count(text[start:end])
        if used > budget:
            break
        found = end = start
    return found


def _moved_to_boundary(text: str, start: int, room: int) -> int:
    if start == 0:
        return 0
    end = start + room
    match = _BOUNDARY.search(text, start, end) or _LINE_END.search(text, start, end)
    if match is None:
        return start
    return match.end() if match.end() < end else start


@dataclass(frozen=True)
class Section:
    """A piece of context from elsewhere: `kind` is `imports`, `snippet` or `diagnostic`."""

    kind: str
    path: str
    text: str


@dataclass(frozen=True)
class Notice:
    """A diagnostic of the file: where, and what it says."""

    span: Span
    message: str


@dataclass(frozen=True)
class Budgets:
    """How much each kind of section may take, in the counter's units."""

    imports: int = 96
    snippets: int = 192
    diagnostics: int = 48


@dataclass(frozen=True)
class Surroundings:
    """What the editor knows beside the text: `snippets` are (path, text), the most useful first."""

    path: str = ""
    snippets: Sequence[tuple[str, str]] = field(default=())
    notices: Sequence[Notice] = field(default=())


_NEAR = 20  # lines from the edit within which a diagnostic may matter

_ECMA = r"import\b|export\b.*\bfrom\b|(?:const|let|var)\b.*\brequire\("
_INCLUDE = r"#\s*include\b|using\b"
_IMPORTS = {
    "python": r"(?:from|import)\b",
    "javascript": _ECMA,
    "typescript": _ECMA,
    "tsx": _ECMA,
    "go": r"(?:package|import)\b",
    "rust": r"(?:pub\s+)?(?:use|extern\s+crate)\b",
    "java": r"(?:package|import)\b",
    "c": _INCLUDE,
    "cpp": _INCLUDE,
}


def sections(
    text: str,
    view: Window,
    count: Counter,
    around: Surroundings,
    tree: SyntaxTree | None = None,
    budgets: Budgets | None = None,
) -> tuple[Section, ...]:
    """Context beside the window, in the order imports, snippets, diagnostics. Whatever does not fit its
    budget is left out whole: half a snippet misleads."""
    budgets = budgets or Budgets()
    imports = _imports(text, view, tree)
    found: list[Section] = []
    if imports and count(imports) <= budgets.imports:
        found.append(Section("imports", around.path, imports))
    candidates = [Section("snippet", path, snippet) for path, snippet in around.snippets if snippet.strip()]
    found += _within(candidates, count, budgets.snippets)
    near = _near(text, view.prefix.end, around)
    return (*found, *_within(near, count, budgets.diagnostics))


def _within(candidates: Sequence[Section], count: Counter, budget: int) -> list[Section]:
    kept: list[Section] = []
    for section in candidates:
        # A text this long never fits; saying so costs no counting.
        used = count(section.text) if len(section.text) <= budget * 16 else budget + 1
        if used <= budget:
            kept.append(section)
            budget -= used
    return kept


def _imports(text: str, view: Window, tree: SyntaxTree | None) -> str:
    """The import statements before the window's prefix; without a tree nobody knows how they look."""
    if tree is None or view.prefix.start == 0:
        return ""
    pattern = re.compile(_IMPORTS[tree.language])
    spans = (span for span in tree.top_level() if span.end <= view.prefix.start)
    return "\n".join(code.rstrip() for span in spans if pattern.match(code := span.of(text)))


def _near(text: str, at: int, around: Surroundings) -> list[Section]:
    """The diagnostics near `at`, the nearest first."""
    lines = line_index(text)
    line = lines.line_at(at)
    ranked = sorted(
        (abs(lines.line_at(notice.span.start) - line), n) for n, notice in enumerate(around.notices)
    )
    near = (around.notices[n].message for distance, n in ranked if distance <= _NEAR)
    return [Section("diagnostic", around.path, message) for message in near if message.strip()]
