"""Finding the function around a cursor in broken code, by indentation and keywords alone.

A missing colon or bracket can make a parser lose a whole function, and that is when a user asks for a fix.
Nearly all code is indented, so: the nearest line above with less indentation that looks like a header starts
the definition, and it ends before the next line that is indented no deeper. Knows no tree.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from model.editing.definitions import Definition, DefinitionKind
from model.editing.source import LineIndex, Span, line_index

_TAB = 4  # columns; only comparisons within one file matter

_CLASS = {
    "python": r"class\b",
    "ecma": r"(?:export\s+|default\s+|abstract\s+|declare\s+)*(?:class|interface|enum)\b",
    "go": r"type\s+\w+.*\b(?:struct|interface)\b",
    "rust": r"(?:pub(?:\([^)]*\))?\s+|unsafe\s+|default\s+)*(?:struct|enum|trait|impl|union)\b",
    "java": r"(?:[\w@]+\s+)*?(?:class|interface|enum|record)\s+\w+",
    "c": r"(?:typedef\s+|template\s*<.*>\s*|enum\s+)?(?:struct|class|union|enum)\s+[^;()=]*$",
}
_FUNCTION = {
    "python": r"(?:async\s+)?def\b",
    "ecma": (
        r"(?:export\s+|default\s+|async\s+|declare\s+)*function\b"
        r"|(?:export\s+)?(?:const|let|var)\s+[\w$]+\s*(?::[^=]*)?=\s*"
        r"(?:async\s*)?(?:function\b|\(|[\w$]+\s*=>)"
        r"|(?:(?:public|private|protected|static|async|get|set|readonly|override|abstract)\s+)*[*#]?[\w$]+"
        r"\s*(?:<[^>]*>)?\s*\([^;]*$"
        r"|[\w$.]+\s*[=:]\s*(?:async\s*)?(?:function\b|\([^)]*\)\s*=>)"
        r"|[^();=]*\)[^;]*(?:\{|=>)$"
    ),
    "go": r"func\b",
    "rust": r"(?:pub(?:\([^)]*\))?\s+|default\s+|const\s+|async\s+|unsafe\s+|extern\s+(?:\"\w*\"\s+)?)*fn\b",
    "java": r"(?:@\w+(?:\([^)]*\))?\s+)*(?:[\w.<>\[\],?&]+\s+)*[\w$]+\s*\([^;]*$|[^();=]*\)[^;]*\{$",
    "c": (
        r"(?:[\w:<>,~\[\]]+[\s*&]+)*[\w:~]+\s*\([^;]*$|.*\boperator\s*\S+\s*\([^;]*$"
        r"|[^();=]*\)[^;]*$"  # its opening parenthesis is missing
    ),
}
_ANY = r"(?:[\w@]+\s+)*?(?:%s)\s+\w"  # for languages of which we know nothing
_CLASS[""] = _ANY % "class|interface|enum|struct|trait|module|impl|record|object"
_FUNCTION[""] = _ANY % "def|function|func|fn|fun|sub|proc|method|defp"
_FAMILY = {"javascript": "ecma", "typescript": "ecma", "tsx": "ecma", "cpp": "c"}
_NOT_A_HEADER = re.compile(
    r"(?:if|else|for|foreach|while|do|switch|case|catch|try|finally|return|throw|new|await|yield|match|loop"
    r"|with|select|defer|go|synchronized|assert|delete|sizeof|static_assert|super|this|goto|break|continue)\b"
)
_PREFIX = re.compile(r"@|#\[|template\s*<")  # lines above a header that belong to it
_RETURN_TYPE = re.compile(r"(?!(?:else|do|try|return|break|continue)\b)[A-Za-z_][\w\s*&:<>]*(?<!:)")
# A header goes on with one of these, on a line that is indented like it.
_TRANSPARENT = re.compile(r"[{)\]]|\}\)|where\b|->|:\s*\w+\(")
_CLOSER = re.compile(r"[}\])]|end\b")
# Lines whose indentation says nothing: comments, and in C the preprocessor, access and goto labels.
_UNINDENTED = {
    "python": re.compile(r"#"),
    "c": re.compile(r"//|/\*|\*[ /]|#|(?:public|private|protected|signals|slots)\b[\w\s]*:|\w+:$"),
}
_COMMENT = re.compile(r"//|/\*|\*[ /]")
_MAX_HEADER = 400  # characters; longer lines are data, and the patterns need not see them
_NAME = re.compile(
    r"\b(?:def|class|function\*?|func|fn|interface|enum|struct|trait|union|record|const|let|var)\s+([\w$]+)"
    r"|func\s*\([^)]*\)\s*(\w+)"
)
_CALLED = re.compile(r"([\w$~]+)\s*(?:<[^>]*>)?\s*[(=:]")


@dataclass(frozen=True)
class _Line:
    """A line that has code: its span without terminator, its indentation in columns, its stripped text."""

    span: Span
    indent: int
    code: str


def guess_definition(text: str, offset: int, language: str) -> Definition | None:
    """The definition whose indentation holds `offset`; None where no header is above it. An empty `language`
    stands for one that has no grammar here: common keywords then tell headers."""
    lines = line_index(text)
    at = lines.line_at(min(max(0, offset), len(text)))
    header = _find_header(lines, at, language)
    if header is None:
        return None
    number, kind = header
    top = _line(lines, number)
    assert top is not None
    last = _find_end(lines, number, language)
    first = _first_line(lines, number, top.indent, language)
    if kind == "function" and _is_in_class(lines, number, top.indent, language):
        kind = "method"
    first_line = _line(lines, first)
    start = first_line.span.start if first_line else lines.line(first).start
    end_line = _line(lines, last)
    end = end_line.span.end if end_line else lines.line(last).end
    end -= text[end - 1] == ","  # of an object's property
    return Definition(Span(start, max(start, end)), _name(top.code), kind)


def _first_line(lines: LineIndex, header: int, indent: int, language: str) -> int:
    """The line where the decorators or attributes of a header begin, which may go over several lines."""
    first = header
    for number in range(header - 1, max(-1, header - 40), -1):
        line = _line(lines, number)
        if line is None or line.indent < indent:
            break
        if line.indent == indent and _is_lead(line, language):
            first = number
        elif line.indent == indent and not _says_nothing(line, language) and not _CLOSER.match(line.code):
            break
    return first


def looks_whole(text: str, span: Span, language: str) -> bool:
    """Whether a definition in braces ends on a line indented like its first and holds no other header that is
    indented so; if not, its closing brace is probably that of something around it or after it."""
    lines = line_index(text)
    number, end = lines.line_at(span.start), lines.line_at(span.end)
    while number < end and (lead := _line(lines, number)) and _is_lead(lead, language):
        number += 1
    first, last = _line(lines, number), _line(lines, end)
    if language == "python" or first is None or last is None:
        return True
    between = (_line(lines, n) for n in range(number + 1, end))
    headers = (
        line for line in between if line and line.indent <= first.indent and _header_kind(line, language)
    )
    return first.indent == last.indent and next(headers, None) is None


def _line(lines: LineIndex, number: int) -> _Line | None:
    span = lines.line(number)
    raw = span.of(lines.text)
    code = raw.strip()
    if not code:
        return None
    lead = raw[: len(raw) - len(raw.lstrip())]
    indent = sum(_TAB if ch == "\t" else 1 for ch in lead)
    start = span.start + len(lead)
    return _Line(Span(start, start + len(code)), indent, code)


def _is_lead(line: _Line, language: str) -> bool:
    """Whether a line above a header belongs to it: a decorator, or in C a return type on its own line."""
    in_c = language in ("c", "cpp") and _RETURN_TYPE.fullmatch(line.code) is not None
    return in_c or _PREFIX.match(line.code) is not None


def _says_nothing(line: _Line, language: str) -> bool:
    pattern = _UNINDENTED.get(_FAMILY.get(language, language), _COMMENT)
    return pattern.match(line.code) is not None


def _header_kind(line: _Line, language: str) -> DefinitionKind | None:
    family = _FAMILY.get(language, language)
    if len(line.code) > _MAX_HEADER or line.code[0] in ")]}":
        return None
    if re.match(_CLASS[family], line.code):
        return "class"
    if _NOT_A_HEADER.match(line.code):
        return None
    return "function" if re.match(_FUNCTION[family], line.code) else None


def _find_header(lines: LineIndex, at: int, language: str) -> tuple[int, DefinitionKind] | None:
    """The line number and kind of the nearest header around line `at`."""
    here = _line(lines, at)
    if here is None or _says_nothing(here, language):
        around = [_next(lines, at, step, language) for step in (-1, 1)]
        limit = max(here.indent if here else 0, min(line.indent if line else 0 for line in around))
    elif _is_lead(here, language):  # on a decorator: the header below it
        below = at
        while below + 1 < lines.line_count and (line := _line(lines, below)) and _is_lead(line, language):
            below += 1
        return _find_header(lines, below, language) if below != at else None
    else:
        kind = _header_kind(here, language)
        if kind is not None and not _is_call(lines, at, here, language):
            return at, kind
        limit = here.indent + (1 if _CLOSER.match(here.code) or _TRANSPARENT.match(here.code) else 0)
    for number in range(at - 1, -1, -1):
        line = _line(lines, number)
        if line is None or line.indent >= limit or _says_nothing(line, language):
            continue
        kind = _header_kind(line, language)
        if kind is not None and not _is_call(lines, number, line, language):
            return number, kind
        limit = line.indent + (1 if _TRANSPARENT.match(line.code) else 0)
        if limit == 0:
            break
    return None


def _opened(code: str) -> int:
    """How many parentheses `code` opens and leaves open; negative where it closes earlier ones."""
    return code.count("(") - code.count(")")


def _is_call(lines: LineIndex, number: int, line: _Line, language: str) -> bool:
    """Whether what looks like a C-like header is a call, perhaps over several lines: no brace and nothing
    deeper follows it."""
    if language in ("", "python", "go", "rust"):
        return False
    above = _next(lines, number, -1, language)
    if above is None or _opened(line.code) >= 0:
        goes_on = False
    else:
        goes_on = _opened(above.code) > 0 or above.code.endswith((",", "(", "&&", "||", "+"))
    if goes_on:
        return True  # the end of what began above
    if "{" in line.code:
        return False
    below = _next(lines, number, 1, language)
    if below is None or line.code.endswith((",", "(")):
        # Parameters over several lines end in a brace; arguments end in a semicolon.
        for following in range(number + 1, min(number + 12, lines.line_count)):
            text = lines.line(following).of(lines.text)
            if "{" in text or ";" in text:
                return text.find(";") >= 0 and not 0 <= text.find("{") < text.find(";")
        return True
    return below.indent <= line.indent and not below.code.startswith("{")


def _next(lines: LineIndex, number: int, step: int, language: str) -> _Line | None:
    """The nearest line of code after (`step` 1) or before (-1) line `number`."""
    number += step
    while 0 <= number < lines.line_count:
        line = _line(lines, number)
        if line is not None and not _says_nothing(line, language):
            return line
        number += step
    return None


def _find_end(lines: LineIndex, header: int, language: str) -> int:
    """The last line of the definition that starts at line `header`."""
    top = _line(lines, header)
    assert top is not None
    is_python = language == "python"
    goes_on = re.compile(r"[)\]]") if is_python else _TRANSPARENT
    last = header
    for number in range(header + 1, lines.line_count):
        line = _line(lines, number)
        if line is None or (line.indent <= top.indent and _says_nothing(line, language)):
            continue
        if line.indent > top.indent:
            last = number
        elif not is_python and _CLOSER.match(line.code) and line.indent == top.indent:
            last = number
            if line.code.startswith(("}", "end")) and "{" not in line.code:
                break
        elif line.indent == top.indent and goes_on.match(line.code):
            last = number
        else:
            break
    return last


def _is_in_class(lines: LineIndex, number: int, indent: int, language: str) -> bool:
    limit = indent
    for above in range(number - 1, -1, -1):
        line = _line(lines, above)
        if line is None or line.indent >= limit:
            continue
        kind = _header_kind(line, language)
        if kind is not None:
            return kind == "class"
        limit = line.indent + (1 if _TRANSPARENT.match(line.code) else 0)
    return False


def _name(code: str) -> str:
    match = _NAME.search(code) or _CALLED.search(code)
    return next(group for group in match.groups() if group) if match else ""
